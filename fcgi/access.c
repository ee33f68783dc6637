#include "config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/why.h"
#include "fcgi/access.h"
#include "fcgi/access_format.h"
#include "fcgi/logfile.h"

enum { ACCESS_WIDTH_MAX = 1000 };

static const struct {
	char		 letter;
	enum atom	 atom;
} atoms[] = {
	{ 'h', ATOM_ADDRESS }, { 'l', ATOM_NONE }, { 'u', ATOM_USER },
	{ 't', ATOM_TIME }, { 'r', ATOM_REQUEST }, { 's', ATOM_STATUS },
	{ 'm', ATOM_METHOD }, { 'U', ATOM_PATH }, { 'q', ATOM_QUERY },
	{ 'H', ATOM_PROTOCOL }, { 'B', ATOM_SENT }, { 'b', ATOM_SENT },
	{ 'f', ATOM_REFERER }, { 'a', ATOM_AGENT }, { 'T', ATOM_SECONDS },
	{ 'M', ATOM_MILLISECONDS }, { 'D', ATOM_MICROSECONDS },
	{ 'L', ATOM_DECIMAL }, { 'p', ATOM_PID }
};

static struct logfile file = { .fd = -1 };

/* A request field's name as its CGI variable: HTTP_USER_AGENT. */
static size_t
variable_name(char *out, const char *p, size_t n)
{
	static const char prefix[] = "HTTP_";
	size_t i, len = sizeof(prefix) - 1;

	if ((n == 12 && strncasecmp(p, "content-type", n) == 0) ||
	    (n == 14 && strncasecmp(p, "content-length", n) == 0))
		len = 0;
	memcpy(out, prefix, len);
	for (i = 0; i < n; i++)
		out[len++] = p[i] == '-' ? '_' :
		    (char)toupper((unsigned char)p[i]);
	return len;
}

/* What stands in the parentheses: h, {host}i, ... */
static int
name_parse(struct access_op *op, const char *p, size_t n, char **names,
    char **why)
{
	size_t i;

	for (i = 0; n == 1 && i < sizeof(atoms) / sizeof(atoms[0]); i++)
		if (atoms[i].letter == *p) {
			op->atom = atoms[i].atom;
			return 0;
		}
	if (n < 4 || p[0] != '{' || p[n - 2] != '}' ||
	    strchr("ioe", p[n - 1]) == NULL) {
		(void)why_set(why,
		    "unknown atom '%%(%.*s)s': there are h l u t r s m"
		    " U q H B b f a T M D L p, {header}i, {header}o and"
		    " {variable}e", (int)n, p);
		return -1;
	}
	op->atom = p[n - 1] == 'o' ? ATOM_HEADER : ATOM_VARIABLE;
	op->text.p = *names;
	if (p[n - 1] == 'i')
		op->text.n = variable_name(*names, p + 1, n - 3);
	else {
		op->text.n = n - 3;
		memcpy(*names, p + 1, n - 3);
	}
	*names += op->text.n;
	return 0;
}

/* A number of at most ACCESS_WIDTH_MAX; what follows it, or NULL. */
static const char *
number_parse(size_t *v, const char *p)
{
	for (*v = 0; *p >= '0' && *p <= '9'; p++)
		if ((*v = *v * 10 + (size_t)(*p - '0')) > ACCESS_WIDTH_MAX)
			return NULL;
	return p;
}

/* "(name)-15.20s" after a percent sign. What follows it, or NULL. */
static const char *
atom_parse(struct access_op *op, const char *p, char **names, char **why)
{
	const char *from = p, *close;

	if (*p != '(' || (close = strchr(p, ')')) == NULL) {
		(void)why_set(why,
		    "'%%' must be followed by (ATOM) or by another"
		    " '%%', not by '%.20s'", p);
		return NULL;
	}
	if (name_parse(op, p + 1, (size_t)(close - p - 1), names, why) == -1)
		return NULL;
	for (p = close + 1; *p != '\0' && strchr("-+ #0", *p) != NULL; p++)
		op->left = op->left || *p == '-';
	op->padded = *p >= '0' && *p <= '9';
	if ((p = number_parse(&op->width, p)) != NULL && *p == '.') {
		op->cut = true;
		p = number_parse(&op->precision, p + 1);
	}
	if (p == NULL || *p == '\0' || strchr("sdiu", *p) == NULL) {
		(void)why_set(why,
		    "'%%%.30s' must end in s, as %%(h)s or %%(h)-15s"
		    " (at most %d wide)", from, (int)ACCESS_WIDTH_MAX);
		return NULL;
	}
	return p + 1;
}

struct access_format *
access_compile(const char *format, char **why)
{
	struct access_format *f;
	struct access_op *op;
	const char *p = format;
	size_t n = strlen(format), max = 1;
	char *names;

	/* Each percent sign ends one literal and is one atom; a name grows
	 * by "HTTP_", less than the signs around it. */
	for (p = format; *p != '\0'; p++)
		max += *p == '%' ? 2 : 0;
	f = calloc(1, sizeof(*f) + max * sizeof(f->ops[0]));
	if (f == NULL || (f->names = malloc(2 * n + 1)) == NULL) {
		free(f);
		(void)why_set(why, "out of memory");
		return NULL;
	}
	names = f->names;
	for (p = format; *p != '\0';) {
		op = &f->ops[f->nops++];
		if (*p == '%' && p[1] != '%') {
			p = atom_parse(op, p + 1, &names, why);
			if (p == NULL) {
				access_free(f);
				return NULL;
			}
			continue;
		}
		op->text.p = names;
		for (; *p != '\0' && (*p != '%' || p[1] == '%'); p++) {
			p += *p == '%';
			*names++ = *p;
		}
		op->text.n = (size_t)(names - op->text.p);
	}
	return f;
}

void
access_free(struct access_format *f)
{
	if (f != NULL)
		free(f->names);
	free(f);
}

int
access_open(const char *path)
{
	return logfile_open(&file, path, STDOUT_FILENO);
}

int
access_reopen(void)
{
	return logfile_reopen(&file);
}

bool
access_enabled(void)
{
	return file.fd != -1;
}

void
access_write(const char *p, size_t n)
{
	logfile_write(&file, p, n);
}
