/*
 * The contract of the Python shim, without a socket: applications from
 * t/apps are called by the server of t/unit/shim_server.c.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t/unit/shim_server.h"
#include "t/lib/tap.h"

enum { MANY = 10000, THREADS = 8 };

static struct fake fake;

/* ---- loading ---- */

static const struct {
	const char	*spec;
	int		 status;
	const char	*says;		/* in the log */
} loads[] = {
	{ "calls", APP_OK, "" },
	{ "calls:hello", APP_OK, "" },
	{ "calls:Deep.er.app", APP_OK, "" },
	{ "calls:factory()", APP_OK, "" },
	{ "calls:factory(1, 'a:b', x=[None, {'k': 2.5}])", APP_OK, "" },
	{ "site.fcgi", APP_OK, "" },
	{ "site.fcgi:other", APP_OK, "" },
	{ "./calls.py", APP_OK, "" },
	{ "calls.py:empty", APP_OK, "" },
	{ "broken", APP_BOOT, "No module named 'no_such_module_at_all'" },
	{ "broken.py", APP_BOOT, "Traceback" },
	{ "syntax", APP_BOOT, "SyntaxError" },
	{ "exits", APP_BOOT, "SystemExit: 9" },
	{ "nothere", APP_BOOT, "No module named 'nothere'" },
	{ "sub/nothere.py:app", APP_BOOT,
	    "did you mean the module \"sub.nothere:app\"" },
	{ "", APP_BOOT, "ERROR" },
	{ ":app", APP_BOOT, "ERROR" },
	{ "calls:nothing", APP_LOAD,
	    "module 'calls' has no attribute 'nothing'" },
	{ "calls:Deep.nothing", APP_LOAD, "has no attribute 'nothing'" },
	{ "calls:not_callable", APP_LOAD, "cannot be called" },
	{ "calls:not_callable()", APP_LOAD, "cannot be called" },
	{ "calls:none_factory()", APP_LOAD, "gave None" },
	{ "calls:bad_factory()", APP_LOAD, "no application today" },
	{ "calls:bad_factory(1)", APP_LOAD, "TypeError" },
	{ "calls:factory(x)", APP_LOAD, "must be literals" },
	{ "calls:factory(**{})", APP_LOAD, "must be literals" },
	{ "calls:a b", APP_LOAD, "neither a name nor a call" },
	{ "calls:hello[0]", APP_LOAD, "neither a name nor a call" },
	{ "calls:__import__('os').system('')", APP_LOAD,
	    "neither a name nor a call" },
	{ "calls:asgi", APP_LOAD, "ASGI" },
	{ "calls:asgi_object", APP_LOAD, "ASGI" },
};

static void
test_loads(void)
{
	size_t i;
	int rv;

	for (i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
		rv = shim_load(loads[i].spec);
		if (!ok(rv == loads[i].status && strstr(shim_log.p,
		    loads[i].says) != NULL && (rv != APP_OK ||
		    shim_log.n == 0), "load \"%s\": %d", loads[i].spec,
		    loads[i].status))
			printf("# %d %s\n", rv, shim_log.p);
	}
}

/* ---- calls ---- */

#define ANY	(-3)
#define TEXT	"\nContent-Type: text/plain"

