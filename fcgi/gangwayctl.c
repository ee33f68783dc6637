/*
 * gangwayctl: asks a manager how it is, and gives it orders, over its
 * control socket.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "fcgi/ctl_place.h"

enum {
	EXIT_REFUSED = 1, EXIT_NOBODY = 2, EXIT_USAGE = 64,
	REPLY_MAX = 64 << 20,
	LOOK_MS = 100,		/* between looks at what it waits for */
	SILENT_S = 10,		/* a manager that takes longer is stopped */
	TRIES = 10
};

static const char *path;	/* of the socket */

static void __attribute__((noreturn))
usage(FILE *to, int code)
{
	fputs("usage: gangwayctl [-s FILE | -p PIDFILE] COMMAND\n\n"
	    "  status [--json]      what the server and its workers do\n"
	    "  reload [--no-wait]   new code and settings\n"
	    "  scale NUMBER         so many workers\n"
	    "  stop [--no-wait]     finish what runs, and end\n"
	    "  reopen               open the log files again\n\n"
	    "  -s, --socket FILE    the server's control socket\n"
	    "  -p, --pid PIDFILE    the server's pid file\n", to);
	exit(code);
}

/* --- which server */

static const char *
only_one(void)
{
	static char *dir, **list;
	size_t n = 0, i;

	dir = ctl_dir(false);
	if (dir != NULL)
		list = ctl_list(dir, &n);
	if (n == 1)
		return list[0];
	if (n == 0)
		errx(EXIT_NOBODY, "no server is found%s%s: say -s FILE, or "
		    "-p PIDFILE", dir != NULL ? " in " : "",
		    dir != NULL ? dir : "");
	warnx("there are several servers, say which:");
	for (i = 0; i < n; i++)
		fprintf(stderr, "  -s %s\n", list[i]);
	exit(EXIT_NOBODY);
}

static const char *
find(const char *given, const char *pidfile)
{
	const char *s = given;

	if (s == NULL && pidfile == NULL)
		s = getenv("GANGWAY_CONTROL_SOCKET");
	if (s != NULL && *s != '\0')
		return s;
	if (pidfile == NULL)
		pidfile = getenv("GANGWAY_PIDFILE");
	if (pidfile == NULL || *pidfile == '\0')
		return only_one();
	if ((s = ctl_beside(pidfile)) == NULL)
		err(EXIT_NOBODY, NULL);
	return s;
}

/* --- talking to it */

