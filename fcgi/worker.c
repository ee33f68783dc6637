#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "conf/hosting.h"
#include "conf/print.h"
#include "conf/settings.h"
#include "fcgi/access.h"
#include "fcgi/acceptor.h"
#include "fcgi/chain.h"
#include "fcgi/child.h"
#include "fcgi/clock.h"
#include "fcgi/connections.h"
#include "fcgi/dispatch.h"
#include "fcgi/handoff.h"
#include "fcgi/hook.h"
#include "fcgi/log.h"
#include "fcgi/loop.h"
#include "fcgi/queue.h"
#include "fcgi/response.h"
#include "fcgi/rights.h"
#include "fcgi/scoreboard.h"
#include "fcgi/service.h"
#include "fcgi/trust.h"
#include "fcgi/wire/http_text.h"
#include "fcgi/worker.h"

enum {
	PARENT_MS = 250,	/* how often we look for our manager */
	CLOSING_MS = 1000,	/* for one more request at the full stop */
	HOOK_MS = 1000,		/* for the main thread to begin a hook */
	ORPHAN_MS = 500,	/* for what runs when the manager has died */
	ORPHAN_HOOK_MS = 200,	/* for worker_exit after that */
	YOUNG_MS = 5000		/* no memory from the start: so be it */
};
#define NEVER_MS	(UINT64_MAX / 2)

/* A worker while it serves. */
struct serving {
	const struct worker	*w;
	struct net		 net;
	struct place		*place;
	struct access_format	*format;
	unsigned int		 threads;
	uint64_t		 graceful_ms;
	uint64_t		 leave_by_ms;	/* 0: not leaving */
	uint64_t		 ready_ms;
	uint64_t		 looked_ms;
	uint64_t		 hook_by_ms;	/* 0: no hook is awaited */
	bool			 retiring, orphan;
	bool			 handlers;	/* the application has some */
};

/* What signals asked for; handlers do nothing else. They run on the main
 * thread, or on another where that has one to see to already; who looks is
 * whoever leads. */
static atomic_bool want_leave, want_quit, want_reopen, want_abort;
static _Atomic(uv_async_t *) wake;
static const struct app_kind *kind;
static bool usr1_leaves;

/* The loop is to look around. For handlers and hooks. */
static void
wake_loop(void)
{
	uv_async_t *h = wake;

	if (h != NULL)
		(void)uv_async_send(h);
}

static void
on_signal(int sig)
{
	int saved = errno;

	/* In a child of the application's it is the application's only. */
	chain_arrived(sig, child_is() || kind->soon == NULL);
	if (child_is()) {
		errno = saved;
		return;
	}
	if (sig == SIGTERM || (sig == SIGUSR1 && usr1_leaves))
		want_leave = true;
	else if (sig == SIGUSR1 || sig == SIGHUP)
		want_reopen = true;
	else {
		want_quit = true;
		hook_signal(APP_WORKER_INT, sig);
	}
	wake_loop();
	errno = saved;
}

/* The manager gives us up: say where every thread is, and go. It gives a
 * second to hooks that want to know. */
static void
on_abort(int sig)
{
	int saved = errno;

	if (kind != NULL && kind->dump != NULL && log_fd() != -1)
		kind->dump(log_fd());
	if (want_abort || (!hook_wanted(APP_WORKER_ABORT) &&
	    !hook_wanted(APP_WORKER_EXIT)))
		_exit(1);
	want_abort = true;
	hook_signal(APP_WORKER_ABORT, sig);
	wake_loop();
	errno = saved;
}

