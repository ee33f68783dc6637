#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/conn_life.h"
#include "fcgi/handoff.h"
#include "fcgi/sink.h"

struct handoff_head {
	uint64_t	 listener;	/* what its name comes to */
	int		 protocol, family;
	uint32_t	 n;		/* bytes that follow */
	uint32_t	 spill_at;	/* where the file's bytes go; 0: none */
	uint64_t	 spill_n;
};

/* Lists of listeners differ where `bind` was changed at a reload; names do
 * not (FNV-1a). */
static uint64_t
name_number(const struct listener *l)
{
	const char *p;
	uint64_t n = 0xcbf29ce484222325;

	for (p = l->name; *p != '\0'; p++)
		n = (n ^ (unsigned char)*p) * 0x100000001b3;
	return n;
}

/* The same one of ours, or for one that is no more, one like it. */
static const struct listener *
find_listener(const struct net *net, const struct handoff_head *head)
{
	const struct listener *l, *like = NULL;
	size_t i;

	for (i = 0; i < net->listeners->n; i++) {
		l = &net->listeners->v[i];
		if ((int)l->protocol != head->protocol ||
		    (l->family == AF_UNIX) != (head->family == AF_UNIX))
			continue;
		if (name_number(l) == head->listener)
			return l;
		if (like == NULL)
			like = l;
	}
	return like;
}

/* What goes over with the connection. */
union control {
	struct cmsghdr	 align;
	char		 buf[CMSG_SPACE(2 * sizeof(int))];
};

/* Is there room for two descriptors? */
static bool
room(int from)
{
	int a, b = -1;

	if ((a = fcntl(from, F_DUPFD_CLOEXEC, 0)) != -1) {
		if ((b = fcntl(from, F_DUPFD_CLOEXEC, 0)) != -1)
			(void)close(b);
		(void)close(a);
	}
	return b != -1;
}

/* The descriptors of a message: how many. */
static size_t
descriptors(struct msghdr *m, int fd[2])
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(m);
	size_t n;

	if (cm == NULL || cm->cmsg_level != SOL_SOCKET ||
	    cm->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fd, CMSG_DATA(cm), n * sizeof(int));
	return n;
}

static bool
receive(struct net *net, int from)
{
	struct handoff_head head;
	union control control;
	struct iovec v[2] = { { &head, sizeof(head) },
	    { net->buffer, HANDOFF_BYTES } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf) };
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	const struct listener *listener = NULL;
	struct spill spill = { .fd = -1 };
	int fd[2] = { -1, -1 };
	size_t nfds;
	ssize_t n;
	bool ours;

	/* Without room for its descriptors a message would lose them. */
	if (!room(from) || !conn_ready(net, false) || !conn_ready(net, true)) {
		if (net->offered)
			(void)uv_poll_stop(&net->offers);
		net->offers_rest = true;	/* until the next tick */
		return false;
	}
	n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == -1)
		return false;
	nfds = descriptors(&m, fd);
	ours = n >= (ssize_t)sizeof(head) && nfds > 0 &&
	    (listener = find_listener(net, &head)) != NULL &&
	    head.n == (size_t)n - sizeof(head) && head.spill_at <= head.n &&
	    (nfds == 2) == (head.spill_at > 0);
	/* A client that has gone has no address to be trusted by. */
	if (!ours || getpeername(fd[0], (struct sockaddr *)&sa, &len) == -1) {
		if (nfds > 0)
			(void)close(fd[0]);
		if (nfds > 1)
			(void)close(fd[1]);
		return n > 0;
	}
	if (nfds == 2)
		spill = (struct spill){ fd[1], head.spill_at, head.spill_n };
	net->adopt(net, listener, fd[0],
	    (struct sockaddr *)&sa, net->buffer, head.n, &spill);
	return true;
}

static void
on_offer(uv_poll_t *h, int status, int events)
{
	uv_os_fd_t fd;

	(void)events;
	if (status == 0 && uv_fileno((uv_handle_t *)h, &fd) == 0)
		(void)receive(h->data, fd);
}

int
handoff_open(struct net *net, int from)
{
	net->offers.data = net;
	if (uv_poll_init(&net->loop, &net->offers, from) != 0)
		return -1;
	net->offered = true;
	return uv_poll_start(&net->offers, UV_READABLE, on_offer);
}

bool
handoff_take(struct net *net)
{
	uv_os_fd_t fd;

	return net->offered &&
	    uv_fileno((uv_handle_t *)&net->offers, &fd) == 0 &&
	    receive(net, fd);
}

void
handoff_tick(struct net *net)
{
	if (!net->offers_rest)
		return;
	net->offers_rest = false;
	(void)uv_poll_start(&net->offers, UV_READABLE, on_offer);
}

void
handoff_stop(struct net *net)
{
	net->offers_rest = false;
	if (net->offered)
		(void)uv_poll_stop(&net->offers);
}

bool
handoff_able(struct connection *c)
{
	if (c->net->handoff == -1 || c->close_after ||
	    (c->eof && c->in.n == 0 && c->refs == 0) ||
	    c->in.n > HANDOFF_BYTES || sink_pending(c) || sink_broken(c) ||
	    uv_is_closing(&c->uv.handle))
		return false;
	if (!conn_fastcgi(c))
		return c->session.http.rq == NULL;
	return c->session.fastcgi->nopen == 0 &&
	    !c->session.fastcgi->in_record;
}

bool
handoff_give(struct connection *c)
{
	struct net *net = c->net;
	struct handoff_head head = { 0 };
	size_t size = (c->spill.fd != -1 ? 2 : 1) * sizeof(int);
	union control control;
	struct iovec v[2];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2,
	    .msg_control = control.buf, .msg_controllen = CMSG_SPACE(size) };
	int fd[2] = { c->fd, c->spill.fd };
	struct cmsghdr *cm;

	if (c->refs > 0 || !handoff_able(c))
		return false;
	head.listener = name_number(c->listener);
	head.protocol = (int)c->listener->protocol;
	head.family = c->listener->family;
	head.n = (uint32_t)c->in.n;
	if (c->spill.fd != -1) {
		head.spill_at = (uint32_t)c->spill.at;
		head.spill_n = c->spill.n;
	}
	v[0] = (struct iovec){ &head, sizeof(head) };
	v[1] = (struct iovec){ c->in.p, c->in.n };
	memset(&control, 0, sizeof(control));
	cm = CMSG_FIRSTHDR(&m);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(cm), fd, size);
	/* Not taken now (its buffer is full): tried again at the next tick. */
	c->given = sendmsg(net->handoff, &m, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    -1;
	return c->given;
}
