/*
 * The real manager in a world that has no time of its own: the clock is
 * held, workers are numbers, and what the manager does to them is written
 * down with the millisecond in which it did it. The kernel is what is
 * replaced (fork, kill, waitpid, ppoll and the like, by the linker's --wrap),
 * nothing of the manager's.
 *
 * A row is: the settings, what happens, and what the manager must do, no
 * more and no less. When it sleeps, the clock jumps to where it would wake
 * up or to the next thing that happens, so that a pause that is too long
 * shows as something done too late, and one that is too short as a turn for
 * nothing.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/clock.h"
#include "fcgi/crew.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "fcgi/manager.h"
#include "fcgi/scoreboard.h"
#include "fcgi/upgrade.h"
#include "fcgi/worker.h"
#include "t/lib/tap.h"

enum {
	START_MS = 1000000,	/* what the clock says when a row begins */
	PID_FIRST = 10000000,	/* the kernel gives no such number out */
	PARENT = 9999999,
	SIMS = 4096, CLIENTS = 8,
	TURNS_MAX = 200000,
	IDLE_MAX = 3		/* turns at one time in which nothing is */
};

#define NEVER	UINT64_MAX

/* A worker. */
struct sim {
	struct place	*place;
	bool		 ready, mute, reaped;
	uint64_t	 ready_at, dies_at;
	int		 status;	/* as waitpid(2) has it */
	long		 rss_mb;
};

static struct world {
	struct scoreboard *board;
	struct sim	 sim[SIMS];	/* from 1: its age */
	int		 n;
	const char	*script;	/* what has not happened yet */
	uint64_t	 end;		/* nobody looks any more from then on */
	long		 boot, leave, fail_ms, fail_code, rss_mb;
	bool		 numb;		/* SIGABRT ends nobody */
	int		 dice[4], ndice, thrown;
	pid_t		 parent;
	bool		 stalled;	/* nobody but the manager has run */
	bool		 over, lost;
	int		 turns, idle;
	int		 client[CLIENTS];
	char		 set[512];	/* what a reload reads */
	char		 trace[8192];
} w;

static char dir[] = "/tmp/gangway-time.XXXXXX";
static char log_path[64], ctl_path[64];

static uint64_t
now(void)
{
	return clock_ms() - START_MS;
}

/* " 1000:TERM2", and only the words where it is the same millisecond. */
static void __attribute__((format(printf, 1, 2)))
note(const char *fmt, ...)
{
	static uint64_t last;
	size_t n = strlen(w.trace);
	va_list ap;

	if (w.over || n > sizeof(w.trace) - 100)
		return;
	if (n == 0 || last != now())
		n += (size_t)snprintf(w.trace + n, 32, "%s%llu:",
		    n > 0 ? " " : "", (unsigned long long)now());
	else
		n += (size_t)snprintf(w.trace + n, 2, ",");
	last = now();
	va_start(ap, fmt);
	vsnprintf(w.trace + n, 64, fmt, ap);
	va_end(ap);
}

/* --- the kernel's side; names are the linker's */

pid_t	__real_spawn_worker(const struct crew *, struct generation *, size_t,
	    size_t);
pid_t	__wrap_spawn_worker(const struct crew *, struct generation *, size_t,
	    size_t);
pid_t	__wrap_fork(void);
int	__real_kill(pid_t, int);
int	__wrap_kill(pid_t, int);
pid_t	__real_waitpid(pid_t, int *, int);
pid_t	__wrap_waitpid(pid_t, int *, int);
pid_t	__wrap_getppid(void);
int	__real_ppoll(struct pollfd *, nfds_t, const struct timespec *,
	    const sigset_t *);
int	__wrap_ppoll(struct pollfd *, nfds_t, const struct timespec *,
	    const sigset_t *);
int	__real_open(const char *, int, ...);
int	__wrap_open(const char *, int, ...);
uint32_t __wrap_arc4random_uniform(uint32_t);
bool	__real_upgrade_promoted(struct upgrade *);
bool	__wrap_upgrade_promoted(struct upgrade *);
ssize_t	__wrap_sendto(int, const void *, size_t, int, const struct sockaddr *,
	    socklen_t);

static struct sim *
sim_of(pid_t pid)
{
	int i = pid - PID_FIRST;

	return i >= 1 && i <= w.n ? &w.sim[i] : NULL;
}

/* 0 where it cannot be. */
pid_t
__wrap_fork(void)
{
	if (w.n == SIMS - 1)
		exit(99);
	w.n++;
	w.sim[w.n] = (struct sim){ .ready_at = NEVER, .dies_at = NEVER,
	    .rss_mb = w.rss_mb };
	if (w.fail_ms >= 0) {
		w.sim[w.n].dies_at = now() + (uint64_t)w.fail_ms;
		w.sim[w.n].status = (int)w.fail_code << 8;
	} else if (w.boot >= 0)
		w.sim[w.n].ready_at = now() + (uint64_t)w.boot;
	return PID_FIRST + w.n;
}

pid_t
__wrap_spawn_worker(const struct crew *c, struct generation *g, size_t place,
    size_t slot)
{
	pid_t pid = __real_spawn_worker(c, g, place, slot);
	unsigned int i;
	char marks[8] = "";

	w.board = c->board;
	w.sim[w.n].place = &c->board->place[place];
	i = atomic_load(&c->board->place[place].generation);
	snprintf(marks, sizeof(marks), "%.*s", (int)(i < 7 ? i : 7) - 1,
	    "''''''");
	note("+%d%s", w.n, marks);
	return pid;
}

