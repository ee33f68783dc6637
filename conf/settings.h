/*
 * The settings: one table (conf/settings.def) names them all, one struct
 * holds a value and its source for each.
 *
 * Always true: nothing here logs, exits or touches the system. A value in
 * a struct settings has been checked; a refused one changes nothing.
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

enum setting_type {
	TYPE_INT,	/* whole number, 0 or more; base by prefix (0x, 0) */
	TYPE_BOOL,	/* true/false 1/0 yes/no on/off */
	TYPE_STRING,
	TYPE_LIST,	/* several strings; from text: split at commas */
	TYPE_DICT,	/* NAME:VALUE pairs, kept as a list of "NAME:VALUE" */
	TYPE_HOOK,	/* a callable of a gunicorn.conf.py, a command in an INI */
};

struct settings;

/* What the table says of a setting; all strings live as long as the program. */
struct setting_info {
	const char		*name;		/* gunicorn's, or ours */
	enum setting_type	 type;
	const char		*flags;		/* "-w --workers", "" for none */
	const char		*metavar;	/* for --help */
	const char		*fallback;	/* built-in default, NULL: unset */
	const char		*help;		/* one line */
	unsigned int		 traits;	/* SETTING_* below */
};

/* The built-in defaults. NULL when memory is out. */
struct settings	*settings_new(void);
struct settings	*settings_copy(const struct settings *);
void		 settings_free(struct settings *);

const struct setting_info *setting_info(enum setting);
/* The setting of that name ("worker_class"), or SETTING_COUNT. */
enum setting	 setting_find(const char *name);
/* The known name nearest to a misspelt one, or NULL when none is near. */
const char	*setting_suggest(const char *name);

/*
 * Set from text, checked by the setting's own rule. `source` is what the
 * person would recognise ("command line", "env GUNICORN_THREADS",
 * "gangway.ini:12"), copied. 0, or -1 with *why (to be freed): what would
 * be right, without the name of the setting and the source.
 */
int		 settings_set(struct settings *, enum setting, const char *value,
		    const char *source, char **why);
/* The same for lists, whose items are not split. */
int		 settings_set_list(struct settings *, enum setting,
		    const char *const *items, size_t n, const char *source,
		    char **why);

/* Values. Strings and lists belong to the settings. */
long		 settings_int(const struct settings *, enum setting);
bool		 settings_bool(const struct settings *, enum setting);
const char	*settings_string(const struct settings *, enum setting);
const char *const *settings_list(const struct settings *, enum setting,
		    size_t *n);
/* "default" until somebody set it. */
const char	*settings_source(const struct settings *, enum setting);
/* Did a person say so (any source but defaults and profiles)? */
bool		 settings_given(const struct settings *, enum setting);

#endif
