#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/response.h"
#include "fcgi/wire/cgi.h"
#include "fcgi/wire/fastcgi.h"

/* --- requests */

static struct request **
find(struct fastcgi_session *s, uint16_t id)
{
	struct request **p;

	for (p = &s->open; *p != NULL; p = &(*p)->sibling)
		if ((*p)->id == id)
			return p;
	return NULL;
}

static enum session_event
end_request(struct fastcgi_session *s, uint16_t id, uint8_t status)
{
	record_end((uint8_t *)s->reply, id, 0, status);
	s->reply_n = 16;
	return SESSION_SEND;
}

static enum session_event
refuse(struct fastcgi_session *s, int status, const char *why)
{
	s->no = (struct http_refusal){ status, why };
	return SESSION_REFUSED;
}

static enum session_event
begin(struct fastcgi_session *s, struct request_pool *pool)
{
	uint16_t role, id = s->record.id;
	struct request *rq;
	uint8_t flags;

	if (record_begin(&role, &flags, (const uint8_t *)s->small.p,
	    s->small.n) == -1)
		return refuse(s, 400, "short BEGIN_REQUEST record");
	if (find(s, id) != NULL)
		return refuse(s, 400, "BEGIN_REQUEST for an open request id");
	if (role != RECORD_RESPONDER || s->nopen + s->running >=
	    FASTCGI_MPX_MAX || (rq = request_take(pool)) == NULL) {
		if ((flags & RECORD_KEEP_CONN) == 0)
			s->close = true;
		return end_request(s, id, role != RECORD_RESPONDER ?
		    RECORD_UNKNOWN_ROLE : RECORD_OVERLOADED);
	}
	rq->id = id;
	rq->minor = 1;
	rq->wire = &fastcgi_wire;
	rq->keep = (flags & RECORD_KEEP_CONN) != 0;
	rq->sibling = s->open;
	s->open = rq;
	s->nopen++;
	return SESSION_MORE;
}

static void
unlink_open(struct fastcgi_session *s, struct request **at)
{
	struct request *rq = *at;

	*at = rq->sibling;
	rq->sibling = NULL;
	s->nopen--;
}

/* This request is not served, the connection goes on: s->rq gets the
 * answer, and what still comes for its id is passed over. */
static enum session_event
refuse_request(struct fastcgi_session *s, struct request **at, int status,
    const char *why)
{
	struct request *rq = *at;

	unlink_open(s, at);
	s->rq = rq;
	return refuse(s, status, why);
}

static enum session_event
no_room(struct fastcgi_session *s, struct request **at)
{
	return refuse_request(s, at, 503, SESSION_NO_ROOM);
}

static enum session_event
stdin_end(struct fastcgi_session *s, struct request **at)
{
	struct request *rq = *at;
	int64_t length = rq->announced;

	if (length >= 0 && rq->body.total < (uint64_t)length)
		return refuse_request(s, at, 400,
		    "body shorter than CONTENT_LENGTH");
	if (body_complete(&rq->body) == -1)
		return no_room(s, at);
	rq->pub.body_length = rq->body.total;
	rq->pub.has_body = length >= 0 || rq->body.total > 0;
	unlink_open(s, at);
	s->rq = rq;
	return SESSION_REQUEST;
}

static enum session_event
params_end(struct fastcgi_session *s, struct request **at,
    const struct wire_config *c, const struct peer *peer)
{
	struct request *rq = *at;
	int64_t length;

	if (cgi_vars(rq, c, peer, &s->no) == -1)
		return refuse_request(s, at, s->no.status, s->no.why);
	length = rq->announced;
	if (c->body_max != 0 && length > (int64_t)c->body_max)
		return refuse_request(s, at, 413,
		    "body larger than limit_request_body");
	if (length > 0 && body_expect(&rq->body, (uint64_t)length) == -1)
		return no_room(s, at);
	return SESSION_MORE;
}

/* An empty record ends its stream. */
static enum session_event
stream_end(struct fastcgi_session *s, struct request **at,
    const struct wire_config *c, const struct peer *peer)
{
	if (s->record.type == RECORD_PARAMS)
		return (*at)->nvars > 0 ? SESSION_MORE :
		    params_end(s, at, c, peer);
	if ((*at)->nvars == 0)
		return refuse(s, 400, "STDIN before the end of PARAMS");
	return stdin_end(s, at);
}

