#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fcgi/body.h"
#include "fcgi/log.h"

void
body_init(struct body *b)
{
	*b = (struct body){ .fd = -1 };
}

static int
body_grow(struct body *b, size_t cap)
{
	char *p;

	if (cap <= b->cap)
		return 0;
	if ((p = realloc(b->p, cap)) == NULL)
		return -1;
	b->p = p;
	b->cap = cap;
	return 0;
}

static const char *
temporary_folder(void)
{
	const char *dir = getenv("TMPDIR");

	return dir == NULL || *dir == '\0' ? "/tmp" : dir;
}

/* A file without a name. */
static int
temporary_file(void)
{
	const char *dir = temporary_folder();
	char path[4096];
	int fd;

#ifdef O_TMPFILE
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1)
		return fd;
#endif
	if ((size_t)snprintf(path, sizeof(path), "%s/gangway.XXXXXXXX", dir) >=
	    sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = mkostemp(path, O_CLOEXEC)) != -1)
		(void)unlink(path);	/* nobody needs the name */
	return fd;
}

static int
body_spill(struct body *b)
{
	size_t done = 0;
	ssize_t n;

	if (b->fd == -1 && (b->fd = temporary_file()) == -1)
		return -1;
	while (done < b->n) {
		n = pwrite(b->fd, b->p + done, b->n - done, (off_t)b->filed);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
		b->filed += (uint64_t)n;
	}
	b->n = 0;
	return 0;
}

int
body_expect(struct body *b, uint64_t length)
{
	b->to_file = length > BODY_MEMORY;
	return body_grow(b, length <= BODY_MEMORY ? (size_t)length :
	    BODY_WINDOW);
}

int
body_add(struct body *b, const char *p, size_t n)
{
	size_t k;

	if (b->fd == -1 && !b->to_file && b->n + n <= BODY_MEMORY) {
		if (b->n + n > b->cap && body_grow(b, b->n + n < 4096 ? 4096 :
		    2 * (b->n + n)) == -1)
			return -1;
		memcpy(b->p + b->n, p, n);
		b->n += n;
		b->total += n;
		return 0;
	}
	if (body_grow(b, BODY_WINDOW) == -1)
		return -1;
	while (n > 0) {
		if (b->n >= BODY_WINDOW && body_spill(b) == -1)
			return -1;
		k = BODY_WINDOW - b->n < n ? BODY_WINDOW - b->n : n;
		memcpy(b->p + b->n, p, k);
		b->n += k;
		b->total += k;
		p += k;
		n -= k;
	}
	return 0;
}

char *
body_space(struct body *b, size_t *room)
{
	if (b->cap == 0)
		return NULL;
	if (b->n == b->cap && (b->cap < BODY_WINDOW || body_spill(b) == -1))
		return NULL;
	*room = b->cap - b->n;
	return b->p + b->n;
}

void
body_commit(struct body *b, size_t n)
{
	b->n += n;
	b->total += n;
}

int
body_complete(struct body *b)
{
	if (b->fd != -1 && body_spill(b) == -1)
		return -1;
	b->at = 0;
	b->read = 0;
	return 0;
}

void
body_log_error(void)
{
	if (errno == ENOMEM)
		log_error("Out of memory for a request");
	else
		log_error("Cannot keep a request's body in a temporary file "
		    "in %s: %s", temporary_folder(), strerror(errno));
}

int
body_to_file(struct body *b)
{
	if (b->fd == -1 && (b->fd = memfd_create("gangway", MFD_CLOEXEC)) ==
	    -1)
		return -1;
	return body_spill(b);
}

int
body_take_file(struct body *b)
{
	int fd = b->fd;

	b->fd = -1;
	body_free(b);
	return fd;
}

int
body_give_file(struct body *b, int fd, uint64_t n)
{
	body_free(b);
	b->fd = fd;
	b->filed = b->total = n;
	return body_grow(b, BODY_WINDOW);
}

ssize_t
body_peek(struct body *b, const char **p)
{
	ssize_t n;

	if (b->at == b->n && b->fd != -1 && b->read < b->filed) {
		do
			n = pread(b->fd, b->p, b->cap, (off_t)b->read);
		while (n == -1 && errno == EINTR);
		if (n == 0)
			errno = EIO;	/* somebody cut the file */
		if (n <= 0)
			return -1;
		b->read += (uint64_t)n;
		b->n = (size_t)n;
		b->at = 0;
	}
	*p = b->p != NULL ? b->p + b->at : "";
	return (ssize_t)(b->n - b->at);
}

void
body_consume(struct body *b, size_t n)
{
	b->at += n;
}

void
body_free(struct body *b)
{
	free(b->p);
	if (b->fd != -1)
		(void)close(b->fd);
	body_init(b);
}
