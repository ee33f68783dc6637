#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t/unit/shim_server.h"

struct text shim_log;
const struct app_kind *shim_kind;
struct app_config shim_config;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
text_put(struct text *t, const char *p, size_t n)
{
	if (n > sizeof(t->p) - 1 - t->n)
		n = sizeof(t->p) - 1 - t->n;
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

void
text_clear(struct text *t)
{
	t->n = 0;
	t->p[0] = '\0';
}

static struct fake *
fake_of(struct app_request *rq)
{
	return (struct fake *)(void *)rq;
}

static ssize_t
fake_peek(struct app_request *rq, const char **p)
{
	struct fake *f = fake_of(rq);
	size_t left = (size_t)rq->body_length - f->taken;

	if (f->peek_fails != 0) {
		errno = f->peek_fails;
		return -1;
	}
	*p = f->body + f->taken;
	return (ssize_t)(left < f->window ? left : f->window);
}

static void
fake_consume(struct app_request *rq, size_t n)
{
	fake_of(rq)->taken += n;
}

static bool
is_clean(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static int
fake_head(struct app_request *rq, const struct reply *r, const char **why)
{
	struct fake *f = fake_of(rq);
	size_t i;

	f->heads++;
	for (i = 0; i < r->nheaders; i++)
		if (!is_clean(r->headers[i].name) ||
		    !is_clean(r->headers[i].value)) {
			*why = "a header has a control character";
			return -1;
		}
	if (!is_clean(r->status)) {
		*why = "the status has a control character";
		return -1;
	}
	text_clear(&f->head);
	text_put(&f->head, r->status.p, r->status.n);
	for (i = 0; i < r->nheaders; i++) {
		text_put(&f->head, "\n", 1);
		text_put(&f->head, r->headers[i].name.p, r->headers[i].name.n);
		text_put(&f->head, ": ", 2);
		text_put(&f->head, r->headers[i].value.p,
		    r->headers[i].value.n);
	}
	f->length = r->length;
	return 0;
}

static bool
fake_head_sent(const struct app_request *rq)
{
	return ((const struct fake *)(const void *)rq)->sent;
}

/* A body that takes time: as long as the other thread needs to be refused,
 * which a busy machine may delay, and on, for whoever ends the call. */
static void
await_refusal(void)
{
	bool refused = false;
	int i;

	for (i = 0; i < 2000 && !refused; i++) {
		(void)usleep(10 * 1000);
		(void)pthread_mutex_lock(&lock);
		refused = strstr(shim_log.p, "refused") != NULL;
		(void)pthread_mutex_unlock(&lock);
	}
	(void)usleep(200 * 1000);
}

static enum send_result
fake_body(struct app_request *rq, const void *p, size_t n, unsigned int flags)
{
	struct fake *f = fake_of(rq);

	f->bodies++;
	if (f->bodies == f->gone_at)
		return SEND_GONE;
	if (n == f->slow)
		await_refusal();
	f->sent = true;
	text_put(&f->sink, p, n);
	f->last = (flags & BODY_LAST) != 0;
	return f->bodies == f->full_at ? SEND_FULL : SEND_OK;
}

static enum send_result
fake_file(struct app_request *rq, int fd, off_t offset, uint64_t length)
{
	struct fake *f = fake_of(rq);
	char buf[4096];
	ssize_t n;

	f->files++;
	f->sent = true;
	if (f->gone_at == 1)
		return SEND_GONE;
	if ((n = pread(fd, buf, length < sizeof(buf) ? length : sizeof(buf),
	    offset)) > 0)
		text_put(&f->sink, buf, (size_t)n);
	return SEND_FULL;
}

static enum send_result
fake_drain(struct app_request *rq)
{
	fake_of(rq)->drains++;
	return SEND_OK;
}

static void
fake_error(struct app_request *rq, const char *p, size_t n)
{
	text_put(&fake_of(rq)->errors, p, n);
	text_put(&fake_of(rq)->errors, ";", 1);
}

static void	 fake_log(enum app_log, const char *, ...)
		    __attribute__((format(printf, 2, 3)));

static void
fake_log(enum app_log level, const char *fmt, ...)
{
	static const char *const names[] = { "DEBUG ", "INFO ", "WARNING ",
	    "ERROR ", "CRITICAL " };
	char line[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)pthread_mutex_lock(&lock);
	text_put(&shim_log, names[level], strlen(names[level]));
	text_put(&shim_log, line, strlen(line));
	text_put(&shim_log, "\n", 1);
	(void)pthread_mutex_unlock(&lock);
}

/* The settings of these tests, written down as they are set. */
static int
fake_set(void *conf, const char *name, const char *value, char **why)
{
	char line[512];

	if (value != NULL && strcmp(value, "refuse") == 0) {
		*why = strdup("this is refused");
		return -1;
	}
	(void)snprintf(line, sizeof(line), "%s=%s\n", name,
	    value != NULL ? value : "(unset)");
	text_put(conf, line, strlen(line));
	return 0;
}

static int
fake_set_list(void *conf, const char *name, const char *const *items, size_t n,
    char **why)
{
	size_t i;

	(void)why;
	text_put(conf, name, strlen(name));
	for (i = 0; i < n; i++) {
		text_put(conf, i == 0 ? "=" : ",", 1);
		text_put(conf, items[i], strlen(items[i]));
	}
	text_put(conf, "\n", 1);
	return 0;
}

static int
fake_type(const char *name)
{
	static const char *const names[] = { "workers", "bind", "timeout",
	    "reload", "user", "worker_class", "secure_scheme_headers",
	    "on_starting", "pre_fork", "post_request", "pidfile", "errorlog",
	    "config" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0)
			return 0;
	return -1;
}

const struct app_server shim_server = {
	.abi = APP_ABI,
	.peek = fake_peek, .consume = fake_consume,
	.head = fake_head, .head_sent = fake_head_sent,
	.body = fake_body, .file = fake_file, .drain = fake_drain,
	.error = fake_error, .log = fake_log,
	.set = fake_set, .set_list = fake_set_list, .type = fake_type,
};

void
fake_var(struct fake *f, enum var_id id, const char *name, const char *value)
{
	struct var *v = &f->vars[f->rq.nvars++];

	v->id = id;
	v->name = (struct str){ name, strlen(name) };
	v->value = (struct str){ value, strlen(value) };
}

void
fake_init(struct fake *f, const char *query, const char *body)
{
	memset(&f->rq, 0, sizeof(f->rq));
	f->window = 5;
	f->taken = 0;
	f->peek_fails = 0;
	f->slow = 0;
	f->full_at = f->gone_at = 0;
	f->heads = f->bodies = f->files = f->drains = 0;
	f->sent = f->last = false;
	f->length = -2;
	text_clear(&f->head);
	text_clear(&f->sink);
	text_clear(&f->errors);
	f->rq.vars = f->vars;
	f->body = body;
	f->rq.has_body = body != NULL;
	f->rq.body_length = body != NULL ? strlen(body) : 0;
	fake_var(f, VAR_REQUEST_METHOD, "REQUEST_METHOD",
	    body != NULL ? "POST" : "GET");
	fake_var(f, VAR_SCRIPT_NAME, "SCRIPT_NAME", "");
	fake_var(f, VAR_PATH_INFO, "PATH_INFO", "/caf\303\251");
	fake_var(f, VAR_QUERY_STRING, "QUERY_STRING",
	    query != NULL ? query : "");
	fake_var(f, VAR_RAW_URI, "RAW_URI", "/caf%C3%A9");
	fake_var(f, VAR_SERVER_PROTOCOL, "SERVER_PROTOCOL", "HTTP/1.1");
	fake_var(f, VAR_SERVER_NAME, "SERVER_NAME", "localhost");
	fake_var(f, VAR_SERVER_PORT, "SERVER_PORT", "8000");
	fake_var(f, VAR_REMOTE_ADDR, "REMOTE_ADDR", "127.0.0.1");
	fake_var(f, VAR_OTHER, "HTTP_HOST", "localhost:8000");
	fake_var(f, VAR_OTHER, "HTTP_ACCEPT", "*/*");
}

int
shim_open(void)
{
	const char *path = getenv("SHIM_MODULE"), *top;
	char built[4096];
	void *so;

	if (path == NULL) {
		top = getenv("top_builddir");
		(void)snprintf(built, sizeof(built), "%s/shim/.libs/python.so",
		    top != NULL ? top : ".");
		path = built;
	}
	if ((so = dlopen(path, RTLD_NOW | RTLD_GLOBAL)) == NULL) {
		(void)fprintf(stderr, "%s\n", dlerror());
		return -1;
	}
	if ((shim_kind = dlsym(so, "app_kind")) == NULL)
		return -1;
	return shim_kind->start(&shim_server, &shim_config);
}

int
shim_load(const char *spec)
{
	text_clear(&shim_log);
	shim_config.spec = spec;
	return shim_kind->load();
}

int
shim_call(struct fake *f)
{
	int rv;

	shim_kind->enter(NULL);
	rv = shim_kind->call(&f->rq);
	shim_kind->leave(NULL);
	return rv;
}
