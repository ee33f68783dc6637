/*
 * Accepting: our own sockets, and those of slots that have no worker now.
 *
 * A socket that nobody accepts from leaves its clients hanging, and one
 * that is closed resets them: under reuse_port the neighbour sees to the
 * sockets of slots without a ready worker.
 */
#ifndef FCGI_ACCEPTOR_H
#define FCGI_ACCEPTOR_H

#include "fcgi/net.h"
#include "fcgi/scoreboard.h"

/* Watch all listeners for `slot`. board may be NULL (nobody else is).
 * `others`: processes that are not on it may accept there too. 0 or -1. */
int	 acceptors_open(struct net *, const struct scoreboard *, size_t slot,
	    bool others);
/* Pause and go on: while nobody is free, a neighbour should have it. */
void	 acceptors_pause(struct net *, bool);
/* Look whose sockets are ours now. */
void	 acceptors_tick(struct net *);
/* Are there neighbours who could accept instead of us? */
bool	 acceptors_shared(void);
/* Is every neighbour that serves as full as that, or more? Of strangers it is
 * not known. */
bool	 acceptors_crowded(enum place_full);
/* No more, for good. */
void	 acceptors_close(struct net *);

#endif
