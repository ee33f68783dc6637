#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/crew.h"
#include "fcgi/ctl.h"
#include "fcgi/generation.h"
#include "fcgi/hook.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "fcgi/logfile.h"
#include "fcgi/rights.h"
#include "fcgi/scoreboard.h"
#include "fcgi/spawn.h"
#include "fcgi/worker.h"

static bool
same_text(const struct settings *a, const struct settings *b, enum setting id)
{
	const char *s = settings_string(a, id), *t = settings_string(b, id);

	return s == t || (s != NULL && t != NULL && strcmp(s, t) == 0);
}

/* As gunicorn does: workers open the logs again (USR1) under their user. */
void
spawn_logs_owner(const struct settings *s)
{
	char *why = NULL;
	uid_t uid;
	gid_t gid;

	if (rights_find(s, &uid, &gid, &why) == 0)
		logfile_owner(uid, gid);
	free(why);	/* the worker says so */
}

void
spawn_logs(const struct settings *before, const struct settings *now)
{
	const char *path;

	spawn_logs_owner(now);
	if (!same_text(before, now, SET_errorlog) ||
	    !same_text(before, now, SET_loglevel) ||
	    settings_bool(before, SET_capture_output) !=
	    settings_bool(now, SET_capture_output)) {
		path = settings_string(now, SET_errorlog);
		if (log_open(path, settings_string(now, SET_loglevel),
		    settings_bool(now, SET_capture_output)) == -1)
			log_error("cannot open the error log %s: %s", path,
			    strerror(errno));
	}
	if (!same_text(before, now, SET_accesslog)) {
		path = settings_string(now, SET_accesslog);
		if (access_open(path) == -1)
			log_error("cannot open the access log %s: %s", path,
			    strerror(errno));
	}
}

void
spawn_title(const struct settings *s, const char *role, const char *suffix)
{
	const char *name = settings_string(s, SET_proc_name);

	if (name == NULL || *name == '\0')
		name = settings_string(s, SET_wsgi_app);
	if (name == NULL)
		name = PACKAGE;
	setproctitle("-%s: %s [%s%s]", PACKAGE, role, name, suffix);
}

void
spawn_greeting(const struct crew *c)
{
	const struct listeners *ls = c->current->listeners;
	char *names = NULL, *more;
	size_t i;

	log_info("Starting %s %s", PACKAGE_NAME, PACKAGE_VERSION);
	for (i = 0; i < ls->n; i++) {
		if (asprintf(&more, "%s%s%s", names != NULL ? names : "",
		    names != NULL ? "," : "", ls->v[i].name) == -1)
			break;
		free(names);
		names = more;
	}
	log_info("Listening at: %s (%d)", names != NULL ? names : "",
	    (int)getpid());
	log_info("Using worker: %s", settings_string(c->current->settings,
	    SET_worker_class));
	free(names);
}

unsigned long
spawn_limit(const struct settings *s)
{
	unsigned long max = (unsigned long)settings_int(s, SET_max_requests);
	unsigned long jitter;

	jitter = (unsigned long)settings_int(s, SET_max_requests_jitter);
	if (max == 0)
		return 0;
	if (jitter > INT32_MAX)
		jitter = INT32_MAX;
	max += arc4random_uniform((uint32_t)jitter * 2 + 1);
	return max > jitter ? max - jitter : 1;
}

/* Signals as a program expects them at its start, but for those that mean
 * something to a manager only and would end a worker that is not ready. */
static void
signals_reset(const sigset_t *mask)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGQUIT, SIGCHLD,
		SIGABRT };
	static const int others[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH,
		SIGTTIN, SIGTTOU, SIGPIPE };
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		(void)signal(ours[i], SIG_DFL);
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		(void)signal(others[i], SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
}

static int
child_main(const struct crew *c, struct generation *g, const struct worker *w,
    const struct app_kind *in)
{
	rights_tie(w->manager, SIGKILL);
	signals_reset(c->mask);
	close(c->bell[0]);	/* not the worker's business */
	ctl_forget(c->ctl);
	if (c->config->leash > 0)
		close(c->config->leash);
	generation_alone(c->all, g);
	if (in != NULL && in->after_fork_child != NULL)
		in->after_fork_child();
	if (g != c->current)
		spawn_logs(c->current->settings, g->settings);
	if (c->config->titled)
		spawn_title(c->current->settings, "worker", c->suffix);
	return worker_run(w);
}

pid_t
spawn_worker(const struct crew *c, struct generation *g, size_t place,
    size_t slot)
{
	const struct worker w = {
		.settings = g->settings, .hosting = c->config->hosting,
		.listeners = g->listeners,
		.board = c->board, .place = place, .slot = slot,
		.handoff = { c->handoff[0], c->handoff[1] },
		.manager = getpid(), .kind = c->config->kind,
		.config = c->config->config, .loaded = c->config->loaded,
		.started = c->config->started,
		.max_requests = spawn_limit(g->settings), .age = c->age,
		.passenger = c->config->passenger,
	};
	/* An interpreter must be told, also one that has only hooks. */
	const struct app_kind *in = w.started ? w.kind : hook_interpreter();
	int saved;
	pid_t pid;

	hook_pre_fork(w.age, w.max_requests);
	if (in != NULL && in->before_fork != NULL)
		in->before_fork();
	(void)fflush(NULL);	/* or the child would write it again */
	if ((pid = fork()) == 0)
		exit(child_main(c, g, &w, in));
	saved = errno;
	if (in != NULL && in->after_fork_parent != NULL)
		in->after_fork_parent();
	hook_forked(w.age, pid);
	errno = saved;
	return pid;
}
