/*
 * The real manager with a worker of the test's own, which answers one
 * letter a connection and does as the letter says.
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/app.h"
#include "fcgi/clock.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "fcgi/manager.h"
#include "fcgi/scoreboard.h"
#include "fcgi/upgrade.h"
#include "fcgi/worker.h"
#include "t/lib/tap.h"

enum { PATIENCE_MS = 20000 };

/* One server under test. */
struct server {
	pid_t	 pid;
	int	 port;
};

static char dir[] = "/tmp/gangway-manager.XXXXXX";

/* --- files in the private directory */

static const char *
in_dir(const char *name)
{
	static char path[8][256];
	static int n;

	n = (n + 1) % 8;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir("draft"), "w");

	if (f == NULL)
		exit(99);
	fputs(text, f);
	fclose(f);
	if (rename(in_dir("draft"), in_dir(name)) == -1)
		exit(99);
}

static char *
get(const char *name)
{
	static char text[1 << 20];
	FILE *f = fopen(in_dir(name), "r");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}

static bool
logged(const char *text)
{
	return strstr(get("log"), text) != NULL;
}

/* --- the worker of the test */

static volatile sig_atomic_t told;
static bool deaf;

static void
tell(int sig)
{
	if (!deaf || sig != SIGTERM)
		told = sig;
}

/* The file "boot" says how a worker starts: "ok MS", "exit CODE", or "hold"
 * until the file "go" is there. */
static void
boot(void)
{
	char word[16] = "";
	int n = 0;

	(void)sscanf(get("boot"), "%15s %d", word, &n);
	if (strcmp(word, "exit") == 0)
		exit(n);
	if (strcmp(word, "hold") == 0)
		while (access(in_dir("go"), F_OK) == -1)
			(void)poll(NULL, 0, 10);
	if (n > 0)
		(void)poll(NULL, 0, n);
}

static void
obey(const struct worker *w, struct place *p, int fd, char c)
{
	dprintf(fd, "%d %zu %s %lu\n", (int)getpid(), w->slot,
	    settings_string(w->settings, SET_proc_name), w->max_requests);
	switch (c) {
	case 'c':
		_exit(7);
	case 'e':
		_exit(3);
	case 'd':
		deaf = true;
		break;
	case 'l':
		w->board->handoff[0] = w->board->handoff[1] = 0;
		w->board->bell[0] = w->board->bell[1] = 0;
		return;
	case 'r':
		atomic_store(&p->wants, WANT_RETIRE);
		break;
	case 'k':
		atomic_store(&p->busy, 1);
		atomic_store(&p->wants, WANT_KILL);
		scoreboard_ring(w->board);
		close(fd);
		for (;;)
			pause();
	case 'H':
		(void)signal(SIGABRT, SIG_IGN);
		/* FALLTHROUGH */
	case 'h':
		close(fd);
		for (;;)
			pause();
	}
	scoreboard_ring(w->board);
}

static void
serve_one(const struct worker *w, struct place *p, int lfd)
{
	struct timeval tv = { .tv_sec = 5 };
	char c;
	int fd;

	if ((fd = accept(lfd, NULL, NULL)) == -1)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (read(fd, &c, 1) == 1)
		obey(w, p, fd, c);
	close(fd);
}

int
worker_run(const struct worker *w)
{
	struct place *p = &w->board->place[w->place];
	struct pollfd pfd[8];
	sigset_t block, mask;
	struct timespec beat = { .tv_nsec = 100000000 };
	size_t i, n = 0;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &block, &mask);
	(void)signal(SIGTERM, tell);
	(void)signal(SIGQUIT, tell);
	boot();
	log_info("Booting worker with pid: %d", (int)getpid());
	for (i = 0; i < w->listeners->n; i++) {
		const struct listener *l = &w->listeners->v[i];

		pfd[n].fd = l->fds[w->slot % l->nfds];
		pfd[n++].events = POLLIN;
	}
	atomic_store(&p->state, PLACE_READY);
	scoreboard_ring(w->board);
	while (told == 0 && getppid() == w->manager) {
		atomic_store(&p->heartbeat_ms, clock_ms());
		if (ppoll(pfd, n, &beat, &mask) <= 0)
			continue;
		for (i = 0; i < n; i++)
			if (pfd[i].revents != 0)
				serve_one(w, p, pfd[i].fd);
	}
	return 0;
}