static void
set_signals(bool managed)
{
	struct sigaction sa = { .sa_flags = SA_RESTART };
	static const int ours[] = { SIGTERM, SIGINT, SIGQUIT, SIGUSR1,
		SIGHUP };
	static const int none[] = { SIGHUP, SIGUSR2, SIGWINCH, SIGTTIN,
		SIGTTOU, SIGPIPE };
	/* Where USR1 means to leave, something must open the logs again. */
	size_t i, n = sizeof(ours) / sizeof(ours[0]) - (managed ? 1 : 0);

	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_abort;
	(void)sigaction(SIGABRT, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		(void)sigaction(none[i], &sa, NULL);
	sa.sa_handler = on_signal;
	for (i = 0; i < n; i++)
		(void)sigaction(ours[i], &sa, NULL);
	chain_begin(ours, n);
}

/* --- while it serves */

static void
log_access(const struct serving *s, const struct request *rq,
    struct str status, const struct header *headers, size_t n, uint64_t sent)
{
	struct access_facts f = { .vars = rq->vars, .nvars = rq->nvars,
	    .status = status, .headers = headers, .nheaders = n,
	    .sent = sent,
	    .took_us = (clock_ns() - rq->began_ns) / 1000 };
	char line[8192];

	access_write(line, access_line(s->format, &f, line, sizeof(line)));
}

static void
finished(void *arg, struct request *rq)
{
	struct serving *s = arg;
	struct header headers[256];
	const char *p;
	size_t i, lengths[2];

	atomic_fetch_add_explicit(&s->place->done, 1, memory_order_relaxed);
	if (s->format == NULL || !rq->rs.have_head || rq->answered)
		return;
	p = rq->rs.log.p + rq->rs.status.n;
	for (i = 0; i < rq->rs.nheaders && i < 256; i++) {
		memcpy(lengths, p, sizeof(lengths));
		p += sizeof(lengths);
		headers[i].name = (struct str){ p, lengths[0] };
		headers[i].value = (struct str){ p + lengths[0], lengths[1] };
		p += lengths[0] + lengths[1];
	}
	log_access(s, rq, (struct str){ rq->rs.log.p, rq->rs.status.n },
	    headers, i, rq->rs.sent);
}

/* In the leader, while the caller still has all but what it was asked. */
static void
answered(void *arg, struct request *rq, int status)
{
	struct serving *s = arg;
	char line[64];

	if (s->format == NULL)
		return;
	snprintf(line, sizeof(line), "%d %s", status, http_reason(status));
	log_access(s, rq, str_of(line), NULL, 0, 0);
}

/* Serve no one new. To a full stop kept connections are told to close; a
 * worker that is only replaced gives them to its neighbours. */
static void
leave(struct serving *s, uint64_t now)
{
	struct scoreboard *board = s->w->board;
	bool stop = s->w->manager == 0 || atomic_load(&board->stopping);

	if (s->leave_by_ms == 0) {
		s->leave_by_ms = now + s->graceful_ms;
		log_debug("Worker leaving (pid: %ld)", (long)getpid());
		atomic_store(&s->place->state, PLACE_LEAVING);
		acceptors_close(&s->net);
		handoff_stop(&s->net);
		s->net.leaving = true;
		s->net.handoff = s->w->handoff[0];
	}
	if (stop && !atomic_load(&s->net.closing)) {
		atomic_store(&s->net.closing, true);
		s->net.handoff = -1;
	}
	connections_leave(&s->net);
}

/* A caller will not come back. Let others have what is new and what is
 * kept; who has no manager goes on for as long as one caller is left. */
static void
stuck(void *arg, bool all)
{
	struct serving *s = arg;

	atomic_store(&s->place->sending, s->net.nsending);
	atomic_fetch_or(&s->place->wants, WANT_KILL);
	if (s->w->manager != 0 || all)
		leave(s, net_now(&s->net));
	scoreboard_ring(s->w->board);
}

/* The last news. From here nobody looks around for the manager: when it
 * goes, or has gone, a hook does not keep us. */
static void
say_exiting(const struct worker *w)
{
	const struct itimerval soon = {
		.it_value = { .tv_usec = ORPHAN_HOOK_MS * 1000 },
	};
	bool orphan = w->manager != 0 && getppid() != w->manager;

	log_info("Worker exiting (pid: %ld)", (long)getpid());
	if (!orphan)
		rights_tie(w->manager, SIGKILL);
	else if (hook_wanted(APP_WORKER_EXIT)) {
		(void)signal(SIGALRM, SIG_DFL);
		(void)setitimer(ITIMER_REAL, &soon, NULL);
	}
	(void)hook_in_worker(APP_WORKER_EXIT);
}

/* On the main thread, entered, perhaps in the midst of a request. */
static int
run_handlers(void *arg)
{
	bool due = chain_due();

	(void)arg;
	if (child_is())		/* forked before it was called */
		return 0;
	if (chain_run(kind->signals) == -1)
		want_leave = true;
	if (due || want_leave)
		wake_loop();	/* it may have waited for this */
	return 0;
}

static void
errand(void *arg)
{
	(void)run_handlers(arg);
}

static void
look_around(struct serving *s, uint64_t now)
{
	if (now < s->looked_ms + PARENT_MS)
		return;
	s->looked_ms = now;
	hook_tick();
	chain_look();
	if (s->handlers && !dispatch_main_busy())
		dispatch_errand();
	atomic_store_explicit(&s->place->heartbeat_ms, now,
	    memory_order_relaxed);
	atomic_store_explicit(&s->place->connections, s->net.nconns,
	    memory_order_relaxed);
	atomic_store_explicit(&s->place->sending, s->net.nsending,
	    memory_order_relaxed);
	atomic_store_explicit(&s->place->queued, dispatch_queued(),
	    memory_order_relaxed);
	atomic_store_explicit(&s->place->begun, s->net.nrequests,
	    memory_order_relaxed);
	if (s->w->manager != 0 && getppid() != s->w->manager && !s->orphan) {
		log_info("Parent changed, shutting down: <Worker %ld>",
		    (long)getpid());
		s->orphan = true;
		s->graceful_ms = ORPHAN_MS;
		leave(s, now);
		if (s->leave_by_ms > now + ORPHAN_MS)
			s->leave_by_ms = now + ORPHAN_MS;
	}
	if (s->leave_by_ms != 0 && atomic_load(&s->w->board->stopping))
		leave(s, now);
}

/*
 * Interrupted or given up: the hook of that has a second to begin, and when
 * it was an abort, another until the main thread is out of what it was
 * stuck in (the manager is not more patient). False: not yet.
 */
static bool
quit(struct serving *s, uint64_t now)
{
	bool given_up = want_abort;
	enum app_hook what = given_up ? APP_WORKER_ABORT : APP_WORKER_INT;

	if (s->hook_by_ms == 0)
		s->hook_by_ms = now + HOOK_MS;
	if (!given_up && chain_due() && now < s->hook_by_ms)
		return false;
	if (!hook_ran(what) && (now < s->hook_by_ms || hook_running(what))) {
		dispatch_errand();
		return false;
	}
	if (given_up && now < s->hook_by_ms && dispatch_main_busy())
		return false;
	dispatch_give_up();
	say_exiting(s->w);
	_exit(given_up ? 1 : 0);
}

/* The manager is to put another in our place. */
static void
retire(struct serving *s, const char *why)
{
	s->retiring = true;
	log_info("%s", why);
	atomic_fetch_or(&s->place->wants, WANT_RETIRE);
	scoreboard_ring(s->w->board);
}

static bool
turned(void *arg)
{
	struct serving *s = arg;
	uint64_t now = net_now(&s->net);

	/* The kernel says TERM too when the manager dies. */
	if (want_leave && s->leave_by_ms == 0)
		s->looked_ms = 0;
	look_around(s, now);
	if (want_reopen) {
		want_reopen = false;
		(void)log_reopen();
		(void)access_reopen();
	}
	if (chain_news()) {
		dispatch_errand();
		(void)kind->soon(run_handlers, NULL);
	}
	if ((want_quit || want_abort) && !quit(s, now))
		return false;
	if (!s->retiring && s->w->max_requests != 0 &&
	    s->net.nrequests >= s->w->max_requests)
		retire(s, "Autorestarting worker after current request.");
	else if (!s->retiring && s->net.memory == NET_MEMORY_GONE &&
	    s->w->manager != 0 && now >= s->ready_ms + YOUNG_MS)
		retire(s, "Out of memory: another worker takes this place.");
	if (want_leave && s->leave_by_ms == 0)
		leave(s, now);
	if (s->leave_by_ms == 0)
		return false;
	if (s->net.nconns == 0 && dispatch_busy() == 0 && !chain_due()) {
		/* At the full stop others may have given what nobody takes. */
		return !atomic_load(&s->net.closing) || s->w->manager == 0 ||
		    !handoff_take(&s->net);
	}
	if (now < s->leave_by_ms)
		return false;
	log_warning("Worker graceful timeout (pid:%ld): %u requests are cut",
	    (long)getpid(), dispatch_busy());
	dispatch_give_up();
	say_exiting(s->w);
	_exit(0);
}

/* --- before it serves */

/* 0 stands for `none` in the settings, for `usual` in what gunicorn does. */
static size_t
limit(const struct settings *set, enum setting id, size_t usual, size_t most)
{
	size_t n = (size_t)settings_int(set, id);

	if (n == 0)
		n = usual;
	return n < most ? n : most;
}

static int
wire_settings(struct serving *s)
{
	const struct settings *set = s->w->settings;
	struct wire_config *c = &s->net.wire;
	const char *const *ips;
	const char *map;
	char *why = NULL;
	size_t n;

	c->limits = (struct http_limits){
		.request_line = (size_t)settings_int(set,
		    SET_limit_request_line),
		.fields = limit(set, SET_limit_request_fields,
		    HTTP_HEADERS_MAX, HTTP_HEADERS_MAX),
		.field_size = limit(set, SET_limit_request_field_size, 8190,
		    SIZE_MAX),
		.obsolete_folding = settings_bool(set,
		    SET_permit_obsolete_folding),
		.strip_spaces = settings_bool(set, SET_strip_header_spaces),
		.any_method = settings_bool(set,
		    SET_permit_unconventional_http_method),
		.any_version = settings_bool(set,
		    SET_permit_unconventional_http_version),
		.casefold_method = settings_bool(set,
		    SET_casefold_http_method),
		.forwarder = settings_list(set, SET_forwarder_headers, &n),
	};
	map = settings_string(set, SET_header_map);
	c->limits.header_map = map == NULL ? HEADER_DROP :
	    strcmp(map, "refuse") == 0 ? HEADER_REFUSE :
	    strcmp(map, "dangerous") == 0 ? HEADER_DANGEROUS :
	    HEADER_DROP;
	c->no_keep = settings_int(set, SET_keepalive) == 0;
	queue_sendfile(settings_bool(set, SET_sendfile));
	c->body_max = (uint64_t)settings_int(set, SET_limit_request_body);
	c->secure_headers = settings_list(set, SET_secure_scheme_headers,
	    &c->nsecure);
	c->script_name = settings_string(set, SET_script_name);
	c->passenger = s->w->passenger;
	if (c->script_name == NULL && c->passenger != NULL)
		c->script_name = c->passenger->base_uri;
	c->max_conns = s->net.max_conns;
	c->max_reqs = s->threads;
	ips = settings_list(set, SET_forwarded_allow_ips, &n);
	if ((s->net.trust = trust_new(ips, n, &why)) == NULL) {
		log_error("forwarded_allow_ips: %s", why);
		free(why);
		return -1;
	}
	return 0;
}

static int
access_settings(struct serving *s)
{
	char *why = NULL;

	response_keep_heads(false);
	if (!access_enabled())
		return 0;
	s->format = access_compile(settings_string(s->w->settings,
	    SET_access_log_format), &why);
	if (s->format == NULL) {
		log_error("access_log_format: %s", why);
		free(why);
		return -1;
	}
	response_keep_heads(true);
	return 0;
}

static unsigned int
thread_count(const struct settings *set)
{
	if (strcmp(settings_string(set, SET_worker_class), "sync") == 0)
		return 1;
	return (unsigned int)settings_int(set, SET_threads);
}

static int
open_net(struct serving *s)
{
	struct net *net = &s->net;

	net->listeners = s->w->listeners;
	net->max_conns = (unsigned int)settings_int(s->w->settings,
	    SET_worker_connections);
	net->keepalive_ms = 1000 * (uint64_t)settings_int(s->w->settings,
	    SET_keepalive);
	net->closing_ms = CLOSING_MS;
	net->bounded = settings_int(s->w->settings, SET_worker_queue) != 0;
	if (s->w->passenger != NULL) {
		/* It takes a pooled one for alive; and it sends nothing any
		 * more to who is told to stop. */
		net->keepalive_ms = NEVER_MS;
		net->closing_ms = 0;
	}
	net->handoff = -1;
	if (wire_settings(s) == -1 || access_settings(s) == -1)
		return -1;
	if (loop_open(net) == -1 ||
	    acceptors_open(net, s->w->board, s->w->slot,
	    hosting_shares(s->w->hosting)) == -1 ||
	    handoff_open(net, s->w->handoff[1]) == -1) {
		log_error("Cannot set up the worker's event loop: %s",
		    strerror(errno));
		return -1;
	}
	return 0;
}

/* What is shown to people is no reason to fail: without memory, less. */
static void
show_settings(struct app_config *c, const struct settings *s,
    const struct hosting *h)
{
	static struct app_setting shown[SETTING_COUNT];
	size_t i;

	for (i = 0; i < SETTING_COUNT; i++) {
		free((char *)(uintptr_t)shown[i].value);
		free((char *)(uintptr_t)shown[i].standing);
		shown[i] = (struct app_setting){
			.name = setting_info((enum setting)i)->name,
			.value = print_public(s, (enum setting)i),
			.source = settings_source(s, (enum setting)i),
			.standing = hosting_text(h, s, (enum setting)i),
		};
	}
	c->settings = shown;
	c->nsettings = SETTING_COUNT;
}

void
worker_app_config(struct app_config *c, const struct settings *s,
    const struct hosting *h)
{
	size_t n;

	*c = (struct app_config){
		.host = host_name(h != NULL ? h->kind : HOST_STANDALONE),
		.spec = settings_string(s, SET_wsgi_app),
		.threads = thread_count(s),
		.multiprocess = hosting_manages(h) ||
		    settings_int(s, SET_workers) > 1,
		.pythonpath = settings_list(s, SET_pythonpath, &n),
		.virtualenv = settings_string(s, SET_virtualenv),
		.server_software = PACKAGE "/" PACKAGE_VERSION,
	};
	show_settings(c, s, h);
}

static int
load_app(const struct worker *w)
{
	worker_app_config(w->config, w->settings, w->hosting);
	if (!w->started && w->kind->start(&app_server, w->config) == -1)
		return APP_BOOT;
	return w->loaded ? APP_OK : w->kind->load();
}

/* For good; and tied to the manager's life again, for the kernel unties a
 * process that changes its user. */
static int
drop_rights(const struct worker *w)
{
	char *why = NULL;

	if (hosting_heeds(w->hosting, w->settings, SET_user) &&
	    rights_drop(w->settings, &why) == -1) {
		log_error("%s", why);
		free(why);
		return -1;
	}
	rights_tie(w->manager, SIGKILL);
	return 0;
}

/* To the end in order: what is left behind would be found as a leak. */
static int
finish(struct serving *s, int status)
{
	say_exiting(s->w);
	rights_tie(s->w->manager, SIGKILL);
	access_free(s->format);
	trust_free((struct trust *)(uintptr_t)s->net.trust);
	free(s->net.acceptors);
	free(s);
	if (kind->stop != NULL)
		kind->stop();
	return status;
}

static bool
serve(struct serving *s)
{
	const struct settings *set = s->w->settings;
	struct dispatch_config d = {
		.net = &s->net, .kind = s->w->kind, .threads = s->threads,
		.request_timeout_ms = 1000 *
		    (unsigned int)settings_request_timeout(set),
		.queue_max = (unsigned int)settings_int(set,
		    SET_worker_queue),
		.place = s->place, .turned = turned, .errand = errand,
		.stuck = stuck, .finished = finished, .answered = answered,
		.arg = s,
	};

	wake = &s->net.wake;
	rights_tie(s->w->manager, SIGTERM);
	child_watch(s->w->listeners);
	atomic_store(&s->place->heartbeat_ms, clock_ms());
	log_copy(-1);
	s->ready_ms = clock_ms();
	atomic_store(&s->place->state, PLACE_READY);
	scoreboard_ring(s->w->board);
	return dispatch_run(&d);
}

int
worker_run(const struct worker *w)
{
	struct serving *s;
	int status;

	kind = w->kind;
	usr1_leaves = w->usr1_leaves;
	set_signals(w->manager != 0);
	log_info("Booting worker with pid: %ld", (long)getpid());
	hook_worker(w->kind, w->age, w->max_requests,
	    &w->board->place[w->place], wake_loop);
	if ((status = hook_in_worker(APP_POST_FORK)) != -1)
		return status;
	if (drop_rights(w) == -1)
		return APP_BOOT;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return APP_BOOT;
	s->w = w;
	s->place = &w->board->place[w->place];
	s->threads = thread_count(w->settings);
	s->graceful_ms = 1000 * (uint64_t)hosting_grace(w->hosting,
	    w->settings);
	/* Before the manager's own clock ends us, to answer what is left. */
	s->graceful_ms -= s->graceful_ms / 4 < 500 ? s->graceful_ms / 4 : 500;
	if ((status = load_app(w)) != APP_OK)
		return finish(s, want_abort ? 1 : status);
	if ((status = hook_in_worker(APP_POST_WORKER_INIT)) != -1)
		return finish(s, status);
	chain_look();
	s->handlers = chain_others();
	if (open_net(s) == -1)
		return finish(s, APP_BOOT);
	if (!serve(s)) {
		say_exiting(s->w);
		_exit(0);
	}
	wake = NULL;
	loop_done(&s->net);
	return finish(s, 0);
}
