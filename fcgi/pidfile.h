/*
 * The pid file: created atomically (mkstemp, link or rename), mode 0644.
 */
#ifndef FCGI_PIDFILE_H
#define FCGI_PIDFILE_H

#include <sys/types.h>

/* Write our pid. A file that names a live process is an error, a stale one
 * is replaced. 0, or -1 with *why (to be freed). */
int	 pidfile_create(const char *path, char **why);
/* Would that be an error now? NULL is no file. 0, or -1 with *why. */
int	 pidfile_check(const char *path, char **why);
/* Ours is *have (NULL: we have none) and is to be `want` (which is taken, or
 * freed; NULL: none), where the file of a process `old` that has gone may
 * stand (0: nobody's). 0, or -1 with *why (to be freed): all is as it was. */
int	 pidfile_move(char **have, char *want, pid_t old, char **why);
/* Remove it if it still holds our pid. (pidfile_remove is libbsd's.) */
void	 pidfile_delete(const char *path);

#endif
