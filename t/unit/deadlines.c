/*
 * What connections, sockets and memory are waited for, and for how long: the
 * real loop over socketpairs, with a clock that is moved by hand. A row is
 * what the client does and when; its end must come to the millisecond.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/acceptor.h"
#include "fcgi/conn_life.h"
#include "fcgi/connection.h"
#include "fcgi/loop.h"
#include "fcgi/response.h"
#include "fcgi/sink.h"
#include "fcgi/wire/record.h"
#include "t/lib/tap.h"
#include "t/unit/netside.h"

enum { KEEP_MS = 5000, BIG = 4 << 20 };

static struct net *net;
static char big[BIG];

/* --- the server: no engine, each request is answered at once */

static struct request *held;	/* one that the application is still in */

static void
done(struct request *rq)
{
	response_finish(rq, true);
	atomic_store(&rq->state, REQUEST_DONE);
	connection_done(rq);
}

/* "/" is small, "/big" more than any socket takes, "/hold" too, and its
 * caller does not come back by itself. */
static void
answer(struct request *rq)
{
	static const struct reply r = { .status = { "200 OK", 6 },
	    .length = -1 };
	struct str path = request_value(rq, VAR_PATH_INFO);
	const char *why;
	bool small = str_is(path, "/");

	atomic_store(&rq->state, REQUEST_RUNNING);
	(void)response_head(rq, &r, &why);
	(void)response_body(rq, big, small ? 5 : BIG, small ? BODY_LAST : 0);
	if (str_is(path, "/hold"))
		held = rq;
	else
		done(rq);
}

static void
turn(void)
{
	struct request *rq;
	int i;

	for (i = 0; i < 4; i++) {
		loop_turn(net, false);
		while ((rq = net->fresh) != NULL) {
			if ((net->fresh = rq->next) == NULL)
				net->fresh_end = &net->fresh;
			rq->next = NULL;
			answer(rq);
		}
	}
}

/* Time passes, a tick every 100 ms, and one at the end of it. */
static void
pass(uint64_t ms)
{
	uint64_t step;

	for (; ms > 0; ms -= step) {
		step = ms < NET_TICK_MS ? ms : NET_TICK_MS;
		clock_move(step);
		loop_tick(net);
	}
	turn();
}

static void
begin(uint64_t keepalive_ms)
{
	net = calloc(1, sizeof(*net));
	side_limits(net, 100, keepalive_ms);
	if (loop_open(net) == -1)
		exit(99);
	log_forget();
}

static void
end(void)
{
	loop_done(net);
	free(net->acceptors);
	free(net);
}

/* --- one connection */

#define GET	"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_BIG	"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
#define HOLD	"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
#define CHUNKS	"POST / HTTP/1.1\r\nHost: x\r\n" \
		"Transfer-Encoding: chunked\r\n\r\n"

enum special {
	TEXT,
	TAKE,		/* reads a bit of what is there */
	CLOSING,	/* the server is told to stop */
	FCGI_KEPT,	/* a FastCGI request, kept */
	FCGI_PART	/* one without the end of its body */
};

struct step {
	uint64_t	 at;
	const char	*say;
	enum special	 special;
};

#define SAY(t, s)	{ .at = (t), .say = (s) }
#define DO(t, what)	{ .at = (t), .special = (what) }

/* At `limit` the client gets `last` ("": silence) and the end; before it is
 * there for all the steps. */
