/* The queue of a slow client: rows are sequences of pieces, bytes and parts
 * of a file, that must arrive whole and in order. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/queue.h"
#include "t/lib/tap.h"

enum { FILE_BYTES = 300000 };

static char data[FILE_BYTES];
static int file;

/* A piece: n bytes from `at` of the data, by memory or by file. */
struct piece {
	char		 kind;		/* m, f; 0: no more */
	size_t		 at, n;
};

static const struct {
	const char	*name;
	struct piece	 pieces[6];
	size_t		 bytes;		/* held in memory */
} rows[] = {
	{ "nothing", { { 0 } }, 0 },
	{ "one piece", { { 'm', 0, 10 } }, 10 },
	{ "three", { { 'm', 0, 10 }, { 'm', 10, 1 }, { 'm', 11, 5 } }, 16 },
	{ "more than a socket takes", { { 'm', 0, 300000 },
	    { 'm', 5, 200000 } }, 500000 },
	{ "a file", { { 'f', 0, 1000 } }, 0 },
	{ "the middle of one", { { 'f', 77, 1000 } }, 0 },
	{ "a large file", { { 'f', 0, FILE_BYTES } }, 0 },
	{ "none of a file", { { 'f', 5, 0 } }, 0 },
	{ "mixed", { { 'm', 3, 100000 }, { 'f', 9, 200000 },
	    { 'm', 1, 100000 }, { 'f', 0, 3 }, { 'm', 0, 1 } }, 200001 },
};

/* Write and read in turns; the number of bytes read, -1 for a failure. */
static ssize_t
pass(struct queue *q, const int fd[2], char *got, size_t room)
{
	size_t at = 0;
	ssize_t n;
	int rc;

	do {
		if ((rc = queue_flush(q, fd[0])) == -1)
			return -1;
		while ((n = recv(fd[1], got + at, room - at,
		    MSG_DONTWAIT)) > 0)
			at += (size_t)n;
	} while (rc == 0);
	return (ssize_t)at;
}

static void
check_row(size_t i, const int fd[2])
{
	const struct piece *p;
	struct queue q = { 0 };
	struct iovec v;
	char *want = malloc(1 << 20), *got = malloc(1 << 20);
	size_t n = 0;
	bool added = true, counted;

	for (p = rows[i].pieces; p->kind != 0; p++) {
		v = (struct iovec){ data + p->at, p->n };
		if ((p->kind == 'f' ? queue_add_file(&q, file, (off_t)p->at,
		    p->n) : queue_add(&q, &v, 1, 0)) == -1)
			added = false;
		memcpy(want + n, data + p->at, p->n);
		n += p->n;
	}
	counted = q.total == n && q.bytes == rows[i].bytes;
	ok(added && counted && pass(&q, fd, got, 1 << 20) == (ssize_t)n &&
	    memcmp(want, got, n) == 0 && q.head == NULL && q.tail == NULL &&
	    q.total == 0 && q.bytes == 0, "%s", rows[i].name);
	queue_clear(&q);
	free(want);
	free(got);
}

/* What a write has left over of a vector. */
static void
check_skips(const int fd[2])
{
	static const size_t sizes[] = { 3, 0, 4, 0, 2 };
	struct iovec v[5];
	struct queue q;
	char got[64];
	size_t i, at = 0;

	for (i = 0; i < 5; at += sizes[i++])
		v[i] = (struct iovec){ data + at, sizes[i] };
	for (i = 0; i <= 9; i++) {
		q = (struct queue){ 0 };
		ok(queue_add(&q, v, 5, i) == 0 && q.total == 9 - i &&
		    pass(&q, fd, got, sizeof(got)) == (ssize_t)(9 - i) &&
		    memcmp(got, data + i, 9 - i) == 0,
		    "%zu of 9 bytes were written before", i);
		queue_clear(&q);
	}
}

static void
check_failures(int fd[2])
{
	struct queue q = { 0 };
	struct iovec v = { data, 10 };

	ok(queue_add_file(&q, -1, 0, 5) == -1 && q.head == NULL &&
	    q.total == 0, "no such file");
	ok(queue_add_file(&q, file, FILE_BYTES - 5, 10) == 0 &&
	    queue_flush(&q, fd[0]) == -1 && errno == EIO,
	    "a file that is shorter than was said");
	queue_clear(&q);
	ok(q.head == NULL && q.tail == NULL && q.total == 0,
	    "cleared half way");
	(void)close(fd[1]);
	ok(queue_add(&q, &v, 1, 0) == 0 && queue_flush(&q, fd[0]) == -1 &&
	    errno == EPIPE, "the client has gone");
	queue_clear(&q);
	queue_clear(&q);
	ok(q.bytes == 0, "cleared twice");
}

int
main(void)
{
	FILE *f = tmpfile();
	int fd[2];
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 13 + i / 253);
	if (f == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1 ||
	    fcntl(fd[0], F_SETFL, O_NONBLOCK) == -1 ||
	    pwrite(file = fileno(f), data, sizeof(data), 0) == -1)
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);	/* as a worker does */
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(i, fd);
	check_skips(fd);
	check_failures(fd);
	(void)close(fd[0]);
	(void)fclose(f);
	return tap_done();
}
