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

enum setting {
#define SETTING(id, ...) SET_##id,
#include "conf/settings.def"
#undef SETTING
	SETTING_COUNT
};
#define SET_app	SET_wsgi_app	/* our name for it */

enum setting_type {
	TYPE_INT,	/* whole number, 0 or more; decimal, 0x, 0o */
	TYPE_BOOL,	/* true/false 1/0 yes/no on/off */
	TYPE_STRING,
	TYPE_LIST,	/* several strings; from text: split at commas */
	TYPE_DICT,	/* NAME:VALUE pairs, kept as a list of "NAME:VALUE" */
	TYPE_HOOK,	/* a Python callable; in an INI, a command */
};

enum {
	SETTING_IN_FORCE	= 1 << 0,  /* this version acts on it */
	SETTING_PROTECTS	= 1 << 1,  /* refused while not in force */
	SETTING_FLAG_NEGATES	= 1 << 2,  /* its flag turns it off */
	SETTING_REPEAT		= 1 << 3,  /* its flag adds one item */
	SETTING_OCTAL		= 1 << 4,  /* 0022 is octal */
	SETTING_HOSTS		= 1 << 5,  /* the host decides it, not we */
	SETTING_HOST_ASKS	= 1 << 6,  /* under a host: only when meant */
	SETTING_NO_PYTHON	= 1 << 7,  /* no global of a gunicorn.conf.py */
	SETTING_NOT_EMPTY	= 1 << 8   /* a list with an item at least */
};

/* What the items of a list must be. */
enum setting_check {
	CHECK_NONE,
	CHECK_IPS,	/* an address, a network without host bits, or * */
	CHECK_PAIRS	/* NAME=VALUE */
};

enum { SECONDS_MAX = 100000000 };	/* three years */

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

/* What the table says of a setting; all strings live as long as the program. */
struct setting_info {
	const char		*name;		/* gunicorn's, or ours */
	enum setting_type	 type;
	const char		*group;		/* heading for people */
	const char		*flags;		/* "-w --workers", or "" */
	const char		*metavar;	/* for --help */
	const char		*fallback;	/* default, NULL: unset */
	const char		*help;		/* one line */
	unsigned int		 traits;	/* SETTING_* above */
	long			 min, max;	/* of a TYPE_INT */
	const char		*oneof;		/* the words it may be */
	const char		*synonyms;	/* "other=word", lower case */
	const char		*possible;	/* those of oneof in force */
	const char		*bare;		/* its flag without a value */
	const char		*alias;		/* other name, not in Python */
	enum setting_check	 check;
};

/* The built-in defaults; what is set next has RANK_COMMAND. NULL when
 * memory is out. */
struct settings	*settings_new(void);
struct settings	*settings_copy(const struct settings *);
void		 settings_free(struct settings *);
/* The rank of what is set from now on. */
void		 settings_from(struct settings *, enum settings_rank);

const struct setting_info *setting_info(enum setting);
/* The setting of that name or alias ("worker_class"), or SETTING_COUNT.
 * A dash counts as an underscore. */
enum setting	 setting_find(const char *name);
/* The same for a global of a gunicorn.conf.py: gunicorn's exact names, and
 * those of ours that nobody uses for something else there. */
enum setting	 setting_find_global(const char *name);
/* The known name nearest to a misspelt one, or NULL when none is near. */
const char	*setting_suggest(const char *name);

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
