/* Any bytes as the head of a CGI response. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/cgi_head.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static volatile size_t sum;

static void
touch(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\0')
			abort();
		sum += (unsigned char)s.p[i];
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *why = NULL;
	struct cgi_head h;
	ssize_t used;
	char *copy;
	size_t i;

	/* Exactly n bytes of heap, so that a read past the end is seen. */
	if ((copy = malloc(n + !n)) == NULL)
		return 0;
	memcpy(copy, data, n);
	used = cgi_head_parse(&h, copy, n, &why);
	if (used == -1 && why == NULL)
		abort();
	if (used > 0) {
		if ((size_t)used > n || h.status.n < 3)
			abort();
		touch(h.status);
		for (i = 0; i < h.nheaders; i++) {
			touch(h.headers[i].name);
			touch(h.headers[i].value);
		}
	}
	free(copy);
	return 0;
}
