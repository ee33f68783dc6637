/*
 * For tests of the loop and of what stands on it: a net whose connections
 * are socketpairs, their clients' ends, a log that can be looked through, and
 * a malloc() that fails when it is told to (link with NETSIDE_WRAP).
 */
#ifndef T_UNIT_NETSIDE_H
#define T_UNIT_NETSIDE_H

#include <stdatomic.h>

#include "fcgi/net.h"

enum { CLIENT_MAX = 1 << 16 };

/* A client, as far as it has read. */
struct client {
	int	 fd;		/* -1: there is none */
	bool	 eof;
	size_t	 n;		/* bytes in all */
	char	 in[CLIENT_MAX];	/* the first of them, NUL-terminated */
};

/* malloc(), calloc() and realloc() say that there is none. */
extern atomic_bool memory_out;

/* The log goes to memory from now on, at this level. */
void	 side_log(const char *level);
/* How often a line has this text; forget what was logged. */
unsigned int logged(const char *text);
void	 log_forget(void);

/* The listener for connections of that protocol. */
const struct listener *side_listener(enum protocol);
/* What a worker would have from default settings. */
void	 side_limits(struct net *, unsigned int max_conns,
	    uint64_t keepalive_ms);
/* A client whose connection is accepted now. In the loop's owner. */
void	 client_connect(struct client *, struct net *, enum protocol);
/* The same over sockets that listen, for net->listeners: HTTP's and
 * FastCGI's. */
struct listeners *side_listeners(void);
void	 side_listeners_close(void);
void	 client_dial(struct client *, enum protocol);
void	 client_send(struct client *, const char *, size_t);
void	 client_say(struct client *, const char *);
/* Read what is there, at most n bytes. */
void	 client_take(struct client *, size_t n);
/* Read until this text has come, or the end. Waits for it. */
bool	 client_gets(struct client *, const char *);
bool	 client_ends(struct client *);
void	 client_close(struct client *);

/* A FastCGI record into p: its length. */
size_t	 side_record(char *p, int type, const void *content, size_t n);
/* GET over FastCGI, complete or without the end of its STDIN. */
size_t	 side_fastcgi(char *p, const char *path, bool keep,
	    bool whole);

#endif
