/*
 * Back to bytes: a request that nobody has begun to serve, written as its
 * client could have sent it, for another worker to read.
 *
 * Always true: what reads them gets the same variables and body.
 */
#ifndef FCGI_WIRE_AGAIN_H
#define FCGI_WIRE_AGAIN_H

#include <stddef.h>

#include "fcgi/request.h"

/* Append the request to the buffer, up to max bytes in all, its body (which
 * must be in memory) with it or not. 0, or -1 when it does not fit: then the
 * buffer is as before. */
int	 again_http(struct buffer *, struct request *, bool with_body,
	    size_t max);
int	 again_fastcgi(struct buffer *, struct request *, bool with_body,
	    size_t max);
int	 again_passenger(struct buffer *, struct request *, bool with_body,
	    size_t max);

#endif