static const struct {
	const char	*name;
	enum protocol	 protocol;
	uint64_t	 limit;
	const char	*last, *log;
	struct step	 steps[5];
} rows[] = {
	/* the next request */
	{ "kept and idle", PROTOCOL_HTTP, KEEP_MS, "", NULL,
	    { SAY(0, GET) } },
	{ "idle since the last answer", PROTOCOL_HTTP, 4000 + KEEP_MS, "",
	    NULL, { SAY(0, GET), SAY(4000, GET) } },
	{ "idle for all but a millisecond", PROTOCOL_HTTP,
	    2 * KEEP_MS - 1, "", NULL, { SAY(0, GET), SAY(KEEP_MS - 1, GET) } },
	{ "idle over FastCGI", PROTOCOL_FASTCGI, KEEP_MS, "", NULL,
	    { DO(0, FCGI_KEPT) } },
	{ "idle while the server stops", PROTOCOL_HTTP, 1000, "", NULL,
	    { SAY(0, GET), DO(500, CLOSING) } },
	{ "idle for longer than that when it stops", PROTOCOL_HTTP, 2500, "",
	    NULL, { SAY(0, GET), DO(2499, CLOSING) } },

	/* the rest of a head */
	{ "connected and silent", PROTOCOL_HTTP, NET_HEAD_MS, "", NULL,
	    { SAY(0, NULL) } },
	{ "silent over FastCGI", PROTOCOL_FASTCGI, NET_HEAD_MS, "", NULL,
	    { SAY(0, NULL) } },
	{ "a part of a head", PROTOCOL_HTTP, NET_HEAD_MS,
	    "HTTP/1.1 408 Request Timeout\r\n",
	    "the request did not become whole in time",
	    { SAY(0, "GET / HTTP") } },
	{ "a head byte by byte buys no time", PROTOCOL_HTTP, NET_HEAD_MS,
	    "HTTP/1.1 408 ", NULL, { SAY(0, "G"), SAY(20000, "E"),
	    SAY(40000, "T"), SAY(59000, " "), SAY(59999, "/") } },
	{ "a head whose first byte comes late", PROTOCOL_HTTP,
	    NET_HEAD_MS, "HTTP/1.1 408 ", NULL, { SAY(59999, "G") } },
	{ "a part of the second head", PROTOCOL_HTTP, 3000 + NET_HEAD_MS,
	    "HTTP/1.1 408 ", NULL, { SAY(0, GET), SAY(3000, "GET"),
	    SAY(30000, " /") } },
	{ "a part of a record", PROTOCOL_FASTCGI, NET_HEAD_MS, "", NULL,
	    { SAY(0, "\1\1") } },

	/* the rest of a body */
	{ "silence within a body", PROTOCOL_HTTP, NET_BODY_MS, "",
	    "closed: silence within a request's body",
	    { SAY(0, POST "123") } },
	{ "a body byte by byte has time", PROTOCOL_HTTP,
	    119998 + NET_BODY_MS, "", "silence within",
	    { SAY(0, POST), SAY(59999, "1"), SAY(119998, "2") } },
	{ "silence within chunks", PROTOCOL_HTTP, 1000 + NET_BODY_MS, "",
	    "silence within", { SAY(0, CHUNKS), SAY(1000, "5\r\nab") } },
	{ "silence within FastCGI's", PROTOCOL_FASTCGI, NET_BODY_MS, "",
	    "silence within", { DO(0, FCGI_PART) } },
	{ "the body of a second request", PROTOCOL_HTTP,
	    2000 + NET_BODY_MS, "", "silence within",
	    { SAY(0, GET), SAY(2000, POST) } },

	/* the client takes nothing */
	{ "an answer is not taken", PROTOCOL_HTTP, NET_SEND_MS, NULL,
	    "closed: the client takes no more", { SAY(0, GET_BIG) } },
	{ "one that is taken slowly", PROTOCOL_HTTP, 110000 + NET_SEND_MS,
	    NULL, "closed: the client takes no more",
	    { SAY(0, GET_BIG), DO(55000, TAKE),
	    DO(110000, TAKE) } },
	{ "requests while it is not taken buy no time", PROTOCOL_HTTP,
	    NET_SEND_MS, NULL, "closed: the client takes no more",
	    { SAY(0, GET_BIG), SAY(30000, GET), SAY(59000, GET) } },

	/* after a refusal, until the client hangs up */
	{ "refused, and it does not hang up", PROTOCOL_HTTP, 0,
	    "HTTP/1.1 400 Bad Request\r\n", NULL, { SAY(0, "BAD\r\n\r\n") } },
};

static void
do_step(struct client *k, const struct step *st)
{
	char record[1024];

	switch (st->special) {
	case TAKE:
		client_take(k, 1 << 20);
		return;
	case CLOSING:
		atomic_store(&net->closing, true);
		return;
	case FCGI_KEPT:
	case FCGI_PART:
		client_send(k, record, side_fastcgi(record, "/", true,
		    st->special == FCGI_KEPT));
		return;
	default:
		if (st->say != NULL)
			client_say(k, st->say);
	}
}

