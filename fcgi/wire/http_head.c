#include "config.h"

#include <string.h>

#include <llhttp.h>

#include "fcgi/wire/http_head.h"

/* Fields of which a second one is refused, and words of Connection. */
enum {
	SEEN_HOST = 1, SEEN_LENGTH = 2, SEEN_CODING = 4, SEEN_TYPE = 8,
	SEEN_CLOSE = 16, SEEN_KEEP_ALIVE = 32
};

struct reader {
	struct http_head	 h;
	const struct http_limits *limits;
	struct http_refusal	*no;
	size_t			 max;		/* room for headers */
	unsigned int		 seen;
	bool			 trusted;
	struct str		 authority;	/* of an absolute target */
	struct str		 name, value;	/* the field being read */
};

size_t
http_head_end(const char *p, size_t n, size_t from)
{
	const char *end = p + n, *q;

	/* Two bytes of what was seen may begin the end. A bare LF ends the
	 * head as well: better refused at once than waited for. */
	q = p + (from > 2 ? from - 2 : 0);
	while (q < end && (q = memchr(q, '\n', (size_t)(end - q))) != NULL) {
		q++;
		if (q < end && *q == '\n')
			return (size_t)(q + 1 - p);
		if (end - q >= 2 && q[0] == '\r' && q[1] == '\n')
			return (size_t)(q + 2 - p);
	}
	return 0;
}

/* Is it uri-host [":" port] (RFC 9110 section 7.2)? */
static bool
host_valid(struct str s)
{
	const char *p = s.p, *end = s.p + s.n;

	if (p < end && *p == '[') {
		for (p++; p < end && *p != ']'; p++)
			if (!http_is(*p, HTTP_HOST) || *p == '[')
				return false;
		if (p++ == end)
			return false;
	} else
		while (p < end && http_is(*p, HTTP_HOST) && *p != ':' &&
		    *p != '[' && *p != ']')
			p++;
	if (p < end && *p == ':')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++)
			continue;
	return p == end;
}

static int
method_check(struct reader *r, char *p, size_t n)
{
	const struct http_limits *l = r->limits;
	unsigned int class = l->any_method ? HTTP_TOKEN : HTTP_METHOD;
	size_t i;

	if (n == 0 || (!l->any_method && (n < 3 || n > 20)))
		return http_refuse(r->no, 400, "bad length of the method");
	for (i = 0; i < n; i++)
		if (!http_is(p[i], class))
			return http_refuse(r->no, 400, "bad byte in a method");
	if (l->casefold_method)
		for (i = 0; i < n; i++)
			if (p[i] >= 'a' && p[i] <= 'z')
				p[i] = (char)(p[i] - 'a' + 'A');
	r->h.method = (struct str){ p, n };
	if (text_is(r->h.method, "CONNECT"))
		return http_refuse(r->no, 501, "CONNECT is for proxies");
	return 0;
}

/* "HTTP/1.1": a later minor version is read as 1.1 (RFC 9110 2.5). */
static int
version_check(struct reader *r, const char *p, size_t n)
{
	if (n != 8 || memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' ||
	    p[5] < '0' || p[5] > '9' || p[7] < '0' || p[7] > '9')
		return http_refuse(r->no, 400, "bad HTTP version");
	if (p[5] != '1' && !r->limits->any_version)
		return http_refuse(r->no, 505, "HTTP version is not 1.x");
	r->h.minor = p[5] > '1' || (p[5] == '1' && p[7] > '0');
	return 0;
}

/* scheme "://" authority: take it off *p, and keep the authority. */
static int
authority_take(struct reader *r, const char **p, const char *end)
{
	const char *q = *p, *from;

	if ((*q | 0x20) < 'a' || (*q | 0x20) > 'z')
		return http_refuse(r->no, 400, "bad request target");
	while (q < end && http_is(*q, HTTP_HOST) && *q != ':')
		q++;
	if (end - q < 3 || memcmp(q, "://", 3) != 0)
		return http_refuse(r->no, 400, "bad request target");
	from = q += 3;
	while (q < end && *q != '/' && *q != '?' && *q != '#')
		q++;
	r->authority = (struct str){ from, (size_t)(q - from) };
	if (r->authority.n == 0 || !host_valid(r->authority))
		return http_refuse(r->no, 400, "bad host in the target");
	*p = q;
	return 0;
}

