#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/conn_life.h"
#include "fcgi/connection.h"
#include "fcgi/handoff.h"
#include "fcgi/log.h"
#include "fcgi/response.h"
#include "fcgi/sink.h"

static void	 feed(struct connection *);
static void	 go_on(struct connection *);

static const struct http_refusal too_large = { 431,
	"request head too large" };

/* To another worker, if one takes it; else it is tried at each tick. */
static bool
give(struct connection *c)
{
	if (!handoff_give(c))
		return false;
	conn_cut(c);
	return true;
}

static void
flushed(struct connection *c, bool broken)
{
	if (broken) {
		if (c->refs == 0)
			conn_cut(c);
		return;
	}
	if (c->in_list != NET_SENDING || sink_pending(c))
		feed(c);
	else if (c->close_after)
		conn_finish(c, false);
	else
		go_on(c);
}

/* --- reading */

static void
on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct connection *c = h->data;
	size_t room;
	char *p;

	(void)want;
	if (c->in.n == 0 && !conn_fastcgi(c) &&
	    (p = http_space(&c->session.http, &room)) != NULL)
		*b = uv_buf_init(p, (unsigned int)room);
	else
		*b = uv_buf_init(c->net->buffer, NET_READ);
}

/* To a HEAD it is the page's head. */
static void
send_page(struct connection *c, const struct request *rq, int status,
    const char *why)
{
	char page[2048], *end = NULL;
	size_t n = http_error_page(page, sizeof(page), status, why);

	if (rq != NULL && rq->head_only)
		end = memmem(page, n, "\r\n\r\n", 4);
	sink_raw(c, page, end != NULL ? (size_t)(end + 4 - page) : n);
}

void
connection_refused(struct connection *c, const struct http_refusal *no)
{
	log_warning("%s request from ip=%s: %s",
	    no->status == 503 ? "Refused" : "Invalid",
	    c->peer.addr_n > 0 ? c->peer.addr : "unix", no->why);
	conn_rest(c);
	if (!conn_fastcgi(c) && c->active == NULL)
		send_page(c, c->session.http.rq, no->status, no->why);
	conn_finish(c, !conn_fastcgi(c));
}

/* What is needed for a request cannot be had. */
static void
say_lack(struct connection *c)
{
	if (errno == ENOMEM)
		net_lack(c->net);
	body_log_error();
}

static void
refuse_all(struct connection *c)
{
	say_lack(c);
	connection_refused(c, &(struct http_refusal){ 503,
	    SESSION_NO_ROOM });
}

static void
take(struct connection *c, struct request *rq)
{
	rq->sink = &connection_sink;
	conn_add(c, rq);
	if (c->in_list != NET_BUSY)
		conn_enter(c, NET_BUSY);
}

