/* Responses on each protocol: a row is what the application gives, and the
 * bytes that go out for it. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fcgi/response.h"
#include "fcgi/wire/fastcgi.h"
#include "fcgi/wire/http.h"
#include "t/lib/tap.h"

enum how {
	HTTP11 = 0, HTTP10 = 1, FASTCGI = 2,	/* the protocol */
	HEAD = 4, KEEP = 8, LEAVING = 16,
	FAILS = 32,		/* the application does, in the end */
	LAST = 64,		/* the last piece says that it is */
	PLAIN = 128		/* no head at all */
};

#define S	"Server: gangway\r\n"
#define OK11	"HTTP/1.1 200 OK\r\n" S
#define OK10	"HTTP/1.0 200 OK\r\n" S
#define CLOSE	"Connection: close\r\n"
#define LEN(n)	"Content-Length: " #n "\r\n"
#define CHUNKED	"Transfer-Encoding: chunked\r\n"
#define PAGE	"<html>\n  <head>\n    <title>Internal Server Error</title>\n" \
	"  </head>\n  <body>\n    <h1><p>Internal Server Error</p></h1>\n" \
	"    \n  </body>\n</html>\n"
#define H(...)	{ __VA_ARGS__ }
#define NONE	{ NULL }

/* out: what is sent, the date left out, FastCGI's records as their streams,
 * "<end>" for the end of the request. end: k kept, c closed, ! cut. */