static void
run_row(size_t i)
{
	bool unread = rows[i].last == NULL, there = true;
	struct client *k = malloc(sizeof(*k));
	const struct step *st = rows[i].steps;
	uint64_t now = 0;
	size_t before;

	begin(KEEP_MS);
	client_connect(k, net, rows[i].protocol);
	turn();
	for (; st < rows[i].steps + 5 && (st == rows[i].steps ||
	    st->at > 0); st++) {
		pass(st->at - now);
		now = st->at;
		there &= net->nconns == 1;
		do_step(k, st);
		turn();
		if (!unread && rows[i].limit > 0)
			client_take(k, SIZE_MAX);
	}
	if (rows[i].limit > now) {
		pass(rows[i].limit - 1 - now);
		before = k->n;
		if (!unread)
			client_take(k, SIZE_MAX);
		ok(there && net->nconns == 1 && k->n == before && !k->eof &&
		    (rows[i].log == NULL || logged(rows[i].log) == 0),
		    "%s: a millisecond before", rows[i].name);
		k->n = 0;
		pass(1);
	}
	client_take(k, SIZE_MAX);
	k->in[k->n < CLIENT_MAX ? k->n : CLIENT_MAX - 1] = '\0';
	ok(k->eof && (unread || (strncmp(k->in, rows[i].last,
	    strlen(rows[i].last)) == 0 && (k->n == 0) ==
	    (*rows[i].last == '\0'))), "%s: then", rows[i].name);
	ok(rows[i].log == NULL ? logged("closed") == 0 :
	    logged(rows[i].log) == 1, "%s: the log", rows[i].name);
	/* An answer of ours may still be in the client's way. */
	if (!unread && *rows[i].last != '\0' && net->nconns == 1) {
		pass(NET_LINGER_MS - 1);
		ok(net->nconns == 1, "%s: it may read our answer",
		    rows[i].name);
		pass(1);
	}
	ok(net->nconns == 0, "%s: all is closed", rows[i].name);
	client_close(k);
	free(k);
	end();
}

/* --- a caller that waits for its client */

/* No descriptor that is not there now can be had; until descriptors_back(). */
static struct rlimit descriptors;