/* It ends after so many milliseconds, unless it does so sooner. */
static void
sim_end(struct sim *s, uint64_t ms, int status)
{
	if (s->dies_at <= now() + ms)
		return;
	s->dies_at = now() + ms;
	s->status = status;
}

int
__wrap_kill(pid_t pid, int sig)
{
	struct sim *s = sim_of(pid);

	if (s == NULL)
		return __real_kill(pid, sig);
	note("%s%d", sigabbrev_np(sig), pid - PID_FIRST);
	if (sig == SIGKILL)
		sim_end(s, 0, SIGKILL);
	else if (sig == SIGABRT && !w.numb)
		sim_end(s, 0, SIGABRT);
	else if ((sig == SIGTERM || sig == SIGQUIT) && w.leave >= 0)
		sim_end(s, (uint64_t)w.leave, 0);
	return 0;
}

pid_t
__wrap_waitpid(pid_t pid, int *status, int flags)
{
	int i;

	if (pid != -1)
		return __real_waitpid(pid, status, flags);
	for (i = 1; i <= w.n; i++)
		if (!w.sim[i].reaped && w.sim[i].dies_at <= now()) {
			w.sim[i].reaped = true;
			*status = w.sim[i].status;
			return PID_FIRST + i;
		}
	return 0;
}

pid_t
__wrap_getppid(void)
{
	return w.parent;
}

/* What a worker has of memory. */
int
__wrap_open(const char *path, int flags, ...)
{
	struct sim *s;
	mode_t mode;
	va_list ap;
	int fd, pid;

	if (sscanf(path, "/proc/%d/statm", &pid) == 1 &&
	    (s = sim_of(pid)) != NULL) {
		if ((fd = memfd_create("statm", MFD_CLOEXEC)) == -1)
			exit(99);
		dprintf(fd, "999999 %ld 0 0 0 0 0\n", s->rss_mb * (1 << 20) /
		    sysconf(_SC_PAGESIZE));
		(void)lseek(fd, 0, SEEK_SET);
		return fd;
	}
	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(ap, int) : 0;
	va_end(ap);
	return __real_open(path, flags, mode);
}

/* Percent of the way, one after the other; else the middle. */
uint32_t
__wrap_arc4random_uniform(uint32_t upper)
{
	uint64_t part = w.ndice > 0 ?
	    (uint64_t)w.dice[w.thrown++ % w.ndice] : 50;
	uint64_t n = (upper * part + 99) / 100;

	return (uint32_t)(n < upper ? n : upper - 1);
}

bool
__wrap_upgrade_promoted(struct upgrade *u)
{
	bool so = __real_upgrade_promoted(u);

	if (so)
		note("promoted");
	return so;
}

/* The service manager's socket. */
ssize_t
__wrap_sendto(int fd, const void *data, size_t n, int flags,
    const struct sockaddr *to, socklen_t len)
{
	const char *text = data;

	(void)fd, (void)flags, (void)to, (void)len;
	note("%.*s", (int)strcspn(text, "=\n"), text);
	return (ssize_t)n;
}

/* --- what happens */

static void
client_come(const char *says)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int i, fd;

	for (i = 0; w.client[i] != 0; i++)
		if (i == CLIENTS - 1)
			exit(99);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", ctl_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1)
		exit(99);
	(void)send(fd, says, strlen(says), MSG_NOSIGNAL);
	w.client[i] = fd;
}

/* What they are told: the state, and how old all and the worker are. */
static void
answer(int i, const char *text, size_t n)
{
	json_t *j = json_loadb(text, n, 0, NULL);
	const char *state = "?";
	double up = -1, worker_up = -1, beat = -1;

	(void)json_unpack(j, "{s:s, s:F, s:[{s?F, s?F}]}", "state", &state,
	    "uptime", &up, "workers", "uptime", &worker_up, "heartbeat",
	    &beat);
	note("%s%d(%.1f,%.1f,%.1f)", state, i + 1, up, worker_up, beat);
	json_decref(j);
}

static void
clients_look(void)
{
	char buf[4096];
	ssize_t n;
	int i;

	for (i = 0; i < CLIENTS; i++) {
		if (w.client[i] == 0)
			continue;
		n = recv(w.client[i], buf, sizeof(buf) - 1, 0);
		if (n == -1 && errno == EAGAIN)
			continue;
		if (n > 0)
			answer(i, buf, (size_t)n);
		else
			note("cut%d", i + 1);
		close(w.client[i]);
		w.client[i] = 0;
	}
}

static void
sim_ready(struct sim *s)
{
	s->ready = true;
	atomic_store(&s->place->state, PLACE_READY);
	scoreboard_ring(w.board);
}

/* Verbs with a worker, and a number where they have one. The bell is rung
 * where a worker does so; the rest is seen at the next look. */
