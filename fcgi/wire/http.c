#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/response.h"
#include "fcgi/wire/http.h"

enum {
	NUMBER_MAX = 24,	/* a length in decimal, with its NUL */
	NO_ROOM = 503		/* from the callback for chunks */
};

/* --- requests */

/* CGI's form of a header name (RFC 3875 section 4.1.18). */
static char
cgi_byte(char c)
{
	return c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static void
cgi_name(char *out, struct str name)
{
	size_t i;

	memcpy(out, "HTTP_", 5);
	for (i = 0; i < name.n; i++)
		out[5 + i] = cgi_byte(name.p[i]);
}

static bool
cgi_same(struct str a, struct str b)
{
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		if (cgi_byte(a.p[i]) != cgi_byte(b.p[i]))
			return false;
	return true;
}

static struct var *
same_name(struct request *rq, size_t from, struct str name)
{
	size_t i;

	for (i = from; i < rq->nvars; i++)
		if (rq->vars[i].name.n == name.n &&
		    memcmp(rq->vars[i].name.p, name.p, name.n) == 0)
			return &rq->vars[i];
	return NULL;
}

/* Fields of one name are one list (RFC 9110 section 5.3; Cookie: 6265). */
static void
join(struct request *rq, struct var *v, struct str more)
{
	const char *sep = v->name.n == 11 &&
	    memcmp(v->name.p, "HTTP_COOKIE", 11) == 0 ? "; " : ",";
	size_t k = strlen(sep);
	char *p = request_mem(rq, v->value.n + k + more.n);

	memcpy(p, v->value.p, v->value.n);
	memcpy(p + v->value.n, sep, k);
	memcpy(p + v->value.n + k, more.p, more.n);
	v->value = (struct str){ p, v->value.n + k + more.n };
}

static struct str
keep(struct request *rq, struct str s)
{
	char *p = request_mem(rq, s.n);

	memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

static int
field_var(struct request *rq, size_t from, uint64_t *seen,
    const struct header *h)
{
	char *p = request_mem(rq, h->name.n + 5);
	struct str name = { p, h->name.n + 5 };
	uint64_t bit;
	struct var *v;

	cgi_name(p, h->name);
	if (name.n == 17 && memcmp(p, "HTTP_CONTENT_TYPE", 17) == 0)
		return request_var(rq, VAR_CONTENT_TYPE,
		    (struct str){ p + 5, 12 }, keep(rq, h->value));
	if (name.n == 19 && memcmp(p, "HTTP_CONTENT_LENGTH", 19) == 0)
		return request_var(rq, VAR_CONTENT_LENGTH,
		    (struct str){ p + 5, 14 }, keep(rq, h->value));
	bit = (uint64_t)1 << ((name.n + (size_t)p[5] * 7 +
	    (size_t)p[name.n - 1]) & 63);
	if ((*seen & bit) != 0 &&
	    (v = same_name(rq, from, name)) != NULL) {
		join(rq, v, h->value);
		return 0;
	}
	*seen |= bit;
	return request_var(rq, VAR_OTHER, name, keep(rq, h->value));
}

/* What joining repeated fields copies again; quadratic only in repeats. */
static size_t
join_room(const struct http_head *h)
{
	size_t i, j, total, room = 0;
	uint64_t seen = 0, bit;

	for (i = 0; i < h->nheaders; i++) {
		bit = (uint64_t)1 << ((h->headers[i].name.n * 5 +
		    (size_t)cgi_byte(h->headers[i].name.p[0])) & 63);
		if ((seen & bit) == 0) {
			seen |= bit;
			continue;
		}
		total = 0;
		for (j = 0; j < i; j++)
			if (cgi_same(h->headers[j].name,
			    h->headers[i].name))
				total += h->headers[j].value.n + 2;
		if (total > 0)
			room += total + h->headers[i].value.n;
	}
	return room;
}

/* Passenger's own fields, which it lets no client send. */
static bool
is_passengers(struct str name)
{
	return name.n > 2 && name.p[0] == '!' && name.p[1] == '~';
}

static struct str
passengers(const struct http_head *h, const char *name)
{
	size_t i;

	for (i = 0; i < h->nheaders; i++)
		if (is_passengers(h->headers[i].name) &&
		    str_is_nocase(h->headers[i].name, name))
			return h->headers[i].value;
	return STR("");
}

static bool
is_https(const struct wire_config *c, const struct peer *peer,
    const struct http_head *h, bool *contradict)
{
	const char *colon;
	bool https = false, seen = false, yes;
	size_t i, j, n;

	*contradict = false;
	if (c->passenger != NULL)
		return str_is(passengers(h, "!~Passenger-Proto"), "https");
	if (!peer->trusted)
		return false;
	for (i = 0; i < c->nsecure; i++) {
		if ((colon = strchr(c->secure_headers[i], ':')) == NULL)
			continue;
		n = (size_t)(colon - c->secure_headers[i]);
		for (j = 0; j < h->nheaders; j++) {
			if (h->headers[j].name.n != n || strncasecmp(
			    h->headers[j].name.p, c->secure_headers[i], n) != 0)
				continue;
			yes = str_is(h->headers[j].value, colon + 1);
			if (seen && yes != https)
				*contradict = true;
			seen = true;
			https = yes;
		}
	}
	return https;
}

/* Where a proxy says that the application is mounted, or else we. */
static struct str
mount_of(const struct wire_config *c, const struct peer *peer,
    const struct http_head *h)
{
	struct str mount = c->script_name != NULL ? str_of(c->script_name) :
	    STR("");
	size_t i;

	for (i = 0; peer->trusted && c->passenger == NULL &&
	    i < h->nheaders; i++)
		if (str_is_nocase(h->headers[i].name, "SCRIPT_NAME"))
			mount = h->headers[i].value;
	while (mount.n > 0 && mount.p[mount.n - 1] == '/')
		mount.n--;
	return mount;
}

/* SCRIPT_NAME is the mount; PATH_INFO is what follows it. */
static int
path_vars(struct request *rq, const struct http_head *h, struct str mount,
    struct http_refusal *no)
{
	char *p = request_mem(rq, h->path.n + 1);
	ssize_t n;

	if ((n = http_path_decode(p, h->path.p, h->path.n)) == -1) {
		*no = (struct http_refusal){ 400, "bad escape in the path" };
		return -1;
	}
	if (mount.n > 0 && (size_t)n >= mount.n &&
	    memcmp(p, mount.p, mount.n) == 0 &&
	    ((size_t)n == mount.n || p[mount.n] == '/')) {
		p += mount.n;
		n -= (ssize_t)mount.n;
	} else
		mount = STR("");
	(void)request_var(rq, VAR_SCRIPT_NAME, STR("SCRIPT_NAME"),
	    keep(rq, mount));
	(void)request_var(rq, VAR_PATH_INFO, STR("PATH_INFO"),
	    (struct str){ p, (size_t)n });
	return 0;
}

/* HOST, HOST:PORT, [v6] or [v6]:PORT, where it has them. */
static void
host_split(struct str host, struct str *name, struct str *port)
{
	const char *colon = memrchr(host.p, ':', host.n);
	const char *bracket = memrchr(host.p, ']', host.n);
	size_t n;

	if (colon == NULL || (bracket != NULL && colon < bracket))
		colon = host.p + host.n;
	if ((n = (size_t)(colon - host.p)) > 0)
		*name = (struct str){ host.p, n };
	if (n + 1 < host.n)
		*port = (struct str){ colon + 1, host.n - n - 1 };
}

static void
peer_vars(struct request *rq, const struct wire_config *c,
    const struct peer *peer, const struct http_head *h)
{
	struct str name = peer->server_name, port = peer->server_port,
	    addr = { peer->addr, peer->addr_n }, real = STR("");
	bool between = c->passenger != NULL;

	if (between)
		real = passengers(h, "!~Passenger-Client-Address");
	if (real.n > 0)
		addr = real;
	/* On a socket without a name it is what was asked for. */
	if (peer->unix_socket || between) {
		name = STR("localhost");
		port = rq->pub.https ? STR("443") : STR("80");
		host_split(keep(rq, h->host), &name, &port);
	}
	(void)request_var(rq, VAR_SERVER_NAME, STR("SERVER_NAME"), name);
	(void)request_var(rq, VAR_SERVER_PORT, STR("SERVER_PORT"), port);
	(void)request_var(rq, VAR_REMOTE_ADDR, STR("REMOTE_ADDR"),
	    keep(rq, addr));
	if (!peer->unix_socket && !between)
		(void)request_var(rq, VAR_REMOTE_PORT, STR("REMOTE_PORT"),
		    keep(rq, (struct str){ peer->port, peer->port_n }));
}

static int
fill_request(struct request *rq, const struct wire_config *c,
    const struct peer *peer, const struct http_head *h, size_t size,
    struct http_refusal *no)
{
	struct str target, mount = mount_of(c, peer, h);
	bool contradict;
	uint64_t seen = 0;
	size_t i, from;

	/* Names grow by 5 bytes; the path is kept twice, and so is the host,
	 * which may be in the target as well. */
	if (request_reserve(rq, 2 * size + h->host.n + mount.n +
	    6 * h->nheaders + join_room(h) + 128 + NUMBER_MAX) == -1) {
		*no = (struct http_refusal){ 431, "head too large" };
		return -1;
	}
	rq->pub.https = is_https(c, peer, h, &contradict);
	if (contradict) {
		*no = (struct http_refusal){ 400,
		    "contradictory scheme headers" };
		return -1;
	}
	rq->minor = (uint8_t)h->minor;
	rq->keep = h->keep_alive && !c->no_keep;
	rq->head_only = str_is(h->method, "HEAD");
	(void)request_var(rq, VAR_REQUEST_METHOD, STR("REQUEST_METHOD"),
	    keep(rq, h->method));
	target = keep(rq, h->target);
	(void)request_var(rq, VAR_RAW_URI, STR("RAW_URI"), target);
	(void)request_var(rq, VAR_REQUEST_URI, STR("REQUEST_URI"), target);
	if (path_vars(rq, h, mount, no) == -1)
		return -1;
	(void)request_var(rq, VAR_QUERY_STRING, STR("QUERY_STRING"),
	    keep(rq, h->query));
	(void)request_var(rq, VAR_SERVER_PROTOCOL, STR("SERVER_PROTOCOL"),
	    h->minor == 0 ? STR("HTTP/1.0") : STR("HTTP/1.1"));
	peer_vars(rq, c, peer, h);
	from = rq->nvars;
	for (i = 0; i < h->nheaders; i++) {
		/* The body's framing ended here: what follows is its bytes. */
		if (h->chunked && str_is_nocase(h->headers[i].name,
		    "transfer-encoding"))
			continue;
		if (c->passenger != NULL &&
		    is_passengers(h->headers[i].name))
			continue;
		if (field_var(rq, from, &seen, &h->headers[i]) == -1) {
			*no = (struct http_refusal){ 431, "too many headers" };
			return -1;
		}
	}
	return 0;
}

static enum session_event
refuse(struct http_session *s, int status, const char *why)
{
	s->no = (struct http_refusal){ status, why };
	return SESSION_REFUSED;
}

enum session_event
http_body_start(struct http_session *s, const struct wire_config *c,
    bool chunked, int64_t length)
{
	s->rq->pub.has_body = chunked || length >= 0;
	if (!chunked && length <= 0) {
		s->rq->pub.body_length = 0;
		return SESSION_REQUEST;
	}
	if (length > 0 && c->body_max != 0 && (uint64_t)length > c->body_max)
		return refuse(s, 413, "body larger than limit_request_body");
	if (chunked)
		return (s->chunks = http_chunks_new()) == NULL ?
		    SESSION_MEMORY : SESSION_MORE;
	s->left = (uint64_t)length;
	if (body_expect(&s->rq->body, s->left) == -1)
		return SESSION_MEMORY;
	return SESSION_MORE;
}

static enum session_event
feed_head(struct http_session *s, const struct wire_config *c,
    const struct peer *peer, struct request_pool *pool, char *p, size_t n,
    size_t scanned, size_t *used)
{
	struct header headers[HTTP_HEADERS_MAX];
	enum session_event ev;
	struct http_head h;
	size_t skip = 0, size;

	/* RFC 9112 section 2.2: an empty line before the request line. */
	while (skip + 1 < n && p[skip] == '\r' && p[skip + 1] == '\n' &&
	    skip < 4)
		skip += 2;
	size = http_head_end(p + skip, n - skip,
	    scanned > skip ? scanned - skip : 0);
	if (size == 0) {
		*used = 0;
		if (c->limits.request_line != 0 &&
		    n - skip > c->limits.request_line + 2 &&
		    memchr(p + skip, '\n', c->limits.request_line + 2) == NULL)
			return refuse(s, 400, "request line too large");
		return SESSION_MORE;
	}
	h.headers = headers;
	if (http_head_decode(&h, p + skip, size, &c->limits, peer->trusted,
	    &s->no) == -1)
		return SESSION_REFUSED;
	if ((s->rq = request_take(pool)) == NULL)
		return SESSION_MEMORY;
	s->rq->wire = &http_wire;
	if (fill_request(s->rq, c, peer, &h, size, &s->no) == -1)
		return SESSION_REFUSED;
	*used = skip + size;
	ev = http_body_start(s, c, h.chunked,
	    h.has_length ? (int64_t)h.length : -1);
	s->expect = h.expect && ev == SESSION_MORE;
	return ev;
}

static int
chunk_data(void *arg, const char *p, size_t n)
{
	struct request *rq = arg;

	return body_add(&rq->body, p, n) == -1 ? NO_ROOM : 0;
}

static enum session_event
whole(struct http_session *s)
{
	if (body_complete(&s->rq->body) == -1)
		return SESSION_MEMORY;
	s->rq->pub.body_length = s->rq->body.total;
	return SESSION_REQUEST;
}

/* The chunks are undone: now it is known how long it is, and applications
 * that ask for no more than that get all of it. */
static void
set_length(struct request *rq)
{
	char *p = request_mem(rq, NUMBER_MAX);
	int n;

	n = snprintf(p, NUMBER_MAX, "%llu",
	    (unsigned long long)rq->pub.body_length);
	(void)request_var(rq, VAR_CONTENT_LENGTH, STR("CONTENT_LENGTH"),
	    (struct str){ p, (size_t)n });
}

static enum session_event
feed_chunks(struct http_session *s, const struct wire_config *c,
    const char *p, size_t n, size_t *used)
{
	enum session_event ev;
	bool done = false;
	ssize_t k;

	if ((k = http_chunks_feed(s->chunks, p, n, chunk_data, s->rq, &done,
	    &s->no)) == -1)
		return s->no.status == NO_ROOM ? SESSION_MEMORY :
		    SESSION_REFUSED;
	*used += (size_t)k;
	if (c->body_max != 0 && s->rq->body.total > c->body_max)
		return refuse(s, 413, "body larger than limit_request_body");
	if (!done)
		return SESSION_MORE;
	http_chunks_free(s->chunks);
	s->chunks = NULL;
	ev = whole(s);
	/* Elsewhere there is none, as with gunicorn. */
	if (ev == SESSION_REQUEST && c->passenger != NULL)
		set_length(s->rq);
	return ev;
}

static enum session_event
feed_length(struct http_session *s, const char *p, size_t n, size_t *used)
{
	size_t k = s->left < n ? (size_t)s->left : n;

	if (body_add(&s->rq->body, p, k) == -1)
		return SESSION_MEMORY;
	*used += k;
	s->left -= k;
	return s->left == 0 ? whole(s) : SESSION_MORE;
}

enum session_event
http_body_feed(struct http_session *s, const struct wire_config *c,
    const char *p, size_t n, size_t *used)
{
	if (n == 0)
		return SESSION_MORE;
	return s->chunks != NULL ? feed_chunks(s, c, p, n, used) :
	    feed_length(s, p, n, used);
}

enum session_event
http_feed(struct http_session *s, const struct wire_config *c,
    const struct peer *peer, struct request_pool *pool, char *p, size_t n,
    size_t scanned, size_t *used)
{
	enum session_event ev;

	*used = 0;
	if (s->rq == NULL) {
		ev = feed_head(s, c, peer, pool, p, n, scanned, used);
		if (ev != SESSION_MORE || s->rq == NULL)
			return ev;
		if (s->expect && *used == n) {	/* it waits for our word */
			s->expect = false;
			return SESSION_CONTINUE;
		}
		s->expect = false;
	}
	return http_body_feed(s, c, p + *used, n - *used, used);
}

char *
http_space(struct http_session *s, size_t *room)
{
	char *p;

	if (s->rq == NULL || s->chunks != NULL || s->left == 0 ||
	    (p = body_space(&s->rq->body, room)) == NULL)
		return NULL;
	if (*room > s->left)
		*room = (size_t)s->left;
	return p;
}

enum session_event
http_spaced(struct http_session *s, size_t n)
{
	body_commit(&s->rq->body, n);
	s->left -= n;
	return s->left == 0 ? whole(s) : SESSION_MORE;
}

enum session_event
http_body_file(struct http_session *s, int fd, uint64_t n)
{
	if (s->rq == NULL || s->chunks != NULL || s->left != n) {
		(void)close(fd);
		return refuse(s, 500, "a body without its head");
	}
	s->left = 0;
	return body_give_file(&s->rq->body, fd, n) == -1 ? SESSION_MEMORY :
	    whole(s);
}

void
http_session_done(struct http_session *s, struct request_pool *pool)
{
	if (s->rq != NULL)
		request_put(pool, s->rq);
	http_chunks_free(s->chunks);
	*s = (struct http_session){ 0 };
}

/* --- responses */

static const char *
http_date(void)
{
	static _Thread_local time_t then = -1;
	static _Thread_local char date[64];
	time_t now = time(NULL);
	struct tm tm;

	if (now != then && gmtime_r(&now, &tm) != NULL) {
		/* Names are English whatever the locale (RFC 9110 5.6.7). */
		static const char days[] = "SunMonTueWedThuFriSat",
		    months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

		snprintf(date, sizeof(date),
		    "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
		    days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
		    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
		then = now;
	}
	return date;
}

static int
http_reply_head(struct request *rq, const struct reply *r, const char **why)
{
	struct buffer *out = &rq->rs.out;

	if (buffer_reserve(out, 256 + r->status.n, RESPONSE_HEAD_MAX) == -1) {
		*why = "response head too large";
		return -1;
	}
	(void)buffer_add(out, rq->minor == 0 ? "HTTP/1.0 " : "HTTP/1.1 ", 9,
	    RESPONSE_HEAD_MAX);
	(void)buffer_add(out, r->status.p, r->status.n, RESPONSE_HEAD_MAX);
	/* RFC 9112 section 4: the blank is there without a reason too. */
	if (r->status.n == 3)
		(void)buffer_add(out, " ", 1, RESPONSE_HEAD_MAX);
	(void)buffer_add(out, "\r\nServer: gangway\r\n", 19,
	    RESPONSE_HEAD_MAX);
	(void)buffer_add(out, http_date(), 37, RESPONSE_HEAD_MAX);
	return response_fields(rq, r, why);
}

static int
http_reply_framing(struct request *rq, int64_t length)
{
	struct buffer *out = &rq->rs.out;

	if (buffer_reserve(out, 128, RESPONSE_HEAD_MAX + 128) == -1)
		return -1;
	if (rq->rs.chunked)
		(void)buffer_add(out, "Transfer-Encoding: chunked\r\n", 28,
		    RESPONSE_HEAD_MAX + 128);
	else if (length >= 0)
		(void)response_length(rq, length);
	if (!rq->keep)
		(void)buffer_add(out, "Connection: close\r\n", 19,
		    RESPONSE_HEAD_MAX + 128);
	else if (rq->minor == 0)
		(void)buffer_add(out, "Connection: keep-alive\r\n", 24,
		    RESPONSE_HEAD_MAX + 128);
	return buffer_add(out, "\r\n", 2, RESPONSE_HEAD_MAX + 128);
}

static size_t
http_open(struct request *rq, uint64_t n, char prefix[WIRE_PREFIX],
    uint64_t *piece)
{
	*piece = n;
	if (!rq->rs.chunked)
		return 0;
	return (size_t)snprintf(prefix, WIRE_PREFIX, "%llx\r\n",
	    (unsigned long long)n);
}

static struct str
http_close(struct request *rq)
{
	return rq->rs.chunked ? STR("\r\n") : STR("");
}

static size_t
http_end(struct request *rq, char tail[WIRE_TAIL])
{
	if (!rq->rs.chunked)
		return 0;
	memcpy(tail, "0\r\n\r\n", 5);
	return 5;
}

const struct wire http_wire = {
	.head = http_reply_head, .framing = http_reply_framing,
	.http = true, .open = http_open, .close = http_close,
	.end = http_end,
};

size_t
http_error_page(char *out, size_t cap, int status, const char *why)
{
	const char *reason = http_reason(status);
	char body[1024];
	int n, k;

	n = snprintf(body, sizeof(body), "<html>\n  <head>\n"
	    "    <title>%s</title>\n  </head>\n  <body>\n"
	    "    <h1><p>%s</p></h1>\n    %s\n  </body>\n</html>\n",
	    reason, reason, why);
	if (n < 0 || (size_t)n >= sizeof(body))
		n = 0;
	k = snprintf(out, cap, "HTTP/1.1 %d %s\r\nServer: gangway\r\n%s"
	    "Connection: close\r\nContent-Type: text/html\r\n"
	    "Content-Length: %d\r\n\r\n%.*s", status, reason, http_date(), n,
	    n, body);
	return k < 0 || (size_t)k >= cap ? 0 : (size_t)k;
}
