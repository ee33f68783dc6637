/* A chunked body gives the same whole and byte by byte. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/http_head.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define must(x)	do { if (!(x)) abort(); } while (0)

struct body {
	uint64_t	 n, sum;
};

static int
take(void *arg, const char *p, size_t n)
{
	struct body *b = arg;

	for (b->n += n; n > 0; n--)
		b->sum = b->sum * 31 + (unsigned char)*p++;
	return 0;
}

/* Feed in steps; the bytes used, or -1. */
static ssize_t
feed(const char *p, size_t n, size_t step, struct body *b, bool *done)
{
	struct http_chunks *c = http_chunks_new();
	struct http_refusal no = { 0, NULL };
	size_t used = 0, len;
	ssize_t k;

	must(c != NULL);
	for (*done = false; used < n && !*done; used += (size_t)k) {
		len = step < n - used ? step : n - used;
		k = http_chunks_feed(c, p + used, len, take, b, done, &no);
		must(k == -1 || (k >= 0 && (size_t)k <= len));
		must(k != -1 || (no.status >= 400 && no.why != NULL));
		if (k == -1) {
			must(http_chunks_feed(c, "0\r\n\r\n", 5, take, b, done,
			    &no) == -1 && !*done);
			http_chunks_free(c);
			return -1;
		}
		must(*done || (size_t)k == len);
	}
	http_chunks_free(c);
	return (ssize_t)used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct body a = { 0, 0 }, b = { 0, 0 };
	bool done_a, done_b;
	ssize_t k;

	k = feed((const char *)p, n, n, &a, &done_a);
	must(feed((const char *)p, n, 1, &b, &done_b) == k);
	must(done_a == done_b);
	must(k == -1 || (a.n == b.n && a.sum == b.sum && a.n <= n));
	return 0;
}
