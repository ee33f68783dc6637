#include "config.h"

#include "fcgi/acceptor.h"
#include "fcgi/clock.h"
#include "fcgi/connection.h"
#include "fcgi/log.h"
#include "fcgi/response.h"
#include "fcgi/shed.h"

enum { TELL_MS = 1000 };	/* least time between two lines */

static enum place_full
how_full(const struct dispatch *d)
{
	if (d->running < d->c.threads)
		return PLACE_ROOM;
	return d->c.queue_max == 0 || d->queued < d->c.queue_max ?
	    PLACE_FULL : PLACE_JAMMED;
}

bool
shed_full(const struct dispatch *d)
{
	enum place_full full = how_full(d);

	atomic_store_explicit(&d->c.place->full, full, memory_order_relaxed);
	if (d->running == 0)
		return false;
	if (!acceptors_shared())
		return full == PLACE_FULL && d->queued > 0 &&
		    d->c.queue_max == 0;
	if (d->running + d->queued < d->c.threads)
		return false;
	/* A queue with a bound may fill, but after those of less busy ones. */
	return d->c.queue_max == 0 || !acceptors_crowded(full == PLACE_ROOM ?
	    PLACE_FULL : full);
}

/* As many as there is room for; those that are left over. */
static struct request *
join(struct dispatch *d)
{
	struct net *net = d->c.net;
	struct request **end = &net->fresh, *rest;
	unsigned int used = d->running + d->queued;
	bool bound = d->c.queue_max != 0 && !net->leaving;

	for (; *end != NULL; end = &(*end)->next) {
		if (bound && used++ >= d->c.threads + d->c.queue_max)
			break;
		d->queued++;
		net->nrequests++;
	}
	rest = *end;
	*end = NULL;
	if (net->fresh != NULL) {
		*d->ready_end = net->fresh;
		d->ready_end = end;
	}
	net->fresh = NULL;
	net->fresh_end = &net->fresh;
	return rest;
}

static void
turn_away(struct dispatch *d, struct request *rq)
{
	rq->began_ns = clock_ns();
	response_error(rq, 503, "The server is busy");
	if (d->c.finished != NULL)
		d->c.finished(d->c.arg, rq);
	/* It was none that max_requests or a person would count. */
	atomic_fetch_sub_explicit(&d->c.place->done, 1, memory_order_relaxed);
	atomic_store(&rq->state, REQUEST_DONE);
	connection_done(rq);
}

/* At most one line a second, the first of them at once. */
static void
tell(struct dispatch *d)
{
	uint64_t now;

	if (d->shed == 0 || (now = clock_ms()) < d->shed_told_ms + TELL_MS)
		return;
	log_warning("The queue is full: %u %s answered 503 (worker_queue %u)",
	    d->shed, d->shed == 1 ? "request was" : "requests were",
	    d->c.queue_max);
	d->shed = 0;
	d->shed_told_ms = now;
}

void
shed_collect(struct dispatch *d)
{
	struct request *rq, *next;

	/* What is turned away may have another one behind it. */
	while (d->c.net->fresh != NULL) {
		if ((rq = join(d)) == NULL)
			break;
		pthread_mutex_unlock(&d->m);
		for (; rq != NULL; rq = next) {
			next = rq->next;
			rq->next = NULL;
			d->shed++;
			turn_away(d, rq);
		}
		pthread_mutex_lock(&d->m);
	}
	tell(d);
}
