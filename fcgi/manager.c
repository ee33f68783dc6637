#include "config.h"

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/hosting.h"
#include "conf/settings.h"
#include "fcgi/app.h"
#include "fcgi/clock.h"
#include "fcgi/ctl.h"
#include "fcgi/ctl_place.h"
#include "fcgi/cwd.h"
#include "fcgi/generation.h"
#include "fcgi/hook.h"
#include "fcgi/inherit.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "fcgi/manager.h"
#include "fcgi/notify.h"
#include "fcgi/pidfile.h"
#include "fcgi/recycle.h"
#include "fcgi/reload.h"
#include "fcgi/report.h"
#include "fcgi/scoreboard.h"
#include "fcgi/signals.h"
#include "fcgi/slot.h"
#include "fcgi/spawn.h"
#include "fcgi/upgrade.h"

enum {
	EXIT_ERROR = 1, EXIT_BUG = 255,
	PLACES_MIN = 256,
	QUICK_MS = 2000,	/* for a stop that is asked for twice */
	DRAIN_MAX = 16,		/* reads from the bell in a turn */
	BIRTHS_MAX = 3,		/* a host that waits is told then */
};

enum stop { STOP_NOT, STOP_GRACEFUL, STOP_QUICK };

struct manager {
	struct manager_config *config;
	struct crew	 crew;
	struct reload	 reload;
	struct upgrade	 upgrade;
	enum stop	 stop;
	int		 status;
	const char	*reason;	/* of a stop that nobody asked for */
	char		*pidfile;	/* as created, NULL: none */
	bool		 told;		/* config->ready() was called */
	unsigned int	 stillborn;	/* workers that never were ready */
	int		 leash;		/* 0: none, or it has ended */
	struct ctl	 ctl;
	uint64_t	 started;
};

/* --- how many slots */

static void
set_wanted(struct manager *m, size_t n)
{
	struct crew *c = &m->crew;
	size_t i;

	c->shared = upgrade_shared(&m->upgrade);
	if (n > crew_room(c)) {
		log_warning("%zu workers need a new start: there is room for "
		    "%zu", n, crew_room(c));
		n = crew_room(c);
	}
	atomic_store(&c->board->slots, (unsigned int)n);
	/* Nobody is left to take what they would hand over? */
	atomic_store(&c->board->stopping, n == 0 &&
	    !upgrade_served(&m->upgrade));
	for (i = n; i < c->wanted; i++)
		slot_dismiss(c, i);
	c->wanted = n;
	hook_workers(n, false);
}

static void
title(const struct manager *m)
{
	if (m->config->titled)
		spawn_title(m->crew.current->settings, "master",
		    m->crew.suffix);
}

/*
 * Sockets for the settings now in force. All workers will be started anew
 * with them, and so have each that is opened here: also the one that has
 * proved them, for it was started before. Those that TTIN brings share
 * sockets, or who stays after TTOU could not accept from theirs. A socket
 * that only one of two managers has would be lost with it.
 */
static void
listeners_follow(struct manager *m)
{
	struct crew *c = &m->crew;
	const struct settings *s = c->current->settings;
	char *why = NULL;
	bool grown;
	size_t i;

	if (upgrade_shared(&m->upgrade))
		return;
	if (listeners_grow(c->current->listeners, s, crew_slots(c, s), &grown,
	    &why) == -1)
		log_error("%s", why != NULL ? why : "no memory");
	free(why);
	for (i = 0; grown && i < c->places; i++)
		if (c->procs[i].generation == c->current->number)
			c->procs[i].replace = true;
}

/* What the crew must know of the settings now in force. */
static void
settings_apply(struct manager *m)
{
	const struct settings *s = m->crew.current->settings;

	m->crew.grace_ms =
	    (uint64_t)hosting_grace(m->config->hosting, s) * 1000;
	m->crew.timeout_ms = (uint64_t)settings_int(s, SET_timeout) * 1000;
	recycle_settings(&m->crew, s);
	listeners_follow(m);
	set_wanted(m, (size_t)settings_int(s, SET_workers));
	title(m);
}

/* --- the pid file */

