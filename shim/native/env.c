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

static char *
put(char **slot, char *at, const struct str *name, const struct str *value)
{
	*slot = at;
	memcpy(at, name->p, name->n);
	at += name->n;
	*at++ = '=';
	if (value->n > 0)
		memcpy(at, value->p, value->n);
	at += value->n;
	*at++ = '\0';
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

int
env_fill(struct env *e, const struct app_request *rq, const char *software)
{
	char digits[24];
	const struct { struct str name; const char *value; } extra[] = {
	    [EXTRA_GATEWAY] = { { "GATEWAY_INTERFACE", 17 }, "CGI/1.1" },
	    [EXTRA_SOFTWARE] = { { "SERVER_SOFTWARE", 15 }, software },
	    [EXTRA_HTTPS] = { { "HTTPS", 5 }, rq->https ? "on" : NULL },
	    [EXTRA_LENGTH] = { { "CONTENT_LENGTH", 14 },
		rq->has_body ? digits : NULL },
	};
	size_t bytes = 128 + strlen(software), i, n = 0;
	unsigned int have = 0;
	char *at;

	for (i = 0; i < rq->nvars; i++)
		bytes += rq->vars[i].name.n + rq->vars[i].value.n + 2;
	if (grow(e, rq->nvars + EXTRA_COUNT + 1, bytes) == -1)
		return -1;
	at = e->text;
	for (i = 0; i < rq->nvars; i++) {
		const struct var *v = &rq->vars[i];

		if (v->value.n > 0 &&
		    memchr(v->value.p, '\0', v->value.n) != NULL) {
			errno = EINVAL;
			return -1;
		}
		have |= extra_of(v);
		at = put(&e->vec[n++], at, &v->name, &v->value);
	}
	if (rq->has_body && (have & 1u << EXTRA_LENGTH) == 0)
		(void)snprintf(digits, sizeof(digits), "%llu",
		    (unsigned long long)rq->body_length);
	for (i = 0; i < EXTRA_COUNT; i++)
		if ((have & 1u << i) == 0 && extra[i].value != NULL)
			at = put(&e->vec[n++], at, &extra[i].name, &(struct str)
			    { extra[i].value, strlen(extra[i].value) });
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
