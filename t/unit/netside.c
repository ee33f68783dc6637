#include "config.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/conn_life.h"
#include "fcgi/connections.h"
#include "fcgi/log.h"
#include "fcgi/wire/record.h"
#include "t/unit/netside.h"

enum { PATIENCE_MS = 120 * 1000 };

atomic_bool memory_out;
static int log_file = -1;
static off_t log_begin;

/* --- memory, by the linker's --wrap */

void	*__real_malloc(size_t), *__real_calloc(size_t, size_t);
void	*__real_realloc(void *, size_t);
void	*__wrap_malloc(size_t), *__wrap_calloc(size_t, size_t);
void	*__wrap_realloc(void *, size_t);

static bool
out(void)
{
	if (!memory_out)
		return false;
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return out() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t k, size_t n)
{
	return out() ? NULL : __real_calloc(k, n);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return out() ? NULL : __real_realloc(p, n);
}

/* --- the log */

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(99);
}

void
side_log(const char *level)
{
	char path[64];

	log_file = memfd_create("log", MFD_CLOEXEC);
	must(log_file != -1, "memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", log_file);
	must(log_open(path, level, false) == 0, "log_open");
}

void
log_forget(void)
{
	struct stat st;

	must(fstat(log_file, &st) == 0, "fstat");
	log_begin = st.st_size;
}

unsigned int
logged(const char *text)
{
	struct stat st;
	unsigned int n = 0;
	size_t size;
	char *all, *p;

	must(fstat(log_file, &st) == 0, "fstat");
	size = (size_t)(st.st_size - log_begin);
	all = __real_calloc(1, size + 1);
	must(all != NULL && pread(log_file, all, size, log_begin) ==
	    (ssize_t)size, "pread");
	for (p = all; (p = strstr(p, text)) != NULL; p++)
		n++;
	free(all);
	return n;
}

/* --- the net's end */

const struct listener *
side_listener(enum protocol p)
{
	static char name[] = "unix:/test";
	static const struct listener ls[] = {
		[PROTOCOL_HTTP] = { .name = name, .protocol = PROTOCOL_HTTP,
		    .family = AF_UNIX },
		[PROTOCOL_FASTCGI] = { .name = name,
		    .protocol = PROTOCOL_FASTCGI, .family = AF_UNIX },
		[PROTOCOL_SESSION] = { .name = name,
		    .protocol = PROTOCOL_SESSION, .family = AF_UNIX },
	};

	return &ls[p];
}

static struct listener sockets[2];
static int socket_fds[2];
static struct sockaddr_un names[2];

struct listeners *
side_listeners(void)
{
	static struct listeners ls = { sockets, 2 };
	socklen_t len;
	int i, *fd;

	for (i = 0; i < 2; i++) {
		fd = &socket_fds[i];
		*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0);
		/* The kernel finds a name that is in no folder. */
		names[i].sun_family = AF_UNIX;
		len = sizeof(names[i]);
		must(bind(*fd, (struct sockaddr *)&names[i],
		    sizeof(sa_family_t)) == 0 && listen(*fd, 64) == 0 &&
		    getsockname(*fd, (struct sockaddr *)&names[i], &len) == 0,
		    "listen");
		sockets[i] = *side_listener((enum protocol)i);
		sockets[i].fds = fd;
		sockets[i].nfds = 1;
	}
	return &ls;
}

void
side_listeners_close(void)
{
	(void)close(socket_fds[0]);
	(void)close(socket_fds[1]);
}

void
side_limits(struct net *net, unsigned int max_conns, uint64_t keepalive_ms)
{
	static const char *const none[] = { NULL };

	net->wire = (struct wire_config){
		.limits = { .request_line = 4094, .fields = 100,
		    .field_size = 8190, .header_map = HEADER_DROP,
		    .forwarder = none },
		.secure_headers = none, .max_conns = max_conns,
		.max_reqs = 1,
	};
	net->max_conns = max_conns;
	net->keepalive_ms = keepalive_ms;
	net->closing_ms = 1000;
	net->handoff = -1;
}

