#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/acceptor.h"
#include "fcgi/child.h"
#include "fcgi/clock.h"
#include "fcgi/connection.h"
#include "fcgi/dispatch.h"
#include "fcgi/engine.h"
#include "fcgi/late.h"
#include "fcgi/log.h"
#include "fcgi/loop.h"
#include "fcgi/monitor.h"
#include "fcgi/response.h"
#include "fcgi/scoreboard.h"
#include "fcgi/shed.h"
#include "fcgi/sink.h"
#include "fcgi/thread.h"

enum {
	SLOW_NS = 100 * 1000,		/* a call that waits as long is slow */
	VERY_SLOW_NS = 1000 * 1000,
	NOBODY = -1
};

struct thread {
	struct dispatch	*d;
	int		 me;
	void		*app;		/* kind->thread_new()'s */
	uint64_t	 now_ns;	/* if not 0, the last call ended now */
	bool		 caller;	/* else it may only lead */
	bool		 entered;	/* has the application's lock */
};

static struct dispatch *current;	/* this process's only one */

/* --- small steps, m held */

static void
wake_caller(struct dispatch *d)
{
	/* One on its way will look around, and wake the next if need be. */
	if (d->idle > 0 && !d->coming) {
		d->coming = true;
		pthread_cond_signal(&d->work);
	}
}

/* The loop is nobody's: have somebody take it. */
static void
wake_leader(struct dispatch *d)
{
	d->leader = NOBODY;
	if (d->spare_idle > 0)
		pthread_cond_signal(&d->lead);
	else
		wake_caller(d);
}

/* The leader goes where it cannot see to the loop: have it watched. */
static void
watch_me(struct thread *t)
{
	struct dispatch *d = t->d;

	d->leader = t->me;
	d->inlining = true;
	d->seq++;
	if (d->dozing) {
		d->dozing = false;
		pthread_cond_signal(&d->doze);
	}
}

static bool
slow(const struct dispatch *d)
{
	return d->waited_ns > SLOW_NS ||
	    (d->slow_until_ns != 0 && clock_ns() < d->slow_until_ns);
}

static struct request *
pop(struct dispatch *d)
{
	struct request *rq = d->ready;

	if ((d->ready = rq->next) == NULL)
		d->ready_end = &d->ready;
	rq->next = NULL;
	d->queued--;
	return rq;
}

static void
enter_app(struct thread *t)
{
	if (!t->entered && t->d->c.kind->enter != NULL)
		t->d->c.kind->enter(t->app);
	t->entered = true;
}

static void
leave_app(struct thread *t)
{
	if (t->entered && t->d->c.kind->leave != NULL)
		t->d->c.kind->leave(t->app);
	t->entered = false;
}

/* --- one request */

/* Say on the board what we run: it is read when we have died of it. */
static void
say_running(struct thread *t, struct request *rq)
{
	struct str part[] = { request_value(rq, VAR_REQUEST_METHOD), { " ", 1 },
	    request_value(rq, VAR_PATH_INFO) };
	char *line = t->d->c.place->now[t->me], *p = line;
	size_t i, k;

	for (i = 0; i < 3; i++)
		for (k = 0; k < part[i].n && p < line + PLACE_LINE - 1; k++)
			*p++ = part[i].p[k] >= 0x20 && part[i].p[k] < 0x7f ?
			    part[i].p[k] : '?';
	*p = '\0';
}

/* Without m. */
static void
call(struct thread *t, struct request *rq, bool give_way)
{
	const struct app_kind *kind = t->d->c.kind;
	bool ok;

	ok = kind->call(&rq->pub) == 0;
	if (child_is())
		child_end(ok);
	if (give_way)		/* others are likely to want it now */
		leave_app(t);
	response_finish(rq, ok);
	if (t->d->c.finished != NULL)
		t->d->c.finished(t->d->c.arg, rq);
	if (rq->pub.app != NULL) {
		enter_app(t);
		kind->after(&rq->pub);
		if (give_way)
			leave_app(t);
	}
}

static void
account(struct dispatch *d, uint64_t began, uint64_t ended, uint64_t cpu)
{
	int64_t took = (int64_t)(ended - began);
	int64_t waited = cpu == 0 ? 0 : took - (int64_t)cpu;

	d->last_ns = took;
	/* One long call says little about the next: the monitor saw it. */
	if (took > VERY_SLOW_NS)
		took = VERY_SLOW_NS;
	if (waited > VERY_SLOW_NS)
		waited = VERY_SLOW_NS;
	d->average_ns += (took - d->average_ns) / 16;
	d->waited_ns += (waited - d->waited_ns) / 16;
}

