/*
 * The scoreboard: memory shared by the manager and its workers. A place is
 * one worker process; a slot is a position (0..workers-1) that worker after
 * worker fills and that owns a socket under reuse_port.
 *
 * Always true: a worker writes only its own place; the manager checks what
 * it reads (it believes its own copy of pid, slot and generation).
 */
#ifndef FCGI_SCOREBOARD_H
#define FCGI_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum place_state {
	PLACE_FREE, PLACE_BOOTING, PLACE_READY, PLACE_LEAVING, PLACE_DEAD
};

/* Has it room for one more request? */
enum place_full {
	PLACE_ROOM,	/* somebody is free */
	PLACE_FULL,	/* one more would wait */
	PLACE_JAMMED	/* or be turned away */
};

/* What a worker asks of the manager (bits). */
enum {
	WANT_RETIRE = 1,	/* max_requests is reached */
	WANT_KILL = 2		/* a thread is stuck */
};

/* The first callers of a worker say what they run: "GET /path", escaped,
 * "" when nothing. Whoever reads it bounds it: the end may be missing. */
enum { PLACE_NOW = 8, PLACE_LINE = 120 };

struct place {
	/* the manager's */
	_Atomic pid_t	 pid;
	atomic_uint	 slot;
	atomic_uint	 generation;
	/* the worker's; BOOTING is set by the manager before the fork */
	atomic_uint	 state;
	atomic_uint	 wants;
	atomic_uint_fast64_t heartbeat_ms;	/* CLOCK_MONOTONIC; 0: never */
	atomic_uint_fast64_t begun, done;	/* requests */
	atomic_uint	 busy;			/* callers in the application;
					   all stuck ones count as one */
	atomic_uint	 connections;
	atomic_uint	 sending;		/* of those, to a slow client */
	atomic_uint	 queued;
	atomic_uint	 full;			/* of enum place_full */
	char		 now[PLACE_NOW][PLACE_LINE];	/* what is running */
};

struct scoreboard {
	size_t		 places;
	atomic_bool	 stopping;	/* the whole server is going down */
	atomic_uint	 slots;		/* slots wanted now */
	/* Connections on their way from a leaving worker to another: write
	 * to handoff[0], read from handoff[1]; SOCK_SEQPACKET. */
	int		 handoff[2];
	/* A worker writes a byte to bell[1] when its place changed; the
	 * manager reads bell[0]. Both non-blocking. */
	int		 bell[2];
	struct place	 place[];
};

/* Shared anonymous memory, the bell and the handoff; that one may be another
 * manager's (it is taken out of there; NULL: none). NULL with errno. */
struct scoreboard *scoreboard_new(size_t places, int *handoff);
void	 scoreboard_free(struct scoreboard *);
/* What a place says that it runs, i of PLACE_NOW: its worker wrote it, so
 * nothing but printable bytes is believed. "": nothing. */
void	 scoreboard_line(const struct place *, size_t i, char[PLACE_LINE]);
void	 scoreboard_ring(const struct scoreboard *);

#endif
