#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/hosting.h"
#include "conf/load.h"
#include "conf/print.h"
#include "conf/settings.h"
#include "conf/why.h"
#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/board.h"
#include "fcgi/cwd.h"
#include "fcgi/hook.h"
#include "fcgi/host.h"
#include "fcgi/inherit.h"
#include "fcgi/kind.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "fcgi/manager.h"
#include "fcgi/pidfile.h"
#include "fcgi/program.h"
#include "fcgi/rights.h"
#include "fcgi/scoreboard.h"
#include "fcgi/service.h"
#include "fcgi/spawn.h"
#include "fcgi/starter.h"
#include "fcgi/upgrade.h"
#include "fcgi/verify.h"
#include "fcgi/worker.h"

extern char **environ;

struct program {
	int			 argc;
	char			**argv;
	char			**first_environ;
	char			*first_cwd;
	struct host		 host;
	struct restart		 restart;
	struct board		*board;		/* Passenger's, or NULL */
	struct hosting		 hosting;	/* what the host leaves to us */
	struct load_result	 load;		/* and while a reload is */
	struct load_result	 before;	/* not decided: what it was */
	const struct app_kind	*python;	/* at hand, or NULL */
	const struct app_kind	*kind;
	bool			 inside;	/* an interpreter runs us */
	bool			 started;	/* the kind is, in here */
	bool			 loaded;
	struct app_config	 config;
	struct listeners	 listeners;
};

/* For the first lines, before there is a log. */
static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == -1)
		return;
	fputs(text, stderr);
	log_copied(text, (size_t)n);
	free(text);
}

static int
fail(const char *what, const char *why)
{
	if (why == NULL)
		why = "out of memory";
	if (log_is_syslog())
		log_error("%s%s%s", what != NULL ? what : "",
		    what != NULL ? ": " : "", why);
	else
		say("Error: %s%s%s\n", what != NULL ? what : "",
		    what != NULL ? ": " : "", why);
	return 1;
}

/* A file that cannot be opened; errno says why. */
static int
fail_setting(const struct settings *s, enum setting id)
{
	int error = errno;
	char *why;

	if (asprintf(&why, "%s (%s): cannot open %s: %s",
	    setting_info(id)->name, settings_source(s, id),
	    settings_string(s, id), strerror(error)) == -1)
		why = NULL;
	(void)fail(NULL, why);
	free(why);
	return 1;
}

/* What settings_load() has to say before we leave. */
static void
say_output(const struct load_result *r)
{
	if (r->output == NULL)
		return;
	if (r->status != 0 && log_is_syslog())
		log_text(LOG_LEVEL_ERROR, "Not started:", r->output,
		    strlen(r->output));
	else if (r->status != 0)
		say("%s", r->output);
	else
		fputs(r->output, stdout);
}

static char **
copy_environ(void)
{
	size_t i, n = 0;
	char **e;

	while (environ[n] != NULL)
		n++;
	if ((e = calloc(n + 1, sizeof(*e))) == NULL)
		return NULL;
	for (i = 0; i < n; i++)
		if ((e[i] = strdup(environ[i])) == NULL)
			return NULL;
	return e;
}

/* --- the application's kind */

static int
start_python(struct program *p, const struct settings *s, char **why)
{
	if (p->python == NULL && (p->python = kind_python(why)) == NULL)
		return -1;
	if (p->started)
		return 0;
	worker_app_config(&p->config, s, &p->hosting);
	if (p->python->start(&app_server, &p->config) == -1) {
		*why = NULL;		/* it has said so */
		return -1;
	}
	p->started = true;
	return 0;
}

/* A gunicorn.conf.py needs the interpreter here, before any worker. */
static int
evaluate(void *arg, const char *path, struct settings *into, char **why)
{
	struct program *p = arg;
	const char *slash = strrchr(path, '/');
	struct service_conf conf = { into, slash != NULL ? slash + 1 : path };
	int rc;

	if (start_python(p, into, why) == -1)
		return -1;
	hook_interpreter_is(p->python);
	p->python->enter(NULL);
	rc = p->python->configure(path, &conf, why);
	p->python->leave(NULL);
	return rc;
}

