/*
 * All connections of a worker: new ones, deadlines, the common end.
 */
#ifndef FCGI_CONNECTIONS_H
#define FCGI_CONNECTIONS_H

#include "fcgi/conn.h"

struct sockaddr;

/* Take over an accepted socket, after conn_ready(), with bytes that were
 * read from it already (and a body among them in a file, or NULL). */
void	 connections_open(struct net *, const struct listener *, int fd,
	    const struct sockaddr *, const char *in, size_t n,
	    const struct spill *);
/* The process ends: answer 503 for what waits unread on kept connections. */
void	 connections_give_up(struct net *);
/* Deadlines; queues that callers left. Called once a turn and a tick. */
void	 connections_todo(struct net *);
void	 connections_tick(struct net *);
/* The server is leaving: give away what can be given, close the idle. */
void	 connections_leave(struct net *);

#endif
