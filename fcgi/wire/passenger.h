/*
 * Phusion Passenger's "session" protocol: a length, a head of names and
 * values that end in NUL, and the body as it is. Responses are HTTP's.
 */
#ifndef FCGI_WIRE_PASSENGER_H
#define FCGI_WIRE_PASSENGER_H

#include "fcgi/wire/http.h"

enum { PASSENGER_HEAD_MAX = 512 * 1024 };

#define PASSENGER_PONG	"pong"

/* As http_feed(), on the same kind of session. SESSION_SEND: it was asked
 * whether we are there; PASSENGER_PONG is the answer, and the end. */
enum session_event passenger_feed(struct http_session *,
	    const struct wire_config *, const struct peer *,
	    struct request_pool *, char *p, size_t n, size_t scanned,
	    size_t *used);

#endif
