/*
 * The manager's signals: caught, counted, and served one after the other.
 *
 * Always true: between signals_take() and signals_give_back() they are
 * blocked but while signals_mask() is in force (ppoll), so counters stand
 * still for whoever reads them.
 */
#ifndef FCGI_SIGNALS_H
#define FCGI_SIGNALS_H

#include <signal.h>

void	 signals_take(void);
/* As they were before, for the end, and for a child that becomes another
 * program. */
void	 signals_give_back(void);
/* The mask to wait with, and for workers to start with. */
sigset_t *signals_mask(void);
/* Hand each that has arrived to handle(), with a line in the log. TTIN and
 * TTOU count, of the others several are one. */
void	 signals_serve(void (*handle)(void *, int sig), void *);

#endif
