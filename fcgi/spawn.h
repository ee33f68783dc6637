/*
 * The one place that forks workers.
 */
#ifndef FCGI_SPAWN_H
#define FCGI_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct crew;
struct generation;
struct settings;

/* Fork a worker for that place and slot. Its pid, or -1 with errno. */
pid_t	 spawn_worker(const struct crew *, struct generation *, size_t place,
	    size_t slot);
/* max_requests with its jitter drawn, 0: no limit. */
unsigned long spawn_limit(const struct settings *);
/* Log files opened from now on are for the user of these settings. */
void	 spawn_logs_owner(const struct settings *);
/* That, and open the logs again where the settings of the two differ;
 * failures are logged in the old ones. */
void	 spawn_logs(const struct settings *before, const struct settings *now);
/* The first lines of a start: who we are, where we listen. */
void	 spawn_greeting(const struct crew *);
/* "gangway: master [name]" for ps. */
void	 spawn_title(const struct settings *, const char *role,
	    const char *suffix);

#endif
