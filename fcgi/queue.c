#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/queue.h"

struct chunk {
	struct chunk	*next;
	int		 file;		/* -1: the bytes are in data */
	off_t		 at;
	uint64_t	 left;
	char		 data[];
};

static void
queue_append(struct queue *q, struct chunk *c)
{
	c->next = NULL;
	if (q->tail != NULL)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	q->total += c->left;
}

int
queue_add(struct queue *q, const struct iovec *v, int n, size_t skip)
{
	struct chunk *c;
	size_t total = 0;
	char *p;
	int i;

	for (i = 0; i < n; i++)
		total += v[i].iov_len;
	if (total == skip)
		return 0;
	if ((c = malloc(sizeof(*c) + total - skip)) == NULL)
		return -1;
	c->file = -1;
	c->at = 0;
	c->left = total - skip;
	p = c->data;
	for (i = 0; i < n; i++) {
		if (skip >= v[i].iov_len) {
			skip -= v[i].iov_len;
			continue;
		}
		memcpy(p, (char *)v[i].iov_base + skip, v[i].iov_len - skip);
		p += v[i].iov_len - skip;
		skip = 0;
	}
	q->bytes += c->left;
	queue_append(q, c);
	return 0;
}

int
queue_add_file(struct queue *q, int file, off_t at, uint64_t n)
{
	struct chunk *c;

	if (n == 0)
		return 0;
	if ((c = malloc(sizeof(*c))) == NULL)
		return -1;
	if ((c->file = fcntl(file, F_DUPFD_CLOEXEC, 0)) == -1) {
		free(c);
		return -1;
	}
	c->at = at;
	c->left = n;
	queue_append(q, c);
	return 0;
}

static void
queue_pop(struct queue *q)
{
	struct chunk *c = q->head;

	if ((q->head = c->next) == NULL)
		q->tail = NULL;
	q->total -= c->left;
	if (c->file != -1)
		(void)close(c->file);
	else
		q->bytes -= c->left;
	free(c);
}

static ssize_t
chunk_write(struct queue *q, struct chunk *c, int fd)
{
	ssize_t n;

	if (c->file == -1) {
		n = send(fd, c->data + c->at, c->left,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			c->at += n;
			q->bytes -= (size_t)n;
		}
	} else {
		n = sendfile(fd, c->file, &c->at,
		    c->left < 1 << 30 ? (size_t)c->left : 1 << 30);
		if (n == 0) {
			errno = EIO;	/* the file has become shorter */
			return -1;
		}
	}
	if (n > 0) {
		c->left -= (uint64_t)n;
		q->total -= (uint64_t)n;
	}
	return n;
}

int
queue_flush(struct queue *q, int fd)
{
	struct chunk *c;
	ssize_t n;

	while ((c = q->head) != NULL) {
		n = chunk_write(q, c, fd);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		if (c->left == 0)
			queue_pop(q);
	}
	return 1;
}

void
queue_clear(struct queue *q)
{
	while (q->head != NULL)
		queue_pop(q);
}
