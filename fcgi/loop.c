#include "config.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "fcgi/acceptor.h"
#include "fcgi/buffer.h"
#include "fcgi/conn_life.h"
#include "fcgi/connections.h"
#include "fcgi/handoff.h"
#include "fcgi/loop.h"

enum { LOOP_SPARE = 64 };	/* descriptors beside the connections */

static void
on_wake(uv_async_t *h)
{
	(void)h;	/* to end the turn was all */
}

/* Once memory was out: can what is read at once be had now? */
static void
lack_tick(struct net *net)
{
	struct buffer b = { 0 };

	if (net->memory == NET_MEMORY_THERE)
		return;
	if (buffer_reserve(&b, NET_READ, NET_READ) == 0)
		net->memory = NET_MEMORY_THERE;
	else if (net_now(net) >= net->lack_ms + NET_LACK_MS)
		net->memory = NET_MEMORY_GONE;
	buffer_free(&b);
}

/* After large bodies, once it is quiet: what the allocator holds of them
 * goes back to the system. */
static void
memory_tick(struct net *net)
{
#ifdef __GLIBC__
	if (!TAILQ_EMPTY(&net->list[NET_BUSY]) ||
	    !TAILQ_EMPTY(&net->list[NET_BODY]))
		net->busy_ms = net_now(net);
	else if (net->pool.large &&
	    net_now(net) >= net->busy_ms + NET_QUIET_MS) {
		net->pool.large = false;
		(void)malloc_trim(0);
	}
#else
	(void)net;
#endif
}

void
loop_tick(struct net *net)
{
	net->now_ms = 0;
	connections_tick(net);
	if (net->leaving)
		connections_leave(net);
	acceptors_tick(net);
	handoff_tick(net);
	memory_tick(net);
	lack_tick(net);
	net->now_ms = 0;	/* the loop may wait after this */
}

static void
on_tick(uv_timer_t *h)
{
	loop_tick(h->data);
}

static void
on_highest(uv_handle_t *h)
{
	(void)close((int)(intptr_t)h->data);
}

static void
on_nothing(uv_poll_t *h, int status, int events)
{
	(void)h, (void)status, (void)events;
}

/* libuv ends the process when memory is out as its table of descriptors
 * grows: it is made to have all of it now. Two for a connection that waits
 * for its client. */
static void
table_grow(struct net *net)
{
	int event, fd, top = 2 * (int)net->max_conns + LOOP_SPARE;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < (rlim_t)top)
		top = (int)r.rlim_cur;
	if ((event = eventfd(0, EFD_CLOEXEC)) == -1)
		return;
	fd = fcntl(event, F_DUPFD_CLOEXEC, top - 1);
	(void)close(event);
	if (fd == -1)
		return;
	if (uv_poll_init(&net->loop, &net->highest, fd) != 0) {
		(void)close(fd);
		return;
	}
	(void)uv_poll_start(&net->highest, UV_READABLE, on_nothing);
	net->highest.data = (void *)(intptr_t)fd;
	uv_close((uv_handle_t *)&net->highest, on_highest);
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
	table_grow(net);
	return uv_timer_start(&net->tick, on_tick, NET_TICK_MS, NET_TICK_MS);
}

void
loop_turn(struct net *net, bool block)
{
	net->now_ms = 0;
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
			conn_cut(c);
	(void)uv_run(&net->loop, UV_RUN_NOWAIT);
	connections_todo(net);
	uv_walk(&net->loop, close_handle, NULL);
	(void)uv_run(&net->loop, UV_RUN_NOWAIT);
	(void)uv_loop_close(&net->loop);
	request_pool_done(&net->pool);
	free(net->next[false]);
	free(net->next[true]);
}
