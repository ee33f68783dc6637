/*
 * Recycling: which workers have served for long enough, by their requests,
 * their age or their memory, and which of them may be replaced now.
 *
 * Always true: only a worker that serves is recycled, by a successor that
 * is ready first; between two of them lies the pause that was asked for.
 */
#ifndef FCGI_RECYCLE_H
#define FCGI_RECYCLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct crew;
struct settings;

/* The limits that are in force from now on. */
void	 recycle_settings(struct crew *, const struct settings *);
/* max_lifetime in milliseconds with its jitter drawn, 0: no limit. */
uint64_t recycle_lifetime(const struct settings *);
/* Have the workers replaced that are due: after each look at them. */
void	 recycle_tick(struct crew *, uint64_t now);
/* When the next may be due (CLOCK_MONOTONIC), UINT64_MAX: never. */
uint64_t recycle_next(const struct crew *);
/* Resident memory of a process in bytes, 0 where it cannot be told. */
uint64_t recycle_rss(pid_t);

#endif