static const struct {
	const char	*name;
	unsigned int	 how;
	const char	*status, *headers[8];
	int64_t		 length;
	const char	*body[4];
	const char	*out;
	char		 end;
} rows[] = {
	/* how the body is framed */
	{ "1.1, length by header", KEEP, "200 OK",
	    H("Content-Length", "2"), -1, H("ab"),
	    OK11 LEN(2) "\r\n" "ab", 'k' },
	{ "1.1, length by the caller", KEEP, "200 OK", NONE, 2, H("ab"),
	    OK11 LEN(2) "\r\n" "ab", 'k' },
	{ "1.1, one last piece", KEEP | LAST, "200 OK", NONE, -1, H("ab"),
	    OK11 LEN(2) "\r\n" "ab", 'k' },
	{ "1.1, no body", KEEP, "200 OK", NONE, -1, NONE,
	    OK11 LEN(0) "\r\n", 'k' },
	{ "1.1, unknown length", KEEP, "200 OK", NONE, -1, H("ab", "cde"),
	    OK11 CHUNKED "\r\n" "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", 'k' },
	{ "1.1, chunks, last one known", KEEP | LAST, "200 OK", NONE, -1,
	    H("ab", "0123456789abcdef"), OK11 CHUNKED "\r\n"
	    "2\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", 'k' },
	{ "1.1, an empty piece is no chunk", KEEP, "200 OK", NONE, -1,
	    H("a", "", "b"), OK11 CHUNKED "\r\n"
	    "1\r\na\r\n1\r\nb\r\n0\r\n\r\n", 'k' },
	{ "1.0, unknown length", HTTP10 | KEEP, "200 OK", NONE, -1,
	    H("ab", "c"), OK10 CLOSE "\r\n" "abc", 'c' },
	{ "1.0, known length", HTTP10 | KEEP, "200 OK", NONE, 3, H("abc"),
	    OK10 LEN(3) "Connection: keep-alive\r\n\r\n" "abc", 'k' },
	{ "1.0, closing", HTTP10, "200 OK", NONE, 3, H("abc"),
	    OK10 LEN(3) CLOSE "\r\n" "abc", 'c' },
	{ "FastCGI, unknown length", FASTCGI | KEEP, "200 OK", NONE, -1,
	    H("ab", "c"), "Status: 200 OK\r\n\r\n" "abc<end>", 'k' },
	{ "FastCGI, known length", FASTCGI | KEEP | LAST, "200 OK", NONE, -1,
	    H("ab"), "Status: 200 OK\r\n" LEN(2) "\r\n" "ab<end>", 'k' },
	{ "FastCGI, closing", FASTCGI, "200 OK", NONE, 1, H("a"),
	    "Status: 200 OK\r\n" LEN(1) "\r\n" "a<end>", 'c' },

	/* who may close */
	{ "1.1, closing", HTTP11, "200 OK", NONE, 1, H("a"),
	    OK11 LEN(1) CLOSE "\r\n" "a", 'c' },
	{ "1.1, the server leaves", KEEP | LEAVING, "200 OK", NONE, 1, H("a"),
	    OK11 LEN(1) CLOSE "\r\n" "a", 'c' },
	{ "FastCGI, the server leaves", FASTCGI | KEEP | LEAVING, "200 OK",
	    NONE, 1, H("a"), "Status: 200 OK\r\n" LEN(1) "\r\n" "a<end>", 'k' },

	/* no body goes out */
	{ "HEAD with a length", HEAD | KEEP, "200 OK",
	    H("Content-Length", "5"), -1, H("hello"),
	    OK11 LEN(5) "\r\n", 'k' },
	{ "HEAD without", HEAD | KEEP, "200 OK", NONE, -1, H("hello"),
	    OK11 "\r\n", 'k' },
	{ "HEAD in 1.0", HTTP10 | HEAD | KEEP, "200 OK", NONE, -1, H("x"),
	    OK10 "Connection: keep-alive\r\n\r\n", 'k' },
	{ "HEAD over FastCGI", FASTCGI | HEAD | KEEP, "200 OK",
	    H("Content-Length", "5"), -1, H("hello"),
	    "Status: 200 OK\r\n" LEN(5) "\r\n<end>", 'k' },
	{ "204", KEEP, "204 No Content", H("Content-Length", "0"), -1,
	    H("no"), "HTTP/1.1 204 No Content\r\n" S "\r\n", 'k' },
	{ "304", KEEP, "304 Not Modified", H("Content-Length", "9", "ETag",
	    "x"), -1, NONE, "HTTP/1.1 304 Not Modified\r\n" S
	    "ETag: x\r\n" LEN(9) "\r\n", 'k' },
	{ "304 without a length", KEEP, "304 Not Modified", NONE, -1, NONE,
	    "HTTP/1.1 304 Not Modified\r\n" S "\r\n", 'k' },

	/* bodies that are not what was announced */
	{ "too long is cut off", KEEP, "200 OK", H("Content-Length", "3"),
	    -1, H("ab", "cd", "ef"), OK11 LEN(3) "\r\n" "abc", 'k' },
	{ "too short", KEEP, "200 OK", H("Content-Length", "3"), -1,
	    H("ab"), OK11 LEN(3) "\r\n" "ab", '!' },
	{ "too short, and said to be last", KEEP | LAST, "200 OK",
	    H("Content-Length", "3"), -1, H("ab"), OK11 LEN(3) "\r\n" "ab",
	    '!' },
	{ "too short over FastCGI", FASTCGI | KEEP, "200 OK",
	    H("Content-Length", "3"), -1, H("ab"),
	    "Status: 200 OK\r\n" LEN(3) "\r\n" "ab", '!' },
	{ "none of it: a 500", KEEP, "200 OK", H("Content-Length", "3"), -1,
	    NONE, "HTTP/1.1 500 Internal Server Error\r\n" S
	    "Content-Type: text/html\r\n" LEN(141) CLOSE "\r\n" PAGE, 'c' },
	{ "breaks off in chunks", KEEP | FAILS, "200 OK", NONE, -1, H("ab"),
	    OK11 CHUNKED "\r\n" "2\r\nab\r\n", '!' },
	{ "breaks off over FastCGI", FASTCGI | KEEP | FAILS, "200 OK", NONE,
	    -1, H("ab"), "Status: 200 OK\r\n\r\n" "ab", '!' },
	{ "fails before the head", KEEP | FAILS | PLAIN, "", NONE, -1, NONE,
	    "HTTP/1.1 500 Internal Server Error\r\n" S
	    "Content-Type: text/html\r\n" LEN(141) CLOSE "\r\n" PAGE, 'c' },
	{ "no head at all", KEEP | PLAIN, "", NONE, -1, NONE,
	    "HTTP/1.1 500 Internal Server Error\r\n" S
	    "Content-Type: text/html\r\n" LEN(141) CLOSE "\r\n" PAGE, 'c' },
	{ "fails before the head over FastCGI", FASTCGI | KEEP | FAILS |
	    PLAIN, "", NONE, -1, NONE, "Status: 500 Internal Server Error\r\n"
	    "Content-Type: text/html\r\n" LEN(141) "\r\n" PAGE "<end>", 'k' },
	{ "fails with a head, not sent yet", KEEP | FAILS, "200 OK", NONE, -1,
	    NONE, "HTTP/1.1 500 Internal Server Error\r\n" S
	    "Content-Type: text/html\r\n" LEN(141) CLOSE "\r\n" PAGE, 'c' },

	/* what the application may not say */
	{ "hop-by-hop, Server and Date are ours", KEEP, "200 OK",
	    H("Connection", "x", "SERVER", "x", "date", "x", "X", "y"), 0,
	    NONE, OK11 "X: y\r\n" LEN(0) "\r\n", 'k' },
	{ "the same beginnings", KEEP, "200 OK",
	    H("Content-Type", "a/b", "Trailer", "x", "Dat", "x", "Upgrades",
	    "x"), 0, NONE, OK11 "Content-Type: a/b\r\nTrailer: x\r\n"
	    "Dat: x\r\nUpgrades: x\r\n" LEN(0) "\r\n", 'k' },
	{ "Latin-1 and tabs pass", KEEP, "200 \xc4h", H("X", "\t\xfc"), 0,
	    NONE, "HTTP/1.1 200 \xc4h\r\n" S "X: \t\xfc\r\n" LEN(0) "\r\n",
	    'k' },
	{ "an empty value", KEEP, "200 OK", H("X", ""), 0, NONE,
	    OK11 "X: \r\n" LEN(0) "\r\n", 'k' },
	{ "a status without words", KEEP, "200", NONE, 0, NONE,
	    "HTTP/1.1 200 \r\n" S LEN(0) "\r\n", 'k' },
};

