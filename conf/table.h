/*
 * What settings there are: the one table (conf/settings.def), row by row,
 * and finding a row by a name, also by a misspelt one.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

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
	SETTING_NO_PYTHON	= 1 << 5,  /* no global of a gunicorn.conf.py */
	SETTING_NOT_EMPTY	= 1 << 6,  /* a list with an item at least */

	SETTING_SIZE		= 1 << 7,  /* bytes: K, M and G are known */

	/* What a host may keep to itself: the setting is about ... */
	SETTING_HOST_SOCKET	= 1 << 8,  /* which sockets are made, how */
	SETTING_HOST_BACKLOG	= 1 << 9,  /* listen(2) */
	SETTING_HOST_PROTOCOL	= 1 << 10, /* what they speak */
	SETTING_HOST_HTTP	= 1 << 11, /* how we read and write HTTP */
	SETTING_HOST_KEEP	= 1 << 12, /* idle connections */
	SETTING_HOST_DAEMON	= 1 << 13, /* whose child we are */
	SETTING_HOST_PIDFILE	= 1 << 14, /* there being one of us */
	SETTING_HOST_USER	= 1 << 15, /* as whom we run */
	SETTING_HOST_ASKS	= 1 << 16, /* workers: only when meant for it */
	SETTING_HOST_RECYCLE	= 1 << 17, /* replacing workers */
	SETTING_HOST_GRACE	= 1 << 18, /* how long a stop may take */
	SETTING_HOST_CONTROL	= 1 << 19  /* orders to a manager */
};

/* What the items of a list must be. */
enum setting_check {
	CHECK_NONE,
	CHECK_IPS,	/* an address, a network without host bits, or * */
	CHECK_PAIRS	/* NAME=VALUE */
};

enum { SECONDS_MAX = 100000000 };	/* three years */

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

const struct setting_info *setting_info(enum setting);
/* The setting of that name or alias ("worker_class"), or SETTING_COUNT.
 * A dash counts as an underscore. */
enum setting	 setting_find(const char *name);
/* The same for a global of a gunicorn.conf.py: gunicorn's exact names, and
 * those of ours that nobody uses for something else there. */
enum setting	 setting_find_global(const char *name);
/* The known name nearest to a misspelt one, or NULL when none is near. */
const char	*setting_suggest(const char *name);

/* Edits from a (misspelt) name to a word in lower case; UINT_MAX when one
 * of them is no word at all. */
unsigned int	 word_distance(const char *name, const char *word);
/* The most edits at which a suggestion still helps. */
unsigned int	 word_near(const char *name);

#endif
