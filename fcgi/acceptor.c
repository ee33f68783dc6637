#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/acceptor.h"
#include "fcgi/conn_life.h"
#include "fcgi/connections.h"
#include "fcgi/log.h"
#include "fcgi/scoreboard.h"

enum {
	ACCEPT_ALONE = 64,	/* at once when nobody else accepts here */
	ACCEPT_SHARED = 2,	/* leave some to the others */
	ACCEPT_REST_MS = 1000,	/* pause when something is out */
	/* Descriptors that connections leave to bodies, files, writers and
	 * the application: an eighth of all, between these. */
	ACCEPT_LEAVE_MIN = 16, ACCEPT_LEAVE_MAX = 128
};

struct acceptor {
	uv_poll_t		 poll;
	struct net		*net;
	const struct listener	*listener;
	size_t			 slot;		/* SIZE_MAX: all workers' */
	int			 fd;
	bool			 mine;		/* to be watched now */
	bool			 on;
	uint64_t		 rest_until_ms;
};

static const struct scoreboard *board;
static size_t my_slot;
static bool strangers;
static int top;			/* descriptors from here on are left alone */
static bool scarce;		/* they or memory were out when last seen */

static void	on_acceptable(uv_poll_t *, int, int);

/* Ours first of all; who has none of its own shares another's (sockets that
 * were handed down may be fewer than workers). */
static bool
is_own(const struct acceptor *a)
{
	return a->slot == my_slot % a->listener->nfds;
}

static size_t
slots_now(void)
{
	return board == NULL ? 1 :
	    atomic_load_explicit(&board->slots, memory_order_relaxed);
}

/* Are there others who accept here, as where TTIN has brought workers? */
static bool
has_others(const struct acceptor *a)
{
	return strangers || slots_now() > a->listener->nfds;
}

static void
acceptor_set(struct acceptor *a)
{
	bool on = a->mine && a->net->accepting &&
	    a->net->nconns < a->net->max_conns &&
	    a->rest_until_ms <= net_now(a->net);

	if (on == a->on)
		return;
	a->on = on;
	if (!on) {
		(void)uv_poll_stop(&a->poll);
		return;
	}
	/* One that was opened while others served is quiet until now. */
	if (a->slot != SIZE_MAX)
		(void)listen(a->fd, a->listener->backlog);
	(void)uv_poll_start(&a->poll, UV_READABLE, on_acceptable);
}

/* Accept no more for a second, and say so where that is news. */
static int
rest(struct acceptor *a, const char *why)
{
	if (!scarce)
		log_error("Cannot accept on %s: %s; trying again every "
		    "second", a->listener->name, why);
	scarce = true;
	a->rest_until_ms = net_now(a->net) + ACCEPT_REST_MS;
	return -1;
}

static bool
ready(const struct acceptor *a)
{
	return conn_ready(a->net, a->listener->protocol == PROTOCOL_FASTCGI);
}

/* After a rest: would the next descriptor be one that is left alone, or is
 * there still no memory? */
static bool
still_scarce(struct acceptor *a)
{
	int fd;

	if (!scarce)
		return false;
	fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
	if (fd != -1)
		(void)close(fd);
	if (fd == -1 || fd >= top || !ready(a))
		return true;
	scarce = false;
	log_info("New connections are accepted again");
	return false;
}

static int
accept_one(struct acceptor *a)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	int fd;

	if (still_scarce(a))
		return rest(a, strerror(EMFILE));
	if (!ready(a))
		return rest(a, strerror(ENOMEM));
	fd = accept4(a->fd, (struct sockaddr *)&sa, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		sa.ss_family = (sa_family_t)a->listener->family;
		connections_open(a->net, a->listener, fd,
		    (struct sockaddr *)&sa, NULL, 0, NULL);
		return fd < top ? 0 : rest(a, "descriptors run short");
	}
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
		break;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return rest(a, strerror(errno));
	default:
		log_error("Cannot accept on %s: %s", a->listener->name,
		    strerror(errno));
		a->rest_until_ms = net_now(a->net) + ACCEPT_REST_MS;
	}
	return -1;
}

static void
on_acceptable(uv_poll_t *h, int status, int events)
{
	struct acceptor *a = h->data;
	int i, most = has_others(a) ? ACCEPT_SHARED : ACCEPT_ALONE;

	(void)status, (void)events;
	for (i = 0; i < most && a->net->nconns < a->net->max_conns; i++)
		if (accept_one(a) == -1)
			break;
	acceptor_set(a);
}

bool
acceptors_shared(void)
{
	return strangers || slots_now() > 1;
}