static int
target_check(struct reader *r, const char *p, size_t n)
{
	const char *end = p + n, *q;
	struct http_head *h = &r->h;

	for (q = p; q < end && http_is(*q, HTTP_TARGET); q++)
		continue;
	if (n == 0 || q < end)
		return http_refuse(r->no, 400, "bad byte in the target");
	h->target = (struct str){ p, n };
	if (*p == '*') {
		if (n != 1 || !text_is(h->method, "OPTIONS"))
			return http_refuse(r->no, 400, "bad request target");
	} else if (*p != '/' && authority_take(r, &p, end) == -1)
		return -1;
	if ((q = memchr(p, '#', (size_t)(end - p))) != NULL)
		end = q;
	h->query = (struct str){ end, 0 };
	if ((q = memchr(p, '?', (size_t)(end - p))) != NULL) {
		h->query = (struct str){ q + 1, (size_t)(end - q - 1) };
		end = q;
	}
	h->path = (struct str){ p, (size_t)(end - p) };
	if (h->path.n == 0)
		h->path = (struct str){ "/", 1 };
	return 0;
}

/* The request line. Where the fields begin, NULL when it is refused. */
static char *
line_read(struct reader *r, char *p, char *end)
{
	char *lf = memchr(p, '\n', (size_t)(end - p)), *target, *version;

	if (lf == p || lf[-1] != '\r') {
		http_refuse(r->no, 400, "LF without CR");
		return NULL;
	}
	end = lf - 1;
	if (r->limits->request_line != 0 &&
	    (size_t)(end - p) > r->limits->request_line) {
		http_refuse(r->no, 400, "request line is too long");
		return NULL;
	}
	if ((target = memchr(p, ' ', (size_t)(end - p))) == NULL ||
	    (version = memchr(target + 1, ' ',
	    (size_t)(end - target - 1))) == NULL) {
		http_refuse(r->no, 400, "bad request line");
		return NULL;
	}
	if (method_check(r, p, (size_t)(target - p)) == -1 ||
	    version_check(r, version + 1, (size_t)(end - version - 1)) == -1 ||
	    target_check(r, target + 1, (size_t)(version - target - 1)) == -1)
		return NULL;
	return lf + 1;
}

/*
 * Look at one raw field before llhttp does. The end of a head, CR LF CR LF,
 * stops every loop here. Where the next field begins, NULL when refused.
 */
static char *
field_check(struct reader *r, char *p)
{
	const struct http_limits *l = r->limits;
	char *line = p, *name;

	while (http_is(*p, HTTP_TOKEN))
		p++;
	name = p;
	if (l->strip_spaces && name > line) {
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p == ':' && p > name) {
			*p = ' ';
			*name = ':';
			p = name;
		}
	}
	if (name == line || *p != ':') {
		http_refuse(r->no, 400, *name == ' ' || *name == '\t' ?
		    "white space around a field name" : "bad field name");
		return NULL;
	}
	for (p++;;) {
		while (http_is(*p, HTTP_VALUE))
			p++;
		if (p[0] != '\r' || p[1] != '\n') {
			http_refuse(r->no, 400, "control byte in a field");
			return NULL;
		}
		if (p[2] != ' ' && p[2] != '\t')
			break;
		if (!l->obsolete_folding) {
			http_refuse(r->no, 400, "folded field");
			return NULL;
		}
		p[0] = p[1] = ' ';
	}
	p += 2;
	if (l->field_size != 0 && (size_t)(p - line) > l->field_size) {
		http_refuse(r->no, 431, "header field is too large");
		return NULL;
	}
	return p;
}

static int
fields_check(struct reader *r, char *p, const char *end)
{
	size_t n;

	for (n = 0; p != end; n++) {
		if (n == r->max)
			return http_refuse(r->no, 431, "too many fields");
		if ((p = field_check(r, p)) == NULL)
			return -1;
	}
	return 0;
}

/* Note a field that may come once; -1 when it came before. */
static int
once(struct reader *r, unsigned int bit, const char *why)
{
	if (r->seen & bit)
		return http_refuse(r->no, 400, why);
	r->seen |= bit;
	return 0;
}

