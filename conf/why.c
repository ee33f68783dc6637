#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/why.h"

enum { SHOWN_MAX = 200 };

int
why_set(char **why, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (why == NULL)
		return -1;
	va_start(ap, fmt);
	if (vasprintf(why, fmt, ap) == -1)
		*why = NULL;
	va_end(ap);
	errno = saved;
	return -1;
}

char *
text_new(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) == -1)
		s = NULL;
	va_end(ap);
	return s;
}

char *
text_shown(const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text;
	size_t n = strlen(text), i = 0;
	char *s;

	if (n > SHOWN_MAX)
		n = SHOWN_MAX;
	if ((s = malloc(n * 4 + 4)) == NULL)
		return NULL;
	for (; n > 0; n--, p++) {
		if (*p >= ' ' && *p != 0x7f) {
			s[i++] = (char)*p;
			continue;
		}
		s[i++] = '\\';
		s[i++] = 'x';
		s[i++] = hex[*p >> 4];
		s[i++] = hex[*p & 15];
	}
	if (*p != '\0') {
		memcpy(s + i, "...", 3);
		i += 3;
	}
	s[i] = '\0';
	return s;
}

int
why_value(char **why, const char *name, const char *value,
    const char *source, char *reason)
{
	char *shown = text_shown(value != NULL ? value : "None");

	(void)why_set(why, "Invalid value for %s: '%s' (%s): %s", name,
	    shown != NULL ? shown : "", source,
	    reason != NULL ? reason : "out of memory");
	free(shown);
	free(reason);
	return -1;
}

void
notes_add(struct notes *notes, const char *fmt, ...)
{
	char *line, **v;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n == -1)
		return;
	v = reallocarray(notes->v, notes->n + 1, sizeof(*v));
	if (v == NULL) {
		free(line);
		return;
	}
	notes->v = v;
	v[notes->n++] = line;
}

void
notes_done(struct notes *notes)
{
	while (notes->n > 0)
		free(notes->v[--notes->n]);
	free(notes->v);
	notes->v = NULL;
}
