/*
 * The writing side of a connection: what caller threads send, at once when
 * the client takes it, else queued for the loop.
 */
#ifndef FCGI_SINK_H
#define FCGI_SINK_H

#include "fcgi/conn.h"

extern const struct sink connection_sink;

/* Loop's: send bytes of the server's own (100, errors, records). */
void	 sink_raw(struct connection *, const void *, size_t);
/* Loop's: is anything still queued? */
bool	 sink_pending(struct connection *);
bool	 sink_broken(struct connection *);
/* Loop's: both at once; true when it is broken. */
bool	 sink_state(struct connection *, bool *pending);
/* Loop's: watch for room, for as long as there is something queued. */
void	 sink_watch(struct connection *);
void	 sink_unwatch(struct connection *);
/* Loop's: it goes away; nobody can queue any more. */
void	 sink_forget(struct connection *);
/* Loop's: no more writes; wakes who waits. */
void	 sink_break(struct connection *);

/* Any thread, while a request refers to it: can nobody be reached there? */
bool	 sink_hung_up(struct connection *);

/* For the caller thread of a request: wait until its queue is short. */
enum send_result sink_drain(struct request *);

#endif
