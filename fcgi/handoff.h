/*
 * Kept connections of a leaving worker go to another one: the descriptor
 * and the bytes that were read from it, over a SOCK_SEQPACKET socket that
 * all workers share. A message that nobody has read yet is kept by the
 * socket, so a worker's death loses none.
 */
#ifndef FCGI_HANDOFF_H
#define FCGI_HANDOFF_H

#include "fcgi/conn.h"

enum { HANDOFF_BYTES = 32 * 1024 };	/* unread bytes that may go along */

/* Start taking what others give. 0 or -1. */
int	 handoff_open(struct net *, int from);
void	 handoff_stop(struct net *);
/* Try again after descriptors were out. */
void	 handoff_tick(struct net *);
/* Take one now: false when there is none. */
bool	 handoff_take(struct net *);
/* Could it be given away, but for requests that wait for a caller? */
bool	 handoff_able(struct connection *);
/* Give this one away. True: another has it, close it here; false: it could
 * not be, or not now. */
bool	 handoff_give(struct connection *);

#endif