/* Its name from the root, for a reload may change the folder; to be freed,
 * NULL where there is none. A successor's has a
 * suffix as long as the old manager has the name itself. */
static char *
pidfile_name(const struct manager *m)
{
	const struct settings *s = m->crew.current->settings;
	const char *path = settings_string(s, SET_pidfile);
	char *whole, *name;

	if (path == NULL || *path == '\0' ||
	    !hosting_heeds(m->config->hosting, s, SET_pidfile) ||
	    (whole = cwd_path(path)) == NULL)
		return NULL;
	if (asprintf(&name, "%s%s", whole, m->crew.suffix) == -1)
		name = NULL;
	free(whole);
	return name;
}

/* 0, or -1 after a line in the log. */
static int
pidfile_follow(struct manager *m, pid_t old)
{
	char *why = NULL;

	if (pidfile_move(&m->pidfile, pidfile_name(m), old, &why) == 0)
		return 0;
	log_error("%s", why != NULL ? why : "no memory");
	free(why);
	return -1;
}

/* --- the control socket */

/* Where it is to be, to be freed; NULL: nowhere. Whom we succeed has it as
 * long as it lives; a host's processes have one only when asked for it. */
static char *
control_path(const struct manager *m)
{
	const struct settings *s = m->crew.current->settings;
	const char *path = settings_string(s, SET_control_socket);
	char *dir, *where, **list;
	size_t n;

	if (settings_bool(s, SET_control_socket_disable) ||
	    m->upgrade.parent != 0)
		return NULL;
	if (path != NULL)
		return cwd_path(path);
	if (hosting_manages(m->config->hosting))
		return NULL;
	if (m->pidfile != NULL)
		return ctl_beside(m->pidfile);
	if ((dir = ctl_dir(true)) == NULL)
		return NULL;
	/* Those who were killed have left theirs. */
	if ((list = ctl_list(dir, &n)) != NULL)
		while (n > 0)
			free(list[--n]);
	free(list);
	if (asprintf(&where, "%s/%d" CTL_SUFFIX, dir, (int)getpid()) == -1)
		where = NULL;
	free(dir);
	return where;
}

/* 0, or -1 after a line in the log: it was asked for and cannot be. */
static int
control_follow(struct manager *m)
{
	const struct settings *s = m->crew.current->settings;
	mode_t mode = (mode_t)settings_int(s, SET_control_socket_mode);
	bool asked = settings_string(s, SET_control_socket) != NULL;
	char *path = control_path(m), *why = NULL;
	int rc = 0;

	if (path == NULL)
		ctl_close(&m->ctl);
	else if ((m->ctl.fd == 0 || m->ctl.mode != mode ||
	    strcmp(path, m->ctl.path) != 0) &&
	    ctl_open(&m->ctl, path, mode, &why) == -1) {
		log_line(asked ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "%s",
		    why != NULL ? why : "no memory");
		/* A host may start several that are asked for the same. */
		rc = asked && !hosting_manages(m->config->hosting) ? -1 : 0;
	}
	free(path);
	free(why);
	return rc;
}

static void
settings_applied(void *arg)
{
	settings_apply(arg);
	(void)pidfile_follow(arg, 0);	/* it has said why */
	(void)control_follow(arg);
}

/* The old manager has gone: its name and its file are ours. */
static void
promote(struct manager *m, pid_t old)
{
	log_info("Master has been promoted.");
	hook_parent(0);
	m->crew.suffix = "";
	m->crew.shared = false;
	title(m);
	(void)pidfile_follow(m, old);	/* it has said why */
	(void)control_follow(m);
	if (m->config->inherit != NULL)
		listeners_close(m->config->inherit->listeners, true);
	notify_send("MAINPID=%d\n%s", (int)getpid(), m->stop == STOP_NOT ?
	    "READY=1\nSTATUS=Serving" : "STOPPING=1\nSTATUS=Stopping");
}

/* --- the end of workers and of all */

/* A service manager that saw its process go would end all the others. */
static void
stop_tell(const struct manager *m)
{
	if (m->upgrade.child != 0)
		notify_send("MAINPID=%d", (int)m->upgrade.child);
	else if (m->upgrade.parent == 0)
		notify_send("STOPPING=1\nSTATUS=Stopping");
}

