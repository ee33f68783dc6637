/* A FastCGI connection's bytes give the same requests, answers and refusals,
 * however the network cuts them. */
#include "config.h"

#include <stdint.h>
#include <sys/uio.h>

#include "fcgi/buffer.h"
#include "fcgi/response.h"
#include "fcgi/wire/fastcgi.h"
#include "t/fuzz/session.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { MOST = 1 << 20 };

struct run {
	struct wire_config	 config;
	struct peer		 peer;
	struct request_pool	 pool;
	struct fastcgi_session	 s;
	FILE			*out;
	bool			 over;
};

static FILE *answers;

static enum send_result
answer(struct request *rq, struct iovec *v, int n)
{
	int i;

	(void)rq;
	for (i = 0; i < n; i++)
		note(answers, "out", v[i].iov_base, v[i].iov_len);
	return SEND_OK;
}

static bool
staying(const struct request *rq)
{
	(void)rq;
	return false;
}

static const struct sink sink = { .send = answer, .leaving = staying };

static void
refused(struct run *r)
{
	struct request *rq = r->s.rq;

	must(r->s.no.status >= 400 && r->s.no.status < 600);
	fprintf(r->out, "refused %d %s\n", r->s.no.status, r->s.no.why);
	if (rq == NULL) {
		r->over = true;
		return;
	}
	r->s.rq = NULL;
	rq->sink = &sink;
	answers = r->out;
	response_error(rq, r->s.no.status, r->s.no.why);
	must(rq->rs.ended);
	r->over = !rq->keep || r->s.close;
	request_put(&r->pool, rq);
}

static void
event(struct run *r, enum session_event ev)
{
	switch (ev) {
	case SESSION_REQUEST:
		must(r->s.rq->sibling == NULL);
		note_request(r->out, r->s.rq);
		request_put(&r->pool, r->s.rq);
		r->s.rq = NULL;
		break;
	case SESSION_SEND:
		must(r->s.reply_n > 0 && r->s.reply_n <= sizeof(r->s.reply));
		note(r->out, "send", r->s.reply, r->s.reply_n);
		r->over = r->s.close;
		break;
	case SESSION_ABORT:
		fprintf(r->out, "abort %u\n", r->s.aborted);
		break;
	case SESSION_REFUSED:
		refused(r);
		break;
	case SESSION_MEMORY:
		abort();
	default:
		must(ev == SESSION_MORE);
	}
}

static void
feed(struct run *r, struct buffer *in)
{
	enum session_event ev = SESSION_REQUEST;
	size_t used;

	while (!r->over && in->n > 0 && ev != SESSION_MORE) {
		ev = fastcgi_feed(&r->s, &r->config, &r->peer, &r->pool,
		    in->p, in->n, &used);
		must(used <= in->n);
		buffer_drop(in, used);
		event(r, ev);
		must(r->s.nopen <= FASTCGI_MPX_MAX);
	}
	must(r->over || in->n < RECORD_HEADER);
}

static void
run(const uint8_t *p, size_t n, struct cuts cuts, char **text, size_t *len)
{
	struct run r = { 0 };
	struct buffer in = { 0 };
	size_t k;

	choose(&r.config, &r.peer, p);
	must((r.out = open_memstream(text, len)) != NULL);
	for (p += 2, n -= 2; n > 0 && !r.over; p += k, n -= k) {
		k = cut(&cuts, n);
		must(buffer_add(&in, p, k, MOST) == 0);
		feed(&r, &in);
	}
	buffer_free(&in);
	fastcgi_session_done(&r.s, &r.pool);
	request_pool_done(&r.pool);
	must(fclose(r.out) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	agree(run, p, n);
	return 0;
}
