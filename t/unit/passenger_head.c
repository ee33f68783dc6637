/* What Passenger sends for one request each in its "session" protocol, and
 * what it becomes. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/again.h"
#include "fcgi/wire/passenger.h"
#include "t/lib/tap.h"

#define PASSWORD	"73Yaf3s7rm6n55UD"
#define RIGHT		"PASSENGER_CONNECT_PASSWORD=" PASSWORD

enum { PAIRS = 12, MOST = 2 << 20 };

static const struct {
	const char	*name;
	const char	*mount;		/* --script-name */
	const char	*in[PAIRS];
	const char	*want[10];	/* "NAME=value", "NAME" for absent */
} cases[] = {
	{ "a path", NULL,
	    { "PATH_INFO=/hello", "SCRIPT_NAME=", "REQUEST_URI=/hello?x=1",
	    "QUERY_STRING=x=1", "SERVER_PROTOCOL=HTTP/1.1" },
	    { "PATH_INFO=/hello", "SCRIPT_NAME=", "REQUEST_URI=/hello?x=1",
	    "RAW_URI=/hello?x=1", "QUERY_STRING=x=1",
	    "SERVER_PROTOCOL=HTTP/1.1" } },
	{ "escapes of the path are undone, of the target not", NULL,
	    { "PATH_INFO=/a%20b/%c3%a4%2Fc", "REQUEST_URI=/a%20b/%c3%a4%2Fc" },
	    { "PATH_INFO=/a b/\xc3\xa4/c", "REQUEST_URI=/a%20b/%c3%a4%2Fc" } },
	{ "a base URI", NULL,
	    { "SCRIPT_NAME=/sub", "PATH_INFO=/deep" },
	    { "SCRIPT_NAME=/sub", "PATH_INFO=/deep" } },
	{ "exactly the base URI", NULL,
	    { "SCRIPT_NAME=/sub", "PATH_INFO=" },
	    { "SCRIPT_NAME=/sub", "PATH_INFO=" } },
	{ "not as behind nginx without a split", NULL,
	    { "SERVER_SOFTWARE=nginx/1.22", "SCRIPT_NAME=/sub", "PATH_INFO=" },
	    { "SCRIPT_NAME=/sub", "PATH_INFO=" } },
	{ "a mount over the base URI", "/a",
	    { "SCRIPT_NAME=/a/b", "PATH_INFO=/c" },
	    { "SCRIPT_NAME=/a", "PATH_INFO=/b/c" } },
	{ "the root", NULL,
	    { "SCRIPT_NAME=/", "PATH_INFO=/" },
	    { "SCRIPT_NAME=", "PATH_INFO=/" } },
	{ "what is between Passenger and us", NULL,
	    { "PASSENGER_APP_ENV=x" },
	    { "PASSENGER_APP_ENV", "PASSENGER_CONNECT_PASSWORD" } },
	{ "httpoxy and framing", NULL,
	    { "HTTP_PROXY=evil", "CONTENT_LENGTH=0",
	    "HTTP_TRANSFER_ENCODING=chunked" },
	    { "HTTP_PROXY", "HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH=0" } },
	{ "SetEnv, in any case; but no name of Python's", NULL,
	    { "lower_case=1", "wsgi.url_scheme=x", "A=1", "A=2" },
	    { "lower_case=1", "wsgi.url_scheme", "A=2" } },
	{ "empty values", NULL,
	    { "HTTP_X_EMPTY=", "QUERY_STRING=" },
	    { "HTTP_X_EMPTY=", "QUERY_STRING=" } },
};

static const struct {
	const char	*name;
	const char	*in[PAIRS];
	int		 status;
} refusals[] = {
	{ "no password", { "REQUEST_METHOD=GET" }, 403 },
	{ "an empty one", { "REQUEST_METHOD=GET",
	    "PASSENGER_CONNECT_PASSWORD=" }, 403 },
	{ "a wrong one", { "REQUEST_METHOD=GET",
	    "PASSENGER_CONNECT_PASSWORD=73Yaf3s7rm6n55Ud" }, 403 },
	{ "a part of it", { "REQUEST_METHOD=GET",
	    "PASSENGER_CONNECT_PASSWORD=73Yaf3s7" }, 403 },
	{ "more than it", { "REQUEST_METHOD=GET",
	    RIGHT "7" }, 403 },
	{ "a wrong one after the right one", { "REQUEST_METHOD=GET", RIGHT,
	    "PASSENGER_CONNECT_PASSWORD=x" }, 403 },
	{ "a ping without it", { "REQUEST_METHOD=ping" }, 403 },
	{ "no method", { RIGHT }, 400 },
	{ "a length that is none", { RIGHT, "REQUEST_METHOD=GET",
	    "CONTENT_LENGTH=x" }, 400 },
	{ "a broken escape", { RIGHT, "REQUEST_METHOD=GET",
	    "PATH_INFO=/%zz" }, 400 },
	{ "a NUL in the path", { RIGHT, "REQUEST_METHOD=GET",
	    "PATH_INFO=/%00" }, 400 },
	{ "another coding", { RIGHT, "REQUEST_METHOD=POST",
	    "HTTP_TRANSFER_ENCODING=gzip" }, 501 },
	{ "a body that is too long", { RIGHT, "REQUEST_METHOD=POST",
	    "CONTENT_LENGTH=1000001" }, 413 },
};