static void
stop_begin(struct manager *m, enum stop how, int sig)
{
	struct crew *c = &m->crew;
	struct generation *g;
	uint64_t ms = m->stop == STOP_NOT ? c->grace_ms : QUICK_MS;

	if (m->stop != STOP_NOT && how == STOP_GRACEFUL)
		return;
	if (m->stop == STOP_NOT) {
		stop_tell(m);
		reload_abandon(&m->reload, "the server stops");
		/* Else kept connections go to the other manager's workers. */
		if (!upgrade_served(&m->upgrade))
			atomic_store(&c->board->stopping, true);
		c->wanted = 0;
		c->shared = upgrade_shared(&m->upgrade);
		/* Ours only: the workers still empty their queues. */
		for (g = c->all; g != NULL; g = g->older)
			listeners_close(g->listeners, !c->shared);
	} else
		log_info("Quick shutdown requested");
	m->stop = how;
	crew_leave(c, sig, ms);
}

static void
halt(struct manager *m, int status)
{
	if (m->stop != STOP_NOT)
		return;
	m->status = status;
	m->reason = status == APP_BOOT ? "Worker failed to boot." :
	    "App failed to load.";
	stop_begin(m, STOP_GRACEFUL, SIGTERM);
}

static void
reap(struct manager *m)
{
	struct crew *c = &m->crew;
	int status, code;
	size_t place;
	unsigned long age;
	bool booting, first, overdue;
	pid_t pid;

	/* One SIGCHLD may stand for several children, and for strangers. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (upgrade_lost(&m->upgrade, pid, status))
			continue;
		if ((place = crew_find(c, pid)) == SLOT_NONE) {
			hook_reaped(pid, status);
			continue;
		}
		proc_look(c, place);
		age = c->procs[place].age;
		booting = c->procs[place].since == 0;
		overdue = c->procs[place].overdue;
		slot_gone(c, place, status);
		if (place == m->reload.probe)
			reload_lost(&m->reload, booting);
		code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		first = booting && !c->ever_ready &&
		    (code == APP_BOOT || code == APP_LOAD);
		hook_child_exit(age, pid, status, !first);
		if (first)
			halt(m, code);
		else if (overdue && !c->ever_ready)
			halt(m, APP_BOOT);
		/* Somebody waits, and must hear it before patience ends. */
		else if (booting && !c->ever_ready &&
		    m->config->ready != NULL && ++m->stillborn == BIRTHS_MAX)
			halt(m, APP_BOOT);
	}
}

/* --- signals */

static void
scale(struct manager *m, int by)
{
	size_t n = m->crew.wanted;

	if (m->stop != STOP_NOT || (by < 0 && n <= 1))
		return;
	set_wanted(m, by < 0 ? n - 1 : n + 1);
}

static void
reload(struct manager *m)
{
	if (m->stop != STOP_NOT)
		return;
	log_info("Hang up: Master%s", m->crew.suffix);
	notify_reloading();
	reload_begin(&m->reload);
}

/* Only where the terminal has none to send: it means a new size else. */
static void
winch(struct manager *m)
{
	if (!m->config->daemon) {
		log_debug("SIGWINCH ignored. Not daemonized");
		return;
	}
	if (m->stop != STOP_NOT)
		return;
	log_info("graceful stop of workers");
	reload_abandon(&m->reload, "the workers stop");
	set_wanted(m, 0);
}

static void
handle(void *arg, int sig)
{
	struct manager *m = arg;

	switch (sig) {
	case SIGCHLD:
		break;	/* the reaper runs anyway */
	case SIGTERM:
		reap(m);	/* a successor may be gone by now */
		stop_begin(m, STOP_GRACEFUL, SIGTERM);
		break;
	case SIGINT:
	case SIGQUIT:
		reap(m);
		stop_begin(m, STOP_QUICK, SIGQUIT);
		break;
	case SIGHUP:
		reload(m);
		break;
	case SIGUSR1:
		if (m->config->usr1_leaves) {
			stop_begin(m, STOP_GRACEFUL, SIGTERM);
			break;
		}
		logs_reopen();
		crew_reopen(&m->crew);
		break;
	case SIGTTIN:
		scale(m, 1);
		break;
	case SIGTTOU:
		scale(m, -1);
		break;
	case SIGUSR2:
		reap(m);	/* the one before it may be gone by now */
		if (m->stop == STOP_NOT)
			upgrade_begin(&m->upgrade, &m->crew);
		break;
	case SIGWINCH:
		winch(m);
		break;
	}
}

