#include "config.h"

#include <sys/socket.h>

#include <stdlib.h>
#include <unistd.h>

#include "fcgi/child.h"
#include "fcgi/conn_life.h"
#include "fcgi/sink.h"

bool
conn_ready(struct net *net, bool fastcgi)
{
	struct connection **c = &net->next[fastcgi];

	if (*c == NULL && (*c = calloc(1, sizeof(**c) +
	    (fastcgi ? sizeof(struct fastcgi_session) : 0))) == NULL)
		net_lack(net);
	return *c != NULL;
}

struct connection *
conn_new(struct net *net, const struct listener *l, int fd)
{
	bool fastcgi = l->protocol == PROTOCOL_FASTCGI;
	struct connection *c = net->next[fastcgi];

	net->next[fastcgi] = NULL;
	if (fastcgi)
		c->session.fastcgi = (struct fastcgi_session *)(c + 1);
	c->net = net;
	c->listener = l;
	c->fd = fd;
	c->spill.fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->drained, NULL);
	return c;
}

void
conn_enter(struct connection *c, enum net_list list)
{
	if (uv_is_closing(&c->uv.handle))
		return;
	TAILQ_REMOVE(&c->net->list[c->in_list], c, entry);
	c->in_list = list;
	TAILQ_INSERT_TAIL(&c->net->list[list], c, entry);
	/* Where it takes nothing, what else it does buys it no time. */
	if (c->writable == NULL || (list != NET_BUSY && list != NET_SENDING))
		c->since_ms = net_now(c->net);
}

void
conn_release(struct connection *c)
{
	struct net *net = c->net;
	bool fastcgi = conn_fastcgi(c);

	if (!c->closed || c->refs > 0)
		return;
	sink_forget(c);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->drained);
	free(c);
	/* Where there is no memory left, what was its is the next one's. */
	(void)conn_ready(net, fastcgi);
}

static void
on_closed(uv_handle_t *h)
{
	struct connection *c = h->data;

	c->closed = true;
	conn_release(c);
}

void
conn_cut(struct connection *c)
{
	if (uv_is_closing(&c->uv.handle))
		return;
	sink_break(c);
	sink_unwatch(c);
	if (child_born() && !c->given)	/* who may keep it open */
		(void)shutdown(c->fd, SHUT_RDWR);
	TAILQ_REMOVE(&c->net->list[c->in_list], c, entry);
	c->net->nconns--;
	buffer_free(&c->in);
	if (c->spill.fd != -1)
		(void)close(c->spill.fd);
	if (conn_fastcgi(c)) {
		fastcgi_session_done(c->session.fastcgi, &c->net->pool);
		c->session.fastcgi = NULL;
	} else
		http_session_done(&c->session.http, &c->net->pool);
	uv_close(&c->uv.handle, on_closed);
}

void
conn_read(struct connection *c)
{
	c->stopped = false;
	(void)uv_read_start(&c->uv.stream, c->ops->alloc, c->ops->read);
}

void
conn_rest(struct connection *c)
{
	if (!c->stopped) {
		(void)uv_read_stop(&c->uv.stream);
		c->stopped = true;
		atomic_store(&c->eager, true);
	}
}

/* Is an answer still to come from a caller? */
static bool
awaited(const struct connection *c)
{
	const struct request *rq;

	for (rq = c->active; rq != NULL; rq = rq->sibling)
		if (!rq->abandoned)
			return true;
	return false;
}

void
conn_finish(struct connection *c, bool linger)
{
	c->close_after = true;
	c->linger |= linger;
	if (awaited(c) || uv_is_closing(&c->uv.handle) ||
	    c->in_list == NET_LINGER)
		return;
	if (sink_pending(c)) {
		conn_enter(c, NET_SENDING);
		return;
	}
	if (!c->linger || c->eof) {
		conn_cut(c);
		return;
	}
	(void)shutdown(c->fd, SHUT_WR);
	buffer_free(&c->in);
	conn_enter(c, NET_LINGER);
	if (c->stopped)
		conn_read(c);
}