static const struct {
	const char	*name;
	const char	*length, *coding;	/* NULL: not said */
	const char	*sent, *body;
	const char	*announced;	/* CONTENT_LENGTH, NULL: none */
	bool		 has_body;
} bodies[] = {
	{ "none", NULL, NULL, "", "", NULL, false },
	{ "of no bytes", "0", NULL, "", "", "0", true },
	{ "of five", "5", NULL, "hello", "hello", "5", true },
	{ "in chunks", NULL, "chunked",
	    "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", "11",
	    true },
	{ "in no chunk", NULL, "chunked", "0\r\n\r\n", "", "0", true },
	{ "a length beats chunks", "5", "chunked", "0\r\n\r\n", "0\r\n\r\n",
	    "5", true },
};

static const struct passenger_terms terms = { .password = PASSWORD };
static const struct wire_config plain = { .passenger = &terms,
	.body_max = 1000000 };
static const struct peer nobody = { .unix_socket = true };
static struct request_pool pool;

/* --- making one */

static void
put(struct buffer *b, const char *text)
{
	char pair[512];
	size_t n = strlen(text);

	if (n >= sizeof(pair))
		abort();
	memcpy(pair, text, n + 1);
	*strchr(pair, '=') = '\0';
	if (buffer_add(b, pair, n + 1, MOST) == -1)
		abort();
}

static void
put_all(struct buffer *b, const char *const *in)
{
	size_t i;

	for (i = 0; i < PAIRS && in[i] != NULL; i++)
		put(b, in[i]);
}

/* The head's length in front, the body behind. */
static void
wrap(struct buffer *out, const struct buffer *head, const char *body)
{
	const uint8_t length[4] = { (uint8_t)(head->n >> 24),
		(uint8_t)(head->n >> 16), (uint8_t)(head->n >> 8),
		(uint8_t)head->n };

	if (buffer_add(out, length, sizeof(length), MOST) == -1 ||
	    buffer_add(out, head->p, head->n, MOST) == -1 ||
	    buffer_add(out, body, strlen(body), MOST) == -1)
		abort();
}

/* Feed it, at most `step` bytes more at a time. */
static enum session_event
feed(struct http_session *s, const struct wire_config *c,
    struct buffer *in, size_t step)
{
	enum session_event ev = SESSION_MORE;
	size_t have = 0, used, at = 0;

	while (ev == SESSION_MORE && at + have < in->n) {
		have += step < in->n - at - have ? step : in->n - at - have;
		ev = passenger_feed(s, c, &nobody, &pool, in->p + at, have, 0,
		    &used);
		at += used;
		have -= used;
	}
	buffer_drop(in, at);
	return ev;
}

/* --- looking at it */

static bool
holds(struct request *rq, const char *want)
{
	const char *eq = strchr(want, '=');
	char name[128];
	struct var *v;

	if (eq == NULL)
		return request_find(rq, want) == NULL;
	memcpy(name, want, (size_t)(eq - want));
	name[eq - want] = '\0';
	return (v = request_find(rq, name)) != NULL &&
	    str_is(v->value, eq + 1);
}

static bool
body_is(struct request *rq, const char *want)
{
	size_t n = strlen(want), at = 0;
	const char *p;
	ssize_t k;

	if (rq->pub.body_length != n)
		return false;
	while ((k = body_peek(&rq->body, &p)) > 0) {
		if ((size_t)k > n - at || memcmp(p, want + at, (size_t)k) != 0)
			return false;
		at += (size_t)k;
		body_consume(&rq->body, (size_t)k);
	}
	return k == 0 && at == n;
}

/* --- the tests */

