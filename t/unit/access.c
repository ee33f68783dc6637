/* Formats in, lines out. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/access.h"
#include "t/lib/tap.h"

#define S(s)	{ (s), sizeof(s) - 1 }

static const struct var vars[] = {
	{ S("REQUEST_METHOD"), S("POST"), VAR_REQUEST_METHOD },
	{ S("RAW_URI"), S("/a%20b?q=1"), VAR_RAW_URI },
	{ S("PATH_INFO"), S("/a b"), VAR_PATH_INFO },
	{ S("QUERY_STRING"), S("q=1"), VAR_QUERY_STRING },
	{ S("SERVER_PROTOCOL"), S("HTTP/1.1"), VAR_SERVER_PROTOCOL },
	{ S("REMOTE_ADDR"), S("192.0.2.7"), VAR_REMOTE_ADDR },
	{ S("CONTENT_TYPE"), S("text/x"), VAR_CONTENT_TYPE },
	{ S("CONTENT_LENGTH"), S("12"), VAR_CONTENT_LENGTH },
	{ S("HTTP_USER_AGENT"), S("a\"b\\"), VAR_OTHER },
	{ S("HTTP_HOST"), S("h:80"), VAR_OTHER },
	{ S("HTTP_AUTHORIZATION"), S("Basic dXNlcjpwYTpzcw=="), VAR_OTHER },
	{ S("HTTP_X_EVIL"), S("a\r\nb\x1b[2J\x7f\t\x80\xc3\xa4\xc2\x9b"
	    "\xe2\x80\xa8\xf0\x9f\x98\x80\xed\xa0\x80"), VAR_OTHER },
	{ S("HTTP_EMPTY"), S(""), VAR_OTHER },
	{ S("SECRET_Thing"), S("s"), VAR_OTHER },
};
static const struct header headers[] = {
	{ S("Content-Type"), S("text/html") }, { S("X-Id"), S("7\n8") },
};
static const struct access_facts facts = {
	.vars = vars, .nvars = sizeof(vars) / sizeof(vars[0]),
	.status = S("201 Created"), .headers = headers, .nheaders = 2,
	.sent = 1234, .took_us = 3004005
};
static const struct access_facts nothing = { .status = S("") };

static const struct {
	const char	*format, *line, *empty;
} lines[] = {
	{ "", "", "" },
	{ "text", "text", "text" },
	{ "100%% %%(h)s", "100% %(h)s", "100% %(h)s" },
	{ "%(h)s %(l)s %(u)s", "192.0.2.7 - user", "- - -" },
	{ "\"%(r)s\" %(s)s %(b)s", "\"POST /a%20b?q=1 HTTP/1.1\" 201 1234",
	    "\"- - -\" - 0" },
	{ "%(m)s %(U)s %(q)s %(H)s %(B)s", "POST /a b q=1 HTTP/1.1 1234",
	    "- - - - 0" },
	{ "\"%(f)s\" \"%(a)s\"", "\"-\" \"a\\\"b\\\\\"", "\"-\" \"-\"" },
	{ "%(T)s %(M)s %(D)s %(L)s", "3 3004 3004005 3.004005",
	    "0 0 0 0.000000" },
	{ "%(T)d", "3", "0" },
	{ "%({host}i)s %({HOST}i)s", "h:80 h:80", "- -" },
	{ "%({User-Agent}i)s", "a\\\"b\\\\", "-" },
	{ "%({content-type}i)s %({Content-Length}i)s", "text/x 12", "- -" },
	{ "%({empty}i)s %({missing}i)s", "- -", "- -" },
	{ "%({content-type}o)s %({server}o)s", "text/html -", "- -" },
	{ "%({x-id}o)s", "7\\x0a8", "-" },
	{ "%({REMOTE_ADDR}e)s %({secret_thing}e)s", "192.0.2.7 s", "- -" },
	{ "%({x-evil}i)s", "a\\x0d\\x0ab\\x1b[2J\\x7f\\x09\\x80\xc3\xa4"
	    "\\xc2\\x9b\\xe2\\x80\\xa8\xf0\x9f\x98\x80\\xed\\xa0\\x80", "-" },
	{ "[%(h)15s]", "[      192.0.2.7]", "[              -]" },
	{ "[%(h)-15s]", "[192.0.2.7      ]", "[-              ]" },
	{ "[%(h)3s]", "[192.0.2.7]", "[  -]" },
	{ "[%(h).5s]", "[192.0]", "[-]" },
	{ "[%(h)8.5s]", "[   192.0]", "[       -]" },
	{ "[%(h).0s]", "[]", "[]" },
	{ "[%(a).2s]", "[a]", "[-]" },
	{ "[%({x-evil}i).7s]", "[a\\x0d]", "[-]" },
	{ "%(h)s%(h)s", "192.0.2.7192.0.2.7", "--" },
};

static const struct {
	const char	*format, *word;
} refused[] = {
	{ "%(z)s", "%(z)s" }, { "%(hh)s", "%(hh)s" }, { "%()s", "%()s" },
	{ "%({host}x)s", "{host}x" }, { "%({}i)s", "{}i" },
	{ "%({host)s", "{host" }, { "%s", "'s'" }, { "%", "''" },
	{ "x%(h", "'(h'" }, { "%(h)", "(h)" }, { "%(h)x", "(h)x" },
	{ "%(h)10", "(h)10" }, { "%(h)*s", "(h)*s" },
	{ "%(h)99999999999s", "1000" }, { "%(h).1001s", "1000" },
};

static void
test_lines(void)
{
	struct access_format *f;
	char out[512], *why;
	size_t i, n, m;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		why = NULL;
		f = access_compile(lines[i].format, &why);
		if (!ok(f != NULL, "compiled: %s", lines[i].format)) {
			printf("# %s\n", why);
			free(why);
			continue;
		}
		n = access_line(f, &facts, out, sizeof(out));
		if (!ok(n == strlen(lines[i].line) + 1 && out[n - 1] == '\n' &&
		    memcmp(out, lines[i].line, n - 1) == 0, "line: %s",
		    lines[i].format))
			printf("# %.*s", (int)n, out);
		m = access_line(f, &nothing, out, sizeof(out));
		if (!ok(m == strlen(lines[i].empty) + 1 && out[m - 1] == '\n' &&
		    memcmp(out, lines[i].empty, m - 1) == 0, "empty: %s",
		    lines[i].format))
			printf("# %.*s", (int)m, out);
		access_free(f);
	}
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		why = NULL;
		f = access_compile(refused[i].format, &why);
		if (!ok(f == NULL && why != NULL &&
		    strstr(why, refused[i].word) != NULL, "refused: %s",
		    refused[i].format))
			printf("# %s\n", why);
		access_free(f);
		free(why);
	}
	access_free(NULL);
}

/* At every size of the buffer a line is one line, and inside it. */
static void
test_cut(void)
{
	struct access_format *f;
	char *why = NULL, *out;
	size_t cap, n;
	bool good = true;

	f = access_compile("%(h)-12s %(t)s \"%(r)s\" %({x-evil}i)20s %(L)s"
	    " %(p)s \"%(a)9s\"", &why);
	for (cap = 0; cap < 200; cap++) {
		if ((out = malloc(cap ? cap : 1)) == NULL)
			abort();
		n = access_line(f, &facts, out, cap);
		good = good && n <= cap && (cap == 0 ? n == 0 :
		    memchr(out, '\n', n) == out + n - 1);
		free(out);
	}
	ok(good, "cut at every length");
	access_free(f);
}