/* A connection, or -1 with errno. */
static int
reach(void)
{
	const struct timeval patience = { .tv_sec = SILENT_S };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* All that comes; NULL when the server has hung up without reading. */
static char *
read_all(int fd, size_t *n)
{
	static char *buf;
	char *more;
	size_t cap = 0;
	ssize_t k;

	buf = NULL;
	for (*n = 0; *n < REPLY_MAX; *n += (size_t)k) {
		if (*n == cap) {
			cap = cap == 0 ? 65536 : 2 * cap;
			if ((more = realloc(buf, cap)) == NULL)
				err(EXIT_NOBODY, NULL);
			buf = more;
		}
		do
			k = recv(fd, buf + *n, cap - *n, 0);
		while (k == -1 && errno == EINTR);
		if (k == -1 && errno == ECONNRESET && *n == 0) {
			free(buf);
			return NULL;
		}
		if (k == -1)
			errx(EXIT_NOBODY, "%s: %s", path, errno == EAGAIN ?
			    "no answer" : strerror(errno));
		if (k == 0)
			break;
	}
	return buf;
}

/* Send the line; what comes back, or NULL when we were cut before it was
 * read: the server hears each for a second, and we may have been stopped, or
 * the machine busy, for longer. */
static char *
talk(const char *line, size_t *n)
{
	char *text = NULL;
	int fd;

	if ((fd = reach()) == -1)
		errx(EXIT_NOBODY, "%s: %s", path, errno == ECONNREFUSED ?
		    "its server has gone" : strerror(errno));
	if (send(fd, line, *n, MSG_NOSIGNAL) != -1)
		text = read_all(fd, n);
	else if (errno != EPIPE && errno != ECONNRESET)
		err(EXIT_NOBODY, "%s", path);
	close(fd);
	return text;
}

/* What the server answers; a refusal ends the program. */
static json_t *
ask(json_t *request)
{
	static char line[256], *text;
	static json_t *reply;
	int tries = TRIES;
	size_t n, len;

	n = json_dumpb(request, line, sizeof(line) - 1, JSON_COMPACT);
	json_decref(request);
	if (n == 0 || n >= sizeof(line))
		errx(EXIT_NOBODY, "out of memory");
	line[n] = '\n';
	do
		len = n + 1;
	while ((text = talk(line, &len)) == NULL && --tries > 0);
	if (text == NULL)
		errx(EXIT_NOBODY, "%s: it hangs up", path);
	reply = json_loadb(text, len, 0, NULL);
	free(text);
	if (!json_is_object(reply))
		errx(EXIT_NOBODY, "%s: no answer", path);
	if (!json_is_true(json_object_get(reply, "ok"))) {
		const char *why = json_string_value(json_object_get(reply,
		    "error"));
		errx(EXIT_REFUSED, "%s", why != NULL ? why : "refused");
	}
	return reply;
}

static json_t *
command(const char *name)
{
	return json_pack("{s:s}", "command", name);
}

static json_int_t
number(const json_t *from, const char *name)
{
	return json_integer_value(json_object_get(from, name));
}

static const char *
word(const json_t *from, const char *name)
{
	const char *s = json_string_value(json_object_get(from, name));

	return s != NULL ? s : "-";
}

/* --- the table */

/* "-" for what is not known, "0.2s", "45s", "12m", "3h", "5d". */
static const char *
span(const json_t *from, const char *name, char buf[16])
{
	const json_t *j = json_object_get(from, name);
	double s = json_number_value(j);

	if (!json_is_number(j))
		snprintf(buf, 16, "-");
	else if (s < 10)
		snprintf(buf, 16, "%.1fs", s);
	else if (s < 120)
		snprintf(buf, 16, "%.0fs", s);
	else if (s < 2 * 3600)
		snprintf(buf, 16, "%.0fm", s / 60);
	else if (s < 2 * 86400)
		snprintf(buf, 16, "%.0fh", s / 3600);
	else
		snprintf(buf, 16, "%.0fd", s / 86400);
	return buf;
}

static const char *
size(const json_t *from, const char *name, char buf[16])
{
	json_int_t n = number(from, name);

	if (n <= 0)
		snprintf(buf, 16, "-");
	else if (n < 10 << 20)
		snprintf(buf, 16, "%.1fM", (double)n / (1 << 20));
	else
		snprintf(buf, 16, "%.0fM", (double)n / (1 << 20));
	return buf;
}

static void
show_worker(const json_t *w)
{
	char rss[16], up[16], beat[16], state[32];
	const json_t *list = json_object_get(w, "running");
	size_t i;

	snprintf(state, sizeof(state), "%s%s", word(w, "state"),
	    json_is_true(json_object_get(w, "replace")) ? "*" : "");
	printf("%8lld %4lld %4lld  %-9s %5lld %5lld %5lld %9lld %7s %6s %6s",
	    (long long)number(w, "pid"), (long long)number(w, "slot"),
	    (long long)number(w, "generation"), state,
	    (long long)number(w, "busy"), (long long)number(w, "queue"),
	    (long long)number(w, "connections"),
	    (long long)number(w, "requests"), size(w, "rss", rss),
	    span(w, "uptime", up), span(w, "heartbeat", beat));
	for (i = 0; i < json_array_size(list); i++)
		printf("%s%s", i == 0 ? "  " : ", ",
		    json_string_value(json_array_get(list, i)));
	putchar('\n');
}

static void
show(const json_t *s)
{
	const json_t *list = json_object_get(s, "listeners");
	const json_t *all = json_object_get(s, "workers");
	char up[16], rss[16];
	size_t i;

	printf("gangway %s, pid %lld: %s for %s, generation %lld, %s\n",
	    word(s, "version"), (long long)number(s, "pid"),
	    word(s, "state"), span(s, "uptime", up),
	    (long long)number(s, "generation"), size(s, "rss", rss));
	printf("%s at", word(s, "app"));
	for (i = 0; i < json_array_size(list); i++)
		printf("%s %s", i > 0 ? "," : "",
		    json_string_value(json_array_get(list, i)));
	printf("\n%zu processes for %lld workers, %s, %lld thread%s each\n\n",
	    json_array_size(all), (long long)number(s, "wanted"),
	    word(s, "class"), (long long)number(s, "threads"),
	    number(s, "threads") == 1 ? "" : "s");
	printf("%8s %4s %4s  %-9s %5s %5s %5s %9s %7s %6s %6s  %s\n", "PID",
	    "SLOT", "GEN", "STATE", "BUSY", "QUEUE", "CONNS", "REQUESTS",
	    "RSS", "UP", "BEAT", "RUNNING");
	for (i = 0; i < json_array_size(all); i++)
		show_worker(json_array_get(all, i));
}

/* --- orders */

static int
reload(bool wait)
{
	json_t *s = ask(command("status"));
	json_int_t before = number(s, "generation");
	bool done;

	json_decref(s);
	json_decref(ask(command("reload")));
	if (!wait)
		return 0;
	for (;;) {
		s = ask(command("status"));
		done = strcmp(word(s, "state"), "reloading") != 0;
		if (done)
			break;
		json_decref(s);
		clock_pause(LOOK_MS);
	}
	if (strcmp(word(s, "state"), "stopping") == 0)
		errx(EXIT_REFUSED, "the server is stopping");
	done = number(s, "generation") != before;
	json_decref(s);
	if (!done)
		errx(EXIT_REFUSED, "the reload was given up, all is as it "
		    "was: the error log says why");
	return 0;
}

static int
stop(bool wait)
{
	int fd;

	json_decref(ask(command("stop")));
	/* As long as somebody listens, it is there. */
	while (wait && (fd = reach()) != -1) {
		close(fd);
		clock_pause(LOOK_MS);
	}
	return 0;
}

static int
scale(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 1)
		errx(EXIT_USAGE, "scale: %s is no number of workers", text);
	json_decref(ask(json_pack("{s:s, s:I}", "command", "scale",
	    "workers", (json_int_t)n)));
	return 0;
}