static void
test_case(size_t i)
{
	const struct wire_config c = { .passenger = &terms,
		.script_name = cases[i].mount };
	struct http_session s = { 0 };
	struct buffer head = { 0 }, in = { 0 };
	size_t j;

	put(&head, "REQUEST_METHOD=GET");
	put(&head, RIGHT);
	put_all(&head, cases[i].in);
	wrap(&in, &head, "");
	if (ok(feed(&s, &c, &in, 7) == SESSION_REQUEST, "%s", cases[i].name))
		for (j = 0; j < 10 && cases[i].want[j] != NULL; j++)
			ok(holds(s.rq, cases[i].want[j]), "%s: %s",
			    cases[i].name, cases[i].want[j]);
	buffer_free(&head);
	buffer_free(&in);
	http_session_done(&s, &pool);
}

static void
test_refusal(size_t i)
{
	struct http_session s = { 0 };
	struct buffer head = { 0 }, in = { 0 };

	put_all(&head, refusals[i].in);
	wrap(&in, &head, "");
	ok(feed(&s, &plain, &in, in.n) == SESSION_REFUSED &&
	    s.no.status == refusals[i].status && strstr(s.no.why, "73") ==
	    NULL, "%s is refused", refusals[i].name);
	buffer_free(&head);
	buffer_free(&in);
	http_session_done(&s, &pool);
}

static void
put_body_head(struct buffer *head, size_t i)
{
	char text[64];

	put(head, "REQUEST_METHOD=POST");
	put(head, RIGHT);
	if (bodies[i].length != NULL) {
		snprintf(text, sizeof(text), "CONTENT_LENGTH=%s",
		    bodies[i].length);
		put(head, text);
	}
	if (bodies[i].coding != NULL) {
		snprintf(text, sizeof(text), "HTTP_TRANSFER_ENCODING=%s",
		    bodies[i].coding);
		put(head, text);
	}
}

static void
test_body(size_t i, size_t step)
{
	struct http_session s = { 0 }, t = { 0 };
	struct buffer head = { 0 }, in = { 0 }, more = { 0 };
	struct var *v;

	put_body_head(&head, i);
	wrap(&in, &head, bodies[i].sent);
	ok(feed(&s, &plain, &in, step) == SESSION_REQUEST && in.n == 0 &&
	    s.rq->pub.has_body == bodies[i].has_body, "%s, by %zu",
	    bodies[i].name, step);
	v = request_find(s.rq, "CONTENT_LENGTH");
	ok(bodies[i].announced == NULL ? v == NULL : v != NULL &&
	    str_is(v->value, bodies[i].announced), "%s: its length",
	    bodies[i].name);
	ok(again_passenger(&more, s.rq, true, MOST) == 0 &&
	    feed(&t, &plain, &more, step) == SESSION_REQUEST &&
	    t.rq->nvars == s.rq->nvars && body_is(t.rq, bodies[i].body),
	    "%s: and again in another worker", bodies[i].name);
	ok(body_is(s.rq, bodies[i].body), "%s: its bytes", bodies[i].name);
	buffer_free(&head);
	buffer_free(&in);
	buffer_free(&more);
	http_session_done(&s, &pool);
	http_session_done(&t, &pool);
}

static void
test_ping(void)
{
	struct http_session s = { 0 };
	struct buffer head = { 0 }, in = { 0 };

	put(&head, "REQUEST_METHOD=ping");
	put(&head, RIGHT);
	wrap(&in, &head, "");
	ok(feed(&s, &plain, &in, 1) == SESSION_SEND, "a ping");
	buffer_free(&head);
	buffer_free(&in);
	http_session_done(&s, &pool);
}

static void
test_lengths(void)
{
	static const struct {
		const char	*name;
		uint8_t		 p[12];
		size_t		 n;
		int		 status;	/* 0: more is wanted */
	} rows[] = {
		{ "no head", { 0, 0, 0, 0 }, 4, 400 },
		{ "4 GB of head", { 255, 255, 255, 255 }, 4, 431 },
		{ "a byte too many", { 0, 8, 0, 1 }, 4, 431 },
		{ "as many as there may be", { 0, 8, 0, 0 }, 4, 0 },
		{ "three bytes of a length", { 0, 0, 0 }, 3, 0 },
		{ "a name without a value", { 0, 0, 0, 2, 'A', 0 }, 6, 400 },
		{ "a value without its end", { 0, 0, 0, 3, 'A', 0, 'b' }, 7,
		    400 },
	};
	enum session_event ev;
	size_t i, used;
	char p[12];

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_session s = { 0 };

		memcpy(p, rows[i].p, sizeof(p));
		ev = passenger_feed(&s, &plain, &nobody, &pool, p, rows[i].n,
		    0, &used);
		ok(rows[i].status == 0 ? ev == SESSION_MORE && used == 0 :
		    ev == SESSION_REFUSED && s.no.status == rows[i].status,
		    "%s", rows[i].name);
		http_session_done(&s, &pool);
	}
}

