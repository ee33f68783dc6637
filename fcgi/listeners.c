#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/settings.h"
#include "conf/why.h"
#include "fcgi/address.h"
#include "fcgi/clock.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"

enum { TRIES = 5, PAUSE_S = 1 };

/* A listener more, all zeroes. */
static struct listener *
push(struct listeners *ls, char **why)
{
	struct listener *v;

	if ((v = reallocarray(ls->v, ls->n + 1, sizeof(*v))) == NULL) {
		(void)why_set(why, "no memory");
		return NULL;
	}
	ls->v = v;
	memset(&v[ls->n], 0, sizeof(*v));
	return &v[ls->n++];
}

/* Undo push(); errno stays. */
static void
pop(struct listeners *ls, bool remove)
{
	int saved = errno;

	listener_done(&ls->v[--ls->n], remove);
	errno = saved;
}

/* Is it what that word of `bind` means? */
static bool
is_address(const struct listener *l, const char *text)
{
	char *why = NULL, *address = listener_address(text, &why);
	bool yes = l->address != NULL && address != NULL &&
	    strcmp(l->address, address) == 0;

	free(address);
	free(why);
	return yes;
}

static const struct listener *
find(const struct listeners *ls, const char *text)
{
	size_t i;

	for (i = 0; ls != NULL && i < ls->n; i++)
		if (is_address(&ls->v[i], text))
			return &ls->v[i];
	return NULL;
}

bool
listeners_are(const struct listeners *ls, const struct settings *s)
{
	const char *const *v;
	size_t i, n;

	v = settings_list(s, SET_bind, &n);
	for (i = 0; n == ls->n && i < n; i++)
		if (!is_address(&ls->v[i], v[i]))
			return false;
	return n == ls->n;
}

/* That address is in use: by ourselves, who have the port at another one? */
static void
tell_port(const struct listeners *old, const char *text, char **why)
{
	struct address ad;
	char *no = NULL;
	size_t i;

	if (address_parse(&ad, text, &no) == -1) {
		free(no);
		return;
	}
	for (i = 0; i < old->n; i++)
		if (ad.kind == ADDRESS_TCP &&
		    strcmp(old->v[i].server_port, ad.port) == 0) {
			free(*why);
			(void)why_set(why, "cannot listen on %s: this server "
			    "listens on %s, and can change that only when it "
			    "is stopped and started", text, old->v[i].name);
			break;
		}
	address_done(&ad);
}

static int
open_one(struct listeners *ls, const char *text, const struct listeners *old,
    const struct listener_options *o, char **why)
{
	const struct listener *before = find(old, text);
	struct listener *l;

	if ((l = push(ls, why)) == NULL)
		return -1;
	if ((before != NULL ? listener_share(l, before, o, why) :
	    listener_open(l, text, o, why)) == 0)
		return 0;
	if (old != NULL && before == NULL && errno == EADDRINUSE)
		tell_port(old, text, why);
	pop(ls, before == NULL);
	return -1;
}

/* Patience at a start, as gunicorn has it: who restarts quickly may be
 * early. */
static int
open_patiently(struct listeners *ls, const char *text,
    const struct listeners *old, const struct listener_options *o, char **why)
{
	int try;

	for (try = 1;; try++) {
		if (open_one(ls, text, old, o, why) == 0)
			return 0;
		if (old != NULL || errno != EADDRINUSE || try == TRIES)
			return -1;
		log_warning("%s; trying again in %d second (%d of %d)", *why,
		    PAUSE_S, try, TRIES - 1);
		free(*why);
		*why = NULL;
		clock_pause(1000 * PAUSE_S);
	}
}

int
listeners_reopen(struct listeners *ls, const struct listeners *old,
    const struct settings *s, size_t slots, char **why)
{
	struct listener_options o = listener_options(s, slots);
	struct listeners made = { 0 };
	const char *const *v;
	size_t i, n;

	v = settings_list(s, SET_bind, &n);
	for (i = 0; i < n; i++)
		if (open_patiently(&made, v[i], old, &o, why) == -1) {
			/* Files that are still served stay. */
			while (made.n > 0)
				pop(&made, find(old,
				    made.v[made.n - 1].address) == NULL);
			free(made.v);
			return -1;
		}
	*ls = made;
	return 0;
}

int
listeners_open(struct listeners *ls, const struct settings *s, size_t slots,
    char **why)
{
	return listeners_reopen(ls, NULL, s, slots, why);
}

int
listeners_take(struct listeners *ls, const char *address,
    enum protocol protocol, const int *fds, size_t n, dev_t dev, ino_t ino,
    char **why)
{
	struct listener *l;

	if ((l = push(ls, why)) == NULL)
		return -1;
	if (listener_take(l, address, protocol, fds, n, dev, ino, why) == 0)
		return 0;
	pop(ls, false);
	return -1;
}

int
listeners_adopt(struct listeners *ls, const int *fds, size_t n,
    enum protocol protocol, char **why)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (listeners_take(ls, NULL, protocol, &fds[i], 1, 0, 0,
		    why) == -1)
			return -1;
	return 0;
}

int
listeners_grow(struct listeners *ls, const struct settings *s, size_t slots,
    bool *grown, char **why)
{
	struct listener_options o = listener_options(s, slots);
	size_t i, had;
	int rc = 0;

	*grown = false;
	for (i = 0; i < ls->n && rc == 0; i++) {
		had = ls->v[i].nfds;
		rc = listener_grow(&ls->v[i], &o, why);
		if (ls->v[i].nfds > had)
			*grown = true;
	}
	return rc;
}

void
listeners_leave(struct listeners *ls, const struct listeners *now)
{
	struct listener *l;

	for (l = ls->v; l < ls->v + ls->n; l++) {
		while (l->nfds > 0)
			close(l->fds[--l->nfds]);
		if (l->path != NULL && find(now, l->address) != NULL) {
			free(l->path);
			l->path = NULL;
		}
	}
}

void
listeners_close(struct listeners *ls, bool remove)
{
	while (ls->n > 0)
		pop(ls, remove);
	free(ls->v);
	ls->v = NULL;
}