static const struct {
	const char	*app;		/* in calls.py */
	const char	*body;		/* of the request */
	int		 rv;
	const char	*head, *sink;	/* NULL: none */
	int64_t		 length;
	const char	*log;		/* is in there; "" for no line */
	const char	*errors;	/* NULL: whatever */
	unsigned int	 gone_at, full_at;
} calls[] = {
#define GOOD(app, body, sink, length) \
	{ app, body, 0, "200 OK" TEXT, sink, length, "", NULL, 0, 0 }
#define BAD(app, log) \
	{ app, NULL, -1, NULL, "", ANY, log, NULL, 0, 0 }
#define CUT(app, sink, log) \
	{ app, NULL, -1, "200 OK" TEXT, sink, ANY, log, NULL, 0, 0 }
	GOOD("hello", NULL, "hello", 5),
	{ "empty", NULL, 0, "204 No Content", "", 0, "", NULL, 0, 0 },
	GOOD("several", NULL, "one,two,three", 13),
	GOOD("generator", NULL, "ab", -1),
	GOOD("late_start", NULL, "late", -1),
	{ "closing", NULL, 0, "200 OK" TEXT, "ab", -1, "INFO closed\n", NULL,
	    0, 0 },
	{ "closing", NULL, -1, "200 OK" TEXT, "", -1, "INFO closed\n", NULL,
	    1, 0 },
	{ "closing", NULL, -1, "200 OK" TEXT, "a", -1, "INFO closed\n", NULL,
	    2, 0 },
	{ "closing", NULL, 0, "200 OK" TEXT, "ab", -1, "INFO closed\n", NULL,
	    0, 1 },
	{ "hello", NULL, -1, "200 OK" TEXT, "", 5, "DEBUG The client left "
	    "during GET /caf%C3%A9\n", NULL, 1, 0 },
	CUT("closing_raises", "a", "INFO closed\n"),
	CUT("closing_raises", "a", "ValueError: in the middle"),
	BAD("closing_exit", "INFO closed\n"),
	BAD("closing_exit", "SystemExit: 7"),
	BAD("closing_text", "bytes, not str"),
	BAD("closing_text", "INFO closed\n"),
	BAD("closing_unstarted", "has not called start_response()"),
	BAD("closing_unstarted", "INFO closed\n"),
	{ "close_fails", NULL, 0, "200 OK" TEXT, "a", -1, "bad close", NULL,
	    0, 0 },
	{ "close_attr", NULL, 0, "200 OK" TEXT, "a", -1, "bad attribute",
	    NULL, 0, 0 },
	BAD("never_starts", "has not called start_response()"),
	BAD("never_starts_empty", "has not called start_response()"),
	BAD("returns_none", "'NoneType' object is not iterable"),
	BAD("returns_bytes", "returned bytes"),
	CUT("returns_str_list", "a", "bytes, not str"),
	BAD("raises", "Error handling request GET /caf%C3%A9\nERROR Traceback"),
	BAD("raises", "ValueError: spilt milk\n"),
	BAD("raises_interrupt", "KeyboardInterrupt"),
	BAD("raises_surrogate", "\\ud800 and \342\202\254"),
	BAD("raises_unprintable", "Odd"),
	BAD("twice", "called twice without exc_info"),
	{ "exc_info_before", NULL, 0, "500 Oops\nX-A: b", "replaced", 8, "",
	    NULL, 0, 0 },
	CUT("exc_info_after", "sent", "ZeroDivisionError"),
	CUT("exc_info_nothing", "sent", "has been sent"),
	BAD("exc_info_odd", "TypeError: exc_info"),
	GOOD("by_name", NULL, "named", 5),
	BAD("by_wrong_name", "unexpected argument 'colour'"),
	BAD("too_few", "TypeError: start_response(status, headers"),
	BAD("status_bytes", "TypeError: the status must be str, not bytes"),
	BAD("status_int", "TypeError: the status must be str, not int"),
	BAD("headers_dict", "TypeError: the response headers must be a list"),
	BAD("header_bytes", "TypeError: the name of a response header"),
	BAD("header_int", "TypeError: the value of a response header"),
	BAD("header_three", "must be a tuple (name, value)"),
	{ "header_latin", NULL, 0, "200 Gr\374\337e\nX-A: caf\351", "x", 1,
	    "", NULL, 0, 0 },
	BAD("header_wide", "ValueError: the value of a response header"),
	{ "header_newline", NULL, -1, "200 OK\nX-Good: fine",
	    "", ANY, "'X-Bad': 'a\\r\\nb: c'", NULL, 0, 0 },
	BAD("status_newline", "the status has a control character"),
	{ "swallows", NULL, 0, "400 Bad" TEXT, "second", 6, "", NULL, 0, 0 },
	GOOD("writes", NULL, "w1w2r", -1),
	GOOD("writes_only", NULL, "w", -1),
	BAD("writes_text", "bytes, not str"),
	{ "writes_gone", NULL, -1, "200 OK" TEXT, "w", -1, "DEBUG The client "
	    "left", NULL, 2, 0 },
	{ "writes_wrong", NULL, -1, "200 OK" TEXT, "w", -1, "LookupError: of "
	    "its own", NULL, 2, 0 },
	GOOD("keeps", NULL, "kept", 4),
	{ "uses_kept", NULL, 0, "200 OK" TEXT, "RuntimeError RuntimeError "
	    "ValueError ValueError True", 52, "ERROR after the end\n", NULL,
	    0, 0 },
	GOOD("hello", NULL, "hello", 5),
	GOOD("spoils", NULL, "spoilt", 6),
	GOOD("types", NULL, "(True, [])", 10),
	{ "valid", "abcdef", 0, "200 OK" TEXT "\nContent-Length: 3", "abc",
	    -1, "", "noted;", 0, 0 },
	GOOD("valid_generator", "ab\ncd\nefghijkl", "ab\ncd\nefghijkl", -1),
#define READ(app, body, sink)	GOOD(app, body, sink, ANY)
	READ("read_all", "abcdefghijkl\n", "(b'abcdefghijkl\\n', b'')"),
	READ("read_all", "", "(b'', b'')"),
	READ("read_all", NULL, "(b'', b'')"),
	READ("read_none", "abcdefghijkl", "b'abcdefghijkl'"),
	READ("read_some", "abcdefghijkl",
	    "(b'abcd', b'', b'efghijkl', b'')"),
	READ("read_huge", "abcdefgh", "b'abcdefgh'"),
	READ("read_line", "abcdef\nghijklmnop\nq\nr",
	    "(b'abcdef\\n', b'gh', b'ijklmnop\\n', b'q\\n', b'r')"),
	READ("read_lines", "abcdefgh\n\nxy",
	    "[b'abcdefgh\\n', b'\\n', b'xy']"),
	READ("read_lines_hint", "ab\ncd\nef\n",
	    "([b'ab\\n', b'cd\\n'], b'ef\\n')"),
	READ("read_iter", "abcdefgh\nx", "([b'abcdefgh\\n', b'x'], 'end')"),
	READ("read_into", "abcdefghi", "[(4, b'abcd'), (4, b'efgh'), "
	    "(1, b'ifgh'), (0, b'ifgh')]"),
	READ("read_wrong", "abc",
	    "['TypeError', 'TypeError', 'TypeError', 'TypeError']"),
	{ "errors", NULL, 0, "200 OK" TEXT, "", 0, "", "part whole;next ;"
	    "a;b\nc;\342\202\254\\udc80 last TypeError;", 0, 0 },
	{ "logs", NULL, 0, "200 OK" TEXT, "", 0, "WARNING to gunicorn.error 5"
	    "\nCRITICAL to gunicorn\nDEBUG to a child\n", NULL, 0, 0 },
	GOOD("file_whole", NULL, "0123456789", 10),
	GOOD("file_seeked", NULL, "3456789", 7),
	{ "file_limited", NULL, 0, "200 OK" TEXT "\nContent-Length: 4",
	    "0123", 4, "", NULL, 0, 0 },
	{ "file_beyond", NULL, 0, "200 OK" TEXT "\nContent-Length: 400",
	    "0123456789", 400, "", NULL, 0, 0 },
	{ "file_noted", NULL, 0, "200 OK" TEXT, "0123456789", 10,
	    "INFO closed\n", NULL, 0, 0 },
	{ "file_noted", NULL, -1, "200 OK" TEXT, "", 10, "INFO closed\n",
	    NULL, 1, 0 },
	{ "file_no_fileno", NULL, 0, "200 OK" TEXT, "0123456789", -1,
	    "INFO closed\n", NULL, 0, 0 },
	GOOD("file_memory", NULL, "0123456789", -1),
	GOOD("file_empty", NULL, "", 0),
	GOOD("file_gzip", NULL, "unzipped", -1),
	BAD("file_text", "bytes, not str"),
	GOOD("file_proc", NULL, NULL, -1),
	{ "file_raw", NULL, 0, "200 OK" TEXT "\nContent-Length: 3", "\"\"\"",
	    3, "", NULL, 0, 0 },
	GOOD("file_pipe", NULL, "piped", -1),
	GOOD("file_after_write", NULL, "first 0123456789", -1),
	{ "file_iterated", NULL, 0, "200 OK" TEXT, "0123456789", -1,
	    "INFO closed\n", NULL, 0, 0 },
	{ "main_thread", NULL, 0, "200 OK" TEXT, "True ['gangway']", 16, "",
	    NULL, 0, 0 },
};

