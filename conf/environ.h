/*
 * The environment as a source of settings.
 */
#ifndef CONF_ENVIRON_H
#define CONF_ENVIRON_H

#include <stdbool.h>
#include <stddef.h>

struct notes;
struct settings;

/* The value of a variable, NULL when it is unset or empty. */
const char *environ_get(char *const *env, const char *name);

/*
 * WEB_CONCURRENCY, PORT, FORWARDED_ALLOW_IPS, SENDFILE and SCRIPT_NAME (not
 * under a host, whose words these would be); GUNICORN_* and GANGWAY_* by
 * their ranks. GUNICORN_CMD_ARGS, GUNICORN_PID and GUNICORN_FD are left to
 * others. An unknown GANGWAY_* is noted. 0, or -1 with *why.
 */
int	 environ_apply(struct settings *, char *const *env, bool hosted,
	    struct notes *, char **why);

/* The words of a line, quoted as in a shell; NULL with *why. The array ends
 * with a NULL; words_free() takes it. */
char	**words_split(const char *line, size_t *n, char **why);
void	 words_free(char **);

#endif
