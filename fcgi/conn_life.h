/*
 * A connection's start and end, what it is waited for, and whether it is
 * read from.
 */
#ifndef FCGI_CONN_LIFE_H
#define FCGI_CONN_LIFE_H

#include "fcgi/conn.h"

/* Is there memory for one more, of FastCGI or not? It is kept until then:
 * to be asked before a client is taken from where others can have it. */
bool	 conn_ready(struct net *, bool fastcgi);
/* That one, of an accepted socket. */
struct connection *conn_new(struct net *, const struct listener *, int fd);

/* It waits for that from now on. */
void	 conn_enter(struct connection *, enum net_list);
/* Read on, or nothing more for now. */
void	 conn_read(struct connection *);
void	 conn_rest(struct connection *);
/* Close once everything has gone out. After a refusal the client may still
 * be sending; closing at once would reset it and lose our answer: `linger`
 * waits for it to hang up, now or when all is out. */
void	 conn_finish(struct connection *, bool linger);
/* Close at once. */
void	 conn_cut(struct connection *);
/* Free it, if nothing refers to it any more. */
void	 conn_release(struct connection *);

#endif