/* Heads that are refused; nothing of them may go out. */
static const struct {
	const char	*name, *status, *header[2], *more[2];
	const char	*why;
} bad[] = {
	{ "no status", "", NONE, NONE, "invalid status line" },
	{ "two digits", "20", NONE, NONE, "invalid status line" },
	{ "four digits", "2000", NONE, NONE, "invalid status line" },
	{ "letters", "2x0 OK", NONE, NONE, "invalid status line" },
	{ "zero", "000 OK", NONE, NONE, "invalid status line" },
	{ "a line more", "200 OK\r\nX: y", NONE, NONE, "invalid status line" },
	{ "NL in the status", "200 O\nK", NONE, NONE, "invalid status line" },
	{ "interim", "100 Continue", NONE, NONE,
	    "a final status is 200 or more" },
	{ "upgrade", "101 Switching", NONE, NONE,
	    "a final status is 200 or more" },
	{ "empty name", "200 OK", { "", "x" }, NONE, "invalid header name" },
	{ "blank in a name", "200 OK", { "A B", "x" }, NONE,
	    "invalid header name" },
	{ "colon in a name", "200 OK", { "A:", "x" }, NONE,
	    "invalid header name" },
	{ "NL in a name", "200 OK", { "A\n", "x" }, NONE,
	    "invalid header name" },
	{ "8-bit name", "200 OK", { "\xc4", "x" }, NONE,
	    "invalid header name" },
	{ "CR in a value", "200 OK", { "A", "x\ry" }, NONE,
	    "invalid character in a header value" },
	{ "NL in a value", "200 OK", { "A", "x\ny" }, NONE,
	    "invalid character in a header value" },
	{ "DEL in a value", "200 OK", { "A", "\x7f" }, NONE,
	    "invalid character in a header value" },
	{ "also in one of ours", "200 OK", { "Date", "x\ny" }, NONE,
	    "invalid character in a header value" },
	{ "length of letters", "200 OK", { "Content-Length", "x" }, NONE,
	    "invalid or repeated Content-Length" },
	{ "no length", "200 OK", { "Content-Length", "" }, NONE,
	    "invalid or repeated Content-Length" },
	{ "negative length", "200 OK", { "Content-Length", "-1" }, NONE,
	    "invalid or repeated Content-Length" },
	{ "19 digits", "200 OK", { "Content-Length", "1000000000000000000" },
	    NONE, "invalid or repeated Content-Length" },
	{ "two lengths", "200 OK", { "Content-Length", "1" },
	    { "content-length", "1" }, "invalid or repeated Content-Length" },
};

/* --- where it goes */

static char sent[2 << 20];
static size_t nsent;
static bool leaving;
static bool torn;	/* a call ended within a record */

/* The loop may send something of its own after any call. */
static void
look_for_torn(const struct request *rq)
{
	size_t at = 0;

	if (rq->wire->http)
		return;
	while (at + RECORD_HEADER <= nsent)
		at += RECORD_HEADER + (size_t)((uint8_t)sent[at + 4] << 8 |
		    (uint8_t)sent[at + 5]) + (uint8_t)sent[at + 6];
	if (at != nsent)
		torn = true;
}

