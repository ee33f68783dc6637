#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/host.h"
#include "fcgi/inherit.h"
#include "fcgi/listener.h"

enum { HOST_FDS = 64, FIRST_FD = 3 };

/* Some starters leave 0-2 closed: the first file opened would become the
 * standard output. */
static void
fill_standard(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) != -1 && fd <= 2)
		;
	if (fd > 2)
		close(fd);
}

static void
keep_to_ourselves(int fd)
{
	int fl;

	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if ((fl = fcntl(fd, F_GETFL)) != -1)
		(void)fcntl(fd, F_SETFL, fl | O_NONBLOCK);
}

static void
take(struct host *h, int fd, bool fastcgi)
{
	size_t i;

	for (i = 0; i < h->nfds; i++)
		if (h->fds[i] == fd)
			return;
	if (h->nfds == HOST_FDS || !listener_listens(fd))
		return;
	keep_to_ourselves(fd);
	if (fastcgi)
		h->fastcgi |= UINT64_C(1) << h->nfds;
	h->fds[h->nfds++] = fd;
}

/* The number that *s starts with; *s moves behind it and one separator. */
static bool
number(const char **s, char separator, long *n)
{
	char *end;

	if (**s < '0' || **s > '9')
		return false;
	errno = 0;
	*n = strtol(*s, &end, 10);
	if (errno != 0 || *n > INT_MAX ||
	    (*end != '\0' && *end != separator))
		return false;
	*s = *end == '\0' ? end : end + 1;
	return true;
}

static bool
env_number(const char *name, long *n)
{
	const char *s = getenv(name);

	return s != NULL && number(&s, '\0', n);
}

static bool
is_passenger(void)
{
	const char *dir = getenv("PASSENGER_SPAWN_WORK_DIR");
	struct stat st;
	char *path;
	bool fifo;

	if (dir == NULL || *dir == '\0' ||
	    asprintf(&path, "%s/response/finish", dir) == -1)
		return false;
	fifo = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
	free(path);
	return fifo;
}

/* Does name number i of a list "a:b:c" begin with fcgi? */
static bool
named_fastcgi(const char *names, long i)
{
	while (names != NULL && i-- > 0)
		if ((names = strchr(names, ':')) != NULL)
			names++;
	return names != NULL && strncmp(names, "fcgi", 4) == 0;
}

static bool
take_offered(struct host *h)
{
	size_t i;

	for (i = 0; i < h->offered; i++)
		take(h, FIRST_FD + (int)i, (h->offered_fastcgi >> i & 1) != 0);
	return h->nfds > 0;
}

static bool
take_systemd(struct host *h)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long pid, n;

	if (!env_number("LISTEN_FDS", &n))
		return false;
	for (; h->offered < (size_t)n && h->offered < HOST_FDS; h->offered++)
		if (named_fastcgi(names, (long)h->offered))
			h->offered_fastcgi |= UINT64_C(1) << h->offered;
	return env_number("LISTEN_PID", &pid) && pid == (long)getpid() &&
	    take_offered(h);
}

static bool
take_standard_input(struct host *h)
{
	int fd, null;

	if (!listener_listens(STDIN_FILENO))
		return false;
	/* Out of the way of everything that reads standard input. */
	if ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, FIRST_FD)) == -1)
		return false;
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		(void)dup2(null, STDIN_FILENO);
		close(null);
	}
	take(h, fd, true);
	return true;
}

static bool
is_cgi(void)
{
	const char *gateway = getenv("GATEWAY_INTERFACE");
	const char *method = getenv("REQUEST_METHOD");

	return gateway != NULL && *gateway != '\0' &&
	    method != NULL && *method != '\0';
}

/* What an older manager of ours hands to its successor. */
static bool
take_inherited(struct host *h)
{
	const char *s = getenv("GANGWAY_FD");
	long pid;

	if (s == NULL || !env_number("GUNICORN_PID", &pid) || pid <= 0 ||
	    (h->inherit = inherit_take(s)) == NULL)
		return false;
	h->parent = (pid_t)pid;
	h->kind = h->inherit->systemd ? HOST_SYSTEMD : HOST_STANDALONE;
	return true;
}

/* The same from another program that does as gunicorn does. */
static void
take_handed(struct host *h)
{
	const char *s = getenv("GUNICORN_FD");
	long fd, pid;

	if (s != NULL && env_number("GUNICORN_PID", &pid) && pid > 0)
		h->parent = (pid_t)pid;
	while (s != NULL && number(&s, ',', &fd))
		if (fd >= FIRST_FD)
			take(h, (int)fd, false);
}

void
host_detect(struct host *h)
{
	const char *const *name;

	memset(h, 0, sizeof(*h));
	fill_standard();
	if (take_inherited(h))
		;
	else if (is_passenger())
		h->kind = HOST_PASSENGER;
	else if (take_systemd(h))
		h->kind = HOST_SYSTEMD;
	else if (take_standard_input(h))
		h->kind = HOST_FASTCGI;
	else if (is_cgi())
		h->kind = HOST_CGI;
	else
		take_handed(h);
	/* Passenger's and CGI's stay: they are read by those who serve them. */
	for (name = inherit_variables; *name != NULL; name++)
		(void)unsetenv(*name);
}

/* What is missing for this host to be true; NULL: nothing. */
static const char *
host_lacks(struct host *h, enum host_kind kind)
{
	switch (kind) {
	case HOST_PASSENGER:
		return is_passenger() ? NULL :
		    "PASSENGER_SPAWN_WORK_DIR names no spawn directory";
	case HOST_SYSTEMD:
		return h->nfds > 0 || h->inherit != NULL || take_offered(h) ?
		    NULL :
		    "no listening socket was given (LISTEN_FDS)";
	case HOST_FASTCGI:
		return h->nfds > 0 ? NULL :
		    "descriptor 0 is not a listening socket";
	case HOST_CGI:
		return is_cgi() ? NULL :
		    "GATEWAY_INTERFACE and REQUEST_METHOD are not set";
	case HOST_STANDALONE:
		break;
	}
	return NULL;
}

static void
give_back(struct host *h)
{
	while (h->nfds > 0)
		close(h->fds[--h->nfds]);
	h->fastcgi = 0;
}

/* HOST_CGI, the last, for names that are none: the settings are checked. */
static enum host_kind
kind_named(const char *name)
{
	enum host_kind kind = HOST_STANDALONE;

	while (kind < HOST_CGI && strcmp(name, host_name(kind)) != 0)
		kind++;
	return kind;
}

void
host_suppose(struct host *h, const char *name)
{
	give_back(h);
	h->kind = kind_named(name);
}

int
host_override(struct host *h, const char *name, char **why)
{
	enum host_kind kind;
	const char *lack;

	if (strcmp(name, "auto") == 0 ||
	    strcmp(name, host_name(h->kind)) == 0)
		return 0;
	kind = kind_named(name);
	if ((lack = host_lacks(h, kind)) != NULL) {
		if (asprintf(why, "it cannot be %s, for %s (found: %s)", name,
		    lack, host_name(h->kind)) == -1)
			*why = NULL;
		return -1;
	}
	/* Descriptor 0 speaks FastCGI by its starter's word only. */
	if (kind == HOST_FASTCGI)
		h->fastcgi = UINT64_MAX;
	else if (kind == HOST_SYSTEMD && h->kind == HOST_FASTCGI)
		h->fastcgi = 0;
	else if (kind != HOST_SYSTEMD)
		give_back(h);
	h->kind = kind;
	return 0;
}
