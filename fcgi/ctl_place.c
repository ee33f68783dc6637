#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "fcgi/ctl_place.h"

enum {
	LIST_MAX = 64,
	NEW_TRIES = 20, NEW_WAIT_MS = 10	/* for its owner to listen */
};

/* Is it a folder in which only we can make files? */
static bool
is_private(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

char *
ctl_dir(bool make)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char *dir;

	if (base == NULL || *base != '/' || !is_private(base)) {
		if (geteuid() != 0)
			return NULL;
		base = "/run";
	}
	if (asprintf(&dir, "%s/" PACKAGE, base) == -1)
		return NULL;
	if (make)
		(void)mkdir(dir, 0700);
	if (is_private(dir))
		return dir;
	free(dir);
	return NULL;
}

char *
ctl_beside(const char *pidfile)
{
	char *path;

	return asprintf(&path, "%s" CTL_SUFFIX, pidfile) == -1 ? NULL : path;
}

static bool
refuses(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool refused;
	int fd;

	if (strlen(path) >= sizeof(un.sun_path) || (fd = socket(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return false;
	memcpy(un.sun_path, path, strlen(path));
	refused = connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1 &&
	    errno == ECONNREFUSED;
	close(fd);
	return refused;
}

bool
ctl_stale(const char *path)
{
	struct stat st;
	int i;

	/* The owner of one that is new may be just about to listen. */
	for (i = 0;; i++) {
		if (lstat(path, &st) == -1 || !S_ISSOCK(st.st_mode) ||
		    !refuses(path))
			return false;
		if (clock_date() > st.st_ctime + 1 || i == NEW_TRIES)
			break;
		clock_pause(NEW_WAIT_MS);
	}
	(void)unlink(path);
	return true;
}

static bool
is_socket_name(const char *name)
{
	size_t n = strlen(name), k = strlen(CTL_SUFFIX);

	return n > k && strcmp(name + n - k, CTL_SUFFIX) == 0;
}

char **
ctl_list(const char *dir, size_t *n)
{
	char **list = calloc(LIST_MAX, sizeof(*list)), *path;
	struct dirent *e;
	DIR *d;

	*n = 0;
	if (list == NULL || (d = opendir(dir)) == NULL)
		return list;
	while (*n < LIST_MAX && (e = readdir(d)) != NULL) {
		if (!is_socket_name(e->d_name) ||
		    asprintf(&path, "%s/%s", dir, e->d_name) == -1)
			continue;
		if (ctl_stale(path))
			free(path);
		else
			list[(*n)++] = path;
	}
	closedir(d);
	return list;
}
