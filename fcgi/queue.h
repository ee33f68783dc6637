/*
 * What a client has not taken yet: bytes, and pieces of files.
 *
 * Always true: only touched under the connection's lock; bytes that are
 * queued go out before any byte sent later. The caller bounds it: past
 * QUEUE_HIGH the application waits, past QUEUE_MOST nothing more is asked of
 * it.
 */
#ifndef FCGI_QUEUE_H
#define FCGI_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	QUEUE_HIGH = 1 << 20,		/* bytes in memory: wait */
	QUEUE_LOW = QUEUE_HIGH / 2,	/* go on */
	QUEUE_MOST = 2 * QUEUE_HIGH,	/* the client's records wait too */
	QUEUE_JOIN = 4096,		/* small pieces in a row share this */
	QUEUE_TURN = 4 << 20		/* sent at once: others wait too */
};

struct chunk;
struct file;

struct queue {
	struct chunk	*head, *tail;
	struct file	*file;		/* the last one, if still queued */
	size_t		 bytes;		/* in memory (file pieces aside) */
	uint64_t	 total;		/* still to go, files included */
};

/* May files go out by sendfile(2)? Else they are read and written. */
void	 queue_sendfile(bool);
/* Append what a write left over of the vector, `skip` bytes on. 0 or -1. */
int	 queue_add(struct queue *, const struct iovec *, int n, size_t skip);
/* Append a piece of a file (the descriptor is duplicated; pieces in a row
 * share it). 0 or -1. */
int	 queue_add_file(struct queue *, int file, off_t, uint64_t n);
/* Write what the socket takes, up to QUEUE_TURN or so. 1: empty now, 0: more
 * to go, -1: errno. */
int	 queue_flush(struct queue *, int fd);
void	 queue_clear(struct queue *);

#endif