/* --- the server's side of the test */

static struct settings *
reread(void *arg)
{
	struct settings *s = settings_copy(arg);
	char line[512], *why = NULL, *text, *eq;

	/* The file "settings": lines of name=value; "bad" cannot be read. */
	text = get("settings");
	if (strcmp(text, "bad") == 0) {
		log_error("settings are bad");
		settings_free(s);
		return NULL;
	}
	while (sscanf(text, "%511[^\n]", line) == 1) {
		if ((eq = strchr(line, '=')) == NULL)
			exit(99);
		*eq = '\0';
		if (settings_set(s, setting_find(line), eq + 1, "test",
		    &why) == -1)
			exit(99);
		text += strlen(line) + 1 + strlen(eq + 1) + 1;
	}
	return s;
}

static struct app_config app_config;

/* A host that waits for us: it lets go by closing the other end of leash[0],
 * and is told by a line in the log. */
static int leash[2] = { -1, -1 };
static enum { ALONE, HOSTED, HOSTED_BADLY } hosted;

static void
reloaded(void *arg, bool used)
{
	(void)arg;
	log_info("Settings are %s", used ? "used" : "given up");
}

static bool
ready(void *arg)
{
	(void)arg;
	log_info("The host was told");
	return hosted == HOSTED;
}

static void
run(struct settings *s, struct listeners *ls)
{
	struct settings *first = settings_copy(s);
	struct manager_config c = {
		.settings = s, .listeners = ls, .config = &app_config,
		.reload = reread, .reloaded = reloaded, .arg = first,
	};
	char script[] = "echo \"$GANGWAY_FD\" >handing && "
	    "mv handing handed", shell[] = "sh", option[] = "-c",
	    program[] = "/bin/sh";
	char *sh[] = { shell, option, script, NULL }, *nothing[] = { NULL };
	const struct restart again = { .program = program, .argv = sh,
	    .environ = nothing, .cwd = dir };
	int rc;

	c.restart = &again;
	(void)log_open(in_dir("log"), "debug", false);
	if (hosted != ALONE) {
		close(leash[1]);
		c.leash = leash[0];
		c.ready = ready;
	}
	rc = manager_run(&c);
	listeners_close(ls, true);
	settings_free(c.settings);
	settings_free(first);
	exit(rc);
}

/* Start with "name=value" settings up to NULL, on a port of its own. */
static void
start(struct server *sv, ...)
{
	struct settings *s = settings_new();
	struct listeners ls = { 0 };
	const char *arg;
	char *why = NULL, name[64];
	va_list ap;

	(void)unlink(in_dir("log"));
	(void)settings_set(s, SET_bind, "127.0.0.1:0", "test", &why);
	(void)settings_set(s, SET_proc_name, "first", "test", &why);
	(void)settings_set(s, SET_graceful_timeout, "1", "test", &why);
	va_start(ap, sv);
	while ((arg = va_arg(ap, const char *)) != NULL) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="),
		    arg);
		if (settings_set(s, setting_find(name), strchr(arg, '=') + 1,
		    "test", &why) == -1)
			printf("Bail out! %s: %s\n", arg, why);
	}
	va_end(ap);
	if (listeners_open(&ls, s, (size_t)settings_int(s, SET_workers),
	    &why) == -1) {
		printf("Bail out! %s\n", why);
		exit(99);
	}
	sv->port = 0;
	if (ls.n > 0 && ls.v[0].family == AF_INET)
		sv->port = (int)strtol(ls.v[0].server_port, NULL, 10);
	fflush(stdout);
	if ((sv->pid = fork()) == 0)
		run(s, &ls);
	listeners_close(&ls, false);
	settings_free(s);
}

/* --- the client's side */

struct answer {
	int		 pid, slot;
	char		 name[64];
	unsigned long	 limit;
};

static bool
ask_port(int port, char c, struct answer *a)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	char text[256];
	ssize_t n = 0, got = 0;
	int fd;

	memset(a, 0, sizeof(*a));
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
	    write(fd, &c, 1) == 1)
		while (got < (ssize_t)sizeof(text) - 1 && (n = read(fd,
		    text + got, sizeof(text) - 1 - (size_t)got)) > 0)
			got += n;
	close(fd);
	text[got] = '\0';
	return sscanf(text, "%d %d %63s %lu", &a->pid, &a->slot, a->name,
	    &a->limit) == 4;
}