static unsigned int
count_of(const char *in, const char *what)
{
	unsigned int n = 0;

	for (; (in = strstr(in, what)) != NULL; in++)
		n++;
	return n;
}

static void
call_app(const char *app, const char *query, const char *body)
{
	static char spec[128];

	(void)snprintf(spec, sizeof(spec), "calls:%s", app);
	if (shim_load(spec) != APP_OK)
		printf("# %s does not load: %s\n", spec, shim_log.p);
	fake_init(&fake, query, body);
}

static void
test_calls(void)
{
	size_t i;
	int rv, good;

	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		call_app(calls[i].app, NULL, calls[i].body);
		fake.gone_at = calls[i].gone_at;
		fake.full_at = calls[i].full_at;
		rv = shim_call(&fake);
		good = rv == calls[i].rv &&
		    strcmp(fake.head.p, calls[i].head != NULL ?
		    calls[i].head : "") == 0 &&
		    (calls[i].sink == NULL ||
		    strcmp(fake.sink.p, calls[i].sink) == 0) &&
		    (calls[i].length == ANY ||
		    calls[i].length == fake.length) &&
		    strstr(shim_log.p, calls[i].log) != NULL &&
		    (calls[i].log[0] != '\0' || shim_log.n == 0) &&
		    count_of(shim_log.p, "INFO closed") <= 1 &&
		    (calls[i].errors == NULL ||
		    strcmp(calls[i].errors, fake.errors.p) == 0) &&
		    (calls[i].full_at == 0 || fake.drains == 1);
		if (!ok(good, "%s", calls[i].app))
			printf("# %d <%s> <%s> %jd\n# %s\n# <%s>\n", rv,
			    fake.head.p, fake.sink.p, (intmax_t)fake.length,
			    shim_log.p, fake.errors.p);
	}
}

