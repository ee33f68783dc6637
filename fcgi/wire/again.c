#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/wire/again.h"
#include "fcgi/wire/record.h"

static int
add_str(struct buffer *b, struct str s, size_t max)
{
	return buffer_add(b, s.p, s.n, max);
}

static int
add_value(struct buffer *b, struct request *rq, const char *name,
    const char *after, size_t max)
{
	const struct var *v = request_find(rq, name);

	if (v == NULL || add_str(b, v->value, max) == -1)
		return -1;
	return buffer_add(b, after, strlen(after), max);
}

/* HTTP_ACCEPT_CHARSET: accept-charset */
static int
add_name(struct buffer *b, struct str name, size_t max)
{
	char c;
	size_t i;

	for (i = 0; i < name.n; i++) {
		c = name.p[i] == '_' ? '-' :
		    (char)tolower((unsigned char)name.p[i]);
		if (buffer_add(b, &c, 1, max) == -1)
			return -1;
	}
	return buffer_add(b, ": ", 2, max);
}

/* Did a proxy say by this field where the application is mounted? It had an
 * underscore then; a client's Script-Name has the same variable. */
static bool
is_mount(const struct var *v, struct str mount)
{
	return mount.n > 0 && str_is(v->name, "HTTP_SCRIPT_NAME") &&
	    v->value.n >= mount.n &&
	    memcmp(v->value.p, mount.p, mount.n) == 0;
}

static int
add_field(struct buffer *b, const struct var *v, struct str mount, size_t max)
{
	static const char forwarded[] = "SCRIPT_NAME: ";
	struct str name = v->name;

	if (v->id == VAR_CONTENT_LENGTH ||
	    str_is(name, "HTTP_EXPECT"))	/* its body is here */
		return 0;
	if (v->id != VAR_CONTENT_TYPE) {
		if (name.n <= 5 || memcmp(name.p, "HTTP_", 5) != 0)
			return 0;
		name.p += 5;
		name.n -= 5;
	}
	if ((is_mount(v, mount) ?
	    buffer_add(b, forwarded, sizeof(forwarded) - 1, max) :
	    add_name(b, name, max)) == -1 || add_str(b, v->value, max) == -1)
		return -1;
	return buffer_add(b, "\r\n", 2, max);
}

static int
http(struct buffer *b, struct request *rq, bool with_body, size_t max)
{
	struct str mount = request_value(rq, VAR_SCRIPT_NAME);
	char line[64];
	size_t i;
	int n = 0;

	if (add_value(b, rq, "REQUEST_METHOD", " ", max) == -1 ||
	    add_value(b, rq, "RAW_URI", " ", max) == -1 ||
	    add_value(b, rq, "SERVER_PROTOCOL", "\r\n", max) == -1)
		return -1;
	for (i = 0; i < rq->nvars; i++)
		if (add_field(b, &rq->vars[i], mount, max) == -1)
			return -1;
	if (rq->pub.has_body)
		n = snprintf(line, sizeof(line), "content-length: %llu\r\n",
		    (unsigned long long)rq->pub.body_length);
	if (buffer_add(b, line, (size_t)n, max) == -1 ||
	    buffer_add(b, "\r\n", 2, max) == -1)
		return -1;
	return with_body ? buffer_add(b, rq->body.p, rq->body.n, max) : 0;
}

int
again_http(struct buffer *b, struct request *rq, bool with_body, size_t max)
{
	size_t before = b->n;

	if (http(b, rq, with_body, max) == 0)
		return 0;
	b->n = before;
	return -1;
}

static int
add_stream(struct buffer *b, enum record_type type, uint16_t id,
    const char *p, size_t n, size_t max)
{
	uint8_t head[RECORD_HEADER];
	size_t k;

	do {
		k = n < RECORD_OUT_MAX ? n : RECORD_OUT_MAX;
		record_encode(head, type, id, (uint16_t)k, 0);
		if (buffer_add(b, head, sizeof(head), max) == -1 ||
		    buffer_add(b, p, k, max) == -1)
			return -1;
		p += k;
		n -= k;
	} while (k > 0);	/* the empty one ends the stream */
	return 0;
}

int
again_fastcgi(struct buffer *b, struct request *rq, bool with_body,
    size_t max)
{
	uint8_t begin[RECORD_HEADER + 8] = { 0 };
	size_t before = b->n;

	record_encode(begin, RECORD_BEGIN_REQUEST, rq->id, 8, 0);
	begin[RECORD_HEADER + 1] = RECORD_RESPONDER;
	begin[RECORD_HEADER + 2] = rq->keep ? RECORD_KEEP_CONN : 0;
	if (buffer_add(b, begin, sizeof(begin), max) == 0 &&
	    add_stream(b, RECORD_PARAMS, rq->id, rq->params.p, rq->params.n,
	    max) == 0 && (!with_body || add_stream(b, RECORD_STDIN, rq->id,
	    rq->body.n > 0 ? rq->body.p : "", rq->body.n, max) == 0))
		return 0;
	b->n = before;
	return -1;
}

/* A body that came in chunks goes on with its length. */
int
again_passenger(struct buffer *b, struct request *rq, bool with_body,
    size_t max)
{
	static const char name[] = "CONTENT_LENGTH";	/* with its NUL */
	char value[24];
	size_t before = b->n, n = rq->params.n, k = 0;
	uint8_t length[4];

	if (rq->announced == -1 && rq->pub.has_body) {
		k = (size_t)snprintf(value, sizeof(value), "%llu",
		    (unsigned long long)rq->pub.body_length) + 1;
		n += sizeof(name) + k;
	}
	length[0] = (uint8_t)(n >> 24);
	length[1] = (uint8_t)(n >> 16);
	length[2] = (uint8_t)(n >> 8);
	length[3] = (uint8_t)n;
	if (buffer_add(b, length, sizeof(length), max) == 0 &&
	    buffer_add(b, rq->params.p, rq->params.n, max) == 0 &&
	    (k == 0 || (buffer_add(b, name, sizeof(name), max) == 0 &&
	    buffer_add(b, value, k, max) == 0)) &&
	    (!with_body || buffer_add(b, rq->body.p, rq->body.n, max) == 0))
		return 0;
	b->n = before;
	return -1;
}