static bool
ask(const struct server *sv, char c, struct answer *a)
{
	return ask_port(sv->port, c, a);
}

static void
breathe(void)
{
	(void)poll(NULL, 0, 10);
}

/* Try until it is so. */
#define until(cond) ({							\
	uint64_t end_ = clock_ms() + PATIENCE_MS;			\
	bool so_;							\
	while (!(so_ = (cond)) && clock_ms() < end_)			\
		breathe();						\
	so_;								\
})

/* Orphans come to us (subreaper), so that gone means gone. */
static bool
gone(int pid)
{
	while (waitpid(pid, NULL, WNOHANG) > 0)
		;
	return kill(pid, 0) == -1 && errno == ESRCH;
}

static bool
ended(const struct server *sv, int *code)
{
	int status;

	if (waitpid(sv->pid, &status, WNOHANG) != sv->pid)
		return false;
	*code = WIFEXITED(status) ? WEXITSTATUS(status) :
	    -WTERMSIG(status);
	return true;
}

/* The pids of all workers, in ascending order of nothing. */
static int
children(const struct server *sv, int *pids, int max)
{
	char path[64];
	FILE *f;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)sv->pid, (int)sv->pid);
	if ((f = fopen(path, "r")) == NULL)
		return -1;
	while (n < max && fscanf(f, "%d", &pids[n]) == 1)
		n++;
	fclose(f);
	return n;
}

static int
crew(const struct server *sv)
{
	int pids[64];

	return children(sv, pids, 64);
}

static int
count(const char *text)
{
	const char *p = get("log");
	int n = 0;

	while ((p = strstr(p, text)) != NULL) {
		n++;
		p += strlen(text);
	}
	return n;
}

static void
finish(const struct server *sv, const char *what)
{
	int code = 99;

	kill(sv->pid, SIGTERM);
	ok(until(ended(sv, &code)) && code == 0, "%s: TERM ends it with 0",
	    what);
}

/* --- tests */

static void
test_life(void)
{
	struct server sv;
	struct answer a, b;
	char line[64];

	put("boot", "ok 0");
	start(&sv, "workers=2", "max_requests=1000", "max_requests_jitter=50",
	    NULL);
	ok(ask(&sv, 'p', &a), "life: answers");
	ok(a.limit >= 950 && a.limit <= 1050, "life: jitter both ways");
	ok(until(count("Booting worker") == 2), "life: two workers");
	ok(logged("Starting gangway") && logged("Listening at: http://127."
	    "0.0.1:") && logged("Using worker: gthread"), "life: first lines");
	ok(ask(&sv, 'c', &a) && until(gone(a.pid)), "life: one crashes");
	ok(until(crew(&sv) == 2), "life: it is replaced");
	snprintf(line, sizeof(line), "Worker (pid:%d) exited with code 7.",
	    a.pid);
	ok(logged(line), "life: its end is logged");
	ok(ask(&sv, 'e', &a) && until(gone(a.pid)) && until(crew(&sv) == 2) &&
	    ask(&sv, 'p', &b), "life: exit 3 later does not stop it");
	ok(ask(&sv, 'p', &a) && kill(a.pid, SIGKILL) == 0 &&
	    until(logged("was sent SIGKILL! Perhaps out of memory?")),
	    "life: SIGKILL is logged");
	kill(sv.pid, SIGUSR1);
	ok(until(logged("Handling signal: usr1")), "life: USR1");
	kill(sv.pid, SIGUSR2);
	ok(until(logged("Handling signal: usr2")) &&
	    until(logged("The new program (pid:")), "life: USR2 is named");
	ok(until(crew(&sv) == 2) && ask(&sv, 'p', &b), "life: still serves");
	finish(&sv, "life");
	ok(logged("Handling signal: term") && logged("Shutting down: Master"),
	    "life: last lines");
	ok(!ask(&sv, 'p', &a), "life: the port is closed");
}

