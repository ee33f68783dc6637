/*
 * One accepted connection: reading, whose turn it is, deadlines, closing.
 *
 * Always true: everything here belongs to the loop's owner but what is
 * under `lock`, which is for the threads that write. A connection is freed
 * when its handle is closed and no request refers to it.
 */
#ifndef FCGI_CONNECTION_H
#define FCGI_CONNECTION_H

#include "fcgi/net.h"
#include "fcgi/queue.h"
#include "fcgi/wire/fastcgi.h"
#include "fcgi/wire/http.h"

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
	bool			 stopped;	/* not reading */
	bool			 eof;		/* the client sends no more */
	bool			 close_after;	/* once the queue is empty */
	bool			 receiving;	/* bytes are being taken in */
	bool			 closed;	/* its handle is */
	atomic_bool		 eager;		/* has work for after it */
	unsigned int		 refs;		/* requests queued or running */
	struct request		*active;	/* those, by ->sibling */
	struct buffer		 in;		/* bytes not understood yet */
	size_t			 scanned;
	struct peer		 peer;
	union {
		struct http_session	 http;
		struct fastcgi_session	*fastcgi;
	} session;
	uv_read_cb		 reader;
	uv_poll_t		*writable;	/* on a duplicate, or NULL */

	pthread_mutex_t		 lock;
	pthread_cond_t		 drained;	/* under lock */
	struct queue		 queue;		/* under lock */
	bool			 broken;	/* under lock: write no more */
	bool			 in_todo;	/* under net->todo_lock */
	struct connection	*next_todo;
};

/* Take over an accepted socket, with bytes that were read from it already.
 * The descriptor is closed on failure. */
void	 connection_open(struct net *, const struct listener *, int fd,
	    const struct sockaddr *, const char *in, size_t n);
/* A request is over (its caller has let go of it): what next? */
void	 connection_done(struct request *);
/* Answer `status` in a running request's stead; its caller's writes go
 * nowhere from now on. False when it is too late for that. */
bool	 connection_abandon(struct request *, int status);
/* A queued request, taken off the queue: give its connection to another
 * worker. False, and nothing is changed, when that cannot be. */
bool	 connection_recall(struct request *);
/* A queued request, taken off the queue, that nobody will serve: 503. */
void	 connection_refuse(struct request *);
/* The process ends: answer 503 for what waits unread on kept connections. */
void	 connections_give_up(struct net *);
/* Deadlines; queues that callers left. Called once a turn and a tick. */
void	 connections_todo(struct net *);
void	 connections_tick(struct net *);
/* The server is leaving: give away what can be given, close the idle. */
void	 connections_leave(struct net *);
void	 connection_cut(struct connection *);
/* The queue is empty (or the client gone). */
void	 connection_flushed(struct connection *, bool broken);

/* For the caller thread of a request: wait until its queue is short. */
enum send_result connection_drain(struct request *);

#endif