static int
field_host(struct reader *r)
{
	if (once(r, SEEN_HOST, "second Host") == -1)
		return -1;
	if (!host_valid(r->value))
		return http_refuse(r->no, 400, "bad Host");
	/* RFC 9112 section 3.2.2: the target's host goes before. */
	if (r->authority.p != NULL)
		r->value = r->authority;
	r->h.host = r->value;
	return 0;
}

static int
field_length(struct reader *r)
{
	uint64_t v = 0;
	size_t i;

	if (once(r, SEEN_LENGTH, "second Content-Length") == -1)
		return -1;
	if (r->value.n == 0)
		return http_refuse(r->no, 400, "bad Content-Length");
	for (i = 0; i < r->value.n; i++) {
		if (r->value.p[i] < '0' || r->value.p[i] > '9')
			return http_refuse(r->no, 400, "bad Content-Length");
		if (v > INT64_MAX / 10)
			return http_refuse(r->no, 400, "huge Content-Length");
		v = v * 10 + (uint64_t)(r->value.p[i] - '0');
	}
	if (v > INT64_MAX)
		return http_refuse(r->no, 400, "huge Content-Length");
	r->h.has_length = true;
	r->h.length = v;
	return 0;
}

static int
field_coding(struct reader *r)
{
	const char word[] = "chunked";

	if (once(r, SEEN_CODING, "second Transfer-Encoding") == -1)
		return -1;
	if (r->h.minor == 0)
		return http_refuse(r->no, 400, "Transfer-Encoding in HTTP/1.0");
	if (!text_is(r->value, "chunked")) {
		/* Chunked must be the last coding, and is the only one. */
		if (r->value.n == 0 || (r->value.n >= sizeof(word) - 1 &&
		    strncasecmp(r->value.p, word, sizeof(word) - 1) == 0))
			return http_refuse(r->no, 400, "bad Transfer-Encoding");
		return http_refuse(r->no, 501, "unknown Transfer-Encoding");
	}
	r->h.chunked = true;
	return 0;
}

static void
field_connection(struct reader *r)
{
	const char *p = r->value.p, *end = p + r->value.n, *comma;
	struct str word;

	for (; p < end; p = comma + 1) {
		if ((comma = memchr(p, ',', (size_t)(end - p))) == NULL)
			comma = end;
		while (p < comma && (*p == ' ' || *p == '\t'))
			p++;
		word = (struct str){ p, (size_t)(comma - p) };
		while (word.n > 0 && (p[word.n - 1] == ' ' ||
		    p[word.n - 1] == '\t'))
			word.n--;
		if (text_is(word, "close"))
			r->seen |= SEEN_CLOSE;
		else if (text_is(word, "keep-alive"))
			r->seen |= SEEN_KEEP_ALIVE;
	}
}

static int
field_expect(struct reader *r)
{
	if (r->h.minor == 0)
		return 0;
	if (!text_is(r->value, "100-continue"))
		return http_refuse(r->no, 417, "unknown Expect");
	r->h.expect = true;
	return 0;
}

/* An underscore makes two names of the wire one CGI name. 1: take the
 * field, 0: leave it out, -1: refuse. */
static int
field_underscore(struct reader *r)
{
	const char *const *f = r->limits->forwarder;

	for (; r->trusted && f != NULL && *f != NULL; f++)
		if (strcmp(*f, "*") == 0 || (strlen(*f) == r->name.n &&
		    strncasecmp(*f, r->name.p, r->name.n) == 0))
			return 1;
	switch (r->limits->header_map) {
	case HEADER_REFUSE:
		return http_refuse(r->no, 400, "underscore in a field name");
	case HEADER_DANGEROUS:
		return 1;
	default:
		return 0;
	}
}

