#include "config.h"

#include <sys/wait.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/clock.h"
#include "fcgi/command.h"
#include "fcgi/hook.h"
#include "fcgi/listeners.h"
#include "fcgi/scoreboard.h"

enum {
	LINGER_MS = 2000, LINGER_STEP_MS = 10,
	CODE_SIGNAL = 128	/* as a shell has it */
};

static const enum setting setting_of[APP_HOOKS] = {
	[APP_ON_STARTING] = SET_on_starting,
	[APP_ON_RELOAD] = SET_on_reload,
	[APP_WHEN_READY] = SET_when_ready,
	[APP_PRE_FORK] = SET_pre_fork,
	[APP_POST_FORK] = SET_post_fork,
	[APP_POST_WORKER_INIT] = SET_post_worker_init,
	[APP_WORKER_INT] = SET_worker_int,
	[APP_WORKER_ABORT] = SET_worker_abort,
	[APP_PRE_EXEC] = SET_pre_exec,
	[APP_PRE_REQUEST] = SET_pre_request,
	[APP_POST_REQUEST] = SET_post_request,
	[APP_CHILD_EXIT] = SET_child_exit,
	[APP_WORKER_EXIT] = SET_worker_exit,
	[APP_NWORKERS_CHANGED] = SET_nworkers_changed,
	[APP_ON_EXIT] = SET_on_exit,
};

enum how { HOW_NOT, HOW_PYTHON, HOW_COMMAND };
enum run { RUN_NOT, RUN_BEGUN, RUN_ENDED };

/* This process's. */
static struct hooks {
	const struct app_kind *python;
	const struct settings *settings;
	enum how	 how[APP_HOOKS];
	bool		 any_python;
	pid_t		 server;	/* the manager, or who is alone */
	pid_t		 parent;	/* whose place it is to take, or 0 */
	const sigset_t	*mask;
	size_t		 workers;
	bool		 told;		/* nworkers_changed, once at least */
	/* of a worker */
	const struct app_kind *kind;
	unsigned long	 age, limit;
	const struct place *place;
	void		(*wake)(void);
	_Atomic int	 run[APP_HOOKS];
} h;

/* --- what there is */

void
hook_interpreter_is(const struct app_kind *python)
{
	if (python->hook != NULL)
		h.python = python;
}

const struct app_kind *
hook_interpreter(void)
{
	return h.python;
}

/* A function of a gunicorn.conf.py is kept as "<name()>", which no shell
 * takes for a command. */
static enum how
how_of(const struct settings *s, enum app_hook what)
{
	const char *value = settings_string(s, setting_of[what]);
	size_t n;

	if (value == NULL)
		return HOW_NOT;
	n = strlen(value);
	if (value[0] != '<' || n < 5 || strcmp(value + n - 3, "()>") != 0)
		return HOW_COMMAND;
	return h.python != NULL ? HOW_PYTHON : HOW_NOT;
}

static int
python(struct app_event *e)
{
	sigset_t was;
	int rv;

	e->server = h.server;
	e->parent = h.parent;
	e->workers = h.workers;
	if (h.mask != NULL)
		(void)sigprocmask(SIG_SETMASK, h.mask, &was);
	rv = h.python->hook(e);
	if (h.mask != NULL)
		(void)sigprocmask(SIG_SETMASK, &was, NULL);
	return rv;
}

static void
python_settings(const struct listeners *ls)
{
	struct app_event e = { .what = APP_SETTINGS };
	struct app_listener *v = NULL;
	size_t i;

	if (ls != NULL && ls->n > 0)
		v = calloc(ls->n, sizeof(*v));
	for (i = 0; v != NULL && i < ls->n; i++)
		v[i] = (struct app_listener){ ls->v[i].name,
		    ls->v[i].nfds > 0 ? ls->v[i].fds[0] : -1 };
	e.listeners = v;
	e.nlisteners = v != NULL ? ls->n : 0;
	if (h.any_python)
		e.settings = h.settings;
	(void)python(&e);
	free(v);
}

void
hook_settings(const struct settings *s, const struct listeners *ls)
{
	bool before = h.any_python;
	size_t i;

	h.settings = s;
	if (h.server == 0)
		h.server = getpid();
	h.any_python = false;
	for (i = 0; i < APP_HOOKS; i++) {
		h.how[i] = s == NULL ? HOW_NOT : how_of(s, (enum app_hook)i);
		if (h.how[i] == HOW_PYTHON)
			h.any_python = true;
	}
	if (h.any_python || before)
		python_settings(ls);
}

void
hook_parent(pid_t pid)
{
	h.parent = pid;
}

static void
tell_python(enum app_hook what)
{
	struct app_event e = { .what = what };

	if (h.python != NULL)
		(void)python(&e);
}

void
hook_keep(void)
{
	tell_python(APP_KEEP);
}

void
hook_revert(void)
{
	tell_python(APP_REVERT);
}

bool
hook_wanted(enum app_hook what)
{
	return h.how[what] != HOW_NOT;
}

/* --- running them */

static void
command(enum app_hook what, struct command_facts *f)
{
	const char *name = setting_info(setting_of[what])->name;

	command_fact(f, "GANGWAY_EVENT=%s", name);
	command_fact(f, "GANGWAY_PID=%ld", (long)h.server);
	command_start(name, settings_string(h.settings, setting_of[what]), f);
}

static int
fire(struct app_event *e, struct command_facts *f)
{
	switch (h.how[e->what]) {
	case HOW_PYTHON:
		return python(e);
	case HOW_COMMAND:
		command(e->what, f);
		return -1;
	default:
		return -1;
	}
}

