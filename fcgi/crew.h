/*
 * What the parts of the manager share: all workers, and what they are made
 * from. Data only.
 */
#ifndef FCGI_CREW_H
#define FCGI_CREW_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct app_config;
struct app_kind;
struct ctl;
struct generation;
struct hosting;
struct inherit;
struct listeners;
struct passenger_terms;
struct restart;
struct scoreboard;
struct settings;

struct manager_config {
	struct settings		*settings;	/* replaced whole at HUP */
	const struct hosting	*hosting;	/* NULL: none */
	struct listeners	*listeners;
	const struct app_kind	*kind;
	struct app_config	*config;	/* what the kind was started
						   with, or will be */
	bool			 started;	/* kind->start() done here */
	bool			 loaded;	/* preload done here */
	bool			 usr1_leaves;	/* fd 0 is the socket: as
						   libfcgi's programs do */
	bool			 titled;	/* ps shows what we say */
	bool			 lives_on;	/* the process does after us */
	int			 leash;		/* its end stops us; 0: none */
	bool			 daemon;	/* WINCH is not a terminal's */
	bool			 notify;	/* a service manager may be
						   listening */
	pid_t			 parent;	/* whom we succeed, or 0 */
	struct inherit		*inherit;	/* from it, or NULL */
	const struct restart	*restart;	/* for USR2, or NULL: */
	const char		*no_restart;	/* why not */
	const struct passenger_terms *passenger;	/* NULL: another host */
	/* The first worker serves; NULL: nobody waits for that. False: stop,
	 * the reason is logged. */
	bool			(*ready)(void *arg);
	/* Read all sources again; NULL with the reason logged. Else
	 * reloaded() follows: these settings are used from now on, or they
	 * are given up and their variables leave the environment. */
	struct settings		*(*reload)(void *arg);
	void			(*reloaded)(void *arg, bool used);
	void			*arg;
};

#define SLOT_NONE	((size_t)-1)

enum proc_state {
	PROC_NONE,
	PROC_BOOTING,
	PROC_READY,
	PROC_STUCK,	/* has a lost thread; the rest may finish */
	PROC_LEAVING,	/* was told to, or does so by itself */
	PROC_ABORTED,	/* SIGABRT was sent */
	PROC_KILLED	/* SIGKILL was sent */
};

/* One worker process, at the index of its place on the board. */
struct proc {
	enum proc_state	 state;
	pid_t		 pid;
	size_t		 slot;
	unsigned int	 generation;
	uint64_t	 since;		/* READY since, 0: it never was */
	uint64_t	 deadline;	/* of the next harder step, 0: none */
	bool		 replace;	/* wants a successor */
	bool		 reopen;	/* the logs, when it is ready */
	bool		 overdue;	/* it never became ready in time */
	uint64_t	 due;		/* to be recycled since, 0: not yet */
	uint64_t	 lifetime_ms;	/* after `since`, 0: no limit */
	unsigned long	 age;		/* what number it is, from 1 */
};

struct slot {
	size_t		 serving, coming;	/* places or SLOT_NONE */
	uint64_t	 retry_at;
	unsigned int	 failures;	/* early deaths in a row */
};

/* All workers; zero but for what crew_init() sets. */
struct crew {
	const struct manager_config *config;
	struct scoreboard *board;
	struct generation *all, *current;	/* the manager's */
	struct proc	*procs;
	struct slot	*slots;
	size_t		 places;	/* of both arrays and of the board */
	size_t		 wanted;	/* slots to be filled */
	size_t		 last;		/* place given out last */
	unsigned long	 age;		/* of the worker started last */
	uint64_t	 grace_ms, timeout_ms;
	uint64_t	 ticked, amnesty;
	uint64_t	 rss_max;	/* bytes, 0: no limit */
	uint64_t	 measured;	/* the memory of all, last */
	uint64_t	 recycle_ms;	/* least pause between recycles */
	uint64_t	 recycled;	/* the last of them, 0: none */
	sigset_t	*mask;		/* signals as they were before us */
	/* As the board had them before a worker could write there. */
	int		 bell[2], handoff[2];
	struct ctl	*ctl;		/* not the worker's business */
	bool		 ever_ready;
	bool		 shared;	/* with another manager: socket files
					   stay, no sockets are added */
	const char	*suffix;	/* of our name: a successor's is .2 */
};

#endif
