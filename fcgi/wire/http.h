/*
 * HTTP/1.x: a connection's bytes to requests (RFC 9112), and a response's
 * head and body to bytes. One request at a time: the connection feeds the
 * next bytes only after the response.
 */
#ifndef FCGI_WIRE_HTTP_H
#define FCGI_WIRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "fcgi/wire/session.h"

struct http_session {
	struct request	*rq;		/* its body is arriving, or complete */
	struct http_chunks *chunks;	/* while a chunked body arrives */
	uint64_t	 left;		/* of a Content-Length body */
	bool		 expect;	/* 100 is owed when no body came yet */
	struct http_refusal no;
};

/*
 * Take bytes. *used says how many are done with; the rest must come again,
 * in front of what follows. `scanned` is how many of them were seen in an
 * earlier call that returned SESSION_MORE with nothing used.
 */
enum session_event http_feed(struct http_session *,
	    const struct wire_config *, const struct peer *,
	    struct request_pool *, char *p, size_t n, size_t scanned,
	    size_t *used);
/* Where the next body bytes may be read to, NULL when a copy is needed. */
char		*http_space(struct http_session *, size_t *room);
/* n bytes were read to http_space(). */
enum session_event http_spaced(struct http_session *, size_t n);
/* For other heads than HTTP's, which have s->rq filled: how its body comes
 * (length -1: no length is known), and the bytes of it. */
enum session_event http_body_start(struct http_session *,
	    const struct wire_config *, bool chunked, int64_t length);
enum session_event http_body_feed(struct http_session *,
	    const struct wire_config *, const char *p, size_t n,
	    size_t *used);
/* The n bytes of the awaited body are in this file, ours to close. */
enum session_event http_body_file(struct http_session *, int fd, uint64_t n);
void		 http_session_done(struct http_session *,
		    struct request_pool *);

/* How responses are written. */
extern const struct wire http_wire;
/* Longest response without an application: an error page. Its length. */
size_t		 http_error_page(char *out, size_t cap, int status,
		    const char *why);

#endif
