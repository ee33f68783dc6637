#include "config.h"

#include <sys/types.h>
#include <sys/wait.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/generation.h"
#include "fcgi/hook.h"
#include "fcgi/listener.h"
#include "fcgi/log.h"
#include "fcgi/manager.h"
#include "fcgi/pidfile.h"
#include "fcgi/scoreboard.h"
#include "fcgi/slot.h"
#include "fcgi/spawn.h"

enum {
	EXIT_ERROR = 1, EXIT_BUG = 255,
	PLACES_MIN = 256, PLACES_SPARE = 32,
	QUICK_MS = 2000,	/* for a stop that is asked for twice */
	DRAIN_MAX = 16,		/* reads from the bell in a turn */
	BIRTHS_MAX = 3,		/* a host that waits is told then */
};

enum stop { STOP_NOT, STOP_GRACEFUL, STOP_QUICK };

struct manager {
	struct manager_config *config;
	struct crew	 crew;
	struct generation *trial;	/* of a reload that is not sure yet */
	size_t		 probe;		/* place of its first worker */
	enum stop	 stop;
	int		 status;
	const char	*reason;	/* of a stop that nobody asked for */
	char		*pidfile;	/* as created, NULL: none */
	bool		 told;		/* config->ready() was called */
	unsigned int	 stillborn;	/* workers that never were ready */
	int		 leash;		/* 0: none, or it has ended */
};

/* Signals that are kept for us, in the order in which they are served. */
static const int wanted_signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT,
	SIGUSR1, SIGTTIN, SIGTTOU, SIGHUP, SIGUSR2, SIGWINCH };
enum { NSIGNALS = sizeof(wanted_signals) / sizeof(*wanted_signals) };

static atomic_int arrived[NSIG];
static volatile sig_atomic_t bell_rope = -1;	/* wakes our loop */

/* On any thread: hooks may have started some. */
static void
signal_arrived(int sig)
{
	int saved = errno;

	atomic_fetch_add(&arrived[sig], 1);
	if (bell_rope != -1)
		(void)!write(bell_rope, "", 1);
	errno = saved;
}

/* --- how many slots */

static size_t
slots_max(const struct manager *m)
{
	return (m->crew.places - PLACES_SPARE) / 2;
}

static void
set_wanted(struct manager *m, size_t n)
{
	struct crew *c = &m->crew;
	size_t i;
	char *why = NULL;

	if (n > slots_max(m)) {
		log_warning("%zu workers need a new start: there is room for "
		    "%zu", n, slots_max(m));
		n = slots_max(m);
	}
	if (listeners_grow(c->current->listeners, c->current->settings, n,
	    &why) == -1)
		log_error("%s", why != NULL ? why : "no memory");
	free(why);
	atomic_store(&c->board->slots, (unsigned int)n);
	for (i = n; i < c->wanted; i++)
		slot_dismiss(c, i);
	c->wanted = n;
	hook_workers(n, false);
}

/* What the crew must know of the settings now in force. */
static void
settings_apply(struct manager *m)
{
	const struct settings *s = m->crew.current->settings;

	m->crew.grace_ms =
	    (uint64_t)settings_int(s, SET_graceful_timeout) * 1000;
	m->crew.timeout_ms = (uint64_t)settings_int(s, SET_timeout) * 1000;
	set_wanted(m, (size_t)settings_int(s, SET_workers));
	spawn_title(&m->crew, "master");
}

/* --- the pid file */

/* 0, or -1 after a line in the log. */
static int
pidfile_follow(struct manager *m)
{
	const char *path = settings_string(m->crew.current->settings,
	    SET_pidfile);
	char *why = NULL;

	if (path != NULL && *path == '\0')
		path = NULL;
	if (path == m->pidfile || (path != NULL && m->pidfile != NULL &&
	    strcmp(path, m->pidfile) == 0))
		return 0;
	if (path != NULL && pidfile_create(path, &why) == -1) {
		log_error("%s", why != NULL ? why : "no memory");
		free(why);
		return -1;
	}
	pidfile_delete(m->pidfile);
	free(m->pidfile);
	m->pidfile = path == NULL ? NULL : strdup(path);
	return 0;
}

/* --- reload: a trial generation, one worker to prove it, then the rest */

