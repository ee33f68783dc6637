#include "config.h"

#include "fcgi/clock.h"
#include "fcgi/connection.h"
#include "fcgi/connections.h"
#include "fcgi/late.h"
#include "fcgi/log.h"
#include "fcgi/recall.h"

static void
dump_stacks(struct dispatch *d)
{
	if (d->c.kind->dump != NULL && log_fd() != -1)
		d->c.kind->dump(log_fd());
}

static void
say_late(struct dispatch *d, struct request *rq, const char *how)
{
	log_critical("Request timed out after %u s: " STR_FMT " " STR_FMT
	    " (%s; its worker is replaced)", d->c.request_timeout_ms / 1000,
	    STR_ARG(request_value(rq, VAR_REQUEST_METHOD)),
	    STR_ARG(request_value(rq, VAR_PATH_INFO)), how);
}

/* Answer in the place of its caller, if that is still possible. */
static bool
answer(struct dispatch *d, struct request *rq, int status)
{
	if (!connection_abandon(rq, status))
		return false;
	if (rq->answered && d->c.answered != NULL)
		d->c.answered(d->c.arg, rq, status);
	return true;
}

bool
late_all(const struct dispatch *d)
{
	return d->late >= d->c.threads;
}

void
late_check(struct dispatch *d)
{
	uint64_t now = clock_ms(), since;
	struct request *rq;
	unsigned int i;
	bool abandoned;

	for (i = 0; i < d->c.threads; i++) {
		if ((rq = d->run[i]) == NULL || rq->late)
			continue;
		if (atomic_load(&rq->draining))
			continue;
		since = atomic_load_explicit(&rq->progress_ms,
		    memory_order_relaxed);
		if (now < since + d->c.request_timeout_ms)
			continue;
		/* Its client may have given up before. */
		abandoned = rq->abandoned;
		if (!abandoned && !answer(d, rq, 504))
			continue;
		rq->late = true;
		d->late++;
		engine_say_busy(d);
		say_late(d, rq, abandoned ? "its client had aborted it" :
		    rq->whole ? "its answer was out" :
		    rq->on_wire ? "cut" : "answered 504");
		dump_stacks(d);
		if (d->c.stuck != NULL)
			d->c.stuck(d->c.arg, late_all(d));
	}
}

void
late_recall(struct dispatch *d)
{
	struct request *rq, *next, *stay = NULL, **stay_end = &stay;
	bool hopeless = late_all(d);

	rq = d->ready;
	d->ready = NULL;
	d->ready_end = &d->ready;
	d->queued = 0;
	pthread_mutex_unlock(&d->m);
	for (; rq != NULL; rq = next) {
		next = rq->next;
		rq->next = NULL;
		if (recall_request(rq))
			continue;
		if (hopeless) {
			connection_refuse(rq);
			continue;
		}
		*stay_end = rq;
		stay_end = &rq->next;
	}
	pthread_mutex_lock(&d->m);
	/* Only the leader adds to the queue, and that is us. */
	for (rq = stay; rq != NULL; rq = rq->next)
		d->queued++;
	if (stay != NULL) {
		*d->ready_end = stay;
		d->ready_end = stay_end;
	}
}

void
late_give_up(struct dispatch *d)
{
	struct request *rq, *next;
	unsigned int i;

	connections_give_up(d->c.net);
	pthread_mutex_lock(&d->m);
	rq = d->ready;
	d->ready = NULL;
	d->ready_end = &d->ready;
	d->queued = 0;
	for (i = 0; i < d->c.threads; i++) {
		if (d->run[i] == NULL || !answer(d, d->run[i], 503))
			continue;
		log_warning("Request cut: " STR_FMT " " STR_FMT " (%s)",
		    STR_ARG(request_value(d->run[i], VAR_REQUEST_METHOD)),
		    STR_ARG(request_value(d->run[i], VAR_PATH_INFO)),
		    d->run[i]->whole ? "its answer was out" :
		    d->run[i]->on_wire ? "its answer had begun" :
		    "answered 503");
	}
	pthread_mutex_unlock(&d->m);
	for (; rq != NULL; rq = next) {
		next = rq->next;
		rq->next = NULL;
		connection_refuse(rq);
	}
}
