#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/host.h"
#include "fcgi/inherit.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/gangway-host.XXXXXX";
static char fifo[128], work[64];

static int
listening_socket(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 5) == -1)
		_exit(99);
	return fd;
}

static bool
is_null(int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 &&
	    a.st_rdev == b.st_rdev && S_ISCHR(a.st_mode);
}

static bool
ready(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);

	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 &&
	    (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

/* Each case runs in a child that starts with a clean environment. */

static bool
nothing(void)
{
	struct host h;

	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.nfds == 0;
}

static bool
closed_fds(void)
{
	struct host h;
	int fd;

	close(0);
	close(1);
	close(2);
	host_detect(&h);
	fd = open("/dev/null", O_RDONLY);
	return h.kind == HOST_STANDALONE && is_null(0) && is_null(1) &&
	    is_null(2) && fd > 2;
}

static bool
socket_on_0(void)
{
	struct host h;
	int fd = listening_socket();

	(void)dup2(fd, 0);
	close(fd);
	close(1);
	close(2);
	host_detect(&h);
	return h.kind == HOST_FASTCGI && h.nfds == 1 && h.fds[0] > 2 &&
	    ready(h.fds[0]) && is_null(0) && is_null(1) && h.fastcgi == 1;
}

static bool
deaf_socket_on_0(void)
{
	struct host h;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)dup2(fd, 0);
	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.nfds == 0;
}

static void
systemd(int pid, const char *n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", n, 1);
	setenv("LISTEN_FDNAMES", "web:fcgi-app:x", 1);
	closefrom(3);
	if (listening_socket() != 3 || listening_socket() != 4)
		_exit(99);
}

static bool
from_systemd(void)
{
	struct host h;

	systemd((int)getpid(), "2");
	host_detect(&h);
	return h.kind == HOST_SYSTEMD && h.nfds == 2 && h.fds[0] == 3 &&
	    ready(3) && ready(4) && h.fastcgi == 2 &&
	    getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL;
}

static bool
systemd_for_another(void)
{
	struct host h;

	systemd(1, "2");
	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.nfds == 0 &&
	    getenv("LISTEN_PID") == NULL;
}

static bool
systemd_lies(void)
{
	struct host h;

	systemd((int)getpid(), "99999999");
	host_detect(&h);
	return h.kind == HOST_SYSTEMD && h.nfds == 2;
}

static bool
systemd_nonsense(void)
{
	struct host h;

	systemd((int)getpid(), "-1");
	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.nfds == 0;
}

static bool
cgi(void)
{
	struct host h;

	setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
	setenv("REQUEST_METHOD", "GET", 1);
	host_detect(&h);
	return h.kind == HOST_CGI && getenv("REQUEST_METHOD") != NULL;
}

static bool
half_cgi(void)
{
	struct host h;

	setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
	host_detect(&h);
	return h.kind == HOST_STANDALONE;
}

static bool
passenger(void)
{
	struct host h;

	setenv("PASSENGER_SPAWN_WORK_DIR", work, 1);
	setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
	setenv("REQUEST_METHOD", "GET", 1);
	host_detect(&h);
	return h.kind == HOST_PASSENGER;
}

static bool
no_passenger(void)
{
	struct host h;

	setenv("PASSENGER_SPAWN_WORK_DIR", dir, 1);
	host_detect(&h);
	return h.kind == HOST_STANDALONE;
}

static bool
handed(void)
{
	struct host h;

	closefrom(3);
	if (listening_socket() != 3 || open("/dev/null", O_RDONLY) != 4 ||
	    listening_socket() != 5)
		_exit(99);
	setenv("GUNICORN_FD", "3,4,5,77,3", 1);
	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.nfds == 2 && h.fds[0] == 3 &&
	    h.fds[1] == 5 && ready(5) && getenv("GUNICORN_FD") == NULL;
}

/* Does that word lead to that host, with that many sockets? */
static bool
becomes(struct host *h, const char *name, enum host_kind kind, size_t nfds)
{
	char *why = NULL;

	return host_override(h, name, &why) == 0 && h->kind == kind &&
	    h->nfds == nfds && why == NULL;
}

