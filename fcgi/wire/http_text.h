/*
 * What a byte may be in HTTP/1.x text, and the small pieces that heads,
 * trailers and answers share. Constant data only.
 */
#ifndef FCGI_WIRE_HTTP_TEXT_H
#define FCGI_WIRE_HTTP_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/types.h>

enum {
	HTTP_TOKEN = 1,		/* RFC 9110 section 5.6.2 */
	HTTP_VALUE = 2,		/* field value: no control byte but HT */
	HTTP_TARGET = 4,	/* visible ASCII */
	HTTP_HOST = 8,		/* RFC 3986 section 3.2.2, brackets and colon */
	HTTP_METHOD = 16	/* a token without lower case and '#' */
};

extern const uint8_t http_class[256];

static inline bool
http_is(char c, unsigned int class)
{
	return http_class[(unsigned char)c] & class;
}

/* Why a request is refused: a status and one line for the log. */
struct http_refusal {
	int		 status;	/* 400, 417, 431, 501, 505 ... */
	const char	*why;
};

/* Is s the word w (in any case)? w must be a literal. */
#define text_is(s, w)	((s).n == sizeof(w) - 1 && \
	strncasecmp((s).p, (w), sizeof(w) - 1) == 0)

/* Fill in a refusal; always -1. */
static inline int
http_refuse(struct http_refusal *no, int status, const char *why)
{
	no->status = status;
	no->why = why;
	return -1;
}

/* Undo %XX of a path into out (room for n bytes). Bytes written, -1 when an
 * escape is broken or is %00. */
ssize_t	 http_path_decode(char *out, const char *p, size_t n);

/* The standard phrase for a status ("Not Found"), "" when unknown. */
const char *http_reason(int status);

#endif
