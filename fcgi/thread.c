#include "config.h"

#include <sys/resource.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdbool.h>

#include "fcgi/thread.h"

enum { CALLER_STACK = 8 << 20 };

static bool
limited(struct rlimit *r)
{
	return getrlimit(RLIMIT_AS, r) == 0 && r->rlim_cur != RLIM_INFINITY;
}

/*
 * What the main thread mostly has, and the threads of other servers:
 * CPython's guards against deep recursion are made for that, with less the
 * process dies first. It is address space, not memory; where that has a
 * limit, the application is to have most of it.
 */
size_t
thread_stack(unsigned int callers)
{
	struct rlimit r;
	size_t share;

	if (!limited(&r))
		return CALLER_STACK;
	share = (size_t)r.rlim_cur / 4 / callers / THREAD_STACK * THREAD_STACK;
	return share < THREAD_STACK ? THREAD_STACK :
	    share < CALLER_STACK ? share : CALLER_STACK;
}

/* An arena is 64 MB: sixteen threads would have all of a gigabyte, and not
 * even the main thread's stack could grow any more. */
void
thread_thrift(void)
{
#ifdef __GLIBC__
	struct rlimit r;

	if (limited(&r))
		(void)mallopt(M_ARENA_MAX, 1);
#endif
}

int
thread_start(pthread_t *id, size_t stack, void *(*f)(void *), void *arg)
{
	pthread_attr_t a;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_init(&a);
	(void)pthread_attr_setstacksize(&a, stack);
	if ((rc = pthread_create(id, &a, f, arg)) != 0 &&
	    stack > THREAD_STACK) {
		(void)pthread_attr_setstacksize(&a, THREAD_STACK);
		rc = pthread_create(id, &a, f, arg);
	}
	(void)pthread_attr_destroy(&a);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}
