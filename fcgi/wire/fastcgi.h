/*
 * FastCGI: a connection's bytes to requests, and responses to records
 * (FastCGI specification 1.0). Requests may be multiplexed.
 */
#ifndef FCGI_WIRE_FASTCGI_H
#define FCGI_WIRE_FASTCGI_H

#include "fcgi/wire/record.h"
#include "fcgi/wire/session.h"

enum {
	FASTCGI_PARAMS_MAX = 1 << 20,	/* bytes of one request's PARAMS */
	FASTCGI_SMALL_KEEP = 1024,	/* bytes kept for short records */
	FASTCGI_MPX_MAX = 256		/* requests at once on a connection */
};

struct fastcgi_session {
	struct request	*rq;		/* complete: take it */
	struct request	*open;		/* still arriving, by ->sibling */
	unsigned int	 nopen;
	unsigned int	 running;	/* kept by the connection */
	struct record	 record;	/* the one that is arriving */
	size_t		 content, padding;	/* of it still to come */
	bool		 in_record;
	bool		 close;		/* after what is to be sent */
	struct buffer	 small;		/* content of the short records */
	uint16_t	 aborted;	/* SESSION_ABORT */
	char		 reply[VALUES_RESULT_MAX];	/* SESSION_SEND */
	size_t		 reply_n;
	struct http_refusal no;
};

enum session_event fastcgi_feed(struct fastcgi_session *,
	    const struct wire_config *, const struct peer *,
	    struct request_pool *, const char *p, size_t n, size_t *used);
/* The n bytes of the STDIN that is awaited, of the request whose PARAMS came
 * last, are in this file, ours to close. */
enum session_event fastcgi_body_file(struct fastcgi_session *, int fd,
		    uint64_t n);
void		 fastcgi_session_done(struct fastcgi_session *,
		    struct request_pool *);

/* A whole answer without an application: records. Its length, 0: no room. */
size_t		 fastcgi_error(char *out, size_t cap, uint16_t id,
		    int status, const char *why);
/* How responses are written. */
extern const struct wire fastcgi_wire;

#endif