static bool
to_one(const char *verb, int who, long n)
{
	struct sim *s = &w.sim[who];

	if (who < 1 || who > w.n || s->reaped)
		return false;
	if (strcmp(verb, "exit") == 0)
		sim_end(s, 0, (int)n << 8);
	else if (strcmp(verb, "killed") == 0)
		sim_end(s, 0, (int)n);
	else if (strcmp(verb, "mute") == 0)
		s->mute = true;
	else if (strcmp(verb, "rss") == 0)
		s->rss_mb = n;
	else if (strcmp(verb, "calm") == 0)
		atomic_store(&s->place->busy, 1);
	else if (strcmp(verb, "busy") == 0) {
		atomic_store(&s->place->busy, (unsigned int)n);
		scoreboard_ring(w.board);
	} else if (strcmp(verb, "retire") == 0)
		atomic_store(&s->place->wants, WANT_RETIRE);
	else if (strcmp(verb, "stuck") == 0) {
		atomic_store(&s->place->wants, WANT_KILL);
		scoreboard_ring(w.board);
	} else if (strcmp(verb, "leaves") == 0)
		atomic_store(&s->place->state, PLACE_LEAVING);
	else
		return false;
	return true;
}

/* Verbs about all of them, from now on. */
static bool
to_all(const char *verb, long a, long b)
{
	if (strcmp(verb, "boot") == 0) {
		w.boot = a;	/* ready after so long, -1: never */
		w.fail_ms = -1;
	} else if (strcmp(verb, "fail") == 0) {
		w.fail_ms = a;	/* the end after so long, with that code */
		w.fail_code = b;
	} else if (strcmp(verb, "leave") == 0)
		w.leave = a;	/* how long it takes, -1: they are deaf */
	else if (strcmp(verb, "large") == 0)
		w.rss_mb = a;	/* what they have of memory */
	else if (strcmp(verb, "numb") == 0)
		w.numb = true;
	else if (strcmp(verb, "stall") == 0) {
		clock_move((uint64_t)a);	/* the machine stops */
		w.stalled = true;
	} else if (strcmp(verb, "orphan") == 0)
		w.parent = 1;
	else if (strcmp(verb, "half") == 0)
		client_come("{\"command\": ");
	else if (strcmp(verb, "asks") == 0)
		client_come("{\"command\": \"status\"}\n");
	else
		return false;
	return true;
}

static void
happen(const char *text)
{
	static const char *const names[] = { "TERM", "INT", "QUIT", "HUP",
		"TTIN", "TTOU", "USR1", "WINCH" };
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP,
		SIGTTIN, SIGTTOU, SIGUSR1, SIGWINCH };
	char verb[32] = "";
	long a = 0, b = 0;
	size_t i;

	(void)sscanf(text, "%31[^ ;] %ld %ld", verb, &a, &b);
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (strcmp(verb, names[i]) == 0) {
			(void)__real_kill(getpid(), signals[i]);
			return;
		}
	if (strcmp(verb, "set") == 0) {
		snprintf(w.set, sizeof(w.set), "%.*s",
		    (int)strcspn(text + 4, ";"), text + 4);
		return;
	}
	if (strcmp(verb, "dice") == 0) {
		w.thrown = 0;
		w.ndice = sscanf(text, "dice %d %d %d %d", &w.dice[0],
		    &w.dice[1], &w.dice[2], &w.dice[3]);
		return;
	}
	if (!to_all(verb, a, b) && !to_one(verb, (int)a, b)) {
		note("NO SUCH: %.20s", text);
		w.lost = true;
	}
}

static uint64_t
script_next(void)
{
	return *w.script == '\0' ? NEVER : strtoull(w.script, NULL, 10);
}

static uint64_t
world_next(void)
{
	uint64_t next = script_next();
	int i;

	for (i = 1; i <= w.n; i++) {
		if (w.sim[i].reaped)
			continue;
		if (!w.sim[i].ready && w.sim[i].ready_at < next)
			next = w.sim[i].ready_at;
		if (w.sim[i].dies_at < next)
			next = w.sim[i].dies_at;
	}
	return next < w.end || w.over ? next : w.end;
}

/* All that is due; a stall makes the rest of it late. */
static void
world_turn(void)
{
	const char *text;
	bool dead = false;
	int i;

	w.stalled = false;
	while (!w.stalled && script_next() <= now()) {
		text = strchr(w.script, ' ');
		w.script += strcspn(w.script, ";");
		w.script += strspn(w.script, "; ");
		happen(text + 1);
	}
	if (!w.over && now() >= w.end) {
		w.over = true;
		w.leave = 0;
		(void)__real_kill(getpid(), SIGTERM);
	}
	if (w.stalled)
		return;
	for (i = 1; i <= w.n; i++) {
		if (w.sim[i].reaped)
			continue;
		if (w.over)
			sim_end(&w.sim[i], 0, 0);
		if (w.sim[i].dies_at <= now())
			dead = true;
		else if (!w.sim[i].ready && w.sim[i].ready_at <= now())
			sim_ready(&w.sim[i]);
		if (w.sim[i].ready && !w.sim[i].mute)
			atomic_store(&w.sim[i].place->heartbeat_ms,
			    clock_ms());
	}
	if (dead)
		(void)__real_kill(getpid(), SIGCHLD);
}

