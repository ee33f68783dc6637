#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fcgi/child.h"
#include "fcgi/log.h"

static const struct listeners *listeners;
static bool is_child;
static atomic_bool born;	/* set on any caller's thread */

static void
in_parent(void)
{
	born = true;
}

static void
in_child(void)
{
	size_t i, j;

	if (is_child)
		return;
	is_child = true;
	/* Or the address would stay taken for as long as it lives. */
	for (i = 0; i < listeners->n; i++)
		for (j = 0; j < listeners->v[i].nfds; j++)
			(void)close(listeners->v[i].fds[j]);
}

void
child_watch(const struct listeners *ls)
{
	bool first = listeners == NULL;

	listeners = ls;
	if (first)
		(void)pthread_atfork(NULL, in_parent, in_child);
}

bool
child_is(void)
{
	return is_child;
}

bool
child_born(void)
{
	return born;
}

void
child_end(bool ok)
{
	log_warning("A child that the application forked came back into the "
	    "server; it ends here, its parent answers");
	_exit(ok ? 0 : 1);
}
