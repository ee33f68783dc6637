#include "config.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#ifdef SYS_openat2
#include <linux/openat2.h>
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/logfile.h"

static uid_t owner_uid;
static gid_t owner_gid;

void
logfile_owner(uid_t uid, gid_t gid)
{
	owner_uid = uid;
	owner_gid = gid;
}

/* Is fd the file of that very name, reached without a link? Who may write in
 * a folder on the way could have put one there, to any file of root's. */
static bool
is_named(int fd, const char *path)
{
#ifdef SYS_openat2
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
	    .resolve = RESOLVE_NO_SYMLINKS };
	int named = (int)syscall(SYS_openat2, AT_FDCWD, path, &how,
	    sizeof(how));
	struct stat a, b;
	bool same;

	if (named == -1)
		return false;
	same = fstat(named, &a) == 0 && fstat(fd, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	(void)close(named);
	return same;
#else
	(void)fd, (void)path;
	return false;
#endif
}

/* Root's own files only: what has another owner was meant to. */
static void
give_away(int fd, const char *path)
{
	struct stat st;

	if (owner_uid != 0 && geteuid() == 0 && fstat(fd, &st) == 0 &&
	    S_ISREG(st.st_mode) && st.st_uid == 0 && st.st_nlink == 1 &&
	    is_named(fd, path))
		(void)!fchown(fd, owner_uid, owner_gid);
}

static int
file_open(const char *path)
{
	int fd, high;

	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
	    0644);
	if (fd == -1)
		return fd;
	give_away(fd, path);
	if (fd > STDERR_FILENO)
		return fd;
	/* A log must not become somebody's stdout by accident. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	(void)close(fd);
	return high;
}

/* The name from the root, so that a later chdir does not change the file. */
static char *
path_absolute(const char *path)
{
	char *dir, *whole = NULL;

	if (path[0] == '/')
		return strdup(path);
	if ((dir = getcwd(NULL, 0)) == NULL)
		return NULL;
	if (asprintf(&whole, "%s/%s", dir, path) == -1)
		whole = NULL;
	free(dir);
	return whole;
}

int
logfile_open(struct logfile *f, const char *path, int standard)
{
	bool file = path != NULL && strcmp(path, "-") != 0;
	int fd = path == NULL ? -1 : standard, old = f->fd;
	char *name = NULL;

	if (file) {
		if ((name = path_absolute(path)) == NULL)
			return -1;
		if ((fd = file_open(name)) == -1) {
			free(name);
			return -1;
		}
	}
	if (f->path != NULL && file) {
		if (dup3(fd, old, O_CLOEXEC) == -1) {
			(void)close(fd);
			free(name);
			return -1;
		}
		(void)close(fd);
	} else {
		f->fd = fd;
		if (f->path != NULL)
			(void)close(old);
	}
	free(f->path);
	f->path = name;
	return 0;
}

int
logfile_reopen(struct logfile *f)
{
	int fd, rc, keep;

	if (f->path == NULL)
		return 0;
	if ((fd = file_open(f->path)) == -1)
		return -1;
	rc = dup3(fd, f->fd, O_CLOEXEC);
	keep = errno;
	(void)close(fd);
	errno = keep;
	return rc == -1 ? -1 : 0;
}

void
logfile_write(const struct logfile *f, const char *p, size_t n)
{
	int fd = f->fd, keep = errno;
	ssize_t k;

	while (fd != -1 && n > 0) {
		if ((k = write(fd, p, n)) == -1) {
			if (errno == EINTR)
				continue;
			break;
		}
		p += k;
		n -= (size_t)k;
	}
	errno = keep;
}

/* Bytes of the printable UTF-8 character at p, 0 when there is none. */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
	uint32_t c;
	size_t len, i;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	c = p[0] & (0xffu >> (len + 1));
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* C1 controls, overlong forms, surrogates, past the end. */
	if (c < 0xa0 || (len == 3 && c < 0x800) || (len == 4 && c < 0x10000) ||
	    (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	/* Line and paragraph separators end lines for some readers. */
	return c == 0x2028 || c == 0x2029 ? 0 : len;
}

size_t
text_escape(char *out, size_t cap, const char *text, size_t n, bool quoted)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text, *end = p + n;
	char *o = out, *oend = out + cap;
	size_t len;

	for (; p < end; p += len) {
		len = 1;
		if (*p >= ' ' && *p < 0x7f) {
			if (quoted && (*p == '"' || *p == '\\')) {
				if (oend - o < 2)
					break;
				*o++ = '\\';
			} else if (o == oend)
				break;
			*o++ = (char)*p;
		} else if (*p >= 0x80 &&
		    (len = utf8_length(p, (size_t)(end - p))) > 0) {
			if ((size_t)(oend - o) < len)
				break;
			memcpy(o, p, len);
			o += len;
		} else {
			if (oend - o < 4)
				break;
			len = 1;
			*o++ = '\\';
			*o++ = 'x';
			*o++ = hex[*p >> 4];
			*o++ = hex[*p & 15];
		}
	}
	return (size_t)(o - out);
}
