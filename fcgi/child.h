/*
 * A child that the application forks from a worker, when it comes back
 * into the server instead of ending: it has the worker's connections and
 * event loop, and must touch none of them.
 */
#ifndef FCGI_CHILD_H
#define FCGI_CHILD_H

#include <stdbool.h>

#include "fcgi/listeners.h"

/* From now on children of this process are known as such; these listeners
 * are closed in them. */
void	 child_watch(const struct listeners *);
/* Are we one? */
bool	 child_is(void);
/* Has this process had one, who may still hold copies of descriptors? */
bool	 child_born(void);
/* Say so and end. */
_Noreturn void	 child_end(bool ok);

#endif