static enum send_result
sink_send(struct request *rq, struct iovec *v, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		memcpy(sent + nsent, v[i].iov_base, v[i].iov_len);
		nsent += v[i].iov_len;
	}
	look_for_torn(rq);
	return SEND_OK;
}

static enum send_result
sink_file(struct request *rq, struct str before, int fd, off_t at, uint64_t n,
    struct str after)
{
	memcpy(sent + nsent, before.p, before.n);
	nsent += before.n;
	if (pread(fd, sent + nsent, n, at) != (ssize_t)n)
		return SEND_GONE;
	nsent += n;
	memcpy(sent + nsent, after.p, after.n);
	nsent += after.n;
	look_for_torn(rq);
	return SEND_OK;
}

static bool
sink_leaving(const struct request *rq)
{
	(void)rq;
	return leaving;
}

static const struct sink sink = {
	.send = sink_send, .file = sink_file, .leaving = sink_leaving,
};

static struct request_pool pool;

static struct request *
begin(unsigned int how)
{
	struct request *rq = request_take(&pool);

	rq->sink = &sink;
	rq->wire = how & FASTCGI ? &fastcgi_wire : &http_wire;
	rq->minor = !(how & HTTP10);
	rq->id = 7;
	rq->keep = how & KEEP;
	rq->head_only = how & HEAD;
	leaving = how & LEAVING;
	nsent = 0;
	return rq;
}

/* The date's line out; records to their content. */
static void
simplify(bool fastcgi)
{
	struct record r;
	char *out = sent, *p = sent, *end = sent + nsent, *date;
	bool whole = true;

	sent[nsent] = '\0';
	if (!fastcgi) {
		if ((date = strstr(sent, "\r\nDate: ")) != NULL) {
			memmove(date, date + 37, (size_t)(end - date) - 37);
			nsent -= 37;
		}
		sent[nsent] = '\0';
		return;
	}
	while (p < end && whole) {
		whole = record_decode(&r, (uint8_t *)p, (size_t)(end - p)) ==
		    RECORD_HEADER && r.id == 7 && r.padding == 0;
		p += RECORD_HEADER;
		if (r.type == RECORD_STDOUT && r.length > 0) {
			memmove(out, p, r.length);
			out += r.length;
		} else if (r.type == RECORD_END_REQUEST && r.length == 8 &&
		    memcmp(p, "\0\0\0\0\0", 5) == 0) {
			memcpy(out, "<end>", 5);
			out += 5;
		}
		p += r.length;
	}
	if (!whole)
		out = stpcpy(out, "<broken records>");
	nsent = (size_t)(out - sent);
	sent[nsent] = '\0';
}

static void
give(struct request *rq, const char *status, const char *const *headers,
    int64_t length, const char **why)
{
	struct header h[4];
	struct reply r = { str_of(status), h, 0, length };

	for (; r.nheaders < 4 && headers[2 * r.nheaders] != NULL; r.nheaders++)
		h[r.nheaders] = (struct header){
		    str_of(headers[2 * r.nheaders]),
		    str_of(headers[2 * r.nheaders + 1]) };
	*why = NULL;
	if (response_head(rq, &r, why) == 0)
		*why = NULL;
}

static void
check_row(size_t i)
{
	unsigned int how = rows[i].how;
	struct request *rq = begin(how);
	const char *const *b = rows[i].body, *why = NULL;
	char end;

	if (!(how & PLAIN))
		give(rq, rows[i].status, rows[i].headers, rows[i].length,
		    &why);
	for (; b < rows[i].body + 4 && *b != NULL; b++)
		(void)response_body(rq, *b, strlen(*b), (how & LAST) &&
		    (b == rows[i].body + 3 || b[1] == NULL) ? BODY_LAST : 0);
	response_finish(rq, !(how & FAILS));
	end = rq->rs.broken ? '!' : rq->keep ? 'k' : 'c';
	simplify(how & FASTCGI);
	if (!ok(why == NULL && strcmp(sent, rows[i].out) == 0 &&
	    end == rows[i].end && rq->rs.ended == (end != '!'), "%s",
	    rows[i].name))
		printf("# %c %s\n# %s\n", end, why != NULL ? why : "", sent);
	request_put(&pool, rq);
}

