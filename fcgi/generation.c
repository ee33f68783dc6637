#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"
#include "fcgi/generation.h"
#include "fcgi/listeners.h"

static bool
same_sockets(const struct generation *now, const struct settings *s)
{
	return listeners_are(now->listeners, s) &&
	    settings_int(now->settings, SET_backlog) ==
	    settings_int(s, SET_backlog);
}

static bool
given(const struct listeners *ls)
{
	size_t i;

	for (i = 0; i < ls->n; i++)
		if (ls->v[i].address == NULL)
			return true;
	return false;
}

struct generation *
generation_first(struct settings *settings, struct listeners *listeners)
{
	struct generation *g;

	if ((g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	g->number = 1;
	g->settings = settings;
	g->listeners = listeners;
	g->lent = true;
	return g;
}

/* Sockets for g under its own settings. */
static int
open_sockets(struct generation *g, struct generation *now, size_t slots,
    char **why)
{
	struct listeners *ls;

	/* Under a host that gave us sockets, bind means nothing. */
	if (given(now->listeners) || same_sockets(now, g->settings)) {
		g->listeners = now->listeners;
		g->lent = now->lent;
		return 0;
	}
	if ((ls = calloc(1, sizeof(*ls))) == NULL)
		return -1;
	if (listeners_reopen(ls, now->listeners, g->settings, slots,
	    why) == -1) {
		free(ls);
		return -1;
	}
	g->listeners = ls;
	return 0;
}

struct generation *
generation_add(struct generation **list, struct generation *now,
    struct settings *settings, size_t slots, char **why)
{
	struct generation *g;

	*why = NULL;
	if ((g = calloc(1, sizeof(*g))) == NULL) {
		settings_free(settings);
		return NULL;
	}
	g->number = (*list)->number + 1;
	g->settings = settings;
	if (open_sockets(g, now, slots, why) == -1) {
		settings_free(settings);
		free(g);
		return NULL;
	}
	g->older = *list;
	*list = g;
	return g;
}

static bool
has_file(const struct listeners *ls, const struct listener *l)
{
	size_t i;

	for (i = 0; i < ls->n; i++)
		if (ls->v[i].path != NULL && ls->v[i].dev == l->dev &&
		    ls->v[i].ino == l->ino)
			return true;
	return false;
}

/* Close its sockets; files that another one still serves are not its own. */
static void
close_sockets(const struct generation *list, struct generation *g, bool remove)
{
	const struct generation *o;
	struct listener *l;
	size_t i;

	for (i = 0; i < g->listeners->n; i++) {
		l = &g->listeners->v[i];
		for (o = list; o != NULL && l->path != NULL; o = o->older)
			if (has_file(o->listeners, l)) {
				free(l->path);
				l->path = NULL;
			}
	}
	listeners_close(g->listeners, remove);
}

void
generation_drop(struct generation **list, struct generation *g,
    const struct settings *kept, bool remove)
{
	struct generation **p;
	const struct generation *o;

	for (p = list; *p != NULL && *p != g;)
		p = &(*p)->older;
	if (*p == NULL)
		return;
	*p = g->older;
	for (o = *list; o != NULL && o->listeners != g->listeners;)
		o = o->older;
	if (o == NULL) {
		close_sockets(*list, g, remove);
		if (!g->lent)
			free(g->listeners);
	}
	if (g->settings != kept)
		settings_free(g->settings);
	free(g);
}

void
generation_alone(struct generation *list, const struct generation *mine)
{
	struct generation *g;

	/* Closing a list twice does nothing the second time. */
	for (g = list; g != NULL; g = g->older)
		if (g->listeners != mine->listeners)
			listeners_close(g->listeners, false);
}
