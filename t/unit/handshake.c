/* The handshake with Passenger, in a spawn directory of the test's own. */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "shim/passenger/handshake.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/gangway-handshake.XXXXXX", socks[64];

static const char *
in_dir(const char *name)
{
	static char path[8][512];
	static int n;

	n = (n + 1) % 8;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		exit(99);
}

/* "" where there is none. */
static const char *
get(const char *name)
{
	static char text[4096];
	FILE *f = fopen(in_dir(name), "r");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}

/* A fresh spawn directory, with its FIFO open for reading: its descriptor. */
static int
make(const char *sockets)
{
	static const char *const folders[] = { "args", "response",
		"response/error", "envdump", "envdump/annotations", "socks" };
	char command[128];
	size_t i;
	int fd;

	snprintf(command, sizeof(command), "rm -rf %s/*", dir);
	if (system(command) != 0)
		exit(99);
	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		if (mkdir(in_dir(folders[i]), 0700) == -1)
			exit(99);
	if (mkfifo(in_dir("response/finish"), 0600) == -1 ||
	    (fd = open(in_dir("response/finish"), O_RDONLY | O_NONBLOCK)) ==
	    -1)
		exit(99);
	put("args/app_root", "/srv/app");
	put("args/app_env", "production");
	put("args/startup_file", "/srv/app/passenger_wsgi.py");
	put("args/socket_dir", sockets);
	put("args/connect_password", "73Yaf3s7rm6n55UD");
	put("args/UNIX_PATH_MAX", "107");
	put("args/base_uri", "/");
	setenv("PASSENGER_SPAWN_WORK_DIR", dir, 1);
	setenv("IN_PASSENGER", "1", 1);
	return fd;
}

/* The byte that came, '-' for none. */
static char
verdict(int fd)
{
	char c = '-';

	(void)!read(fd, &c, 1);
	close(fd);
	return c;
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* --- reading */

static void
test_take(void)
{
	static const struct {
		const char	*name, *text;
		const char	*base;
		unsigned int	 port;
		size_t		 most;
	} rows[] = {
		{ "base_uri", "/", NULL, 0, 107 },
		{ "base_uri", "/shop", "/shop", 0, 107 },
		{ "base_uri", "/shop/\n", "/shop", 0, 107 },
		{ "base_uri", "", NULL, 0, 107 },
		{ "expected_start_port", "5000", NULL, 5000, 107 },
		{ "expected_start_port", "65536", NULL, 0, 107 },
		{ "expected_start_port", "5000x", NULL, 0, 107 },
		{ "expected_start_port", "-1", NULL, 0, 107 },
		{ "UNIX_PATH_MAX", "", NULL, 0, 100 },
		{ "UNIX_PATH_MAX", "90", NULL, 0, 90 },
	};
	struct passenger p;
	char path[64], *why = NULL;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		close(make(socks));
		snprintf(path, sizeof(path), "args/%s", rows[i].name);
		put(path, rows[i].text);
		ok(passenger_take(&p, &why) == 0 &&
		    same(p.base_uri, rows[i].base) &&
		    p.port == rows[i].port && p.path_max == rows[i].most,
		    "%s %s", rows[i].name, rows[i].text);
		passenger_done(&p);
	}
	close(make(socks));
	ok(passenger_take(&p, &why) == 0 && same(p.app_root, "/srv/app") &&
	    same(p.app_env, "production") &&
	    same(p.startup_file, "/srv/app/passenger_wsgi.py") &&
	    same(p.password, "73Yaf3s7rm6n55UD"), "the other words");
	ok(getenv("PASSENGER_SPAWN_WORK_DIR") == NULL &&
	    getenv("IN_PASSENGER") == NULL, "nobody after us sees them");
	passenger_done(&p);
	close(make(socks));
	(void)unlink(in_dir("args/socket_dir"));
	ok(passenger_take(&p, &why) == -1 && why != NULL &&
	    strstr(why, "socket_dir") != NULL, "no folder for sockets");
	free(why);
	passenger_done(&p);
}

/* --- the socket */

static bool
can_connect(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, rc;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM, 0)) == -1)
		return false;
	rc = connect(fd, (const struct sockaddr *)&un, sizeof(un));
	close(fd);
	return rc == 0;
}