/* --- orders over the control socket */

static json_t *
status(void *arg)
{
	struct manager *m = arg;

	return report_status(&m->crew, m->stop != STOP_NOT ? "stopping" :
	    m->reload.busy ? "reloading" : m->crew.ever_ready ? "serving" :
	    "starting", m->started);
}

static const char *
obey(void *arg, enum ctl_order what, long number)
{
	struct manager *m = arg;

	if (m->stop != STOP_NOT && what != CTL_STOP)
		return "the server is stopping";
	switch (what) {
	case CTL_RELOAD:
		log_info("Asked to reload");
		reload(m);
		break;
	case CTL_SCALE:
		if ((size_t)number > crew_room(&m->crew))
			return "so many workers need a new start";
		log_info("Asked for %ld workers", number);
		set_wanted(m, (size_t)number);
		break;
	case CTL_STOP:
		log_info("Asked to stop");
		stop_begin(m, STOP_GRACEFUL, SIGTERM);
		break;
	case CTL_REOPEN:
		if (m->config->usr1_leaves)
			return "on this host workers cannot be told to: "
			    "reload";
		log_info("Asked to open the logs again");
		logs_reopen();
		crew_reopen(&m->crew);
	}
	return NULL;
}

/* --- the loop */

/* Who holds the other end lets go: that is how some hosts say stop. */
static void
leash_read(struct manager *m)
{
	char buf[512];
	ssize_t n = read(m->leash, buf, sizeof(buf));

	if (n > 0 || (n == -1 && (errno == EINTR || errno == EAGAIN)))
		return;
	m->leash = 0;
	log_info("The host has let go: stopping");
	stop_begin(m, STOP_GRACEFUL, SIGTERM);
}

/* Of two pauses, where -1 is for ever. */
static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void
wait_for_news(struct manager *m)
{
	struct pollfd pfd[2 + CTL_FDS] = {
		{ .fd = m->crew.bell[0], .events = POLLIN },
		{ .fd = m->leash > 0 ? m->leash : -1, .events = POLLIN },
	};
	struct timespec ts, *timeout = NULL;
	char buf[512];
	int ms, i;

	ms = sooner(crew_pause(&m->crew), notify_watchdog(clock_ms()));
	ms = sooner(ms, ctl_watch(&m->ctl, pfd + 2, clock_ms()));
	ms = sooner(ms, upgrade_pause(&m->upgrade));
	if (ms >= 0) {
		ts.tv_sec = ms / 1000;
		ts.tv_nsec = (long)(ms % 1000) * 1000000;
		timeout = &ts;
	}
	if (ppoll(pfd, 2 + CTL_FDS, timeout, m->crew.mask) <= 0)
		return;
	if (pfd[1].revents != 0)
		leash_read(m);
	/* Bounded: a worker that rings all the time must not hold us. */
	for (i = 0; i < DRAIN_MAX &&
	    read(m->crew.bell[0], buf, sizeof(buf)) == sizeof(buf); i++)
		;
}

static void
tell_ready(struct manager *m)
{
	if (m->told || m->stop != STOP_NOT ||
	    (!m->crew.ever_ready && m->crew.wanted > 0))
		return;
	m->told = true;
	upgrade_ready(&m->upgrade);
	if (m->upgrade.parent == 0)
		notify_send("READY=1\nSTATUS=Serving");
	if (m->config->ready != NULL && !m->config->ready(m->config->arg)) {
		m->status = EXIT_ERROR;
		stop_begin(m, STOP_GRACEFUL, SIGTERM);
	}
}

