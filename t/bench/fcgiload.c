/*
 * fcgiload [-k] [-c CONNS] [-d SECONDS] [-m IDS] PORT: FastCGI load from
 * one thread, with the variables that nginx sends. -k keeps connections,
 * -m has that many requests under way on each. Prints one line:
 * requests/s, p50 and p99 in microseconds, errors.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IDS_MAX = 64, CONNS_MAX = 1024, IN_MAX = 131072,
	SAMPLES_MAX = 4000000 };

struct conn {
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

static struct sockaddr_in	 server = { .sin_family = AF_INET };
static uint8_t			 request[4096];
static size_t			 request_len;
static uint32_t			*samples;
static size_t			 nsamples, errors;
static unsigned int		 ids = 1;
static bool			 keep;
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

	for (at = 0; at < request_len;
	    at += 8 + ((size_t)request[at + 4] << 8 | request[at + 5]))
		request[at + 3] = (uint8_t)id;
	c->begun[id] = now_us();
	c->open++;
	if (write(c->fd, request, request_len) != (ssize_t)request_len)
		errors++;
}

static void
conn_open(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	unsigned int id;
	int one = 1;

	if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    connect(c->fd, (struct sockaddr *)&server, sizeof(server)) == -1)
		err(1, "connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
	c->have = 0;
	c->open = 0;
	for (id = 1; id <= ids; id++)
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
	if (keep)
		conn_ask(c, id);
	return c->open == 0;
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
	struct epoll_event evs[64];
	struct conn *all;
	uint64_t start;
	double took;
	int ch, n;

	while ((ch = getopt(argc, argv, "kc:d:m:")) != -1)
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
		default:
			conns = 0;
		}
	if (optind + 1 != argc || conns < 1 || conns > CONNS_MAX || ids < 1 ||
	    ids > IDS_MAX)
		errx(2, "usage: fcgiload [-k] [-c conns] [-d seconds] "
		    "[-m ids] port");
	server.sin_port = htons((uint16_t)strtoul(argv[optind], NULL, 10));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	all = calloc(conns, sizeof(*all));
	if (samples == NULL || all == NULL || (epfd = epoll_create1(0)) == -1)
		err(1, NULL);
	request_make();
	start = now_us();
	for (i = 0; i < conns; i++)
		conn_open(&all[i]);
	while (now_us() < start + seconds * 1000000) {
		n = epoll_wait(epfd, evs, 64, 100);
		while (n-- > 0)
			conn_read(evs[n].data.ptr);
	}
	took = (double)(now_us() - start) / 1e6;
	qsort(samples, nsamples, sizeof(*samples), sample_cmp);
	printf("%.0f %u %u %zu\n", (double)nsamples / took,
	    nsamples > 0 ? samples[nsamples / 2] : 0,
	    nsamples > 0 ? samples[nsamples / 100 * 99] : 0, errors);
	return 0;
}