/* ---- environ ---- */

static void
echo_is(const char *names, const char *want)
{
	call_app("echo", names, NULL);
	fake_var(&fake, VAR_CONTENT_TYPE, "CONTENT_TYPE", "text/x");
	fake_var(&fake, VAR_CONTENT_LENGTH, "CONTENT_LENGTH", "0");
	fake_var(&fake, VAR_OTHER, "HTTP_X_ODD_NAME", "caf\351");
	fake_var(&fake, VAR_OTHER, "HTTP_A", "");
	(void)shim_call(&fake);
	if (!ok(strcmp(fake.sink.p, want) == 0, "environ: %s", names))
		printf("# %s\n# %s\n", fake.sink.p, shim_log.p);
}

static void
test_environ(void)
{
	echo_is("REQUEST_METHOD,SCRIPT_NAME,PATH_INFO",
	    "'GET'|''|'/caf\303\203\302\251'");
	echo_is("SERVER_NAME,SERVER_PORT,SERVER_PROTOCOL,REMOTE_ADDR",
	    "'localhost'|'8000'|'HTTP/1.1'|'127.0.0.1'");
	echo_is("CONTENT_TYPE,CONTENT_LENGTH,HTTP_CONTENT_TYPE",
	    "'text/x'|'0'|None");
	echo_is("HTTP_HOST,HTTP_X_ODD_NAME,HTTP_A,HTTP_B",
	    "'localhost:8000'|'caf\303\251'|''|None");
	echo_is("wsgi.version,wsgi.url_scheme,wsgi.run_once",
	    "(1, 0)|'http'|False");
	echo_is("wsgi.multithread,wsgi.multiprocess,wsgi.input_terminated",
	    "True|False|True");
	echo_is("SERVER_SOFTWARE,wsgi.file_wrapper,a",
	    "'gangway/test'|<class 'gangway.FileWrapper'>|None");
	echo_is("gangway.host,gangway.settings", "'fastcgi'|"
	    "(('threads', '4', 'default', 'in force'), "
	    "('raw_env', '[A=...]', 'x.ini:2', 'left to the host'))");
	call_app("echo", "wsgi.url_scheme", NULL);
	fake.rq.https = true;
	(void)shim_call(&fake);
	ok(strcmp(fake.sink.p, "'https'") == 0, "environ: https");
	echo_is("wsgi.url_scheme,REMOTE_PORT,CONTENT_TYPE",
	    "'http'|None|'text/x'");
}