/* m held; hand the request back to the loop's owner. */
static void
give_back(struct thread *t, struct request *rq)
{
	struct dispatch *d = t->d;

	/* Ordered before `eager` is looked at (connection.c). */
	atomic_store(&rq->state, REQUEST_DONE);
	rq->next = d->done;
	d->done = rq;
	/* A kept connection with nothing to do can wait for the next turn. */
	if (d->leader != t->me && d->blocked && (!rq->keep ||
	    rq->rs.broken || atomic_load(&rq->conn->eager) ||
	    (d->ready == NULL && !d->c.net->accepting)))
		(void)uv_async_send(&d->c.net->wake);
}

static void
serve(struct thread *t, bool lead)	/* m held, and entered */
{
	struct dispatch *d = t->d;
	struct request *rq = pop(d);
	bool give_way, sample;
	uint64_t began, ended, cpu = 0;

	/* Where calls take long, or one did, it is worth a look whether the
	 * client has left: nobody would see the answer. */
	give_way = d->average_ns > SLOW_NS;
	if ((give_way || d->last_ns > VERY_SLOW_NS) && sink_hung_up(rq->conn))
		rq->gone = true;
	if (rq->gone) {
		log_info("The client left before its turn: " STR_FMT " "
		    STR_FMT, STR_ARG(request_value(rq, VAR_REQUEST_METHOD)),
		    STR_ARG(request_value(rq, VAR_PATH_INFO)));
		give_back(t, rq);
		return;
	}
	d->run[t->me] = rq;
	d->running++;
	if (lead)
		watch_me(t);
	else if (d->leader == NOBODY)
		wake_leader(d);
	else if (d->ready != NULL && !d->entering)
		wake_caller(d);
	sample = give_way;
	atomic_store_explicit(&rq->state, REQUEST_RUNNING,
	    memory_order_release);
	began = t->now_ns != 0 ? t->now_ns : clock_ns();
	rq->began_ns = began;
	atomic_store_explicit(&rq->progress_ms, began / 1000000,
	    memory_order_relaxed);
	engine_say_busy(d);
	pthread_mutex_unlock(&d->m);
	if (t->me < PLACE_NOW)
		say_running(t, rq);
	if (sample)
		cpu = clock_thread_ns();
	call(t, rq, give_way);
	if (sample)
		cpu = clock_thread_ns() - cpu;
	if (t->me < PLACE_NOW)
		d->c.place->now[t->me][0] = '\0';
	ended = clock_ns();
	pthread_mutex_lock(&d->m);
	d->running--;
	if (rq->late)
		d->late--;
	engine_say_busy(d);
	d->run[t->me] = NULL;
	account(d, began, ended, cpu);
	t->now_ns = 0;
	if (d->leader == t->me) {
		d->inlining = false;
		t->now_ns = ended;	/* the next call follows at once */
	}
	give_back(t, rq);
}

/* --- the leader */

/* m held. Requests whose callers have let go; returns with m held. */
static void
reap(struct dispatch *d)
{
	struct request *rq, *next;

	rq = d->done;
	d->done = NULL;
	if (rq == NULL)
		return;
	pthread_mutex_unlock(&d->m);
	for (; rq != NULL; rq = next) {
		next = rq->next;
		rq->next = NULL;
		connection_done(rq);
	}
	pthread_mutex_lock(&d->m);
}

/* The loop has met a connection whose request is done but not reaped. */
static void
reap_now(void *arg)
{
	struct dispatch *d = arg;

	pthread_mutex_lock(&d->m);
	reap(d);
	pthread_mutex_unlock(&d->m);
}

/* One turn of the loop; m held at call and return. */
static void
lead(struct thread *t, bool look)
{
	struct dispatch *d = t->d;
	struct net *net = d->c.net;
	bool again, block;

	d->leader = t->me;
	t->now_ns = 0;
	reap(d);
	if (d->c.request_timeout_ms != 0 && d->running > 0)
		late_check(d);
	if (net->leaving && d->ready != NULL && d->running >= d->c.threads)
		late_recall(d);
	acceptors_pause(net, shed_full(d));
	/* Reaping may have brought the next of pipelined requests, and others
	 * may be done since: nobody wakes who does not block yet. */
	block = !look && net->fresh == NULL && d->done == NULL;
	d->blocked = block;
	pthread_mutex_unlock(&d->m);
	if (!look)
		leave_app(t);
	loop_turn(net, block);
	again = !d->c.turned(d->c.arg);
	pthread_mutex_lock(&d->m);
	d->blocked = false;
	shed_collect(d);
	if (!again) {
		d->quit = true;
		pthread_cond_broadcast(&d->work);
		pthread_cond_broadcast(&d->lead);
	}
}

