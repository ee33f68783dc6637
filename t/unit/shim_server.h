/*
 * A server of one request for the tests of an application shim: it hands
 * out a body in windows, records what it is given, and can be slow or gone.
 */
#ifndef T_SHIM_SERVER_H
#define T_SHIM_SERVER_H

#include "fcgi/app.h"

enum { TEXT_MAX = 1 << 18 };

struct text {
	size_t	 n;
	char	 p[TEXT_MAX];		/* NUL-terminated */
};

/* A request and everything that was done with it. */
struct fake {
	struct app_request rq;		/* first: found by its address */
	struct var	 vars[64];
	const char	*body;		/* to be read */
	size_t		 window, taken;
	int		 peek_fails;	/* an errno */
	size_t		 slow;		/* a body of that size takes time */
	unsigned int	 full_at, gone_at;	/* body() call that says so */

	unsigned int	 heads, bodies, files, drains;
	bool		 sent, last;
	int64_t		 length;	/* of the last head */
	struct text	 head, sink, errors;
};

extern const struct app_server shim_server;
extern struct text shim_log;	/* "LEVEL line\n" ... of the whole process */
extern const struct app_kind *shim_kind;
extern struct app_config shim_config;

void	 text_put(struct text *, const char *, size_t);
void	 text_clear(struct text *);

/* A GET (POST with a body) of `query` under the usual variables. */
void	 fake_init(struct fake *, const char *query, const char *body);
void	 fake_var(struct fake *, enum var_id, const char *name,
	    const char *value);

/* Load the module of the build tree and start it. 0, or -1. */
int	 shim_open(void);
/* Load an application: APP_OK, ... */
int	 shim_load(const char *spec);
/* Enter, call, leave. */
int	 shim_call(struct fake *);

#endif
