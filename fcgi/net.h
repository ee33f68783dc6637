/*
 * The network side of a worker: its loop and everything in it. Little but
 * data; loop.h turns it.
 *
 * Always true: whoever leads owns all of it (the loop, every handle, the
 * lists, the request pool); other threads touch only what is named so.
 */
#ifndef FCGI_NET_H
#define FCGI_NET_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

#include "fcgi/clock.h"
#include "fcgi/listeners.h"
#include "fcgi/wire/session.h"

enum {
	NET_READ = 64 * 1024,		/* bytes read at once */
	NET_HEAD_MS = 60 * 1000,	/* a head must be whole by then */
	NET_BODY_MS = 60 * 1000,	/* silence within a body */
	NET_SEND_MS = 60 * 1000,	/* a client takes nothing */
	NET_LINGER_MS = 2 * 1000,	/* after a refusal */
	NET_TICK_MS = 100,
	NET_QUIET_MS = 1000,		/* until memory is given back */
	NET_LACK_MS = 1000		/* until it will hardly come back */
};

/* A body that came with a connection, as a file: n bytes after the first
 * `at` of those that are unread. */
struct spill {
	int		 fd;		/* -1: there is none */
	size_t		 at;
	uint64_t	 n;
};

struct connection;
TAILQ_HEAD(connections, connection);

/* The list a connection is in says what it is waited for. */
enum net_list {
	NET_BUSY,	/* the application: no deadline of ours */
	NET_IDLE,	/* the next request */
	NET_HEAD,	/* the rest of a head */
	NET_BODY,	/* the rest of a body */
	NET_SENDING,	/* the client to take the response */
	NET_LINGER,	/* the client to hang up */
	NET_LISTS
};

/* What malloc() last said. */
enum net_memory {
	NET_MEMORY_THERE,
	NET_MEMORY_OUT,		/* asked again at each tick */
	NET_MEMORY_GONE		/* for long: a new process is better off */
};

struct net {
	uv_loop_t		 loop;
	uint64_t		 now_ms;	/* net_now()'s; 0: look */
	uv_async_t		 wake;		/* from any thread */
	uv_timer_t		 tick;
	uv_poll_t		 highest;	/* loop.c's, for a moment */
	struct wire_config	 wire;
	const struct trust	*trust;
	const struct listeners	*listeners;
	struct request_pool	 pool;
	struct connections	 list[NET_LISTS];
	unsigned int		 nconns;
	unsigned int		 nsending;	/* their clients are slow */
	unsigned int		 max_conns;	/* worker_connections */
	uint64_t		 keepalive_ms;	/* 0: none */
	uint64_t		 closing_ms;	/* the same at the full stop */
	struct request		*fresh, **fresh_end;	/* complete */
	unsigned long		 nrequests;
	atomic_bool		 closing;	/* responses say close */
	bool			 leaving;	/* kept ones are handed over */
	int			 handoff;	/* where to, -1: nowhere */
	uv_poll_t		 offers;	/* from where */
	bool			 offered;
	bool			 offers_rest;	/* descriptors are out */
	struct acceptor		*acceptors;
	size_t			 nacceptors;
	bool			 accepting;
	bool			 bounded;	/* there is a worker_queue */
	uint64_t		 busy_ms;	/* a request was there last */
	struct connection	*next[2];	/* of conn_ready() */
	enum net_memory		 memory;
	uint64_t		 lack_ms;	/* not THERE since */

	/* A connection that another worker gives. */
	void			(*adopt)(struct net *, const struct listener *,
				    int fd, const struct sockaddr *,
				    const char *in, size_t n,
				    const struct spill *);
	/* Requests that callers are done with, taken back at once. */
	void			(*reap)(void *);
	void			*reap_arg;

	/* Connections whose queue a caller thread has filled. */
	pthread_mutex_t		 todo_lock;
	struct connection	*todo;		/* under todo_lock */

	char			 buffer[NET_READ];
};

/* The time, the same for a whole turn of the loop. */
static inline uint64_t
net_now(struct net *net)
{
	if (net->now_ms == 0)
		net->now_ms = clock_coarse_ms();
	return net->now_ms;
}

/* malloc() has failed. */
static inline void
net_lack(struct net *net)
{
	if (net->memory != NET_MEMORY_THERE)
		return;
	net->memory = NET_MEMORY_OUT;
	net->lack_ms = net_now(net);
}

#endif
