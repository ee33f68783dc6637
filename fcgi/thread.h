/*
 * The threads of a worker: how they are started, and what they take where
 * address space has a limit (ulimit -v).
 *
 * Always true: who never calls the application has all signals blocked. Who
 * does has them as the main thread has, for programs that it starts inherit
 * that, and could not be told to end.
 */
#ifndef FCGI_THREAD_H
#define FCGI_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Before there are threads: where address space has a limit, malloc() is not
 * to reserve some of it for each of them. */
void	 thread_thrift(void);
/* The stack for each of so many that call one. */
size_t	 thread_stack(unsigned int callers);
/* pthread_create() for one of them; with less of a stack where that cannot be
 * had. */
int	 thread_caller(pthread_t *, size_t stack, void *(*)(void *), void *);
/* The same for who never calls one. */
int	 thread_helper(pthread_t *, void *(*)(void *), void *);

#endif
