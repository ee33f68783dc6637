/*
 * The engine's limits: real callers, leader and loop on threads of their
 * own, while this one holds the clock and moves it. What must not happen is
 * shown by whole turns of the loop in which it did not.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fcgi/acceptor.h"
#include "fcgi/clock.h"
#include "fcgi/dispatch.h"
#include "fcgi/loop.h"
#include "fcgi/monitor.h"
#include "fcgi/service.h"
#include "fcgi/wire/record.h"
#include "t/lib/tap.h"
#include "t/unit/netside.h"

enum {
	LIMIT_MS = 10 * 1000, KEEP_MS = 3600 * 1000, BIG = 4 << 20,
	PATIENCE_S = 120
};

/* --- the application: it does a thing, and waits to be let on */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static unsigned int inside;	/* callers that wait; under lock */
static unsigned int arrivals;	/* so often one began to; under lock */
static unsigned int passes;	/* so many may go on; under lock */
static unsigned long turns;	/* of the loop; under lock */
static char big[BIG];
static _Atomic(struct request *) drainer;	/* of /drain */

static void
wait_pass(void)
{
	pthread_mutex_lock(&lock);
	inside++;
	arrivals++;
	pthread_cond_broadcast(&news);
	while (passes == 0)
		pthread_cond_wait(&news, &lock);
	passes--;
	inside--;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
}

static bool
path_is(const struct app_request *rq, const char *path)
{
	size_t i;

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].id == VAR_PATH_INFO)
			return str_is(rq->vars[i].value, path);
	return false;
}

/* /wait does nothing; /write writes a piece, then waits; /peek looks at the
 * body; /drain waits for its client first; /late waits with its answer out. */
static int
app_call(struct app_request *rq)
{
	static const struct reply r = { .status = { "200 OK", 6 },
	    .length = -1 };
	const struct app_server *s = &app_server;
	const char *p;

	if (path_is(rq, "/wait") || path_is(rq, "/write") ||
	    path_is(rq, "/peek"))
		wait_pass();
	if (path_is(rq, "/peek")) {
		(void)s->peek(rq, &p);
		wait_pass();
	}
	(void)s->head(rq, &r, &p);
	if (path_is(rq, "/write")) {
		(void)s->body(rq, "piece", 5, 0);
		wait_pass();
	} else if (path_is(rq, "/drain")) {
		drainer = (struct request *)(void *)rq;
		if (s->body(rq, big, BIG, 0) == SEND_FULL)
			(void)s->drain(rq);
		wait_pass();
	}
	(void)s->body(rq, "done", 4, BODY_LAST);
	if (path_is(rq, "/late"))
		wait_pass();
	return 0;
}

static atomic_uint dumps;

static void
app_dump(int fd)
{
	(void)fd;
	dumps++;
}

static const struct app_kind app = { .name = "test", .call = app_call,
	.dump = app_dump };

/* --- the engine, on a thread of its own */

static struct net *net;
static struct place place;
static struct dispatch_config config;
static pthread_t engine;
static atomic_bool stop, give_up;
static atomic_uint stuck_some, stuck_all;
static bool orderly;

static bool
turned(void *arg)
{
	(void)arg;
	if (atomic_exchange(&give_up, false))
		dispatch_give_up();
	pthread_mutex_lock(&lock);
	turns++;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
	return stop;
}

/* As a worker that is replaced. */
static void
stuck(void *arg, bool all)
{
	(void)arg;
	if (!all) {
		stuck_some++;
		return;
	}
	stuck_all++;
	net->leaving = true;
}

static void *
run(void *arg)
{
	(void)arg;
	orderly = dispatch_run(&config);
	return NULL;
}

/* Wait for news until `when` is past. False: none came. With the lock. */
static bool
await_news(const struct timespec *when)
{
	return pthread_cond_timedwait(&news, &lock, when) != ETIMEDOUT;
}

