/*
 * The access log in gunicorn's format and atoms, compiled once.
 *
 * Always true: one write(2) a line; control bytes and double quotes in
 * values are escaped, so that nothing from outside forges a line.
 */
#ifndef FCGI_ACCESS_H
#define FCGI_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "fcgi/app.h"

struct access_format;

/* What the line is made of. */
struct access_facts {
	const struct var *vars;		/* as the application saw them */
	size_t		 nvars;
	struct str	 status;	/* "200 OK" */
	const struct header *headers;	/* the application's response headers */
	size_t		 nheaders;
	uint64_t	 sent;		/* body bytes given to the client */
	uint64_t	 took_us;
};

/* Compile a format such as '%(h)s %(l)s "%(r)s" %({host}i)s'. NULL with
 * *why (to be freed) naming the atom that is unknown. */
struct access_format *access_compile(const char *format, char **why);
void	 access_free(struct access_format *);
/* Fill out[0..cap) with one line ending in LF; its length, cut to cap. */
size_t	 access_line(const struct access_format *, const struct access_facts *,
	    char *out, size_t cap);

/* Open the log: NULL none, "-" stdout, else a file. 0, or -1 with errno. */
int	 access_open(const char *path);
int	 access_reopen(void);
bool	 access_enabled(void);
void	 access_write(const char *, size_t);

#endif
