/*
 * The worker: what a child does from fork to exit. It starts the
 * application, says READY on its place, serves, and leaves when it is told
 * to (TERM, or its manager has gone) or has done its share.
 */
#ifndef FCGI_WORKER_H
#define FCGI_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct app_config;
struct app_kind;
struct hosting;
struct listeners;
struct passenger_terms;
struct scoreboard;
struct settings;

struct worker {
	const struct settings	*settings;
	const struct hosting	*hosting;	/* NULL: none */
	const struct listeners	*listeners;
	struct scoreboard	*board;
	int			 handoff[2];	/* the board's at its start */
	size_t			 place;		/* ours on the board */
	size_t			 slot;
	pid_t			 manager;	/* 0: nobody manages us */
	unsigned long		 age;		/* what number we are, from 1 */
	const struct app_kind	*kind;
	struct app_config	*config;	/* filled from the settings */
	bool			 loaded;	/* kind->load() is done */
	bool			 started;	/* kind->start() is done */
	bool			 usr1_leaves;	/* as libfcgi's programs do */
	unsigned long		 max_requests;	/* jitter drawn, 0: no limit */
	const struct passenger_terms *passenger;	/* NULL: another host */
};

/* What the application is to know of these settings (it points there) under
 * this host. */
void	 worker_app_config(struct app_config *, const struct settings *,
	    const struct hosting *);

/*
 * Run to the end in this process; returns the exit status: 0, or 3 or 4
 * when the application could not be started. Signals: TERM leaves
 * gracefully; INT and QUIT at once; USR1 reopens the logs; ABRT dumps the
 * stacks and exits 1; HUP, USR2, WINCH, TTIN, TTOU are ignored. Where USR1
 * leaves too, HUP reopens the logs in a worker that nobody manages.
 */
int	 worker_run(const struct worker *);

#endif