static void
test_first_boot(void)
{
	static const struct { const char *boot, *reason; int code; } t[] = {
		{ "exit 3", "Reason: Worker failed to boot.", 3 },
		{ "exit 4", "Reason: App failed to load.", 4 },
	};
	struct server sv;
	size_t i;
	int code;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		put("boot", t[i].boot);
		code = 99;
		start(&sv, "workers=3", NULL);
		ok(until(ended(&sv, &code)) && code == t[i].code,
		    "first boot: %s stops it with that", t[i].boot);
		ok(logged(t[i].reason), "first boot: %s", t[i].reason);
	}
}

static void
test_back_off(void)
{
	struct server sv;
	struct answer a;

	put("boot", "exit 1");
	start(&sv, "workers=1", NULL);
	ok(until(count("exited with code 1.") >= 3), "back-off: tried again");
	put("boot", "ok 0");
	ok(ask(&sv, 'p', &a), "back-off: serves when it can");
	finish(&sv, "back-off");
}

static void
test_scale(void)
{
	struct server sv;
	int i;

	put("boot", "ok 0");
	start(&sv, "workers=1", "reuse_port=true", NULL);
	ok(until(count("Booting") == 1), "scale: one");
	kill(sv.pid, SIGTTIN);
	ok(until(crew(&sv) == 2), "scale: TTIN makes two");
	for (i = 0; i < 3; i++) {
		kill(sv.pid, SIGTTOU);
		(void)until(count("Handling signal: ttou") == i + 1);
	}
	ok(until(crew(&sv) == 1), "scale: TTOU stops at one");
	kill(sv.pid, SIGTTIN);
	ok(until(crew(&sv) == 2), "scale: and up again");
	finish(&sv, "scale");
}

static void
test_retire(void)
{
	struct server sv;
	struct answer a, b;
	int bad = 0, i, n = 0;

	put("boot", "ok 0");
	start(&sv, "workers=1", NULL);
	ok(ask(&sv, 'p', &a), "retire: serves");
	put("boot", "hold");
	ok(ask(&sv, 'r', &a), "retire: asks for it");
	/* The old one must answer until the new one can. */
	(void)until(crew(&sv) == 2);
	while (n < 50 && ask(&sv, 'p', &b) && b.pid == a.pid)
		n++;
	put("go", "");
	for (i = 0; i < 100000 && bad == 0 && b.pid == a.pid; i++)
		bad += !ask(&sv, 'p', &b);
	ok(n == 50 && bad == 0, "retire: the old one serves meanwhile");
	ok(until(gone(a.pid)), "retire: the old one leaves");
	(void)unlink(in_dir("go"));
	finish(&sv, "retire");
}

static void
test_reload(void)
{
	struct server sv;
	struct answer a;
	int bad = 0, old = 0, seen[3] = { 0 };
	int before[8], i;

	put("boot", "ok 0");
	start(&sv, "workers=3", NULL);
	ok(until(count("Booting") == 3) && children(&sv, before, 8) == 3,
	    "reload: three workers");
	put("boot", "hold");
	put("settings", "proc_name=second\nworkers=3\n");
	kill(sv.pid, SIGHUP);
	(void)until(crew(&sv) > 3);
	for (i = 0; i < 20; i++) {
		bad += !ask(&sv, 'p', &a);
		old += strcmp(a.name, "first") == 0;
	}
	put("go", "");
	while (bad == 0 && !(gone(before[0]) && gone(before[1]) &&
	    gone(before[2])))
		bad += !ask(&sv, 'p', &a);
	ok(bad == 0 && old == 20, "reload: served all the time");
	(void)unlink(in_dir("go"));
	for (i = 0; i < 100; i++)
		if (ask(&sv, 'p', &a) && strcmp(a.name, "second") == 0 &&
		    a.slot < 3)
			seen[a.slot]++;
	ok(seen[0] + seen[1] + seen[2] == 100, "reload: new settings only");
	ok(until(crew(&sv) == 3), "reload: three again");
	ok(logged("Hang up: Master") && logged("Settings are used"),
	    "reload: its line, and who has read them is told");

	put("settings", "bad");
	kill(sv.pid, SIGHUP);
	ok(until(logged("settings are bad")), "reload: bad settings");
	put("settings", "proc_name=third\n");
	put("boot", "exit 3");
	(void)children(&sv, before, 8);
	kill(sv.pid, SIGHUP);
	ok(until(logged("Reload abandoned")) &&
	    until(logged("Settings are given up")),
	    "reload: a bad application");
	ok(until(crew(&sv) == 3), "reload: the old ones stay");
	for (i = 0, bad = 0; i < 3; i++)
		bad += gone(before[i]);
	ok(bad == 0 && ask(&sv, 'p', &a) && strcmp(a.name, "second") == 0,
	    "reload: all of them, with their settings");
	put("boot", "ok 0");
	ok(kill(before[0], SIGKILL) == 0 && until(gone(before[0])) &&
	    until(crew(&sv) == 3) && ask(&sv, 'p', &a) &&
	    strcmp(a.name, "second") == 0, "reload: and are replaced by such");
	put("settings", "proc_name=fourth\nworkers=2\n");
	kill(sv.pid, SIGHUP);
	kill(sv.pid, SIGHUP);
	ok(until(ask(&sv, 'p', &a) && strcmp(a.name, "fourth") == 0) &&
	    until(crew(&sv) == 2), "reload: once more, fewer workers");
	finish(&sv, "reload");
	put("settings", "");
}