static bool
refuses(struct host *h, const char *name, const char *reason)
{
	enum host_kind kind = h->kind;
	size_t nfds = h->nfds;
	char *why = NULL;
	bool so;

	so = host_override(h, name, &why) == -1 && why != NULL &&
	    strstr(why, reason) != NULL && h->kind == kind &&
	    h->nfds == nfds;
	free(why);
	return so;
}

/* From a manager of ours: which sockets are one listener's, and all that. */
static bool
inherited(void)
{
	int a = listening_socket(), b = listening_socket(), file, told[2];
	char text[512];
	static struct host h;	/* reachable at the end: no leak */
	struct listener *v;
	size_t n;

	file = open("/dev/null", O_RDONLY);
	if (pipe(told) == -1)
		return false;
	n = (size_t)snprintf(text, sizeof(text), "host systemd\n"
	    "handoff 0 %d,%d\ntold %d\n", a, b, told[1]);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "listen http %d,%d "
	    "127.0.0.1:80\nlisten fcgi %d \n", a, b, b);
	(void)snprintf(text + n, sizeof(text) - n, "listen http %d,%d x\nnews\n"
	    "listen\nlisten http\nlisten http %d99999999999 x\n", a, file,
	    a);
	(void)setenv("GANGWAY_FD", text, 1);
	(void)setenv("GUNICORN_PID", "77", 1);
	(void)setenv("GUNICORN_FD", "3", 1);
	host_detect(&h);
	if (h.kind != HOST_SYSTEMD || h.parent != 77 || h.nfds != 0 ||
	    h.inherit == NULL || h.inherit->handoff[0] != -1 ||
	    h.inherit->told != told[1] || h.inherit->listeners->n != 2 ||
	    getenv("GANGWAY_FD") != NULL || getenv("GUNICORN_PID") != NULL)
		return false;
	v = h.inherit->listeners->v;
	return v[0].nfds == 2 && v[0].protocol == PROTOCOL_HTTP &&
	    strcmp(v[0].address, "127.0.0.1:80") == 0 && ready(a) &&
	    v[1].nfds == 1 && v[1].protocol == PROTOCOL_FASTCGI &&
	    v[1].address == NULL;
}

/* Sockets for connections on their way, of this version or another. */
static bool
inherits_handoff(const char *form, bool kept)
{
	int a = listening_socket(), way[2], none;
	char text[256];
	static struct host h;	/* reachable at the end: no leak */

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, way) == -1)
		return false;
	none = open("/dev/null", O_RDONLY);
	(void)snprintf(text, sizeof(text), "handoff 0 %d\nhandoff %s %d,%d\n"
	    "listen http %d 127.0.0.1:80\n", none, form, way[0], way[1], a);
	(void)setenv("GANGWAY_FD", text, 1);
	(void)setenv("GUNICORN_PID", "77", 1);
	host_detect(&h);
	if (h.inherit == NULL || fcntl(none, F_GETFD) == -1)
		return false;
	if (!kept)
		return h.inherit->handoff[0] == -1 &&
		    h.inherit->handoff[1] == -1 &&
		    fcntl(way[0], F_GETFD) == -1 &&
		    fcntl(way[1], F_GETFD) == -1;
	return h.inherit->handoff[0] == way[0] &&
	    h.inherit->handoff[1] == way[1] &&
	    fcntl(way[0], F_GETFD) == FD_CLOEXEC &&
	    fcntl(way[1], F_GETFD) == FD_CLOEXEC;
}

static bool
inherited_handoff(void)
{
	return inherits_handoff(PACKAGE_VERSION, true);
}

static bool
inherited_handoff_of_another(void)
{
	return inherits_handoff(PACKAGE_VERSION ".1", false);
}

static bool
inherited_nothing(void)
{
	struct host h;

	(void)setenv("GANGWAY_FD", "listen http 99 127.0.0.1:80\n", 1);
	(void)setenv("GUNICORN_PID", "77", 1);
	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.inherit == NULL;
}

