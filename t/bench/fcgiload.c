/*
 * fcgiload [-k] [-c CONNS] [-d SECONDS] [-m IDS] [-H PATH] [-r RATE]
 *     PORT|SOCKET:
 * FastCGI load from one thread, with the variables that nginx sends. -k
 * keeps connections, -m has that many requests under way on each; -H gets
 * PATH over HTTP instead, on kept connections; -r begins so many requests a
 * second on them, whether or not the last one was answered in time. Prints
 * one line: requests/s, p50 and p99 in microseconds, errors.
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
#include <time.h>
#include <unistd.h>

#include "t/bench/where.h"

enum { IDS_MAX = 64, CONNS_MAX = 1024, IN_MAX = 131072,
	SAMPLES_MAX = 4000000 };

struct conn {
	struct conn	*next;		/* among the idle */
	int		 fd;
	size_t		 have;
	unsigned int	 open;		/* requests under way */
	uint64_t	 begun[IDS_MAX + 1];
	uint8_t		 in[IN_MAX];
};

static const char *const variables[] = {
	"QUERY_STRING", "", "REQUEST_METHOD", "GET", "CONTENT_TYPE", "",
	"CONTENT_LENGTH", "", "SCRIPT_FILENAME", "/srv/www/hello",
	"SCRIPT_NAME", "/hello", "REQUEST_URI", "/hello",
	"DOCUMENT_URI", "/hello", "DOCUMENT_ROOT", "/srv/www",
	"SERVER_PROTOCOL", "HTTP/1.1", "REQUEST_SCHEME", "http",
	"GATEWAY_INTERFACE", "CGI/1.1", "SERVER_SOFTWARE", "nginx/1.22.1",
	"REMOTE_ADDR", "127.0.0.1", "REMOTE_PORT", "54321",
	"SERVER_ADDR", "127.0.0.1", "SERVER_PORT", "80",
	"SERVER_NAME", "localhost", "REDIRECT_STATUS", "200",
	"HTTP_HOST", "localhost", "HTTP_USER_AGENT", "fcgiload",
	"HTTP_ACCEPT", "*/*", NULL
};

static union where		 server;
static socklen_t		 server_len;
static uint8_t			 request[4096];
static size_t			 request_len;
static uint32_t			*samples;
static size_t			 nsamples, errors;
static unsigned int		 ids = 1;
static bool			 keep;
static const char		*path;		/* HTTP */
static unsigned long		 rate;		/* 0: as fast as can be */
static struct conn		*idle, **idle_end = &idle;
static int			 epfd;

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* One record of `type`; its length is filled in by the caller. */
static uint8_t *
header(uint8_t *p, uint8_t type, size_t n)
{
	memcpy(p, "\1\0\0\1\0\0\0\0", 8);
	p[1] = type;
	p[4] = (uint8_t)(n >> 8);
	p[5] = (uint8_t)n;
	return p + 8;
}

static void
request_make(void)
{
	const char *const *v;
	uint8_t *p, *start;
	size_t n, m;

	if (path != NULL) {
		request_len = (size_t)snprintf((char *)request,
		    sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n"
		    "User-Agent: fcgiload\r\nAccept: */*\r\n\r\n", path);
		return;
	}
	p = header(request, 1, 8);
	memcpy(p, "\0\1\0\0\0\0\0\0", 8);
	p[2] = keep;
	start = p += 8;
	p += 8;
	for (v = variables; *v != NULL; v += 2) {
		n = strlen(v[0]);
		m = strlen(v[1]);
		*p++ = (uint8_t)n;
		*p++ = (uint8_t)m;
		memcpy(p, v[0], n);
		memcpy(p + n, v[1], m);
		p += n + m;
	}
	header(start, 4, (size_t)(p - start) - 8);
	p = header(p, 4, 0);
	p = header(p, 5, 0);
	request_len = (size_t)(p - request);
}

static void
conn_ask(struct conn *c, unsigned int id)
{
	size_t at;

	for (at = 0; path == NULL && at < request_len;
	    at += 8 + ((size_t)request[at + 4] << 8 | request[at + 5]))
		request[at + 3] = (uint8_t)id;
	c->begun[id] = now_us();
	c->open++;
	if (write(c->fd, request, request_len) != (ssize_t)request_len)
		errors++;
}

/* Until its turn comes. */
static void
conn_rest(struct conn *c)
{
	c->next = NULL;
	*idle_end = c;
	idle_end = &c->next;
}

