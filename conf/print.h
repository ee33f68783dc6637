/*
 * What --help and --print-config show, made from the table.
 */
#ifndef CONF_PRINT_H
#define CONF_PRINT_H

#include "conf/settings.h"

struct hosting;

/* Who started us, then every setting, sorted: "name = value  # source;
 * standing", the values as Python writes them; the standing is "in force" or
 * what the host does with it, and why. To be freed; NULL: out of memory. */
char	*print_config(const struct settings *, const struct hosting *);
/* A setting's value in the same form, to be shown to anybody: without the
 * values of environment variables and the commands of [hooks]. To be freed;
 * NULL: out of memory. */
char	*print_public(const struct settings *, enum setting);
/* At most 80 columns wide. To be freed; NULL: out of memory. */
char	*print_help(void);

#endif
