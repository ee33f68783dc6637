/* A Passenger connection's bytes give the same requests, and the same
 * refusal, however they are cut. */
#include "config.h"

#include <stdint.h>

#include "fcgi/buffer.h"
#include "fcgi/wire/passenger.h"
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

static const struct passenger_terms none = { 0 },
    some = { .password = "pw" };

static void
event(struct run *r, enum session_event ev)
{
	switch (ev) {
	case SESSION_REQUEST:
		must(request_find(r->s.rq, "PASSENGER_CONNECT_PASSWORD") ==
		    NULL);
		must(request_find(r->s.rq, "HTTP_TRANSFER_ENCODING") == NULL);
		must(!r->s.rq->pub.has_body ||
		    request_find(r->s.rq, "CONTENT_LENGTH") != NULL);
		note_request(r->out, r->s.rq);
		request_put(&r->pool, r->s.rq);
		r->s.rq = NULL;
		must(r->s.chunks == NULL);
		break;
	case SESSION_SEND:
		fprintf(r->out, "ping\n");
		r->over = true;
		break;
	case SESSION_REFUSED:
		must(r->s.no.status >= 400 && r->s.no.status < 600);
		/* Of two reasons the first that is seen counts. */
		fprintf(r->out, "refused\n");
		r->over = true;
		break;
	case SESSION_MEMORY:
		abort();
	default:
		break;
	}
}

static void
feed(struct run *r, struct buffer *in)
{
	enum session_event ev;
	size_t used;

	while (!r->over && in->n > 0) {
		ev = passenger_feed(&r->s, &r->config, &r->peer, &r->pool,
		    in->p, in->n, 0, &used);
		must(used <= in->n);
		must(ev != SESSION_CONTINUE && ev != SESSION_ABORT);
		buffer_drop(in, used);
		event(r, ev);
		if (ev == SESSION_MORE)
			return;
	}
}

static void
run(const uint8_t *p, size_t n, struct cuts cuts, char **text, size_t *len)
{
	struct run r = { 0 };
	struct buffer in = { 0 };
	size_t k, room;
	char *space;

	choose(&r.config, &r.peer, p);
	r.config.passenger = (p[1] & 32) != 0 ? &some : &none;
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
		feed(&r, &in);
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
