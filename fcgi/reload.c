#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/generation.h"
#include "fcgi/hook.h"
#include "fcgi/log.h"
#include "fcgi/reload.h"
#include "fcgi/slot.h"
#include "fcgi/spawn.h"

/* What reading the settings has changed in this process, when it fails. */
static void
go_back(struct reload *r)
{
	hook_revert();
	if (r->folder != NULL)
		(void)!chdir(r->folder);	/* best effort */
	free(r->folder);
	r->folder = NULL;
}

/* The same for settings that were read and are not used. */
static void
undo(struct reload *r)
{
	go_back(r);
	r->config->reloaded(r->config->arg, false);
}

void
reload_abandon(struct reload *r, const char *why)
{
	struct crew *c = r->crew;
	struct slot *s;

	if (r->trial == NULL)
		return;
	log_error("Reload abandoned: %s; the workers and settings stay as "
	    "they were", why);
	if (r->probe != SLOT_NONE) {
		s = &c->slots[c->procs[r->probe].slot];
		if (s->coming == r->probe)
			s->coming = SLOT_NONE;
		proc_leave(c, &c->procs[r->probe], SIGTERM);
	}
	r->probe = SLOT_NONE;
	undo(r);
	hook_settings(c->current->settings, c->current->listeners);
	hook_workers(c->wanted, false);
	generation_drop(&c->all, r->trial, NULL, !c->shared);
	r->trial = NULL;
}

static void
commit(struct reload *r)
{
	struct crew *c = r->crew;
	const struct settings *before = c->current->settings;

	c->current = r->trial;
	r->trial = NULL;
	r->probe = SLOT_NONE;
	free(r->folder);
	r->folder = NULL;
	r->config->settings = c->current->settings;
	r->config->reloaded(r->config->arg, true);
	spawn_logs(before, c->current->settings);
	r->applied(r->arg);
}

/* Start the worker that shows whether the new settings are any good. */
static void
probe(struct reload *r)
{
	struct crew *c = r->crew;
	struct slot *s = &c->slots[0];

	if (s->coming != SLOT_NONE) {
		proc_leave(c, &c->procs[s->coming], SIGTERM);
		s->coming = SLOT_NONE;
	}
	r->probe = slot_spawn(c, 0, r->trial);
	if (r->probe == SLOT_NONE)
		reload_abandon(r, "no worker could be started");
}

void
logs_reopen(void)
{
	if (log_reopen() == -1)
		log_error("cannot open the error log again: %s",
		    strerror(errno));
	if (access_reopen() == -1)
		log_error("cannot open the access log again: %s",
		    strerror(errno));
}

void
reload_begin(struct reload *r)
{
	struct crew *c = r->crew;
	struct settings *s;
	char *why;

	logs_reopen();
	reload_abandon(r, "another one was asked for");
	if (r->config->reload == NULL)
		return;
	r->busy = true;
	hook_keep();
	r->folder = getcwd(NULL, 0);
	if ((s = r->config->reload(r->config->arg)) == NULL) {
		go_back(r);
		return;	/* it has said why */
	}
	if (settings_bool(s, SET_reuse_port) !=
	    settings_bool(c->current->settings, SET_reuse_port))
		log_warning("reuse_port of open sockets changes at the next "
		    "start only");
	/* What only one of two managers has would be lost with it. */
	r->trial = generation_add(&c->all, c->current, s,
	    c->shared ? 1 : crew_slots(c, s), &why);
	if (r->trial == NULL) {
		log_error("Reload abandoned: %s", why != NULL ? why :
		    "no memory");
		free(why);
		undo(r);
		return;
	}
	hook_settings(s, r->trial->listeners);
	hook_workers((size_t)settings_int(s, SET_workers), true);
	(void)hook_server(APP_ON_RELOAD);
	if (c->wanted == 0 || settings_int(s, SET_workers) == 0)
		commit(r);
	else
		probe(r);
}

void
reload_lost(struct reload *r, bool booting)
{
	if (!booting) {
		if (r->trial != NULL)
			commit(r);
		return;
	}
	r->probe = SLOT_NONE;
	reload_abandon(r, "the first new worker did not become ready");
}

/* Slots whose worker is older than the settings get a new one, some at a
 * time, so that a large application is not loaded by all at once. Is there
 * an older one left? */
static bool
roll(struct crew *c)
{
	size_t i, limit = c->wanted / 4 + 1, coming = 0;
	struct proc *p;
	bool old = false;

	for (i = 0; i < c->wanted; i++) {
		if (c->slots[i].coming == SLOT_NONE)
			continue;
		coming++;
		p = &c->procs[c->slots[i].coming];
		/* It will serve, and be replaced then. */
		if (p->generation != c->current->number)
			old = true;
	}
	for (i = 0; i < c->wanted; i++) {
		if (c->slots[i].serving == SLOT_NONE)
			continue;
		p = &c->procs[c->slots[i].serving];
		if (p->generation == c->current->number)
			continue;
		old = true;
		if (c->slots[i].coming != SLOT_NONE || coming >= limit)
			continue;
		p->replace = true;
		coming++;
	}
	return old;
}

/* Generations without a worker are over. */
static void
prune(struct reload *r)
{
	struct crew *c = r->crew;
	struct generation *g, *next;

	for (g = c->all; g != NULL; g = next) {
		next = g->older;
		if (g != c->current && g != r->trial &&
		    crew_count(c, g->number) == 0)
			generation_drop(&c->all, g, NULL, !c->shared);
	}
}

bool
reload_step(struct reload *r)
{
	struct crew *c = r->crew;
	bool old;

	if (r->trial != NULL && c->procs[r->probe].since != 0)
		commit(r);
	old = roll(c);
	if (c->all->older != NULL)
		prune(r);
	if (!r->busy || old || r->trial != NULL)
		return false;
	r->busy = false;
	return true;
}