bool
acceptors_crowded(enum place_full as)
{
	const struct place *p;
	size_t i;

	if (strangers || board == NULL)
		return !strangers;
	for (i = 0; i < board->places; i++) {
		p = &board->place[i];
		if (atomic_load_explicit(&p->state, memory_order_relaxed) ==
		    PLACE_READY && atomic_load_explicit(&p->full,
		    memory_order_relaxed) < as && atomic_load_explicit(&p->slot,
		    memory_order_relaxed) != my_slot)
			return false;
	}
	return true;
}

/* Where `next` is the lowest that is free now. */
static int
top_descriptor(int next)
{
	struct rlimit r;
	int all, leave;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1 || r.rlim_cur > INT_MAX)
		return INT_MAX;
	all = (int)r.rlim_cur;
	leave = all / 8;
	if (leave < ACCEPT_LEAVE_MIN)
		leave = ACCEPT_LEAVE_MIN;
	if (leave > ACCEPT_LEAVE_MAX)
		leave = ACCEPT_LEAVE_MAX;
	if (leave > (all - next) / 2)
		leave = (all - next) / 2;
	return all - leave;
}

static int
acceptor_open(struct net *net, const struct listener *l, size_t i)
{
	struct acceptor *a = &net->acceptors[net->nacceptors];
	int one = 1;

	a->net = net;
	a->listener = l;
	a->fd = l->fds[i];
	a->slot = l->nfds > 1 ? i : SIZE_MAX;
	a->mine = a->slot == SIZE_MAX || is_own(a);
	a->poll.data = a;
	if (l->family != AF_UNIX)	/* accepted sockets inherit it */
		(void)setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
	if (uv_poll_init(&net->loop, &a->poll, a->fd) != 0)
		return -1;
	net->nacceptors++;
	acceptor_set(a);
	return 0;
}

int
acceptors_open(struct net *net, const struct scoreboard *b, size_t slot,
    bool others)
{
	size_t i, j, n = 0;

	board = b;
	my_slot = slot;
	strangers = others;
	top = top_descriptor(uv_backend_fd(&net->loop));
	for (i = 0; i < net->listeners->n; i++)
		n += net->listeners->v[i].nfds;
	if ((net->acceptors = calloc(n, sizeof(*net->acceptors))) == NULL)
		return -1;
	net->accepting = true;
	for (i = 0; i < net->listeners->n; i++)
		for (j = 0; j < net->listeners->v[i].nfds; j++)
			if (acceptor_open(net, &net->listeners->v[i],
			    j) == -1)
				return -1;
	return 0;
}

/* How full our own place says that we are. */
static unsigned int
own_full(void)
{
	const struct place *p = board->place;

	for (; p < board->place + board->places; p++)
		if (atomic_load_explicit(&p->slot, memory_order_relaxed) ==
		    my_slot && atomic_load_explicit(&p->state,
		    memory_order_relaxed) == PLACE_READY)
			return atomic_load_explicit(&p->full,
			    memory_order_relaxed);
	return PLACE_ROOM;
}

/*
 * Of the n sockets without a worker that accepts we see to those whose next
 * served one, going up and around, is ours: an unbroken run below us. How
 * long is it? One look at each place.
 */
static size_t
sockets_below(size_t n, bool bounded)
{
	/* Queues fill evenly: who is as full as we are sees to its own. */
	unsigned int less = bounded ? own_full() : PLACE_ROOM;
	size_t i, slot, distance, nearest = n;
	const struct place *p;

	for (i = 0; i < board->places; i++) {
		p = &board->place[i];
		slot = atomic_load_explicit(&p->slot, memory_order_relaxed);
		if (slot % n == my_slot % n || atomic_load_explicit(
		    &p->state, memory_order_relaxed) != PLACE_READY ||
		    atomic_load_explicit(&p->full, memory_order_relaxed) >
		    less)
			continue;
		distance = (my_slot % n + n - slot % n) % n;
		if (distance < nearest)
			nearest = distance;
	}
	return nearest - 1;
}

void
acceptors_tick(struct net *net)
{
	struct acceptor *a;
	size_t i, n = 0, below = 0;

	for (i = 0; i < net->nacceptors; i++) {
		a = &net->acceptors[i];
		if (a->slot != SIZE_MAX && board != NULL) {
			if (a->listener->nfds != n) {
				n = a->listener->nfds;
				below = sockets_below(n, net->bounded);
			}
			a->mine = (my_slot % n + n - a->slot) % n <= below;
		}
		acceptor_set(a);
	}
}

void
acceptors_pause(struct net *net, bool pause)
{
	size_t i;

	if (net->accepting == !pause)
		return;
	net->accepting = !pause;
	for (i = 0; i < net->nacceptors; i++)
		acceptor_set(&net->acceptors[i]);
}

void
acceptors_close(struct net *net)
{
	acceptors_pause(net, true);
	net->max_conns = 0;	/* not to be undone */
}
