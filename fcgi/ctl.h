/*
 * The control socket: a unix socket on which the manager says how it is and
 * takes orders, one JSON object on one line each way.
 *
 * Always true: nothing here blocks; a few clients at once, each for a second
 * at most; a request has CTL_LINE bytes at most. Who may speak is decided by
 * the mode of the socket's file.
 */
#ifndef FCGI_CTL_H
#define FCGI_CTL_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	CTL_LINE = 4096,
	CTL_CLIENTS = 4,
	CTL_FDS = CTL_CLIENTS + 1
};

enum ctl_order { CTL_RELOAD, CTL_SCALE, CTL_STOP, CTL_REOPEN };

struct ctl_client {
	int		 fd;		/* 0: none */
	uint64_t	 deadline;
	size_t		 n;		/* of `in` */
	char		*out;		/* the answer, or NULL */
	size_t		 out_n, out_at;
	char		 in[CTL_LINE];
};

struct ctl {
	/* What a client is told, and what is done for it: NULL, or why it
	 * cannot be done (a constant). */
	json_t		*(*status)(void *arg);
	const char	*(*obey)(void *arg, enum ctl_order, long number);
	void		*arg;

	int		 fd;		/* 0: not open */
	char		*path;
	mode_t		 mode;
	dev_t		 dev;		/* of the file that is ours */
	ino_t		 ino;
	struct ctl_client client[CTL_CLIENTS];
};

/* Listen there; what it listened on before is closed, while clients that
 * came by it are still answered. 0, or -1 with *why (to be freed), and then
 * it does not listen and clients are cut. */
int	 ctl_open(struct ctl *, const char *path, mode_t, char **why);
/* The end: clients are cut, the file is removed if it is still ours. */
void	 ctl_close(struct ctl *);
/* In a child: let go of the descriptors. */
void	 ctl_forget(struct ctl *);
/* What to wait for: fills pfd[CTL_FDS], unused ones with -1. Returns the
 * milliseconds until somebody's time is over, -1: nobody is there. */
int	 ctl_watch(const struct ctl *, struct pollfd *pfd, uint64_t now);
/* Do what can be done at once. */
void	 ctl_turn(struct ctl *, uint64_t now);

#endif
