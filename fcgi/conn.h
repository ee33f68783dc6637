/*
 * A connection's data; connection.h has what is done with it.
 *
 * Always true: everything here belongs to the loop's owner but what is
 * under `lock`, which is for the threads that write. A connection is freed
 * when its handle is closed and no request refers to it.
 */
#ifndef FCGI_CONN_H
#define FCGI_CONN_H

#include "fcgi/net.h"
#include "fcgi/queue.h"
#include "fcgi/wire/fastcgi.h"
#include "fcgi/wire/passenger.h"

struct connection;

/* Whom the reading and the writing side report to, in the loop. */
struct connection_ops {
	uv_alloc_cb	 alloc;
	uv_read_cb	 read;
	/* The queue is empty, or no more too full, or the client is gone
	 * (broken). */
	void		 (*flushed)(struct connection *, bool broken);
};

enum {
	CONNECTION_AHEAD = 64 * 1024,	/* pipelined bytes kept */
	CONNECTION_IN_MAX = 1 << 20	/* a head that is not whole yet */
};

struct connection {
	union {
		uv_handle_t	 handle;
		uv_stream_t	 stream;
		uv_tcp_t	 tcp;
		uv_pipe_t	 pipe;
	} uv;
	struct net		*net;
	const struct listener	*listener;
	TAILQ_ENTRY(connection)	 entry;
	enum net_list		 in_list;
	uint64_t		 since_ms;
	int			 fd;
	bool			 starved;	/* no descriptor to wait with */
	bool			 stopped;	/* not reading */
	bool			 eof;		/* the client sends no more */
	bool			 close_after;	/* once the queue is empty */
	bool			 linger;	/* until it hangs up, then */
	bool			 full;		/* the queue was, past MOST */
	bool			 receiving;	/* bytes are being taken in */
	bool			 given;		/* to another worker */
	bool			 closed;	/* its handle is */
	atomic_bool		 eager;		/* has work for after it */
	unsigned int		 refs;		/* requests queued or running */
	struct request		*active;	/* those, by ->sibling */
	struct buffer		 in;		/* bytes not understood yet */
	size_t			 scanned;
	struct spill		 spill;		/* a part of `in` */
	struct peer		 peer;
	union {
		struct http_session	 http;
		struct fastcgi_session	*fastcgi;
	} session;
	const struct connection_ops *ops;
	uv_poll_t		*writable;	/* on a duplicate, or NULL */

	pthread_mutex_t		 lock;
	pthread_cond_t		 drained;	/* under lock */
	struct queue		 queue;		/* under lock */
	bool			 broken;	/* under lock: write no more */
	bool			 in_todo;	/* under net->todo_lock */
	struct connection	*next_todo;
};

/* Records, and several requests at once; else HTTP or its like. */
static inline bool
conn_fastcgi(const struct connection *c)
{
	return c->listener->protocol == PROTOCOL_FASTCGI;
}

/* A complete request of this connection waits for a caller from now on. */
void	 conn_add(struct connection *, struct request *);
/* It is over. */
void	 conn_remove(struct connection *, struct request *);
/* The one with that FastCGI id, if its end was not sent yet; or NULL. */
struct request *conn_find(struct connection *, uint16_t id);
/* The one whose head has been read and whose body is c->spill, which is
 * none any more; NULL when it is not whole. */
struct request *conn_spill(struct connection *);

#endif
