#include "config.h"

#include <errno.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "fcgi/acceptor.h"
#include "fcgi/connection.h"
#include "fcgi/connections.h"
#include "fcgi/handoff.h"
#include "fcgi/loop.h"

static void
on_wake(uv_async_t *h)
{
	(void)h;	/* to end the turn was all */
}

/* After large bodies, once it is quiet: what the allocator holds of them
 * goes back to the system. */
static void
memory_tick(struct net *net)
{
#ifdef __GLIBC__
	if (!TAILQ_EMPTY(&net->list[NET_BUSY]) ||
	    !TAILQ_EMPTY(&net->list[NET_BODY]))
		net->quiet = 0;
	else if (++net->quiet >= NET_QUIET_TICKS && net->pool.large) {
		net->pool.large = false;
		(void)malloc_trim(0);
	}
#else
	(void)net;
#endif
}

static void
on_tick(uv_timer_t *h)
{
	struct net *net = h->data;

	connections_tick(net);
	if (net->leaving)
		connections_leave(net);
	acceptors_tick(net);
	handoff_tick(net);
	memory_tick(net);
}

int
loop_open(struct net *net)
{
	int i, rc;

	for (i = 0; i < NET_LISTS; i++)
		TAILQ_INIT(&net->list[i]);
	net->fresh_end = &net->fresh;
	net->adopt = connections_open;
	pthread_mutex_init(&net->todo_lock, NULL);
	if ((rc = uv_loop_init(&net->loop)) != 0 ||
	    (rc = uv_async_init(&net->loop, &net->wake, on_wake)) != 0 ||
	    (rc = uv_timer_init(&net->loop, &net->tick)) != 0) {
		errno = -rc;
		return -1;
	}
	net->tick.data = net;
	return uv_timer_start(&net->tick, on_tick, NET_TICK_MS, NET_TICK_MS);
}

void
loop_turn(struct net *net, bool block)
{
	(void)uv_run(&net->loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	connections_todo(net);
}

static void
close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void
loop_done(struct net *net)
{
	struct connection *c;
	int i;

	acceptors_close(net);
	for (i = 0; i < NET_LISTS; i++)
		while ((c = TAILQ_FIRST(&net->list[i])) != NULL)
			connection_cut(c);
	(void)uv_run(&net->loop, UV_RUN_NOWAIT);
	connections_todo(net);
	uv_walk(&net->loop, close_handle, NULL);
	(void)uv_run(&net->loop, UV_RUN_NOWAIT);
	(void)uv_loop_close(&net->loop);
	request_pool_done(&net->pool);
}
