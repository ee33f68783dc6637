#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/address.h"
#include "fcgi/clock.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/gangway-listener.XXXXXX";
static struct settings *conf;

static void
set(enum setting id, const char *value)
{
	char *why = NULL;

	if (settings_set(conf, id, value, "test", &why) == -1) {
		printf("Bail out! %s\n", why);
		exit(99);
	}
}

/* --- what may be written */

static const struct {
	const char *text;
	int rc;
} addresses[] = {
	{ "127.0.0.1", 0 },
	{ "127.0.0.1:80", 0 },
	{ "localhost:8000", 0 },
	{ ":8000", 0 },
	{ "", 0 },
	{ "host:", 0 },
	{ "[::1]", 0 },
	{ "[::1]:8000", 0 },
	{ "tcp://127.0.0.1:8000", 0 },
	{ "TCP://LOCALHOST:8000", 0 },
	{ "unix:/run/x.sock", 0 },
	{ "unix:///run/x.sock", 0 },
	{ "unix:x.sock", 0 },
	{ "fd://3", 0 },
	{ "fcgi://127.0.0.1:9000", 0 },
	{ "fcgi+unix:/run/x.sock", 0 },
	{ "fcgi+fd://3", 0 },
	{ "127.0.0.1:0", 0 },
	{ "127.0.0.1:65535", 0 },
	{ "127.0.0.1:65536", -1 },
	{ "127.0.0.1:-1", -1 },
	{ "127.0.0.1:http", -1 },
	{ "127.0.0.1:80 ", -1 },
	{ "127.0.0.1:99999999999", -1 },
	{ "::1", -1 },
	{ "[::1", -1 },
	{ "[]:80", -1 },
	{ "[::1]80", -1 },
	{ "unix:", -1 },
	{ "unix://", -1 },
	{ "fd://", -1 },
	{ "fd://x", -1 },
	{ "fd://-1", -1 },
	{ "fd://99999999", -1 },
	{ "http://127.0.0.1:80", -1 },
	{ "a b:80", -1 },
};

static void
test_check(void)
{
	struct address ad;
	char *why;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		why = NULL;
		if ((rc = address_parse(&ad, addresses[i].text, &why)) == 0)
			address_done(&ad);
		ok(rc == addresses[i].rc && (rc == 0) == (why == NULL),
		    "\"%s\"%s%s", addresses[i].text, why ? ": " : "",
		    why ? why : "");
		free(why);
	}
}

/* --- opening */

/* Open that bind; 0 or -1, with one line for people. */
static int
try(struct listeners *ls, const char *address, size_t slots)
{
	char *why = NULL;
	int rc;

	set(SET_bind, address);
	memset(ls, 0, sizeof(*ls));
	if ((rc = listeners_open(ls, conf, slots, &why)) == -1)
		printf("# %s\n", why);
	free(why);
	return rc;
}

static bool
starts(const char *s, const char *with)
{
	return s != NULL && strncmp(s, with, strlen(with)) == 0;
}

/* Are its sockets as they should be, the first `listening` not quiet? */
static bool
fit_in_part(const struct listener *l, size_t listening)
{
	size_t i;

	for (i = 0; i < l->nfds; i++)
		if (!(fcntl(l->fds[i], F_GETFL) & O_NONBLOCK) ||
		    !(fcntl(l->fds[i], F_GETFD) & FD_CLOEXEC) ||
		    listener_listens(l->fds[i]) != (i < listening))
			return false;
	return l->nfds >= listening && listening > 0;
}

static bool
fit(const struct listener *l)
{
	return fit_in_part(l, l->nfds);
}

