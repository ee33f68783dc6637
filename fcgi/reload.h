/*
 * Reload: a trial generation, one worker to prove it, then all others.
 *
 * Always true: until the first new worker serves, nothing of the old
 * generation changes.
 */
#ifndef FCGI_RELOAD_H
#define FCGI_RELOAD_H

#include <stdbool.h>

#include "fcgi/crew.h"

struct reload {
	struct crew	*crew;
	struct manager_config *config;
	/* New settings are in force: what else depends on them. */
	void		(*applied)(void *);
	void		*arg;
	struct generation *trial;	/* not sure yet, or NULL */
	size_t		 probe;		/* place of its first worker */
	char		*folder;	/* where we were before, or NULL */
	bool		 busy;		/* begun and not at its end */
};

/* HUP. Whatever goes wrong is logged. */
void	 reload_begin(struct reload *);
/* Give the trial up, if there is one. */
void	 reload_abandon(struct reload *, const char *why);
/* Do what is due: call it after each look at the workers. True: a reload has
 * just come to its end, good or bad. */
bool	 reload_step(struct reload *);
/* The trial's first worker has ended, booting or not. */
void	 reload_lost(struct reload *, bool booting);
/* Open both logs again under their names. */
void	 logs_reopen(void);

#endif