/* A port that nobody has, for a moment. */
static int
free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		exit(99);
	close(fd);
	return ntohs(sin.sin_port);
}

static void
test_rebind(void)
{
	char sock[128], bind0[256], text[256];
	struct server sv;
	struct answer a;
	struct stat st;
	int port = free_port(), port2 = free_port();

	put("boot", "ok 0");
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(bind0, sizeof(bind0), "bind=127.0.0.1:%d,unix:%s", port,
	    sock);
	start(&sv, "workers=2", bind0, NULL);
	sv.port = port;
	ok(ask(&sv, 'p', &a), "rebind: serves");
	put("boot", "exit 3");
	snprintf(text, sizeof(text), "bind=127.0.0.1:%d,unix:%s\n", port2,
	    sock);
	put("settings", text);
	kill(sv.pid, SIGHUP);
	ok(until(logged("Reload abandoned")) && ask(&sv, 'p', &a) &&
	    until(!ask_port(port2, 'p', &a)), "rebind: abandoned");
	ok(stat(sock, &st) == 0, "rebind: the socket file stays");
	put("boot", "ok 0");
	kill(sv.pid, SIGHUP);
	ok(until(ask_port(port2, 'p', &a)), "rebind: the new one serves");
	ok(until(!ask(&sv, 'p', &a)), "rebind: the old one is closed");
	ok(stat(sock, &st) == 0, "rebind: the kept socket file stays");
	finish(&sv, "rebind");
	ok(stat(sock, &st) == -1, "rebind: and goes at the end");
	put("settings", "");
}

static void
test_stuck(void)
{
	struct server sv;
	struct answer a, b;

	put("boot", "ok 0");
	start(&sv, "workers=1", "graceful_timeout=600", NULL);
	ok(ask(&sv, 'k', &a) && ask(&sv, 'p', &b) && b.pid != a.pid,
	    "stuck: a lost thread gets a successor");
	ok(until(gone(a.pid)) && until(logged("was sent SIGABRT!")),
	    "stuck: and SIGABRT when the rest is done");
	finish(&sv, "stuck");
}

/* It looks once a second (manager_time.c), and when something happens. */
static bool
poke(const struct server *sv)
{
	return kill(sv->pid, SIGCHLD) == 0;
}

/* One second is what a machine may take from a healthy worker, too: whoever
 * is asked is asked again then. */
static void
test_silent(void)
{
	struct server sv;
	struct answer a, b;
	char line[64];

	put("boot", "ok 0");
	start(&sv, "workers=2", "timeout=1", NULL);
	ok(until(ask(&sv, 'h', &a)) && until(ask(&sv, 'H', &b)) &&
	    a.pid != b.pid, "silent: two hang");
	snprintf(line, sizeof(line), "[CRITICAL] WORKER TIMEOUT (pid:%d)",
	    a.pid);
	ok(until(poke(&sv) && logged(line)), "silent: it is noticed");
	ok(until(gone(a.pid)) && until(ask(&sv, 'p', &a)),
	    "silent: and ended");
	snprintf(line, sizeof(line), "Worker (pid:%d) was sent SIGKILL!",
	    b.pid);
	ok(until(poke(&sv) && gone(b.pid)) && until(logged(line)),
	    "silent: by SIGKILL at last");
	ok(until(ask(&sv, 'p', &b)), "silent: the server goes on");
	finish(&sv, "silent");
}

