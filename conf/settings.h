/*
 * The settings: one table (conf/settings.def) names them all, one struct
 * holds a value and its source for each.
 *
 * Always true: nothing here logs, exits or touches the system. A value in
 * a struct settings has been checked; a refused one changes nothing. A
 * value gives way only to a source of its own rank or a higher one, so
 * sources may be read in any order.
 */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/table.h"

/* Where a value comes from; a higher one wins. */
enum settings_rank {
	RANK_DEFAULT,
	RANK_FILE_PROFILE,	/* profile implied by or named in the file */
	RANK_PLATFORM,		/* WEB_CONCURRENCY, PORT, ... */
	RANK_FILE,
	RANK_FILE_HOST,		/* [host] */
	RANK_PROFILE,		/* --profile, GANGWAY_PROFILE */
	RANK_GUNICORN,		/* GUNICORN_* */
	RANK_GANGWAY,		/* GANGWAY_* */
	RANK_CMD_ARGS,		/* GUNICORN_CMD_ARGS */
	RANK_COMMAND	/* the command line, and what is decided later */
};

struct settings;

/* The built-in defaults; what is set next has RANK_COMMAND. NULL when
 * memory is out. */
struct settings	*settings_new(void);
struct settings	*settings_copy(const struct settings *);
void		 settings_free(struct settings *);
/* The rank of what is set from now on. */
void		 settings_from(struct settings *, enum settings_rank);

/*
 * Set from text, checked by the setting's own rule. `source` is what the
 * person would recognise ("command line", "env GUNICORN_THREADS",
 * "gangway.ini:12"), copied. A NULL value is Python's None: unset. 0, or -1
 * with *why (to be freed): what would be right ("must be ..."), without the
 * name of the setting and the source. A value that is right but outranked
 * is 0 and changes nothing.
 */
int		 settings_set(struct settings *, enum setting,
		    const char *value, const char *source, char **why);
/* The same for lists, whose items are not split. */
int		 settings_set_list(struct settings *, enum setting,
		    const char *const *items, size_t n, const char *source,
		    char **why);
/* One more item (or several, as settings_set splits them) after those that
 * a source of the same rank has given; first it replaces the others. */
int		 settings_add(struct settings *, enum setting,
		    const char *value, bool split, const char *source,
		    char **why);

/* Would this value do? Changes nothing. */
int		 settings_check(enum setting, const char *value, char **why);

/* Values. Strings and lists belong to the settings. An unset number is 0,
 * as is `auto`; an unset or empty string is NULL. Lists end with a NULL. */
long		 settings_int(const struct settings *, enum setting);
bool		 settings_bool(const struct settings *, enum setting);
const char	*settings_string(const struct settings *, enum setting);
const char *const *settings_list(const struct settings *, enum setting,
		    size_t *n);
/* Is there a value at all? */
bool		 settings_has(const struct settings *, enum setting);
/* workers: still "auto"? */
bool		 settings_auto(const struct settings *, enum setting);
/* "default" until somebody set it. */
const char	*settings_source(const struct settings *, enum setting);
enum settings_rank settings_rank(const struct settings *, enum setting);
/* Did a person say so (any source but defaults and profiles)? */
bool		 settings_given(const struct settings *, enum setting);
/* Under a host: did a person say so with the host in mind ([host],
 * GANGWAY_*, the command line)? */
bool		 settings_meant_for_host(const struct settings *, enum setting);

/*
 * Seconds without progress after which a request is answered 504; 0: never.
 * Unset, it is the timeout; but not gunicorn's own 30 seconds that nobody
 * asked for, for those are no limit to a request there.
 */
long		 settings_request_timeout(const struct settings *);

#endif
