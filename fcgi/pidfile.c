#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/why.h"
#include "fcgi/pidfile.h"

enum pidfile_state { PIDFILE_NONE, PIDFILE_STALE, PIDFILE_OURS, PIDFILE_LIVE,
	PIDFILE_STRANGE, PIDFILE_ERROR };

/* What `text` says of the process it names. */
static enum pidfile_state
judge(const char *text, pid_t *pid)
{
	char *end;
	long n;

	if (text[strspn(text, " \t\r\n")] == '\0')
		return PIDFILE_STALE;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || end == text || end[strspn(end, " \t\r\n")] != '\0' ||
	    n < 1 || n > INT_MAX)
		return PIDFILE_STRANGE;
	*pid = (pid_t)n;
	/* In a container the number of the last life is often ours again. */
	if (*pid == getpid())
		return PIDFILE_OURS;
	if (kill(*pid, 0) == 0 || errno == EPERM)
		return PIDFILE_LIVE;
	return PIDFILE_STALE;
}

static enum pidfile_state
look(const char *path, pid_t *pid)
{
	char text[64];
	struct stat st;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1) {
		if (errno == ENOENT)
			return PIDFILE_NONE;
		return errno == ELOOP ? PIDFILE_STRANGE : PIDFILE_ERROR;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return PIDFILE_STRANGE;
	}
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return PIDFILE_ERROR;
	if (n == (ssize_t)sizeof(text) - 1)
		return PIDFILE_STRANGE;
	text[n] = '\0';
	return judge(text, pid);
}

/* A finished file under a name of its own beside `path`, or NULL. */
static char *
draft(const char *path)
{
	char *name;
	int fd, ok;

	if (asprintf(&name, "%s.XXXXXX", path) == -1)
		return NULL;
	if ((fd = mkostemp(name, O_CLOEXEC)) == -1) {
		free(name);
		return NULL;
	}
	ok = dprintf(fd, "%d\n", (int)getpid()) > 0 && fchmod(fd, 0644) == 0;
	if (close(fd) == -1 || !ok) {
		(void)unlink(name);	/* the first error is the one to tell */
		free(name);
		return NULL;
	}
	return name;
}

static int
refuse(const char *path, enum pidfile_state state, pid_t pid, char **why)
{
	switch (state) {
	case PIDFILE_LIVE:
		return why_set(why, "pid file %s: process %d is running; if "
		    "that is not this server, remove the file", path,
		    (int)pid);
	case PIDFILE_STRANGE:
		return why_set(why, "pid file %s: what is there is not a pid "
		    "file, and is left alone", path);
	case PIDFILE_ERROR:
		return why_set(why, "pid file %s: %s", path, strerror(errno));
	default:
		return 0;
	}
}

int
pidfile_check(const char *path, char **why)
{
	enum pidfile_state state;
	pid_t pid = 0;

	if (path == NULL || *path == '\0')
		return 0;
	state = look(path, &pid);
	return refuse(path, state, pid, why);
}

int
pidfile_create(const char *path, char **why)
{
	enum pidfile_state state;
	pid_t pid = 0;
	char *name;
	int rc;

	state = look(path, &pid);
	if (refuse(path, state, pid, why) == -1)
		return -1;
	if ((name = draft(path)) == NULL)
		return why_set(why, "cannot write pid file %s: %s", path,
		    strerror(errno));
	/* link() does not overwrite what came into being meanwhile. */
	if (state == PIDFILE_NONE)
		rc = link(name, path);
	else
		rc = rename(name, path);
	if (rc == -1 && state == PIDFILE_NONE &&
	    (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS))
		rc = rename(name, path);	/* no hard links here */
	if (rc == -1)
		(void)why_set(why, "cannot write pid file %s: %s", path,
		    strerror(errno));
	if (rc == -1 || state == PIDFILE_NONE)
		(void)unlink(name);	/* gone already after a rename */
	free(name);
	return rc;
}

void
pidfile_delete(const char *path)
{
	pid_t pid;

	if (path != NULL && look(path, &pid) == PIDFILE_OURS)
		(void)unlink(path);	/* a directory may have been closed */
}

/* Our file gets another name, where one of process `old` may still stand:
 * it has gone, but who started it may not have noticed yet. */
static int
file_rename(const char *from, const char *to, pid_t old, char **why)
{
	enum pidfile_state state;
	pid_t pid = 0;

	state = look(to, &pid);
	if (!(state == PIDFILE_LIVE && pid == old) &&
	    refuse(to, state, pid, why) == -1)
		return -1;
	if (rename(from, to) == -1)
		return why_set(why, "cannot write pid file %s: %s", to,
		    strerror(errno));
	return 0;
}

int
pidfile_move(char **have, char *want, pid_t old, char **why)
{
	bool same = *have == want ||
	    (*have != NULL && want != NULL && strcmp(*have, want) == 0);
	int rc = 0;

	if (same) {
		free(want == *have ? NULL : want);
		return 0;
	}
	if (want != NULL && *have != NULL && old != 0)
		rc = file_rename(*have, want, old, why);
	else if (want != NULL)
		rc = pidfile_create(want, why);
	if (rc == -1) {
		free(want);
		return -1;
	}
	pidfile_delete(*have);		/* not there any more if renamed */
	free(*have);
	*have = want;
	return 0;
}
