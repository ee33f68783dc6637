#include "config.h"

#include "fcgi/connection.h"
#include "fcgi/handoff.h"
#include "fcgi/recall.h"
#include "fcgi/wire/again.h"

/* Its body goes along in a file; a connection can have one of these. */
static int
spill(struct connection *c, struct request *rq, size_t at)
{
	if (c->spill.fd != -1 || body_to_file(&rq->body) == -1)
		return -1;
	c->spill = (struct spill){ .at = at, .n = rq->body.total };
	c->spill.fd = body_take_file(&rq->body);
	return 0;
}

bool
recall_request(struct request *rq)
{
	struct connection *c = rq->conn;
	bool whole = rq->body.fd == -1 &&
	    rq->body.n + c->in.n <= HANDOFF_BYTES / 2;
	struct buffer in = { 0 };
	struct request *other;
	size_t n;

	if (!handoff_able(c) || rq->gone || rq->abandoned)
		return false;
	for (other = c->active; other != NULL; other = other->sibling)
		if (atomic_load(&other->state) != REQUEST_QUEUED)
			return false;
	if ((conn_fastcgi(c) ? again_fastcgi : c->listener->protocol ==
	    PROTOCOL_SESSION ? again_passenger : again_http)(&in, rq, whole,
	    HANDOFF_BYTES) == -1) {
		buffer_free(&in);
		return false;
	}
	n = in.n;
	if (buffer_add(&in, c->in.p, c->in.n, HANDOFF_BYTES) == -1 ||
	    (!whole && spill(c, rq, n) == -1)) {
		buffer_free(&in);
		return false;
	}
	if (whole && c->spill.fd != -1)
		c->spill.at += n;
	buffer_free(&c->in);
	c->in = in;
	c->scanned = 0;
	connection_take_back(rq);
	return true;
}
