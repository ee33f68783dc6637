#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

#include "fcgi/log.h"
#include "fcgi/response.h"
#include "fcgi/wire/http_head.h"

enum {
	PIECES = 16,		/* framed and sent in one call */
	JOIN = 1024		/* up to so many bytes are joined first */
};

static bool keep_heads;

void
response_keep_heads(bool keep)
{
	keep_heads = keep;
}

/* --- the head */

/* RFC 9110 section 5.6.2 */
static const bool token[256] = {
	['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true,
	['\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
	['^'] = true, ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
	['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true,
};

/* Visible bytes, blanks and obs-text (RFC 9110 section 5.5). */
static const bool text[256] = {
	['\t'] = true, [' ' ... '~'] = true, [0x80 ... 0xff] = true,
};

static bool
is_all(const bool class[256], struct str s)
{
	bool all = true;
	size_t i;

	for (i = 0; i < s.n; i++)
		all &= class[(unsigned char)s.p[i]];
	return all;
}

static int
status_code(struct str s)
{
	if (s.n < 3 || s.p[0] < '1' || s.p[0] > '9' ||
	    !isdigit((unsigned char)s.p[1]) ||
	    !isdigit((unsigned char)s.p[2]) || (s.n > 3 && s.p[3] != ' ') ||
	    !is_all(text, s))
		return -1;
	return (s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + s.p[2] - '0';
}

/* Framing and identity are the server's; so are hop-by-hop fields. */
static bool
is_ours(struct str name)
{
	switch (name.n) {
	case 2:
		return str_is_nocase(name, "te");
	case 4:
		return str_is_nocase(name, "date");
	case 6:
		return str_is_nocase(name, "server");
	case 7:
		return str_is_nocase(name, "upgrade");
	case 8:
		return str_is_nocase(name, "trailers");
	case 10:
		return str_is_nocase(name, "connection") ||
		    str_is_nocase(name, "keep-alive");
	case 17:
		return str_is_nocase(name, "transfer-encoding");
	case 18:
		return str_is_nocase(name, "proxy-authenticate");
	case 19:
		return str_is_nocase(name, "proxy-authorization");
	default:
		return false;
	}
}

static int
parse_length(struct str s, int64_t *length)
{
	int64_t v = 0;
	size_t i;

	if (s.n == 0 || s.n > 18)
		return -1;
	for (i = 0; i < s.n; i++) {
		if (!isdigit((unsigned char)s.p[i]))
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	*length = v;
	return 0;
}

static int
field(struct request *rq, const struct header *h, const char **why)
{
	struct buffer *out = &rq->rs.out;
	char *p;

	if (h->name.n == 0 || !is_all(token, h->name)) {
		*why = "invalid header name";
		return -1;
	}
	if (!is_all(text, h->value)) {
		*why = "invalid character in a header value";
		return -1;
	}
	if (h->name.n == 14 && str_is_nocase(h->name, "content-length")) {
		if (rq->rs.left != -1 ||
		    parse_length(h->value, &rq->rs.left) == -1) {
			*why = "invalid or repeated Content-Length";
			return -1;
		}
		return 0;	/* written with the framing */
	}
	if (is_ours(h->name))
		return 0;
	if (buffer_reserve(out, h->name.n + h->value.n + 4,
	    RESPONSE_HEAD_MAX) == -1) {
		*why = "response head too large";
		return -1;
	}
	p = out->p + out->n;
	memcpy(p, h->name.p, h->name.n);
	p += h->name.n;
	*p++ = ':';
	*p++ = ' ';
	memcpy(p, h->value.p, h->value.n);
	p += h->value.n;
	*p++ = '\r';
	*p++ = '\n';
	out->n = (size_t)(p - out->p);
	return 0;
}

int
response_fields(struct request *rq, const struct reply *r, const char **why)
{
	size_t i;

	for (i = 0; i < r->nheaders; i++)
		if (field(rq, &r->headers[i], why) == -1)
			return -1;
	return 0;
}

int
response_length(struct request *rq, int64_t length)
{
	char line[] = "Content-Length: 00000000000000000000\r\n";
	char *end = line + sizeof(line) - 1, *p = end - 2;

	do
		*--p = (char)('0' + length % 10);
	while ((length /= 10) > 0);
	memmove(line + 16, p, (size_t)(end - p));
	return buffer_add(&rq->rs.out, line, 16 + (size_t)(end - p),
	    RESPONSE_HEAD_MAX + 128);
}

/* Status and headers once more, for the line that is written at the end. */
static void
keep_head(struct request *rq, const struct reply *r)
{
	struct buffer *b = &rq->rs.log;
	size_t i, lengths[2];

	b->n = 0;
	rq->rs.nheaders = 0;
	if (buffer_add(b, r->status.p, r->status.n, RESPONSE_HEAD_MAX) == -1)
		return;
	for (i = 0; i < r->nheaders; i++) {
		lengths[0] = r->headers[i].name.n;
		lengths[1] = r->headers[i].value.n;
		if (buffer_reserve(b, sizeof(lengths) + lengths[0] +
		    lengths[1], RESPONSE_HEAD_MAX) == -1)
			break;
		(void)buffer_add(b, lengths, sizeof(lengths),
		    RESPONSE_HEAD_MAX);
		(void)buffer_add(b, r->headers[i].name.p, lengths[0],
		    RESPONSE_HEAD_MAX);
		(void)buffer_add(b, r->headers[i].value.p, lengths[1],
		    RESPONSE_HEAD_MAX);
		rq->rs.nheaders++;
	}
	rq->rs.status = (struct str){ b->p, r->status.n };
}

int
response_head(struct request *rq, const struct reply *r, const char **why)
{
	struct response *rs = &rq->rs;
	int code;

	if (rs->head_sent) {
		*why = "the head has been sent";
		return -1;
	}
	if ((code = status_code(r->status)) == -1) {
		*why = "invalid status line";
		return -1;
	}
	if (code < 200) {
		*why = "a final status is 200 or more";
		return -1;
	}
	rs->have_head = false;
	rs->out.n = 0;
	rs->left = -1;
	rs->code = code;
	rs->bodyless = rq->head_only || code == 204 || code == 304;
	if (rq->wire->head(rq, r, why) == -1) {
		rs->out.n = 0;
		return -1;
	}
	if (rs->left == -1 && r->length >= 0 && !rs->bodyless)
		rs->left = r->length;
	if (keep_heads)
		keep_head(rq, r);
	rs->have_head = true;
	return 0;
}

/* The rest of the head, now that it is known whether a length is. */
static int
close_head(struct request *rq, int64_t whole)
{
	struct response *rs = &rq->rs;
	int64_t length = rs->left;

	if (length == -1 && whole >= 0 && !rs->bodyless)
		rs->left = length = whole;
	if (rs->code == 204)
		length = -1;
	if (rq->wire->http && length == -1 && !rs->bodyless) {
		rs->chunked = rq->minor > 0;
		if (!rs->chunked)
			rq->keep = false;	/* the end is the end */
	}
	if (rq->wire->http && rq->sink->leaving(rq))
		rq->keep = false;
	rs->head_sent = true;
	return rq->wire->framing(rq, length);
}

/* --- the body */

/* Iovecs on their way; sent when full. */
struct batch {
	struct iovec	 iov[4 * PIECES + 3];
	int		 n;
	int		 pieces;
	char		 prefix[PIECES][WIRE_PREFIX];
};

static void
batch_add(struct batch *b, const void *p, size_t n)
{
	if (n > 0)
		b->iov[b->n++] = (struct iovec){ (void *)(uintptr_t)p, n };
}

/* A small answer costs less as one piece than as several. */
static void
batch_join(struct batch *b, char small[JOIN])
{
	size_t total = 0, at = 0;
	int i;

	for (i = 0; i < b->n; i++)
		total += b->iov[i].iov_len;
	if (total > JOIN)
		return;
	for (i = 0; i < b->n; i++) {
		memcpy(small + at, b->iov[i].iov_base, b->iov[i].iov_len);
		at += b->iov[i].iov_len;
	}
	b->iov[0] = (struct iovec){ small, total };
	b->n = 1;
}

static enum send_result
batch_send(struct request *rq, struct batch *b)
{
	enum send_result r = SEND_OK;
	char small[JOIN];

	if (b->n > 1)
		batch_join(b, small);
	if (b->n > 0)
		r = rq->sink->send(rq, b->iov, b->n);
	b->n = b->pieces = 0;
	return r;
}

/* Frame head[0..hn) and p[0..n) as one stream. */
static enum send_result
frame(struct request *rq, struct batch *b, const char *head, size_t hn,
    const char *p, size_t n)
{
	enum send_result r = SEND_OK;
	uint64_t piece;
	size_t k;
	struct str tail;

	while (hn + n > 0 && r != SEND_GONE) {
		k = rq->wire->open(rq, hn + n, b->prefix[b->pieces], &piece);
		batch_add(b, b->prefix[b->pieces++], k);
		k = piece < hn ? (size_t)piece : hn;
		batch_add(b, head, k);
		head += k;
		hn -= k;
		k = (size_t)piece - k;
		batch_add(b, p, k);
		p += k;
		n -= k;
		tail = rq->wire->close(rq);
		batch_add(b, tail.p, tail.n);
		if (b->pieces == PIECES)
			r = batch_send(rq, b);
	}
	return r;
}

static enum send_result
transmit(struct request *rq, const void *p, size_t n, bool last)
{
	struct response *rs = &rq->rs;
	struct batch b;
	enum send_result r;
	char tail[WIRE_TAIL];

	b.n = b.pieces = 0;
	if (rq->wire->head_framed)
		r = frame(rq, &b, rs->out.p, rs->out.n, p, n);
	else {
		batch_add(&b, rs->out.p, rs->out.n);
		r = frame(rq, &b, "", 0, p, n);
	}
	if (last) {
		batch_add(&b, tail, rq->wire->end(rq, tail));
		rs->ended = true;
	}
	if (r != SEND_GONE && b.n > 0)
		r = batch_send(rq, &b);
	if (last)		/* the sink has set it, if it was asked */
		atomic_store_explicit(&rq->over, true, memory_order_release);
	rs->out.n = 0;
	return r;
}

enum send_result
response_body(struct request *rq, const void *p, size_t n, unsigned int flags)
{
	struct response *rs = &rq->rs;
	bool last = (flags & BODY_LAST) != 0;

	if (!rs->have_head || rs->ended)
		return SEND_GONE;
	if (!rs->head_sent && close_head(rq, last ? (int64_t)n : -1) == -1) {
		rs->broken = true;
		return SEND_GONE;
	}
	if (rs->bodyless)
		n = 0;
	if (rs->left >= 0 && !rs->bodyless) {
		if ((uint64_t)rs->left < n)
			n = (size_t)rs->left;
		rs->left -= (int64_t)n;
		if (last && rs->left > 0) {	/* response_finish() cuts */
			rs->broken = true;
			last = false;
		}
	}
	rs->sent += n;
	if (n == 0 && !last && rs->out.n == 0)
		return SEND_OK;
	if (n == 0)
		p = "";		/* the caller's may be NULL */
	return transmit(rq, p, n, last);
}

enum send_result
response_file(struct request *rq, int fd, off_t offset, uint64_t length)
{
	struct response *rs = &rq->rs;
	char prefix[WIRE_PREFIX];
	enum send_result r;
	uint64_t piece;
	size_t k;

	if (!rs->have_head || rs->ended)
		return SEND_GONE;
	if (!rs->head_sent && close_head(rq, (int64_t)length) == -1) {
		rs->broken = true;
		return SEND_GONE;
	}
	if (rs->bodyless)
		return SEND_OK;
	if (rs->left >= 0) {
		if ((uint64_t)rs->left < length)
			length = (uint64_t)rs->left;
		rs->left -= (int64_t)length;
	}
	rs->sent += length;
	if ((r = transmit(rq, "", 0, false)) == SEND_GONE)
		return r;
	while (length > 0 && r != SEND_GONE) {
		k = rq->wire->open(rq, length, prefix, &piece);
		r = rq->sink->file(rq, (struct str){ prefix, k }, fd, offset,
		    piece, rq->wire->close(rq));
		offset += (off_t)piece;
		length -= piece;
	}
	return r;
}

/* --- the end */

void
response_error(struct request *rq, int status, const char *why)
{
	static const struct header fields[] = {
		{ { "Content-Type", 12 }, { "text/html", 9 } },
		{ { "Retry-After", 11 }, { "1", 1 } },
	};
	size_t nfields = status == 503 ? 2 : 1;
	const char *reason = http_reason(status), *unused;
	char line[64], page[1024];
	int n;

	snprintf(line, sizeof(line), "%d %s", status, reason);
	n = snprintf(page, sizeof(page), "<html>\n  <head>\n"
	    "    <title>%s</title>\n  </head>\n  <body>\n"
	    "    <h1><p>%s</p></h1>\n    %s\n  </body>\n</html>\n",
	    reason, reason, why);
	if (rq->wire->http)
		rq->keep = false;
	if (response_head(rq, &(struct reply){ str_of(line), fields, nfields,
	    n }, &unused) == 0)
		(void)response_body(rq, page, (size_t)n, BODY_LAST);
}

void
response_finish(struct request *rq, bool ok)
{
	struct response *rs = &rq->rs;

	if (rs->ended)
		return;
	if (ok && !rs->broken && rs->have_head && (rs->left <= 0 ||
	    rs->bodyless)) {
		(void)response_body(rq, "", 0, BODY_LAST);
		return;
	}
	if (ok && rs->have_head && rs->left > 0)
		log_error("The application's body is %lld bytes shorter than "
		    "its Content-Length; the connection is cut",
		    (long long)rs->left);
	if (!rs->head_sent) {
		rs->have_head = rs->broken = false;
		response_error(rq, 500, "");
		return;
	}
	rs->broken = true;
	rq->keep = false;
}
