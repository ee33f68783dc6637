/*
 * What the fuzz targets of whole sessions share: settings taken from the
 * input, and an account of what came out that two runs must agree on.
 */
#ifndef T_FUZZ_SESSION_H
#define T_FUZZ_SESSION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/session.h"

#define must(x)	do { if (!(x)) abort(); } while (0)

enum { SINGLE = 100 };		/* names looked at for a second of the same */

/* How a stream is cut: a small generator, so that a finding repeats. */
struct cuts {
	uint32_t	 state;		/* 0: not at all */
	bool		 bytes;		/* each by itself */
};

static inline size_t
cut(struct cuts *c, size_t n)
{
	static const size_t most[] = { 1, 3, 17, 200 };

	if (c->state == 0 || n == 0)
		return n;
	if (c->bytes)
		return 1;
	c->state = c->state * 1103515245 + 12345;
	n = n < most[c->state >> 30] ? n : most[c->state >> 30];
	return 1 + (c->state >> 16 & 0xfff) % n;
}

/* The rules and the client, from the first two bytes. */
static inline void
choose(struct wire_config *c, struct peer *peer, const uint8_t *p)
{
	static const char *const secure[] = {
		"X-FORWARDED-PROTO:https", "X-FORWARDED-SSL:on", NULL
	};
	static const char *const forwarder[] = {
		"SCRIPT_NAME", "PATH_INFO", NULL
	};

	*c = (struct wire_config){
		.limits = { .request_line = (p[0] & 1) != 0 ? 64 : 4094,
		    .fields = (p[0] & 2) != 0 ? 4 : 100,
		    .field_size = (p[0] & 4) != 0 ? 64 : 8190,
		    .header_map = (p[0] >> 3 & 3) % 3,
		    .obsolete_folding = (p[0] & 32) != 0,
		    .strip_spaces = (p[0] & 64) != 0,
		    .any_method = (p[0] & 128) != 0,
		    .casefold_method = (p[1] & 1) != 0,
		    .forwarder = forwarder },
		.body_max = (p[1] & 2) != 0 ? 100 : 0,
		.secure_headers = secure, .nsecure = 2,
		.script_name = (p[1] & 4) != 0 ? "/mount" : NULL,
		.max_conns = 1000, .max_reqs = 4,
	};
	*peer = (struct peer){ .addr = "127.0.0.1", .port = "4711",
	    .addr_n = 9, .port_n = 4, .unix_socket = (p[1] & 8) != 0,
	    .trusted = (p[1] & 16) != 0, .server_name = STR("localhost"),
	    .server_port = STR("8000") };
}

static inline void
note(FILE *out, const char *what, const void *p, size_t n)
{
	fprintf(out, "%s %zu ", what, n);
	(void)fwrite(p, 1, n, out);
	fputc('\n', out);
}

/* What app.h says of every request, and all of this one. */
static inline void
note_request(FILE *out, struct request *rq)
{
	static const char *const always[] = {
		"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING",
		"SERVER_PROTOCOL", "SERVER_NAME", "SERVER_PORT",
	};
	uint64_t got = 0;
	const char *p;
	size_t i, j;
	ssize_t n;

	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		must(request_find(rq, always[i]) != NULL);
	must(request_find(rq, "HTTP_PROXY") == NULL);
	must(rq->arena_used <= rq->arena_cap);
	for (i = 0; i < rq->nvars; i++) {
		note(out, "name", rq->vars[i].name.p, rq->vars[i].name.n);
		note(out, "value", rq->vars[i].value.p, rq->vars[i].value.n);
		for (j = i < SINGLE ? 0 : i; j < i; j++)
			must(rq->vars[i].name.n != rq->vars[j].name.n ||
			    memcmp(rq->vars[i].name.p, rq->vars[j].name.p,
			    rq->vars[i].name.n) != 0);
	}
	while ((n = body_peek(&rq->body, &p)) > 0) {
		must(fwrite(p, 1, (size_t)n, out) == (size_t)n);
		body_consume(&rq->body, (size_t)n);
		got += (uint64_t)n;
	}
	must(n == 0 && got == rq->pub.body_length);
	fprintf(out, "\nrequest %u %d %d %d %d %llu\n", rq->id, rq->minor,
	    rq->keep, rq->head_only, rq->pub.https,
	    (unsigned long long)got);
}

/* The whole stream, the cut one and that which comes byte by byte must come
 * to the same. */
static inline void
agree(void (*run)(const uint8_t *, size_t, struct cuts, char **, size_t *),
    const uint8_t *p, size_t n)
{
	const struct cuts ways[] = { { 0 },
	    { .state = 1 + (uint32_t)n * 2654435761u },
	    { .state = 1, .bytes = true } };
	size_t i, an, bn;
	char *a, *b;

	if (n < 3)
		return;
	run(p, n, ways[0], &a, &an);
	for (i = 1; i < sizeof(ways) / sizeof(ways[0]); i++) {
		run(p, n, ways[i], &b, &bn);
		if (an != bn || memcmp(a, b, an) != 0) {
			fprintf(stderr, "--- whole\n%.*s\n--- cut\n%.*s\n",
			    (int)an, a, (int)bn, b);
			abort();
		}
		free(b);
	}
	free(a);
}

#endif
