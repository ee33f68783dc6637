/* Native applications, with this test in the place of the server. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/native/native.h"
#include "t/lib/tap.h"

enum { CAP = 256 * 1024 };

/* What the server was told during one request. */
struct record {
	struct app_request rq;
	const char	*input;
	size_t		 left;
	int		 read_errno;	/* peek() fails with it */
	int		 gone_after;	/* body() calls, -1: never */
	bool		 slow;		/* body() says SEND_FULL */
	char		 status[64];
	char		 head[70000];
	int64_t		 length;
	char		*body;
	size_t		 nbody;
	int		 heads, bodies, lasts, drains, after_last;
	char		 error[256];
};

static _Thread_local char logged[512];

static struct record *
of(const struct app_request *rq)
{
	return rq->app;
}

static ssize_t
fake_peek(struct app_request *rq, const char **p)
{
	struct record *r = of(rq);

	if (r->read_errno != 0) {
		errno = r->read_errno;
		return -1;
	}
	*p = r->input;
	return (ssize_t)(r->left > 20000 ? 20000 : r->left);
}

static void
fake_consume(struct app_request *rq, size_t n)
{
	of(rq)->input += n;
	of(rq)->left -= n;
}

static int
fake_head(struct app_request *rq, const struct reply *reply, const char **why)
{
	struct record *r = of(rq);
	size_t i, n = 0;

	(void)why;
	r->heads++;
	r->length = reply->length;
	snprintf(r->status, sizeof(r->status), "%.*s", (int)reply->status.n,
	    reply->status.p);
	r->head[0] = '\0';
	for (i = 0; i < reply->nheaders; i++)
		n += (size_t)snprintf(r->head + n, sizeof(r->head) - n,
		    "%.*s=%.*s;", (int)reply->headers[i].name.n,
		    reply->headers[i].name.p, (int)reply->headers[i].value.n,
		    reply->headers[i].value.p);
	return 0;
}

static enum send_result
fake_body(struct app_request *rq, const void *p, size_t n, unsigned int flags)
{
	struct record *r = of(rq);

	if (r->lasts > 0)
		r->after_last++;
	if (r->gone_after >= 0 && r->bodies >= r->gone_after)
		return SEND_GONE;
	r->bodies++;
	r->lasts += (flags & BODY_LAST) != 0;
	memcpy(r->body + r->nbody, p, n);
	r->nbody += n;
	return r->slow ? SEND_FULL : SEND_OK;
}

static enum send_result
fake_drain(struct app_request *rq)
{
	of(rq)->drains++;
	return SEND_OK;
}

static void
fake_error(struct app_request *rq, const char *p, size_t n)
{
	struct record *r = of(rq);
	size_t at = strlen(r->error);

	snprintf(r->error + at, sizeof(r->error) - at, "%.*s", (int)n, p);
}

static void __attribute__((format(printf, 2, 3)))
fake_log(enum app_log level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(logged, sizeof(logged), fmt, ap);
	va_end(ap);
}

static const struct app_server server = {
	.abi = APP_ABI, .peek = fake_peek, .consume = fake_consume,
	.head = fake_head, .body = fake_body, .drain = fake_drain,
	.error = fake_error, .log = fake_log,
};

static char spec[2048];
static struct app_config config = {
	.spec = spec, .threads = 4, .server_software = "gangway/test",
};

static int
load(const char *symbol)
{
	const char *top = getenv("top_builddir");

	snprintf(spec, sizeof(spec),
	    "native:%s/t/apps/.libs/native_test.so%s%s", top ? top : ".",
	    *symbol ? ":" : "", symbol);
	logged[0] = '\0';
	return app_native.load();
}

static int
serve(struct record *r, const char *method, const char *query,
    const char *input, size_t n)
{
	const struct var vars[] = {
		{ { "REQUEST_METHOD", 14 }, { method, strlen(method) },
		    VAR_REQUEST_METHOD },
		{ { "PATH_INFO", 9 }, { NULL, 0 }, VAR_PATH_INFO },
		{ { "QUERY_STRING", 12 }, { query, strlen(query) },
		    VAR_QUERY_STRING },
		{ { "HTTP_ACCEPT", 11 }, { "*/*", 3 }, VAR_OTHER },
	};
	char *body = r->body;

	r->rq = (struct app_request){ .vars = vars, .nvars = 4,
	    .body_length = n, .has_body = n > 0, .https = true, .app = r };
	r->input = input;
	r->left = n;
	logged[0] = '\0';
	n = (size_t)app_native.call(&r->rq);
	r->body = body;
	r->body[r->nbody] = '\0';
	return (int)n;
}