static void
test_tcp(void)
{
	static const struct {
		const char *text, *name, *host;
		int protocol, family;
	} t[] = {
		{ "127.0.0.1:0", "http://127.0.0.1:", "127.0.0.1",
		    PROTOCOL_HTTP, AF_INET },
		{ "tcp://127.0.0.1:0", "http://127.0.0.1:", "127.0.0.1",
		    PROTOCOL_HTTP, AF_INET },
		{ "LocalHost:0", "http://127.0.0.1:", "127.0.0.1",
		    PROTOCOL_HTTP, AF_INET },
		{ "fcgi://127.0.0.1:0", "fcgi://127.0.0.1:", "127.0.0.1",
		    PROTOCOL_FASTCGI, AF_INET },
		{ "[::1]:0", "http://[::1]:", "[::1]",
		    PROTOCOL_HTTP, AF_INET6 },
	};
	struct listeners ls;
	struct listener *l;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		rc = try(&ls, t[i].text, 2);
		if (rc == -1 && t[i].family == AF_INET6) {
			ok(1, "%s # SKIP no IPv6 here", t[i].text);
			continue;
		}
		l = ls.v;
		ok(rc == 0 && ls.n == 1 && l->nfds == 1 && fit(l) &&
		    starts(l->name, t[i].name) &&
		    strcmp(l->server_name, t[i].host) == 0 &&
		    strtol(l->server_port, NULL, 10) > 0 &&
		    (int)l->protocol == t[i].protocol &&
		    l->family == t[i].family, "%s is %s", t[i].text,
		    rc == 0 ? l->name : "not there");
		listeners_close(&ls, true);
	}
	ok(try(&ls, "no-such-host.invalid:0", 1) == -1, "an unknown host");
	ok(try(&ls, "192.0.2.1:0", 1) == -1, "an address of others");
	ok(try(&ls, "fd://999", 1) == -1, "a descriptor that is not there");
	ok(try(&ls, "fd://0", 1) == -1, "a descriptor that is no socket");
	ok(try(&ls, "127.0.0.1:0,127.0.0.1:0", 1) == 0 && ls.n == 2, "two");
	listeners_close(&ls, true);
	ok(ls.n == 0 && ls.v == NULL, "closed");
}

static void
test_in_use(void)
{
	struct listeners a, b;
	char text[64];

	(void)try(&a, "127.0.0.1:0", 1);
	snprintf(text, sizeof(text), "127.0.0.1:%s", a.v[0].server_port);
	clock_hold(1);
	ok(try(&b, text, 1) == -1 && clock_ms() == 1 + 4000,
	    "in use: after four more tries, a second between them");
	clock_release();
	listeners_close(&a, true);
	ok(try(&a, text, 1) == 0, "in use: free again");
	listeners_close(&a, true);
}

static bool
log_has(const char *path, const char *what)
{
	char text[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return strstr(text, what) != NULL;
}

static void
test_reuse_port(void)
{
	struct listeners a, b;
	char text[64], log[64], *why = NULL;
	bool grown;
	int rc;

	snprintf(log, sizeof(log), "%s/log", dir);
	(void)log_open(log, "info", false);
	set(SET_reuse_port, "true");
	ok(try(&a, "127.0.0.1:0", 3) == 0 && a.v[0].nfds == 3 && fit(a.v),
	    "reuse_port: a socket per slot");
	ok(listeners_grow(&a, conf, 5, &grown, &why) == 0 && grown &&
	    a.v[0].nfds == 5 && fit_in_part(a.v, 3),
	    "reuse_port: grows, by quiet ones");
	ok(listeners_grow(&a, conf, 2, &grown, &why) == 0 && !grown &&
	    a.v[0].nfds == 5, "reuse_port: never shrinks");
	ok(!log_has(log, "another server"), "reuse_port: alone");
	snprintf(text, sizeof(text), "127.0.0.1:%s", a.v[0].server_port);
	ok(try(&b, text, 1) == 0 && log_has(log, "another server listens"),
	    "reuse_port: a second server is noticed");
	listeners_close(&b, true);
	listeners_close(&a, true);
	snprintf(text, sizeof(text), "unix:%s/s", dir);
	ok(try(&a, text, 3) == 0 && a.v[0].nfds == 1,
	    "reuse_port: a unix socket is one");
	ok(listeners_grow(&a, conf, 5, &grown, &why) == 0 && a.v[0].nfds == 1,
	    "reuse_port: and stays so");
	listeners_close(&a, true);
	set(SET_reuse_port, "false");
	(void)try(&a, "127.0.0.1:0", 3);
	snprintf(text, sizeof(text), "0.0.0.0:%s", a.v[0].server_port);
	set(SET_bind, text);
	rc = listeners_reopen(&b, &a, conf, 1, &why);
	ok(rc == -1 && strstr(why, a.v[0].name) != NULL,
	    "a port that we have ourselves: %s", why);
	free(why);
	why = NULL;
	set(SET_reuse_port, "true");
	ok(listeners_grow(&a, conf, 3, &grown, &why) == 0 && !grown &&
	    a.v[0].nfds == 1, "reuse_port: a socket opened without stays one");
	listeners_close(&a, true);
	set(SET_reuse_port, "false");
	(void)log_open("-", "info", false);
	(void)unlink(log);
}

/* --- unix sockets */

static char sock[64];

static int
mode_of(void)
{
	struct stat st;

	return lstat(sock, &st) == -1 ? -1 : (int)(st.st_mode & 0777);
}

static bool
answers(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), rc;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", sock);
	rc = connect(fd, (struct sockaddr *)&un, sizeof(un));
	close(fd);
	return rc == 0;
}

