/*
 * Which folder control sockets are in, and when that of a server that has
 * gone is removed: not while its owner may be just about to listen. No time
 * passes: the clock is held, and the time of day is the test's.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "fcgi/ctl_place.h"
#include "t/lib/tap.h"

enum { HELD_MS = 1000 };

static char dir[] = "/tmp/gangway-ctl.XXXXXX";
static time_t date;		/* what time it is */
static int owner = -1;		/* its socket */
static int pauses, listens_at;	/* 0: never */

time_t	__wrap_time(time_t *);
void	__real_clock_pause(uint64_t);
void	__wrap_clock_pause(uint64_t);

time_t
__wrap_time(time_t *t)
{
	if (t != NULL)
		*t = date;
	return date;
}

void
__wrap_clock_pause(uint64_t ms)
{
	if (++pauses == listens_at && listen(owner, 1) == -1)
		exit(99);
	__real_clock_pause(ms);
}

/* A socket of that name which is `age` seconds old. */
static const char *
make(const char *name, int age)
{
	static struct sockaddr_un un;
	struct stat st;

	un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", dir, name);
	(void)unlink(un.sun_path);
	if (owner != -1)
		close(owner);
	owner = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (owner == -1 || bind(owner, (struct sockaddr *)&un,
	    sizeof(un)) == -1 || lstat(un.sun_path, &st) == -1)
		exit(99);
	date = st.st_ctime + age;
	pauses = 0;
	clock_hold(HELD_MS);
	return un.sun_path;
}

static const struct {
	const char	*name;
	int		 age;		/* in seconds */
	int		 listens_at;	/* that pause; -1: before, 0: never */
	bool		 stale;
	uint64_t	 took;
} rows[] = {
	{ "new: its owner has 200 ms", 0, 0, true, 200 },
	{ "a second old: the same", 1, 0, true, 200 },
	{ "two seconds old: at once", 2, 0, true, 0 },
	{ "old: at once", 86400, 0, true, 0 },
	{ "from the future: it is new", -5, 0, true, 200 },
	{ "new, and listens", 0, -1, false, 0 },
	{ "old, and listens", 86400, -1, false, 0 },
	{ "new, and listens soon", 0, 1, false, 10 },
	{ "new, and listens later", 0, 15, false, 150 },
	{ "new, and listens before the last look", 0, 20, false, 200 },
};

static void
test_stale(void)
{
	const char *path;
	size_t i;
	bool stale;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		path = make("a.ctl", rows[i].age);
		listens_at = rows[i].listens_at;
		if (listens_at == -1 && listen(owner, 1) == -1)
			exit(99);
		stale = ctl_stale(path);
		ok(stale == rows[i].stale && (access(path, F_OK) == -1) ==
		    stale && clock_ms() - HELD_MS == rows[i].took, "%s",
		    rows[i].name);
	}
	listens_at = 0;
	path = make("a.ctl", 0);
	(void)unlink(path);
	ok(!ctl_stale(path) && clock_ms() == HELD_MS, "one that is not there");
	if ((i = (size_t)open(path, O_CREAT | O_WRONLY, 0600)) == (size_t)-1)
		exit(99);
	close((int)i);
	ok(!ctl_stale(path) && access(path, F_OK) == 0 &&
	    clock_ms() == HELD_MS, "a plain file stays");
	(void)unlink(path);
}

static void
test_list(void)
{
	char **list;
	size_t n;

	(void)make("other", 86400);
	(void)make("old.ctl", 86400);
	list = ctl_list(dir, &n);
	ok(list != NULL && n == 0 && access(dir, F_OK) == 0,
	    "list: who has gone is not there");
	free(list);
	(void)make("new.ctl", 0);
	if (listen(owner, 1) == -1)
		exit(99);
	list = ctl_list(dir, &n);
	ok(list != NULL && n == 1 && strstr(list[0], "/new.ctl") != NULL,
	    "list: who listens is");
	while (n > 0) {
		n--;
		(void)unlink(list[n]);
		free(list[n]);
	}
	free(list);
}

/* What ctl_dir() finds where the session's folder and ours have these modes;
 * 0: there is none. */
static const struct {
	const char	*name;
	mode_t		 base, ours;
	bool		 taken;
} folders[] = {
	{ "of the session: it is made", 0700, 0, true },
	{ "of the session: it is there", 0700, 0700, true },
	{ "that others of the group may use", 0700, 0710, false },
	{ "that all may read", 0700, 0704, false },
	{ "of a session that is open to all", 0777, 0700, false },
	{ "of a session that is open to a group", 0770, 0700, false },
};

static void
test_dir(void)
{
	char base[64], ours[96], *found;
	struct stat st;
	size_t i;

	snprintf(base, sizeof(base), "%s/run", dir);
	snprintf(ours, sizeof(ours), "%s/" PACKAGE, base);
	(void)setenv("XDG_RUNTIME_DIR", base, 1);
	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		if (mkdir(base, 0700) == -1 || (folders[i].ours != 0 &&
		    (mkdir(ours, 0700) == -1 ||
		    chmod(ours, folders[i].ours) == -1)) ||
		    chmod(base, folders[i].base) == -1)
			exit(99);
		found = ctl_dir(folders[i].taken);
		ok((found != NULL && strcmp(found, ours) == 0) ==
		    folders[i].taken && (!folders[i].taken ||
		    (stat(ours, &st) == 0 && (st.st_mode & 0777) == 0700)),
		    "a folder %s", folders[i].name);
		free(found);
		(void)rmdir(ours);
		(void)rmdir(base);
	}
}

int
main(void)
{
	char path[128];

	if (mkdtemp(dir) == NULL)
		return 99;
	test_stale();
	test_list();
	test_dir();
	close(owner);
	snprintf(path, sizeof(path), "%s/other", dir);
	ok(unlink(path) == 0 && rmdir(dir) == 0,
	    "others' files stay, ours are gone");
	return tap_done();
}
