#include "config.h"

#include <sys/resource.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdbool.h>

#include "fcgi/thread.h"

enum { STACK = 1 << 20, CALLER_STACK = 8 << 20 };

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
	share = (size_t)r.rlim_cur / 4 / callers / STACK * STACK;
	return share < STACK ? STACK :
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

static int
start(pthread_t *id, size_t stack, void *(*f)(void *), void *arg)
{
	pthread_attr_t a;
	int rc;

	(void)pthread_attr_init(&a);
	(void)pthread_attr_setstacksize(&a, stack);
	rc = pthread_create(id, &a, f, arg);
	(void)pthread_attr_destroy(&a);
	return rc;
}

int
thread_caller(pthread_t *id, size_t stack, void *(*f)(void *), void *arg)
{
	int rc = start(id, stack, f, arg);

	return rc != 0 && stack > STACK ? start(id, STACK, f, arg) : rc;
}

int
thread_helper(pthread_t *id, void *(*f)(void *), void *arg)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = start(id, STACK, f, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}
