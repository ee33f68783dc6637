/*
 * USR2: the same program once more, from its file, on our sockets. Both
 * serve until one of them is told to stop; whoever that is, the other one
 * goes on with all of it.
 */
#ifndef FCGI_UPGRADE_H
#define FCGI_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>

struct crew;

/* How this program was started, so that it can be started the same way. */
struct restart {
	char		*program;	/* from the root; links are kept */
	char		**argv;
	char		*const *environ;
	const char	*cwd;
	bool		 systemd;
};

/* Find program and arguments out, early: titles overwrite them. The rest is
 * the caller's. 0, or -1 with errno. */
int	 restart_find(struct restart *);
void	 restart_done(struct restart *);

struct upgrade {
	const struct restart *how;	/* NULL: cannot be done */
	const char	*cannot;	/* why not */
	pid_t		 child;		/* our successor, 0: none */
	pid_t		 parent;	/* whom we succeed, 0: nobody */
	int		 word;		/* it says there that it serves, 0 */
	int		 told;		/* where we do, 0: nobody waits */
	bool		 joined;	/* our workers and the parent's hand
					   connections to each other */
	bool		 child_joined;	/* and its workers serve */
};

/* Start the successor; all that happens is logged. */
void	 upgrade_begin(struct upgrade *, const struct crew *);
/* Our first worker serves (tell whom we succeed). */
void	 upgrade_ready(struct upgrade *);
/* That process ended: was it the successor? */
bool	 upgrade_lost(struct upgrade *, pid_t, int status);
/* True once: whom we succeeded has gone. */
bool	 upgrade_promoted(struct upgrade *);
/* Milliseconds until it must be asked again, -1: nobody is there to go. */
int	 upgrade_pause(const struct upgrade *);
/* Is there another manager on our sockets? */
bool	 upgrade_shared(const struct upgrade *);
/* And do its workers serve and take connections from ours? */
bool	 upgrade_served(struct upgrade *);
void	 upgrade_done(struct upgrade *);

#endif
