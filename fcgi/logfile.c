#include "config.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/cwd.h"
#include "fcgi/logfile.h"

enum { LINKS_MAX = 40 };		/* the kernel's own limit */

static uid_t owner_uid;
static gid_t owner_gid;

void
logfile_owner(uid_t uid, gid_t gid)
{
	owner_uid = uid;
	owner_gid = gid;
}

/* What name is in the folder `at` as a link that nobody but root can have put
 * there, in `to`; or -1 with errno. */
static int
roots_link(int at, const char *name, char *to, size_t cap)
{
	int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat link, folder;
	ssize_t n = -1;

	if (fd == -1)
		return -1;
	errno = ENOTDIR;
	if (fstat(fd, &link) == 0 && S_ISLNK(link.st_mode) &&
	    fstat(at, &folder) == 0) {
		errno = ELOOP;
		if (link.st_uid == 0 && folder.st_uid == 0 &&
		    ((folder.st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
		    (folder.st_mode & S_ISVTX) != 0))
			n = readlinkat(fd, "", to, cap - 1);
	}
	(void)close(fd);
	if (n == -1)
		return -1;
	to[n] = '\0';
	return 0;
}

static int	 open_below(int at, const char *path, int flags, int *links);

/* One name; counts the links that were followed. */
static int
open_name(int at, const char *name, int flags, int *links)
{
	int fd = openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
	char to[PATH_MAX];
	struct statfs fs;

	/* A link is no folder, either. */
	if (fd != -1 || (errno != ELOOP && errno != ENOTDIR))
		return fd;
	if (roots_link(at, name, to, sizeof(to)) == -1)
		return -1;
	if (++*links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	/* /dev/stdout leads to the kernel's own, which are no names. */
	if (fstatfs(at, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
		return openat(at, name, flags | O_CLOEXEC, 0644);
	return open_below(at, to, flags, links);
}

/* open(2) for root, where somebody else may write in a folder on the way: who
 * can put a link there must not choose which of root's files is written to.
 * Step by step, for what was looked at must be what is used. */
static int
open_below(int at, const char *path, int flags, int *links)
{
	int fd = openat(at, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY |
	    O_CLOEXEC), next;
	char name[NAME_MAX + 1];
	bool last = false;
	size_t n;

	while (fd != -1 && !last) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n >= sizeof(name)) {
			(void)close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		last = path[strspn(path, "/")] == '\0';
		next = open_name(fd, name, last ? flags :
		    O_PATH | O_DIRECTORY, links);
		(void)close(fd);
		fd = next;
	}
	return fd;
}

/* Root's own files only: what has another owner, or is reached by a link, was
 * meant to. */
static void
give_away(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
	    st.st_nlink == 1)
		(void)!fchown(fd, owner_uid, owner_gid);
}

static int
file_open(const char *path)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
	bool shared = owner_uid != 0 && geteuid() == 0;
	int fd, high, links = 0;

	fd = shared ? open_below(AT_FDCWD, path, flags, &links) :
	    open(path, flags, 0644);
	if (fd == -1)
		return fd;
	if (shared && links == 0)
		give_away(fd);
	if (fd > STDERR_FILENO)
		return fd;
	/* A log must not become somebody's stdout by accident. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	(void)close(fd);
	return high;
}

int
logfile_open(struct logfile *f, const char *path, int standard)
{
	bool file = path != NULL && strcmp(path, "-") != 0;
	int fd = path == NULL ? -1 : standard, old = f->fd;
	char *name = NULL;

	if (file) {
		if ((name = cwd_path(path)) == NULL)
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
