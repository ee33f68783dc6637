#include "config.h"

#include <sys/stat.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/cwd.h"

/* A link such as /srv/app/current leads to another release one day: who is
 * started again is to find that one. */
char *
cwd_name(void)
{
	const char *name = getenv("PWD");
	struct stat a, b;

	if (name != NULL && name[0] == '/' && stat(name, &a) == 0 &&
	    stat(".", &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		return strdup(name);
	return getcwd(NULL, 0);
}

char *
cwd_path(const char *path)
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

const char *
cwd_below(const char *path)
{
	char dir[PATH_MAX];
	size_t n;

	if (getcwd(dir, sizeof(dir)) == NULL)
		return path;
	n = strlen(dir);
	return strncmp(path, dir, n) == 0 && path[n] == '/' &&
	    path[n + 1] != '\0' ? path + n + 1 : path;
}
