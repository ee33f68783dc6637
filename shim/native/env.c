#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/native/env.h"

/* What is added where the request lacks it. */
enum extra { EXTRA_GATEWAY, EXTRA_SOFTWARE, EXTRA_HTTPS, EXTRA_LENGTH,
    EXTRA_COUNT };

static int
grow(struct env *e, size_t vars, size_t bytes)
{
	char **vec, *text;

	if (vars > e->vec_size) {
		vec = reallocarray(e->vec, vars, sizeof(*vec));
		if (vec == NULL)
			return -1;
		e->vec = vec;
		e->vec_size = vars;
	}
	if (bytes > e->text_size) {
		if ((text = realloc(e->text, bytes)) == NULL)
			return -1;
		e->text = text;
		e->text_size = bytes;
	}
	return 0;
}

/* A copy of a few bytes, as nearly all are: the call costs more than it. */
static inline char *
copy(char *to, const struct str *s)
{
	const char *p = s->p;
	size_t n = s->n;

	if (n > 16)
		memcpy(to, p, n);
	else if (n >= 8) {	/* the two may overlap */
		memcpy(to, p, 8);
		memcpy(to + n - 8, p + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, p, 4);
		memcpy(to + n - 4, p + n - 4, 4);
	} else
		for (size_t i = 0; i < n; i++)
			to[i] = p[i];
	return to + n;
}

/* NAME=VALUE, and room for what ends it; behind that. */
static char *
put(char *at, const struct str *name, const struct str *value)
{
	at = copy(at, name);
	*at++ = '=';
	at = copy(at, value);
	*at++ = '\n';
	return at;
}

static bool
is(const struct str *name, const char *want, size_t n)
{
	return name->n == n && memcmp(name->p, want, n) == 0;
}

/* Which extra the request already has, so that no name occurs twice. */
static unsigned int
extra_of(const struct var *v)
{
	if (v->id == VAR_CONTENT_LENGTH)
		return 1u << EXTRA_LENGTH;
	if (v->id != VAR_OTHER)
		return 0;
	if (is(&v->name, "GATEWAY_INTERFACE", 17))
		return 1u << EXTRA_GATEWAY;
	if (is(&v->name, "SERVER_SOFTWARE", 15))
		return 1u << EXTRA_SOFTWARE;
	if (is(&v->name, "HTTPS", 5))
		return 1u << EXTRA_HTTPS;
	return 0;
}

/* What the request lacks; behind it. */
static char *
put_extras(struct env *e, size_t *n, char *at, const struct app_request *rq,
    const char *software, unsigned int have)
{
	char digits[24];
	const struct { struct str name; const char *value; } extra[] = {
	    [EXTRA_GATEWAY] = { { "GATEWAY_INTERFACE", 17 }, "CGI/1.1" },
	    [EXTRA_SOFTWARE] = { { "SERVER_SOFTWARE", 15 }, software },
	    [EXTRA_HTTPS] = { { "HTTPS", 5 }, rq->https ? "on" : NULL },
	    [EXTRA_LENGTH] = { { "CONTENT_LENGTH", 14 },
		rq->has_body ? digits : NULL },
	};
	size_t i;

	if (rq->has_body && (have & 1u << EXTRA_LENGTH) == 0)
		(void)snprintf(digits, sizeof(digits), "%llu",
		    (unsigned long long)rq->body_length);
	for (i = 0; i < EXTRA_COUNT; i++)
		if ((have & 1u << i) == 0 && extra[i].value != NULL) {
			e->vec[(*n)++] = at;
			at = put(at, &extra[i].name, &(struct str)
			    { extra[i].value, strlen(extra[i].value) });
		}
	return at;
}

int
env_fill(struct env *e, const struct app_request *rq, const char *software)
{
	size_t bytes = 128 + strlen(software), i, n = 0;
	unsigned int have = 0;
	char *at;

	for (i = 0; i < rq->nvars; i++)
		bytes += rq->vars[i].name.n + rq->vars[i].value.n + 2;
	if (grow(e, rq->nvars + EXTRA_COUNT + 1, bytes) == -1)
		return -1;
	at = e->text;
	for (i = 0; i < rq->nvars; i++) {
		have |= extra_of(&rq->vars[i]);
		e->vec[n++] = at;
		at = put(at, &rq->vars[i].name, &rq->vars[i].value);
	}
	at = put_extras(e, &n, at, rq, software, have);
	/* One look at all of it costs less than one at each value. */
	if (memchr(e->text, '\0', (size_t)(at - e->text)) != NULL) {
		errno = EINVAL;
		return -1;
	}
	e->vec[n] = at;
	for (i = 1; i <= n; i++)
		e->vec[i][-1] = '\0';
	e->vec[n] = NULL;
	return 0;
}

void
env_done(struct env *e)
{
	free(e->vec);
	free(e->text);
	*e = (struct env){ NULL, 0, NULL, 0 };
}
