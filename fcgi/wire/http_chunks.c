#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <llhttp.h>

#include "fcgi/wire/http_head.h"

enum {
	CHUNK_LINE_MAX = 1024,		/* a size with its extensions */
	CHUNK_EXTENSIONS_MAX = 16384,	/* of all chunks of a body */
	CHUNK_TRAILERS_MAX = 16384,
	CHUNK_NAME_MAX = 20		/* longest forbidden trailer and more */
};

enum chunk_state {
	CHUNK_SIZE,			/* the line with the size */
	CHUNK_DATA,			/* bytes and their CRLF */
	CHUNK_TRAILER, CHUNK_NAME, CHUNK_VALUE, CHUNK_LF,
	CHUNK_LAST_LF, CHUNK_DONE, CHUNK_BAD
};

/* What of a size line is being read. */
enum chunk_part { CHUNK_DIGITS, CHUNK_SPACE, CHUNK_EXTENSION };

/*
 * llhttp reads sizes and data, one line or one chunk at a time, so that the
 * lines are looked at before. Extensions (of which 8.1.0 refuses legal ones)
 * and trailers never reach it.
 */
struct http_chunks {
	llhttp_t		 parser;
	enum chunk_state	 state;
	uint64_t		 left;	/* of the chunk, with its CRLF */
	size_t			 line;	/* bytes of the line or the trailers */
	enum chunk_part		 part;
	bool			 cr;	/* the last byte was a CR */
	size_t			 extensions;
	size_t			 nname;
	char			 name[CHUNK_NAME_MAX];
	/* For one call of feed. */
	int			(*on_data)(void *, const char *, size_t);
	void			*arg;
	struct http_refusal	*no;
};

static int
on_body(llhttp_t *parser, const char *p, size_t n)
{
	struct http_chunks *c = parser->data;
	int rc;

	if ((rc = c->on_data(c->arg, p, n)) == 0)
		return 0;
	return http_refuse(c->no, rc >= 400 && rc < 600 ? rc : 500,
	    "the body was not taken");
}

static int
on_chunk(llhttp_t *parser)
{
	struct http_chunks *c = parser->data;

	c->line = 0;
	if (parser->content_length == 0) {
		c->state = CHUNK_TRAILER;
		return 0;
	}
	if (parser->content_length > INT64_MAX)
		return http_refuse(c->no, 400, "chunk is too large");
	c->left = parser->content_length + 2;
	c->state = CHUNK_DATA;
	return 0;
}

static const llhttp_settings_t settings = {
	.on_body = on_body,
	.on_chunk_header = on_chunk
};

struct http_chunks *
http_chunks_new(void)
{
	static const char head[] =
	    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct http_chunks *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	llhttp_init(&c->parser, HTTP_REQUEST, &settings);
	c->parser.data = c;
	if (llhttp_execute(&c->parser, head, sizeof(head) - 1) != HPE_OK) {
		free(c);
		return NULL;
	}
	return c;
}

void
http_chunks_free(struct http_chunks *c)
{
	free(c);
}

static int
parser_feed(struct http_chunks *c, const char *p, size_t n)
{
	llhttp_errno_t e;

	c->no->status = 0;
	if ((e = llhttp_execute(&c->parser, p, n)) == HPE_OK)
		return 0;
	if (c->no->status != 0)
		return -1;
	return http_refuse(c->no, 400, llhttp_get_error_reason(&c->parser));
}

/* One byte of a size line. 1: a digit for llhttp, 0: not for it, -1. */
static int
size_byte(struct http_chunks *c, char b)
{
	if (c->cr != (b == '\n') ||
	    (!http_is(b, HTTP_VALUE) && b != '\r' && b != '\n'))
		return http_refuse(c->no, 400, "bad byte in a chunk line");
	c->cr = b == '\r';
	switch (c->part) {
	case CHUNK_DIGITS:
		if (b == ' ' || b == '\t')
			c->part = CHUNK_SPACE;
		else if (b == ';')
			c->part = CHUNK_EXTENSION;
		else
			return b != '\r' && b != '\n';
		return 0;
	case CHUNK_SPACE:
		if (b == ';')
			c->part = CHUNK_EXTENSION;
		else if (b != ' ' && b != '\t')
			return http_refuse(c->no, 400, "bad chunk size");
		return 0;
	default:
		if (c->extensions++ == CHUNK_EXTENSIONS_MAX)
			return http_refuse(c->no, 400,
			    "chunk extensions are too large");
		return 0;
	}
}

