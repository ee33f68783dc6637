/*
 * How the engine sees that a leader is stuck in the application: somebody
 * looks at each tick whether the inline call is still the one of the last
 * look. Only the judgement; dispatch.c has the thread.
 */
#ifndef FCGI_MONITOR_H
#define FCGI_MONITOR_H

#include "fcgi/engine.h"

enum monitor_sight {
	MONITOR_FINE,
	MONITOR_STUCK,	/* the loop is nobody's now: somebody must take it */
	MONITOR_QUIET	/* no inline call for long: no need to look */
};

struct monitor {
	uint64_t	 seq;		/* of the last look */
	uint64_t	 moved_ms;	/* it was another one before that */
	uint64_t	 calm_ms;	/* from then on calls are not likely to
					   stick; 0: none has stuck */
};

/* Before the first look, and after a time without any. */
void	 monitor_begin(struct monitor *, const struct dispatch *);
/* How long until the next look. */
uint64_t monitor_tick_ms(const struct monitor *);
/* Look. With the engine's lock held. */
enum monitor_sight monitor_look(struct monitor *, struct dispatch *);

#endif
