/*
 * The pid file: created atomically (mkstemp, link or rename), mode 0644.
 */
#ifndef FCGI_PIDFILE_H
#define FCGI_PIDFILE_H

/* Write our pid. A file that names a live process is an error, a stale one
 * is replaced. 0, or -1 with *why (to be freed). */
int	 pidfile_create(const char *path, char **why);
/* Would that be an error now? NULL is no file. 0, or -1 with *why. */
int	 pidfile_check(const char *path, char **why);
/* Remove it if it still holds our pid. (pidfile_remove is libbsd's.) */
void	 pidfile_delete(const char *path);

#endif
