#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"
#include "fcgi/clock.h"
#include "fcgi/generation.h"
#include "fcgi/log.h"
#include "fcgi/recycle.h"
#include "fcgi/scoreboard.h"
#include "fcgi/slot.h"
#include "fcgi/spawn.h"

enum {
	BACKOFF_MS = 100, BACKOFF_MAX_MS = 5000,
	HEALTHY_MS = 1000,	/* who lived so long was no early death */
	ABORT_MS = 1000,	/* from SIGABRT to SIGKILL */
	STUCK_MS = 100,		/* how often a stuck worker is looked at */
	BEAT_MS = 1000,		/* how often heartbeats are */
};

int
crew_init(struct crew *c, size_t places)
{
	size_t i;

	c->procs = calloc(places, sizeof(*c->procs));
	c->slots = calloc(places, sizeof(*c->slots));
	if (c->procs == NULL || c->slots == NULL) {
		crew_done(c);
		errno = ENOMEM;
		return -1;
	}
	for (i = 0; i < places; i++)
		c->slots[i].serving = c->slots[i].coming = SLOT_NONE;
	c->places = places;
	c->ticked = clock_ms();
	return 0;
}

void
crew_done(struct crew *c)
{
	free(c->procs);
	free(c->slots);
	c->procs = NULL;
	c->slots = NULL;
	c->places = 0;
}

size_t
crew_room(const struct crew *c)
{
	return (c->places - PLACES_SPARE) / 2;
}

size_t
crew_slots(const struct crew *c, const struct settings *s)
{
	size_t n = (size_t)settings_int(s, SET_workers);

	return n < crew_room(c) ? n : crew_room(c);
}

/* --- one process */

/* It is our child and not reaped yet, so the pid is nobody else's. */
static void
proc_send(const struct proc *p, int sig)
{
	if (p->pid > 0)
		(void)kill(p->pid, sig);
}

static void
proc_abort(struct proc *p, uint64_t now)
{
	proc_send(p, SIGABRT);
	p->state = PROC_ABORTED;
	p->deadline = now + ABORT_MS;
}

static void
proc_kill(struct proc *p)
{
	proc_send(p, SIGKILL);
	p->state = PROC_KILLED;
	p->deadline = 0;
}

void
proc_leave(struct crew *c, struct proc *p, int sig)
{
	if (p->state == PROC_NONE || p->state == PROC_ABORTED ||
	    p->state == PROC_KILLED)
		return;
	/* A second TERM would only meet it on its way out. */
	if (p->state != PROC_LEAVING || sig != SIGTERM)
		proc_send(p, sig);
	if (p->state == PROC_BOOTING || p->state == PROC_READY) {
		p->state = PROC_LEAVING;
		p->deadline = clock_ms() + c->grace_ms;
	}
}

/* The worker in that place serves from now on; who did so leaves. */
static void
slot_promote(struct crew *c, size_t place)
{
	struct slot *s = &c->slots[c->procs[place].slot];
	size_t old;

	if (s->coming != place)
		return;
	old = s->serving;
	s->serving = place;
	s->coming = SLOT_NONE;
	if (old == SLOT_NONE)
		return;
	if (clock_ms() - c->procs[old].since >= HEALTHY_MS)
		s->failures = 0;
	proc_leave(c, &c->procs[old], SIGTERM);
}

void
proc_look(struct crew *c, size_t place)
{
	struct proc *p = &c->procs[place];
	struct place *b = &c->board->place[place];
	unsigned int state = atomic_load(&b->state);
	unsigned int wants = atomic_load(&b->wants);

	if (p->state == PROC_BOOTING && state == PLACE_READY) {
		p->state = PROC_READY;
		p->since = clock_ms();
		p->deadline = 0;
		c->ever_ready = true;
		/* It may have had no ear yet for the first. */
		if (p->reopen)
			proc_send(p, SIGUSR1);
		slot_promote(c, place);
	}
	if (p->state != PROC_READY)
		return;
	if ((wants & WANT_RETIRE) != 0 && p->due == 0)
		p->due = clock_ms();
	if ((wants & WANT_KILL) != 0) {
		p->replace = true;
		p->state = PROC_STUCK;
		p->deadline = clock_ms() + c->grace_ms;
	} else if (state == PLACE_LEAVING) {
		/* Nobody told it to, but it has its reasons. */
		p->replace = true;
		p->state = PROC_LEAVING;
		p->deadline = clock_ms() + c->grace_ms;
	}
}