static void
reload_abandon(struct manager *m, const char *why)
{
	struct crew *c = &m->crew;
	struct slot *s;

	if (m->trial == NULL)
		return;
	log_error("Reload abandoned: %s; the workers and settings stay as "
	    "they were", why);
	if (m->probe != SLOT_NONE) {
		s = &c->slots[c->procs[m->probe].slot];
		if (s->coming == m->probe)
			s->coming = SLOT_NONE;
		proc_leave(c, &c->procs[m->probe], SIGTERM);
	}
	m->probe = SLOT_NONE;
	hook_revert();
	hook_settings(c->current->settings, c->current->listeners);
	hook_workers(c->wanted, false);
	generation_drop(&c->all, m->trial, NULL, true);
	m->trial = NULL;
}

static void
reload_commit(struct manager *m)
{
	struct crew *c = &m->crew;
	const struct settings *before = c->current->settings;

	c->current = m->trial;
	m->trial = NULL;
	m->probe = SLOT_NONE;
	m->config->settings = c->current->settings;
	spawn_logs(before, c->current->settings);
	settings_apply(m);
	(void)pidfile_follow(m);	/* it has said why */
}

/* Start the worker that shows whether the new settings are any good. */
static void
reload_probe(struct manager *m)
{
	struct crew *c = &m->crew;
	struct slot *s = &c->slots[0];

	if (s->coming != SLOT_NONE) {
		proc_leave(c, &c->procs[s->coming], SIGTERM);
		s->coming = SLOT_NONE;
	}
	m->probe = slot_spawn(c, 0, m->trial);
	if (m->probe == SLOT_NONE)
		reload_abandon(m, "no worker could be started");
}

static void
logs_reopen(void)
{
	if (log_reopen() == -1)
		log_error("cannot open the error log again: %s",
		    strerror(errno));
	if (access_reopen() == -1)
		log_error("cannot open the access log again: %s",
		    strerror(errno));
}

static void
reload_begin(struct manager *m)
{
	struct crew *c = &m->crew;
	struct settings *s;
	char *why;

	log_info("Hang up: Master");
	logs_reopen();
	reload_abandon(m, "another one was asked for");
	if (m->config->reload == NULL)
		return;
	if ((s = m->config->reload(m->config->arg)) == NULL) {
		hook_revert();
		return;	/* it has said why */
	}
	if (settings_bool(s, SET_reuse_port) !=
	    settings_bool(c->current->settings, SET_reuse_port))
		log_warning("reuse_port of open sockets changes at the next "
		    "start only");
	m->trial = generation_add(&c->all, c->current, s, &why);
	if (m->trial == NULL) {
		log_error("Reload abandoned: %s", why != NULL ? why :
		    "no memory");
		free(why);
		hook_revert();
		return;
	}
	hook_settings(s, m->trial->listeners);
	hook_workers((size_t)settings_int(s, SET_workers), true);
	(void)hook_server(APP_ON_RELOAD);
	if (c->wanted == 0 || settings_int(s, SET_workers) == 0)
		reload_commit(m);
	else
		reload_probe(m);
}

/* Slots whose worker is older than the settings get a new one, some at a
 * time, so that a large application is not loaded by all at once. */
static void
reload_roll(struct manager *m)
{
	struct crew *c = &m->crew;
	size_t i, limit = c->wanted / 4 + 1, coming = 0;
	struct proc *p;

	for (i = 0; i < c->wanted; i++)
		if (c->slots[i].coming != SLOT_NONE)
			coming++;
	for (i = 0; i < c->wanted && coming < limit; i++) {
		if (c->slots[i].serving == SLOT_NONE ||
		    c->slots[i].coming != SLOT_NONE)
			continue;
		p = &c->procs[c->slots[i].serving];
		if (p->generation == c->current->number)
			continue;
		p->replace = true;
		coming++;
	}
}

/* Generations without a worker are over. */
static void
generations_prune(struct manager *m)
{
	struct generation *g, *next;

	for (g = m->crew.all; g != NULL; g = next) {
		next = g->older;
		if (g != m->crew.current && g != m->trial &&
		    crew_count(&m->crew, g->number) == 0)
			generation_drop(&m->crew.all, g, NULL, true);
	}
}

static void
reload_step(struct manager *m)
{
	struct crew *c = &m->crew;

	if (m->trial != NULL && c->procs[m->probe].state != PROC_BOOTING)
		reload_commit(m);
	reload_roll(m);
	if (c->all->older != NULL)
		generations_prune(m);
}

