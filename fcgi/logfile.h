/*
 * What both logs stand on: a file that lines are appended to, and text made
 * fit for one line.
 *
 * Always true: the descriptor keeps its number when a file is opened again,
 * so that a thread which is writing needs no lock.
 */
#ifndef FCGI_LOGFILE_H
#define FCGI_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct logfile {
	_Atomic int	 fd;	/* -1: none */
	char		*path;	/* absolute; NULL: none or a standard stream */
};

/* Root's log files are given to this user from now on, who could not open
 * them again otherwise. Root then follows a link to a log, or on the way to
 * one, only where nobody else can have put it (ELOOP). */
void	 logfile_owner(uid_t, gid_t);
/* Open for appending: NULL is none, "-" the descriptor `standard`. What was
 * open before is replaced, or kept at -1 with errno. */
int	 logfile_open(struct logfile *, const char *path, int standard);
/* Open again under the same name. 0, or -1 with errno: the old stays. */
int	 logfile_reopen(struct logfile *);
/* One write(2); what a full pipe does not take is lost. Keeps errno. */
void	 logfile_write(const struct logfile *, const char *, size_t);

/*
 * Copy text so that it can neither end a line nor speak to a terminal:
 * control bytes and what is not UTF-8 become \xNN; with `quoted`, '"' and
 * '\' get a backslash. What does not fit in cap is left off, between two
 * characters. Bytes written.
 */
size_t	 text_escape(char *out, size_t cap, const char *, size_t n,
	    bool quoted);

#endif