static void
conn_open(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	unsigned int id;
	int one = 1;

	if ((c->fd = socket(server.sa.sa_family, SOCK_STREAM, 0)) == -1 ||
	    connect(c->fd, &server.sa, server_len) == -1)
		err(1, "connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
	c->have = 0;
	c->open = 0;
	if (rate > 0)
		conn_rest(c);
	else for (id = 1; id <= ids; id++)
		conn_ask(c, id);
}

static void
conn_again(struct conn *c)
{
	close(c->fd);
	conn_open(c);
}

/* END_REQUEST for `id`; true when the connection has done its share. */
static bool
conn_ended(struct conn *c, unsigned int id)
{
	if (id == 0 || id > ids) {
		errors++;
		return true;
	}
	if (nsamples < SAMPLES_MAX)
		samples[nsamples++] = (uint32_t)(now_us() - c->begun[id]);
	c->open--;
	if (rate > 0)
		conn_rest(c);
	else if (keep)
		conn_ask(c, id);
	return c->open == 0 && rate == 0;
}

/* Is the HTTP answer whole? Its length, or 0. */
static size_t
answer_length(struct conn *c)
{
	const char *in = (const char *)c->in, *end, *length;
	size_t n;

	if ((end = memmem(in, c->have, "\r\n\r\n", 4)) == NULL)
		return 0;
	n = (size_t)(end - in) + 4;
	length = memmem(in, n, "Content-Length: ", 16);
	if (length == NULL || memcmp(in + 9, "200", 3) != 0)
		errx(1, "not an answer: %.*s", (int)n, in);
	n += strtoul(length + 16, NULL, 10);
	return n <= c->have ? n : 0;
}

static void
conn_read(struct conn *c)
{
	size_t at = 0, n;
	bool over = false;
	ssize_t got;

	got = read(c->fd, c->in + c->have, IN_MAX - c->have);
	if (got <= 0) {
		errors++;
		conn_again(c);
		return;
	}
	c->have += (size_t)got;
	if (path != NULL) {
		if ((n = answer_length(c)) > 0) {
			c->have = 0;
			(void)conn_ended(c, 1);
		}
		return;
	}
	while (c->have - at >= 8 && !over) {
		n = 8 + ((size_t)c->in[at + 4] << 8 | c->in[at + 5]) +
		    c->in[at + 6];
		if (c->have - at < n)
			break;
		if (c->in[at + 1] == 3)
			over = conn_ended(c, (unsigned int)c->in[at + 2] << 8 |
			    c->in[at + 3]);
		at += n;
	}
	if (over) {
		conn_again(c);
		return;
	}
	memmove(c->in, c->in + at, c->have - at);
	c->have -= at;
}

/* Begin what is due; how long until the next is. */
static struct timespec
pace(uint64_t start)
{
	static uint64_t begun;
	struct timespec t = { 0, 100 * 1000 * 1000 };
	uint64_t due, now;
	struct conn *c;

	for (; rate > 0 && idle != NULL; begun++) {
		due = start + begun * 1000000 / rate;
		if (due > (now = now_us())) {
			t.tv_nsec = (long)(due - now) * 1000;
			if (due - now > 100000)
				t.tv_nsec = 100 * 1000 * 1000;
			break;
		}
		c = idle;
		if ((idle = c->next) == NULL)
			idle_end = &idle;
		conn_ask(c, 1);
		c->begun[1] = due;
	}
	return t;
}

static void
run(uint64_t start, uint64_t end)
{
	struct epoll_event evs[64];
	struct timespec t;
	int n;

	while (now_us() < end) {
		t = pace(start);
		n = epoll_pwait2(epfd, evs, 64, &t, NULL);
		while (n-- > 0)
			conn_read(evs[n].data.ptr);
	}
}

static int
sample_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char *argv[])
{
	unsigned long conns = 8, seconds = 3, i;
	struct conn *all;
	uint64_t start;
	double took;
	int ch;

	while ((ch = getopt(argc, argv, "kc:d:m:H:r:")) != -1)
		switch (ch) {
		case 'k':
			keep = true;
			break;
		case 'c':
			conns = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			seconds = strtoul(optarg, NULL, 10);
			break;
		case 'm':
			ids = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'H':
			path = optarg;
			keep = true;
			break;
		case 'r':
			rate = strtoul(optarg, NULL, 10);
			break;
		default:
			conns = 0;
		}
	if (optind + 1 != argc || conns < 1 || conns > CONNS_MAX || ids < 1 ||
	    ids > IDS_MAX)
		errx(2, "usage: fcgiload [-k] [-c conns] [-d seconds] "
		    "[-m ids] [-H path] [-r rate] port|socket");
	server_len = where(&server, argv[optind]);
	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	all = calloc(conns, sizeof(*all));
	if (samples == NULL || all == NULL || (epfd = epoll_create1(0)) == -1)
		err(1, NULL);
	request_make();
	start = now_us();
	for (i = 0; i < conns; i++)
		conn_open(&all[i]);
	run(start, start + seconds * 1000000);
	took = (double)(now_us() - start) / 1e6;
	qsort(samples, nsamples, sizeof(*samples), sample_cmp);
	printf("%.0f %u %u %zu\n", (double)nsamples / took,
	    nsamples > 0 ? samples[nsamples / 2] : 0,
	    nsamples > 0 ? samples[nsamples / 100 * 99] : 0, errors);
	return 0;
}