static enum session_event
stdin_data(struct fastcgi_session *s, struct request **at,
    const struct wire_config *c, const char *p, size_t n)
{
	struct request *rq = *at;
	int64_t length = rq->announced;

	if (rq->nvars == 0)
		return refuse(s, 400, "STDIN before the end of PARAMS");
	if (length >= 0 && rq->body.total + n > (uint64_t)length)
		n = (size_t)((uint64_t)length - rq->body.total);
	if (c->body_max != 0 && rq->body.total + n > c->body_max)
		return refuse_request(s, at, 413,
		    "body larger than limit_request_body");
	if (n > 0 && body_add(&rq->body, p, n) == -1)
		return no_room(s, at);
	return SESSION_MORE;
}

/* Content bytes of the record at hand, as they come. */
static enum session_event
content(struct fastcgi_session *s, const struct wire_config *c,
    const char *p, size_t n)
{
	struct request **at;

	switch (s->record.type) {
	case RECORD_PARAMS:
		if ((at = find(s, s->record.id)) == NULL)
			return SESSION_MORE;
		if ((*at)->nvars > 0)
			return refuse(s, 400, "PARAMS after their end");
		if (buffer_add(&(*at)->params, p, n, FASTCGI_PARAMS_MAX) == -1)
			return refuse(s, 431, "PARAMS too large");
		return SESSION_MORE;
	case RECORD_STDIN:
		if ((at = find(s, s->record.id)) == NULL)
			return SESSION_MORE;
		return stdin_data(s, at, c, p, n);
	case RECORD_BEGIN_REQUEST:
	case RECORD_GET_VALUES:
		if (buffer_add(&s->small, p, n, RECORD_CONTENT_MAX) == -1)
			return SESSION_MEMORY;
		return SESSION_MORE;
	default:
		return SESSION_MORE;	/* DATA, unknown: passed over */
	}
}

static enum session_event
get_values(struct fastcgi_session *s, const struct wire_config *c)
{
	ssize_t n;

	n = values_answer((uint8_t *)s->reply, (const uint8_t *)s->small.p,
	    s->small.n, c->max_conns, c->max_reqs);
	if (n == -1)
		return refuse(s, 400, "broken GET_VALUES record");
	s->reply_n = (size_t)n;
	return SESSION_SEND;
}

static enum session_event
abort_request(struct fastcgi_session *s, struct request_pool *pool)
{
	struct request **at = find(s, s->record.id), *rq;

	if (at == NULL) {
		s->aborted = s->record.id;
		return SESSION_ABORT;
	}
	rq = *at;
	unlink_open(s, at);
	if (!rq->keep)
		s->close = true;
	request_put(pool, rq);
	return end_request(s, s->record.id, RECORD_REQUEST_COMPLETE);
}

/* All of the record is here (padding aside). */
static enum session_event
record_whole(struct fastcgi_session *s, const struct wire_config *c,
    const struct peer *peer, struct request_pool *pool)
{
	enum session_event ev = SESSION_MORE;
	struct request **at;

	switch (s->record.type) {
	case RECORD_BEGIN_REQUEST:
		ev = s->record.id == 0 ? refuse(s, 400,
		    "BEGIN_REQUEST with id 0") : begin(s, pool);
		break;
	case RECORD_ABORT_REQUEST:
		ev = abort_request(s, pool);
		break;
	case RECORD_PARAMS:
	case RECORD_STDIN:
		if (s->record.length == 0 &&
		    (at = find(s, s->record.id)) != NULL)
			ev = stream_end(s, at, c, peer);
		break;
	case RECORD_DATA:
		break;
	case RECORD_GET_VALUES:
		ev = get_values(s, c);
		break;
	default:
		if (s->record.id == 0) {
			record_unknown((uint8_t *)s->reply, s->record.type);
			s->reply_n = 16;
			ev = SESSION_SEND;
		}
	}
	s->small.n = 0;
	if (s->small.cap > FASTCGI_SMALL_KEEP)
		buffer_free(&s->small);
	return ev;
}

/* The next record's header. 1, 0 (more bytes are needed) or -1. */
static int
next_record(struct fastcgi_session *s, const char *p, size_t n, size_t *used)
{
	ssize_t r;

	if (s->in_record)
		return 1;
	r = record_decode(&s->record, (const uint8_t *)p + *used, n - *used);
	if (r <= 0)
		return (int)r;
	*used += (size_t)r;
	s->in_record = true;
	s->content = s->record.length;
	s->padding = s->record.padding;
	return 1;
}

