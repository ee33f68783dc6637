#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "conf/why.h"
#include "fcgi/address.h"
#include "fcgi/cwd.h"
#include "fcgi/listener.h"
#include "fcgi/log.h"
#include "fcgi/rights.h"

enum { SHARED_UMASK = 0117 };

union anyaddr {
	struct sockaddr	 sa;
	struct sockaddr_storage ss;
	struct sockaddr_un un;
};

static const char *
advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "address in use (by another program? see ss -ltnp)";
	case EACCES:
		return "not allowed (ports below 1024 are for root)";
	case EADDRNOTAVAIL:
		return "this machine has no such address";
	case EAFNOSUPPORT:
		return "this machine does not have that kind of address";
	case EMFILE:
	case ENFILE:
		return "too many open files (see ulimit -n)";
	default:
		return strerror(error);
	}
}

struct listener_options
listener_options(const struct settings *s, size_t slots)
{
	long backlog = settings_int(s, SET_backlog);

	return (struct listener_options){
		.settings = s,
		.backlog = backlog > INT_MAX ? INT_MAX : (int)backlog,
		.reuse_port = settings_bool(s, SET_reuse_port),
		.slots = slots == 0 ? 1 : slots,
	};
}

/* --- one listener */

bool
listener_listens(int fd)
{
	socklen_t len = sizeof(int);
	int yes = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 &&
	    yes != 0;
}

/* Is the socket file still the one that we made? */
static bool
has_file(const struct listener *l)
{
	struct stat st;

	return l->path != NULL && lstat(l->path, &st) == 0 &&
	    S_ISSOCK(st.st_mode) && st.st_dev == l->dev && st.st_ino == l->ino;
}

void
listener_done(struct listener *l, bool remove)
{
	size_t i;

	for (i = 0; i < l->nfds; i++)
		close(l->fds[i]);
	if (remove && has_file(l))
		(void)unlink(l->path);	/* its folder may be closed to us */
	free(l->fds);
	free(l->path);
	free(l->name);
	free(l->address);
	memset(l, 0, sizeof(*l));
}

/* Keep fd in the listener; on failure it is closed. */
static int
fd_add(struct listener *l, int fd)
{
	int *v;

	if ((v = reallocarray(l->fds, l->nfds + 1, sizeof(*v))) == NULL) {
		close(fd);
		return -1;
	}
	l->fds = v;
	l->fds[l->nfds++] = fd;
	return 0;
}

/* Name, family and CGI's names, from what the system says of fds[0]. */
static int
describe(struct listener *l)
{
	const char *fcgi = l->protocol == PROTOCOL_FASTCGI ? "fcgi" :
	    l->protocol == PROTOCOL_SESSION ? "session" : "";
	union anyaddr a = { .ss = { 0 } };
	socklen_t len = sizeof(a);
	char host[NI_MAXHOST], port[NI_MAXSERV];
	bool v6;

	if (getsockname(l->fds[0], &a.sa, &len) == -1)
		return -1;
	l->family = a.sa.sa_family;
	if (l->family == AF_UNIX) {
		if (len <= offsetof(struct sockaddr_un, sun_path))
			a.un.sun_path[0] = '\0';
		return asprintf(&l->name, "%s%sunix:%s%s", fcgi,
		    *fcgi ? "+" : "", a.un.sun_path[0] ? "" : "@",
		    a.un.sun_path + (a.un.sun_path[0] == '\0')) == -1 ? -1 : 0;
	}
	if (getnameinfo(&a.sa, len, host, sizeof(host), port, sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	v6 = l->family == AF_INET6;
	snprintf(l->server_name, sizeof(l->server_name), "%s%.200s%s",
	    v6 ? "[" : "", host, v6 ? "]" : "");
	snprintf(l->server_port, sizeof(l->server_port), "%.5s", port);
	return asprintf(&l->name, "%s://%s:%s", *fcgi ? fcgi : "http",
	    l->server_name, l->server_port) == -1 ? -1 : 0;
}

/* --- TCP */

static int
tcp_socket(const struct sockaddr *sa, socklen_t len, bool share)
{
	int fd, on = 1, saved;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)) == 0) &&
	    bind(fd, sa, len) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A socket more for l at that address; a quiet one does not listen yet. */
