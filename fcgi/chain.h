/*
 * Handlers that an application sets for signals that are the server's: ours
 * keep their places, and have the application's called as well.
 *
 * Always true: what a handler raises between two requests, or in the midst
 * of one, is no request's: chain_run() is called where nobody sees it.
 */
#ifndef FCGI_CHAIN_H
#define FCGI_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

/* For these signals the handlers that stand there now are ours. */
void	 chain_begin(const int *signals, size_t n);
/* Where another stands by now, remember it and put ours back; for one thread
 * at a time. */
void	 chain_look(void);
/* Has the application handlers for signals that are not ours, too? */
bool	 chain_others(void);
/* Ours was called: call the application's, `now` or by chain_run().
 * Async-signal-safe. */
void	 chain_arrived(int sig, bool now);
/* Has one arrived for chain_run()? True once for each. */
bool	 chain_news(void);
/* Has it not been called yet, or not returned? */
bool	 chain_due(void);
/* Call what is due, and then() (or NULL) for what has come of that, on the main
 * thread; what then() returned, or 0 where that is just being done. */
int	 chain_run(int (*then)(void));

#endif
