/*
 * Who started us, by evidence: decided once, before anything else.
 */
#ifndef FCGI_HOST_H
#define FCGI_HOST_H

#include <stddef.h>

enum host_kind {
	HOST_STANDALONE, HOST_PASSENGER, HOST_SYSTEMD, HOST_FASTCGI /* fd 0 */,
	HOST_CGI
};

struct host {
	enum host_kind	 kind;
	int		 fds[64];	/* listening sockets we were given */
	size_t		 nfds;
};

/* Look at descriptors and environment; opens /dev/null where 0-2 are
 * closed; takes the evidence out of the environment. */
void	 host_detect(struct host *);
const char *host_name(enum host_kind);

#endif