static int
tcp_add(struct listener *l, const struct sockaddr *sa, socklen_t len,
    const struct listener_options *o, bool quiet)
{
	int fd, saved;

	if ((fd = tcp_socket(sa, len, o->reuse_port)) == -1)
		return -1;
	if (!quiet && listen(fd, o->backlog) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd_add(l, fd);
}

/* Those that share a port must have said so from the first. */
static bool
is_shared(int fd)
{
	socklen_t len = sizeof(int);
	int yes = 0;

	return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, &len) == 0 &&
	    yes != 0;
}

/*
 * Fill up to one socket per slot, at the address of the first. While others
 * serve, a new one stays quiet until a worker watches it (acceptor.c): the
 * connections that the kernel gave it would wait for that worker to start.
 */
static int
tcp_fill(struct listener *l, const struct listener_options *o, bool quiet)
{
	union anyaddr a = { .ss = { 0 } };
	socklen_t len = sizeof(a);

	if (getsockname(l->fds[0], &a.sa, &len) == -1)
		return -1;
	while (l->nfds < o->slots)
		if (tcp_add(l, &a.sa, len, o, quiet) == -1)
			return -1;
	return 0;
}

/* With SO_REUSEPORT a second server would share the port without a word. */
static void
warn_if_shared(const struct address *ad, const struct sockaddr *sa,
    socklen_t len)
{
	int fd;

	if ((fd = tcp_socket(sa, len, false)) != -1)
		close(fd);
	else if (errno == EADDRINUSE)
		log_warning("another server listens on %s too: with "
		    "reuse_port both get some of the connections (see ss "
		    "-ltnp)", ad->text);
}

static int
tcp_open(struct listener *l, const struct address *ad,
    const struct listener_options *o, char **why)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *list, *ai;
	int rc;

	rc = getaddrinfo(ad->host, ad->port, &hints, &list);
	if (rc != 0) {
		errno = 0;
		return why_set(why, "cannot listen on %s: there is no host "
		    "\"%s\" (%s)", ad->text, ad->host, gai_strerror(rc));
	}
	/* localhost and the like: version 4 first, as proxies expect. */
	for (ai = list; ai != NULL && ai->ai_family != AF_INET;)
		ai = ai->ai_next;
	if (ai == NULL)
		ai = list;
	if (o->reuse_port && strcmp(ad->port, "0") != 0)
		warn_if_shared(ad, ai->ai_addr, ai->ai_addrlen);
	rc = tcp_add(l, ai->ai_addr, ai->ai_addrlen, o, false);
	if (rc == 0 && o->reuse_port)
		rc = tcp_fill(l, o, false);
	if (rc == -1)
		(void)why_set(why, "cannot listen on %s: %s", ad->text,
		    advice(errno));
	freeaddrinfo(list);
	return rc;
}

/* --- Unix sockets */