static int
find_kind(struct program *p)
{
	char *why = NULL;

	p->kind = kind_find(p->load.app, p->python, &why);
	if (p->kind == NULL) {
		(void)fail(NULL, why);
		free(why);
		return -1;
	}
	if (p->kind != p->python)
		p->started = p->loaded = false;
	worker_app_config(&p->config, p->load.settings, &p->hosting);
	return 0;
}

static int
preload(struct program *p)
{
	if (!p->started && p->kind->start(&app_server, &p->config) == -1)
		return 1;
	p->started = true;
	if (p->kind->load() != APP_OK)
		return 1;
	p->loaded = true;
	return 0;
}

/* --- settings */

static int
load(struct program *p, const struct load_result *before,
    struct load_result *result)
{
	struct load_input in = {
		.argc = p->argc, .argv = p->argv,
		.environ = p->first_environ, .cwd = p->first_cwd,
		.hosting = &p->hosting, .app = board_app(p->board),
		.before = before, .evaluate = evaluate, .arg = p,
	};

	char *why = NULL;

	if (settings_load(&in, result) == -1)
		return -1;
	if (board_settings(p->board, result->settings) == 0 &&
	    verify_settings(result->settings, &p->hosting, &why) == 0)
		return 0;
	load_result_undo(result, before, p->first_environ);
	result->status = 1;
	result->output = text_new("Error: %s\n", why != NULL ? why :
	    "out of memory");
	free(why);
	return -1;
}

static bool
ready(void *arg)
{
	const struct program *p = arg;

	return board_ready(p->board);
}

static void
reloaded(void *arg, bool used)
{
	struct program *p = arg;
	struct load_result gone = p->before;

	if (!used) {
		load_result_undo(&p->load, &p->before, p->first_environ);
		gone = p->load;
		p->load = p->before;
	}
	p->before = (struct load_result){ 0 };
	load_result_done(&gone);
}

static struct settings *
reload(void *arg)
{
	struct program *p = arg;
	struct load_result next;
	struct settings *s;
	size_t i, n;

	if (load(p, &p->load, &next) == -1) {
		n = next.output != NULL ? strlen(next.output) : 0;
		log_text(LOG_LEVEL_ERROR, "Not reloaded: ", next.output, n);
		load_result_done(&next);
		return NULL;
	}
	for (i = 0; i < next.nnotes; i++)
		log_warning("%s", next.notes[i]);
	p->before = p->load;
	p->load = next;
	if ((s = settings_copy(next.settings)) == NULL) { /* the manager's */
		log_error("Not reloaded: out of memory");
		reloaded(p, false);
	}
	return s;
}

/* Did somebody ask a question, and not for a server? */
static bool
is_asked(const struct settings *s)
{
	return settings_bool(s, SET_print_config) ||
	    settings_bool(s, SET_check_config);
}

static int
open_logs(struct program *p)
{
	const struct settings *s = p->load.settings;
	const char *error = settings_string(s, SET_errorlog),
	    *access = settings_string(s, SET_accesslog);

	spawn_logs_owner(s);
	log_stderr_given_away(p->host.kind == HOST_FASTCGI &&
	    starter_is_deaf());
	if (log_open(error, settings_string(s, SET_loglevel),
	    settings_bool(s, SET_capture_output) && !is_asked(s)) == -1)
		return fail_setting(s, SET_errorlog);
	if (access_open(access) == -1)
		return fail_setting(s, SET_accesslog);
	return 0;
}