static bool
proc_silent(const struct crew *c, size_t place, uint64_t now)
{
	const struct proc *p = &c->procs[place];
	uint64_t beat;

	if (c->timeout_ms == 0 || p->since == 0 ||
	    (p->state != PROC_READY && p->state != PROC_LEAVING))
		return false;
	beat = atomic_load(&c->board->place[place].heartbeat_ms);
	if (beat < p->since)
		beat = p->since;
	if (beat < c->amnesty)
		beat = c->amnesty;
	return now > beat && now - beat > c->timeout_ms;
}

/* Has a stuck worker done all but what it is stuck in? */
static bool
others_done(const struct place *b)
{
	return atomic_load(&b->busy) <= 1 && atomic_load(&b->queued) == 0 &&
	    atomic_load(&b->connections) <= 1 &&
	    atomic_load(&b->sending) == 0;
}

/* What the clock says to one process. */
static void
proc_watch(struct crew *c, size_t place, uint64_t now)
{
	struct proc *p = &c->procs[place];

	if (proc_silent(c, place, now)) {
		log_critical("WORKER TIMEOUT (pid:%d)", (int)p->pid);
		p->replace = true;
		proc_abort(p, now);
		return;
	}
	if (p->state == PROC_STUCK && p->deadline > now + STUCK_MS &&
	    others_done(&c->board->place[place]))
		p->deadline = now + STUCK_MS;	/* the 504 may be on its way */
	if (p->deadline == 0 || now < p->deadline)
		return;
	if (p->state == PROC_BOOTING) {
		log_critical("Worker (pid:%d) was not ready in time "
		    "(boot_timeout)", (int)p->pid);
		p->overdue = true;
		proc_abort(p, now);	/* it says where it is */
	} else if (p->state == PROC_STUCK)
		proc_abort(p, now);
	else
		proc_kill(p);
}

/* --- one slot */

static void
slot_back_off(struct slot *s, unsigned int free_ones)
{
	unsigned int n, ms = 0;

	s->failures++;
	if (s->failures > free_ones) {
		n = s->failures - free_ones - 1;
		ms = n > 6 ? BACKOFF_MAX_MS : BACKOFF_MS << n;
		if (ms > BACKOFF_MAX_MS)
			ms = BACKOFF_MAX_MS;
	}
	s->retry_at = clock_ms() + ms;
}

static size_t
place_free(const struct crew *c)
{
	size_t i, place;

	for (i = 1; i <= c->places; i++) {
		place = (c->last + i) % c->places;
		if (c->procs[place].state == PROC_NONE)
			return place;
	}
	return SLOT_NONE;
}

static void
place_set(struct place *b, size_t slot, unsigned int generation)
{
	atomic_store(&b->pid, 0);
	atomic_store(&b->slot, (unsigned int)slot);
	atomic_store(&b->generation, generation);
	atomic_store(&b->wants, 0);
	atomic_store(&b->heartbeat_ms, 0);
	atomic_store(&b->begun, 0);
	atomic_store(&b->done, 0);
	atomic_store(&b->busy, 0);
	atomic_store(&b->connections, 0);
	atomic_store(&b->sending, 0);
	atomic_store(&b->queued, 0);
	atomic_store(&b->full, PLACE_ROOM);
	memset(b->now, 0, sizeof(b->now));
	atomic_store(&b->state, PLACE_BOOTING);
}

