/*
 * The times of a worker: a real one, forked, whose clock a thread in it
 * holds and moves as this process says. A turn of its loop is seen by its
 * heartbeat, which has the worker's time.
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/app.h"
#include "fcgi/clock.h"
#include "fcgi/scoreboard.h"
#include "fcgi/service.h"
#include "fcgi/worker.h"
#include "t/lib/tap.h"
#include "t/unit/netside.h"

enum { BEGAN_MS = 1000000, PATIENCE_MS = 120 * 1000 };

static struct settings *settings;
static struct scoreboard *board;
static struct place *place;
static pid_t pid;
static int wire[2];		/* [0] ours: what its clock shall do */
static int inside[2];		/* a byte for each call that waits */
static uint64_t now;		/* of the worker */
static const char *header_map;	/* NULL: as it comes */

/* --- the worker's side */

static int
app_start(const struct app_server *s, const struct app_config *c)
{
	(void)s, (void)c;
	return 0;
}

static int
app_load(void)
{
	return APP_OK;
}

/* "/wait" waits for good. */
static int
app_call(struct app_request *rq)
{
	static const struct reply r = { .status = { "200 OK", 6 },
	    .length = 4 };
	const char *why;
	size_t i;

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].id == VAR_PATH_INFO &&
		    rq->vars[i].value.n == 5) {
			(void)write(inside[1], "", 1);
			for (;;)
				pause();
		}
	(void)app_server.head(rq, &r, &why);
	(void)app_server.body(rq, "done", 4, BODY_LAST);
	return 0;
}

static const struct app_kind app = { .abi = APP_ABI, .name = "test",
	.start = app_start, .load = app_load, .call = app_call };

struct order {
	uint64_t	 ms;		/* the clock goes on so far */
	bool		 memory_out;
};

/* Holds the clock; the signal that opens the logs again turns the loop. */
static void *
mover(void *arg)
{
	struct order o;

	(void)arg;
	while (recv(wire[1], &o, sizeof(o), 0) == sizeof(o)) {
		memory_out = o.memory_out;
		clock_move(o.ms);
		(void)kill(getpid(), SIGUSR1);
		(void)send(wire[1], "", 1, 0);
	}
	return NULL;
}

static void
child(pid_t parent, const struct listeners *ls)
{
	static struct app_config config;
	sigset_t all, old;
	pthread_t id;
	struct worker w = { .settings = settings, .listeners = ls,
	    .board = board, .handoff = { board->handoff[0],
	    board->handoff[1] }, .manager = parent, .age = 1, .kind = &app,
	    .config = &config };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close(wire[0]);
	clock_hold(BEGAN_MS);
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&id, NULL, mover, NULL) != 0)
		_exit(99);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	_exit(worker_run(&w));
}

/* --- ours */

static void
bail(const char *what)
{
	printf("Bail out! %s\n", what);
	(void)kill(pid, SIGKILL);
	exit(99);
}

/* What must come, looked for every millisecond. */
#define wait_for(cond)	do {						\
	int left = PATIENCE_MS;						\
	while (!(cond) && left-- > 0)					\
		(void)poll(NULL, 0, 1);					\
	if (left < 0)							\
		bail("waited in vain for " #cond);			\
} while (0)

static bool
order(uint64_t ms, bool out)
{
	struct order o = { .ms = ms, .memory_out = out };
	char c;

	if (send(wire[0], &o, sizeof(o), MSG_NOSIGNAL) != sizeof(o) ||
	    recv(wire[0], &c, 1, 0) != 1)
		return false;
	now += ms;
	return true;
}

/* At `ms` after the begin; and its loop has turned since. */
static void
at(uint64_t ms)
{
	if (!order(BEGAN_MS + ms - now, false))
		bail("the worker has gone");
	wait_for(atomic_load(&place->heartbeat_ms) == now);
}

/* The monitor takes the loop from the call that has it. Some time passes. */
static void
free_loop(void)
{
	do {
		if (!order(50, false))
			bail("the worker has gone");
		(void)poll(NULL, 0, 5);
	} while (atomic_load(&place->heartbeat_ms) != now);
}

