/*
 * Rights and identity of a process: daemon, user, group, umask, limits.
 */
#ifndef FCGI_RIGHTS_H
#define FCGI_RIGHTS_H

#include <sys/types.h>

struct settings;

/* user and group of the settings as numbers; -1 with *why (to be freed). */
int	 rights_find(const struct settings *, uid_t *, gid_t *, char **why);
/* Become them for good (group first; initgroups); every result is checked,
 * also that there is no way back. 0, or -1 with *why (to be freed). */
int	 rights_drop(const struct settings *, char **why);
/* Tie this process to its parent's life: that signal when it dies; at once
 * where it has. KILL where nothing looks for the parent. 0: to nobody. */
void	 rights_tie(pid_t parent, int sig);
/* Leave the terminal: double fork, setsid, fds 0-2 to /dev/null. The first
 * process exits once that is done, 0. 0 or -1 with errno. */
int	 rights_daemon(void);

#endif
