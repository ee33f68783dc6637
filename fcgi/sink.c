#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/child.h"
#include "fcgi/log.h"
#include "fcgi/sink.h"

/* --- any thread */

static void
put_todo(struct connection *c)
{
	struct net *net = c->net;

	pthread_mutex_lock(&net->todo_lock);
	if (!c->in_todo) {
		c->in_todo = true;
		c->next_todo = net->todo;
		net->todo = c;
	}
	pthread_mutex_unlock(&net->todo_lock);
}

/* Ask the loop to see to the queue: not here, where a failure would cut the
 * connection under whoever is using it. */
static void
ask_loop(struct connection *c)
{
	put_todo(c);
	(void)uv_async_send(&c->net->wake);
}

/* lock held */
static enum send_result
verdict(struct connection *c)
{
	return c->queue.bytes > QUEUE_HIGH ? SEND_FULL : SEND_OK;
}

/* lock held; who waits for the client must not wait for the loop to see,
 * which may find nothing to do */
static void
fail(struct connection *c)
{
	c->broken = true;
	pthread_cond_broadcast(&c->drained);
}

/* lock held; true when the queue has become non-empty */
static int
write_or_queue(struct connection *c, struct iovec *v, int n, bool *queued)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };
	ssize_t k = 0;
	size_t total = 0;
	int i;

	for (i = 0; i < n; i++)
		total += v[i].iov_len;
	if (c->queue.head == NULL) {
		do
			k = n == 1 ? send(c->fd, v->iov_base, v->iov_len,
			    MSG_NOSIGNAL | MSG_DONTWAIT) :
			    sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (k == -1 && errno == EINTR);
		if (k == -1 && errno != EAGAIN)
			return -1;
		if ((size_t)k == total)
			return 0;
		if (k == -1)
			k = 0;
		*queued = true;
	}
	return queue_add(&c->queue, v, n, (size_t)k);
}

static enum send_result
sink_send(struct request *rq, struct iovec *v, int n)
{
	struct connection *c = rq->conn;
	enum send_result r = SEND_GONE;
	bool queued = false;

	if (child_is())
		return SEND_GONE;
	pthread_mutex_lock(&c->lock);
	if (!c->broken && !rq->abandoned) {
		rq->on_wire = true;
		/* Now: the client may use its id again at once. */
		if (rq->rs.ended)
			atomic_store_explicit(&rq->over, true,
			    memory_order_release);
		if (write_or_queue(c, v, n, &queued) == 0)
			r = verdict(c);
		else
			fail(c);
	}
	pthread_mutex_unlock(&c->lock);
	if (queued)
		ask_loop(c);
	return r;
}

/* lock held */
static int
queue_text(struct queue *q, struct str s)
{
	struct iovec v = { (void *)(uintptr_t)s.p, s.n };

	return queue_add(q, &v, 1, 0);
}

/* In one piece: what the loop sends by itself (the end of an aborted
 * request) must not come between a record's header and its content. */
static enum send_result
sink_file(struct request *rq, struct str before, int file, off_t at,
    uint64_t n, struct str after)
{
	struct connection *c = rq->conn;
	struct queue *q = &c->queue;
	enum send_result r = SEND_GONE;
	bool queued = false;
	int rc;

	if (child_is())
		return SEND_GONE;
	pthread_mutex_lock(&c->lock);
	if (!c->broken && !rq->abandoned) {
		rq->on_wire = true;
		queued = q->head == NULL;
		if (queue_text(q, before) == -1 ||
		    queue_add_file(q, file, at, n) == -1 ||
		    queue_text(q, after) == -1 ||
		    (rc = queue_flush(q, c->fd)) == -1)
			fail(c);
		else {
			r = verdict(c);
			queued = queued && rc == 0;
			if (q->bytes <= QUEUE_LOW)
				pthread_cond_broadcast(&c->drained);
		}
	}
	pthread_mutex_unlock(&c->lock);
	if (queued)
		ask_loop(c);
	return r;
}

static bool
sink_leaving(const struct request *rq)
{
	return atomic_load_explicit(&rq->conn->net->closing,
	    memory_order_relaxed);
}

const struct sink connection_sink = {
	.send = sink_send, .file = sink_file, .leaving = sink_leaving,
};

enum send_result
sink_drain(struct request *rq)
{
	struct connection *c = rq->conn;
	bool gone;

	pthread_mutex_lock(&c->lock);
	while (!c->broken && !rq->abandoned && c->queue.bytes > QUEUE_LOW)
		pthread_cond_wait(&c->drained, &c->lock);
	gone = c->broken || rq->abandoned;
	pthread_mutex_unlock(&c->lock);
	return gone ? SEND_GONE : SEND_OK;
}