static void
check_bad(size_t i)
{
	struct request *rq = begin(KEEP);
	const char *const headers[6] = { bad[i].header[0], bad[i].header[1],
		bad[i].more[0], bad[i].more[1] };
	const char *why;

	give(rq, bad[i].status, headers, -1, &why);
	ok(why != NULL && strcmp(why, bad[i].why) == 0 &&
	    response_body(rq, "x", 1, 0) == SEND_GONE && nsent == 0,
	    "refused: %s (%s)", bad[i].name, why != NULL ? why : "taken");
	request_put(&pool, rq);
}

static void
check_replaced(void)
{
	struct request *rq = begin(KEEP);
	const char *none[2] = { NULL }, *type[3] = { "A", "b" }, *why;

	give(rq, "200 OK", type, 5, &why);
	give(rq, "404 Not Found", none, 0, &why);
	(void)response_body(rq, "", 0, BODY_LAST);
	simplify(false);
	ok(strcmp(sent, "HTTP/1.1 404 Not Found\r\n" S LEN(0) "\r\n") == 0,
	    "a head is replaced before it is sent");
	give(rq, "200 OK", none, 0, &why);
	ok(why != NULL && rq->rs.code == 404, "but not after");
	nsent = 0;
	ok(response_body(rq, "x", 1, 0) == SEND_GONE && nsent == 0,
	    "nothing goes out after the end");
	request_put(&pool, rq);
}

/* Heads up to RESPONSE_HEAD_MAX, and past it. */
static void
check_large_heads(void)
{
	static char value[RESPONSE_HEAD_MAX];
	static const size_t sizes[] = { 100000, RESPONSE_HEAD_MAX - 1000,
		RESPONSE_HEAD_MAX - 1 };
	struct request *rq;
	const char *headers[] = { "X", value, NULL }, *why;
	size_t i;

	for (i = 0; i < 6; i++) {
		rq = begin(KEEP | (i < 3 ? 0 : FASTCGI));
		memset(value, 'v', sizeof(value));
		value[sizes[i % 3]] = '\0';
		give(rq, "200 OK", headers, 0, &why);
		response_finish(rq, why == NULL);
		simplify(i >= 3);
		ok(i % 3 < 2 ? why == NULL && nsent > sizes[i % 3] &&
		    strcmp(sent + nsent - (i < 3 ? 4 : 9), i < 3 ?
		    "\r\n\r\n" : "\r\n\r\n<end>") == 0 : why != NULL &&
		    strstr(sent, "500 Internal") != NULL,
		    "%s, a head with %zu bytes", i < 3 ? "HTTP" : "FastCGI",
		    sizes[i % 3]);
		request_put(&pool, rq);
	}
}

/* Bodies that take several records, in memory and from a file. */
static void
check_large_bodies(void)
{
	static const size_t sizes[] = { RECORD_OUT_MAX - 20, RECORD_OUT_MAX,
		RECORD_OUT_MAX + 1, 17 * RECORD_OUT_MAX + 5 };
	const char *none[1] = { NULL }, *why;
	struct request *rq;
	size_t i, j, n;
	char *p, *body;
	FILE *f = tmpfile();
	bool good;

	for (i = 0; i < 24; i++) {
		n = sizes[i % 4];
		body = malloc(n);
		for (j = 0; j < n; j++)
			body[j] = (char)('a' + j % 26);
		rq = begin(KEEP | (i / 4 % 3 == 0 ? HTTP11 : i / 4 % 3 == 1 ?
		    HTTP10 : FASTCGI));
		give(rq, "200 OK", none, (int64_t)n, &why);
		if (i < 12)
			(void)response_body(rq, body, n, 0);
		else {
			good = pwrite(fileno(f), body, n, 3) == (ssize_t)n;
			(void)response_file(rq, good ? fileno(f) : -1, 3, n);
		}
		response_finish(rq, true);
		simplify(i / 4 % 3 == 2);
		p = strstr(sent, "\r\n\r\n");
		ok(p != NULL && memcmp(p + 4, body, n) == 0 &&
		    strcmp(p + 4 + n, i / 4 % 3 == 2 ? "<end>" : "") == 0 &&
		    rq->rs.sent == n && rq->rs.ended,
		    "%s, %zu bytes from %s", i / 4 % 3 == 0 ? "1.1" :
		    i / 4 % 3 == 1 ? "1.0" : "FastCGI", n, i < 12 ?
		    "memory" : "a file");
		request_put(&pool, rq);
		free(body);
	}
	fclose(f);
	ok(!torn, "no call tears a record");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(i);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_bad(i);
	check_replaced();
	check_large_heads();
	check_large_bodies();
	request_pool_done(&pool);
	return tap_done();
}
