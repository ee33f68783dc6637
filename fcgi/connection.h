/*
 * One accepted connection: reading, whose turn it is, closing. All of it in
 * the loop.
 */
#ifndef FCGI_CONNECTION_H
#define FCGI_CONNECTION_H

#include "fcgi/conn.h"

/* Begin to read from a new one, which has its descriptor and its place in
 * the lists, with bytes that were read from it already. */
void	 connection_start(struct connection *, const char *in, size_t n);
/* A request is over (its caller has let go of it): what next? */
void	 connection_done(struct request *);
/* Answer `status` in a running request's stead, if it has no answer yet; its
 * caller's writes go nowhere from now on. False when it is too late. */
bool	 connection_abandon(struct request *, int status);
/* A queued request, whose bytes are unread again, is no more: to another
 * worker with its connection, when it was the last there. */
void	 connection_take_back(struct request *);
/* A queued request, taken off the queue, that nobody will serve: 503. */
void	 connection_refuse(struct request *);
/* Answer with an error page and close, without a request. */
void	 connection_refused(struct connection *, const struct http_refusal *);

#endif