static void
begin(long graceful, long request_timeout)
{
	const struct listeners *ls;
	pid_t parent = getpid();
	char text[16], *why = NULL;

	settings = settings_new();
	(void)snprintf(text, sizeof(text), "%ld", graceful);
	if (settings_set(settings, SET_graceful_timeout, text, "test",
	    &why) == -1)
		bail(why);
	(void)snprintf(text, sizeof(text), "%ld", request_timeout);
	if (settings_set(settings, SET_request_timeout, text, "test",
	    &why) == -1 || settings_set(settings, SET_keepalive, "3600",
	    "test", &why) == -1)
		bail(why);
	if (header_map != NULL && settings_set(settings, SET_header_map,
	    header_map, "test", &why) == -1)
		bail(why);
	if ((board = scoreboard_new(1, NULL)) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, wire) == -1 ||
	    pipe(inside) == -1)
		bail(strerror(errno));
	place = &board->place[0];
	atomic_store(&place->state, PLACE_BOOTING);
	log_forget();
	now = BEGAN_MS;
	ls = side_listeners();
	if ((pid = fork()) == 0)
		child(parent, ls);
	(void)close(wire[1]);
	wait_for(atomic_load(&place->state) == PLACE_READY);
}

/* It ends by itself; its monitor may wait for the clock. */
static int
reap(void)
{
	int status, left = PATIENCE_MS, ms;

	/* Not too much of its time, however long it takes. */
	for (; waitpid(pid, &status, WNOHANG) == 0 && left > 0; left -= ms) {
		(void)order(4, false);
		ms = left > PATIENCE_MS - 100 ? 1 : 100;
		(void)poll(NULL, 0, ms);
	}
	if (left <= 0)
		bail("the worker does not end");
	(void)close(wire[0]);
	(void)close(inside[0]);
	(void)close(inside[1]);
	side_listeners_close();
	scoreboard_free(board);
	settings_free(settings);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct client *
ask(const char *path)
{
	struct client *k = malloc(sizeof(*k));
	char head[128], c;

	client_dial(k, PROTOCOL_HTTP);
	(void)snprintf(head, sizeof(head),
	    "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	client_say(k, head);
	if (strcmp(path, "/wait") != 0) {
		if (!client_gets(k, "done"))
			bail("no answer");
	} else if (read(inside[0], &c, 1) != 1)
		bail("no call");
	return k;
}

static bool
silent(struct client *k)
{
	size_t n = k->n;

	client_take(k, SIZE_MAX);
	return k->n == n && !k->eof;
}

static void
drop(struct client *k)
{
	client_close(k);
	free(k);
}

/* --- graceful_timeout: a quarter of it, half a second at most, is left for
 * the answers and the end */
static const struct {
	long		 graceful;
	uint64_t	 by;
} graces[] = {
	{ 1, 750 }, { 2, 1500 }, { 3, 2500 }, { 30, 29500 }, { 600, 599500 },
};

static void
grace(size_t i)
{
	long s = graces[i].graceful;
	struct client *k;
	uint64_t told;

	begin(s, 0);
	k = ask("/wait");
	free_loop();
	told = now - BEGAN_MS;
	(void)kill(pid, SIGTERM);
	wait_for(atomic_load(&place->state) == PLACE_LEAVING);
	at(told + graces[i].by - 1);
	ok(silent(k) && logged("graceful timeout") == 0,
	    "graceful_timeout %ld: a millisecond before", s);
	(void)order(1, false);
	ok(client_gets(k, "HTTP/1.1 503 "), "graceful_timeout %ld: 503", s);
	ok(reap() == 0, "graceful_timeout %ld: and it ends", s);
	ok(logged("Worker graceful timeout") == 1 &&
	    logged("1 requests are cut") == 1 &&
	    logged("Request cut: GET /wait (answered 503)") == 1,
	    "graceful_timeout %ld: the log", s);
	drop(k);
}

/* --- the others */

static void
at_once(void)
{
	struct client *k;

	begin(30, 0);
	k = ask("/wait");
	free_loop();
	(void)kill(pid, SIGQUIT);
	ok(client_gets(k, "HTTP/1.1 503 ") && reap() == 0,
	    "QUIT: answered 503 without any time");
	drop(k);

	begin(30, 0);
	(void)kill(pid, SIGTERM);
	ok(reap() == 0 && logged("graceful timeout") == 0,
	    "TERM with nothing to do: it ends");
}

/* At the full stop a kept connection has a second for one more request. */
static void
full_stop(void)
{
	struct client *k, *other;
	uint64_t told;

	begin(30, 0);
	at(1000);
	k = ask("/");
	told = now - BEGAN_MS;
	atomic_store(&board->stopping, true);
	(void)kill(pid, SIGTERM);
	wait_for(atomic_load(&place->state) == PLACE_LEAVING);
	at(told + 500);
	client_say(k, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	ok(client_gets(k, "Connection: close\r\n") && client_ends(k),
	    "the full stop: one more, and it is told to close");
	ok(reap() == 0, "the full stop: the worker ends");
	drop(k);

	begin(30, 0);
	at(999);
	other = ask("/");
	(void)order(1, false);
	k = ask("/");
	atomic_store(&board->stopping, true);
	(void)kill(pid, SIGTERM);
	wait_for(atomic_load(&place->state) == PLACE_LEAVING);
	at(1999);
	/* What is closed then is a millisecond older. */
	ok(client_ends(other) && silent(k),
	    "the full stop, no more: a millisecond before");
	drop(other);
	(void)order(1, false);
	ok(client_ends(k) && reap() == 0, "the full stop, no more: closed");
	drop(k);
}

static void
late(void)
{
	struct client *k;

	begin(30, 60);
	k = ask("/wait");
	free_loop();
	at(59999);
	ok(silent(k) && atomic_load(&place->wants) == 0,
	    "request_timeout 60: a millisecond before");
	(void)order(1, false);
	ok(client_gets(k, "HTTP/1.1 504 "), "request_timeout 60: 504");
	wait_for(atomic_load(&place->state) == PLACE_LEAVING);
	ok((atomic_load(&place->wants) & WANT_KILL) != 0,
	    "request_timeout 60: the manager is asked for another");
	at(60000 + 29499);
	ok(logged("graceful timeout") == 0, "late: it stays its grace");
	(void)order(1, false);
	ok(reap() == 0 && logged("graceful timeout") == 1,
	    "late: and ends in time");
	drop(k);
}

/* Memory that stays away: a young worker would not be better off anew. */
static void
lack(uint64_t from, uint64_t retires)
{
	struct client *k, *other = malloc(sizeof(*other));

	begin(30, 0);
	k = ask("/");
	if (from > 0)
		at(from);
	(void)order(0, true);
	/* One was kept ready; the next asks for memory. */
	client_dial(other, PROTOCOL_HTTP);
	wait_for(logged("Cannot allocate memory; trying again") == 1);
	if (retires - from > 2000) {
		(void)order(1000, true);
		(void)poll(NULL, 0, 2 * NET_TICK_MS);
		(void)order(BEGAN_MS + retires - 1 - now, true);
		wait_for(atomic_load(&place->heartbeat_ms) == now);
		ok(atomic_load(&place->wants) == 0,
		    "memory out at %u: a millisecond before",
		    (unsigned int)from);
	}
	(void)order(BEGAN_MS + retires - now, true);
	wait_for(atomic_load(&place->wants) != 0);
	ok(atomic_load(&place->wants) == WANT_RETIRE &&
	    logged("Out of memory: another worker takes this place.") == 1,
	    "memory out at %u: it asks to be replaced", (unsigned int)from);
	(void)order(0, false);
	client_close(other);
	client_close(k);
	(void)kill(pid, SIGTERM);
	ok(reap() == 0, "memory out at %u: it can be told to end",
	    (unsigned int)from);
	free(other);
	free(k);
}

/* What a setting is to connections, where they do not ask it themselves. */
static void
header_maps(void)
{
	static const char *const maps[][2] = {
		{ NULL, "HTTP/1.1 200 " }, { "refuse", "HTTP/1.1 400 " },
		{ "drop", "HTTP/1.1 200 " },
	};
	struct client *k;
	size_t i;

	for (i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		header_map = maps[i][0];
		begin(30, 0);
		k = malloc(sizeof(*k));
		client_dial(k, PROTOCOL_HTTP);
		client_say(k, "GET / HTTP/1.1\r\nHost: x\r\nA_B: c\r\n"
		    "Connection: close\r\n\r\n");
		ok(client_gets(k, maps[i][1]), "header_map %s: an underscore",
		    header_map != NULL ? header_map : "as it comes");
		drop(k);
		(void)kill(pid, SIGTERM);
		(void)reap();
	}
	header_map = NULL;
}

int
main(void)
{
	size_t i;

	side_log("info");
	for (i = 0; i < sizeof(graces) / sizeof(graces[0]); i++)
		grace(i);
	at_once();
	full_stop();
	late();
	lack(0, 5000);
	lack(20000, 21000);
	header_maps();
	return tap_done();
}