static struct timespec
in_ms(long ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static void
bail(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(99);
}

/* So many callers wait in the application. */
static void
wait_inside(unsigned int n)
{
	struct timespec when = in_ms(PATIENCE_S * 1000);

	pthread_mutex_lock(&lock);
	while (inside != n)
		if (!await_news(&when))
			bail("callers do not come");
	pthread_mutex_unlock(&lock);
}

/* Callers have begun to wait so often. */
static void
wait_arrivals(unsigned int n)
{
	struct timespec when = in_ms(PATIENCE_S * 1000);

	pthread_mutex_lock(&lock);
	while (arrivals != n)
		if (!await_news(&when))
			bail("callers do not go on");
	pthread_mutex_unlock(&lock);
}

static void
let_on(unsigned int n)
{
	pthread_mutex_lock(&lock);
	passes += n;
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&lock);
}

/* Does the loop turn within so much real time? */
static bool
turns_within(long ms)
{
	struct timespec when = in_ms(ms);
	unsigned long before;
	bool moved;

	pthread_mutex_lock(&lock);
	before = turns;
	(void)uv_async_send(&net->wake);
	while (turns == before && await_news(&when))
		continue;
	moved = turns != before;
	pthread_mutex_unlock(&lock);
	return moved;
}

/* Three more: in the last two all is done that is due now. */
static void
wait_turns(void)
{
	int i;

	for (i = 0; i < 3; i++)
		if (!turns_within(PATIENCE_S * 1000))
			bail("the loop does not turn");
}

/* The engine's own words. */
static bool
inlining(void)
{
	struct dispatch *d = net->reap_arg;
	bool is;

	pthread_mutex_lock(&d->m);
	is = d->inlining;
	pthread_mutex_unlock(&d->m);
	return is;
}

/* All callers but `busy` have nothing to do, or one of them leads. */
static void
wait_idle(unsigned int busy)
{
	struct dispatch *d = net->reap_arg;
	unsigned int idle;

	do {
		wait_turns();
		pthread_mutex_lock(&d->m);
		idle = d->idle + (d->leader >= 0 &&
		    (unsigned int)d->leader < config.threads);
		pthread_mutex_unlock(&d->m);
	} while (idle + busy < config.threads);
}

/* A leader calls the application with the loop in hand: after two looks of
 * the monitor somebody else has it. */
static void
free_loop(void)
{
	int i;

	for (i = 0; i < 2 && inlining(); i++) {
		clock_await(1);
		clock_move(4);
	}
	clock_await(1);
}

static void
begin(unsigned int threads, unsigned int queue_max)
{
	clock_hold(1000000);
	log_forget();
	stop = false;
	stuck_some = stuck_all = dumps = 0;
	passes = arrivals = 0;
	memset(&place, 0, sizeof(place));
	net = calloc(1, sizeof(*net));
	side_limits(net, 100, KEEP_MS);
	net->listeners = side_listeners();
	config = (struct dispatch_config){ .net = net, .kind = &app,
	    .threads = threads, .request_timeout_ms = LIMIT_MS,
	    .queue_max = queue_max, .place = &place, .turned = turned,
	    .stuck = stuck };
	if (loop_open(net) == -1 ||
	    acceptors_open(net, NULL, 0, false) == -1 ||
	    pthread_create(&engine, NULL, run, NULL) != 0)
		exit(99);
	wait_turns();
	wait_idle(0);
}

static void
at(uint64_t ms)
{
	clock_move(ms - clock_ms());
	wait_turns();
}

static void
end(const char *name)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = inside;
	pthread_mutex_unlock(&lock);
	let_on(n);
	wait_idle(0);
	clock_release();
	stop = true;
	(void)uv_async_send(&net->wake);
	(void)pthread_join(engine, NULL);
	if (!ok(orderly, "%s: to its end in order", name))
		bail("a caller was left behind");
	loop_done(net);
	free(net->acceptors);
	free(net);
	side_listeners_close();
}

/* --- request_timeout */

