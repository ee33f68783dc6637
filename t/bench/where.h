/*
 * Where a program of the benches listens or connects to: a port on the
 * loopback, or a unix socket (a word with a slash).
 */
#ifndef BENCH_WHERE_H
#define BENCH_WHERE_H

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

union where {
	struct sockaddr		 sa;
	struct sockaddr_in	 in;
	struct sockaddr_un	 un;
};

/* Fill it in from text; ends the program where that cannot be. */
socklen_t	 where(union where *, const char *text);

#endif
