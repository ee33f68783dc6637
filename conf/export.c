#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "conf/export.h"
#include "conf/why.h"

int
export_set(struct notes *list, const char *name, size_t n, const char *value)
{
	char *copy = strndup(name, n);
	int error = -1;

	if (copy != NULL && (error = setenv(copy, value, 1)) == 0)
		notes_add(list, "%s=%s", copy, value);
	free(copy);
	return error;
}

/* The value in an environment of the variable that `item` (NAME=VALUE)
 * names, or NULL. */
static const char *
value_in(char *const *env, const char *item)
{
	size_t n = strcspn(item, "=") + 1;

	for (; env != NULL && *env != NULL; env++)
		if (strncmp(*env, item, n) == 0)
			return *env + n;
	return NULL;
}

void
export_back(char *const *list, char *const *env)
{
	const char *value;
	char *name;

	for (; list != NULL && *list != NULL; list++) {
		if ((name = strndup(*list, strcspn(*list, "="))) == NULL)
			continue;
		if ((value = value_in(env, *list)) != NULL)
			(void)setenv(name, value, 1);
		else
			(void)unsetenv(name);
		free(name);
	}
}

void
export_again(char *const *list)
{
	size_t n;
	char *name;

	for (; list != NULL && *list != NULL; list++) {
		n = strcspn(*list, "=");
		if ((name = strndup(*list, n)) == NULL)
			continue;
		(void)setenv(name, *list + n + 1, 1);
		free(name);
	}
}