static uint64_t
boot_deadline(const struct settings *s)
{
	long limit = settings_int(s, SET_boot_timeout);

	return limit == 0 ? 0 : clock_ms() + 1000 * (uint64_t)limit;
}

size_t
slot_spawn(struct crew *c, size_t slot, struct generation *g)
{
	struct slot *s = &c->slots[slot];
	struct place *b;
	size_t place;
	pid_t pid;

	if ((place = place_free(c)) == SLOT_NONE) {
		log_warning("too many workers are still leaving; slot %zu "
		    "has to wait", slot);
		slot_back_off(s, 0);
		return SLOT_NONE;
	}
	b = &c->board->place[place];
	place_set(b, slot, g->number);
	c->age++;
	if ((pid = spawn_worker(c, g, place, slot)) == -1) {
		log_error("cannot start a worker: %s", strerror(errno));
		atomic_store(&b->state, PLACE_FREE);
		slot_back_off(s, 0);
		return SLOT_NONE;
	}
	atomic_store(&b->pid, pid);
	c->procs[place] = (struct proc){
		.state = PROC_BOOTING, .pid = pid, .slot = slot,
		.generation = g->number, .age = c->age,
		.deadline = boot_deadline(g->settings),
		.lifetime_ms = recycle_lifetime(g->settings),
	};
	c->last = place;
	s->coming = place;
	return place;
}

void
slot_dismiss(struct crew *c, size_t slot)
{
	struct slot *s = &c->slots[slot];

	if (s->serving != SLOT_NONE)
		proc_leave(c, &c->procs[s->serving], SIGTERM);
	if (s->coming != SLOT_NONE)
		proc_leave(c, &c->procs[s->coming], SIGTERM);
	*s = (struct slot){ .serving = SLOT_NONE, .coming = SLOT_NONE };
}

static bool
slot_lacks(const struct crew *c, const struct slot *s)
{
	return s->coming == SLOT_NONE &&
	    (s->serving == SLOT_NONE || c->procs[s->serving].replace);
}

/* What a worker that ended was running, in one line. */
static void
log_running(pid_t pid, const struct place *b)
{
	char line[PLACE_NOW * (PLACE_LINE + 2)] = "", *at = line;
	char one[PLACE_LINE];
	unsigned int busy = atomic_load(&b->busy), n = 0;
	size_t i;

	for (i = 0; i < PLACE_NOW; i++) {
		scoreboard_line(b, i, one);
		if (one[0] == '\0')
			continue;
		at += snprintf(at, (size_t)(line + sizeof(line) - at),
		    "%s%s", n++ > 0 ? ", " : "", one);
	}
	if (n > 0)
		log_error("Worker (pid:%d) was running: %s%s", (int)pid, line,
		    busy > n ? ", and others" : "");
}

static void
log_end(pid_t pid, int status)
{
	const char *name;
	int code;

	if (WIFEXITED(status)) {
		if ((code = WEXITSTATUS(status)) != 0)
			log_error("Worker (pid:%d) exited with code %d.",
			    (int)pid, code);
		return;
	}
	code = WTERMSIG(status);
	if ((name = sigabbrev_np(code)) == NULL)
		name = "?";
	if (code == SIGKILL)
		log_error("Worker (pid:%d) was sent SIGKILL! Perhaps out of "
		    "memory?", (int)pid);
	else if (code == SIGTERM)
		log_info("Worker (pid:%d) was sent SIGTERM!", (int)pid);
	else
		log_warning("Worker (pid:%d) was sent SIG%s!", (int)pid,
		    name);
}