static void
descriptors_out(rlim_t spare)
{
	struct rlimit r;
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	(void)close(fd);
	(void)getrlimit(RLIMIT_NOFILE, &descriptors);
	r = descriptors;
	r.rlim_cur = (rlim_t)fd + spare;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static void
descriptors_back(void)
{
	(void)setrlimit(RLIMIT_NOFILE, &descriptors);
}

static struct client *
hold(void)
{
	struct client *k = malloc(sizeof(*k));

	begin(KEEP_MS);
	held = NULL;
	client_connect(k, net, PROTOCOL_HTTP);
	client_say(k, HOLD);
	turn();
	return k;
}

static void
unhold(struct client *k, const char *name)
{
	done(held);
	turn();
	ok(net->nconns == 0, "%s: when its caller lets go, it is closed",
	    name);
	client_close(k);
	free(k);
	end();
}

static void
callers(void)
{
	static const char cut[] = "cut: the client takes no more";
	struct client *k = hold();

	pass(NET_SEND_MS - 1);
	ok(!sink_broken(held->conn) && logged(cut) == 0,
	    "a caller's client takes nothing: a millisecond before");
	pass(1);
	ok(sink_broken(held->conn) && logged(cut) == 1,
	    "a caller's client takes nothing: cut, and said once");
	pass(2 * NET_SEND_MS);
	ok(logged(cut) == 1 && net->nconns == 1,
	    "a caller's client takes nothing: nothing more to say");
	unhold(k, "a caller's client takes nothing");

	k = hold();
	pass(NET_SEND_MS - 1);
	client_take(k, 1 << 18);
	turn();
	pass(NET_SEND_MS - 1);
	ok(!sink_broken(held->conn), "it takes some: it has the time again");
	pass(1);
	ok(sink_broken(held->conn), "it takes some: but not for ever");
	unhold(k, "it takes some");
}

static void
starved(void)
{
	struct client *k = malloc(sizeof(*k));

	begin(KEEP_MS);
	held = NULL;
	client_connect(k, net, PROTOCOL_HTTP);
	client_say(k, HOLD);
	descriptors_out(0);
	turn();
	ok(logged("Cannot wait for a slow client") == 1 && net->nsending == 0,
	    "no descriptor to watch with: said once");
	pass(NET_SEND_MS - 1);
	ok(!sink_broken(held->conn), "not watched: a millisecond before");
	pass(1);
	descriptors_back();
	ok(sink_broken(held->conn) && logged("cut: the client") == 1,
	    "not watched: cut all the same");
	unhold(k, "not watched");

	k = malloc(sizeof(*k));
	begin(KEEP_MS);
	client_connect(k, net, PROTOCOL_HTTP);
	client_say(k, HOLD);
	descriptors_out(0);
	turn();
	pass(NET_SEND_MS - 1);
	descriptors_back();
	turn();
	ok(net->nsending == 1 && !sink_broken(held->conn),
	    "a descriptor is there again: watched");
	pass(NET_SEND_MS - 1);
	ok(!sink_broken(held->conn), "watched late: the time is its own");
	pass(1);
	ok(sink_broken(held->conn), "watched late: then cut");
	unhold(k, "watched late");
}

/* --- the others */

static void
idle_for_good(void)
{
	struct client *k = malloc(sizeof(*k));

	begin(UINT64_MAX / 2);
	net->closing_ms = 0;
	client_connect(k, net, PROTOCOL_SESSION);
	turn();
	clock_move((uint64_t)30 * 24 * 3600 * 1000);
	loop_tick(net);
	turn();
	ok(net->nconns == 1, "Passenger's is idle for a month");
	atomic_store(&net->closing, true);
	loop_tick(net);
	turn();
	client_take(k, SIZE_MAX);
	ok(k->eof && net->nconns == 0, "until the stop, at the next tick");
	client_close(k);
	free(k);
	end();
}

static void
linger(void)
{
	struct client *k = malloc(sizeof(*k));

	begin(KEEP_MS);
	client_connect(k, net, PROTOCOL_HTTP);
	client_say(k, "BAD\r\n\r\n");
	turn();
	if (!ok(net->nconns == 1, "a refused client may read our answer"))
		return;
	pass(NET_LINGER_MS - 1);
	client_say(k, "and more of it");
	turn();
	ok(net->nconns == 1, "a refused client still sends");
	pass(1);
	ok(net->nconns == 0, "which buys it no time");
	client_close(k);
	end();

	begin(KEEP_MS);
	client_connect(k, net, PROTOCOL_HTTP);
	client_say(k, "BAD\r\n\r\n");
	turn();
	client_close(k);
	turn();
	ok(net->nconns == 0, "a refused client hangs up: closed at once");
	free(k);
	end();
}

static bool
ticked(uint64_t ms, enum net_memory memory)
{
	pass(ms);
	return net->memory == memory;
}

static void
memory(void)
{
	begin(KEEP_MS);
	net_lack(net);
	ok(ticked(1, NET_MEMORY_THERE), "memory was out for a moment");
	net_lack(net);
	memory_out = true;
	ok(ticked(NET_LACK_MS - 1, NET_MEMORY_OUT),
	    "memory is out: a millisecond before");
	net_lack(net);
	ok(ticked(1, NET_MEMORY_GONE), "memory is out: for good");
	ok(ticked(1, NET_MEMORY_GONE), "and stays so");
	memory_out = false;
	ok(ticked(1, NET_MEMORY_THERE), "but may come back");
	net_lack(net);
	memory_out = true;
	ok(ticked(NET_LACK_MS - 1, NET_MEMORY_OUT), "out again: begins anew");
	memory_out = false;
	ok(ticked(1, NET_MEMORY_THERE), "and ends in time");
	memory_out = true;
	ok(ticked(10 * NET_LACK_MS, NET_MEMORY_THERE),
	    "nobody has asked: nobody has missed any");
	memory_out = false;
	end();
}

static void
quiet(void)
{
	struct client *k = hold();

	net->pool.large = true;
	pass(10 * NET_QUIET_MS);
	ok(net->pool.large, "a request runs: memory is kept for the next");
	client_take(k, SIZE_MAX);
	turn();
	sink_break(held->conn);
	done(held);
	turn();
	pass(NET_QUIET_MS - 1);
	ok(net->pool.large, "quiet: a millisecond before");
	pass(1);
	ok(!net->pool.large, "quiet: given back");
	client_close(k);
	free(k);
	end();
}

/* --- accepting */

enum { CLIENTS = 12 };
static int callers_fd[CLIENTS];
static struct listener accepts;
static struct listeners listening = { &accepts, 1 };
static struct sockaddr_in address;

static void
accept_begin(unsigned int max_conns)
{
	static char name[] = "http://127.0.0.1:0";
	static int fd;
	socklen_t len = sizeof(address);
	size_t i;

	for (i = 0; i < CLIENTS; i++)
		callers_fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
		    0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	address = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)&address, len) == -1 ||
	    listen(fd, CLIENTS) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		exit(99);
	accepts = (struct listener){ .name = name, .family = AF_INET,
	    .fds = &fd, .nfds = 1, .backlog = CLIENTS };
	begin(KEEP_MS);
	net->max_conns = max_conns;
	net->listeners = &listening;
}

