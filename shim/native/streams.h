/*
 * The three streams of a native application: libfcgi's FCGX_Stream with fill
 * and empty procedures that read from and write to the server. What is
 * written to `out` is a CGI response; its head is parsed here.
 *
 * Always true: a struct streams serves one thread, one request at a time.
 * Its buffers stay between requests.
 */
#ifndef SHIM_NATIVE_STREAMS_H
#define SHIM_NATIVE_STREAMS_H

#include <fcgiapp.h>

#include "fcgi/app.h"

/* An answer up to this, its head included, goes out in one piece with its
 * length; a longer one in pieces of this size. Only what is used is touched. */
enum { STREAM_OUT = 65536 };

struct streams;

/* NULL when memory is out. `library` is the data of a stream that libfcgi
 * made itself: the few functions that look into it find what they expect. */
struct streams	*streams_new(const struct app_server *, void *library);
void		 streams_free(struct streams *);

/* Open the streams for a request and put them into *f. */
void		 streams_open(struct streams *, struct app_request *,
		    FCGX_Request *f);
/* Send what is still there and end the response. 0, or -1 with *why (static
 * text) when the application wrote no valid response. */
int		 streams_close(struct streams *, const char **why);

#endif
