/*
 * Who runs the application, and on which thread: the engine of the classes
 * sync and gthread.
 *
 * N caller threads may run the application, one more may only lead, and a
 * monitor watches. The leader has the loop. While calls are fast the
 * leader calls inline, loop in hand; when it sticks, the monitor takes the
 * loop away and another thread leads. In slow times the leader only leads.
 *
 * Always true: one thread leads; the application is never called from
 * inside the loop; locks are taken in the order application's (GIL), then
 * ours; nobody waits for the application's lock while holding ours; at
 * most one thread waits for it on behalf of the queue.
 */
#ifndef FCGI_DISPATCH_H
#define FCGI_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcgi/engine.h"

/* Serve on this thread (caller 0) and its helpers until turned() says so.
 * False when a caller is stuck: then the process cannot be wound up in
 * order and must be left by _exit. */
bool	 dispatch_run(const struct dispatch_config *);
/* Requests that are queued or running; for the leader. */
unsigned int dispatch_busy(void);
unsigned int dispatch_queued(void);
/* Have the main thread run the errand when it is not in the application; for
 * the leader, from turned(). */
void	 dispatch_errand(void);
/* Is the main thread in the application? */
bool	 dispatch_main_busy(void);
/* The process is to end: answer 503 for all that is queued or running and
 * name it in the log; for the leader, from turned(). */
void	 dispatch_give_up(void);

#endif