/* --- the threads */

/*
 * A request waits and the leader asks: shall it call it, loop in hand?
 * False: it goes on leading, or (*lead false) it leads no more.
 */
static bool
call_inline(struct thread *t, bool *lead)
{
	struct dispatch *d = t->d;
	bool callers = d->idle > 0 || d->coming;

	if (!t->caller) {
		if (callers && !slow(d)) {	/* fast times: theirs */
			d->leader = NOBODY;
			wake_caller(d);
			*lead = false;
		} else if (!d->entering)
			wake_caller(d);
		return false;
	}
	if (!slow(d))
		return true;
	if (callers) {			/* slow times: others call */
		if (!d->entering)
			wake_caller(d);
		return false;
	}
	if (d->spare_idle > 0) {	/* the last caller gives up leading */
		wake_leader(d);
		*lead = false;
	}
	return true;
}

static void
wait_idle(struct thread *t)
{
	struct dispatch *d = t->d;

	if (!t->caller) {
		d->spare_idle++;
		pthread_cond_wait(&d->lead, &d->m);
		d->spare_idle--;
		return;
	}
	d->idle++;
	pthread_cond_wait(&d->work, &d->m);
	d->idle--;
	d->coming = false;
}

/* m held. Handlers of signals, on the main thread; they may take their
 * time. */
static void
run_errand(struct thread *t)
{
	struct dispatch *d = t->d;

	d->errand = false;
	if (d->leader == NOBODY || d->leader == t->me)
		watch_me(t);
	pthread_mutex_unlock(&d->m);
	enter_app(t);
	d->c.errand(d->c.arg);
	leave_app(t);
	pthread_mutex_lock(&d->m);
	if (d->leader == t->me)
		d->inlining = false;
	t->now_ns = 0;
}

/* What to do next, decided with m held. */
static void
next_step(struct thread *t, bool *looked)
{
	struct dispatch *d = t->d;
	bool leading = d->leader == NOBODY || d->leader == t->me;
	bool work = d->ready != NULL && d->running < d->c.threads &&
	    !d->inlining;
	bool may = work && t->caller;

	if (d->errand && t->me == 0) {
		run_errand(t);
		return;
	}
	if (work && leading)
		may = call_inline(t, &leading);
	if (may && d->c.kind->enter == NULL)
		t->entered = true;	/* there is no lock to wait for */
	if (may && !t->entered && !d->entering) {
		d->entering = true;
		if (leading)
			watch_me(t);
		pthread_mutex_unlock(&d->m);
		enter_app(t);
		pthread_mutex_lock(&d->m);
		d->entering = false;
		if (d->leader == t->me)
			d->inlining = false;
	} else if (may && t->entered) {
		serve(t, leading);
		*looked = false;
	} else if (leading) {
		/* With the lock, only look; to wait, let go of it. */
		lead(t, t->entered && !work && !*looked &&
		    d->running < d->c.threads && d->c.kind->enter != NULL);
		*looked = d->ready == NULL;
	} else if (t->entered) {
		pthread_mutex_unlock(&d->m);
		leave_app(t);
		pthread_mutex_lock(&d->m);
	} else
		wait_idle(t);
}

static void
work(struct thread *t)
{
	struct dispatch *d = t->d;
	bool looked = true;

	pthread_mutex_lock(&d->m);
	while (!d->quit)
		next_step(t, &looked);
	if (d->leader == t->me)
		d->inlining = false;
	pthread_mutex_unlock(&d->m);
	leave_app(t);
}

static void *
thread_main(void *arg)
{
	struct thread *t = arg;

	if (t->caller && t->d->c.kind->thread_new != NULL &&
	    (t->app = t->d->c.kind->thread_new()) == NULL)
		t->caller = false;	/* it can still lead */
	work(t);
	if (t->app != NULL && t->d->c.kind->thread_free != NULL)
		t->d->c.kind->thread_free(t->app);
	return NULL;
}