static void
accept_open(void)
{
	if (acceptors_open(net, NULL, 0, false) == -1)
		exit(99);
}

static void
accept_end(void)
{
	size_t i;

	end();
	for (i = 0; i < CLIENTS; i++)
		(void)close(callers_fd[i]);
	(void)close(accepts.fds[0]);
}

static void
connect_to(size_t from, size_t to)
{
	for (; from < to; from++)
		if (connect(callers_fd[from], (struct sockaddr *)&address,
		    sizeof(address)) == -1)
			exit(99);
	turn();
}

static void
accept_lacks(const char *of, const char *text, bool memory_is)
{
	const char *again = "New connections are accepted again";
	unsigned int have = memory_is ? 2 : 1;	/* one was kept ready */

	accept_begin(100);
	accept_open();
	connect_to(0, 1);
	ok(net->nconns == 1, "without %s: while there is", of);
	if (memory_is)
		memory_out = true;
	else
		descriptors_out(0);
	connect_to(1, 4);
	ok(net->nconns == have && logged(text) == 1,
	    "without %s: said", of);
	pass(999);
	pass(1);
	ok(net->nconns == have && logged(text) == 1,
	    "without %s: a second later as well, and not said again", of);
	pass(500);
	memory_out = false;
	if (!memory_is)
		descriptors_back();
	pass(499);
	ok(net->nconns == have && logged(again) == 0,
	    "without %s: it rests for a second", of);
	pass(1);
	ok(net->nconns == 4 && logged(again) == 1,
	    "with %s again: all that wait", of);
	accept_end();
}

static void
accept_leaves(void)
{
	unsigned int n;

	accept_begin(100);
	descriptors_out(8);
	accept_open();
	connect_to(0, CLIENTS);
	n = net->nconns;
	ok(n > 0 && n < 8 && logged("descriptors run short") == 1,
	    "the last descriptors are left alone");
	pass(1000);
	ok(net->nconns == n && logged("trying again") == 1,
	    "a second later: still");
	pass(500);
	while (net->nconns > 0)
		conn_cut(TAILQ_FIRST(&net->list[NET_HEAD]));
	pass(499);
	ok(net->nconns == 0, "connections have gone: the rest goes on");
	pass(1);
	ok(net->nconns > 0, "connections have gone: others at its end");
	descriptors_back();
	accept_end();
}

static void
accept_bounded(void)
{
	accept_begin(2);
	accept_open();
	connect_to(0, 4);
	ok(net->nconns == 2, "worker_connections: no more of them");
	pass(NET_HEAD_MS / 2);
	ok(net->nconns == 2 && logged("trying") == 0,
	    "worker_connections: the others wait, for as long as it takes");
	conn_cut(TAILQ_FIRST(&net->list[NET_HEAD]));
	pass(1);
	ok(net->nconns == 2, "worker_connections: the next at the next tick");
	acceptors_pause(net, true);
	pass(NET_HEAD_MS);
	ok(net->nconns == 0, "paused: nobody");
	acceptors_pause(net, false);
	turn();
	ok(net->nconns == 1, "and on: the last");
	accept_end();
}

int
main(void)
{
	size_t i;

	clock_hold(1000000);
	side_log("info");
	ok(NET_HEAD_MS == 60000 && NET_BODY_MS == 60000 &&
	    NET_SEND_MS == 60000 && NET_LINGER_MS == 2000 &&
	    NET_TICK_MS == 100 && NET_LACK_MS == 1000, "the limits");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(i);
	callers();
	starved();
	idle_for_good();
	linger();
	memory();
	quiet();
	accept_lacks("descriptors", "Too many open files; trying", false);
	accept_lacks("memory", "Cannot allocate memory; trying", true);
	accept_leaves();
	accept_bounded();
	return tap_done();
}
