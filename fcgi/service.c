#include "config.h"

#include "conf/settings.h"
#include "fcgi/clock.h"
#include "fcgi/hook.h"
#include "fcgi/log.h"
#include "fcgi/response.h"
#include "fcgi/service.h"
#include "fcgi/sink.h"

/* app.h's struct is the first member of ours. */
static struct request *
request_of(struct app_request *pub)
{
	return (struct request *)(void *)pub;
}

static void
progress(struct request *rq)
{
	atomic_store_explicit(&rq->progress_ms, clock_coarse_ms(),
	    memory_order_relaxed);
}

static ssize_t
service_peek(struct app_request *pub, const char **p)
{
	progress(request_of(pub));
	return body_peek(&request_of(pub)->body, p);
}

static void
service_consume(struct app_request *pub, size_t n)
{
	body_consume(&request_of(pub)->body, n);
}

static int
service_head(struct app_request *pub, const struct reply *r,
    const char **why)
{
	return response_head(request_of(pub), r, why);
}

static bool
service_head_sent(const struct app_request *pub)
{
	return ((const struct request *)(const void *)pub)->rs.head_sent;
}

static enum send_result
service_body(struct app_request *pub, const void *p, size_t n,
    unsigned int flags)
{
	if ((flags & BODY_LAST) == 0)
		progress(request_of(pub));
	return response_body(request_of(pub), p, n, flags);
}

static enum send_result
service_file(struct app_request *pub, int fd, off_t at, uint64_t n)
{
	progress(request_of(pub));
	return response_file(request_of(pub), fd, at, n);
}

static enum send_result
service_drain(struct app_request *pub)
{
	struct request *rq = request_of(pub);
	enum send_result r;

	/* The client's silence, which has a limit of its own. */
	atomic_store(&rq->draining, true);
	r = sink_drain(rq);
	progress(rq);
	atomic_store(&rq->draining, false);
	return r;
}

static void
service_error(struct app_request *pub, const char *p, size_t n)
{
	(void)pub;
	log_text(LOG_LEVEL_ERROR, "", p, n);
}

static void __attribute__((format(printf, 2, 3)))
service_log(enum app_log level, const char *fmt, ...)
{
	static const enum log_level levels[] = {
		[APP_DEBUG] = LOG_LEVEL_DEBUG, [APP_INFO] = LOG_LEVEL_INFO,
		[APP_WARNING] = LOG_LEVEL_WARNING,
		[APP_ERROR] = LOG_LEVEL_ERROR,
		[APP_CRITICAL] = LOG_LEVEL_CRITICAL,
	};
	va_list ap;

	va_start(ap, fmt);
	log_vline(levels[level], fmt, ap);
	va_end(ap);
}

static int
service_set(void *arg, const char *name, const char *value, char **why)
{
	struct service_conf *conf = arg;
	enum setting id = setting_find_global(name);

	if (id == SETTING_COUNT)
		return 0;	/* its file may have names of its own */
	return settings_set(conf->settings, id, value, conf->source, why);
}

static int
service_set_list(void *arg, const char *name, const char *const *items,
    size_t n, char **why)
{
	struct service_conf *conf = arg;
	enum setting id = setting_find_global(name);

	if (id == SETTING_COUNT)
		return 0;
	return settings_set_list(conf->settings, id, items, n, conf->source,
	    why);
}

static int
service_type(const char *name)
{
	enum setting id = setting_find_global(name);

	return id == SETTING_COUNT ? -1 : (int)setting_info(id)->type;
}

static bool
service_value(const void *arg, size_t i, struct app_value *v)
{
	const struct settings *s = arg;
	enum setting id = (enum setting)i;
	const struct setting_info *info;

	if (i >= SETTING_COUNT)
		return false;
	info = setting_info(id);
	*v = (struct app_value){ .name = info->name, .type = APP_UNSET };
	if (info->type == TYPE_LIST || info->type == TYPE_DICT) {
		v->type = info->type == TYPE_LIST ? APP_LIST : APP_PAIRS;
		v->items = settings_list(s, id, &v->nitems);
	} else if (settings_has(s, id) && (info->type == TYPE_INT ||
	    info->type == TYPE_BOOL)) {
		v->type = info->type == TYPE_INT ? APP_NUMBER : APP_BOOL;
		v->number = settings_int(s, id);
	} else if (settings_has(s, id)) {
		v->type = APP_TEXT;
		v->text = settings_string(s, id);
	}
	return true;
}

static uint64_t
service_sent(const struct app_request *pub)
{
	return ((const struct request *)(const void *)pub)->rs.sent;
}

const struct app_server app_server = {
	.abi = APP_ABI,
	.peek = service_peek, .consume = service_consume,
	.head = service_head, .head_sent = service_head_sent,
	.body = service_body, .file = service_file, .drain = service_drain,
	.error = service_error, .log = service_log,
	.set = service_set, .set_list = service_set_list,
	.type = service_type, .value = service_value,
	.requests = hook_requests, .sent = service_sent,
	.interrupted = hook_interrupted,
};
