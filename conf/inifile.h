/*
 * gangway.ini: read whole and checked, before any of it is used.
 *
 * Always true: every name in it is known and every value has passed its
 * setting's rule; a line that is too long, a scalar that is given twice and
 * a misspelt name are errors with a place.
 */
#ifndef CONF_INIFILE_H
#define CONF_INIFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/settings.h"

enum ini_section { INI_GANGWAY, INI_HOST, INI_PROFILE, INI_ENV, INI_HOOKS };

struct ini_item {
	enum ini_section section;
	char		*profile;	/* of an INI_PROFILE, else NULL */
	enum setting	 id;		/* SETTING_COUNT in [env] */
	char		*name;		/* as written */
	char		*value;
	int		 line;
};

struct ini {
	char		*name;		/* of the file, for people */
	struct ini_item	*items;		/* in the file's order */
	size_t		 n;
};

enum { INI_BYTES_MAX = 1 << 20 };

/* Read a file, or the n bytes of one. 0, or -1 with *why, one whole line. */
int	 ini_read(struct ini *, const char *path, char **why);
int	 ini_parse_bytes(struct ini *, const char *name, const char *bytes,
	    size_t n, char **why);
void	 ini_done(struct ini *);

/* Is there a [profile NAME] with something in it? */
bool	 ini_has_profile(const struct ini *, const char *profile);
/* Give the settings what a section says, at this rank; `profile` for an
 * INI_PROFILE. 0, or -1: out of memory. */
int	 ini_apply(const struct ini *, enum ini_section, const char *profile,
	    struct settings *, enum settings_rank);

#endif