/* Bytes of a size line, at most up to its end. Bytes used or -1. */
static ssize_t
size_feed(struct http_chunks *c, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	size_t i, digits = 0, take = lf != NULL ? (size_t)(lf + 1 - p) : n;
	int rc;

	if (take > CHUNK_LINE_MAX - c->line)
		return http_refuse(c->no, 400, "chunk line is too long");
	c->line += take;
	for (i = 0; i < take; i++, digits += (size_t)rc)
		if ((rc = size_byte(c, p[i])) == -1)
			return -1;
	if (parser_feed(c, p, digits) == -1)
		return -1;
	if (lf == NULL)
		return (ssize_t)take;
	c->part = CHUNK_DIGITS;
	if (parser_feed(c, "\r\n", 2) == -1)
		return -1;
	if (c->state == CHUNK_SIZE)
		return http_refuse(c->no, 400, "bad chunk size");
	return (ssize_t)take;
}

/* Bytes of a chunk with its CRLF. Bytes used or -1. */
static ssize_t
data_feed(struct http_chunks *c, const char *p, size_t n)
{
	size_t take = c->left < n ? (size_t)c->left : n;

	if (parser_feed(c, p, take) == -1)
		return -1;
	if ((c->left -= take) == 0)
		c->state = CHUNK_SIZE;
	return (ssize_t)take;
}

/* RFC 9110 section 6.5.1: fields that frame, route or authorise. */
static bool
name_forbidden(struct str name)
{
	return text_is(name, "Host") || text_is(name, "Content-Length") ||
	    text_is(name, "Transfer-Encoding") || text_is(name, "Trailer") ||
	    text_is(name, "Authorization") || text_is(name, "TE");
}

static int
trailer_byte(struct http_chunks *c, char b)
{
	switch (c->state) {
	case CHUNK_TRAILER:
		if (b == '\r') {
			c->state = CHUNK_LAST_LF;
			return 0;
		}
		c->nname = 0;
		c->state = CHUNK_NAME;
		/* FALLTHROUGH */
	case CHUNK_NAME:
		if (b == ':' && c->nname > 0) {
			if (name_forbidden((struct str){ c->name, c->nname }))
				return http_refuse(c->no, 400,
				    "forbidden trailer");
			c->state = CHUNK_VALUE;
			return 0;
		}
		if (!http_is(b, HTTP_TOKEN))
			return http_refuse(c->no, 400, "bad trailer name");
		if (c->nname < sizeof(c->name))
			c->name[c->nname++] = b;
		return 0;
	case CHUNK_VALUE:
		if (b == '\r')
			c->state = CHUNK_LF;
		else if (!http_is(b, HTTP_VALUE))
			return http_refuse(c->no, 400,
			    "control byte in a trailer");
		return 0;
	default:	/* CHUNK_LF, CHUNK_LAST_LF */
		if (b != '\n')
			return http_refuse(c->no, 400, "CR without LF");
		c->state = c->state == CHUNK_LF ? CHUNK_TRAILER : CHUNK_DONE;
		return 0;
	}
}

static ssize_t
trailers_feed(struct http_chunks *c, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && c->state != CHUNK_DONE; i++) {
		if (c->line++ == CHUNK_TRAILERS_MAX)
			return http_refuse(c->no, 431,
			    "trailers are too large");
		if (trailer_byte(c, p[i]) == -1)
			return -1;
	}
	return (ssize_t)i;
}

ssize_t
http_chunks_feed(struct http_chunks *c, const char *p, size_t n,
    int (*on_data)(void *arg, const char *, size_t), void *arg, bool *done,
    struct http_refusal *no)
{
	size_t used = 0;
	ssize_t k;

	c->on_data = on_data;
	c->arg = arg;
	c->no = no;
	*done = false;
	while (used < n && c->state != CHUNK_DONE) {
		if (c->state == CHUNK_BAD)
			return http_refuse(no, 400, "bad chunked body");
		if (c->state == CHUNK_SIZE)
			k = size_feed(c, p + used, n - used);
		else if (c->state == CHUNK_DATA)
			k = data_feed(c, p + used, n - used);
		else
			k = trailers_feed(c, p + used, n - used);
		if (k == -1) {
			c->state = CHUNK_BAD;
			return -1;
		}
		used += (size_t)k;
	}
	*done = c->state == CHUNK_DONE;
	return (ssize_t)used;
}