static struct record *
record_new(void)
{
	struct record *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->body = malloc(CAP)) == NULL)
		abort();
	r->gone_after = -1;
	return r;
}

static void
record_free(struct record *r)
{
	free(r->body);
	free(r);
}

static const struct row {
	const char	*name, *symbol, *method, *query, *input;
	int		 ret;
	const char	*status, *head, *body;
	int64_t		 length;
	int		 bodies;
	const char	*log, *error;
} rows[] = {
	{ "parameters", "", "GET", "a=1", "", 0, "201 Made",
	    "Content-Type=text/plain;X-Role=1;", "q=a=1 none=null", 15, 1,
	    "", "" },
	{ "environment", "env", "POST", "", "xyz", 0, "200 OK",
	    "Content-Type=text/plain;",
	    "REQUEST_METHOD=POST\nPATH_INFO=\nQUERY_STRING=\n"
	    "HTTP_ACCEPT=*/*\nGATEWAY_INTERFACE=CGI/1.1\n"
	    "SERVER_SOFTWARE=gangway/test\nHTTPS=on\nCONTENT_LENGTH=3\n",
	    142, 1, "", "" },
	{ "GetStr", "by_str", "POST", "", "some body", 0, "200 OK",
	    "Content-Type=text/plain;", "some body!", 10, 1, "", "" },
	{ "GetLine", "by_line", "POST", "", "one\ntwo\nend", 0, "200 OK",
	    "Content-Type=text/plain;", "[one\n][two\n][end]", 17, 1, "", "" },
	{ "GetChar, UnGetChar", "by_char", "POST", "", "banana", 0, "200 OK",
	    "Content-Type=text/plain;", "bAnAnA", 6, 1, "", "" },
	{ "flush", "flushes", "GET", "", "", 0, "200 OK",
	    "Content-Type=text/plain;", "onetwo", -1, 2, "", "" },
	{ "closed by the application", "closes", "GET", "", "", 0, "200 OK",
	    "Content-Type=text/plain;", "done", 4, 1,
	    "native: application status 3", "" },
	{ "error stream", "errors", "GET", "", "", 0, "200 OK",
	    "Content-Type=text/plain;", "fine", 4, 1, "",
	    "warning 1\nwarning 2\n" },
	{ "Location is 302", "redirect", "GET", "", "", 0, "302 Found",
	    "Location=/there;", "", 0, 1, "", "" },
	{ "its own Content-Length", "with_length", "GET", "", "", 0, "200 OK",
	    "Content-Type=a/b;Content-Length=4;", "body", -1, 1, "", "" },
	{ "no body", "only_head", "GET", "", "", 0, "200 OK",
	    "Content-Type=text/plain;", "", 0, 1, "", "" },
	{ "no body to HEAD", "only_head", "HEAD", "", "", 0, "200 OK",
	    "Content-Type=text/plain;", "", -1, 1, "", "" },
	{ "silence", "silent", "GET", "", "", -1, "", "", "", 0, 0,
	    "native: not a CGI response: no output", "" },
	{ "no head", "no_head", "GET", "", "", -1, "", "", "", 0, 0,
	    "native: not a CGI response: a line is not NAME: VALUE", "" },
	{ "half a head", "half_head", "GET", "", "", -1, "", "", "", 0, 0,
	    "native: not a CGI response: the head does not end", "" },
	{ "head over the limit", "long_head", "GET", "65537", "", -1, "", "",
	    "", 0, 0, "native: not a CGI response: the head does not end", "" },
	{ "head far over the limit", "long_head", "GET", "200000", "", -1, "",
	    "", "", 0, 0, "native: not a CGI response: the head does not end",
	    "" },
};

