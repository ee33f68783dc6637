#include "config.h"

#include <stdatomic.h>

#include "fcgi/clock.h"

enum { NS_PER_MS = 1000000 };

static atomic_uint_fast64_t held_ns;	/* 0: the clock runs */
static atomic_uint_fast64_t moved_ms;	/* since it is held */

static uint64_t
read_clock(clockid_t id)
{
	uint64_t held = atomic_load_explicit(&held_ns, memory_order_relaxed);
	struct timespec t;

	if (held != 0)
		return held;
	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t
clock_ms(void)
{
	return clock_ns() / NS_PER_MS;
}

uint64_t
clock_coarse_ms(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE) / NS_PER_MS;
}

uint64_t
clock_thread_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

time_t
clock_date(void)
{
	return time(NULL) + (time_t)(atomic_load(&moved_ms) / 1000);
}

void
clock_pause(uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
	    .tv_nsec = (long)(ms % 1000) * NS_PER_MS };

	if (atomic_load(&held_ns) != 0)
		clock_move(ms);
	else
		(void)nanosleep(&t, NULL);
}

void
clock_hold(uint64_t ms)
{
	atomic_store(&held_ns, ms * NS_PER_MS);
	atomic_store(&moved_ms, 0);
}

void
clock_move(uint64_t ms)
{
	atomic_fetch_add(&held_ns, ms * NS_PER_MS);
	atomic_fetch_add(&moved_ms, ms);
}

void
clock_release(void)
{
	atomic_store(&held_ns, 0);
	atomic_store(&moved_ms, 0);
}