/* Is the file in the way? A socket that nobody answers on is removed. */
static int
unix_clear(const struct sockaddr_un *un, char **why)
{
	const char *path = un->sun_path;
	struct stat st;
	int fd, rc, error;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : why_set(why,
		    "cannot listen on unix:%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return why_set(why, "cannot listen on unix:%s: there is a file "
		    "of that name that is not a socket", path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return why_set(why, "cannot listen on unix:%s: %s", path,
		    strerror(errno));
	rc = connect(fd, (const struct sockaddr *)un, sizeof(*un));
	error = rc == 0 ? EADDRINUSE : errno;
	close(fd);
	if (error == ENOENT)
		return 0;
	if (error == ECONNREFUSED && unlink(path) == 0)
		return 0;
	/* EAGAIN: its queue is full, so it lives. */
	errno = error == EAGAIN ? EADDRINUSE : error;
	return why_set(why, "cannot listen on unix:%s: %s", path,
	    errno == EADDRINUSE ? "another program is listening there" :
	    strerror(errno));
}

/*
 * Note which file it is, and give it to the user that workers become. By
 * descriptor and never through a link: others may write in that folder.
 */
static int
unix_own(struct listener *l, const struct settings *s, char **why)
{
	struct stat st;
	uid_t uid;
	gid_t gid;
	int fd, rc = 0;

	if (rights_find(s, &uid, &gid, why) == -1)
		return -1;
	fd = open(l->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISSOCK(st.st_mode) ||
	    st.st_uid != geteuid() || st.st_nlink != 1)
		rc = why_set(why, "cannot listen on unix:%s: the socket file "
		    "was changed by somebody else", l->path);
	else {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	if (rc == 0 && (uid != st.st_uid || gid != st.st_gid) &&
	    (uid != geteuid() || gid != getegid()) &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == -1)
		rc = why_set(why, "cannot give unix:%s to user %lu and group "
		    "%lu: %s", l->path, (unsigned long)uid,
		    (unsigned long)gid, strerror(errno));
	if (fd != -1)
		close(fd);
	return rc;
}

static int
unix_bind(int fd, const struct sockaddr_un *un, mode_t mask)
{
	mode_t old;
	int rc;

	old = umask(mask);
	rc = bind(fd, (const struct sockaddr *)un, sizeof(*un));
	(void)umask(old);
	return rc;
}

static int
unix_open(struct listener *l, const struct address *ad,
    const struct listener_options *o, char **why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd;

	if (strlen(ad->path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return why_set(why, "cannot listen on unix:%s: the name is "
		    "longer than %zu bytes", ad->path,
		    sizeof(un.sun_path) - 1);
	}
	memcpy(un.sun_path, ad->path, strlen(ad->path) + 1);
	if (unix_clear(&un, why) == -1)
		return -1;
	/* Who can connect to a FastCGI socket can say what is run. */
	mask = (mode_t)settings_int(o->settings, SET_umask);
	if (l->protocol == PROTOCOL_FASTCGI)
		mask |= SHARED_UMASK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || fd_add(l, fd) == -1 ||
	    unix_bind(fd, &un, mask) == -1)
		return why_set(why, "cannot listen on unix:%s: %s", ad->path,
		    strerror(errno));
	if ((l->path = cwd_path(ad->path)) == NULL)
		return why_set(why, "cannot listen on unix:%s: %s", ad->path,
		    strerror(errno));
	if (unix_own(l, o->settings, why) == -1)
		return -1;
	if (listen(fd, o->backlog) == -1)
		return why_set(why, "cannot listen on unix:%s: %s", ad->path,
		    strerror(errno));
	/* Who came before that found nobody there, as at a stale file. */
	if (!has_file(l)) {
		errno = EADDRINUSE;
		return why_set(why, "cannot listen on unix:%s: another program "
		    "has put its own socket there", ad->path);
	}
	return 0;
}

/* --- descriptors that we are given */

static int
fd_adopt(struct listener *l, int fd, char **why)
{
	int fl;

	if (!listener_listens(fd)) {
		errno = ENOTSOCK;
		return why_set(why, "cannot use descriptor %d: it is not a "
		    "listening socket", fd);
	}
	if ((fl = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, fl | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return why_set(why, "cannot use descriptor %d: %s", fd,
		    strerror(errno));
	l->inherited = true;
	if (fd_add(l, fd) == -1)
		return why_set(why, "no memory");
	return 0;
}

/* --- all together */

/* As listener_address(), of one that is taken apart already. */
static char *
address_of(const struct address *ad, char **why)
{
	char *path, *whole = NULL;

	if (ad->kind != ADDRESS_UNIX || ad->path[0] == '/')
		whole = strdup(ad->text);
	else if ((path = cwd_path(ad->path)) != NULL) {
		if (asprintf(&whole, "%sunix:%s", ad->fastcgi ? "fcgi+" : "",
		    path) == -1)
			whole = NULL;
		free(path);
	}
	if (whole == NULL)
		(void)why_set(why, "cannot listen on %s: %s", ad->text,
		    strerror(errno));
	return whole;
}

char *
listener_address(const char *text, char **why)
{
	struct address ad;
	char *whole;

	if (address_parse(&ad, text, why) == -1)
		return NULL;
	whole = address_of(&ad, why);
	address_done(&ad);
	return whole;
}

int
listener_open(struct listener *l, const char *text,
    const struct listener_options *o, char **why)
{
	struct address ad;
	int rc;

	if (address_parse(&ad, text, why) == -1) {
		errno = EINVAL;
		return -1;
	}
	l->protocol = ad.fastcgi ? PROTOCOL_FASTCGI : PROTOCOL_HTTP;
	l->backlog = o->backlog;
	if ((l->address = address_of(&ad, why)) == NULL)
		rc = -1;
	else if (ad.kind == ADDRESS_FD)
		rc = fd_adopt(l, ad.fd, why);
	else if (ad.kind == ADDRESS_UNIX)
		rc = unix_open(l, &ad, o, why);
	else
		rc = tcp_open(l, &ad, o, why);
	if (rc == 0 && describe(l) == -1)
		rc = why_set(why, "cannot listen on %s: %s", text,
		    strerror(errno));
	address_done(&ad);
	return rc;
}

int
listener_grow(struct listener *l, const struct listener_options *o, char **why)
{
	if (!o->reuse_port || l->family == AF_UNIX || l->inherited ||
	    !is_shared(l->fds[0]) || tcp_fill(l, o, true) == 0)
		return 0;
	return why_set(why, "cannot open more sockets for %s: %s", l->name,
	    advice(errno));
}

int
listener_share(struct listener *l, const struct listener *old,
    const struct listener_options *o, char **why)
{
	size_t i;
	int fd;

	for (i = 0; i < old->nfds; i++)
		if ((fd = fcntl(old->fds[i], F_DUPFD_CLOEXEC, 3)) == -1 ||
		    fd_add(l, fd) == -1)
			return why_set(why, "cannot keep %s: %s", old->name,
			    strerror(errno));
	if ((l->address = strdup(old->address)) == NULL)
		return why_set(why, "no memory");
	l->protocol = old->protocol;
	l->backlog = o->backlog;
	l->inherited = old->inherited;
	l->dev = old->dev;
	l->ino = old->ino;
	if (old->path != NULL && (l->path = strdup(old->path)) == NULL)
		return why_set(why, "no memory");
	/* backlog may have changed */
	for (i = 0; i < l->nfds; i++)
		if (listener_listens(l->fds[i]))
			(void)listen(l->fds[i], o->backlog);
	if (describe(l) == -1)
		return why_set(why, "cannot keep %s: %s", old->name,
		    strerror(errno));
	return listener_grow(l, o, why);
}

/* What listener_open() would know of it. */
static int
retrace(struct listener *l, const char *text, char **why)
{
	struct address ad;
	int rc = 0;

	if ((l->address = strdup(text)) == NULL)
		return why_set(why, "no memory");
	if (address_parse(&ad, text, why) == -1)
		return -1;
	l->inherited = ad.kind == ADDRESS_FD;
	if (ad.kind == ADDRESS_UNIX && l->ino != 0 &&
	    (l->path = strdup(ad.path)) == NULL)
		rc = why_set(why, "no memory");
	address_done(&ad);
	return rc;
}

int
listener_take(struct listener *l, const char *address, enum protocol protocol,
    const int *fds, size_t n, dev_t dev, ino_t ino, char **why)
{
	size_t i;

	l->protocol = protocol;
	l->dev = dev;
	l->ino = ino;
	for (i = 0; i < n; i++)
		if (fd_adopt(l, fds[i], why) == -1)
			return -1;
	if (describe(l) == -1)
		return why_set(why, "cannot use descriptor %d: %s", fds[0],
		    strerror(errno));
	return address != NULL ? retrace(l, address, why) : 0;
}
