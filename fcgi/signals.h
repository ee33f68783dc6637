/*
 * The manager's signals: caught, counted, and served one after the other.
 *
 * Always true: between signals_take() and signals_give_back() they are
 * blocked for us but while signals_mask() is in force: to wait (ppoll), and
 * for hooks, whose threads and programs are to have it.
 */
#ifndef FCGI_SIGNALS_H
#define FCGI_SIGNALS_H

#include <signal.h>

/* `bell` is written to when one arrives: it may be on another thread. */
void	 signals_take(int bell);
void	 signals_mute(void);	/* the bell goes away */
/* From now on they change nothing any more: not the exit status either. */
void	 signals_end(void);
/* As they were before, for who lives on after that, and for a child that
 * becomes another program. */
void	 signals_give_back(void);
/* The mask to wait with, and for workers to start with. */
sigset_t *signals_mask(void);
/* Hand each that has arrived to handle(), the first to come first, with a
 * line in the log. TTIN and TTOU count, of the others several are one. */
void	 signals_serve(void (*handle)(void *, int sig), void *);

#endif
