#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/conn_life.h"
#include "fcgi/connection.h"
#include "fcgi/connections.h"
#include "fcgi/handoff.h"
#include "fcgi/log.h"
#include "fcgi/sink.h"
#include "fcgi/trust.h"

/* --- new ones */

static void
set_peer(struct connection *c, const struct sockaddr *sa)
{
	struct peer *p = &c->peer;
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	unsigned int port;

	p->server_name = str_of(c->listener->server_name);
	p->server_port = str_of(c->listener->server_port);
	/* Who may connect is Passenger; what it passes on is its clients'. */
	p->trusted = c->net->wire.passenger == NULL &&
	    trust_has(c->net->trust, sa);
	if (sa->sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &in->sin_addr, p->addr,
		    sizeof(p->addr));
		port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			(void)inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12,
			    p->addr, sizeof(p->addr));
		else
			(void)inet_ntop(AF_INET6, &in6->sin6_addr, p->addr,
			    sizeof(p->addr));
		port = ntohs(in6->sin6_port);
	} else {
		p->unix_socket = true;
		return;
	}
	p->addr_n = (uint8_t)strlen(p->addr);
	p->port_n = (uint8_t)snprintf(p->port, sizeof(p->port), "%u", port);
}

void
connections_open(struct net *net, const struct listener *l, int fd,
    const struct sockaddr *sa, const char *in, size_t n,
    const struct spill *spill)
{
	struct connection *c = conn_new(net, l, fd);

	if (spill != NULL)
		c->spill = *spill;
	set_peer(c, sa);
	net->nconns++;
	/* A pooled one that a worker has given away: it may stay idle. */
	c->in_list = n == 0 && l->protocol == PROTOCOL_SESSION ? NET_IDLE :
	    NET_HEAD;
	TAILQ_INSERT_TAIL(&net->list[c->in_list], c, entry);
	c->since_ms = net_now(net);
	connection_start(c, in, n);
}

/* --- the passage of time */

void
connections_todo(struct net *net)
{
	struct connection *c, *next;

	pthread_mutex_lock(&net->todo_lock);
	c = net->todo;
	net->todo = NULL;
	pthread_mutex_unlock(&net->todo_lock);
	for (; c != NULL; c = next) {
		next = c->next_todo;
		pthread_mutex_lock(&net->todo_lock);
		c->in_todo = false;
		pthread_mutex_unlock(&net->todo_lock);
		if (sink_pending(c))
			sink_watch(c);
	}
}

/* Has it said something that we had no time to read yet? */
static bool
unread(const struct connection *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return c->in.n == 0 && poll(&p, 1, 0) == 1;
}

static void
expire(struct net *net, enum net_list list, uint64_t ms, const char *why)
{
	struct connection *c, *next;
	uint64_t now = net_now(net);

	for (c = TAILQ_FIRST(&net->list[list]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->since_ms + ms > now) {
			/* Only senders are out of order: they progress. */
			if (list == NET_SENDING)
				continue;
			break;
		}
		if ((list == NET_IDLE || list == NET_HEAD) && unread(c))
			continue;
		if (why != NULL)
			log_info("Connection from ip=%s closed: %s",
			    c->peer.addr_n > 0 ? c->peer.addr : "unix", why);
		if (list == NET_HEAD && c->in.n > 0)
			connection_refused(c, &(struct http_refusal){ 408,
			    "the request did not become whole in time" });
		else
			conn_cut(c);
	}
}

/* At the full stop: those that have not said a word since they came. */
static void
expire_silent(struct net *net)
{
	struct connection *c, *next;
	uint64_t now = net_now(net);

	for (c = TAILQ_FIRST(&net->list[NET_HEAD]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->in.n == 0 && c->since_ms + net->closing_ms <= now &&
		    !unread(c))
			conn_cut(c);
	}
}

/* Clients that take nothing of a response whose caller waits for them. */
static void
expire_readers(struct net *net)
{
	struct connection *c;
	uint64_t now = net_now(net);

	TAILQ_FOREACH(c, &net->list[NET_BUSY], entry) {
		if ((c->writable == NULL && !c->starved) || sink_broken(c) ||
		    c->since_ms + NET_SEND_MS > now)
			continue;
		log_info("Connection from ip=%s cut: the client takes no more",
		    c->peer.addr_n > 0 ? c->peer.addr : "unix");
		sink_break(c);
	}
}

void
connections_tick(struct net *net)
{
	expire_readers(net);
	expire(net, NET_IDLE, net->closing ? net->closing_ms :
	    net->keepalive_ms, NULL);
	if (net->closing)
		expire_silent(net);
	expire(net, NET_HEAD, NET_HEAD_MS, NULL);
	expire(net, NET_BODY, NET_BODY_MS, "silence within a request's body");
	expire(net, NET_SENDING, NET_SEND_MS, "the client takes no more");
	expire(net, NET_LINGER, NET_LINGER_MS, NULL);
}

void
connections_leave(struct net *net)
{
	struct connection *c, *next;
	static const enum net_list lists[] = { NET_IDLE, NET_HEAD };
	size_t i;

	for (i = 0; i < 2; i++)
		for (c = TAILQ_FIRST(&net->list[lists[i]]); c != NULL;
		    c = next) {
			next = TAILQ_NEXT(c, entry);
			if (handoff_give(c))
				conn_cut(c);
		}
}

void
connections_give_up(struct net *net)
{
	struct connection *c, *next;

	for (c = TAILQ_FIRST(&net->list[NET_HEAD]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->in.n > 0)
			connection_refused(c, &(struct http_refusal){ 503,
			    "The server is busy" });
	}
}
