/*
 * The engine's settings and data, for its halves: dispatch.c runs the
 * threads, late.c deals with callers that do not come back.
 */
#ifndef FCGI_ENGINE_H
#define FCGI_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fcgi/net.h"
#include "fcgi/scoreboard.h"

struct app_kind;

struct dispatch_config {
	struct net		*net;
	const struct app_kind	*kind;
	unsigned int		 threads;
	unsigned int		 request_timeout_ms;	/* 0: none */
	unsigned int		 queue_max;		/* waiting, 0: any */
	struct place		*place;			/* on the board */
	/* Called by the leader after each turn: true ends the worker. */
	bool			(*turned)(void *arg);
	/* For dispatch_errand(): on the main thread, entered. */
	void			(*errand)(void *arg);
	/* A caller has been in the application for too long; `all`: none
	 * is left that is not. */
	void			(*stuck)(void *arg, bool all);
	/* A response is complete; on its caller's thread. */
	void			(*finished)(void *arg, struct request *);
	/* The leader has answered for a caller. */
	void			(*answered)(void *arg, struct request *,
				    int status);
	void			*arg;
};

struct dispatch {
	struct dispatch_config	 c;
	pthread_mutex_t		 m;		/* protects what follows */
	pthread_cond_t		 work;		/* idle callers wait here */
	pthread_cond_t		 lead;		/* the spare leader does */
	pthread_cond_t		 doze;		/* the monitor does */
	int			 leader;	/* thread that has the loop */
	bool			 inlining;	/* it is in the application */
	bool			 dozing;	/* the monitor is */
	bool			 coming;	/* a caller was woken */
	bool			 entering;	/* one waits for the GIL */
	bool			 errand;	/* for the main thread */
	bool			 quit;
	unsigned int		 spare_idle;
	unsigned int		 running, idle, queued;
	unsigned int		 late;		/* of the running */
	struct request		*ready, **ready_end;
	struct request		*done;
	struct request		**run;		/* what each thread runs */
	bool			 blocked;	/* the leader waits there */
	unsigned int		 shed;		/* turned away, not told yet */
	uint64_t		 shed_told_ms;	/* both are the leader's */
	uint64_t		 slow_until_ns;
	int64_t			 average_ns;	/* of a call */
	int64_t			 last_ns;	/* the last one */
	int64_t			 waited_ns;	/* of it, not on a CPU */
	uint64_t		 seq;		/* inline calls */
};

/* All that are stuck count as one: the manager asks who else there is. */
static inline void
engine_say_busy(const struct dispatch *d)
{
	atomic_store_explicit(&d->c.place->busy, d->late == 0 ? d->running :
	    d->running - d->late + 1, memory_order_relaxed);
}

#endif
