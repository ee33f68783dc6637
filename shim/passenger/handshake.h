/*
 * Phusion Passenger's way of starting a process: what it tells us in the
 * spawn directory, and what it wants to hear there.
 *
 * Always true: nothing is logged here; a failure comes back with *why (to
 * be freed, NULL: no memory).
 */
#ifndef SHIM_PASSENGER_HANDSHAKE_H
#define SHIM_PASSENGER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

struct passenger {
	char		*dir;		/* the spawn directory; it goes away
					   when Passenger was told */
	char		*app_root, *app_env, *startup_file, *socket_dir;
	char		*base_uri;	/* "/shop", NULL for the root */
	char		*password;	/* of every request */
	size_t		 path_max;	/* the longest name of a socket */
	unsigned int	 port;		/* 0, or generic: it only looks there
					   for a server */
	char		*path;		/* of our socket */
};

/* Read what there is; the variables that only a start may see leave the
 * environment. 0 or -1. */
int	 passenger_take(struct passenger *, char **why);
/* A listening socket where Passenger wants it, non-blocking; or -1. */
int	 passenger_listen(struct passenger *, int backlog, char **why);
/* "Requests may come": by that protocol, so many at once. 0 or -1. */
int	 passenger_ready(struct passenger *, const char *protocol,
	    long concurrency, char **why);

struct passenger_failure {
	const char	*summary;	/* one line */
	const char	*problem, *solution;	/* plain text */
	const char	*log;		/* a file with more, or NULL */
};
/* "There will be no application", for Passenger's page. 0 or -1. */
int	 passenger_failed(struct passenger *,
	    const struct passenger_failure *, char **why);
/* Remove our socket, forget all. */
void	 passenger_done(struct passenger *);

#endif