/* --- the end of workers and of all */

static void
stop_begin(struct manager *m, enum stop how, int sig)
{
	struct crew *c = &m->crew;
	struct generation *g;
	uint64_t limit;
	size_t i;

	if (m->stop != STOP_NOT && how == STOP_GRACEFUL)
		return;
	limit = now_ms() + (m->stop == STOP_NOT ? c->grace_ms : QUICK_MS);
	if (m->stop == STOP_NOT) {
		if (m->trial != NULL)
			reload_abandon(m, "the server stops");
		atomic_store(&c->board->stopping, true);
		c->wanted = 0;
		/* Ours only: the workers still empty their queues. */
		for (g = c->all; g != NULL; g = g->older)
			listeners_close(g->listeners, true);
	} else
		log_info("Quick shutdown requested");
	m->stop = how;
	for (i = 0; i < c->places; i++) {
		proc_leave(c, &c->procs[i], sig);
		if (c->procs[i].state == PROC_LEAVING &&
		    c->procs[i].deadline > limit)
			c->procs[i].deadline = limit;
	}
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
	bool booting, first;
	pid_t pid;

	/* One SIGCHLD may stand for several children, and for strangers. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if ((place = crew_find(c, pid)) == SLOT_NONE) {
			hook_reaped(pid, status);
			continue;
		}
		proc_look(c, place);
		age = c->procs[place].age;
		booting = c->procs[place].state == PROC_BOOTING;
		if (place == m->probe && !booting)
			reload_commit(m);
		slot_gone(c, place, status);
		if (place == m->probe) {
			m->probe = SLOT_NONE;
			reload_abandon(m, "the first new worker did not "
			    "become ready");
		}
		code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		first = booting && !c->ever_ready &&
		    (code == APP_BOOT || code == APP_LOAD);
		hook_child_exit(age, pid, status, !first);
		if (first)
			halt(m, code);
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
handle(struct manager *m, int sig)
{
	switch (sig) {
	case SIGCHLD:
		break;	/* the reaper runs anyway */
	case SIGTERM:
		stop_begin(m, STOP_GRACEFUL, SIGTERM);
		break;
	case SIGINT:
	case SIGQUIT:
		stop_begin(m, STOP_QUICK, SIGQUIT);
		break;
	case SIGHUP:
		if (m->stop == STOP_NOT)
			reload_begin(m);
		break;
	case SIGUSR1:
		if (m->config->usr1_leaves) {
			stop_begin(m, STOP_GRACEFUL, SIGTERM);
			break;
		}
		logs_reopen();
		crew_signal(&m->crew, SIGUSR1);
		break;
	case SIGTTIN:
		scale(m, 1);
		break;
	case SIGTTOU:
		scale(m, -1);
		break;
	default:
		log_warning("SIG%s does nothing in this version",
		    sigabbrev_np(sig));
	}
}