bool
sink_hung_up(struct connection *c)
{
	struct pollfd p = { .fd = c->fd };
	bool gone;

	/* Under the lock, or the descriptor might be closed meanwhile. */
	pthread_mutex_lock(&c->lock);
	gone = c->broken || (poll(&p, 1, 0) == 1 &&
	    (p.revents & (POLLERR | POLLHUP)) != 0);
	pthread_mutex_unlock(&c->lock);
	return gone;
}

/* --- the loop */

/* lock held, or alone */
static void
look_full(struct connection *c)
{
	if (c->queue.bytes > QUEUE_MOST)
		c->full = true;
	else if (c->queue.bytes <= QUEUE_LOW)
		c->full = false;
}

void
sink_raw(struct connection *c, const void *p, size_t n)
{
	struct iovec v = { (void *)(uintptr_t)p, n };
	bool queued = false;

	pthread_mutex_lock(&c->lock);
	if (!c->broken && write_or_queue(c, &v, 1, &queued) == -1)
		fail(c);
	look_full(c);
	pthread_mutex_unlock(&c->lock);
	if (queued)
		ask_loop(c);
}

bool
sink_state(struct connection *c, bool *pending)
{
	bool alone = c->refs == 0, broken;	/* no caller has a request */

	if (!alone)
		pthread_mutex_lock(&c->lock);
	broken = c->broken;
	*pending = c->queue.head != NULL && !broken;
	look_full(c);
	if (!alone)
		pthread_mutex_unlock(&c->lock);
	return broken;
}

bool
sink_broken(struct connection *c)
{
	bool pending;

	return sink_state(c, &pending);
}

bool
sink_pending(struct connection *c)
{
	bool pending;

	(void)sink_state(c, &pending);
	return pending;
}

void
sink_forget(struct connection *c)
{
	struct connection **p;

	pthread_mutex_lock(&c->net->todo_lock);
	for (p = &c->net->todo; c->in_todo && *p != NULL;
	    p = &(*p)->next_todo)
		if (*p == c) {
			*p = c->next_todo;
			c->in_todo = false;
			break;
		}
	pthread_mutex_unlock(&c->net->todo_lock);
	queue_clear(&c->queue);
}

void
sink_break(struct connection *c)
{
	pthread_mutex_lock(&c->lock);
	queue_clear(&c->queue);
	fail(c);
	pthread_mutex_unlock(&c->lock);
}

static void
on_unwatched(uv_handle_t *h)
{
	uv_poll_t *w = (uv_poll_t *)h;
	int fd = (int)(intptr_t)w->data;

	(void)close(fd);
	free(w);
}

void
sink_unwatch(struct connection *c)
{
	uv_os_fd_t fd = -1;

	if (c->writable == NULL)
		return;
	(void)uv_fileno((uv_handle_t *)c->writable, &fd);
	c->writable->data = (void *)(intptr_t)fd;
	c->net->nsending--;
	uv_close((uv_handle_t *)c->writable, on_unwatched);
	c->writable = NULL;
}

static void
on_writable(uv_poll_t *w, int status, int events)
{
	struct connection *c = w->data;
	bool broken, was_full = c->full;
	uint64_t before;
	int rc;

	(void)status, (void)events;
	pthread_mutex_lock(&c->lock);
	before = c->queue.total;
	rc = c->broken ? -1 : queue_flush(&c->queue, c->fd);
	if (rc == -1)
		fail(c);
	else if (c->queue.bytes <= QUEUE_LOW)
		pthread_cond_broadcast(&c->drained);
	if (c->queue.total < before)
		c->since_ms = net_now(c->net);
	broken = c->broken;
	look_full(c);
	pthread_mutex_unlock(&c->lock);
	if (rc != 0)
		sink_unwatch(c);
	if (rc != 0 || (was_full && !c->full))
		c->ops->flushed(c, broken);
}

void
sink_watch(struct connection *c)
{
	int fd;

	if (c->writable != NULL || uv_is_closing(&c->uv.handle))
		return;
	/* The stream handle has the descriptor: libuv wants another one. */
	fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	if (fd != -1 && (c->writable = malloc(sizeof(*c->writable))) != NULL) {
		if (uv_poll_init(&c->net->loop, c->writable, fd) == 0) {
			c->writable->data = c;
			c->starved = false;
			c->net->nsending++;
			c->since_ms = net_now(c->net);
			(void)uv_poll_start(c->writable, UV_WRITABLE,
			    on_writable);
			return;
		}
		free(c->writable);
		c->writable = NULL;
	}
	if (fd != -1)
		(void)close(fd);
	if (!c->starved) {
		log_error("Cannot wait for a slow client: out of descriptors "
		    "or memory; trying again");
		c->starved = true;
		c->since_ms = net_now(c->net);
	}
	put_todo(c);
}