static void
say_settings(const struct program *p)
{
	const struct settings *s = p->load.settings;
	const char *class = settings_string(s, SET_worker_class), *why;
	bool sync = strcmp(class, "sync") == 0;
	long n = settings_int(s, SET_workers),
	    threads = sync ? 1 : settings_int(s, SET_threads);
	size_t i;

	for (i = 0; i < p->load.nnotes; i++)
		log_warning("%s", p->load.notes[i]);
	why = p->board == NULL ? p->load.workers_why : NULL;
	if (why == NULL)
		why = settings_source(s, SET_workers);
	if (hosting_alone(&p->hosting, s)) {
		n = 1;
		why = "the starter has as many as it wants";
	}
	log_info("Settings: %s, %s%s; %s, %ld thread%s; %ld worker%s: %s",
	    p->load.file != NULL ? p->load.file : "no file",
	    p->load.profile != NULL ? "profile " : "",
	    p->load.profile != NULL ? p->load.profile : "no profile",
	    class, threads, threads == 1 ? "" : "s", n, n == 1 ? "" : "s",
	    why);
	if (p->host.kind != HOST_STANDALONE)
		log_info("Started by: %s", host_name(p->host.kind));
}

/* --- listeners and the end */

/* What the old manager handed over; where `bind` has changed since, the rest
 * is opened. */
static int
take_listeners(struct program *p, char **why)
{
	struct inherit *in = p->host.inherit;
	size_t i;

	for (i = 0; i < in->listeners->n; i++)
		if (in->listeners->v[i].address == NULL) {
			p->listeners = *in->listeners;
			*in->listeners = (struct listeners){ 0 };
			return 0;
		}
	/* No socket more than there is: who is not sure to stay would take
	 * its queue away. */
	if (listeners_reopen(&p->listeners, in->listeners, p->load.settings,
	    1, why) == -1)
		return -1;
	/* Workers of both managers may hand connections to each other only
	 * where a listener's number means the same to them. */
	if (!listeners_are(in->listeners, p->load.settings))
		inherit_alone(in);
	listeners_leave(in->listeners, &p->listeners);	/* we have copies */
	return 0;
}

static int
open_listeners(struct program *p)
{
	const struct settings *s = p->load.settings;
	bool fastcgi = strcmp(settings_string(s, SET_protocol),
	    "fastcgi") == 0;
	char *why = NULL;
	size_t i;
	int rc = 0;

	if (p->board != NULL)
		return board_listen(p->board, &p->listeners, s);
	if (p->host.inherit != NULL)
		rc = take_listeners(p, &why);
	else if (p->host.nfds == 0)
		rc = listeners_open(&p->listeners, s,
		    (size_t)settings_int(s, SET_workers), &why);
	else if (p->host.kind == HOST_STANDALONE &&
	    settings_given(s, SET_bind))
		log_warning("bind is ignored: the sockets are those of "
		    "GUNICORN_FD");
	for (i = 0; i < p->host.nfds && rc == 0; i++)
		rc = listeners_adopt(&p->listeners, &p->host.fds[i], 1,
		    fastcgi || (p->host.fastcgi >> i & 1) != 0 ?
		    PROTOCOL_FASTCGI : PROTOCOL_HTTP, &why);
	if (rc == -1) {
		log_error("%s", why != NULL ? why : "out of memory");
		free(why);
	}
	return rc;
}

/* Without a manager: the starter has as many of us as it wants. */
static int
run_alone(struct program *p)
{
	struct scoreboard *board;
	struct worker w = {
		.settings = p->load.settings, .hosting = &p->hosting,
		.listeners = &p->listeners,
		.kind = p->kind, .config = &p->config,
		.started = p->started, .loaded = p->loaded,
		.usr1_leaves = true, .age = 1,
	};
	int status;

	if ((board = scoreboard_new(1, NULL)) == NULL) {
		log_error("Cannot make the scoreboard: %s", strerror(errno));
		return 1;
	}
	atomic_store(&board->slots, 1);
	w.board = board;
	memcpy(w.handoff, board->handoff, sizeof(w.handoff));
	if (!p->inside)		/* its ps line is the interpreter's */
		spawn_title(w.settings, "worker", "");
	status = worker_run(&w);
	listeners_close(&p->listeners, false);
	scoreboard_free(board);
	return status;
}

/* Is nobody there who keeps processes himself? */
static bool
is_ours(const struct program *p)
{
	return p->host.kind == HOST_STANDALONE ||
	    p->host.kind == HOST_SYSTEMD;
}

