/* Any bytes as a stream of records; their contents as pairs and values. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/record.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define must(x)	do { if (!(x)) abort(); } while (0)

/* What was decoded encodes to something that decodes to the same. */
static void
pairs(const uint8_t *p, size_t n)
{
	struct str k, v, k2, v2;
	uint8_t *out;
	ssize_t used;
	size_t len;

	for (; n > 0; p += used, n -= (size_t)used) {
		if ((used = pair_decode(&k, &v, p, n)) == -1)
			return;
		must(used >= 2 && (size_t)used <= n);
		must((const uint8_t *)v.p + v.n == p + used);
		must((out = malloc((size_t)used)) != NULL);
		len = pair_encode(out, (size_t)used, k, v);
		must(len > 0 && len <= (size_t)used);
		must(pair_decode(&k2, &v2, out, len) == (ssize_t)len);
		must(k2.n == k.n && memcmp(k2.p, k.p, k.n) == 0);
		must(v2.n == v.n && memcmp(v2.p, v.p, v.n) == 0);
		free(out);
	}
}

static void
content(const struct record *r, const uint8_t *p, size_t n)
{
	uint8_t out[VALUES_RESULT_MAX], flags;
	struct record answer;
	uint16_t role;
	ssize_t len;

	if (r->type == RECORD_BEGIN_REQUEST)
		must(record_begin(&role, &flags, p, n) == (n == 8 ? 8 : -1));
	pairs(p, n);
	if ((len = values_answer(out, p, n, 1, (unsigned int)-1)) == -1)
		return;
	must(len >= 8 && len <= VALUES_RESULT_MAX && len % 8 == 0);
	must(record_decode(&answer, out, (size_t)len) == 8);
	must(answer.type == RECORD_GET_VALUES_RESULT && answer.id == 0);
	must(answer.length + answer.padding + 8 == len);
	pairs(out + 8, answer.length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t head[RECORD_HEADER];
	struct record r;
	ssize_t used;

	while ((used = record_decode(&r, p, n)) == RECORD_HEADER) {
		record_encode(head, r.type, r.id, r.length, r.padding);
		must(memcmp(head, p, 7) == 0);
		p += used;
		n -= (size_t)used;
		if (n < (size_t)r.length + r.padding)
			break;
		content(&r, p, r.length);
		p += r.length + r.padding;
		n -= (size_t)r.length + r.padding;
	}
	return 0;
}