/* --- clients */

void
client_connect(struct client *k, struct net *net, enum protocol p)
{
	const struct sockaddr sa = { .sa_family = AF_UNIX };
	int v[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, v) == 0, "socketpair");
	*k = (struct client){ .fd = v[0] };
	must(conn_ready(net, p == PROTOCOL_FASTCGI), "conn_ready");
	connections_open(net, side_listener(p), v[1], &sa, NULL, 0, NULL);
}

void
client_dial(struct client *k, enum protocol p)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*k = (struct client){ .fd = fd };
	/* The name is 6 bytes: NUL and five digits. */
	must(connect(fd, (struct sockaddr *)&names[p],
	    sizeof(sa_family_t) + 6) == 0, "connect");
}

void
client_send(struct client *k, const char *p, size_t n)
{
	must(send(k->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n, "send");
}

void
client_say(struct client *k, const char *s)
{
	client_send(k, s, strlen(s));
}

void
client_take(struct client *k, size_t n)
{
	char buf[4096];
	ssize_t got = 0;
	size_t room;

	while (n > 0 && (got = recv(k->fd, buf, n < sizeof(buf) ? n :
	    sizeof(buf), MSG_DONTWAIT)) > 0) {
		room = k->n < CLIENT_MAX - 1 ? CLIENT_MAX - 1 - k->n : 0;
		memcpy(k->in + (CLIENT_MAX - 1 - room), buf,
		    (size_t)got < room ? (size_t)got : room);
		k->n += (size_t)got;
		n -= (size_t)got;
	}
	if (n > 0 && (got == 0 || (got == -1 && errno != EAGAIN)))
		k->eof = true;
}

/* Something to read, or the end. */
static void
client_wait(struct client *k)
{
	struct pollfd p = { .fd = k->fd, .events = POLLIN };

	must(poll(&p, 1, PATIENCE_MS) == 1, "a client has waited in vain");
	client_take(k, SIZE_MAX);
}

bool
client_gets(struct client *k, const char *text)
{
	client_take(k, SIZE_MAX);
	while (strstr(k->in, text) == NULL && !k->eof)
		client_wait(k);
	return strstr(k->in, text) != NULL;
}

bool
client_ends(struct client *k)
{
	client_take(k, SIZE_MAX);
	while (!k->eof)
		client_wait(k);
	return k->eof;
}

void
client_close(struct client *k)
{
	if (k->fd != -1)
		(void)close(k->fd);
	k->fd = -1;
}

size_t
side_record(char *p, int type, const void *content, size_t n)
{
	record_encode((uint8_t *)p, (enum record_type)type, 1, (uint16_t)n,
	    0);
	memcpy(p + RECORD_HEADER, content, n);
	return RECORD_HEADER + n;
}

size_t
side_fastcgi(char *p, const char *path, bool keep, bool whole)
{
	const struct { const char *name, *value; } vars[] = {
		{ "REQUEST_METHOD", "GET" }, { "SCRIPT_NAME", "" },
		{ "PATH_INFO", path }, { "REQUEST_URI", path },
		{ "QUERY_STRING", "" }, { "SERVER_PROTOCOL", "HTTP/1.1" },
		{ "SERVER_NAME", "x" }, { "SERVER_PORT", "80" },
	};
	const char begin[8] = { 0, RECORD_RESPONDER,
	    keep ? RECORD_KEEP_CONN : 0 };
	uint8_t params[512];
	size_t n, k = 0, i;

	n = side_record(p, RECORD_BEGIN_REQUEST, begin, sizeof(begin));
	for (i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
		k += pair_encode(params + k, sizeof(params) - k,
		    (struct str){ vars[i].name, strlen(vars[i].name) },
		    (struct str){ vars[i].value, strlen(vars[i].value) });
	n += side_record(p + n, RECORD_PARAMS, params, k);
	n += side_record(p + n, RECORD_PARAMS, "", 0);
	if (whole)
		n += side_record(p + n, RECORD_STDIN, "", 0);
	return n;
}