static void
test_modes(void)
{
	static const struct { const char *prefix, *umask; int mode; } t[] = {
		{ "unix:", "0", 0777 },
		{ "unix:", "0077", 0700 },
		{ "fcgi+unix:", "0", 0660 },
		{ "fcgi+unix:", "0077", 0600 },
	};
	struct listeners ls;
	char text[96];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		snprintf(text, sizeof(text), "%s%s", t[i].prefix, sock);
		set(SET_umask, t[i].umask);
		ok(try(&ls, text, 1) == 0 && mode_of() == t[i].mode &&
		    fit(ls.v) && ls.v[0].family == AF_UNIX &&
		    strcmp(ls.v[0].name, text) == 0,
		    "%s umask %s: mode %o", t[i].prefix, t[i].umask,
		    (unsigned int)t[i].mode);
		listeners_close(&ls, true);
		ok(mode_of() == -1, "%s removed", t[i].prefix);
	}
	set(SET_umask, "0");
}

static void
test_unix(void)
{
	struct listeners a, b, c;
	char text[96], long_one[256], *why = NULL;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	FILE *f;
	int fd, rc;

	snprintf(text, sizeof(text), "unix:%s", sock);
	(void)try(&a, text, 1);
	listeners_close(&a, false);
	ok(mode_of() != -1 && !answers(), "unix: a stale file");
	ok(try(&a, text, 1) == 0 && answers(), "unix: is replaced");
	set(SET_bind, text);
	ok(listeners_reopen(&b, &a, conf, 1, &why) == 0 &&
	    b.v[0].ino == a.v[0].ino, "unix: reopened is the same");
	listeners_close(&a, false);
	ok(answers(), "unix: and outlives the old list");
	snprintf(long_one, sizeof(long_one), "%s,127.0.0.1:nonsense", text);
	set(SET_bind, long_one);
	rc = listeners_reopen(&c, &b, conf, 1, &why);
	ok(rc == -1 && answers(), "unix: a failing reopen leaves it: %s",
	    why);
	free(why);
	why = NULL;

	/* Somebody put another socket there: not ours to remove. */
	(void)unlink(sock);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", sock);
	ok(bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
	    listen(fd, 16) == 0, "unix: another's socket");
	listeners_close(&b, true);
	ok(answers(), "unix: is not removed");
	set(SET_bind, text);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	rc = listeners_reopen(&a, &b, conf, 1, &why);
	ok(rc == -1 && answers(), "unix: a live one is an error: %s", why);
	free(why);
	why = NULL;
	close(fd);
	(void)unlink(sock);

	if ((f = fopen(sock, "w")) != NULL)
		fclose(f);
	ok(try(&a, text, 1) == -1 && mode_of() != -1, "unix: a file stays");
	(void)unlink(sock);
	ok(symlink("/etc/passwd", sock) == 0 && try(&a, text, 1) == -1,
	    "unix: so does a link");
	(void)unlink(sock);
	memset(long_one, 'x', sizeof(long_one) - 1);
	memcpy(long_one, "unix:/", 6);
	long_one[sizeof(long_one) - 1] = '\0';
	ok(try(&a, long_one, 1) == -1, "unix: a name that is too long");
	ok(try(&a, "unix:/nonexistent/x", 1) == -1, "unix: no folder");
}

