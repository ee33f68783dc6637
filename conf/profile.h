/*
 * Sets of values under one name.
 */
#ifndef CONF_PROFILE_H
#define CONF_PROFILE_H

#include <stdbool.h>

#include "conf/settings.h"

/* Is it one of ours? */
bool	 profile_known(const char *name);
/* Ours, as "a, b or c". */
const char *profile_names(void);
/* The nearest of ours to a misspelt name, or NULL. */
const char *profile_suggest(const char *name);
/* Give the settings the values of one of ours, at this rank; an unknown
 * name changes nothing. 0, or -1: out of memory. */
int	 profile_apply(struct settings *, const char *name,
	    enum settings_rank);

#endif