void
slot_gone(struct crew *c, size_t place, int status)
{
	struct proc *p = &c->procs[place];
	struct slot *s = &c->slots[p->slot];

	log_end(p->pid, status);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_running(p->pid, &c->board->place[place]);
	if (s->coming == place) {
		s->coming = SLOT_NONE;
		slot_back_off(s, 0);
	} else if (s->serving == place) {
		s->serving = SLOT_NONE;
		if (clock_ms() - p->since >= HEALTHY_MS) {
			s->failures = 0;
			s->retry_at = 0;
		} else
			slot_back_off(s, 1);
	}
	place_set(&c->board->place[place], 0, 0);
	atomic_store(&c->board->place[place].state, PLACE_FREE);
	*p = (struct proc){ .state = PROC_NONE };
}

/* --- all of them */

size_t
crew_find(const struct crew *c, pid_t pid)
{
	size_t i;

	for (i = 0; i < c->places; i++)
		if (c->procs[i].state != PROC_NONE && c->procs[i].pid == pid)
			return i;
	return SLOT_NONE;
}

size_t
crew_count(const struct crew *c, unsigned int generation)
{
	size_t i, n = 0;

	for (i = 0; i < c->places; i++)
		if (c->procs[i].state != PROC_NONE && (generation == 0 ||
		    c->procs[i].generation == generation))
			n++;
	return n;
}

void
crew_leave(struct crew *c, int sig, uint64_t ms)
{
	uint64_t limit = clock_ms() + ms;
	struct proc *p;

	for (p = c->procs; p < c->procs + c->places; p++) {
		proc_leave(c, p, sig);
		if (p->state == PROC_LEAVING && p->deadline > limit)
			p->deadline = limit;
	}
}

void
crew_reopen(const struct crew *c)
{
	size_t i;

	for (i = 0; i < c->places; i++)
		if (c->procs[i].state != PROC_NONE) {
			proc_send(&c->procs[i], SIGUSR1);
			c->procs[i].reopen = c->procs[i].since == 0;
		}
}

/* The first worker goes ahead: what it cannot load, no other can, and one
 * report of that is enough. */
static bool
first_is_awaited(const struct crew *c)
{
	return !c->ever_ready && crew_count(c, 0) > 0;
}

/* Where we were stopped ourselves, the workers were so too. */
static void
pardon(struct crew *c, uint64_t now)
{
	struct proc *p;

	c->amnesty = now;
	for (p = c->procs; p < c->procs + c->places; p++)
		if (p->state == PROC_BOOTING && p->deadline != 0)
			p->deadline += now - c->ticked;
}

void
crew_tick(struct crew *c, bool fill)
{
	uint64_t now;
	size_t i;

	now = clock_ms();
	if (now - c->ticked > BEAT_MS + BEAT_MS / 4)
		pardon(c, now);
	c->ticked = now;
	for (i = 0; i < c->places; i++)
		if (c->procs[i].state != PROC_NONE) {
			proc_look(c, i);
			proc_watch(c, i, now);
		}
	recycle_tick(c, now);
	for (i = 0; fill && i < c->wanted && !first_is_awaited(c); i++)
		if (slot_lacks(c, &c->slots[i]) &&
		    now >= c->slots[i].retry_at)
			(void)slot_spawn(c, i, c->current);
}

static void
sooner(uint64_t *next, uint64_t at)
{
	if (at < *next)
		*next = at;
}

int
crew_pause(const struct crew *c)
{
	uint64_t now = clock_ms(), next = recycle_next(c);
	size_t i;

	for (i = 0; i < c->places; i++) {
		if (c->procs[i].state == PROC_NONE)
			continue;
		if (c->procs[i].deadline != 0)
			sooner(&next, c->procs[i].deadline);
		if (c->procs[i].state == PROC_STUCK)
			sooner(&next, now + STUCK_MS);
		/* Often enough to see that we were not stopped. */
		if (c->timeout_ms != 0 || (c->procs[i].state ==
		    PROC_BOOTING && c->procs[i].deadline != 0))
			sooner(&next, now + BEAT_MS);
	}
	for (i = 0; i < c->wanted && !first_is_awaited(c); i++)
		if (slot_lacks(c, &c->slots[i]))
			sooner(&next, c->slots[i].retry_at);
	if (next == UINT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}
