#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/handoff.h"
#include "fcgi/sink.h"

struct handoff_head {
	uint32_t	 listener;	/* index; the same in all workers */
	uint32_t	 n;		/* bytes that follow */
};

static bool
receive(struct net *net, int from)
{
	struct handoff_head head;
	union {
		struct cmsghdr	 align;
		char		 buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec v[2] = { { &head, sizeof(head) },
	    { net->buffer, HANDOFF_BYTES } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf) };
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	struct cmsghdr *cm;
	ssize_t n;
	int fd;

	/* Without room for its descriptor a message would lose it. */
	if ((fd = fcntl(from, F_DUPFD_CLOEXEC, 0)) == -1) {
		if (net->offered)
			(void)uv_poll_stop(&net->offers);
		net->offers_rest = true;	/* until the next tick */
		return false;
	}
	(void)close(fd);
	n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < (ssize_t)sizeof(head) || (cm = CMSG_FIRSTHDR(&m)) == NULL ||
	    cm->cmsg_type != SCM_RIGHTS)
		return n > 0;
	memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	if (head.listener >= net->listeners->n ||
	    head.n != (size_t)n - sizeof(head)) {
		(void)close(fd);
		return true;
	}
	(void)getpeername(fd, (struct sockaddr *)&sa, &len);
	net->adopt(net, &net->listeners->v[head.listener], fd,
	    (struct sockaddr *)&sa, net->buffer, head.n);
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
	if (c->listener->protocol == PROTOCOL_HTTP)
		return c->session.http.rq == NULL;
	return c->session.fastcgi->nopen == 0 &&
	    !c->session.fastcgi->in_record;
}

bool
handoff_give(struct connection *c)
{
	struct net *net = c->net;
	struct handoff_head head;
	union {
		struct cmsghdr	 align;
		char		 buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec v[2];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cm;

	if (c->refs > 0 || !handoff_able(c))
		return false;
	head.listener = (uint32_t)(c->listener - net->listeners->v);
	head.n = (uint32_t)c->in.n;
	v[0] = (struct iovec){ &head, sizeof(head) };
	v[1] = (struct iovec){ c->in.p, c->in.n };
	memset(&control, 0, sizeof(control));
	cm = CMSG_FIRSTHDR(&m);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &c->fd, sizeof(int));
	/* Not taken now (its buffer is full): tried again at the next tick. */
	c->given = sendmsg(net->handoff, &m, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    -1;
	return c->given;
}
