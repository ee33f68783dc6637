#include "config.h"

#include "fcgi/conn.h"

void
conn_add(struct connection *c, struct request *rq)
{
	struct net *net = c->net;

	rq->conn = c;
	rq->next = NULL;
	rq->pub.vars = rq->vars;
	rq->pub.nvars = rq->nvars;
	atomic_store_explicit(&rq->state, REQUEST_QUEUED,
	    memory_order_relaxed);
	rq->sibling = c->active;
	c->active = rq;
	c->refs++;
	*net->fresh_end = rq;
	net->fresh_end = &rq->next;
}

void
conn_remove(struct connection *c, struct request *rq)
{
	struct request **p;

	for (p = &c->active; *p != NULL; p = &(*p)->sibling)
		if (*p == rq) {
			*p = rq->sibling;
			break;
		}
	c->refs--;
}

struct request *
conn_find(struct connection *c, uint16_t id)
{
	struct request *rq;

	for (rq = c->active; rq != NULL; rq = rq->sibling)
		if (rq->id == id && !atomic_load(&rq->over))
			break;
	return rq;
}

struct request *
conn_spill(struct connection *c)
{
	struct http_session *http = &c->session.http;
	struct fastcgi_session *fcgi = c->session.fastcgi;
	struct request *rq;
	int fd = c->spill.fd;

	c->spill.fd = -1;
	if (!conn_fastcgi(c)) {
		if (http_body_file(http, fd, c->spill.n) != SESSION_REQUEST)
			return NULL;
		rq = http->rq;
		http->rq = NULL;
		return rq;
	}
	if (fastcgi_body_file(fcgi, fd, c->spill.n) != SESSION_REQUEST)
		return NULL;
	rq = fcgi->rq;
	fcgi->rq = NULL;
	fcgi->running++;
	return rq;
}
