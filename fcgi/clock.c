#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fcgi/clock.h"

enum { NS_PER_MS = 1000000 };

static atomic_uint_fast64_t held_ns;	/* 0: the clock runs */
static atomic_uint_fast64_t held_from_ns;
/* For threads that wait for a held clock to be moved; under lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static pthread_cond_t paused = PTHREAD_COND_INITIALIZER;
static pthread_t holder;
static unsigned int waiting;		/* since it was last moved */
static unsigned long moves;

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
	uint64_t by = atomic_load(&held_ns) - atomic_load(&held_from_ns);

	return time(NULL) + (time_t)(by / NS_PER_MS / 1000);
}

/* False: the clock runs. */
static bool
pause_held(uint64_t ms)
{
	uint64_t until = atomic_load(&held_ns) + ms * NS_PER_MS, now;
	unsigned long seen;

	if (until == ms * NS_PER_MS)
		return false;
	pthread_mutex_lock(&lock);
	if (pthread_equal(holder, pthread_self())) {
		pthread_mutex_unlock(&lock);
		clock_move(ms);
		return true;
	}
	while ((now = atomic_load(&held_ns)) != 0 && now < until) {
		waiting++;
		pthread_cond_broadcast(&paused);
		for (seen = moves; seen == moves; )
			pthread_cond_wait(&moved, &lock);
	}
	pthread_mutex_unlock(&lock);
	return true;
}

void
clock_pause(uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
	    .tv_nsec = (long)(ms % 1000) * NS_PER_MS };

	if (!pause_held(ms))
		(void)nanosleep(&t, NULL);
}

static void
set(uint64_t ns)
{
	pthread_mutex_lock(&lock);
	atomic_store(&held_ns, ns);
	waiting = 0;
	moves++;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

void
clock_hold(uint64_t ms)
{
	pthread_mutex_lock(&lock);
	holder = pthread_self();
	pthread_mutex_unlock(&lock);
	atomic_store(&held_from_ns, ms * NS_PER_MS);
	set(ms * NS_PER_MS);
}

void
clock_move(uint64_t ms)
{
	set(atomic_load(&held_ns) + ms * NS_PER_MS);
}

void
clock_release(void)
{
	atomic_store(&held_from_ns, 0);
	set(0);
}

void
clock_await(unsigned int n)
{
	pthread_mutex_lock(&lock);
	while (waiting < n)
		pthread_cond_wait(&paused, &lock);
	pthread_mutex_unlock(&lock);
}