static void
test_listen(void)
{
	struct passenger p, q;
	struct stat st;
	char *why = NULL, *path;
	int fd, other;

	close(make(socks));
	if (passenger_take(&p, &why) == -1)
		exit(99);
	fd = passenger_listen(&p, 5, &why);
	ok(fd != -1 && p.path != NULL && strncmp(p.path, in_dir("socks/"),
	    strlen(in_dir("socks/"))) == 0, "a socket in its folder");
	ok(stat(p.path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    (st.st_mode & 0777) == 0600, "for its user only");
	ok((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 &&
	    (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && can_connect(p.path),
	    "that listens");
	setenv("PASSENGER_SPAWN_WORK_DIR", dir, 1);
	if (passenger_take(&q, &why) == -1)
		exit(99);
	other = passenger_listen(&q, 5, &why);
	ok(other != -1 && strcmp(p.path, q.path) != 0,
	    "two processes have two names");
	close(other);
	passenger_done(&q);
	path = strdup(p.path);
	close(fd);
	passenger_done(&p);
	ok(path != NULL && access(path, F_OK) == -1 && errno == ENOENT,
	    "and takes its name along");
	free(path);
	close(make("/tmp/a-folder-with-a-name/that-is-so-long/that-no-socket-"
	    "can-have-its-name-in-it/whatever-it-is-called/apps.s"));
	if (passenger_take(&p, &why) == -1)
		exit(99);
	ok(passenger_listen(&p, 5, &why) == -1 && why != NULL &&
	    strstr(why, "too long") != NULL, "a name that is too long");
	free(why);
	passenger_done(&p);
	close(make("/nowhere"));
	if (passenger_take(&p, &why) == -1)
		exit(99);
	ok(passenger_listen(&p, 5, &why) == -1 && why != NULL &&
	    strstr(why, "No such file") != NULL, "a folder that is not there");
	free(why);
	passenger_done(&p);
}

/* --- the answer */

static void
test_ready(void)
{
	const char *address, *protocol;
	struct passenger p;
	char *why = NULL, want[256];
	int fifo, fd, accept = 0;
	json_int_t n = 0;
	json_t *j;

	fifo = make(socks);
	if (passenger_take(&p, &why) == -1 ||
	    (fd = passenger_listen(&p, 5, &why)) == -1)
		exit(99);
	ok(passenger_ready(&p, "session", 8, &why) == 0, "ready is told");
	j = json_loads(get("response/properties.json"), 0, NULL);
	snprintf(want, sizeof(want), "unix:%s", p.path);
	ok(json_unpack(j, "{s:[{s:s,s:s,s:I,s:b}]}", "sockets", "address",
	    &address, "protocol", &protocol, "concurrency", &n,
	    "accept_http_requests", &accept) == 0 &&
	    strcmp(address, want) == 0 && strcmp(protocol, "session") == 0 &&
	    n == 8 && accept == 1, "with all that it must know");
	json_decref(j);
	ok(verdict(fifo) == '1', "and the byte 1");
	close(fd);
	passenger_done(&p);

	fifo = make(socks);
	put("args/expected_start_port", "5000");
	if (passenger_take(&p, &why) == -1)
		exit(99);
	ok(passenger_ready(&p, "http", 8, &why) == 0 &&
	    verdict(fifo) == '-' && get("response/properties.json")[0] ==
	    '\0', "generic: nothing is said");
	passenger_done(&p);

	close(make(socks));
	if (passenger_take(&p, &why) == -1 ||
	    (fd = passenger_listen(&p, 5, &why)) == -1)
		exit(99);
	(void)unlink(in_dir("response/finish"));
	ok(passenger_ready(&p, "session", 8, &why) == -1 && why != NULL &&
	    strstr(why, "finish") != NULL, "Passenger has gone away");
	free(why);
	close(fd);
	passenger_done(&p);

	/* The FIFO is there, and nobody reads it. */
	close(make(socks));
	if (passenger_take(&p, &why) == -1 ||
	    (fd = passenger_listen(&p, 5, &why)) == -1)
		exit(99);
	why = NULL;
	clock_hold(1);
	ok(passenger_ready(&p, "session", 8, &why) == -1 && why != NULL &&
	    strstr(why, "finish") != NULL && clock_ms() == 1 + 5000,
	    "nobody listens: given up after five seconds");
	clock_release();
	free(why);
	close(fd);
	passenger_done(&p);
}

static void
test_failed(void)
{
	const struct passenger_failure f = {
		.summary = "no application", .problem = "a <b> & c",
		.solution = "mend it", .log = "/srv/app/tmp/gangway.log",
	};
	struct passenger p;
	char *why = NULL;
	int fifo;

	fifo = make(socks);
	if (passenger_take(&p, &why) == -1)
		exit(99);
	ok(passenger_failed(&p, &f, &why) == 0, "a failure is told");
	ok(strcmp(get("response/error/category"), "INTERNAL_ERROR") == 0,
	    "its category");
	ok(strcmp(get("response/error/summary"), f.summary) == 0,
	    "its summary");
	ok(strstr(get("response/error/problem_description.html"),
	    "<pre>a &lt;b&gt; &amp; c</pre>") != NULL, "as HTML, escaped");
	ok(strcmp(get("response/error/problem_description.txt"),
	    f.problem) == 0, "as text");
	ok(strstr(get("response/error/solution_description.html"),
	    "mend it") != NULL, "what to do");
	ok(strcmp(get("envdump/annotations/gangway log"), f.log) == 0,
	    "where there is more");
	ok(verdict(fifo) == '0', "and the byte 0");
	passenger_done(&p);
}

int
main(void)
{
	char command[128];

	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(socks, sizeof(socks), "%s/socks", dir);
	test_take();
	test_listen();
	test_ready();
	test_failed();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		return 99;
	return tap_done();
}