int
__wrap_ppoll(struct pollfd *pfd, nfds_t n, const struct timespec *ts,
    const sigset_t *mask)
{
	static const struct timespec none;
	uint64_t next, wake = NEVER;
	int rc;

	clients_look();
	if (w.turns++ == TURNS_MAX) {
		printf("Bail out! it spins: %s\n", w.trace);
		exit(99);
	}
	if ((rc = __real_ppoll(pfd, n, &none, mask)) != 0)
		return rc;
	if (ts != NULL)
		wake = now() + (uint64_t)ts->tv_sec * 1000 +
		    (uint64_t)ts->tv_nsec / 1000000;
	if (wake > now())
		w.idle = 0;
	else if (++w.idle > IDLE_MAX)
		w.lost = true;
	/* Not all that happens is news for the manager. */
	do {
		if ((next = world_next()) == NEVER && wake == NEVER) {
			printf("Bail out! it sleeps for ever: %s\n",
			    w.trace);
			exit(99);
		}
		if (next > wake)
			next = wake;
		if (next > now())
			clock_move(next - now());
		world_turn();
		rc = __real_ppoll(pfd, n, &none, mask);
	} while (rc == 0 && now() < wake);
	return rc;
}

/* It is never run: nothing is forked. */
int
worker_run(const struct worker *worker)
{
	(void)worker;
	exit(99);
}

/* --- the rows */

static bool
set_all(struct settings *s, const char *text)
{
	char word[256], *why = NULL, *eq;
	int used;

	for (; sscanf(text, " %255s%n", word, &used) == 1; text += used) {
		if ((eq = strchr(word, '=')) == NULL)
			return false;
		*eq = '\0';
		if (settings_set(s, setting_find(word), eq + 1, "test",
		    &why) == -1) {
			printf("# %s: %s\n", word, why);
			free(why);
			return false;
		}
	}
	return true;
}

static struct settings *
reread(void *first)
{
	struct settings *s = settings_copy(first);

	if (!set_all(s, w.set))
		exit(99);
	return s;
}

static void
reloaded(void *first, bool used)
{
	(void)first;
	note("%s", used ? "used" : "given-up");
}

static bool
ready(void *first)
{
	(void)first;
	note("told");
	return true;
}

struct row {
	const char	*name, *settings, *script, *trace;
	uint64_t	 end;
	enum { PLAIN, HOSTED, HEIR, SYSTEMD, CONTROL } under;
	const char	*says;		/* a line of the log */
};

static bool
logged(const char *text)
{
	static char all[1 << 20];
	FILE *f = fopen(log_path, "r");
	size_t n = 0;

	if (f != NULL) {
		n = fread(all, 1, sizeof(all) - 1, f);
		fclose(f);
	}
	all[n] = '\0';
	return strstr(all, text) != NULL;
}

static void
world_begin(const struct row *r)
{
	memset(&w, 0, sizeof(w));
	w.script = r->script;
	w.end = r->end;
	w.boot = 0;
	w.leave = 0;
	w.fail_ms = -1;
	w.parent = r->under == HEIR ? PARENT : 1;
	clock_hold(START_MS);
	/* What it is from the first moment on. */
	if (script_next() == 0)
		world_turn();
	(void)unlink(log_path);
	(void)log_open(log_path, "debug", false);
	if (r->under == SYSTEMD) {
		setenv("NOTIFY_SOCKET", "@nobody", 1);
		setenv("WATCHDOG_USEC", "2000000", 1);
	}
}

static void
run_row(const struct row *r)
{
	struct settings *s = settings_new(), *first;
	struct listeners ls = { 0 };
	struct manager_config c = { 0 };
	char *why = NULL;
	int status, i;

	world_begin(r);
	if (!set_all(s, "bind=127.0.0.1:0 timeout=0 graceful_timeout=5 "
	    "max_requests=0 control_socket_disable=true workers=1") ||
	    (r->settings != NULL && !set_all(s, r->settings)) ||
	    listeners_open(&ls, s, 1, &why) == -1)
		exit(99);
	if (r->under == CONTROL && (settings_set(s, SET_control_socket,
	    ctl_path, "test", &why) == -1 ||
	    !set_all(s, "control_socket_disable=false")))
		exit(99);
	first = settings_copy(s);
	c = (struct manager_config){ .settings = s, .listeners = &ls,
	    .reload = reread, .reloaded = reloaded, .arg = first,
	    .lives_on = true, .notify = r->under == SYSTEMD,
	    .ready = r->under == HOSTED ? ready : NULL,
	    .parent = r->under == HEIR ? PARENT : 0 };
	status = manager_run(&c);
	note("end=%d", status);
	ok(strcmp(w.trace, r->trace) == 0 && !w.lost &&
	    (r->says == NULL || logged(r->says)), "%s", r->name);
	if (strcmp(w.trace, r->trace) != 0 || w.lost)
		printf("# %s\n# %s (wanted)\n%s", w.trace, r->trace, w.lost ?
		    "# it spins, or the script is not understood\n" : "");
	for (i = 0; i < CLIENTS; i++)
		if (w.client[i] != 0)
			close(w.client[i]);
	listeners_close(&ls, true);
	settings_free(c.settings);
	settings_free(first);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
}