static void
test_rows(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *w = &rows[i];
		struct record *r = record_new();
		int good, ret;

		good = load(w->symbol) == APP_OK;
		ret = serve(r, w->method, w->query, w->input,
		    strlen(w->input));
		good = good && ret == w->ret && r->length == w->length &&
		    strcmp(r->status, w->status) == 0 &&
		    strcmp(r->head, w->head) == 0 &&
		    strcmp(r->body, w->body) == 0 && r->bodies == w->bodies &&
		    r->lasts == (w->ret == 0) && r->after_last == 0 &&
		    strcmp(logged, w->log) == 0 &&
		    strcmp(r->error, w->error) == 0;
		if (!ok(good, "%s", w->name))
			printf("# %d '%s' '%s' length %lld bodies %d "
			    "lasts %d log '%s' error '%s'\n# %s\n", ret,
			    r->status, r->head, (long long)r->length,
			    r->bodies, r->lasts, logged, r->error, r->body);
		record_free(r);
	}
}

static void
test_large(void)
{
	struct record *r = record_new();
	int ret;

	(void)load("large");
	r->slow = true;
	ret = serve(r, "GET", "", "", 0);
	ok(ret == 0 && r->nbody == 100000 && r->length == -1 &&
	    r->bodies == 2 && r->lasts == 1,
	    "a long response goes in pieces (%zu bytes in %d)", r->nbody,
	    r->bodies);
	ok(r->drains == 1, "a slow client is waited for, but not at the end");
	record_free(r);

	r = record_new();
	r->gone_after = 0;
	ret = serve(r, "GET", "", "", 0);
	ok(ret == 0 && r->nbody == 0 &&
	    strcmp(logged, "native: application status 7") == 0,
	    "a write fails once the client is gone");
	record_free(r);
}

static void
test_limits(void)
{
	struct record *r = record_new();
	char *big = malloc(50000);
	int ret;

	if (big == NULL)
		abort();
	memset(big, 'a', 50000);
	(void)load("by_char");
	ret = serve(r, "POST", "", big, 50000);
	ok(ret == 0 && r->nbody == 50000 && r->body[49999] == 'A',
	    "a body over several buffers");
	record_free(r);
	free(big);

	(void)load("long_head");
	r = record_new();
	ret = serve(r, "GET", "65536", "", 0);
	ok(ret == 0 && strcmp(r->body, "body") == 0, "a head at the limit");
	record_free(r);

	(void)load("read_error");
	r = record_new();
	r->read_errno = EIO;
	ret = serve(r, "POST", "", "x", 1);
	ok(ret == 0 && strcmp(r->body, "error 5") == 0,
	    "an error of reading the body is told");
	record_free(r);
}

static void
test_nul(void)
{
	const struct var vars[] = {
		{ { "PATH_INFO", 9 }, { "/a\0b", 4 }, VAR_PATH_INFO },
	};
	struct record *r = record_new();

	(void)load("env");
	r->rq = (struct app_request){ .vars = vars, .nvars = 1, .app = r };
	ok(app_native.call(&r->rq) == 0 &&
	    strcmp(r->status, "400 Bad Request") == 0 && r->lasts == 1,
	    "a NUL in a variable is refused");
	record_free(r);
}

static void
test_load(void)
{
	ok(load("no_such") == APP_LOAD && strstr(logged, "no_such") != NULL,
	    "a function that is not there");
	snprintf(spec, sizeof(spec), "native:no-such.so");
	ok(app_native.load() == APP_BOOT &&
	    strstr(logged, "./no-such.so") != NULL,
	    "a file that is not there, looked for in this directory");
}

static void *
caller(void *arg)
{
	void *thread = app_native.thread_new();
	struct record *r = record_new();
	int *bad = arg, i;

	for (i = 0; i < 200; i++) {
		char query[32], want[64];

		r->nbody = 0;
		r->lasts = 0;
		snprintf(query, sizeof(query), "%p-%d", (void *)r, i);
		snprintf(want, sizeof(want), "q=%s none=null", query);
		*bad += serve(r, "GET", query, "", 0) != 0 ||
		    strcmp(r->body, want) != 0;
	}
	record_free(r);
	app_native.thread_free(thread);
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t[4];
	int bad[4] = { 0 }, i;

	(void)load("app");
	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, caller, &bad[i]) != 0)
			abort();
	for (i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	ok(bad[0] + bad[1] + bad[2] + bad[3] == 0,
	    "four threads, each with its own answers");
}

int
main(void)
{
	if (!ok(app_native.start(&server, &config) == 0, "start"))
		return tap_done();
	test_rows();
	test_large();
	test_limits();
	test_nul();
	test_load();
	test_threads();
	app_native.stop();
	return tap_done();
}
