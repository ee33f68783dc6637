/*
 * The head of an HTTP/1.x request (RFC 9112): strict about everything that
 * servers have been split apart by. llhttp reads the fields and frames the
 * body; one pass of ours over the raw head before it refuses what Debian's
 * llhttp 8.1.0 lets through (CR without LF, bare LF, folding, empty names,
 * Transfer-Encoding in 1.0 ...), and holds the limits.
 *
 * No I/O, no allocation: spans point into the head that was given.
 */
#ifndef FCGI_WIRE_HTTP_HEAD_H
#define FCGI_WIRE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fcgi/app.h"
#include "fcgi/wire/http_text.h"

enum { HTTP_HEADERS_MAX = 1024 };	/* whatever the settings say */

enum header_map { HEADER_DROP, HEADER_REFUSE, HEADER_DANGEROUS };

/* gunicorn's settings of the same names. 0 is "no limit" as there. */
struct http_limits {
	size_t		 request_line, fields, field_size;
	enum header_map	 header_map;
	bool		 obsolete_folding, strip_spaces;
	bool		 any_method, any_version, casefold_method;
	/* forwarder_headers: underscore names that a trusted peer may send,
	 * NULL-terminated, "*" for all */
	const char	*const *forwarder;
};

struct http_head {
	struct str	 method, target;	/* as sent */
	struct str	 path, query;		/* of the target, still encoded;
						   fragment and authority off */
	unsigned int	 minor;			/* HTTP/1.minor */
	bool		 keep_alive;		/* what the client asks for */
	bool		 chunked;
	bool		 expect;		/* Expect: 100-continue */
	bool		 has_length;
	uint64_t	 length;		/* Content-Length */
	struct header	*headers;		/* the caller's array, of
						   HTTP_HEADERS_MAX or the
						   lower limit `fields` */
	size_t		 nheaders;
	struct str	 host;			/* p NULL: absent (1.0 only) */
};

/* Where the head in p[0..n) ends: its length with the empty line, or 0
 * when more is needed. `from` is how much was looked at before. */
size_t	 http_head_end(const char *p, size_t n, size_t from);

/*
 * Decode a complete head. Leading CRLFs are the caller's to skip. Headers
 * that would collide with CGI names (an underscore in the name: header_map)
 * are left out unless trusted; `Proxy` always is. May change bytes of p in
 * place (folding). The host of an absolute target replaces Host, in the
 * headers too; HTTP/1.2 and later count as 1.1. 0, or -1 with *no (then only
 * the array of headers has changed).
 */
int	 http_head_decode(struct http_head *, char *p, size_t n,
	    const struct http_limits *, bool trusted, struct http_refusal *no);

/*
 * The chunked coding (RFC 9112 section 7.1), bit by bit. on_data gets the
 * body's bytes; what it returns when not 0 stops the decoding (no->status is
 * that number when it is an HTTP status, else 500). Trailers are checked and
 * thrown away. Returns bytes used; *done is set at the end of the body. -1
 * with *no when it is bad.
 */
struct http_chunks;
struct http_chunks *http_chunks_new(void);
void	 http_chunks_free(struct http_chunks *);
ssize_t	 http_chunks_feed(struct http_chunks *, const char *p, size_t n,
	    int (*on_data)(void *arg, const char *, size_t), void *arg,
	    bool *done, struct http_refusal *no);

#endif