enum session_event
fastcgi_feed(struct fastcgi_session *s, const struct wire_config *c,
    const struct peer *peer, struct request_pool *pool, const char *p,
    size_t n, size_t *used)
{
	enum session_event ev = SESSION_MORE;
	size_t k;
	int r;

	*used = 0;
	while ((r = next_record(s, p, n, used)) == 1) {
		if (s->content > 0) {
			k = s->content < n - *used ? s->content : n - *used;
			if (k == 0)
				return SESSION_MORE;
			ev = content(s, c, p + *used, k);
			*used += k;
			s->content -= k;
			if (ev != SESSION_MORE)
				return ev;
			continue;
		}
		k = s->padding < n - *used ? s->padding : n - *used;
		*used += k;
		s->padding -= k;
		if (s->padding > 0)
			return SESSION_MORE;
		s->in_record = false;
		if ((ev = record_whole(s, c, peer, pool)) != SESSION_MORE)
			return ev;
	}
	return r == -1 ? refuse(s, 400, "not FastCGI") : SESSION_MORE;
}

enum session_event
fastcgi_body_file(struct fastcgi_session *s, int fd, uint64_t n)
{
	struct request **at = find(s, s->record.id);

	if (at == NULL || (*at)->nvars == 0) {
		(void)close(fd);
		return refuse(s, 500, "a body without its head");
	}
	return body_give_file(&(*at)->body, fd, n) == -1 ? no_room(s, at) :
	    stdin_end(s, at);
}

void
fastcgi_session_done(struct fastcgi_session *s, struct request_pool *pool)
{
	struct request *rq;

	while ((rq = s->open) != NULL) {
		s->open = rq->sibling;
		request_put(pool, rq);
	}
	if (s->rq != NULL)
		request_put(pool, s->rq);
	buffer_free(&s->small);
	*s = (struct fastcgi_session){ 0 };
}

/* --- responses */

static int
fastcgi_head(struct request *rq, const struct reply *r, const char **why)
{
	struct buffer *out = &rq->rs.out;

	if (buffer_reserve(out, 64 + r->status.n, RESPONSE_HEAD_MAX) == -1) {
		*why = "response head too large";
		return -1;
	}
	(void)buffer_add(out, "Status: ", 8, RESPONSE_HEAD_MAX);
	(void)buffer_add(out, r->status.p, r->status.n, RESPONSE_HEAD_MAX);
	(void)buffer_add(out, "\r\n", 2, RESPONSE_HEAD_MAX);
	return response_fields(rq, r, why);
}

static int
fastcgi_framing(struct request *rq, int64_t length)
{
	struct buffer *out = &rq->rs.out;

	if (buffer_reserve(out, 64, RESPONSE_HEAD_MAX + 64) == -1)
		return -1;
	if (length >= 0)
		(void)response_length(rq, length);
	return buffer_add(out, "\r\n", 2, RESPONSE_HEAD_MAX + 64);
}

static size_t
fastcgi_open(struct request *rq, uint64_t n, char prefix[WIRE_PREFIX],
    uint64_t *piece)
{
	*piece = n < RECORD_OUT_MAX ? n : RECORD_OUT_MAX;
	record_encode((uint8_t *)prefix, RECORD_STDOUT, rq->id,
	    (uint16_t)*piece, 0);
	return RECORD_HEADER;
}

static struct str
fastcgi_close(struct request *rq)
{
	(void)rq;
	return STR("");
}

static size_t
fastcgi_end(struct request *rq, char tail[WIRE_TAIL])
{
	record_encode((uint8_t *)tail, RECORD_STDOUT, rq->id, 0, 0);
	record_end((uint8_t *)tail + RECORD_HEADER, rq->id, rq->pub.status,
	    RECORD_REQUEST_COMPLETE);
	return RECORD_HEADER + 16;
}

size_t
fastcgi_error(char *out, size_t cap, uint16_t id, int status,
    const char *why)
{
	size_t n;
	int k;

	if (cap < 2 * RECORD_HEADER + 16)
		return 0;
	n = cap - 2 * RECORD_HEADER - 16;
	k = snprintf(out + RECORD_HEADER, n, "Status: %d %s\r\n"
	    "Content-Type: text/plain\r\n\r\n%s\n", status,
	    http_reason(status), why);
	if (k < 0 || (size_t)k >= n)
		return 0;
	record_encode((uint8_t *)out, RECORD_STDOUT, id, (uint16_t)k, 0);
	n = RECORD_HEADER + (size_t)k;
	record_encode((uint8_t *)out + n, RECORD_STDOUT, id, 0, 0);
	record_end((uint8_t *)out + n + RECORD_HEADER, id, 0,
	    RECORD_REQUEST_COMPLETE);
	return n + RECORD_HEADER + 16;
}

const struct wire fastcgi_wire = {
	.head = fastcgi_head, .framing = fastcgi_framing,
	.head_framed = true, .open = fastcgi_open, .close = fastcgi_close,
	.end = fastcgi_end,
};