static void
loop(struct manager *m)
{
	pid_t parent;

	for (;;) {
		signals_serve(handle, m);
		reap(m);
		ctl_turn(&m->ctl, clock_ms());
		parent = m->upgrade.parent;
		if (upgrade_promoted(&m->upgrade))
			promote(m, parent);
		m->crew.shared = upgrade_shared(&m->upgrade);
		crew_tick(&m->crew, m->stop == STOP_NOT);
		tell_ready(m);
		if (m->stop == STOP_NOT) {
			if (reload_step(&m->reload))
				notify_send("READY=1\nSTATUS=Serving");
		} else if (crew_count(&m->crew, 0) == 0)
			return;
		wait_for_news(m);
	}
}

/* --- start and end */

static int
manager_start(struct manager *m, struct manager_config *config)
{
	struct inherit *in = config->inherit;
	size_t places, wanted;

	m->config = config;
	m->started = clock_ms();
	m->ctl = (struct ctl){ .status = status, .obey = obey, .arg = m };
	m->crew.ctl = &m->ctl;
	m->leash = config->leash;
	m->reload = (struct reload){ .crew = &m->crew, .config = config,
	    .applied = settings_applied, .arg = m, .probe = SLOT_NONE };
	m->upgrade = (struct upgrade){ .how = config->restart,
	    .cannot = config->no_restart, .parent = config->parent };
	m->crew.suffix = config->parent != 0 ? ".2" : "";
	m->crew.shared = config->parent != 0;
	m->crew.config = config;
	wanted = (size_t)settings_int(config->settings, SET_workers);
	places = 2 * wanted + PLACES_SPARE;
	if (places < PLACES_MIN)
		places = PLACES_MIN;
	m->crew.all = m->crew.current = generation_first(config->settings,
	    config->listeners);
	if (in != NULL && in->told != -1) {
		m->upgrade.told = in->told;
		m->upgrade.joined = in->handoff[0] != -1;
		in->told = -1;
	}
	m->crew.board = scoreboard_new(places,
	    in != NULL ? in->handoff : NULL);
	if (m->crew.current == NULL || m->crew.board == NULL ||
	    crew_init(&m->crew, places) == -1) {
		log_critical("cannot start: %s", strerror(errno));
		return -1;
	}
	memcpy(m->crew.bell, m->crew.board->bell, sizeof(m->crew.bell));
	memcpy(m->crew.handoff, m->crew.board->handoff,
	    sizeof(m->crew.handoff));
	return 0;
}

static void
manager_done(struct manager *m)
{
	struct crew *c = &m->crew;

	while (c->all != NULL)
		generation_drop(&c->all, c->all, m->config->settings,
		    !c->shared);
	/* Workers could write there; this is what it was. */
	if (c->board != NULL && c->places > 0) {
		c->board->places = c->places;
		memcpy(c->board->bell, c->bell, sizeof(c->bell));
		memcpy(c->board->handoff, c->handoff, sizeof(c->handoff));
	}
	scoreboard_free(c->board);
	crew_done(c);
	upgrade_done(&m->upgrade);
	ctl_close(&m->ctl);
	pidfile_delete(m->pidfile);
	free(m->pidfile);
}

int
manager_run(struct manager_config *config)
{
	struct manager m = { 0 };
	int status;

	if (manager_start(&m, config) == -1) {
		manager_done(&m);
		return EXIT_BUG;
	}
	/* Who reads the pid file may send us one. */
	m.crew.mask = signals_mask();
	signals_take(m.crew.bell[1]);
	if (pidfile_follow(&m, 0) == -1 || control_follow(&m) == -1) {
		signals_mute();
		manager_done(&m);
		signals_give_back();
		return EXIT_ERROR;
	}
	if (config->notify)
		notify_open();
	hook_mask(m.crew.mask);
	spawn_greeting(&m.crew);
	settings_apply(&m);
	if ((status = hook_server(APP_WHEN_READY)) == -1)
		loop(&m);
	else
		m.status = status;
	log_info("Shutting down: Master%s", m.crew.suffix);
	if (m.reason != NULL)
		log_error("Reason: %s", m.reason);
	signals_mute();
	manager_done(&m);
	if ((status = hook_server(APP_ON_EXIT)) != -1)
		m.status = status;
	hook_linger();
	hook_mask(NULL);
	notify_close();
	signals_end();
	if (config->lives_on)
		signals_give_back();
	return m.status;
}