/* Names that meet in the shim's table, and one longer than any. */
static void
test_names(void)
{
	static char names[600][40];
	unsigned int i, bad = 0;

	for (i = 0; i < 600; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "HTTP_X_%u_%u", i,
		    i % 7);
		if (i == 0)
			call_app("echo", names[i], NULL);
		else
			fake_init(&fake, names[i], NULL);
		fake_var(&fake, VAR_OTHER, names[i], names[i] + 7);
		fake_var(&fake, VAR_OTHER, names[(i + 300) % 600], "other");
		(void)shim_call(&fake);
		bad += strncmp(fake.sink.p + 1, names[i] + 7,
		    strlen(names[i] + 7)) != 0;
	}
	ok(bad == 0, "600 header names: each has its value");
}

/* ---- bodies ---- */

static void
test_bodies(void)
{
	static char big[200001];
	size_t n;

	memset(big, 'b', sizeof(big) - 1);
	call_app("read_size", NULL, big);
	fake.window = 65536;
	(void)shim_call(&fake);
	ok(strcmp(fake.sink.p, "200000") == 0, "a body of several windows");
	call_app("read_line", NULL, big);
	fake.window = 1000;
	ok(shim_call(&fake) == 0 && fake.sink.n > 190000,
	    "a line of many windows");
	for (n = 1; n <= 6; n++) {
		call_app("read_lines", NULL, "abcdefgh\n\nxy");
		fake.window = n;
		ok(shim_call(&fake) == 0 && strcmp(fake.sink.p,
		    "[b'abcdefgh\\n', b'\\n', b'xy']") == 0,
		    "lines in windows of %zu", n);
	}
	call_app("read_all", NULL, "some");
	fake.peek_fails = EIO;
	ok(shim_call(&fake) == -1 && strstr(shim_log.p, "OSError: [Errno 5]"),
	    "a body that cannot be read is OSError");
	call_app("read_size", NULL, "short");
	fake.rq.body_length = 5;
	fake.body = "short";
	ok(shim_call(&fake) == 0 && strcmp(fake.sink.p, "5") == 0, "exact");
	call_app("large_list", NULL, NULL);
	ok(shim_call(&fake) == 0 && fake.length == 100000 &&
	    fake.sink.n == 100000 && fake.bodies == 2,
	    "large chunks are sent apart, their length known");
	call_app("writes_beside", NULL, NULL);
	fake.slow = 70000;
	ok(shim_call(&fake) == 0 && strstr(shim_log.p, "INFO refused") &&
	    fake.sink.p[fake.sink.n - 1] == 't',
	    "the end of a call waits for write() in another thread");
	call_app("several", NULL, NULL);
	ok(shim_call(&fake) == 0 && fake.bodies == 1 && fake.last,
	    "small chunks are sent as one, the last");
	call_app("many_headers", NULL, NULL);
	ok(shim_call(&fake) == 0 && count_of(fake.head.p, "X-") == 40,
	    "forty headers");
	call_app("errors_long", NULL, NULL);
	ok(shim_call(&fake) == 0 && fake.errors.n >= 20000,
	    "a long line to wsgi.errors is all there");
	call_app("file_whole", NULL, NULL);
	ok(shim_call(&fake) == 0 && fake.files == 1 && fake.bodies == 0,
	    "a file goes by its descriptor");
	call_app("file_gzip", NULL, NULL);
	ok(shim_call(&fake) == 0 && fake.files == 0,
	    "a file that is unpacked does not");
}

