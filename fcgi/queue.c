#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fcgi/queue.h"

/* A file that some chunks are pieces of. */
struct file {
	unsigned int	 refs;
	int		 fd;		/* our duplicate */
	int		 source;	/* of this descriptor */
	dev_t		 dev;
	ino_t		 ino;
};

struct chunk {
	struct chunk	*next;
	struct file	*file;		/* NULL: the bytes are in data */
	off_t		 at;
	uint64_t	 left;
	size_t		 room;		/* of data, for more */
	char		 data[];
};

static bool no_sendfile;

void
queue_sendfile(bool use)
{
	no_sendfile = !use;
}

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

/* The last chunk, with room for so many more bytes. */
static struct chunk *
chunk_with(struct queue *q, size_t n)
{
	struct chunk *c = q->tail;
	bool row = c != NULL && c->file == NULL;

	if (row && c->room >= n)
		return c;
	if (row && n < QUEUE_JOIN)
		n = QUEUE_JOIN;
	if ((c = malloc(sizeof(*c) + n)) == NULL)
		return NULL;
	c->file = NULL;
	c->at = 0;
	c->left = 0;
	c->room = n;
	queue_append(q, c);
	return c;
}

int
queue_add(struct queue *q, const struct iovec *v, int n, size_t skip)
{
	struct chunk *c;
	size_t more = 0;
	char *p;
	int i;

	for (i = 0; i < n; i++)
		more += v[i].iov_len;
	if ((more -= skip) == 0)
		return 0;
	if ((c = chunk_with(q, more)) == NULL)
		return -1;
	p = c->data + c->at + c->left;
	c->left += more;
	c->room -= more;
	q->bytes += more;
	q->total += more;
	for (i = 0; i < n; i++) {
		if (skip >= v[i].iov_len) {
			skip -= v[i].iov_len;
			continue;
		}
		memcpy(p, (char *)v[i].iov_base + skip, v[i].iov_len - skip);
		p += v[i].iov_len - skip;
		skip = 0;
	}
	return 0;
}

static struct file *
file_open(struct queue *q, int source)
{
	struct file *f = q->file;
	struct stat st;

	if (fstat(source, &st) == -1)
		return NULL;
	if (f != NULL && f->source == source && f->dev == st.st_dev &&
	    f->ino == st.st_ino) {
		f->refs++;
		return f;
	}
	if ((f = malloc(sizeof(*f))) == NULL)
		return NULL;
	*f = (struct file){ .refs = 1, .source = source, .dev = st.st_dev,
	    .ino = st.st_ino, .fd = fcntl(source, F_DUPFD_CLOEXEC, 0) };
	if (f->fd == -1) {
		free(f);
		return NULL;
	}
	return q->file = f;
}

static void
file_close(struct queue *q, struct file *f)
{
	if (--f->refs > 0)
		return;
	if (q->file == f)
		q->file = NULL;
	(void)close(f->fd);
	free(f);
}

int
queue_add_file(struct queue *q, int file, off_t at, uint64_t n)
{
	struct chunk *c;

	if (n == 0)
		return 0;
	if ((c = malloc(sizeof(*c))) == NULL)
		return -1;
	if ((c->file = file_open(q, file)) == NULL) {
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
	if (c->file != NULL)
		file_close(q, c->file);
	else
		q->bytes -= c->left;
	free(c);
}

/* What sendfile(2) does, by hand. */
static ssize_t
copy_file(struct chunk *c, int fd)
{
	char buf[16384];
	ssize_t n;

	n = pread(c->file->fd, buf, c->left < sizeof(buf) ? (size_t)c->left :
	    sizeof(buf), c->at);
	if (n <= 0)
		return n;
	n = send(fd, buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		c->at += n;
	return n;
}

static ssize_t
chunk_write(struct queue *q, struct chunk *c, int fd)
{
	ssize_t n;

	if (c->file == NULL) {
		n = send(fd, c->data + c->at, c->left,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			c->at += n;
			q->bytes -= (size_t)n;
		}
	} else {
		n = no_sendfile ? copy_file(c, fd) :
		    sendfile(fd, c->file->fd, &c->at,
		    c->left < QUEUE_TURN ? (size_t)c->left : QUEUE_TURN);
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
	size_t sent = 0;
	ssize_t n;

	while ((c = q->head) != NULL) {
		if (sent >= QUEUE_TURN)
			return 0;
		n = chunk_write(q, c, fd);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		sent += (size_t)n;
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