static void
abort_id(struct connection *c, uint16_t id)
{
	struct request *rq = conn_find(c, id);
	uint8_t end[16];
	bool over;

	if (rq == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	if (!(over = rq->over))		/* its caller has ended it just now */
		rq->abandoned = rq->gone = rq->over = true;
	pthread_cond_broadcast(&c->drained);
	pthread_mutex_unlock(&c->lock);
	if (over)
		return;
	record_end(end, id, 0, RECORD_REQUEST_COMPLETE);
	sink_raw(c, end, sizeof(end));
	if (!rq->keep)
		conn_finish(c, false);
}

/* One step of the protocol on p[0..n). False: nothing more to do now. */
static bool
step_http(struct connection *c, char *p, size_t n, size_t *used)
{
	struct http_session *s = &c->session.http;
	struct request *rq;

	switch ((c->listener->protocol == PROTOCOL_SESSION ? passenger_feed :
	    http_feed)(s, &c->net->wire, &c->peer, &c->net->pool, p, n,
	    c->scanned, used)) {
	case SESSION_SEND:
		sink_raw(c, PASSENGER_PONG, strlen(PASSENGER_PONG));
		conn_finish(c, false);
		return false;
	case SESSION_CONTINUE:
		sink_raw(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		return true;
	case SESSION_REQUEST:
		rq = s->rq;
		s->rq = NULL;
		take(c, rq);
		return false;
	case SESSION_REFUSED:
		connection_refused(c, &s->no);
		return false;
	case SESSION_MEMORY:
		refuse_all(c);
		return false;
	default:
		return false;
	}
}

/* A request that is not served gets its answer all the same. */
static bool
refuse_fastcgi(struct connection *c, struct fastcgi_session *s)
{
	struct request *rq = s->rq;

	s->rq = NULL;
	if (rq == NULL) {
		connection_refused(c, &s->no);
		return false;
	}
	if (s->no.status == 503)
		say_lack(c);
	log_warning("%s FastCGI request: %s", s->no.status == 503 ?
	    "Refused" : "Invalid", s->no.why);
	if (!rq->keep)
		s->close = true;
	rq->conn = c;
	rq->sink = &connection_sink;
	response_error(rq, s->no.status, s->no.why);
	request_put(&c->net->pool, rq);
	if (s->close)
		conn_finish(c, false);
	return !c->close_after;
}

static bool
step_fastcgi(struct connection *c, char *p, size_t n, size_t *used)
{
	struct fastcgi_session *s = c->session.fastcgi;
	struct request *rq;

	switch (fastcgi_feed(s, &c->net->wire, &c->peer, &c->net->pool, p, n,
	    used)) {
	case SESSION_SEND:
		sink_raw(c, s->reply, s->reply_n);
		if (!s->close)
			return true;
		conn_finish(c, false);	/* there may be no session now */
		return false;
	case SESSION_REQUEST:
		rq = s->rq;
		s->rq = NULL;
		if (conn_find(c, rq->id) != NULL) {
			request_put(&c->net->pool, rq);
			connection_refused(c, &(struct http_refusal){ 400,
			    "a request id that is in use" });
			return false;
		}
		s->running++;
		take(c, rq);
		return *used < n;
	case SESSION_ABORT:
		abort_id(c, s->aborted);
		return true;
	case SESSION_REFUSED:
		return refuse_fastcgi(c, s);
	case SESSION_MEMORY:
		refuse_all(c);
		return false;
	default:
		return false;
	}
}

static bool
step(struct connection *c, char *p, size_t n, size_t *used)
{
	*used = 0;
	return conn_fastcgi(c) ? step_fastcgi(c, p, n, used) :
	    step_http(c, p, n, used);
}

/* May bytes be understood now, or must they wait for the response, and for
 * the client to take it? Else it could ask for any number of them. */
static bool
attentive(const struct connection *c)
{
	return !uv_is_closing(&c->uv.handle) && !c->close_after &&
	    (conn_fastcgi(c) ? !c->full :
	    c->active == NULL && c->in_list != NET_SENDING);
}

/* Is a request's head here, and the rest of it still to come? */
static bool
arriving(const struct connection *c)
{
	return conn_fastcgi(c) ? c->session.fastcgi->nopen > 0 :
	    c->session.http.rq != NULL;
}

static void
settle(struct connection *c)
{
	if (c->active != NULL && c->in.n > 0)	/* the next one waits */
		atomic_store(&c->eager, true);
	if (c->full && c->refs == 0 && c->in_list != NET_SENDING)
		conn_enter(c, NET_SENDING);
	if (!attentive(c) || c->refs > 0 || c->in_list == NET_SENDING)
		return;
	if (arriving(c))
		conn_enter(c, NET_BODY);
	else if (c->in.n == 0)
		conn_enter(c, NET_IDLE);
	else if (c->in_list != NET_HEAD)	/* its clock does not restart */
		conn_enter(c, NET_HEAD);
}

/* Bytes to be understood later; there is an end to how many. */
static bool
keep(struct connection *c, const char *p, size_t n, size_t max)
{
	if (buffer_add(&c->in, p, n, max) == 0)
		return true;
	connection_refused(c, &too_large);
	return false;
}

/* Bytes have come in `p`, which is not ours to keep. */
static void
digest(struct connection *c, char *p, size_t n)
{
	size_t used, max = c->active != NULL || !attentive(c) ?
	    CONNECTION_AHEAD : CONNECTION_IN_MAX;

	if (c->in.n > 0 || !attentive(c) || c->net->leaving) {
		if (!keep(c, p, n, max + NET_READ))
			return;
		/* A client that is always quicker than the news that its
		 * request is done would stay here to the last. */
		if (c->net->leaving && give(c))
			return;
		if (c->in.n >= max)
			conn_rest(c);
		feed(c);
		return;
	}
	c->scanned = 0;
	while (n > 0 && attentive(c)) {
		bool more = step(c, p, n, &used);

		p += used;
		n -= used;
		if (!more)
			break;
	}
	if (uv_is_closing(&c->uv.handle) || c->close_after)
		return;
	if (n > 0) {
		c->scanned = attentive(c) ? n : 0;
		if (!keep(c, p, n, CONNECTION_IN_MAX))
			return;
	}
	settle(c);
}

/* Its body comes after the head that was the last to be understood. */
static void
take_spill(struct connection *c)
{
	struct request *rq = conn_spill(c);

	if (rq != NULL)
		take(c, rq);
	else
		refuse_all(c);
}

/* Understand what is kept in c->in. */
static void
feed(struct connection *c)
{
	size_t used, n, at = 0;
	bool more = true;

	while (more && at < c->in.n && attentive(c)) {
		n = c->spill.fd != -1 ? c->spill.at : c->in.n - at;
		more = step(c, c->in.p + at, n, &used);
		if (uv_is_closing(&c->uv.handle) || c->close_after)
			return;		/* its bytes are gone already */
		at += used;
		c->scanned = used > 0 || !attentive(c) ? 0 : c->in.n - at;
		c->spill.at -= c->spill.fd != -1 ? used : 0;
		if (c->spill.fd != -1 && c->spill.at == 0) {
			take_spill(c);
			if (uv_is_closing(&c->uv.handle) || c->close_after)
				return;
			more = true;
		}
	}
	if (c->close_after || uv_is_closing(&c->uv.handle))
		return;
	buffer_drop(&c->in, at);
	if (attentive(c) && c->in.n >= CONNECTION_IN_MAX) {
		connection_refused(c, &too_large);
		return;
	}
	if (c->in.n == 0)
		buffer_free(&c->in);
	/* What is not whole, the rest of it is wanted however much it is. */
	if (c->stopped && !c->eof && (attentive(c) ||
	    c->in.n < CONNECTION_AHEAD))
		conn_read(c);
	settle(c);
}

/* The client takes no more: what waits for a caller need not be called. */
static void
nobody_there(struct connection *c)
{
	struct request *rq;

	for (rq = c->active; rq != NULL; rq = rq->sibling)
		rq->gone = true;
	sink_break(c);
}

/* The client sends no more. What it asked for it still gets over HTTP; a
 * web server that closes a FastCGI connection has lost its client. */
static void
at_eof(struct connection *c)
{
	c->eof = true;
	conn_rest(c);
	if (c->refs == 0 && c->in_list != NET_SENDING) {
		if (c->in_list == NET_BODY)
			log_info("The client left within a request's body");
		conn_cut(c);
		return;
	}
	if (conn_fastcgi(c)) {
		nobody_there(c);
		if (c->refs == 0)
			conn_cut(c);	/* nothing would wake it any more */
	}
}

/* Is the response out, and only the news of it not here yet? A caller looks
 * at `eager` after it has said that it is done, so that is set first. */
static void
catch_up(struct connection *c)
{
	atomic_store(&c->eager, true);
	if (c->net->reap != NULL &&
	    atomic_load(&c->active->state) == REQUEST_DONE) {
		c->receiving = true;	/* its bytes are in our hand */
		c->net->reap(c->net->reap_arg);
		c->receiving = false;
	}
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct connection *c = stream->data;
	struct http_session *s = &c->session.http;
	struct request *rq;

	if (c->active != NULL) {
		catch_up(c);
		if (uv_is_closing(&c->uv.handle))
			return;
	}
	if (n == UV_EOF)
		at_eof(c);
	else if (n < 0) {
		if (c->refs > 0) {
			c->eof = true;
			nobody_there(c);
			conn_rest(c);
		} else
			conn_cut(c);
	} else if (n == 0 || c->in_list == NET_LINGER || c->close_after)
		return;		/* not wanted any more */
	else if (b->base == c->net->buffer)
		digest(c, b->base, (size_t)n);
	else {
		switch (http_spaced(s, (size_t)n)) {
		case SESSION_REQUEST:
			rq = s->rq;
			s->rq = NULL;
			take(c, rq);
			break;
		case SESSION_MEMORY:
			refuse_all(c);
			break;
		default:
			conn_enter(c, NET_BODY);
		}
	}
}

/* --- requests that are over */

/* The response is out: the next request, if its bytes are here. */
static void
go_on(struct connection *c)
{
	conn_enter(c, arriving(c) ? NET_BODY : NET_IDLE);
	atomic_store_explicit(&c->eager, c->stopped, memory_order_relaxed);
	if (c->in.n > 0 || c->stopped)
		feed(c);
	if (uv_is_closing(&c->uv.handle) || c->refs > 0)
		return;
	if (c->eof)
		conn_cut(c);
	else if (c->net->leaving && !c->receiving)
		(void)give(c);
}

void
connection_done(struct request *rq)
{
	struct connection *c = rq->conn;
	/* An abandoned one was answered for. */
	bool keep = rq->abandoned || (rq->keep && !rq->rs.broken && !rq->gone),
	    cut = rq->rs.broken && !rq->abandoned, broken, pending;

	conn_remove(c, rq);
	broken = sink_state(c, &pending);
	request_put(&c->net->pool, rq);
	if (uv_is_closing(&c->uv.handle)) {
		conn_release(c);
		return;
	}
	if (conn_fastcgi(c))
		c->session.fastcgi->running--;
	if (cut && conn_fastcgi(c)) {
		conn_cut(c);	/* the only way to say "not whole" */
		return;
	}
	if (!keep || broken || c->close_after || (c->eof && c->in.n == 0)) {
		conn_finish(c, c->in.n > 0);
		return;
	}
	if (c->refs > 0)
		return;
	if (pending)
		conn_enter(c, NET_SENDING);
	else
		go_on(c);
}

void
connection_take_back(struct request *rq)
{
	struct connection *c = rq->conn;

	conn_remove(c, rq);
	c->net->nrequests--;
	if (conn_fastcgi(c))
		c->session.fastcgi->running--;
	request_put(&c->net->pool, rq);
	if (c->refs == 0) {
		conn_enter(c, NET_HEAD);
		(void)give(c);
	}
}

void
connection_refuse(struct request *rq)
{
	log_warning("Request cut: " STR_FMT " " STR_FMT " (answered 503)",
	    STR_ARG(request_value(rq, VAR_REQUEST_METHOD)),
	    STR_ARG(request_value(rq, VAR_PATH_INFO)));
	response_error(rq, 503, "The server is busy");
	atomic_store(&rq->state, REQUEST_DONE);
	connection_done(rq);
}

static void
answer_for(struct request *rq, int status)
{
	const char *why = status == 504 ? "The application took too long" :
	    "The server has to stop";
	char page[2048];

	if (!conn_fastcgi(rq->conn))
		send_page(rq->conn, rq, status, why);
	else
		sink_raw(rq->conn, page, fastcgi_error(page, sizeof(page),
		    rq->id, status, why));
}

bool
connection_abandon(struct request *rq, int status)
{
	struct connection *c = rq->conn;
	bool on_wire, whole;

	pthread_mutex_lock(&c->lock);
	if (rq->abandoned || atomic_load(&rq->state) != REQUEST_RUNNING) {
		pthread_mutex_unlock(&c->lock);
		return false;
	}
	rq->abandoned = true;
	rq->whole = whole = rq->over;	/* its end is sent or queued */
	rq->over = true;
	on_wire = rq->on_wire;
	rq->answered = !on_wire && !whole;
	pthread_cond_broadcast(&c->drained);
	pthread_mutex_unlock(&c->lock);
	if (uv_is_closing(&c->uv.handle))
		return true;
	if (on_wire && !whole) {
		conn_cut(c);
		return true;
	}
	if (!whole)
		answer_for(rq, status);
	if (!conn_fastcgi(c) || !rq->keep)
		conn_finish(c, !conn_fastcgi(c));
	return true;
}

/* --- the start */

/* The stream handle of a descriptor; it closes it from now on. */
static int
open_handle(struct connection *c)
{
	int rc;

	c->uv.handle.data = c;
	if (c->listener->family == AF_UNIX) {
		(void)uv_pipe_init(&c->net->loop, &c->uv.pipe, 0);
		rc = uv_pipe_open(&c->uv.pipe, c->fd);
	} else {
		(void)uv_tcp_init(&c->net->loop, &c->uv.tcp);
		rc = uv_tcp_open(&c->uv.tcp, c->fd);
	}
	if (rc != 0) {
		(void)close(c->fd);
		c->fd = -1;
	} else
		rc = uv_read_start(&c->uv.stream, on_alloc, on_read);
	return rc;
}

void
connection_start(struct connection *c, const char *in, size_t n)
{
	static const struct connection_ops ops = {
		.alloc = on_alloc,
		.read = on_read,
		.flushed = flushed,
	};

	c->ops = &ops;
	if (open_handle(c) != 0) {
		log_error("Cannot watch a new connection: out of resources");
		conn_cut(c);
	} else if (c->spill.fd != -1) {
		if (buffer_add(&c->in, in, n, CONNECTION_IN_MAX) == -1)
			refuse_all(c);
		else
			feed(c);
	} else if (n > 0)
		digest(c, (char *)(uintptr_t)in, n);
}
