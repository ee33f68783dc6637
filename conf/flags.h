/*
 * The command line, read as gunicorn's is.
 */
#ifndef CONF_FLAGS_H
#define CONF_FLAGS_H

#include <stdbool.h>

struct settings;

struct flags {
	const char	*app;		/* first word that is no flag; NULL */
	bool		 help;		/* -h: what follows was not read */
	bool		 version;	/* -v */
};

/*
 * Set what the words say (without the program's name; they must outlive
 * `flags`), at the rank that the settings have. 0, or -1 with *why, one whole
 * line, and *status: 2 for a line that cannot be read, 1 for a bad value.
 */
int	 flags_apply(struct settings *, int n, char *const *words,
	    const char *source, struct flags *, int *status, char **why);

#endif
