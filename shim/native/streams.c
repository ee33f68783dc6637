#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/cgi_head.h"
#include "shim/native/streams.h"

enum { IN_BYTES = 16384, ERR_BYTES = 1024 };

_Static_assert(STREAM_OUT >= (int)CGI_HEAD_BYTES, "a whole head has room");

enum out_state {
	OUT_HEAD,	/* the head is not whole yet */
	OUT_BODY,	/* it was given to the server; the body follows */
	OUT_DONE,	/* the response is whole */
	OUT_GONE,	/* nobody is there to take it */
	OUT_BAD		/* no CGI response: `why` says so */
};

/* Each stream is the first member of its struct, so that the procedures,
 * which are given the stream, find the rest. */
struct in_stream {
	FCGX_Stream	 s;
	struct streams	*all;
	unsigned char	 buf[IN_BYTES];
};

struct out_stream {
	FCGX_Stream	 s;
	struct streams	*all;
	enum out_state	 state;
	const char	*why;
	struct cgi_head	 head;
	unsigned char	 buf[STREAM_OUT];
};

struct err_stream {
	FCGX_Stream	 s;
	struct streams	*all;
	unsigned char	 buf[ERR_BYTES];
};

struct streams {
	const struct app_server *server;
	struct app_request *rq;
	struct in_stream in;
	struct out_stream out;
	struct err_stream err;
};

/* After this, reads see the end and writes fail. */
static void
stream_end(FCGX_Stream *s, int error)
{
	if (s->FCGI_errno == 0)
		s->FCGI_errno = error;
	s->isClosed = 1;
	if (s->isReader)
		s->wrNext = s->stop = s->rdNext;
	else
		s->rdNext = s->stop = s->wrNext;
}

static void
in_fill(FCGX_Stream *s)
{
	struct in_stream *in = (struct in_stream *)s;
	const struct app_server *server = in->all->server;
	const char *p;
	ssize_t n;

	if (s->isClosed)
		return;
	n = server->peek(in->all->rq, &p);
	if (n <= 0) {
		stream_end(s, n == 0 ? 0 : errno != 0 ? errno : EIO);
		return;
	}
	/* A copy: the application may put another byte back than it read. */
	if (n > IN_BYTES)
		n = IN_BYTES;
	memcpy(in->buf, p, (size_t)n);
	server->consume(in->all->rq, (size_t)n);
	s->rdNext = s->stopUnget = in->buf;
	s->wrNext = s->stop = in->buf + n;
}

static void
err_empty(FCGX_Stream *s, int closing)
{
	struct err_stream *e = (struct err_stream *)s;

	(void)closing;		/* FCGX_FClose() marks it closed itself */
	if (s->wrNext > e->buf)
		e->all->server->error(e->all->rq, (const char *)e->buf,
		    (size_t)(s->wrNext - e->buf));
	s->wrNext = e->buf;
}

/* Body bytes to the server; waits where the client is slow. */
static void
out_send(struct out_stream *o, const unsigned char *p, size_t n,
    unsigned int flags)
{
	const struct app_server *server = o->all->server;
	enum send_result r;

	r = server->body(o->all->rq, p, n, flags);
	if (r == SEND_FULL && (flags & BODY_LAST) == 0)
		r = server->drain(o->all->rq);
	o->state = r == SEND_GONE ? OUT_GONE :
	    (flags & BODY_LAST) != 0 ? OUT_DONE : OUT_BODY;
}

static bool
is_head(const struct app_request *rq)
{
	size_t i;

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].id == VAR_REQUEST_METHOD)
			return rq->vars[i].value.n == 4 &&
			    memcmp(rq->vars[i].value.p, "HEAD", 4) == 0;
	return false;
}

/* Give the server the head. Of a response that is whole the length is known,
 * unless the application named one, or left the body of a HEAD out. */
static int
out_head(struct out_stream *o, size_t body, bool last)
{
	struct reply reply = {
		.status = o->head.status,
		.headers = o->head.headers,
		.nheaders = o->head.nheaders,
		.length = -1,
	};

	if (last && !o->head.has_length &&
	    (body > 0 || !is_head(o->all->rq)))
		reply.length = (int64_t)body;
	if (o->all->server->head(o->all->rq, &reply, &o->why) == -1) {
		o->state = OUT_BAD;
		return -1;
	}
	return 0;
}

/* Send what is in the buffer, with the head where that has not gone yet. */
static void
out_flush(struct out_stream *o, bool last)
{
	size_t n = (size_t)(o->s.wrNext - o->buf), used = 0;
	ssize_t r;

	if (o->state == OUT_HEAD) {
		r = cgi_head_parse(&o->head, (char *)o->buf, n, &o->why);
		if (r == 0 && !last)
			return;
		if (r <= 0) {
			if (r == 0)
				o->why = n == 0 ? "no output" :
				    "the head does not end";
			o->state = OUT_BAD;
			return;
		}
		used = (size_t)r;
		if (out_head(o, n - used, last) == -1)
			return;
		o->state = OUT_BODY;
	}
	if (o->state == OUT_BODY && (n > used || last))
		out_send(o, o->buf + used, n - used, last ? BODY_LAST : 0);
	o->s.wrNext = o->buf;
}

static void
out_empty(FCGX_Stream *s, int closing)
{
	struct out_stream *o = (struct out_stream *)s;

	if (s->isClosed)
		return;
	out_flush(o, closing != 0);
	/* A full buffer and no end of the head was refused above. */
	s->stop = o->buf + STREAM_OUT;
	if (o->state == OUT_GONE || o->state == OUT_BAD)
		stream_end(s, o->state == OUT_GONE ? EPIPE : EPROTO);
	else
		s->rdNext = s->stop;	/* as a writer of libfcgi's has it */
}

struct streams *
streams_new(const struct app_server *server, void *library)
{
	struct streams *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->server = server;
	t->in.all = t->out.all = t->err.all = t;
	t->in.s.data = t->out.s.data = t->err.s.data = library;
	t->in.s.isReader = 1;
	t->in.s.fillBuffProc = in_fill;
	t->out.s.emptyBuffProc = out_empty;
	t->err.s.emptyBuffProc = err_empty;
	return t;
}

void
streams_free(struct streams *t)
{
	free(t);
}

static void
stream_open(FCGX_Stream *s, unsigned char *buf, size_t size)
{
	s->isClosed = s->wasFCloseCalled = s->FCGI_errno = 0;
	s->rdNext = s->wrNext = s->stopUnget = s->stop = buf;
	if (!s->isReader)
		s->rdNext = s->stop = buf + size;
}

void
streams_open(struct streams *t, struct app_request *rq, FCGX_Request *f)
{
	t->rq = rq;
	t->out.state = OUT_HEAD;
	t->out.why = NULL;
	stream_open(&t->in.s, t->in.buf, 0);
	stream_open(&t->out.s, t->out.buf, STREAM_OUT);
	stream_open(&t->err.s, t->err.buf, ERR_BYTES);
	f->in = &t->in.s;
	f->out = &t->out.s;
	f->err = &t->err.s;
}

int
streams_close(struct streams *t, const char **why)
{
	(void)FCGX_FClose(&t->err.s);
	(void)FCGX_FClose(&t->out.s);
	(void)FCGX_FClose(&t->in.s);
	t->rq = NULL;
	*why = t->out.why != NULL ? t->out.why : "the server refused it";
	return t->out.state == OUT_BAD ? -1 : 0;
}
