#include "config.h"

#include "fcgi/wire/cgi.h"
#include "fcgi/wire/passenger.h"

enum { LENGTH = 4 };

static enum session_event
refuse(struct http_session *s, int status, const char *why)
{
	s->no = (struct http_refusal){ status, why };
	return SESSION_REFUSED;
}

static size_t
head_length(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 |
	    b[3];
}

static enum session_event
feed_head(struct http_session *s, const struct wire_config *c,
    const struct peer *peer, struct request_pool *pool, const char *p,
    size_t n, size_t *used)
{
	struct request *rq;
	bool chunked;
	size_t size;

	if (n < LENGTH)
		return SESSION_MORE;
	if ((size = head_length(p)) > PASSENGER_HEAD_MAX)
		return refuse(s, 431, "request head too large");
	if (n - LENGTH < size)
		return SESSION_MORE;
	if ((rq = s->rq = request_take(pool)) == NULL)
		return SESSION_MEMORY;
	rq->wire = &http_wire;
	rq->minor = 1;
	rq->keep = !c->no_keep;
	if (buffer_add(&rq->params, p + LENGTH, size,
	    PASSENGER_HEAD_MAX) == -1)
		return SESSION_MEMORY;
	if (cgi_vars_passenger(rq, c, peer, &chunked, &s->no) == -1)
		return SESSION_REFUSED;
	*used = LENGTH + size;
	if (str_is(request_value(rq, VAR_REQUEST_METHOD), "ping"))
		return SESSION_SEND;
	return http_body_start(s, c, chunked, rq->announced);
}

enum session_event
passenger_feed(struct http_session *s, const struct wire_config *c,
    const struct peer *peer, struct request_pool *pool, char *p, size_t n,
    size_t scanned, size_t *used)
{
	enum session_event ev;

	(void)scanned;		/* the head says how long it is */
	*used = 0;
	if (s->rq == NULL) {
		ev = feed_head(s, c, peer, pool, p, n, used);
		if (ev != SESSION_MORE || s->rq == NULL)
			return ev;
	}
	return http_body_feed(s, c, p + *used, n - *used, used);
}