static int
status(bool raw)
{
	json_t *s = ask(command("status"));

	if (raw) {
		json_dumpf(s, stdout, JSON_INDENT(2) |
		    JSON_REAL_PRECISION(6));
		putchar('\n');
	} else
		show(s);
	json_decref(s);
	if (fflush(stdout) == EOF)
		err(EXIT_REFUSED, "standard output");
	return 0;
}

int
main(int argc, char *argv[])
{
	enum { OPT_JSON = 256, OPT_NO_WAIT };
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "pid", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	const char *given = NULL, *pidfile = NULL, *what;
	bool raw = false, wait = true;
	int c, want;

	while ((c = getopt_long(argc, argv, "s:p:hv", options, NULL)) != -1)
		switch (c) {
		case 's':
			given = optarg;
			break;
		case 'p':
			pidfile = optarg;
			break;
		case OPT_JSON:
			raw = true;
			break;
		case OPT_NO_WAIT:
			wait = false;
			break;
		case 'h':
			usage(stdout, 0);
		case 'v':
			puts("gangwayctl " PACKAGE_VERSION);
			return 0;
		default:
			usage(stderr, EXIT_USAGE);
		}
	if (optind == argc)
		usage(stderr, EXIT_USAGE);
	what = argv[optind];
	want = strcmp(what, "scale") == 0 ? 2 : 1;
	if (argc - optind != want)
		usage(stderr, EXIT_USAGE);
	if (strcmp(what, "status") != 0 && strcmp(what, "reload") != 0 &&
	    strcmp(what, "scale") != 0 && strcmp(what, "stop") != 0 &&
	    strcmp(what, "reopen") != 0)
		usage(stderr, EXIT_USAGE);
	path = find(given, pidfile);
	if (strcmp(what, "status") == 0)
		return status(raw);
	if (strcmp(what, "reload") == 0)
		return reload(wait);
	if (strcmp(what, "stop") == 0)
		return stop(wait);
	if (strcmp(what, "scale") == 0)
		return scale(argv[optind + 1]);
	json_decref(ask(command("reopen")));
	return 0;
}