/* Where the pid file says that we must not start, nothing is touched: sockets
 * that are closed again would cost clients of who runs there, by reuse_port,
 * their connections. on_starting may make a place for the sockets. */
static int
starting(const struct program *p, const struct settings *s)
{
	char *why = NULL;

	/* Who takes over from another manager has a pid file beside it. */
	if (p->host.parent == 0 &&
	    hosting_heeds(&p->hosting, s, SET_pidfile) &&
	    pidfile_check(settings_string(s, SET_pidfile), &why) == -1) {
		log_error("%s", why != NULL ? why : "out of memory");
		free(why);
		return 1;
	}
	return hook_server(APP_ON_STARTING);
}

static int
manage(struct program *p, struct settings **now)
{
	struct settings *s = *now;
	struct manager_config m = {
		.settings = s, .hosting = &p->hosting,
		.listeners = &p->listeners,
		.kind = p->kind, .config = &p->config,
		.usr1_leaves = p->host.kind == HOST_FASTCGI,
		.daemon = settings_bool(s, SET_daemon) &&
		    p->host.kind == HOST_STANDALONE,
		.notify = is_ours(p), .parent = p->host.parent,
		.inherit = p->host.inherit,
		.titled = !p->inside, .lives_on = p->inside,
		.reload = reload, .reloaded = reloaded, .arg = p,
	};
	int status;

	hook_parent(p->host.parent);
	hook_workers((size_t)settings_int(s, SET_workers), true);
	if (!is_ours(p))
		m.no_restart = "who started this process would not know the "
		    "new one";
	else if (getpid() == 1)
		m.no_restart = "when process 1 leaves, all end with it";
	else if (p->restart.program == NULL)
		m.no_restart = "it is not known how this process was started";
	else
		m.restart = &p->restart;

	if (settings_bool(s, SET_preload_app) && preload(p) != 0)
		return 1;
	if ((status = starting(p, s)) != -1)
		return status;
	if (open_listeners(p) == -1)
		return 1;
	hook_settings(s, &p->listeners);
	m.started = p->started;
	m.loaded = p->loaded;
	if (p->board != NULL) {
		board_manage(p->board, &m);
		m.ready = ready;
	}
	p->restart.environ = p->first_environ;
	p->restart.cwd = p->first_cwd;
	p->restart.systemd = p->host.kind == HOST_SYSTEMD;
	status = manager_run(&m);
	*now = m.settings;
	return status;
}

/* Where a manager is not ours to be, its hooks are not ours to call. */
static int
serve_alone(struct program *p)
{
	if (settings_bool(p->load.settings, SET_preload_app) &&
	    preload(p) != 0)
		return 1;
	if (open_listeners(p) == -1)
		return 1;
	hook_settings(p->load.settings, &p->listeners);
	return run_alone(p);
}

static int
serve(struct program *p)
{
	/* The manager's own: a reload reads others. */
	struct settings *s = settings_copy(p->load.settings);
	int status;

	if (s == NULL)
		return fail(NULL, NULL);
	say_settings(p);
	hook_settings(s, NULL);
	status = hosting_alone(&p->hosting, s) ? serve_alone(p) : manage(p, &s);
	hook_settings(NULL, NULL);
	settings_free(s);
	return status;
}

/* An interpreter that is running must be told of each fork. */
static int
become_daemon(struct program *p)
{
	const struct app_kind *in = p->started ? p->python :
	    hook_interpreter();
	int rc;

	if (in != NULL && in->before_fork != NULL)
		in->before_fork();
	if ((rc = rights_daemon()) == 0)
		rc = log_capture();	/* and not /dev/null */
	if (in != NULL && in->after_fork_child != NULL)
		in->after_fork_child();
	return rc;
}

