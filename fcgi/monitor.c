#include "config.h"

#include "fcgi/clock.h"
#include "fcgi/monitor.h"

enum {
	TICK_MS = 1,
	CALM_TICK_MS = 4,	/* where no call has stuck of late */
	CALM_MS = 10 * 1000,	/* how late that is */
	QUIET_MS = 160,
	SLOW_FOR_NS = 50 * 1000 * 1000	/* how long others are then expected
					   to stick, too */
};

void
monitor_begin(struct monitor *m, const struct dispatch *d)
{
	m->seq = d->seq;
	m->moved_ms = clock_ms();
}

uint64_t
monitor_tick_ms(const struct monitor *m)
{
	return m->calm_ms != 0 && clock_ms() < m->calm_ms ? TICK_MS :
	    CALM_TICK_MS;
}

enum monitor_sight
monitor_look(struct monitor *m, struct dispatch *d)
{
	uint64_t now = clock_ms();

	if (m->seq != d->seq) {
		monitor_begin(m, d);
		return MONITOR_FINE;
	}
	if (d->inlining) {
		d->inlining = false;
		d->slow_until_ns = clock_ns() + SLOW_FOR_NS;
		m->calm_ms = now + CALM_MS;
		return MONITOR_STUCK;
	}
	return now > m->moved_ms + QUIET_MS ? MONITOR_QUIET : MONITOR_FINE;
}
