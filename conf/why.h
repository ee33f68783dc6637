/*
 * Reasons that travel up to whoever can print them, and small text.
 */
#ifndef CONF_WHY_H
#define CONF_WHY_H

#include <stddef.h>

/* *why becomes the formatted text, to be freed; NULL when memory is out or
 * `why` is NULL. Returns -1, for "return why_set(...)"; errno stays. */
int	 why_set(char **why, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* The formatted text, to be freed, or NULL. */
char	*text_new(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* `text` for one line: control bytes as \xNN, at most 200 bytes. To be
 * freed, or NULL. */
char	*text_shown(const char *text);

/* "Invalid value for NAME: 'VALUE' (SOURCE): REASON" for *why; takes the
 * reason. -1. */
int	 why_value(char **why, const char *name, const char *value,
	    const char *source, char *reason);

/* Lines for the person who starts the server, in the order of adding. */
struct notes {
	char	**v;
	size_t	 n;
};

/* A note that finds no memory is dropped. */
void	 notes_add(struct notes *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	 notes_done(struct notes *);

#endif
