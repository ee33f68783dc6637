/*
 * The manager: keeps the wanted number of workers alive, replaces before
 * it stops, and turns signals into that. It never parses a request.
 */
#ifndef FCGI_MANAGER_H
#define FCGI_MANAGER_H

#include <stdbool.h>

struct app_config;
struct app_kind;
struct listeners;
struct settings;

struct manager_config {
	struct settings		*settings;	/* replaced whole at HUP */
	struct listeners	*listeners;
	const struct app_kind	*kind;
	struct app_config	*config;	/* what the kind was started
						   with, or will be */
	bool			 started;	/* kind->start() done here */
	bool			 loaded;	/* preload done here */
	bool			 usr1_leaves;	/* fd 0 is the socket: as
						   libfcgi's programs do */
	/* Read all sources again; NULL with the reason logged. */
	struct settings		*(*reload)(void *arg);
	void			*arg;
};

/* Serve until told to stop; the exit status (0, 3, 4, 255). */
int	 manager_run(struct manager_config *);

#endif
