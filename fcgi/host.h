/*
 * Who started us, by evidence: decided once, before anything else.
 */
#ifndef FCGI_HOST_H
#define FCGI_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inherit;

enum host_kind {
	HOST_STANDALONE, HOST_PASSENGER, HOST_SYSTEMD, HOST_FASTCGI /* fd 0 */,
	HOST_CGI
};

struct host {
	enum host_kind	 kind;
	int		 fds[64];	/* listening sockets we were given */
	size_t		 nfds;
	uint64_t	 fastcgi;	/* bit i: fds[i] speaks FastCGI, by
					   its FDNAME or as fd 0 */
	size_t		 offered;	/* LISTEN_FDS, whoever it is for */
	uint64_t	 offered_fastcgi;
	pid_t		 parent;	/* the manager whose place we are to
					   take, 0: nobody's */
	struct inherit	*inherit;	/* what it hands over, or NULL (the
					   caller ends it) */
};

/* Look at descriptors and environment; opens /dev/null where 0-2 are
 * closed; takes LISTEN_*, GUNICORN_FD, GUNICORN_PID and GANGWAY_FD out of
 * the environment (what Passenger and CGI say is still to be read by those
 * who serve them).
 * A standalone server may have fds too: those of GUNICORN_FD. */
void	 host_detect(struct host *);
/* A person says who it is ("auto": what was found stays). 0, or -1 with *why
 * (to be freed) where that host's sockets or variables are not there. */
int	 host_override(struct host *, const char *name, char **why);
const char *host_name(enum host_kind);

#endif
