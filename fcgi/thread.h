/*
 * The threads of a worker: how they are started, and what they take where
 * address space has a limit (ulimit -v).
 *
 * Always true: signals are the main thread's, others have them blocked.
 */
#ifndef FCGI_THREAD_H
#define FCGI_THREAD_H

#include <pthread.h>

/* Before there are threads: where address space has a limit, malloc() is not
 * to reserve some of it for each of them. */
void	 thread_thrift(void);
int	 thread_start(pthread_t *, void *(*)(void *), void *);

#endif
