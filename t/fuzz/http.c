/* An HTTP connection's bytes give the same requests, and the same refusal,
 * however the network cuts them. */
#include "config.h"

#include <stdint.h>

#include "fcgi/buffer.h"
#include "fcgi/wire/http.h"
#include "t/fuzz/session.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { MOST = 1 << 20 };

struct run {
	struct wire_config	 config;
	struct peer		 peer;
	struct request_pool	 pool;
	struct http_session	 s;
	FILE			*out;
	bool			 over;
};

static void
note_body_length(struct request *rq)
{
	struct var *v = request_find(rq, "CONTENT_LENGTH");
	char text[24];
	size_t zeros = 0;

	if (v == NULL)
		return;
	while (zeros + 1 < v->value.n && v->value.p[zeros] == '0')
		zeros++;
	must(snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)rq->pub.body_length) ==
	    (int)(v->value.n - zeros));
	must(memcmp(text, v->value.p + zeros, v->value.n - zeros) == 0);
}

static void
event(struct run *r, enum session_event ev)
{
	switch (ev) {
	case SESSION_REQUEST:
		note_body_length(r->s.rq);
		note_request(r->out, r->s.rq);
		request_put(&r->pool, r->s.rq);
		r->s.rq = NULL;
		must(r->s.chunks == NULL);
		break;
	case SESSION_REFUSED:
		must(r->s.no.status >= 400 && r->s.no.status < 600);
		must(r->s.no.why != NULL);
		fprintf(r->out, "refused\n");
		r->over = true;
		break;
	case SESSION_MEMORY:
		abort();
	default:
		break;
	}
}

/* Feed what is kept until nothing more comes of it. */
static void
feed(struct run *r, struct buffer *in, size_t *scanned)
{
	enum session_event ev;
	size_t used;

	while (!r->over && in->n > 0) {
		ev = http_feed(&r->s, &r->config, &r->peer, &r->pool, in->p,
		    in->n, *scanned, &used);
		must(used <= in->n);
		must(ev != SESSION_SEND && ev != SESSION_ABORT);
		buffer_drop(in, used);
		*scanned = 0;
		event(r, ev);
		if (ev == SESSION_MORE) {
			*scanned = used > 0 ? 0 : in->n;
			return;
		}
	}
}

static void
run(const uint8_t *p, size_t n, struct cuts cuts, char **text, size_t *len)
{
	struct run r = { 0 };
	struct buffer in = { 0 };
	size_t scanned = 0, k, room;
	char *space;

	choose(&r.config, &r.peer, p);
	must((r.out = open_memstream(text, len)) != NULL);
	for (p += 2, n -= 2; n > 0 && !r.over; p += k, n -= k) {
		k = cut(&cuts, n);
		if (in.n == 0 && cuts.state != 0 &&
		    (space = http_space(&r.s, &room)) != NULL) {
			k = k < room ? k : room;
			memcpy(space, p, k);
			event(&r, http_spaced(&r.s, k));
			continue;
		}
		must(buffer_add(&in, p, k, MOST) == 0);
		feed(&r, &in, &scanned);
	}
	buffer_free(&in);
	http_session_done(&r.s, &r.pool);
	request_pool_done(&r.pool);
	must(fclose(r.out) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	agree(run, p, n);
	return 0;
}
