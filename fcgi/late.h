/*
 * Callers that stay in the application for too long: their requests are
 * answered for, and those behind them find another way. All of it on the
 * leader's thread, with the engine's lock held but where it says otherwise.
 */
#ifndef FCGI_LATE_H
#define FCGI_LATE_H

#include "fcgi/engine.h"

/* Is no caller left that will come back? */
bool	 late_all(const struct dispatch *);
/* Requests past their limit are answered for. */
void	 late_check(struct dispatch *);
/* A worker that leaves while all its callers are busy gives the requests
 * that wait for them to another worker; what cannot go waits on, or is
 * answered 503 when no caller will come back. Lets go of the lock within. */
void	 late_recall(struct dispatch *);
/* The process ends now: answer 503 for all that runs and waits. Takes the
 * lock itself. */
void	 late_give_up(struct dispatch *);

#endif
