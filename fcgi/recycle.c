#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/settings.h"
#include "fcgi/crew.h"
#include "fcgi/log.h"
#include "fcgi/recycle.h"

enum {
	MEASURE_MS = 1000,	/* how often memory is looked at */
	YOUNG_MS = 5000,	/* who is large from the start comes again */
	LIFE_LEAST_MS = 1000
};

uint64_t
recycle_lifetime(const struct settings *s)
{
	uint64_t life = 1000 * (uint64_t)settings_int(s, SET_max_lifetime);
	uint64_t jitter;
	double part;

	if (life == 0)
		return 0;
	jitter = settings_has(s, SET_max_lifetime_jitter) ?
	    1000 * (uint64_t)settings_int(s, SET_max_lifetime_jitter) :
	    life / 10;
	part = arc4random_uniform(INT32_MAX) / (double)INT32_MAX;
	life += (uint64_t)(2 * (double)jitter * part);
	return life > jitter + LIFE_LEAST_MS ? life - jitter : LIFE_LEAST_MS;
}

void
recycle_settings(struct crew *c, const struct settings *s)
{
	c->rss_max = (uint64_t)settings_int(s, SET_max_rss);
	c->recycle_ms = 1000 * (uint64_t)settings_int(s, SET_recycle_pause);
}

uint64_t
recycle_rss(pid_t pid)
{
	char path[32], text[128];
	uint64_t pages = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* "size resident shared ...", in pages. */
	if (sscanf(text, "%*u %" SCNu64, &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
measure(struct crew *c, struct proc *p, uint64_t now)
{
	uint64_t rss = recycle_rss(p->pid);

	if (rss <= c->rss_max)
		return;
	p->due = now;
	log_info("Worker (pid:%d) has %" PRIu64 " MB of memory (max_rss): it "
	    "is replaced", (int)p->pid, rss >> 20);
}

static bool
serves(const struct proc *p)
{
	return p->state == PROC_READY && !p->replace;
}

void
recycle_tick(struct crew *c, uint64_t now)
{
	struct proc *p, *first;
	bool look = c->rss_max != 0 && now >= c->measured + MEASURE_MS;

	if (look)
		c->measured = now;
	for (p = c->procs; p < c->procs + c->places; p++) {
		if (!serves(p) || p->due != 0)
			continue;
		if (look && now >= p->since + YOUNG_MS)
			measure(c, p, now);
		if (p->due == 0 && p->lifetime_ms != 0 &&
		    now >= p->since + p->lifetime_ms) {
			p->due = now;
			log_info("Worker (pid:%d) has served for %" PRIu64
			    " s (max_lifetime): it is replaced", (int)p->pid,
			    (now - p->since) / 1000);
		}
	}
	/* Who waits the longest goes first. */
	do {
		if (c->recycle_ms != 0 && c->recycled != 0 &&
		    now < c->recycled + c->recycle_ms)
			return;
		first = NULL;
		for (p = c->procs; p < c->procs + c->places; p++)
			if (serves(p) && p->due != 0 &&
			    (first == NULL || p->due < first->due))
				first = p;
		if (first != NULL) {
			first->replace = true;
			c->recycled = now;
		}
	} while (first != NULL);
}

uint64_t
recycle_next(const struct crew *c)
{
	const struct proc *p;
	uint64_t next = UINT64_MAX, at;

	for (p = c->procs; p < c->procs + c->places; p++) {
		if (!serves(p))
			continue;
		if (p->due != 0)
			at = c->recycled + c->recycle_ms;
		else if (p->lifetime_ms != 0)
			at = p->since + p->lifetime_ms;
		else
			at = UINT64_MAX;
		if (c->rss_max != 0 && at > c->measured + MEASURE_MS)
			at = c->measured + MEASURE_MS;
		if (at < next)
			next = at;
	}
	return next;
}