void
hook_mask(const sigset_t *mask)
{
	h.mask = mask;
}

int
hook_server(enum app_hook what)
{
	struct app_event e = { .what = what };
	struct command_facts f = { .n = 0 };

	if (h.how[what] == HOW_NOT)
		return -1;
	if (h.how[what] == HOW_COMMAND)
		command_fact(&f, "GANGWAY_NWORKERS=%zu", h.workers);
	return fire(&e, &f);
}

void
hook_workers(size_t n, bool always)
{
	struct app_event e = { .what = APP_NWORKERS_CHANGED, .before = -1 };
	struct command_facts f = { .n = 0 };

	if (!always && h.told && n == h.workers)
		return;
	if (h.told)
		e.before = (long)h.workers;
	h.workers = n;
	h.told = true;
	if (h.how[e.what] == HOW_COMMAND) {
		command_fact(&f, "GANGWAY_NWORKERS=%zu", n);
		if (e.before >= 0)
			command_fact(&f, "GANGWAY_NWORKERS_BEFORE=%ld",
			    e.before);
	}
	/* Python's objects know the number in any case. */
	if (h.how[e.what] != HOW_COMMAND && h.any_python)
		(void)python(&e);
	else
		(void)fire(&e, &f);
}

static void
worker_facts(struct command_facts *f, unsigned long age, pid_t pid)
{
	command_fact(f, "GANGWAY_WORKER_AGE=%lu", age);
	if (pid > 0)
		command_fact(f, "GANGWAY_WORKER_PID=%ld", (long)pid);
}

void
hook_pre_fork(unsigned long age, unsigned long limit)
{
	struct app_event e = { .what = APP_PRE_FORK, .age = age,
	    .limit = limit };
	struct command_facts f = { .n = 0 };

	if (h.any_python)
		(void)python(&e);
	else if (h.how[APP_PRE_FORK] == HOW_COMMAND) {
		worker_facts(&f, age, 0);
		command(APP_PRE_FORK, &f);
	}
}

void
hook_forked(unsigned long age, pid_t pid)
{
	struct app_event e = { .what = APP_FORKED, .age = age, .pid = pid };

	if (h.any_python)
		(void)python(&e);
}

void
hook_child_exit(unsigned long age, pid_t pid, int status, bool tell)
{
	struct app_event e = { .what = tell ? APP_CHILD_EXIT : APP_GONE,
	    .age = age, .pid = pid };
	struct command_facts f = { .n = 0 };

	if (h.any_python)
		(void)python(&e);
	else if (tell && h.how[APP_CHILD_EXIT] == HOW_COMMAND) {
		worker_facts(&f, age, pid);
		command_fact(&f, "GANGWAY_EXIT_STATUS=%d", WIFEXITED(status) ?
		    WEXITSTATUS(status) : CODE_SIGNAL + WTERMSIG(status));
		if (WIFSIGNALED(status))
			command_fact(&f, "GANGWAY_EXIT_SIGNAL=%d",
			    WTERMSIG(status));
		command(APP_CHILD_EXIT, &f);
	}
}

void
hook_reaped(pid_t pid, int status)
{
	command_ended(pid, status);
}

void
hook_linger(void)
{
	int tries = getpid() == 1 ? LINGER_MS / LINGER_STEP_MS : 0;

	while (tries-- > 0 && command_poll() != 0)
		clock_pause(LINGER_STEP_MS);
}

/* --- in a worker */

void
hook_worker(const struct app_kind *kind, unsigned long age,
    unsigned long limit, const struct place *place, void (*wake)(void))
{
	h.kind = kind;
	h.age = age;
	h.limit = limit;
	h.place = place;
	h.wake = wake;
	h.mask = NULL;
	command_forget();
}

int
hook_in_worker(enum app_hook what)
{
	struct app_event e = { .what = what, .age = h.age, .limit = h.limit,
	    .pid = getpid() };
	struct command_facts f = { .n = 0 };

	if (h.how[what] == HOW_COMMAND) {
		worker_facts(&f, h.age, e.pid);
		command_fact(&f, "GANGWAY_REQUESTS=%lu", hook_requests());
		command(what, &f);
		return -1;
	}
	/* The first news makes the object, whichever hooks there are. */
	if (h.any_python)
		return python(&e);
	return -1;
}

/* Is it for the main thread to run? */
static bool
for_main(enum app_hook what)
{
	/* An abort is one for worker_exit too: it unwinds the thread. */
	if (what == APP_WORKER_ABORT && h.how[what] == HOW_NOT)
		what = APP_WORKER_EXIT;
	return h.how[what] == HOW_PYTHON && h.kind == h.python;
}

void
hook_signal(enum app_hook what, int sig)
{
	if (for_main(what))
		h.python->interrupt(sig);
}

bool
hook_ran(enum app_hook what)
{
	if (for_main(what))
		return atomic_load(&h.run[what]) == RUN_ENDED;
	if (atomic_exchange(&h.run[what], RUN_ENDED) != RUN_ENDED &&
	    h.how[what] != HOW_NOT)
		(void)hook_in_worker(what);
	return true;
}

bool
hook_running(enum app_hook what)
{
	return atomic_load(&h.run[what]) == RUN_BEGUN;
}

void
hook_interrupted(enum app_hook what, bool ended)
{
	atomic_store(&h.run[what], ended ? RUN_ENDED : RUN_BEGUN);
	if (ended && h.wake != NULL)
		h.wake();
}

unsigned long
hook_requests(void)
{
	return h.place == NULL ? 0 :
	    (unsigned long)atomic_load(&h.place->done);
}

void
hook_tick(void)
{
	(void)command_poll();
}