static bool
override_nothing(void)
{
	struct host h;

	host_detect(&h);
	return becomes(&h, "auto", HOST_STANDALONE, 0) &&
	    becomes(&h, "standalone", HOST_STANDALONE, 0) &&
	    refuses(&h, "fastcgi", "descriptor 0") &&
	    refuses(&h, "systemd", "LISTEN_FDS") &&
	    refuses(&h, "cgi", "GATEWAY_INTERFACE") &&
	    refuses(&h, "passenger", "PASSENGER_SPAWN_WORK_DIR");
}

static bool
override_socket_on_0(void)
{
	struct host h;
	int fd = listening_socket();

	dup2(fd, 0);
	host_detect(&h);
	return becomes(&h, "auto", HOST_FASTCGI, 1) && h.fastcgi == 1 &&
	    becomes(&h, "systemd", HOST_SYSTEMD, 1) && h.fastcgi == 0 &&
	    becomes(&h, "fastcgi", HOST_FASTCGI, 1) && h.fastcgi & 1 &&
	    (fd = h.fds[0]) > 2 &&
	    becomes(&h, "standalone", HOST_STANDALONE, 0) &&
	    fcntl(fd, F_GETFD) == -1;
}

static bool
override_pid_of_another(void)
{
	struct host h;

	closefrom(3);
	if (listening_socket() != 3 || listening_socket() != 4)
		_exit(99);
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "web:fcgi", 1);
	host_detect(&h);
	return h.kind == HOST_STANDALONE && h.nfds == 0 &&
	    becomes(&h, "systemd", HOST_SYSTEMD, 2) && h.fastcgi == 2;
}

static const struct {
	const char *name;
	bool (*run)(void);
} cases[] = {
	{ "nothing: standalone",		nothing },
	{ "0-2 closed: /dev/null",		closed_fds },
	{ "a listening socket on 0: FastCGI",	socket_on_0 },
	{ "a deaf socket on 0: standalone",	deaf_socket_on_0 },
	{ "LISTEN_PID is us: systemd",		from_systemd },
	{ "LISTEN_PID is another: standalone",	systemd_for_another },
	{ "LISTEN_FDS too large: what is there", systemd_lies },
	{ "LISTEN_FDS negative: standalone",	systemd_nonsense },
	{ "GATEWAY_INTERFACE and REQUEST_METHOD: CGI", cgi },
	{ "GATEWAY_INTERFACE alone: standalone", half_cgi },
	{ "response/finish is a FIFO: Passenger, before CGI", passenger },
	{ "no FIFO: standalone",		no_passenger },
	{ "GUNICORN_FD: what listens of it",	handed },
	{ "GANGWAY_FD: a manager's place",	inherited },
	{ "GANGWAY_FD: a handoff is kept",	inherited_handoff },
	{ "GANGWAY_FD: another version's is closed",
	    inherited_handoff_of_another },
	{ "GANGWAY_FD: nothing of it is there",	inherited_nothing },
	{ "override: only with what is needed",	override_nothing },
	{ "override: a socket on 0",		override_socket_on_0 },
	{ "override: LISTEN_PID is another",	override_pid_of_another },
};

int
main(void)
{
	size_t i;
	int status;
	pid_t pid;

	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(work, sizeof(work), "%s/work", dir);
	snprintf(fifo, sizeof(fifo), "%s/response", work);
	if (mkdir(work, 0700) == -1 || mkdir(fifo, 0700) == -1)
		return 99;
	snprintf(fifo, sizeof(fifo), "%s/response/finish", work);
	if (mkfifo(fifo, 0600) == -1)
		return 99;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if ((pid = fork()) == 0) {
			(void)clearenv();
			_exit(cases[i].run() ? 0 : 1);
		}
		ok(waitpid(pid, &status, 0) == pid && status == 0, "%s",
		    cases[i].name);
	}
	ok(strcmp(host_name(HOST_FASTCGI), "fastcgi") == 0, "names");
	(void)unlink(fifo);
	snprintf(fifo, sizeof(fifo), "%s/response", work);
	(void)rmdir(fifo);
	(void)rmdir(work);
	(void)rmdir(dir);
	return tap_done();
}
