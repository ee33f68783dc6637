/*
 * Variables that the settings put into the environment, and out again.
 */
#ifndef CONF_EXPORT_H
#define CONF_EXPORT_H

#include <stddef.h>

struct notes;

/* setenv(3) for the n bytes of a name, kept in the list as NAME=VALUE. 0,
 * or -1 with errno. */
int	 export_set(struct notes *, const char *name, size_t n,
	    const char *value);

/*
 * Each variable that a list (NULL at its end, or NULL) names gets its value
 * from `env`, or goes. So a reload takes back what the settings before it
 * had set, and what a failed one had set is taken back in turn. When memory
 * is out a variable keeps its value, which does little harm.
 */
void	 export_back(char *const *list, char *const *env);
/* Set all of a list once more; of a name that is there twice the last one
 * counts, as it did the first time. */
void	 export_again(char *const *list);

#endif
