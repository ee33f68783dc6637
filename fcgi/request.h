/*
 * One request, from its first byte to the last byte of its response.
 *
 * Always true: a request owns all its bytes (none point into a
 * connection's buffers). The loop owns it while READING, QUEUED and DONE;
 * the caller thread that took it owns it while RUNNING. `abandoned` is set
 * by the loop under the connection's lock: from then on the caller's
 * writes go nowhere.
 */
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "fcgi/app.h"
#include "fcgi/body.h"
#include "fcgi/buffer.h"

enum {
	REQUEST_INLINE = 4096,		/* arena without malloc */
	REQUEST_VARS = 64,		/* variables without malloc */
	REQUEST_VARS_MAX = 1200,
	REQUEST_ARENA_MAX = 16 << 20,
	REQUEST_POOL = 64,		/* kept for reuse, per worker */
	WIRE_PREFIX = 24, WIRE_TAIL = 40
};

enum request_state {
	REQUEST_READING, REQUEST_QUEUED, REQUEST_RUNNING, REQUEST_DONE
};

struct connection;
struct iovec;
struct request;

/* How a protocol writes a response; one static table each (fcgi/wire/). */
struct wire {
	/* Status and our own headers into rs->out, then response_fields(). */
	int	(*head)(struct request *, const struct reply *,
		    const char **why);
	/* What ends the head; `length` is the body's or -1. 0 or -1. */
	int	(*framing)(struct request *, int64_t length);
	/* The head is framed like the body (FastCGI's STDOUT). */
	bool	 head_framed;
	bool	 http;
	/* What goes before a piece of up to n bytes: its length; *piece is
	 * how much of n the piece holds. */
	size_t	(*open)(struct request *, uint64_t n,
		    char prefix[WIRE_PREFIX], uint64_t *piece);
	/* What goes after each piece, and what ends the body. */
	struct str (*close)(struct request *);
	size_t	(*end)(struct request *, char tail[WIRE_TAIL]);
};

/* Where a response goes; the connection's. */
struct sink {
	enum send_result (*send)(struct request *, struct iovec *, int n);
	/* A piece of a file and what goes around it, undivided. */
	enum send_result (*file)(struct request *, struct str before, int fd,
		    off_t, uint64_t n, struct str after);
	bool	(*leaving)(const struct request *);	/* do not keep it */
};

/* The response as far as it has got; the caller thread's. */
struct response {
	struct buffer	 out;		/* head and what waits for more */
	struct str	 status;	/* into `log`, for the access log */
	struct buffer	 log;		/* status and headers kept for it */
	size_t		 nheaders;
	int64_t		 left;		/* of the Content-Length, -1: unknown */
	uint64_t	 sent;		/* body bytes given to the client */
	int		 code;
	bool		 have_head, head_sent, ended;
	bool		 bodyless;	/* HEAD, 1xx, 204, 304 */
	bool		 chunked;
	bool		 broken;	/* must be cut, not ended */
};

struct request {
	struct app_request pub;		/* first: app.h's view of it */
	struct connection *conn;
	const struct wire *wire;
	const struct sink *sink;
	struct request	*next;		/* in the queue, done list or pool */
	struct request	*sibling;	/* running on the same connection */
	_Atomic int	 state;
	bool		 abandoned;	/* under the connection's lock */
	bool		 on_wire;	/* sent from; under that lock too */
	bool		 whole;		/* when abandoned, its answer was */
	atomic_bool	 answered;	/* for its caller, who is late */
	bool		 late;		/* past request_timeout; the leader's */
	atomic_bool	 gone;		/* the client has left while QUEUED */

	/* protocol's */
	uint16_t	 id;		/* FastCGI request id */
	uint8_t		 minor;		/* HTTP/1.minor */
	bool		 keep;		/* connection may be kept after it */
	bool		 head_only;	/* HEAD */
	struct buffer	 params;	/* FastCGI: the PARAMS stream */
	int64_t		 announced;	/* FastCGI: CONTENT_LENGTH, or -1 */

	/* memory for the variables */
	struct var	*vars;
	size_t		 nvars, vars_cap;
	char		*arena;
	size_t		 arena_used, arena_cap;
	struct body	 body;
	struct response	 rs;

	uint64_t	 began_ns;	/* the call; CLOCK_MONOTONIC */
	atomic_bool	 over;		/* its end is on the way out */
	atomic_bool	 draining;	/* its caller waits for the client */
	_Atomic uint64_t progress_ms;	/* the application last did something */
	char		 inline_arena[REQUEST_INLINE];
	struct var	 inline_vars[REQUEST_VARS];
};

/* Requests for reuse; the loop's. */
struct request_pool {
	struct request	*head;
	size_t		 n;
	bool		 large;		/* a buffer was, since unset */
};

/* A clean request, NULL when memory is out. */
struct request	*request_take(struct request_pool *);
void		 request_put(struct request_pool *, struct request *);
void		 request_pool_done(struct request_pool *);

/* Make the arena hold n bytes in all; call once, before anything is put
 * there. 0 or -1. */
int		 request_reserve(struct request *, size_t n);
/* The next n bytes of the arena (which was reserved large enough). */
char		*request_mem(struct request *, size_t n);
/* Make room for n more variables, which then cannot fail. 0 or -1. */
int		 request_room(struct request *, size_t n);
int		 request_vars_grow(struct request *);
/* Add a variable whose bytes stay valid. 0, or -1 past REQUEST_VARS_MAX. */
static inline int
request_var(struct request *rq, enum var_id id, struct str name,
    struct str value)
{
	struct var *v;

	if (rq->nvars == rq->vars_cap && request_vars_grow(rq) == -1)
		return -1;
	v = &rq->vars[rq->nvars++];
	v->name = name;
	v->value = value;
	v->id = id;
	return 0;
}
/* The variable of that name or NULL. */
struct var	*request_find(struct request *, const char *name);

/* The value of a well-known one, "" when it is not there. */
struct str	 request_value(struct request *, enum var_id);

/* For one line of the log, whatever the client put there: bounded. */
#define STR_FMT		"%.*s"
#define STR_ARG(s)	(int)((s).n < 1024 ? (s).n : 1024), (s).p
#define STR(s)	((struct str){ (s), sizeof(s) - 1 })
/* Inline, so that the lengths of literals are known to the compiler. */
static inline struct str
str_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static inline bool
str_is(struct str s, const char *t)
{
	return strlen(t) == s.n && memcmp(s.p, t, s.n) == 0;
}

static inline bool
str_is_nocase(struct str s, const char *t)
{
	return strlen(t) == s.n && strncasecmp(s.p, t, s.n) == 0;
}

#endif