static void
signal_log(int sig)
{
	char name[16];
	size_t i;

	snprintf(name, sizeof(name), "%s", sigabbrev_np(sig));
	for (i = 0; name[i] != '\0'; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	if (sig == SIGCHLD)
		log_debug("Handling signal: %s", name);
	else
		log_info("Handling signal: %s", name);
}

static void
signals_serve(struct manager *m)
{
	size_t i;
	int n, sig;

	for (i = 0; i < NSIGNALS; i++) {
		sig = wanted_signals[i];
		n = atomic_exchange(&arrived[sig], 0);
		if (n > 1 && sig != SIGTTIN && sig != SIGTTOU)
			n = 1;
		while (n-- > 0) {
			signal_log(sig);
			handle(m, sig);
		}
	}
}

static void
signals_take(struct sigaction *before, sigset_t *mask)
{
	struct sigaction sa = { .sa_handler = signal_arrived };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	sigfillset(&sa.sa_mask);
	for (i = 0; i < NSIGNALS; i++)
		sigaddset(&set, wanted_signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, mask);
	for (i = 0; i < NSIGNALS; i++) {
		arrived[wanted_signals[i]] = 0;
		(void)sigaction(wanted_signals[i], &sa, &before[i]);
		/* Who started us may have blocked them; we need them. */
		sigdelset(mask, wanted_signals[i]);
	}
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
}

static void
signals_give_back(const struct sigaction *before, const sigset_t *mask)
{
	size_t i;

	for (i = 0; i < NSIGNALS; i++)
		(void)sigaction(wanted_signals[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
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

static void
wait_for_news(struct manager *m)
{
	struct pollfd pfd[2] = { { .fd = m->crew.bell, .events = POLLIN },
	    { .fd = m->leash > 0 ? m->leash : -1, .events = POLLIN } };
	struct timespec ts, *timeout = NULL;
	char buf[512];
	int ms, i;

	if ((ms = crew_pause(&m->crew)) >= 0) {
		ts.tv_sec = ms / 1000;
		ts.tv_nsec = (long)(ms % 1000) * 1000000;
		timeout = &ts;
	}
	if (ppoll(pfd, 2, timeout, m->crew.mask) <= 0)
		return;
	if (pfd[1].revents != 0)
		leash_read(m);
	/* Bounded: a worker that rings all the time must not hold us. */
	for (i = 0; i < DRAIN_MAX &&
	    read(m->crew.bell, buf, sizeof(buf)) == sizeof(buf); i++)
		;
}

static void
tell_ready(struct manager *m)
{
	if (m->told || !m->crew.ever_ready || m->stop != STOP_NOT)
		return;
	m->told = true;
	if (m->config->ready != NULL && !m->config->ready(m->config->arg)) {
		m->status = EXIT_ERROR;
		stop_begin(m, STOP_GRACEFUL, SIGTERM);
	}
}

static void
loop(struct manager *m)
{
	for (;;) {
		signals_serve(m);
		reap(m);
		crew_tick(&m->crew, m->stop == STOP_NOT);
		tell_ready(m);
		if (m->stop == STOP_NOT)
			reload_step(m);
		else if (crew_count(&m->crew, 0) == 0)
			return;
		wait_for_news(m);
	}
}

/* --- start and end */

static void
log_start(const struct manager *m)
{
	const struct listeners *ls = m->crew.current->listeners;
	const struct settings *s = m->crew.current->settings;
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
	log_info("Using worker: %s", settings_string(s, SET_worker_class));
	free(names);
}

static int
manager_start(struct manager *m, struct manager_config *config)
{
	size_t places, wanted;

	m->config = config;
	m->leash = config->leash;
	m->probe = SLOT_NONE;
	m->crew.config = config;
	wanted = (size_t)settings_int(config->settings, SET_workers);
	places = 2 * wanted + PLACES_SPARE;
	if (places < PLACES_MIN)
		places = PLACES_MIN;
	m->crew.all = m->crew.current = generation_first(config->settings,
	    config->listeners);
	m->crew.board = scoreboard_new(places);
	if (m->crew.current == NULL || m->crew.board == NULL ||
	    crew_init(&m->crew, places) == -1) {
		log_critical("cannot start: %s", strerror(errno));
		return -1;
	}
	m->crew.bell = m->crew.board->bell[0];
	return 0;
}

static void
manager_done(struct manager *m)
{
	struct crew *c = &m->crew;

	while (c->all != NULL)
		generation_drop(&c->all, c->all, m->config->settings, true);
	if (c->board != NULL) {
		/* Workers could write there; this is what it was. */
		c->board->places = c->places;
		c->board->bell[0] = c->bell;
	}
	scoreboard_free(c->board);
	crew_done(c);
	pidfile_delete(m->pidfile);
	free(m->pidfile);
}

int
manager_run(struct manager_config *config)
{
	struct sigaction before[NSIGNALS];
	struct manager m = { 0 };
	sigset_t mask;
	int status;

	if (manager_start(&m, config) == -1) {
		manager_done(&m);
		return EXIT_BUG;
	}
	if (pidfile_follow(&m) == -1) {
		manager_done(&m);
		return EXIT_ERROR;
	}
	m.crew.mask = &mask;
	bell_rope = m.crew.board->bell[1];
	signals_take(before, &mask);
	hook_mask(&mask);
	log_start(&m);
	settings_apply(&m);
	if ((status = hook_server(APP_WHEN_READY)) == -1)
		loop(&m);
	else
		m.status = status;
	log_info("Shutting down: Master");
	if (m.reason != NULL)
		log_error("Reason: %s", m.reason);
	bell_rope = -1;
	manager_done(&m);
	if ((status = hook_server(APP_ON_EXIT)) != -1)
		m.status = status;
	hook_linger();
	hook_mask(NULL);
	signals_give_back(before, &mask);
	return m.status;
}
