#include "config.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/clock.h"
#include "fcgi/crew.h"
#include "fcgi/generation.h"
#include "fcgi/listeners.h"
#include "fcgi/recycle.h"
#include "fcgi/report.h"
#include "fcgi/scoreboard.h"

/* Names need not be UTF-8, JSON must be. */
static json_t *
text(const char *s)
{
	json_t *j = s != NULL ? json_string(s) : NULL;

	return j != NULL ? j : json_null();
}

static json_t *
seconds(uint64_t since, uint64_t now)
{
	return since == 0 || since > now ? json_null() :
	    json_real((double)((now - since) / 100) / 10);
}

static json_t *
running(const struct place *b)
{
	json_t *list = json_array();
	char line[PLACE_LINE];
	size_t i;

	for (i = 0; i < PLACE_NOW; i++) {
		scoreboard_line(b, i, line);
		if (line[0] != '\0')
			(void)json_array_append_new(list, text(line));
	}
	return list;
}

static json_t *
worker(const struct crew *c, size_t place, uint64_t now)
{
	static const char *const states[] = {
		[PROC_NONE] = "none", [PROC_BOOTING] = "booting",
		[PROC_READY] = "ready", [PROC_STUCK] = "stuck",
		[PROC_LEAVING] = "leaving", [PROC_ABORTED] = "aborted",
		[PROC_KILLED] = "killed",
	};
	const struct proc *p = &c->procs[place];
	const struct place *b = &c->board->place[place];

	/* Numbers that the worker wrote are shown, and nothing else. */
	return json_pack("{s:i, s:s, s:b, s:I, s:i, s:I, s:o, s:o, s:i, s:i, "
	    "s:i, s:I, s:I, s:I, s:o}",
	    "pid", (int)p->pid,
	    "state", states[p->state],
	    "replace", p->state == PROC_READY && (p->replace || p->due != 0),
	    "slot", (json_int_t)p->slot,
	    "generation", (int)p->generation,
	    "age", (json_int_t)p->age,
	    "uptime", seconds(p->since, now),
	    "heartbeat", seconds(atomic_load(&b->heartbeat_ms), now),
	    "busy", (int)atomic_load(&b->busy),
	    "queue", (int)atomic_load(&b->queued),
	    "connections", (int)atomic_load(&b->connections),
	    "requests", (json_int_t)atomic_load(&b->begun),
	    "done", (json_int_t)atomic_load(&b->done),
	    "rss", (json_int_t)recycle_rss(p->pid),
	    "running", running(b));
}

static json_t *
workers(const struct crew *c, uint64_t now)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < c->places; i++)
		if (c->procs[i].state != PROC_NONE)
			(void)json_array_append_new(list, worker(c, i, now));
	return list;
}

static json_t *
addresses(const struct listeners *ls)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < ls->n; i++)
		(void)json_array_append_new(list, text(ls->v[i].name));
	return list;
}

json_t *
report_status(const struct crew *c, const char *state, uint64_t started_ms)
{
	const struct settings *s = c->current->settings;
	uint64_t now = clock_ms();
	bool sync = strcmp(settings_string(s, SET_worker_class), "sync") == 0;

	return json_pack("{s:b, s:s, s:i, s:s, s:o, s:o, s:s, s:i, s:I, s:i, "
	    "s:o, s:I, s:o}",
	    "ok", 1, "version", PACKAGE_VERSION, "pid", (int)getpid(),
	    "state", state, "uptime", seconds(started_ms, now),
	    "app", text(settings_string(s, SET_wsgi_app)),
	    "class", settings_string(s, SET_worker_class),
	    "threads", sync ? 1 : (int)settings_int(s, SET_threads),
	    "wanted", (json_int_t)c->wanted,
	    "generation", (int)c->current->number,
	    "listeners", addresses(c->current->listeners),
	    "rss", (json_int_t)recycle_rss(getpid()),
	    "workers", workers(c, now));
}
