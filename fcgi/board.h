/*
 * The program on board of Phusion Passenger: what that host decides, what
 * it is told, and what becomes of a start that fails.
 *
 * Always true: no call with a NULL board does anything.
 */
#ifndef FCGI_BOARD_H
#define FCGI_BOARD_H

#include <stdbool.h>

struct board;
struct listeners;
struct manager_config;
struct settings;

/* Take what Passenger gave: its spawn directory, its variables (which leave
 * the environment), descriptor 0, and the arguments that it made up. NULL
 * after saying why. */
struct board	*board_new(int *argc, char **argv);
void		 board_done(struct board *);

/* The startup file, NULL when there is none. */
const char	*board_app(const struct board *);
/* Put the host's word into settings that were just read. 0, -1: no memory */
int		 board_settings(struct board *, struct settings *);
/* The socket where Passenger will look for us. 0, or -1 after a line. */
int		 board_listen(struct board *, struct listeners *,
		    const struct settings *);
/* What the manager must know of the host; its ready() stays the caller's. */
void		 board_manage(struct board *, struct manager_config *);
/* The first worker serves: tell Passenger. False after a line in the log. */
bool		 board_ready(struct board *);
/*
 * The program could not start: say so where its owner can see it. In
 * development Passenger shows it on its page; else every request gets a
 * page of ours, until Passenger stops us. The exit status.
 */
int		 board_failed(struct board *, int status);

#endif