static void
test_stop(void)
{
	struct server sv;
	struct answer a;
	int code = 99;

	put("boot", "ok 0");
	start(&sv, "workers=1", "graceful_timeout=1", NULL);
	ok(ask(&sv, 'd', &a), "stop: one that is deaf to TERM");
	finish(&sv, "stop");
	ok(logged("was sent SIGKILL!"), "stop: gets SIGKILL");

	start(&sv, "workers=2", "graceful_timeout=600", NULL);
	ok(until(count("Booting") == 2) && ask(&sv, 'd', &a),
	    "stop: deaf again");
	kill(sv.pid, SIGTERM);
	ok(until(crew(&sv) == 1), "stop: the other has left");
	kill(sv.pid, SIGINT);
	ok(until(ended(&sv, &code)) && code == 0 &&
	    logged("Quick shutdown requested"), "stop: INT makes it quick");

	start(&sv, "workers=2", NULL);
	ok(ask(&sv, 'p', &a), "stop: serves");
	kill(sv.pid, SIGQUIT);
	code = 99;
	ok(until(ended(&sv, &code)) && code == 0, "stop: QUIT");
}

static void
test_host(void)
{
	struct server sv;
	struct answer a;
	int code = 99, pids[8], n;

	if (pipe2(leash, O_CLOEXEC) == -1)
		exit(99);
	hosted = HOSTED;
	put("boot", "ok 100");
	start(&sv, "workers=2", NULL);
	close(leash[0]);
	ok(until(logged("The host was told")) && count("Booting") >= 1,
	    "host: is told of the first worker");
	ok(until(count("Booting") == 2) && ask(&sv, 'r', &a) &&
	    until(count("Booting") == 3) && until(gone(a.pid)) &&
	    count("was told") == 1, "host: and of no other");
	n = children(&sv, pids, 8);
	ok(write(leash[1], "x", 1) == 1 && ask(&sv, 'p', &a) &&
	    count("stopping") == 0, "host: a byte means nothing");
	close(leash[1]);
	ok(until(ended(&sv, &code)) && code == 0 && n == 2 &&
	    logged("The host has let go"), "host: lets go, and all leave");

	if (pipe2(leash, O_CLOEXEC) == -1)
		exit(99);
	hosted = HOSTED_BADLY;
	start(&sv, "workers=2", NULL);
	code = 99;
	ok(until(ended(&sv, &code)) && code == 1 && count("was told") == 1,
	    "host: cannot be told, so there is nothing to do");
	hosted = HOSTED;
	put("boot", "exit 9");
	start(&sv, "workers=2", NULL);
	code = 99;
	ok(until(ended(&sv, &code)) && code == 3 && count("Booting") == 0 &&
	    count("code 9") == 3, "host: hears of three who died early");
	close(leash[0]);
	close(leash[1]);
	hosted = ALONE;
}

/* A worker is not asked what the manager hands to its successor. */
static void
test_liar(void)
{
	struct server sv;
	struct answer a;
	const char *line;
	int fds[2] = { 0, 0 };

	put("boot", "ok 0");
	put("handed", "");
	start(&sv, "workers=1", NULL);
	ok(ask(&sv, 'l', &a), "liar: one that writes other numbers");
	kill(sv.pid, SIGUSR2);
	ok(until((line = strstr(get("handed"), "handoff ")) != NULL) &&
	    sscanf(line, "handoff %*s %d,%d", &fds[0], &fds[1]) == 2 &&
	    fds[0] > 2 && fds[1] > 2, "liar: ours are handed on (%d, %d)",
	    fds[0], fds[1]);
	ok(ask(&sv, 'p', &a), "liar: the server goes on");
	finish(&sv, "liar");
	(void)unlink(in_dir("handed"));
}