/* Another start, between bind(2) and listen(2) of one. */
static struct listeners *rival;

int
listen(int fd, int backlog)
{
	struct listeners *ls = rival, none = { 0 };
	char *why = NULL;

	rival = NULL;
	if (ls != NULL && listeners_reopen(ls, &none, conf, 1, &why) == -1)
		printf("# %s\n", why);
	free(why);
	return (int)syscall(SYS_listen, fd, backlog);
}

static void
test_rivals(void)
{
	struct listeners a = { 0 }, b = { 0 }, none = { 0 };
	char text[96], *why = NULL;
	int rc;

	snprintf(text, sizeof(text), "unix:%s", sock);
	set(SET_bind, text);
	rival = &b;
	rc = listeners_reopen(&a, &none, conf, 1, &why);
	ok(rc == -1 && b.n == 1 && answers(), "two at once, one is served: %s",
	    why);
	free(why);
	listeners_close(&a, true);
	ok(answers(), "two at once: and keeps its file");
	listeners_close(&b, true);
	ok(mode_of() == -1, "two at once: which is its own");
}

static void
test_owner(void)
{
	struct listeners ls;
	struct stat st;
	char text[96];

	if (geteuid() != 0) {
		ok(1, "owner # SKIP not root");
		return;
	}
	snprintf(text, sizeof(text), "unix:%s", sock);
	set(SET_user, "65534");
	set(SET_group, "4321");
	ok(try(&ls, text, 1) == 0 && stat(sock, &st) == 0 &&
	    st.st_uid == 65534 && st.st_gid == 4321, "owner and group");
	listeners_close(&ls, true);
	ok(mode_of() == -1, "owner: removed all the same");
	set(SET_user, "0");
	set(SET_group, "0");
}

static void
test_adopt(void)
{
	struct listeners a, b = { 0 };
	int fds[2], rc;
	char *why = NULL;

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok(listeners_adopt(&b, fds, 1, PROTOCOL_HTTP, &why) == -1 &&
	    b.n == 0 && strstr(why, "not a listening socket") != NULL,
	    "adopt: a socket that does not listen");
	free(why);
	why = NULL;
	close(fds[0]);
	(void)try(&a, "127.0.0.1:0", 1);
	fds[0] = dup(a.v[0].fds[0]);
	(void)fcntl(fds[0], F_SETFL, 0);
	fds[1] = open("/dev/null", O_RDONLY);
	ok(listeners_adopt(&b, fds, 1, PROTOCOL_FASTCGI, &why) == 0 &&
	    b.n == 1 && fit(b.v) && b.v[0].inherited &&
	    b.v[0].protocol == PROTOCOL_FASTCGI &&
	    starts(b.v[0].name, "fcgi://127.0.0.1:"), "adopt");
	rc = listeners_adopt(&b, fds + 1, 1, PROTOCOL_HTTP, &why);
	ok(rc == -1 && b.n == 1, "adopt: %s", why);
	free(why);
	close(fds[1]);
	listeners_close(&b, true);
	listeners_close(&a, true);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL || (conf = settings_new()) == NULL)
		return 99;
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	if (freopen("/dev/null", "r", stdin) == NULL)
		return 99;
	(void)log_open("-", "info", false);
	test_check();
	test_tcp();
	test_in_use();
	test_reuse_port();
	test_modes();
	test_unix();
	test_rivals();
	test_owner();
	test_adopt();
	settings_free(conf);
	ok(rmdir(dir) == 0, "nothing is left behind");
	return tap_done();
}
