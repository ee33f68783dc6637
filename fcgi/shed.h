/*
 * The end of the queue: what new requests join, and what becomes of those
 * that find it full. The leader's, as late.h is.
 *
 * Always true: without a bound nobody is turned away, and new connections
 * wait outside while all callers are busy; with one they are let in once
 * the neighbours are as busy, so that they hear so soon.
 */
#ifndef FCGI_SHED_H
#define FCGI_SHED_H

#include "fcgi/engine.h"

/* What the last turn brought joins the queue, or is answered 503. The lock
 * is held at call and return, and let go of within. */
void	 shed_collect(struct dispatch *);
/* Are new connections better off elsewhere? Says on the board how full we
 * are. With the lock held. */
bool	 shed_full(const struct dispatch *);

#endif
