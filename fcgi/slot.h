/*
 * Slots and the processes that fill them. A slot has at most one worker
 * that serves and one that is to take its place; those that are leaving
 * belong to no slot any more and are only watched until they are gone.
 *
 * Always true: a new worker is READY before the old one is told to leave;
 * every order to leave has a deadline, and SIGKILL behind it; nothing that
 * a worker writes on the board is used as an index, a pid or a size.
 */
#ifndef FCGI_SLOT_H
#define FCGI_SLOT_H

#include "fcgi/crew.h"

enum { PLACES_SPARE = 32 };	/* beside two for each slot */

/* Room for `places` processes. 0 or -1 with errno. */
int	 crew_init(struct crew *, size_t places);
void	 crew_done(struct crew *);
/* How many slots there can be, and how many of them these settings want. */
size_t	 crew_room(const struct crew *);
size_t	 crew_slots(const struct crew *, const struct settings *);

/* Start a worker of that generation to take over the slot; its place, or
 * SLOT_NONE after a line in the log (the slot is tried again later). */
size_t	 slot_spawn(struct crew *, size_t slot, struct generation *);
/* Tell the workers of a slot to leave. */
void	 slot_dismiss(struct crew *, size_t slot);
/* Tell one worker to leave, by TERM or QUIT, within grace_ms. */
void	 proc_leave(struct crew *, struct proc *, int sig);
/* The place of a process, SLOT_NONE for strangers. */
size_t	 crew_find(const struct crew *, pid_t);
/* The process in that place has ended: log it, free the place. */
void	 slot_gone(struct crew *, size_t place, int status);

/* Look at the board and the clock, and do what is due; with `fill`, start
 * what is missing. */
void	 crew_tick(struct crew *, bool fill);
/* Read what one worker says of itself (crew_tick does it for all). */
void	 proc_look(struct crew *, size_t place);
/* Milliseconds until the next thing is due, -1: nothing is. */
int	 crew_pause(const struct crew *);
/* How many processes there are; of that generation, or 0 for all. */
size_t	 crew_count(const struct crew *, unsigned int generation);
/* Tell all to leave, by that signal, within that time at most. */
void	 crew_leave(struct crew *, int sig, uint64_t ms);
/* Have all open the logs again. */
void	 crew_reopen(const struct crew *);

#endif
