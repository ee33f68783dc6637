#include "config.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/starter.h"

enum { COMM_MAX = 32 };

/* By their names, for nothing else tells them from spawn-fcgi and shells,
 * whose end means nothing. */
static const struct {
	const char	*name;
	long		 patience;
} starters[] = {
	{ "multiwatch", 0 },
	{ "lighttpd", 0 },
	/* mod_fcgid: TERM, TERM a second later, KILL at about 8 seconds; a
	 * busy machine may take a part of them. */
	{ "apache2", 6 },
	{ "httpd", 6 },
};

/* The name of a process, or an empty one. */
static void
name_of(pid_t pid, char name[COMM_MAX])
{
	char path[64];
	FILE *f;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	if ((f = fopen(path, "re")) == NULL)
		return;
	if (fgets(name, COMM_MAX, f) == NULL)
		name[0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	fclose(f);
}

long
starter_follow(void)
{
	char name[COMM_MAX];
	pid_t parent = getppid();
	size_t i;

	name_of(parent, name);
	for (i = 0; i < sizeof(starters) / sizeof(starters[0]); i++) {
		if (strcmp(name, starters[i].name) != 0)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)	/* it went before that */
			(void)raise(SIGTERM);
		return starters[i].patience;
	}
	return 0;
}

bool
starter_is_deaf(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == makedev(1, 3);
}
