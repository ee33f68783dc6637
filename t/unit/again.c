/* Requests that move to another worker, as bytes of their protocol once more;
 * and what a connection is refused before that. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fcgi/wire/again.h"
#include "fcgi/wire/fastcgi.h"
#include "fcgi/wire/http.h"
#include "t/lib/tap.h"

enum { MOST = 4096 };

#define POST	"POST /a HTTP/1.1\r\nHost: h\r\n"
#define CHUNKS	POST "Transfer-Encoding: chunked\r\n\r\n"
#define SECURE	"X-Forwarded-Protocol: ssl\r\nX-Forwarded-Ssl: "

static const char *const schemes[] = { "X-FORWARDED-PROTOCOL:ssl",
	"X-FORWARDED-SSL:on" };
static const struct wire_config config = { .body_max = 5,
	.secure_headers = schemes, .nsecure = 2 };
static const struct peer peer = { .unix_socket = true, .trusted = true };
static struct request_pool pool;

/* again: NULL for those that are refused with that status. */
static const struct {
	const char	*name, *in, *again;
	int		 status;
} rows[] = {
	{ "a body", POST "Content-Length: 3\r\n\r\nabc",
	    POST "Content-Length: 3\r\n\r\nabc", 0 },
	{ "no body", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 0 },
	{ "who waits to go on waits no more",
	    POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
	    POST "Content-Length: 3\r\n\r\nabc", 0 },
	{ "cookies are one list",
	    POST "Cookie: a=1\r\nCookie: b=2\r\n\r\n",
	    POST "Cookie: a=1; b=2\r\n\r\n", 0 },
	{ "other fields too", POST "X-A: 1\r\nX-A: 2\r\n\r\n",
	    POST "X-A: 1,2\r\n\r\n", 0 },
	{ "chunks at the limit", CHUNKS "5\r\nhello\r\n0\r\n\r\n",
	    POST "Content-Length: 5\r\n\r\nhello", 0 },
	{ "chunks over it", CHUNKS "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", NULL,
	    413 },
	{ "a length over it", POST "Content-Length: 6\r\n\r\n", NULL, 413 },
	{ "schemes that agree", POST SECURE "on\r\n\r\n",
	    POST SECURE "on\r\n\r\n", 0 },
	{ "schemes that do not", POST SECURE "off\r\n\r\n", NULL, 400 },
};

static enum session_event
feed(struct http_session *s, const char *in)
{
	enum session_event ev;
	char *copy = strdup(in), *p = copy;
	size_t used, n = strlen(in);

	do {
		ev = http_feed(s, &config, &peer, &pool, p, n, 0, &used);
		p += used;
		n -= used;
	} while (ev == SESSION_CONTINUE || (ev == SESSION_MORE && used > 0));
	free(copy);
	return ev;
}

static void
test_http(size_t i)
{
	struct http_session s = { 0 };
	struct buffer b = { 0 };
	enum session_event ev = feed(&s, rows[i].in);
	const char *again = rows[i].again;

	if (again == NULL)
		ok(ev == SESSION_REFUSED && s.no.status == rows[i].status,
		    "%s: refused", rows[i].name);
	else if (!ok(ev == SESSION_REQUEST && again_http(&b, s.rq, true,
	    MOST) == 0 && b.n == strlen(again) &&
	    strncasecmp(b.p, again, b.n) == 0, "%s", rows[i].name) &&
	    b.p != NULL)
		printf("# %.*s\n", (int)b.n, b.p);
	buffer_free(&b);
	http_session_done(&s, &pool);
}

/* --- FastCGI */

static void
put(struct buffer *b, enum record_type type, const void *p, size_t n)
{
	uint8_t head[RECORD_HEADER];

	record_encode(head, type, 1, (uint16_t)n, 0);
	if (buffer_add(b, head, sizeof(head), MOST) == -1 ||
	    buffer_add(b, p, n, MOST) == -1)
		abort();
}

static void
begin(struct buffer *b, bool keep)
{
	const uint8_t body[8] = { 0, RECORD_RESPONDER,
		keep ? RECORD_KEEP_CONN : 0 };

	put(b, RECORD_BEGIN_REQUEST, body, sizeof(body));
}

static void
request(struct buffer *b, bool keep, const char *length, const char *body)
{
	uint8_t pairs[256];
	size_t n;

	begin(b, keep);
	n = pair_encode(pairs, sizeof(pairs), STR("REQUEST_METHOD"),
	    STR("POST"));
	n += pair_encode(pairs + n, sizeof(pairs) - n, STR("CONTENT_LENGTH"),
	    (struct str){ length, strlen(length) });
	put(b, RECORD_PARAMS, pairs, n);
	put(b, RECORD_PARAMS, "", 0);
	if (*body != '\0')
		put(b, RECORD_STDIN, body, strlen(body));
	put(b, RECORD_STDIN, "", 0);
}

/* The first event that is one. */
static enum session_event
feed_records(struct fastcgi_session *s, const struct buffer *b)
{
	size_t used;

	return fastcgi_feed(s, &config, &peer, &pool, b->p, b->n, &used);
}

static void
test_fastcgi(bool keep)
{
	struct fastcgi_session s = { 0 };
	struct buffer in = { 0 }, b = { 0 };

	request(&in, keep, "3", "abc");
	ok(feed_records(&s, &in) == SESSION_REQUEST &&
	    again_fastcgi(&b, s.rq, true, MOST) == 0 && b.n == in.n &&
	    memcmp(b.p, in.p, b.n) == 0, "FastCGI, %s", keep ?
	    "on a connection that is kept" : "on one that is not");
	buffer_free(&in);
	buffer_free(&b);
	fastcgi_session_done(&s, &pool);
}

static void
refused(const struct buffer *in, int status, const char *name)
{
	struct fastcgi_session s = { 0 };

	ok(feed_records(&s, in) == SESSION_REFUSED && s.no.status == status,
	    "FastCGI, %s: refused", name);
	fastcgi_session_done(&s, &pool);
}

static void
test_refusals(void)
{
	static const struct {
		const char *name, *length, *body;
		int status;
	} bad[] = {
		{ "a length over the limit", "6", "", 413 },
		{ "bytes over the limit", "", "hello!", 413 },
		{ "a body that is shorter than it said", "5", "hi", 400 },
	};
	struct buffer in = { 0 };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		in.n = 0;
		request(&in, true, bad[i].length, bad[i].body);
		refused(&in, bad[i].status, bad[i].name);
	}
	in.n = 0;
	begin(&in, true);
	begin(&in, true);
	refused(&in, 400, "an id that begins twice");
	buffer_free(&in);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_http(i);
	test_fastcgi(true);
	test_fastcgi(false);
	test_refusals();
	request_pool_done(&pool);
	return tap_done();
}