/* ---- many calls, many threads ---- */

static void
mixed_once(struct fake *f)
{
	fake_init(f, NULL, "line\nrest");
	fake_var(f, VAR_OTHER, "HTTP_X_ANY", "value");
}

static void
test_leaks(void)
{
	static const char *const apps[] = { "mixed", "hello", "closing_raises",
	    "keeps", "file_whole", "raises", "twice", "header_wide",
	    "generator", "writes" };
	long before[3] = { 0, 0, 0 }, after[3] = { 0, 0, 0 };
	unsigned int i, round;
	size_t a;

	for (round = 0; round < 3; round++) {
		for (a = 0; a < sizeof(apps) / sizeof(*apps); a++) {
			call_app(apps[a], NULL, NULL);
			for (i = 0; i < MANY / 10; i++) {
				mixed_once(&fake);
				text_clear(&shim_log);
				(void)shim_call(&fake);
			}
		}
		for (i = 0; i < 3; i++) {
			call_app("blocks", NULL, NULL);
			(void)shim_call(&fake);
		}
		(void)sscanf(fake.sink.p, "%ld %ld %ld",
		    round < 2 ? &before[0] : &after[0],
		    round < 2 ? &before[1] : &after[1],
		    round < 2 ? &before[2] : &after[2]);
	}
	/* One block lost in each call of one application would be 1,000. */
	for (i = 0; i < 3; i++)
		if (!ok(labs(after[i] - before[i]) < MANY / 20,
		    "%s steady over %d calls", i == 0 ? "blocks" : i == 1 ?
		    "objects" : "references to None", MANY))
			printf("# %ld, then %ld\n", before[i], after[i]);
}

static void *
thread_calls(void *arg)
{
	struct fake *f = arg;
	void *ts = shim_kind->thread_new();
	unsigned int i;
	uintptr_t bad = 0;

	if (ts == NULL)
		return (void *)1;
	for (i = 0; i < MANY / THREADS; i++) {
		mixed_once(f);
		shim_kind->enter(ts);
		bad += shim_kind->call(&f->rq) != 0;
		shim_kind->leave(ts);
		bad += strcmp(f->sink.p, "line\nrestxline\nrest") != 0 ||
		    strcmp(f->head.p, "201 Made\nX-B: yyyyyyyyyy") != 0;
	}
	shim_kind->thread_free(ts);
	return (void *)bad;
}

static void
test_threads(void)
{
	static struct fake fakes[THREADS];
	pthread_t t[THREADS];
	void *bad;
	uintptr_t all = 0;
	size_t i;

	call_app("mixed", NULL, NULL);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, thread_calls, &fakes[i]) != 0)
			all++;
	for (i = 0; i < THREADS; i++) {
		(void)pthread_join(t[i], &bad);
		all += (uintptr_t)bad;
	}
	if (!ok(all == 0, "%d threads at once", THREADS))
		printf("# %ju wrong\n", (uintmax_t)all);
}

