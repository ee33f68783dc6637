#include "config.h"

#include <sys/resource.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>

#include "fcgi/thread.h"

enum { STACK = 1 << 20 };

/* An arena is 64 MB: sixteen threads would have all of a gigabyte, and not
 * even the main thread's stack could grow any more. */
void
thread_thrift(void)
{
#ifdef __GLIBC__
	struct rlimit r;

	if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
		(void)mallopt(M_ARENA_MAX, 1);
#endif
}

int
thread_start(pthread_t *id, void *(*f)(void *), void *arg)
{
	pthread_attr_t a;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_init(&a);
	(void)pthread_attr_setstacksize(&a, STACK);
	rc = pthread_create(id, &a, f, arg);
	(void)pthread_attr_destroy(&a);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}
