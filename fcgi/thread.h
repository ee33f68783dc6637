/*
 * The threads of a worker: how they are started, and what they take where
 * address space has a limit (ulimit -v).
 *
 * Always true: signals are the main thread's, others have them blocked.
 */
#ifndef FCGI_THREAD_H
#define FCGI_THREAD_H

#include <pthread.h>
#include <stddef.h>

enum { THREAD_STACK = 1 << 20 };	/* of who never calls an application */

/* Before there are threads: where address space has a limit, malloc() is not
 * to reserve some of it for each of them. */
void	 thread_thrift(void);
/* The stack for each of so many that call one. */
size_t	 thread_stack(unsigned int callers);
/* pthread_create() with so much of a stack, or with THREAD_STACK where that
 * cannot be had. */
int	 thread_start(pthread_t *, size_t stack, void *(*)(void *), void *);

#endif