static const struct row rows[] = {
	/* --- the start */
	{ .name = "start: the first goes ahead", .settings = "workers=3",
	    .script = "0 boot 100", .end = 1000,
	    .trace = "0:+1 100:+2,+3" },
	{ .name = "start: what cannot boot ends it",
	    .settings = "workers=3", .script = "0 fail 50 3", .end = 9000,
	    .trace = "0:+1 50:end=3", .says = "Worker failed to boot." },
	{ .name = "start: what cannot be loaded ends it",
	    .settings = "workers=3", .script = "0 fail 50 4", .end = 9000,
	    .trace = "0:+1 50:end=4", .says = "App failed to load." },
	{ .name = "start: later such ends are deaths like others",
	    .script = "500 exit 1 3; 1600 exit 2 4", .end = 2000,
	    .trace = "0:+1 500:+2 1600:+3" },
	{ .name = "start: who waits is told with the first",
	    .settings = "workers=2", .script = "0 boot 100", .end = 2000,
	    .under = HOSTED, .trace = "0:+1 100:+2,told" },
	{ .name = "start: who waits hears of the third death",
	    .settings = "workers=2", .script = "0 fail 10 9", .end = 9000,
	    .under = HOSTED, .trace = "0:+1 10:+2 110:+3 120:end=3" },

	/* --- the back-off */
	{ .name = "back-off: each step, and the longest",
	    .script = "0 fail 0 1", .end = 17000,
	    .trace = "0:+1 100:+2 300:+3 700:+4 1500:+5 3100:+6 6300:+7 "
	    "11300:+8 16300:+9" },
	{ .name = "back-off: the first early death is free",
	    .script = "500 exit 1 1; 600 exit 2 1; 800 exit 3 1; "
	    "1100 exit 4 1", .end = 2000,
	    .trace = "0:+1 500:+2 700:+3 1000:+4 1500:+5" },
	{ .name = "back-off: a life of 999 ms is an early death",
	    .script = "100 exit 1 1; 1099 exit 2 1", .end = 2000,
	    .trace = "0:+1 100:+2 1199:+3" },
	{ .name = "back-off: one of 1000 ms is none, and all is forgotten",
	    .script = "100 exit 1 1; 200 exit 2 1; 1300 exit 3 1; "
	    "1400 exit 4 1; 1500 exit 5 1", .end = 2000,
	    .trace = "0:+1 100:+2 300:+3 1300:+4 1400:+5 1600:+6" },
	{ .name = "back-off: forgotten too when a healthy one is replaced",
	    .script = "100 exit 1 1; 200 exit 2 1; 1300 retire 3; "
	    "1300 busy 3 0; 1400 exit 4 1", .end = 2000,
	    .trace = "0:+1 100:+2 300:+3 1300:+4,TERM3 1400:+5" },
	{ .name = "back-off: a successor that fails; the old one serves on",
	    .script = "1000 fail 0 1; 1000 retire 1; 1000 busy 1 0; "
	    "1250 boot 0", .end = 2000,
	    .trace = "0:+1 1000:+2 1100:+3 1300:+4,TERM1" },
	{ .name = "back-off: of one slot, not of the other",
	    .settings = "workers=2", .script = "0 boot 0; 100 exit 1 1; "
	    "200 exit 3 1; 210 exit 2 1", .end = 1000,
	    .trace = "0:+1,+2 100:+3 210:+4 300:+5" },
	{ .name = "back-off: by signals the same",
	    .script = "500 killed 1 11; 600 killed 2 9", .end = 2000,
	    .trace = "0:+1 500:+2 700:+3",
	    .says = "was sent SIGKILL! Perhaps out of memory?" },

	/* --- boot_timeout */
	{ .name = "boot_timeout: the first is aborted, and all ends",
	    .settings = "workers=2 boot_timeout=2", .script = "0 boot -1",
	    .end = 9000, .trace = "0:+1 2000:ABRT1,end=3",
	    .says = "was not ready in time (boot_timeout)" },
	{ .name = "boot_timeout: killed when that does not help",
	    .settings = "boot_timeout=2", .script = "0 boot -1; 0 numb",
	    .end = 9000, .trace = "0:+1 2000:ABRT1 3000:KILL1,end=3" },
	{ .name = "boot_timeout: ready at the last moment",
	    .settings = "boot_timeout=2", .script = "0 boot 2000",
	    .end = 9000, .trace = "0:+1" },
	{ .name = "boot_timeout: ready a moment later",
	    .settings = "boot_timeout=2", .script = "0 boot 2001",
	    .end = 9000, .trace = "0:+1 2000:ABRT1,end=3" },
	{ .name = "boot_timeout: 0 is no limit", .script = "0 boot 86400000",
	    .end = 99000000, .trace = "0:+1" },
	{ .name = "boot_timeout: who hangs later is tried again",
	    .settings = "boot_timeout=2",
	    .script = "1000 boot -1; 1000 exit 1 1", .end = 6000,
	    .trace = "0:+1 1000:+2 3000:ABRT2 3100:+3 5100:ABRT3 5300:+4" },
	{ .name = "boot_timeout: until it is well",
	    .settings = "boot_timeout=1", .script = "1000 boot -1; "
	    "1000 exit 1 1; 2050 boot 0; 2500 busy 3 1", .end = 6000,
	    .trace = "0:+1 1000:+2 2000:ABRT2 2100:+3" },
	{ .name = "boot_timeout: the time in which all stood does not count",
	    .settings = "boot_timeout=2", .script = "0 boot -1; "
	    "500 stall 10000", .end = 99000,
	    .trace = "0:+1 12500:ABRT1,end=3" },
	{ .name = "boot_timeout: a quarter of a second is no such time",
	    .settings = "boot_timeout=2", .script = "0 boot -1; "
	    "1001 stall 1249", .end = 99000,
	    .trace = "0:+1 2250:ABRT1,end=3" },
	{ .name = "boot_timeout: more than that is",
	    .settings = "boot_timeout=2", .script = "0 boot -1; "
	    "1001 stall 1250", .end = 99000,
	    .trace = "0:+1 3251:ABRT1,end=3" },

	/* --- the heartbeat */
	{ .name = "timeout: silence of just so long is none",
	    .settings = "timeout=3", .script = "1 mute 1", .end = 4000,
	    .trace = "0:+1" },
	{ .name = "timeout: a moment longer, and it is replaced and aborted",
	    .settings = "timeout=3", .script = "1 mute 1; 3001 busy 1 0",
	    .end = 9000, .trace = "0:+1 3001:ABRT1,+2",
	    .says = "[CRITICAL] WORKER TIMEOUT (pid:10000001)" },
	{ .name = "timeout: looked at each second",
	    .settings = "timeout=3", .script = "1 mute 1", .end = 9000,
	    .trace = "0:+1 4000:ABRT1,+2" },
	{ .name = "timeout: killed a second later",
	    .settings = "timeout=3", .script = "0 numb; 1 mute 1",
	    .end = 9000, .trace = "0:+1 4000:ABRT1,+2 5000:KILL1" },
	{ .name = "timeout: from ready on, where there never was a beat",
	    .settings = "timeout=3", .script = "0 boot 100; 50 mute 1",
	    .end = 9000, .trace = "0:+1 4100:ABRT1,+2" },
	{ .name = "timeout: does not mean who boots",
	    .settings = "timeout=3", .script = "0 boot 60000",
	    .end = 70000, .trace = "0:+1" },
	{ .name = "timeout: nor who is told to leave while it boots",
	    .settings = "timeout=3", .script = "0 leave 2000; "
	    "1000 boot -1; 1000 TTIN; 1500 TTOU", .end = 9000,
	    .trace = "0:+1 1000:+2 1500:TERM2" },
	{ .name = "timeout: 0 is no limit", .script = "1 mute 1",
	    .end = 9000000, .trace = "0:+1" },
	{ .name = "timeout: who is to leave is watched too",
	    .settings = "timeout=3 graceful_timeout=30",
	    .script = "0 leave -1; 1 mute 1; 1000 TERM", .end = 60000,
	    .trace = "0:+1 1000:TERM1 4000:ABRT1,end=0" },
	{ .name = "timeout: where all stood, nobody was silent",
	    .settings = "workers=3 timeout=3", .script = "1500 stall 60000",
	    .end = 99000, .trace = "0:+1,+2,+3" },
	{ .name = "timeout: but who still is has as long as before",
	    .settings = "timeout=3", .script = "1500 mute 1; "
	    "1500 stall 60000", .end = 99000,
	    .trace = "0:+1 65500:ABRT1,+2" },

	/* --- a thread that is stuck */
	{ .name = "stuck: a successor, and SIGABRT when the rest is done",
	    .script = "0 leave -1; 1000 stuck 1", .end = 9000,
	    .trace = "0:+1 1000:+2,TERM1 1100:ABRT1" },
	{ .name = "stuck: the rest has its time",
	    .script = "0 leave -1; 1000 busy 1 2; 1000 stuck 1; "
	    "3050 busy 1 1", .end = 9000,
	    .trace = "0:+1 1000:+2,TERM1 3150:ABRT1" },
	{ .name = "stuck: no longer than graceful_timeout",
	    .script = "0 leave -1; 1000 busy 1 2; 1000 stuck 1",
	    .end = 9000, .trace = "0:+1 1000:+2,TERM1 6000:ABRT1" },
	{ .name = "stuck: killed when that does not help",
	    .script = "0 leave -1; 0 numb; 1000 stuck 1", .end = 9000,
	    .trace = "0:+1 1000:+2,TERM1 1100:ABRT1 2100:KILL1" },
	{ .name = "stuck: looked at ten times a second, without a bell",
	    .script = "0 leave -1; 1000 busy 1 2; 1000 stuck 1; "
	    "2010 calm 1", .end = 9000,
	    .trace = "0:+1 1000:+2,TERM1 2200:ABRT1" },
	{ .name = "leaves by itself: a successor at once, and a limit",
	    .script = "0 leave -1; 1000 leaves 1; 1000 busy 1 0",
	    .end = 9000, .trace = "0:+1 1000:+2 6000:KILL1" },

	/* --- graceful_timeout */
	{ .name = "stop: when the last has left",
	    .settings = "workers=2", .script = "0 leave 300; 1000 TERM",
	    .end = 9000, .trace = "0:+1,+2 1000:TERM1,TERM2 1300:end=0" },
	{ .name = "stop: who does not leave is killed",
	    .script = "0 leave -1; 1000 TERM", .end = 9000,
	    .trace = "0:+1 1000:TERM1 6000:KILL1,end=0" },
	{ .name = "stop: a second TERM changes nothing",
	    .script = "0 leave -1; 1000 TERM; 3000 TERM", .end = 9000,
	    .trace = "0:+1 1000:TERM1 6000:KILL1,end=0" },
	{ .name = "stop: by QUIT, with the same limit",
	    .script = "0 leave -1; 1000 QUIT", .end = 9000,
	    .trace = "0:+1 1000:QUIT1 6000:KILL1,end=0" },
	{ .name = "stop: asked for twice, two seconds more",
	    .script = "0 leave -1; 1000 TERM; 1500 INT", .end = 9000,
	    .trace = "0:+1 1000:TERM1 1500:QUIT1 3500:KILL1,end=0",
	    .says = "Quick shutdown requested" },
	{ .name = "stop: and never longer than before",
	    .script = "0 leave -1; 1000 TERM; 5500 INT", .end = 9000,
	    .trace = "0:+1 1000:TERM1 5500:QUIT1 6000:KILL1,end=0" },
	{ .name = "stop: nobody is started any more",
	    .settings = "workers=2", .script = "0 leave 500; 1000 TERM; "
	    "1100 exit 1 1", .end = 9000,
	    .trace = "0:+1,+2 1000:TERM1,TERM2 1500:end=0" },
	{ .name = "fewer: one is told, and killed in the end",
	    .settings = "workers=2", .script = "0 leave -1; 1000 TTOU",
	    .end = 9000, .trace = "0:+1,+2 1000:TERM2 6000:KILL2" },
	{ .name = "fewer: the last one stays", .settings = "workers=2",
	    .script = "1000 TTOU; 2000 TTOU", .end = 9000,
	    .trace = "0:+1,+2 1000:TERM2" },
	{ .name = "more: at once", .script = "1000 TTIN; 2000 TTIN",
	    .end = 9000, .trace = "0:+1 1000:+2 2000:+3" },

	/* --- recycling */
	{ .name = "max_lifetime: over and over",
	    .settings = "max_lifetime=10 max_lifetime_jitter=0",
	    .script = "0 boot 0", .end = 29000,
	    .trace = "0:+1 10000:+2,TERM1 20000:+3,TERM2",
	    .says = "has served for 10 s (max_lifetime)" },
	{ .name = "max_lifetime: counts from ready, the old one serves on",
	    .settings = "max_lifetime=10 max_lifetime_jitter=0",
	    .script = "0 boot 500", .end = 12000,
	    .trace = "0:+1 10500:+2 11000:TERM1" },
	{ .name = "max_lifetime: a tenth both ways, when not told",
	    .settings = "workers=3 max_lifetime=10",
	    .script = "0 dice 0 100 50", .end = 12000,
	    .trace = "0:+1,+2,+3 9000:+4,TERM1 10000:+5,TERM3 "
	    "10999:+6,TERM2" },
	{ .name = "max_lifetime: jitter as told",
	    .settings = "workers=3 max_lifetime=10 max_lifetime_jitter=4",
	    .script = "0 dice 0 100 50", .end = 14000,
	    .trace = "0:+1,+2,+3 6000:+4,TERM1 10000:+5,TERM3 "
	    "12000:+6,TERM4 13999:+7,TERM2" },
	{ .name = "max_lifetime: a second at least",
	    .settings = "max_lifetime=4 max_lifetime_jitter=10",
	    .script = "0 dice 0", .end = 2500,
	    .trace = "0:+1 1000:+2,TERM1 2000:+3,TERM2" },
	{ .name = "recycle_pause: between two of them",
	    .settings = "workers=3 max_lifetime=10 max_lifetime_jitter=0 "
	    "recycle_pause=2", .script = "0 boot 0", .end = 19000,
	    .trace = "0:+1,+2,+3 10000:+4,TERM1 12000:+5,TERM2 "
	    "14000:+6,TERM3" },
	{ .name = "recycle_pause: max_requests too, who waits longest first",
	    .settings = "workers=3 recycle_pause=600",
	    .script = "1000 retire 3; 1000 busy 3 0; 1001 retire 1; "
	    "1001 busy 1 0; 1002 retire 2; 1002 busy 2 0", .end = 1300000,
	    .trace = "0:+1,+2,+3 1000:+4,TERM3 601000:+5,TERM1 "
	    "1201000:+6,TERM2" },
	{ .name = "recycle_pause: a death is made good at once",
	    .settings = "workers=3 recycle_pause=600",
	    .script = "1000 retire 1; 1000 busy 1 0; 1001 retire 2; "
	    "1001 busy 2 0; 5000 exit 3 1", .end = 100000,
	    .trace = "0:+1,+2,+3 1000:+4,TERM1 5000:+5" },
	{ .name = "recycle_pause: none, and all go together",
	    .settings = "workers=2", .script = "1000 retire 1; "
	    "1000 retire 2; 1000 busy 1 0", .end = 9000,
	    .trace = "0:+1,+2 1000:+3,+4,TERM1,TERM2" },
	{ .name = "max_rss: looked at each second",
	    .settings = "max_rss=100M", .script = "7500 rss 1 101",
	    .end = 20000, .trace = "0:+1 8000:+2,TERM1",
	    .says = "has 101 MB of memory (max_rss)" },
	{ .name = "max_rss: just so much is not too much",
	    .settings = "max_rss=100M", .script = "7500 rss 1 100",
	    .end = 20000, .trace = "0:+1" },
	{ .name = "max_rss: not before five seconds, so not in circles",
	    .settings = "max_rss=100M", .script = "0 large 150",
	    .end = 12000,
	    .trace = "0:+1 5000:+2,TERM1 10000:+3,TERM2" },
	{ .name = "max_rss: one at a time, with recycle_pause",
	    .settings = "workers=2 max_rss=100M recycle_pause=3",
	    .script = "6000 rss 1 150; 6000 rss 2 150", .end = 20000,
	    .trace = "0:+1,+2 6000:+3,TERM1 9000:+4,TERM2" },

	/* --- reload */
	{ .name = "reload: one to prove it, then a quarter at a time",
	    .settings = "workers=4", .script = "0 boot 100; 1000 HUP",
	    .end = 9000, .trace = "0:+1 100:+2,+3,+4 1000:+5' "
	    "1100:TERM1,used,+6',+7' 1200:TERM2,TERM3,+8' 1300:TERM4" },
	{ .name = "reload: the first new one fails",
	    .settings = "workers=3", .script = "1000 fail 50 3; 1000 HUP",
	    .end = 9000, .trace = "0:+1,+2,+3 1000:+4' 1050:given-up",
	    .says = "Reload abandoned" },
	{ .name = "reload: the first new one hangs",
	    .settings = "workers=2 boot_timeout=2",
	    .script = "1000 boot -1; 1000 HUP", .end = 9000,
	    .trace = "0:+1,+2 1000:+3' 3000:ABRT3,given-up" },
	{ .name = "reload: hangs, and is numb",
	    .settings = "workers=2 boot_timeout=2",
	    .script = "0 numb; 1000 boot -1; 1000 HUP", .end = 9000,
	    .trace = "0:+1,+2 1000:+3' 3000:ABRT3 4000:KILL3,given-up" },
	{ .name = "reload: under the new boot_timeout",
	    .script = "0 set boot_timeout=1; 1000 boot -1; 1000 HUP",
	    .end = 9000, .trace = "0:+1 1000:+2' 2000:ABRT2,given-up" },
	{ .name = "reload: another one gives it up",
	    .script = "1000 boot -1; 1000 HUP; 1500 boot 0; 1500 HUP",
	    .end = 9000,
	    .trace = "0:+1 1000:+2' 1500:TERM2,given-up,+3',TERM1,used" },
	{ .name = "reload: a stop gives it up",
	    .script = "1000 boot -1; 1000 HUP; 1500 TERM", .end = 9000,
	    .trace = "0:+1 1000:+2' 1500:TERM2,given-up,TERM1,end=0" },
	{ .name = "reload: to fewer", .settings = "workers=4",
	    .script = "0 set workers=2; 1000 HUP", .end = 9000,
	    .trace = "0:+1,+2,+3,+4 1000:+5',TERM1,used,TERM3,TERM4,+6',"
	    "TERM2" },
	{ .name = "reload: who leaves after it does so in the new time",
	    .settings = "workers=2", .script = "0 leave -1; "
	    "0 set workers=2 graceful_timeout=1; 1000 HUP", .end = 9000,
	    .trace = "0:+1,+2 1000:+3',TERM1,used,+4',TERM2 2000:KILL2 "
	    "6000:KILL1" },
	{ .name = "reload: a new max_lifetime is for the new ones",
	    .script = "0 set max_lifetime=2 max_lifetime_jitter=0; "
	    "5000 HUP", .end = 8000,
	    .trace = "0:+1 5000:+2',TERM1,used 7000:+3',TERM2" },
	{ .name = "logs: who boots is told again when it is ready",
	    .script = "0 boot 500; 100 USR1; 700 USR1", .end = 9000,
	    .trace = "0:+1 100:USR11 500:USR11 700:USR11" },

	/* --- others who watch or are watched */
	{ .name = "successor: looks for the parent five times a second",
	    .script = "450 orphan", .end = 2000, .under = HEIR,
	    .trace = "0:+1 600:promoted" },
	{ .name = "systemd: a ping in half of its time",
	    .script = "2500 HUP; 4200 TERM", .end = 9000, .under = SYSTEMD,
	    .trace = "0:+1,WATCHDOG,READY 1000:WATCHDOG 2000:WATCHDOG "
	    "2500:RELOADING,+2',TERM1,used,READY 3000:WATCHDOG "
	    "4000:WATCHDOG 4200:STOPPING,TERM2,end=0" },
	{ .name = "systemd: at once where all stood",
	    .script = "1500 stall 5000", .end = 8000, .under = SYSTEMD,
	    .trace = "0:+1,WATCHDOG,READY 1000:WATCHDOG 6500:WATCHDOG "
	    "7500:WATCHDOG" },
	{ .name = "control: an answer, with the ages", .under = CONTROL,
	    .settings = "timeout=30", .script = "0 boot 400; 900 mute 1; "
	    "2500 asks", .end = 9000,
	    .trace = "0:+1 2500:serving1(2.5,2.1,2.1)" },
	{ .name = "control: who says half of it is cut after a second",
	    .script = "500 half", .end = 9000, .under = CONTROL,
	    .trace = "0:+1 1500:cut1" },
	{ .name = "control: four at a time, the others wait",
	    .script = "500 half; 500 half; 500 half; 600 half; 700 half; "
	    "700 asks", .end = 9000, .under = CONTROL,
	    .trace = "0:+1 1500:cut1,cut2,cut3,serving6(1.5,1.5,0.0) "
	    "1600:cut4 2500:cut5" },
	{ .name = "control: idle clients hold nobody up",
	    .script = "500 half; 500 half; 500 half; 500 half; "
	    "1200 exit 1 1", .end = 9000, .under = CONTROL,
	    .trace = "0:+1 1200:+2 1500:cut1,cut2,cut3,cut4" },
};

int
main(void)
{
	size_t i;

	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(ctl_path, sizeof(ctl_path), "%s/ctl", dir);
	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		run_row(&rows[i]);
	(void)unlink(log_path);
	ok(rmdir(dir) == 0, "nothing is left behind");
	return tap_done();
}