static int
show_config(struct program *p)
{
	char *text = print_config(p->load.settings, &p->hosting);

	if (text == NULL)
		return fail(NULL, NULL);
	fputs(text, stdout);
	free(text);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
check(struct program *p)
{
	size_t i;

	for (i = 0; i < p->load.nnotes; i++)
		fprintf(stderr, "Warning: %s\n", p->load.notes[i]);
	if (settings_bool(p->load.settings, SET_print_config) &&
	    show_config(p) != 0)
		return 1;
	if (p->load.app == NULL)
		return 0;
	return preload(p);
}

/* A person may know better than the evidence, or ask what would hold under
 * another host. What settings mean depends on it: they are read again. */
static int
load_for_host(struct program *p)
{
	enum host_kind found = p->host.kind;
	const struct settings *s;
	char *why = NULL;

	p->hosting.kind = found;
	if (load(p, NULL, &p->load) == -1)
		return -1;
	s = p->load.settings;
	p->hosting.http = board_http(p->board, s);
	if (host_override(&p->host, settings_string(s, SET_host),
	    &why) == -1) {
		if (!settings_bool(s, SET_print_config))
			p->load.status = fail("host", why);
		else
			host_suppose(&p->host, settings_string(s, SET_host));
		free(why);
		if (p->load.status != 0)
			return -1;
	}
	p->hosting.kind = p->host.kind;
	if (p->host.kind == found)
		return 0;
	board_done(p->board);
	p->board = NULL;
	load_result_done(&p->load);
	return load(p, NULL, &p->load);
}

/* A server of our own would listen where nobody asked for one. */
static int
not_served(void)
{
	log_critical("started by %s, for which this version has no way to "
	    "answer yet; where that is wrong, --host says what is right",
	    "a web server as a CGI program");
	return 1;
}

static int
run(struct program *p)
{
	const struct settings *s;
	char *why = NULL;
	uid_t uid;
	gid_t gid;

	if (load_for_host(p) == -1) {
		say_output(&p->load);
		return p->load.status;
	}
	s = p->load.settings;
	if (p->load.app != NULL && find_kind(p) == -1)
		return 1;
	/* Inside an interpreter, forks must always be announced to it. */
	if (p->inside && start_python(p, s, &why) == -1)
		return 1;
	if (hosting_heeds(&p->hosting, s, SET_user) &&
	    rights_find(s, &uid, &gid, &why) == -1) {
		(void)fail(NULL, why);
		free(why);
		return 1;
	}
	if (open_logs(p) != 0)
		return 1;
	if (is_asked(s))
		return check(p);
	if (p->host.kind == HOST_CGI)
		return not_served();
	/* A successor is one already; and its number is known to the old. */
	if (settings_bool(s, SET_daemon) && p->host.parent == 0 &&
	    hosting_heeds(&p->hosting, s, SET_daemon) && become_daemon(p) == -1)
		return fail("cannot become a daemon", strerror(errno));
	return serve(p);
}

int
gangway_main(int argc, char **argv, const struct app_kind *python)
{
	struct program p = { .argc = argc, .argv = argv, .python = python,
	    .inside = python != NULL };
	int status = 1;
	size_t i;

	(void)restart_find(&p.restart);	/* known when it is asked for */
	host_detect(&p.host);
	if (p.host.kind == HOST_PASSENGER &&
	    (p.board = board_new(&p.argc, p.argv)) == NULL)
		return 1;	/* it has said why */
	p.hosting.http = board_http(p.board, NULL);
	p.hosting.root = geteuid() == 0;
	if (p.host.kind == HOST_FASTCGI) {
		p.hosting.patience = starter_follow();
		/* It would hide why we do not start. */
		if (starter_is_deaf()) {
			log_stderr_given_away(true);
			(void)log_open("-", NULL, false);
		}
	}
	if (!p.inside)
		kind_enter_venv();
	p.first_environ = copy_environ();
	p.first_cwd = cwd_name();
	if (p.first_environ == NULL || p.first_cwd == NULL)
		(void)fail("the working directory", strerror(errno));
	else
		status = run(&p);
	if (p.board != NULL && status != 0)
		status = board_failed(p.board, status);
	board_done(p.board);
	load_result_done(&p.load);
	for (i = 0; p.first_environ != NULL && p.first_environ[i] != NULL; i++)
		free(p.first_environ[i]);
	free(p.first_environ);
	free(p.first_cwd);
	inherit_done(p.host.inherit);
	restart_done(&p.restart);
	return status;
}