static void
test_orphans(void)
{
	struct server sv;
	int pids[8], n, i, left = 0;

	put("boot", "ok 0");
	start(&sv, "workers=3", NULL);
	ok(until(count("Booting") == 3), "orphans: three workers");
	n = children(&sv, pids, 8);
	kill(sv.pid, SIGKILL);
	(void)waitpid(sv.pid, NULL, 0);
	for (i = 0; i < n; i++)
		left += !until(gone(pids[i]));
	ok(n == 3 && left == 0, "orphans: nobody outlives the manager");
}

static void
test_pidfile(void)
{
	char arg[300], text[32];
	struct server sv;
	struct answer a;
	struct stat st;
	int code = 99;

	put("boot", "ok 0");
	snprintf(arg, sizeof(arg), "pidfile=%s/pid", dir);
	start(&sv, "workers=1", arg, NULL);
	snprintf(text, sizeof(text), "%d\n", (int)sv.pid);
	ok(ask(&sv, 'p', &a) && strcmp(get("pid"), text) == 0,
	    "pid file: holds the manager's pid");
	finish(&sv, "pid file");
	ok(stat(in_dir("pid"), &st) == -1, "pid file: is removed");
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	put("pid", text);
	start(&sv, "workers=1", arg, NULL);
	ok(until(ended(&sv, &code)) && code == 1 && logged("is running"),
	    "pid file: of a live process is an error");
	ok(strcmp(get("pid"), text) == 0, "pid file: and stays");
	(void)unlink(in_dir("pid"));
}

/* What a worker says that it runs, as it is shown. */
static void
test_line(void)
{
	struct place p = { 0 };
	char line[PLACE_LINE];

	memset(p.now[1], 'x', PLACE_LINE);	/* without an end */
	memcpy(p.now[1], "GET \x1b[2J\xff\x7f", 10);
	scoreboard_line(&p, 1, line);
	ok(strncmp(line, "GET ?[2J??x", 11) == 0 &&
	    strlen(line) == PLACE_LINE - 1, "what runs is shown as text");
}

/* --- all of them; those that mostly wait, at the same time */

static struct group {
	void	(*test[10])(void);
	pid_t	 pid;
	FILE	*out;
} groups[] = {
	{ .test = { test_line, test_silent } },
	{ .test = { test_back_off, test_stop } },
	{ .test = { test_life, test_first_boot, test_scale, test_retire,
	    test_reload, test_rebind, test_stuck } },
	{ .test = { test_host, test_liar, test_orphans, test_pidfile } },
};

static int
group_run(const struct group *g)
{
	size_t i;

	if (dup2(fileno(g->out), STDOUT_FILENO) == -1 || mkdtemp(dir) == NULL)
		return 99;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	put("settings", "");
	for (i = 0; g->test[i] != NULL; i++)
		g->test[i]();
	(void)unlink(in_dir("log"));
	(void)unlink(in_dir("boot"));
	(void)unlink(in_dir("settings"));
	(void)rmdir(dir);
	return tap_done();
}

/* What a group has found out becomes ours. */
static void
group_read(struct group *g)
{
	char line[1024];
	int n, at, status = 0, end = -1, found = 0;

	(void)waitpid(g->pid, &status, 0);
	rewind(g->out);
	while (fgets(line, sizeof(line), g->out) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		at = 0;
		if (sscanf(line, "ok %d - %n", &n, &at) == 1 && at > 0)
			ok(++found == n, "%s", line + at);
		else if (sscanf(line, "not ok %d - %n", &n, &at) == 1 &&
		    at > 0)
			ok(++found == -1, "%s", line + at);
		else if (sscanf(line, "1..%d", &end) != 1)
			puts(line);
	}
	if (!WIFEXITED(status) || end != found)
		ok(0, "a group of tests has ended early");
	fclose(g->out);
}

int
main(int argc, char *argv[], char *envp[])
{
	struct group *g;

	/* What it does to an environment looks like a leak to valgrind. */
	(void)clearenv();
	setproctitle_init(argc, argv, envp);
	(void)signal(SIGPIPE, SIG_IGN);
	for (g = groups; g < groups + sizeof(groups) / sizeof(*groups); g++) {
		if ((g->out = tmpfile()) == NULL)
			return 99;
		if ((g->pid = fork()) == 0)
			exit(group_run(g));
	}
	while (g-- > groups)
		group_read(g);
	return tap_done();
}
