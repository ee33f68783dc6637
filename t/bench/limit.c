/*
 * limit [-f] [-b BYTES] PORT|SOCKET: the least that a server on this
 * machine can cost. One epoll loop, one read and one write a request, a
 * fixed answer; -f speaks FastCGI. It trusts its client: for measuring only.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <err.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t/bench/where.h"

enum { IN_MAX = 131072, EVENTS = 256 };

struct conn {
	int		 fd;
	bool		 closing;	/* after what is in out */
	size_t		 have, skip;	/* input kept; body left to skip */
	size_t		 nout, sent;
	char		*out;
	char		 in[IN_MAX];
};

static char	*answer;
static size_t	 answer_len;
static int	 epfd;

static void
conn_queue(struct conn *c, const char *p, size_t n)
{
	if ((c->out = realloc(c->out, c->nout + n)) == NULL)
		err(1, NULL);
	memcpy(c->out + c->nout, p, n);
	c->nout += n;
}

static void
conn_free(struct conn *c)
{
	close(c->fd);
	free(c->out);
	free(c);
}

/* 0, or -1 when the connection is to be closed. */
static int
conn_flush(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	bool waited = c->sent > 0;
	ssize_t n;

	while (c->sent < c->nout) {
		n = write(c->fd, c->out + c->sent, c->nout - c->sent);
		if (n == -1) {
			ev.events |= EPOLLOUT;
			return epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
		}
		c->sent += (size_t)n;
		waited |= c->sent < c->nout;
	}
	c->nout = c->sent = 0;
	if (waited)
		epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
	return c->closing ? -1 : 0;
}

/* Bytes used of p[0..n): one request's head, or part of a body. */
static size_t
http_take(struct conn *c, const char *p, size_t n)
{
	const char *end, *length;
	size_t used;

	if (c->skip > 0) {
		used = n < c->skip ? n : c->skip;
		if ((c->skip -= used) == 0)
			conn_queue(c, answer, answer_len);
		return used;
	}
	if ((end = memmem(p, n, "\r\n\r\n", 4)) == NULL)
		return 0;
	used = (size_t)(end - p) + 4;
	length = memmem(p, used, "Content-Length: ", 16);
	if (length != NULL)
		c->skip = strtoul(length + 16, NULL, 10);
	if (c->skip == 0)
		conn_queue(c, answer, answer_len);
	return used;
}

/* The same for one FastCGI record; the empty STDIN is answered. */
static size_t
fcgi_take(struct conn *c, const char *p, size_t n)
{
	const uint8_t *h = (const uint8_t *)p;
	size_t length, at;

	if (n < 8)
		return 0;
	length = (size_t)h[4] << 8 | h[5];
	if (n < 8 + length + h[6])
		return 0;
	if (h[1] == 1)
		c->closing = (h[10] & 1) == 0;
	if (h[1] == 5 && length == 0) {
		at = c->nout;
		conn_queue(c, answer, answer_len);
		/* The request's id, into STDOUT's and END_REQUEST's header. */
		memcpy(c->out + at + 2, p + 2, 2);
		memcpy(c->out + at + answer_len - 14, p + 2, 2);
	}
	return 8 + length + h[6];
}

static int
conn_read(struct conn *c, size_t (*take)(struct conn *, const char *, size_t))
{
	size_t at = 0, used;
	ssize_t n;

	n = read(c->fd, c->in + c->have, IN_MAX - c->have);
	if (n <= 0)
		return -1;
	c->have += (size_t)n;
	while (at < c->have && (used = take(c, c->in + at, c->have - at)) > 0)
		at += used;
	memmove(c->in, c->in + at, c->have - at);
	c->have -= at;
	return c->nout > 0 ? conn_flush(c) : 0;
}

static void
answer_make(bool fcgi, size_t bytes)
{
	uint8_t end[16] = { 1, 3, 0, 1, 0, 8 };
	size_t head;

	if ((answer = calloc(1, bytes + 512)) == NULL)
		err(1, NULL);
	head = (size_t)snprintf(answer + (fcgi ? 8 : 0), 256, "%s\r\n"
	    "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
	    fcgi ? "Status: 200 OK" : "HTTP/1.1 200 OK", bytes);
	answer_len = head + bytes;
	if (!fcgi) {
		memset(answer + head, 'x', bytes);
		return;
	}
	memset(answer + 8 + head, 'x', bytes);
	memcpy(answer, "\1\6\0\1", 4);
	answer[4] = (char)(answer_len >> 8);
	answer[5] = (char)answer_len;
	memcpy(answer + 8 + answer_len, end, sizeof(end));
	answer_len += 8 + sizeof(end);
}

static int
listen_on(const char *text)
{
	union where w;
	socklen_t len = where(&w, text);
	int fd, one = 1;

	fd = socket(w.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, &w.sa, len) == -1 || listen(fd, 4096) == -1)
		err(1, "%s", text);
	return fd;
}

static void
conn_accept(int listener)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c;
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
		if ((c = calloc(1, sizeof(*c))) == NULL)
			err(1, NULL);
		c->fd = fd;
		ev.data.ptr = c;
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

int
main(int argc, char *argv[])
{
	struct epoll_event ev = { .events = EPOLLIN }, evs[EVENTS];
	size_t bytes = 13;
	bool fcgi = false;
	struct conn *c;
	int bad, ch, i, listener, n;

	while ((ch = getopt(argc, argv, "fb:")) != -1)
		switch (ch) {
		case 'f':
			fcgi = true;
			break;
		case 'b':
			bytes = strtoul(optarg, NULL, 10);
			break;
		default:
			errx(2, "usage: limit [-f] [-b bytes] port|socket");
		}
	if (optind + 1 != argc || (fcgi && bytes > 60000))
		errx(2, "usage: limit [-f] [-b bytes] port|socket");
	answer_make(fcgi, bytes);
	listener = listen_on(argv[optind]);
	if ((epfd = epoll_create1(0)) == -1 ||
	    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev) == -1)
		err(1, "epoll");
	for (;;) {
		n = epoll_wait(epfd, evs, EVENTS, -1);
		for (i = 0; i < n; i++) {
			if ((c = evs[i].data.ptr) == NULL) {
				conn_accept(listener);
				continue;
			}
			bad = 0;
			if (evs[i].events & EPOLLOUT)
				bad = conn_flush(c);
			if (bad == 0 && (evs[i].events & ~(uint32_t)EPOLLOUT))
				bad = conn_read(c, fcgi ? fcgi_take :
				    http_take);
			if (bad == -1)
				conn_free(c);
		}
	}
}