static void
test_user(const char *authorization, const char *user)
{
	struct var v = { S("HTTP_AUTHORIZATION"), { authorization,
	    strlen(authorization) }, VAR_OTHER };
	struct access_facts f = { .vars = &v, .nvars = 1 };
	struct access_format *format;
	char out[512], *why;
	size_t n;

	format = access_compile("%(u)s", &why);
	n = access_line(format, &f, out, sizeof(out));
	if (!ok(n == strlen(user) + 1 && memcmp(out, user, n - 1) == 0,
	    "user of '%s'", authorization))
		printf("# %.*s", (int)n, out);
	access_free(format);
}

static void
test_time(void)
{
	struct access_format *f;
	char out[512], want[64], *why, zone[8];
	time_t before, after;
	struct tm tm;
	size_t n;

	f = access_compile("%(t)s %(p)s", &why);
	setenv("LC_ALL", "C", 1);
	do {
		before = time(NULL);
		n = access_line(f, &facts, out, sizeof(out));
		after = time(NULL);
	} while (before != after);
	localtime_r(&before, &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	strftime(want, sizeof(want), "[%d/%b/%Y:%H:%M:%S %z] <", &tm);
	n = n < sizeof(out) ? n : sizeof(out) - 1;
	out[n] = '\0';
	ok(strncmp(out, want, strlen(want)) == 0, "time: %s", want);
	ok(strtol(out + strlen(want), NULL, 10) == getpid(), "pid");
	access_free(f);
}

static off_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void
test_file(void)
{
	char dir[] = "/tmp/access.XXXXXX", path[64], old[64];

	if (mkdtemp(dir) == NULL)
		abort();
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	(void)snprintf(old, sizeof(old), "%s/log.1", dir);
	ok(!access_enabled(), "no log at first");
	access_write("x\n", 2);
	ok(access_open(path) == 0 && access_enabled(), "open");
	access_write("one\n", 4);
	ok(size_of(path) == 4, "a line");
	ok(rename(path, old) == 0 && access_reopen() == 0, "renamed");
	access_write("two\n", 4);
	access_write("three\n", 6);
	ok(size_of(old) == 4 && size_of(path) == 10, "open again");
	ok(access_open("/nonexistent/log") == -1 && access_enabled(),
	    "a bad name keeps the old log");
	access_write("4\n", 2);
	ok(size_of(path) == 12, "which works");
	ok(access_open(NULL) == 0 && !access_enabled(), "none");
	ok(access_open("-") == 0 && access_enabled() && access_reopen() == 0,
	    "stdout");
	ok(access_open(NULL) == 0, "closed");
	unlink(path);
	unlink(old);
	rmdir(dir);
}

int
main(void)
{
	test_lines();
	test_cut();
	test_user("Basic dXNlcjpwYTpzcw==", "user");
	test_user("basic  dXNlcjpw", "user");
	test_user("Basic dXNlcg==", "-");
	test_user("Basic OnB3", "-");
	test_user("Basic", "-");
	test_user("Basic ", "-");
	test_user("Basic !!!!", "-");
	test_user("Bearer dXNlcjpw", "-");
	test_user("Basic YSJiCmM6cA==", "a\\\"b\\x0ac");
	test_user("", "-");
	test_time();
	test_file();
	return tap_done();
}
