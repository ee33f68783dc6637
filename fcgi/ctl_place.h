/*
 * Where control sockets are when nobody has named one: the server and
 * gangwayctl both ask here.
 */
#ifndef FCGI_CTL_PLACE_H
#define FCGI_CTL_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define CTL_SUFFIX	".ctl"

/* The folder for sockets of this user, to be freed: that of the session
 * (XDG_RUNTIME_DIR), for root /run/gangway. With `make`, it is made, and is
 * nobody else's to write in. NULL: there is none. */
char	*ctl_dir(bool make);
/* The socket of the server with that pid file, to be freed; NULL: no memory. */
char	*ctl_beside(const char *pidfile);
/* Does nobody listen on this socket any more? Then it is removed. */
bool	 ctl_stale(const char *path);
/* The sockets in a folder on which somebody listens: an array of n paths,
 * all to be freed. The others are removed where we may. */
char	**ctl_list(const char *dir, size_t *n);

#endif
