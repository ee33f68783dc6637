/*
 * All that is listened on: what `bind`, fd 0 and LISTEN_FDS give us.
 */
#ifndef FCGI_LISTENERS_H
#define FCGI_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "fcgi/listener.h"

struct listeners {
	struct listener	*v;
	size_t		 n;
};

/*
 * Open what `bind` says, with `slots` sockets each under reuse_port. 0, or
 * -1 with *why (to be freed): which address, why, what to do. An address in
 * use is tried again for four seconds, with a line each time.
 */
int	 listeners_open(struct listeners *, const struct settings *,
	    size_t slots, char **why);
/*
 * The same under changed settings, at once: addresses that `old` has too
 * keep their sockets (by new descriptors), the rest is opened. Both lists
 * then know the socket files of those; only the last may remove them.
 */
int	 listeners_reopen(struct listeners *, const struct listeners *old,
	    const struct settings *, size_t slots, char **why);
/* Are they what `bind` means, from the folder that we are in? */
bool	 listeners_are(const struct listeners *, const struct settings *);
/* Take over descriptors that are listening already; adds to the list. */
int	 listeners_adopt(struct listeners *, const int *fds, size_t n,
	    enum protocol, char **why);
/* All sockets of one listener, from a manager of ours: listener_take(). Adds
 * to the list. */
int	 listeners_take(struct listeners *, const char *address,
	    enum protocol, const int *fds, size_t n, dev_t, ino_t, char **why);
/* Make room for more slots (a reload under reuse_port): opens what is
 * missing, which listens once a worker watches it. *grown: something was
 * opened, at -1 too, which workers that run already do not have. */
int	 listeners_grow(struct listeners *, const struct settings *,
	    size_t slots, bool *grown, char **why);
/* Close those of a manager whose place is taken with `now`. What stays in
 * the list are socket files that are not among these: when it has gone,
 * nobody is there any more. */
void	 listeners_leave(struct listeners *, const struct listeners *now);
/* Close all; `unlink` removes the socket files that are ours. */
void	 listeners_close(struct listeners *, bool unlink);

#endif