static struct client *
ask(const char *method, const char *path)
{
	struct client *k = malloc(sizeof(*k));
	char head[256];

	client_dial(k, PROTOCOL_HTTP);
	(void)snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0\r\n\r\n", method, path);
	client_say(k, head);
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

/* The application goes on `on` times, each time a millisecond before its
 * limit; then it does nothing any more. */
static const struct {
	const char	*name, *path;
	unsigned int	 on, threads;
	const char	*gets, *how;
} limits[] = {
	{ "no answer", "/wait", 0, 1, "HTTP/1.1 504 ", "(answered 504;" },
	{ "no answer, two threads", "/wait", 0, 2, "HTTP/1.1 504 ",
	    "(answered 504;" },
	{ "a piece renews it", "/write", 1, 1, "piece", "(cut;" },
	{ "a look at the body does", "/peek", 1, 1, "HTTP/1.1 504 ",
	    "(answered 504;" },
	{ "the answer is out", "/late", 0, 1, "done",
	    "(its answer was out;" },
};

static void
limit(size_t i)
{
	const char *name = limits[i].name;
	struct client *k;
	unsigned int j;
	uint64_t began;

	begin(limits[i].threads, 0);
	began = clock_ms();
	k = ask("GET", limits[i].path);
	wait_inside(1);
	free_loop();
	wait_turns();
	for (j = 0; j < limits[i].on; j++) {
		at(began + LIMIT_MS - 1);
		began = clock_ms();
		let_on(1);
		wait_arrivals(2 + j);
	}
	at(began + LIMIT_MS - 1);
	if (limits[i].on > 0)
		client_take(k, SIZE_MAX);
	ok(logged("timed out") == 0 && stuck_all + stuck_some == 0 &&
	    !k->eof, "%s: a millisecond before", name);
	at(began + LIMIT_MS);
	ok(client_gets(k, limits[i].gets), "%s: the client", name);
	if (strcmp(limits[i].how, "(cut;") == 0)
		ok(client_ends(k) && strstr(k->in, " 504 ") == NULL,
		    "%s: and no page after what it has", name);
	ok(logged("Request timed out after 10 s: GET ") == 1 &&
	    logged(limits[i].how) == 1, "%s: the log", name);
	ok(dumps == 1, "%s: where it hangs is shown", name);
	ok(stuck_all == (limits[i].threads == 1) &&
	    stuck_some == (limits[i].threads == 2), "%s: the worker", name);
	at(began + 3 * LIMIT_MS);
	ok(logged("timed out") == 1, "%s: once", name);
	end(name);
	drop(k);
}

/* Who has sent all may say so. */
static void
half_closed(void)
{
	struct client *k;

	begin(1, 0);
	k = ask("GET", "/wait");
	wait_inside(1);
	free_loop();
	(void)shutdown(k->fd, SHUT_WR);
	wait_turns();
	let_on(1);
	ok(client_gets(k, "done") && client_ends(k),
	    "a client that only listens gets its answer");
	end("half closed");
	drop(k);
}

/* --- the client's time is not the application's */

static void
drains(void)
{
	struct client *k;
	uint64_t began;

	begin(1, 0);
	drainer = NULL;
	k = ask("GET", "/drain");
	while (drainer == NULL || !atomic_load(&drainer->draining))
		(void)turns_within(1);
	free_loop();
	wait_turns();
	at(clock_ms() + NET_SEND_MS / 2);
	ok(logged("timed out") == 0, "the client takes its time");
	while (atomic_load(&drainer->draining)) {
		client_take(k, SIZE_MAX);
		(void)turns_within(1);
	}
	/* Now it is the application's. */
	wait_inside(1);
	began = clock_ms();
	at(began + LIMIT_MS - 1);
	ok(logged("timed out") == 0, "drained: a millisecond before");
	at(began + LIMIT_MS);
	ok(logged("(cut;") == 1 && client_ends(k), "drained: then");
	end("drained");
	drop(k);
}

static void
aborted(void)
{
	struct client *k = malloc(sizeof(*k));
	char p[1024];
	uint64_t began;

	begin(1, 0);
	began = clock_ms();
	client_dial(k, PROTOCOL_FASTCGI);
	client_send(k, p, side_fastcgi(p, "/wait", true, true));
	wait_inside(1);
	free_loop();
	wait_turns();
	client_send(k, p, side_record(p, RECORD_ABORT_REQUEST, "", 0));
	wait_turns();
	at(began + LIMIT_MS - 1);
	ok(logged("timed out") == 0, "aborted by its client: before");
	at(began + LIMIT_MS);
	ok(logged("(its client had aborted it;") == 1 && stuck_all == 1,
	    "aborted by its client: said so");
	end("aborted by its client");
	drop(k);
}

/* --- those behind */

static void
behind(void)
{
	struct client *a, *b, *c;
	uint64_t first, second;

	begin(2, 0);
	first = clock_ms();
	a = ask("GET", "/wait");
	wait_inside(1);
	free_loop();
	wait_turns();
	at(first + LIMIT_MS / 2);
	second = clock_ms();
	b = ask("GET", "/wait");
	wait_inside(2);
	free_loop();
	wait_turns();
	c = ask("GET", "/");
	wait_turns();
	at(first + LIMIT_MS);
	ok(client_gets(a, "504") && stuck_some == 1 && stuck_all == 0 &&
	    silent(b) && silent(c), "one of two is late");
	ok(atomic_load(&place.busy) == 2, "who is late counts as one");
	at(second + LIMIT_MS - 1);
	ok(silent(b) && silent(c), "the other: a millisecond before");
	at(second + LIMIT_MS);
	ok(client_gets(b, "504") && stuck_all == 1, "all are late");
	ok(atomic_load(&place.busy) == 1, "all that are late count as one");
	ok(client_gets(c, "HTTP/1.1 503 ") &&
	    logged("Request cut: GET / (answered 503)") == 1,
	    "who waits behind them is refused");
	end("all are late");
	drop(a);
	drop(b);
	drop(c);
}

static void
gives_up(void)
{
	struct client *run = NULL, *queued, *part = malloc(sizeof(*part));
	struct client *empty = malloc(sizeof(*empty));

	begin(1, 1);
	run = ask("GET", "/wait");
	wait_inside(1);
	free_loop();
	wait_turns();
	queued = ask("GET", "/");
	client_dial(part, PROTOCOL_HTTP);
	client_say(part, "GET /");
	client_dial(empty, PROTOCOL_HTTP);
	wait_turns();
	give_up = true;
	wait_turns();
	ok(client_gets(run, "503") &&
	    logged("Request cut: GET /wait (answered 503)") == 1,
	    "given up: what runs is answered 503");
	ok(client_gets(queued, "503") &&
	    logged("Request cut: GET / (answered 503)") == 1,
	    "given up: what waits is");
	ok(client_gets(part, "503"), "given up: what has begun to arrive is");
	ok(silent(empty), "given up: nobody else");
	end("given up");
	drop(run);
	drop(queued);
	drop(part);
	drop(empty);
}

/* --- a full queue is said once a second */

static void
full_queue(void)
{
	struct client *k[6];
	uint64_t began;
	size_t i;

	begin(1, 1);
	k[0] = ask("GET", "/wait");
	wait_inside(1);
	free_loop();
	wait_turns();
	k[1] = ask("GET", "/");
	wait_turns();
	began = clock_ms();
	k[2] = ask("GET", "/");
	ok(client_gets(k[2], "HTTP/1.1 503 "), "a full queue: 503");
	wait_turns();
	ok(logged("The queue is full: 1 request was answered 503 "
	    "(worker_queue 1)") == 1, "a full queue: said at once");
	k[3] = ask("GET", "/");
	k[4] = ask("GET", "/");
	ok(client_gets(k[3], "503") && client_gets(k[4], "503"),
	    "a full queue: two more");
	at(began + 999);
	ok(logged("The queue is full") == 1, "a full queue: not said again");
	at(began + 1000);
	ok(logged("The queue is full: 2 requests were answered 503") == 1,
	    "a full queue: those two a second later, together");
	at(began + 5000);
	ok(logged("The queue is full") == 2, "a full queue: and no more");
	let_on(1);
	ok(client_gets(k[0], "done") && client_gets(k[1], "done"),
	    "a full queue: who waits gets its answer");
	k[5] = ask("GET", "/");
	ok(client_gets(k[5], "done"), "room again");
	end("a full queue");
	for (i = 0; i < 6; i++)
		drop(k[i]);
}

/* --- the monitor */

/* What happens to the engine, then a look so many ms after the last one. */
static const struct {
	const char	*name;
	struct {
		bool		 inlining;	/* is the leader in a call? */
		bool		 new;		/* another than at last look */
		uint64_t	 after;
		enum monitor_sight sees;
	} looks[5];
	uint64_t	 tick;		/* until the next look */
	bool		 slow;		/* others are expected to stick */
} sights[] = {
	{ "nothing happens", { { false, false, 4, MONITOR_FINE },
	    { false, false, 156, MONITOR_FINE },
	    { false, false, 1, MONITOR_QUIET } }, 4, false },
	{ "calls come and go", { { false, true, 4, MONITOR_FINE },
	    { true, true, 4, MONITOR_FINE },
	    { true, true, 4, MONITOR_FINE } }, 4, false },
	{ "a call is there twice", { { true, true, 4, MONITOR_FINE },
	    { true, false, 4, MONITOR_STUCK } }, 1, true },
	{ "calm after ten seconds", { { true, true, 4, MONITOR_FINE },
	    { true, false, 4, MONITOR_STUCK },
	    { false, true, 9999, MONITOR_FINE } }, 1, false },
	{ "calm again", { { true, true, 4, MONITOR_FINE },
	    { true, false, 4, MONITOR_STUCK },
	    { false, true, 10000, MONITOR_FINE } }, 4, false },
	{ "slow for 50 ms", { { true, true, 4, MONITOR_FINE },
	    { true, false, 4, MONITOR_STUCK },
	    { false, true, 49, MONITOR_FINE } }, 1, true },
	{ "and no longer", { { true, true, 4, MONITOR_FINE },
	    { true, false, 4, MONITOR_STUCK },
	    { false, true, 50, MONITOR_FINE } }, 1, false },
	{ "quiet since the last call", { { true, true, 100, MONITOR_FINE },
	    { false, false, 160, MONITOR_FINE },
	    { false, false, 1, MONITOR_QUIET } }, 4, false },
};

static void
monitor(void)
{
	struct dispatch d = { 0 };
	struct monitor m;
	size_t i, j;
	bool good;

	for (i = 0; i < sizeof(sights) / sizeof(sights[0]); i++) {
		clock_hold(1000000);
		d = (struct dispatch){ .seq = 7 };
		m = (struct monitor){ 0 };
		monitor_begin(&m, &d);
		good = true;
		for (j = 0; j < 5 && sights[i].looks[j].after > 0; j++) {
			clock_move(sights[i].looks[j].after);
			d.inlining = sights[i].looks[j].inlining;
			d.seq += sights[i].looks[j].new;
			good &= monitor_look(&m, &d) ==
			    sights[i].looks[j].sees;
			good &= d.inlining == (sights[i].looks[j].inlining &&
			    sights[i].looks[j].sees != MONITOR_STUCK);
		}
		ok(good, "monitor, %s: what it sees", sights[i].name);
		ok(monitor_tick_ms(&m) == sights[i].tick,
		    "monitor, %s: its next look", sights[i].name);
		ok((clock_ns() < d.slow_until_ns) == sights[i].slow,
		    "monitor, %s: the others", sights[i].name);
	}
	clock_release();
}

/* A call that takes long is met with the loop in hand, and taken from it. */
static void
taken_over(void)
{
	struct client *k[4];
	size_t i;

	begin(3, 0);
	k[0] = ask("GET", "/wait");
	wait_inside(1);
	ok(inlining(), "a slow call has the loop with it");
	free_loop();
	ok(!inlining(), "the monitor takes it from there");
	wait_turns();
	wait_idle(1);
	k[1] = ask("GET", "/wait");
	wait_inside(2);
	ok(!inlining(), "for a while then the leader only leads");
	wait_turns();
	clock_move(51);
	wait_idle(2);
	k[2] = ask("GET", "/wait");
	wait_inside(3);
	ok(inlining(), "after 50 ms one calls again");
	free_loop();
	ok(!inlining(), "and is relieved again");
	let_on(3);
	for (i = 0; i < 3; i++)
		ok(client_gets(k[i], "done"), "its answer, %zu", i);
	wait_idle(0);
	for (i = 0; i < 200; i++) {	/* no call: the monitor sleeps */
		clock_move(4);
		(void)turns_within(0);
	}
	k[3] = ask("GET", "/wait");
	wait_inside(1);
	ok(inlining(), "much later one calls again");
	free_loop();
	ok(!inlining(), "and the monitor is awake");
	end("taken over");
	for (i = 0; i < 4; i++)
		drop(k[i]);
}

int
main(void)
{
	size_t i;

	side_log("info");
	monitor();
	taken_over();
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		limit(i);
	half_closed();
	drains();
	aborted();
	behind();
	gives_up();
	full_queue();
	return tap_done();
}
