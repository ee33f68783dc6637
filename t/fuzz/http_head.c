/*
 * Any bytes as a head. The first byte chooses the settings. What is
 * accepted must look as the callers believe it to.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/http_head.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define must(x)	do { if (!(x)) abort(); } while (0)

static struct header headers[HTTP_HEADERS_MAX];

static void
clean(struct str s, const char *p, size_t n)
{
	must(s.p >= p && s.n <= n && s.p + s.n <= p + n);
	must(memchr(s.p, '\n', s.n) == NULL && memchr(s.p, '\r', s.n) == NULL &&
	    memchr(s.p, '\0', s.n) == NULL);
}

static void
accepted(const struct http_head *h, const char *p, size_t n)
{
	char *path = malloc(h->path.n + 1);
	size_t i;
	ssize_t k;

	must(path != NULL);
	clean(h->method, p, n);
	clean(h->target, p, n);
	clean(h->query, p, n);
	must(h->path.n > 0 && (h->path.p[0] == '/' || h->path.p[0] == '*'));
	k = http_path_decode(path, h->path.p, h->path.n);
	must(k <= (ssize_t)h->path.n);
	must(k == -1 || memchr(path, '\0', (size_t)k) == NULL);
	free(path);
	must(h->minor == 0 || h->host.p != NULL);
	must(!h->chunked || (h->minor == 1 && !h->has_length));
	must(h->has_length || h->length == 0);
	must(h->length <= INT64_MAX);
	for (i = 0; i < h->nheaders; i++) {
		clean(h->headers[i].name, p, n);
		clean(h->headers[i].value, p, n);
		must(h->headers[i].name.n > 0);
	}
}

/* The end is the same however the bytes come. */
static size_t
end_of(const char *p, size_t n)
{
	size_t whole = http_head_end(p, n, 0), i, end;

	for (i = 1; i <= n; i++)
		if ((end = http_head_end(p, i, i - 1)) != 0) {
			must(end == i && end == whole);
			return end;
		}
	must(whole == 0);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const forwarder[] = { "SCRIPT_NAME", NULL };
	struct http_limits l = { .request_line = 200, .fields = 20,
	    .field_size = 200, .forwarder = forwarder };
	struct http_head h = { .headers = headers };
	struct http_refusal no = { 0, NULL };
	size_t end;
	char *p;

	if (n < 1)
		return 0;
	l.header_map = data[0] & 3 ? (data[0] & 3) - 1 : HEADER_DROP;
	l.obsolete_folding = data[0] & 4;
	l.strip_spaces = data[0] & 8;
	l.any_method = data[0] & 16;
	l.any_version = data[0] & 32;
	l.casefold_method = data[0] & 64;
	must((p = malloc(n)) != NULL);
	memcpy(p, data + 1, --n);
	end = end_of(p, n);
	if ((p = realloc(p, end ? end : n ? n : 1)) == NULL)
		abort();
	if (http_head_decode(&h, p, end ? end : n, &l, data[0] & 128, &no) == 0)
		accepted(&h, p, end);
	else
		must(no.status >= 400 && no.status < 600 && no.why != NULL);
	free(p);
	return 0;
}
