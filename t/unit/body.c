/* The body of a request in memory and in its file: rows of sizes around
 * each limit, written and read in several ways. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/body.h"
#include "t/lib/tap.h"

enum { MANY = 3 * BODY_MEMORY };

static char data[MANY];

static const struct {
	const char	*name;
	size_t		 n, step;	/* bytes, added so many at once */
	uint64_t	 expect;	/* 0: not told */
	bool		 space;		/* read into place where possible */
	size_t		 reads;		/* consumed at once, 0: all */
	bool		 filed;
} rows[] = {
	{ "none", 0, 1, 0, false, 0, false },
	{ "one byte", 1, 1, 0, false, 0, false },
	{ "byte by byte", 5000, 1, 0, false, 1, false },
	{ "told", 5000, 4999, 5000, false, 7, false },
	{ "told less", 5000, 100, 10, false, 7, false },
	{ "told more", 10, 10, 5000, false, 7, false },
	{ "a byte less than the limit", BODY_MEMORY - 1, 1000, 0, false, 0,
	    false },
	{ "at the limit", BODY_MEMORY, 1000, 0, false, 0, false },
	{ "at the limit, at once", BODY_MEMORY, BODY_MEMORY, 0, false, 0,
	    false },
	{ "a byte more", BODY_MEMORY + 1, 1000, 0, false, 0, true },
	{ "a byte more, at once", BODY_MEMORY + 1, BODY_MEMORY + 1, 0, false,
	    0, true },
	{ "a byte more, told", BODY_MEMORY + 1, 1000, BODY_MEMORY + 1, false,
	    0, true },
	{ "the first byte, then all", BODY_MEMORY + 1, BODY_MEMORY, 0, false,
	    0, true },
	{ "large", MANY, 65536, MANY, false, 1000, true },
	{ "large, at once", MANY, MANY, 0, false, 4097, true },
	{ "in place, at the limit", BODY_MEMORY, 65536, BODY_MEMORY, true, 0,
	    false },
	{ "in place, a byte more", BODY_MEMORY + 1, 65536, BODY_MEMORY + 1,
	    true, 0, true },
	{ "in place, large", MANY, 10000, MANY, true, 999, true },
	{ "in place without a word", 5000, 100, 0, true, 0, false },
};

static bool
write_all(struct body *b, size_t i)
{
	size_t at, k, room;
	char *p;

	if (rows[i].expect > 0 && body_expect(b, rows[i].expect) == -1)
		return false;
	for (at = 0; at < rows[i].n; at += k) {
		k = rows[i].n - at < rows[i].step ? rows[i].n - at :
		    rows[i].step;
		if (rows[i].space && (p = body_space(b, &room)) != NULL) {
			k = k < room ? k : room;
			memcpy(p, data + at, k);
			body_commit(b, k);
		} else if (body_add(b, data + at, k) == -1)
			return false;
	}
	return body_complete(b) == 0;
}

static bool
read_all(struct body *b, size_t n, size_t step)
{
	size_t at = 0, k;
	const char *p;
	ssize_t got;

	while ((got = body_peek(b, &p)) > 0) {
		k = step == 0 || (size_t)got < step ? (size_t)got : step;
		if (at + k > n || memcmp(p, data + at, k) != 0)
			return false;
		body_consume(b, k);
		at += k;
	}
	return got == 0 && at == n && body_peek(b, &p) == 0;
}

static void
check_row(size_t i)
{
	struct body b;

	body_init(&b);
	ok(write_all(&b, i) && b.total == rows[i].n &&
	    (b.fd != -1) == rows[i].filed &&
	    read_all(&b, rows[i].n, rows[i].reads), "%s", rows[i].name);
	body_free(&b);
}

static bool
is_below(int fd, const char *folder)
{
	char path[64], name[512];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	return n > 0 && strncmp(name, folder, strlen(folder)) == 0;
}

static void
check_failures(void)
{
	const char *p;
	struct body b;

	body_init(&b);
	ok(setenv("TMPDIR", "/nonexistent", 1) == 0 &&
	    body_add(&b, data, BODY_MEMORY) == 0 &&
	    body_add(&b, data, 1) == -1 && errno == ENOENT,
	    "no folder for the file");
	body_free(&b);
	(void)setenv("TMPDIR", "", 1);
	ok(body_add(&b, data, MANY) == 0 && body_complete(&b) == 0 &&
	    is_below(b.fd, "/tmp/"), "an empty TMPDIR is /tmp");
	ok(ftruncate(b.fd, 0) == 0 && body_peek(&b, &p) == -1 && errno == EIO,
	    "a file that was cut");
	body_free(&b);
	ok(b.fd == -1 && b.p == NULL && body_peek(&b, &p) == 0,
	    "empty after it is freed");
	body_free(&b);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 + i / 251);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(i);
	check_failures();
	return tap_done();
}
