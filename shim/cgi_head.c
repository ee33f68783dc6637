#include "config.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "shim/cgi_head.h"

#define STR(s)	{ (s), sizeof(s) - 1 }

enum field { FIELD_OTHER, FIELD_STATUS, FIELD_LOCATION, FIELD_TYPE,
    FIELD_LENGTH, FIELD_DROPPED };

static const struct {
	struct str	 name;
	enum field	 field;
} special[] = {
	{ STR("Status"),		FIELD_STATUS },
	{ STR("Location"),		FIELD_LOCATION },
	{ STR("Content-Type"),		FIELD_TYPE },
	{ STR("Content-Length"),	FIELD_LENGTH },
	/* The connection to the client is the server's (RFC 3875 6.3.4). */
	{ STR("Connection"),		FIELD_DROPPED },
	{ STR("Keep-Alive"),		FIELD_DROPPED },
	{ STR("Proxy-Connection"),	FIELD_DROPPED },
	{ STR("TE"),			FIELD_DROPPED },
	{ STR("Trailer"),		FIELD_DROPPED },
	{ STR("Transfer-Encoding"),	FIELD_DROPPED },
	{ STR("Upgrade"),		FIELD_DROPPED },
};

/* Statuses that programs write without their reason. */
static const struct str known[] = {
	STR("200 OK"), STR("201 Created"), STR("202 Accepted"),
	STR("204 No Content"), STR("206 Partial Content"),
	STR("301 Moved Permanently"), STR("302 Found"), STR("303 See Other"),
	STR("304 Not Modified"), STR("307 Temporary Redirect"),
	STR("308 Permanent Redirect"), STR("400 Bad Request"),
	STR("401 Unauthorized"), STR("403 Forbidden"), STR("404 Not Found"),
	STR("405 Method Not Allowed"), STR("406 Not Acceptable"),
	STR("409 Conflict"), STR("410 Gone"), STR("411 Length Required"),
	STR("412 Precondition Failed"), STR("413 Content Too Large"),
	STR("415 Unsupported Media Type"), STR("416 Range Not Satisfiable"),
	STR("422 Unprocessable Content"), STR("429 Too Many Requests"),
	STR("500 Internal Server Error"), STR("501 Not Implemented"),
	STR("502 Bad Gateway"), STR("503 Service Unavailable"),
	STR("504 Gateway Timeout"),
};

/* What a field's name is made of (RFC 9110 section 5.6.2, a token). */
static const bool token[256] = {
	['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true,
	['\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
	['^'] = true, ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A line without its end, LF or CRLF; NULL when it has none. */
static const char *
line_take(struct str *line, const char *p, const char *end)
{
	const char *nl;

	if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
		return NULL;
	line->p = p;
	line->n = (size_t)(nl - p);
	if (line->n > 0 && p[line->n - 1] == '\r')
		line->n--;
	return nl + 1;
}

/* The byte after the empty line, NULL when there is none yet. */
static const char *
head_end(const char *p, const char *end)
{
	struct str line;

	while ((p = line_take(&line, p, end)) != NULL)
		if (line.n == 0)
			return p;
	return NULL;
}

static int
field_split(struct header *h, const struct str *line, const char **why)
{
	const char *p = line->p, *end = line->p + line->n, *q;

	for (q = p; q < end && token[(unsigned char)*q]; q++)
		;
	if (q == p || q == end || *q != ':') {
		*why = "a line is not NAME: VALUE";
		return -1;
	}
	h->name = (struct str){ p, (size_t)(q - p) };
	for (p = q + 1; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (q = p; q < end; q++)
		if (((unsigned char)*q < ' ' && *q != '\t') || *q == 0x7f) {
			*why = "a value has a control character";
			return -1;
		}
	h->value = (struct str){ p, (size_t)(end - p) };
	return 0;
}

static enum field
field_of(const struct str *name)
{
	size_t i;

	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i].name.n == name->n &&
		    strncasecmp(special[i].name.p, name->p, name->n) == 0)
			return special[i].field;
	return FIELD_OTHER;
}

/* 1xx would be taken for an interim response, so it cannot be the status. */
static int
status_set(struct str *status, const struct str *v, const char **why)
{
	size_t i;

	if (v->n < 3 || v->p[0] < '2' || v->p[0] > '5' || !is_digit(v->p[1]) ||
	    !is_digit(v->p[2]) || (v->n > 3 && v->p[3] != ' ')) {
		*why = "Status is not a number from 200 to 599 and a reason";
		return -1;
	}
	*status = *v;
	if (v->n > 3)
		return 0;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (memcmp(known[i].p, v->p, 3) == 0)
			*status = known[i];
	return 0;
}

static int
length_check(const struct str *v, const char **why)
{
	size_t i;

	for (i = 0; i < v->n && is_digit(v->p[i]); i++)
		;
	if (v->n == 0 || v->n > 18 || i < v->n) {
		*why = "Content-Length is not a number";
		return -1;
	}
	return 0;
}

/* One field into the head; `seen` has a bit for each field met. */
static int
field_add(struct cgi_head *h, const struct header *hd, unsigned int *seen,
    const char **why)
{
	enum field f = field_of(&hd->name);

	if (f == FIELD_DROPPED)
		return 0;
	if (f != FIELD_OTHER && (*seen & 1u << f) != 0) {
		*why = "Status, Location, Content-Type or Content-Length "
		    "is there twice";
		return -1;
	}
	*seen |= 1u << f;
	if (f == FIELD_STATUS)
		return status_set(&h->status, &hd->value, why);
	if (f == FIELD_LENGTH && length_check(&hd->value, why) == -1)
		return -1;
	if (h->nheaders == CGI_HEAD_FIELDS) {
		*why = "too many fields";
		return -1;
	}
	h->headers[h->nheaders++] = *hd;
	return 0;
}

static int
head_fill(struct cgi_head *h, const char *p, const char *end, const char **why)
{
	unsigned int seen = 0;
	struct header hd;
	struct str line;

	h->status = (struct str){ NULL, 0 };
	h->nheaders = 0;
	while ((p = line_take(&line, p, end)) != NULL && line.n > 0)
		if (field_split(&hd, &line, why) == -1 ||
		    field_add(h, &hd, &seen, why) == -1)
			return -1;
	/* RFC 3875 6.3: without one of these it is no CGI response. */
	if ((seen & (1u << FIELD_STATUS | 1u << FIELD_LOCATION |
	    1u << FIELD_TYPE)) == 0) {
		*why = "no Content-Type, Location or Status";
		return -1;
	}
	if (h->status.p == NULL)
		h->status = (seen & 1u << FIELD_LOCATION) != 0 ?
		    (struct str)STR("302 Found") : (struct str)STR("200 OK");
	h->has_length = (seen & 1u << FIELD_LENGTH) != 0;
	return 0;
}

ssize_t
cgi_head_parse(struct cgi_head *h, const char *p, size_t n, const char **why)
{
	size_t limit = n < CGI_HEAD_BYTES ? n : CGI_HEAD_BYTES;
	struct cgi_head out;
	const char *end;

	if ((end = head_end(p, p + limit)) == NULL) {
		if (n < CGI_HEAD_BYTES)
			return 0;
		*why = "the head does not end";
		return -1;
	}
	if (head_fill(&out, p, end, why) == -1)
		return -1;
	h->status = out.status;
	h->nheaders = out.nheaders;
	h->has_length = out.has_length;
	memcpy(h->headers, out.headers, out.nheaders * sizeof(out.headers[0]));
	return end - p;
}