/* Takes the loop from a leader that is stuck in the application. */
static void *
monitor_main(void *arg)
{
	struct dispatch *d = arg;
	struct monitor m = { 0 };

	pthread_mutex_lock(&d->m);
	monitor_begin(&m, d);
	while (!d->quit) {
		pthread_mutex_unlock(&d->m);
		clock_pause(monitor_tick_ms(&m));
		pthread_mutex_lock(&d->m);
		switch (monitor_look(&m, d)) {
		case MONITOR_STUCK:
			wake_leader(d);
			break;
		case MONITOR_QUIET:
			d->dozing = true;
			while (d->dozing && !d->quit)
				pthread_cond_wait(&d->doze, &d->m);
			monitor_begin(&m, d);
			break;
		case MONITOR_FINE:
			break;
		}
	}
	pthread_mutex_unlock(&d->m);
	return NULL;
}

/* How many of the callers are still in the application. */
static unsigned int
busy_callers(struct dispatch *d)
{
	unsigned int n;

	pthread_mutex_lock(&d->m);
	n = d->running;
	pthread_mutex_unlock(&d->m);
	return n;
}

unsigned int
dispatch_busy(void)
{
	unsigned int n;

	pthread_mutex_lock(&current->m);
	n = current->running + current->queued;
	pthread_mutex_unlock(&current->m);
	return n;
}

unsigned int
dispatch_queued(void)
{
	unsigned int n;

	pthread_mutex_lock(&current->m);
	n = current->queued;
	pthread_mutex_unlock(&current->m);
	return n;
}

void
dispatch_errand(void)
{
	pthread_mutex_lock(&current->m);
	current->errand = true;
	pthread_cond_broadcast(&current->work);
	pthread_mutex_unlock(&current->m);
}

bool
dispatch_main_busy(void)
{
	bool busy;

	pthread_mutex_lock(&current->m);
	busy = current->run[0] != NULL;
	pthread_mutex_unlock(&current->m);
	return busy;
}

void
dispatch_give_up(void)
{
	late_give_up(current);
}

static int
dispatch_init(struct dispatch *d, const struct dispatch_config *c)
{
	*d = (struct dispatch){ .c = *c, .leader = NOBODY };
	d->ready_end = &d->ready;
	pthread_mutex_init(&d->m, NULL);
	pthread_cond_init(&d->work, NULL);
	pthread_cond_init(&d->lead, NULL);
	pthread_cond_init(&d->doze, NULL);
	d->run = calloc((size_t)c->threads + 1, sizeof(*d->run));
	return d->run == NULL ? -1 : 0;
}

bool
dispatch_run(const struct dispatch_config *c)
{
	struct dispatch *d = malloc(sizeof(*d));
	struct thread *threads = calloc((size_t)c->threads + 1,
	    sizeof(*threads));
	pthread_t *ids = calloc((size_t)c->threads + 2, sizeof(*ids));
	size_t stack = thread_stack(c->threads);
	unsigned int i, started = 0;
	bool orderly;
	int rc;

	if (d == NULL || threads == NULL || ids == NULL ||
	    dispatch_init(d, c) == -1) {
		log_error("Out of memory for the worker's threads");
		return false;
	}
	current = d;
	thread_thrift();
	c->net->reap = reap_now;
	c->net->reap_arg = d;
	for (i = 0; i <= c->threads; i++)
		threads[i] = (struct thread){ .d = d, .me = (int)i,
		    .caller = i < c->threads };
	/* The spare leader first: without it nobody answers 504. */
	if ((rc = thread_helper(&ids[0], monitor_main, d)) != 0 ||
	    (rc = thread_helper(&ids[1], thread_main,
	    &threads[c->threads])) != 0) {
		log_error("Cannot start the worker's threads: %s (see the "
		    "limits on processes and memory)", strerror(rc));
		return false;
	}
	for (started = 1; started < c->threads; started++)
		if (thread_caller(&ids[started + 1], stack, thread_main,
		    &threads[started]) != 0)
			break;
	pthread_mutex_lock(&d->m);
	d->c.threads = started;
	pthread_mutex_unlock(&d->m);
	if (started < c->threads)
		log_warning("Only %u of %u threads could be started",
		    started, c->threads);
	work(&threads[0]);
	orderly = busy_callers(d) == 0;
	pthread_mutex_lock(&d->m);
	pthread_cond_broadcast(&d->work);
	pthread_cond_broadcast(&d->lead);
	pthread_cond_signal(&d->doze);
	pthread_mutex_unlock(&d->m);
	for (i = 0; i <= started && orderly; i++)
		(void)pthread_join(ids[i], NULL);
	if (orderly) {
		pthread_mutex_lock(&d->m);
		reap(d);
		pthread_mutex_unlock(&d->m);
		free(d->run);
		free(d);
		free(threads);
	}
	free(ids);
	return orderly;
}