/* More variables than a request holds; the last ones are the password. */
static void
test_many(void)
{
	struct http_session s = { 0 };
	struct buffer head = { 0 }, in = { 0 };
	char text[32];
	int i;

	put(&head, "REQUEST_METHOD=GET");
	for (i = 0; i < REQUEST_VARS_MAX; i++) {
		snprintf(text, sizeof(text), "HTTP_X_%d=1", i);
		put(&head, text);
	}
	put(&head, RIGHT);
	wrap(&in, &head, "");
	ok(feed(&s, &plain, &in, in.n) == SESSION_REFUSED &&
	    s.no.status == 431, "too many variables");
	buffer_free(&head);
	buffer_free(&in);
	http_session_done(&s, &pool);
}

/* --- HTTP, where Passenger speaks that */

#define FROM	"Host: shop.example:8443\r\nConnection: close\r\n" \
		"!~Passenger-Client-Address: 192.0.2.7\r\n"

static const struct {
	const char	*name, *in;
	bool		 https;
	const char	*want[6];
} http[] = {
	{ "HTTP: the client is Passenger's", "GET /a HTTP/1.1\r\n" FROM "\r\n",
	    false, { "REMOTE_ADDR=192.0.2.7", "REMOTE_PORT",
	    "HTTP_!~PASSENGER_CLIENT_ADDRESS", "SERVER_NAME=shop.example",
	    "SERVER_PORT=8443" } },
	{ "HTTP: so is the scheme", "GET /a HTTP/1.1\r\n" FROM
	    "!~passenger-proto: https\r\n\r\n", true,
	    { "HTTP_!~PASSENGER_PROTO" } },
	{ "HTTP: a client's word for it is none", "GET /a HTTP/1.1\r\n" FROM
	    "X-Forwarded-Proto: https\r\n\r\n", false,
	    { "HTTP_X_FORWARDED_PROTO=https" } },
	{ "HTTP: nobody's own fields of that kind", "GET /a HTTP/1.1\r\n" FROM
	    "!~Passenger-Envvars: QT1i\r\n\r\n", false,
	    { "HTTP_!~PASSENGER_ENVVARS" } },
	{ "HTTP: under the base URI", "GET /shop/a%20b?c HTTP/1.1\r\n" FROM
	    "\r\n", false, { "SCRIPT_NAME=/shop", "PATH_INFO=/a b",
	    "REQUEST_URI=/shop/a%20b?c", "QUERY_STRING=c" } },
	{ "HTTP: beside it", "GET /shopping HTTP/1.1\r\n" FROM "\r\n", false,
	    { "SCRIPT_NAME=", "PATH_INFO=/shopping" } },
	{ "HTTP: a body in chunks has a length at last",
	    "POST /a HTTP/1.1\r\n" FROM "Transfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n0\r\n\r\n", false, { "CONTENT_LENGTH=5",
	    "HTTP_TRANSFER_ENCODING" } },
};

static void
test_http(size_t i)
{
	static const char *const secure[] = { "X-FORWARDED-PROTO:https" };
	static const struct passenger_terms shop = { .base_uri = "/shop" };
	static const struct peer tcp = { .addr = "127.0.0.1", .addr_n = 9,
		.port = "4711", .port_n = 4, .trusted = true,
		.server_name = { "127.0.0.1", 9 },
		.server_port = { "5000", 4 } };
	const struct wire_config c = { .passenger = &shop,
		.script_name = shop.base_uri, .secure_headers = secure,
		.nsecure = 1, .limits = { .fields = 100 } };
	struct http_session s = { 0 };
	char *in = strdup(http[i].in);
	size_t j, used;

	if (ok(http_feed(&s, &c, &tcp, &pool, in, strlen(in), 0, &used) ==
	    SESSION_REQUEST && s.rq->pub.https == http[i].https, "%s",
	    http[i].name))
		for (j = 0; j < 6 && http[i].want[j] != NULL; j++)
			ok(holds(s.rq, http[i].want[j]), "%s: %s",
			    http[i].name, http[i].want[j]);
	free(in);
	http_session_done(&s, &pool);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(i);
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		test_refusal(i);
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		test_body(i, 1);
		test_body(i, 5);
		test_body(i, MOST);
	}
	test_ping();
	test_lengths();
	test_many();
	for (i = 0; i < sizeof(http) / sizeof(http[0]); i++)
		test_http(i);
	request_pool_done(&pool);
	return tap_done();
}
