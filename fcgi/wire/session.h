/*
 * What every wire protocol is told about its connection and its rules, and
 * the events it answers with. Bytes in, requests out; no sockets.
 */
#ifndef FCGI_WIRE_SESSION_H
#define FCGI_WIRE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcgi/request.h"
#include "fcgi/wire/http_head.h"

struct trust;

/* Who is at the other end, and which listener it came to. */
struct peer {
	char		 addr[46];	/* "" on a unix socket */
	char		 port[6];
	uint8_t		 addr_n, port_n;
	bool		 unix_socket;
	bool		 trusted;	/* forwarded_allow_ips */
	struct str	 server_name, server_port;
};

/* What was agreed with Phusion Passenger. */
struct passenger_terms {
	const char	*password;	/* in every request; NULL: none */
	const char	*base_uri;	/* HTTP's paths begin so; NULL: no */
};

/* The settings that the wire needs; one per worker, read-only. */
struct wire_config {
	struct http_limits limits;
	bool		 no_keep;	/* keepalive is 0 */
	uint64_t	 body_max;	/* limit_request_body, 0: none */
	const char	*const *secure_headers;	/* "X-FORWARDED-PROTO:https" */
	size_t		 nsecure;
	const char	*script_name;	/* --script-name, NULL: unset */
	unsigned int	 max_conns, max_reqs;	/* for GET_VALUES */
	const struct passenger_terms *passenger;	/* NULL: another host */
};

enum session_event {
	SESSION_MORE,		/* all used, or the rest is to be kept */
	SESSION_REQUEST,	/* s->rq is complete; take it */
	SESSION_CONTINUE,	/* HTTP: the client waits for 100 */
	SESSION_SEND,		/* FastCGI: s->reply is to be sent;
				   Passenger: PASSENGER_PONG, and close */
	SESSION_ABORT,		/* FastCGI: request s->aborted is given up */
	SESSION_REFUSED,	/* s->no says why; the connection ends */
	SESSION_MEMORY		/* errno says of what; the connection ends */
};

#define SESSION_NO_ROOM	"no memory or disk space for the request"

#endif