/* What we must know of a field. 1: hand it on, 0: leave it out, -1. */
static int
field_read(struct reader *r)
{
	int take;

	if (memchr(r->name.p, '_', r->name.n) != NULL) {
		if ((take = field_underscore(r)) != 1)
			return take;
		/* These say what the body is; nobody may by an alias. */
		return !text_is(r->name, "Content_Length") &&
		    !text_is(r->name, "Content_Type") &&
		    !text_is(r->name, "Transfer_Encoding");
	}
	switch (r->name.n) {
	case 4:
		if (text_is(r->name, "Host") && field_host(r) == -1)
			return -1;
		break;
	case 5:		/* HTTP_PROXY means something else to programs */
		return !text_is(r->name, "Proxy");
	case 6:
		if (text_is(r->name, "Expect") && field_expect(r) == -1)
			return -1;
		break;
	case 10:
		if (text_is(r->name, "Connection"))
			field_connection(r);
		break;
	case 12:
		if (text_is(r->name, "Content-Type") &&
		    once(r, SEEN_TYPE, "second Content-Type") == -1)
			return -1;
		break;
	case 14:
		if (text_is(r->name, "Content-Length") && field_length(r) == -1)
			return -1;
		break;
	case 17:
		if (text_is(r->name, "Transfer-Encoding") &&
		    field_coding(r) == -1)
			return -1;
		break;
	}
	return 1;
}

static int
on_name(llhttp_t *parser, const char *p, size_t n)
{
	struct reader *r = parser->data;

	r->name = (struct str){ p, n };
	r->value = (struct str){ p + n, 0 };
	return 0;
}

static int
on_value(llhttp_t *parser, const char *p, size_t n)
{
	struct reader *r = parser->data;

	r->value = (struct str){ p, n };
	return 0;
}

static int
on_field(llhttp_t *parser)
{
	struct reader *r = parser->data;
	struct str *v = &r->value;
	int take;

	while (v->n > 0 && (v->p[v->n - 1] == ' ' || v->p[v->n - 1] == '\t'))
		v->n--;
	if ((take = field_read(r)) == 1 && r->h.nheaders < r->max)
		r->h.headers[r->h.nheaders++] =
		    (struct header){ r->name, r->value };
	return take == -1 ? -1 : 0;
}

static int
on_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;	/* the body is another buffer's */
}

static const llhttp_settings_t settings = {
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_field,
	.on_headers_complete = on_end
};

/* llhttp knows a fixed set of methods and accepts odd targets: it gets a
 * plain request line instead of the real one, and the real fields. */
static int
fields_read(struct reader *r, const char *p, size_t n)
{
	static const char first[2][17] = {
		"GET / HTTP/1.0\r\n", "GET / HTTP/1.1\r\n"
	};
	llhttp_t parser;
	llhttp_errno_t e;

	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = r;
	r->no->status = 0;
	if ((e = llhttp_execute(&parser, first[r->h.minor], 16)) == HPE_OK)
		e = llhttp_execute(&parser, p, n);
	if (e != HPE_PAUSED)
		return r->no->status != 0 ? -1 : http_refuse(r->no, 400,
		    e == HPE_OK ? "bad head" :
		    llhttp_get_error_reason(&parser));
	if (r->h.chunked && r->h.has_length)
		return http_refuse(r->no, 400,
		    "Content-Length with Transfer-Encoding");
	/* Two readers of the framing must agree, or one is being fooled. */
	if (r->h.chunked != !!(parser.flags & F_CHUNKED) ||
	    r->h.has_length != !!(parser.flags & F_CONTENT_LENGTH) ||
	    r->h.length != parser.content_length)
		return http_refuse(r->no, 400, "contradictory body length");
	return 0;
}

int
http_head_decode(struct http_head *h, char *p, size_t n,
    const struct http_limits *limits, bool trusted, struct http_refusal *no)
{
	struct reader r = {
		.h.headers = h->headers, .limits = limits, .no = no,
		.max = HTTP_HEADERS_MAX, .trusted = trusted
	};
	char *end = p + n, *fields;

	if (limits->fields != 0 && limits->fields < r.max)
		r.max = limits->fields;
	if (n < 4 || memcmp(end - 4, "\r\n\r\n", 4) != 0)
		return http_refuse(no, 400, "LF without CR");
	if ((fields = line_read(&r, p, end)) == NULL ||
	    fields_check(&r, fields, end - 2) == -1 ||
	    fields_read(&r, fields, (size_t)(end - fields)) == -1)
		return -1;
	if (r.h.host.p == NULL && r.h.minor > 0)
		return http_refuse(no, 400, "no Host");
	if (r.authority.p != NULL)
		r.h.host = r.authority;
	r.h.keep_alive = !(r.seen & SEEN_CLOSE) &&
	    (r.h.minor > 0 || (r.seen & SEEN_KEEP_ALIVE));
	*h = r.h;
	return 0;
}