static void
show_speed(void)
{
	struct timespec a, b;
	unsigned int i, n = 200000;

	call_app("hello", NULL, NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	shim_kind->enter(NULL);
	for (i = 0; i < n; i++) {
		fake.sink.n = 0;
		fake.sent = false;
		(void)shim_kind->call(&fake.rq);
	}
	shim_kind->leave(NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	printf("# %.0f ns a hello\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 +
	    (double)(b.tv_nsec - a.tv_nsec)) / n);
}

/* ---- fork, stacks, the configuration file, the end ---- */

static void
test_fork(void)
{
	pid_t pid;
	int st = -1, rv;

	call_app("hello", NULL, NULL);
	shim_kind->before_fork();
	if ((pid = fork()) == 0) {
		shim_kind->after_fork_child();
		rv = shim_call(&fake);
		call_app("main_thread", NULL, NULL);
		rv |= shim_call(&fake) ||
		    strncmp(fake.sink.p, "True", 4) != 0;
		_exit(rv == 0 ? 42 : 1);
	}
	shim_kind->after_fork_parent();
	(void)waitpid(pid, &st, 0);
	ok(WIFEXITED(st) && WEXITSTATUS(st) == 42, "a child calls, too");
	fake_init(&fake, NULL, NULL);
	ok(shim_call(&fake) == 0, "and so does its parent");
}

static void
test_dump(void)
{
	char buf[4096];
	ssize_t n;
	int p[2];

	if (pipe(p) == -1)
		return;
	shim_kind->dump(p[1]);
	(void)close(p[1]);
	n = read(p[0], buf, sizeof(buf) - 1);
	(void)close(p[0]);
	buf[n > 0 ? n : 0] = '\0';
	ok(strstr(buf, "hread 0x") != NULL ||
	    strstr(buf, "no way") != NULL, "the stacks are written");
}

static void
test_signals(void)
{
	call_app("handlers", NULL, NULL);
	(void)shim_call(&fake);
	ok(strstr(fake.sink.p, "SIG_") != NULL, "INT is not Python's: %s",
	    fake.sink.p);
	shim_kind->enter(NULL);
	ok(shim_kind->signals() == 0, "no signals: go on");
	(void)raise(SIGUSR1);
	ok(shim_kind->signals() == 0 && strstr(shim_log.p,
	    "ValueError: in a handler"), "a handler that fails is logged");
	(void)raise(SIGUSR2);
	ok(shim_kind->signals() == -1, "a handler that exits: leave");
	ok(shim_kind->signals() == 0, "once");
	shim_kind->leave(NULL);
}

static const struct {
	const char	*name, *text;
	int		 rv;
	const char	*says;		/* settings, or why */
} confs[] = {
	{ "values", "workers = 3\nbind = ['a:1', 'unix:/x']\nreload = True\n"
	    "timeout = None\nother = 2.5\nuser = 'me'\n", 0, "workers=3\n"
	    "bind=a:1,unix:/x\nreload=true\ntimeout=(unset)\nuser=me\n" },
	{ "definition order", "user = 'a'\nworkers = 1\nuser = 'b'\n", 0,
	    "user=b\nworkers=1\n" },
	{ "dict", "secure_scheme_headers = {'A': 'b', 'C': 'd'}\n", 0,
	    "secure_scheme_headers=A:b,C:d\n" },
	{ "hooks", "def on_starting(server):\n  pass\n"
	    "pre_fork = lambda a, b: 0\ndef post_request(w, r, e): pass\n", 0,
	    "on_starting=<on_starting()>\npre_fork=<<lambda>()>\n"
	    "post_request=<post_request()>\n" },
	{ "hook by name", "pre_fork = 'os.path.relpath'\n", 0,
	    "pre_fork=<relpath()>\n" },
	{ "hook by bad name", "pre_fork = 'os.path.nothing'\n", -1,
	    "AttributeError" },
	{ "hook arity", "pre_fork = lambda s: 0\n", -1, "Invalid value for "
	    "pre_fork: <function <lambda>" },
	{ "hook is no function", "pre_fork = 5\n", 0, "pre_fork=5\n" },
	{ "class", "class worker_class: pass\n", 0,
	    "worker_class=__config__.worker_class\n" },
	{ "path", "import pathlib\npidfile = pathlib.Path('/run/x')\n", 0,
	    "pidfile=/run/x\n" },
	{ "module named like a setting", "import types\n"
	    "user = types.ModuleType('user')\n", 0, "" },
	{ "function named like a setting", "def user(): pass\n", 0, "" },
	{ "its own name and file", "import os\nworkers = 1 if __name__ == "
	    "'__config__' and os.path.isfile(__file__) else 2\n", 0,
	    "workers=1\n" },
	{ "float", "timeout = 2.5\n", -1,
	    "Invalid value for timeout: 2.5 (gunicorn.conf.py): must be a "
	    "whole "
	    "number" },
	{ "bytes", "user = b'me'\n", -1, "no setting has" },
	{ "list of numbers", "bind = [1]\n", -1, "a list of strings" },
	{ "refused", "user = 'refuse'\n", -1,
	    "Invalid value for user: 'refuse' (gunicorn.conf.py): this is "
	    "refused" },
	{ "NUL", "user = 'a\\0b'\n", -1, "NUL" },
	{ "surrogate", "user = '\\ud800'\n", -1, "Unicode" },
	{ "raises", "workers = 1\n1/0\n", -1, "ZeroDivisionError" },
	{ "traceback", "def f():\n  1/0\nf()\n", -1, "in f\n" },
	{ "exits", "raise SystemExit(3)\n", -1, "SystemExit" },
	{ "syntax", "workers = = 1\n", -1, "SyntaxError" },
};

static void
test_confs(void)
{
	static struct text conf;
	char dir[] = "/tmp/wsgi-conf-XXXXXX", path[64];
	const char *got;
	char *why;
	FILE *f;
	size_t i;
	int rv;

	if (mkdtemp(dir) == NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s/gunicorn.conf.py", dir);
	for (i = 0; i < sizeof(confs) / sizeof(*confs); i++) {
		if ((f = fopen(path, "w")) == NULL)
			return;
		(void)fputs(confs[i].text, f);
		(void)fclose(f);
		text_clear(&conf);
		why = NULL;
		rv = shim_kind->configure(path, &conf, &why);
		got = rv == 0 ? conf.p : why;
		if (!ok(rv == confs[i].rv && got != NULL && (rv == 0 ?
		    strcmp(got, confs[i].says) == 0 :
		    strstr(got, confs[i].says) != NULL), "conf: %s",
		    confs[i].name))
			printf("# %d %s\n", rv, got != NULL ? got : "NULL");
		free(why);
	}
	(void)unlink(path);
	(void)rmdir(dir);
	why = NULL;
	ok(shim_kind->configure(path, &conf, &why) == -1 &&
	    strstr(why, "Failed to read config file: /tmp") != NULL,
	    "conf: no such file");
	free(why);
	text_clear(&conf);
	ok(shim_kind->configure("python:confmod", &conf, &why) == 0 &&
	    strcmp(conf.p, "workers=7\n") == 0, "conf: python:MODULE");
	ok(shim_kind->configure("python:nothere", &conf, &why) == -1 &&
	    strstr(why, "ModuleNotFoundError") != NULL,
	    "conf: no such module");
	free(why);
}

static const struct app_setting settings[] = {
	{ "threads", "4", "default", "in force" },
	{ "raw_env", "[A=...]", "x.ini:2", "left to the host" },
};

int
main(int argc, char **argv)
{
	static const char *paths[] = { NULL, NULL };
	const char *top = getenv("top_srcdir");
	static char apps[4096];

	(void)argv;
	(void)unsetenv("VIRTUAL_ENV");
	(void)snprintf(apps, sizeof(apps), "%s/t/apps", top ? top : ".");
	if (chdir(apps) == -1)
		return 99;
	(void)setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	paths[0] = ".";
	shim_config.threads = 4;
	shim_config.pythonpath = paths;
	shim_config.server_software = "gangway/test";
	shim_config.settings = settings;
	shim_config.nsettings = 2;
	shim_config.host = "fastcgi";
	if (!ok(shim_open() == 0, "the module starts"))
		return tap_done();
	test_loads();
	test_calls();
	test_environ();
	test_names();
	test_bodies();
	test_threads();
	test_leaks();
	test_fork();
	test_dump();
	test_signals();
	test_confs();
	if (argc > 1)
		show_speed();
	shim_kind->stop();
	ok(1, "the interpreter stops");
	return tap_done();
}
