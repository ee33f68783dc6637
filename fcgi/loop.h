/*
 * The worker's event loop: its start, its turns, its end.
 */
#ifndef FCGI_LOOP_H
#define FCGI_LOOP_H

#include "fcgi/net.h"

/* Prepare the loop. 0 or -1 with errno. */
int	 loop_open(struct net *);
/* One turn; with `block` it waits for something to happen. */
void	 loop_turn(struct net *, bool block);
/* What is due every NET_TICK_MS; the loop does it itself. */
void	 loop_tick(struct net *);
/* Cut and free everything. */
void	 loop_done(struct net *);

#endif
