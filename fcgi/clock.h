/*
 * The one clock. Everything that asks what time it is, to wait for something
 * or to say how long it took, asks here; a unit test holds the clock and
 * moves it, so that hours pass in no time. What people read (log lines, the
 * Date field) has the time of day from time(2).
 *
 * The clock is CLOCK_MONOTONIC: it never goes back, and is the same in all
 * processes of a machine.
 */
#ifndef FCGI_CLOCK_H
#define FCGI_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t clock_ns(void);
uint64_t clock_ms(void);
/* In milliseconds, up to 4 ms late, for a third of the price. */
uint64_t clock_coarse_ms(void);
/* Processor time of this thread. */
uint64_t clock_thread_ns(void);
/* The time of day, as files have it; a held clock that is moved moves it. */
time_t	 clock_date(void);
/* Sleep so long; a signal may end it early. Where the clock is held, who holds
 * it moves it instead; other threads wait until it has been moved so far. */
void	 clock_pause(uint64_t ms);

/* For tests: from now on the clock stands at `ms` (not 0) until it is moved,
 * by this thread; clock_release() gives the real one back. */
void	 clock_hold(uint64_t ms);
void	 clock_move(uint64_t ms);
void	 clock_release(void);
/* Wait until so many threads are in clock_pause(), with some of it to go. */
void	 clock_await(unsigned int n);

#endif
