#include "config.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/settings.h"
#include "conf/why.h"
#include "fcgi/rights.h"

/* A whole decimal number, as in --user 1000. */
static bool
number(const char *s, unsigned long *n)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*n = strtoul(s, &end, 10);
	/* The highest id means "leave alone" to the system calls. */
	return errno == 0 && *end == '\0' && *n < UINT_MAX;
}

static const struct passwd *
person(const char *user)
{
	const struct passwd *pw;
	unsigned long n;

	if ((pw = getpwnam(user)) == NULL && number(user, &n))
		pw = getpwuid((uid_t)n);
	return pw;
}

int
rights_find(const struct settings *s, uid_t *uid, gid_t *gid, char **why)
{
	const char *user = settings_string(s, SET_user);
	const char *group = settings_string(s, SET_group);
	const struct passwd *pw;
	const struct group *gr;
	unsigned long n;
	uid_t u = geteuid();
	gid_t g = getegid();

	if (user != NULL && *user != '\0') {
		if ((pw = person(user)) != NULL) {
			u = pw->pw_uid;
			/* root's group is not for those who are not root */
			if (u != geteuid())
				g = pw->pw_gid;
		} else if (number(user, &n))
			u = (uid_t)n;
		else
			return why_set(why, "there is no user \"%s\"", user);
	}
	if (group != NULL && *group != '\0') {
		if ((gr = getgrnam(group)) != NULL)
			g = gr->gr_gid;
		else if (number(group, &n))
			g = (gid_t)n;
		else
			return why_set(why, "there is no group \"%s\"", group);
	}
	*uid = u;
	*gid = g;
	return 0;
}

/* The supplementary groups: the person's own, or none but `gid`. */
static int
groups_set(const struct settings *s, gid_t gid)
{
	const char *user = settings_string(s, SET_user);
	const struct passwd *pw = NULL;

	if (user != NULL && *user != '\0')
		pw = person(user);
	if (pw != NULL && settings_bool(s, SET_initgroups))
		return initgroups(pw->pw_name, gid);
	return setgroups(1, &gid);
}

/* Are all three ids what they should be, and is root out of reach? */
static bool
settled(uid_t uid, gid_t gid)
{
	uid_t r, e, sv;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &sv) == -1 || getresgid(&gr, &ge, &gs) == -1 ||
	    r != uid || e != uid || sv != uid ||
	    gr != gid || ge != gid || gs != gid)
		return false;
	return uid == 0 || (setuid(0) == -1 && seteuid(0) == -1);
}

int
rights_drop(const struct settings *s, char **why)
{
	uid_t uid;
	gid_t gid;

	if (rights_find(s, &uid, &gid, why) == -1)
		return -1;
	if (uid == geteuid() && gid == getegid() && uid == getuid() &&
	    gid == getgid())
		return 0;
	if (geteuid() == 0 && groups_set(s, gid) == -1)
		return why_set(why, "cannot set the groups: %s",
		    strerror(errno));
	if (setresgid(gid, gid, gid) == -1)
		return why_set(why, "cannot become group %lu: %s%s",
		    (unsigned long)gid, strerror(errno),
		    errno == EPERM ? " (only root can)" : "");
	if (setresuid(uid, uid, uid) == -1)
		return why_set(why, "cannot become user %lu: %s%s",
		    (unsigned long)uid, strerror(errno),
		    errno == EPERM ? " (only root can)" : "");
	if (!settled(uid, gid))
		return why_set(why, "user or group did not change for good");
	return 0;
}

void
rights_tie(pid_t parent, int sig)
{
	if (parent == 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, sig);
	if (getppid() != parent)
		_exit(0);	/* it died before this was asked for */
}

/* The first process, until the second is done: who ends our group or our
 * terminal once we are gone must not meet the daemon there. */
static void
await_session(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int
rights_daemon(void)
{
	pid_t pid;
	int fd, i;

	(void)fflush(NULL);	/* or the children would write it again */
	if ((pid = fork()) == -1)
		return -1;
	if (pid > 0)
		await_session(pid);
	if (setsid() == -1)
		return -1;
	/* No session leader, so never a controlling terminal again. */
	if ((pid = fork()) == -1)
		return -1;
	if (pid > 0)
		_exit(0);
	(void)umask(022);
	if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return -1;
	for (i = 0; i <= 2; i++)
		if (dup2(fd, i) == -1)
			return -1;
	if (fd > 2)
		close(fd);
	return 0;
}
