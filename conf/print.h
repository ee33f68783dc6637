/*
 * What --help and --print-config show, made from the table.
 */
#ifndef CONF_PRINT_H
#define CONF_PRINT_H

#include <stdbool.h>

#include "conf/settings.h"

/* Every setting, sorted: "name = value  # source", the values as Python
 * writes them; `hosted` says which ones the host decides. To be freed; NULL:
 * out of memory. */
char	*print_config(const struct settings *, bool hosted);
/* A setting's value in the same form, to be shown to anybody: without the
 * values of environment variables. To be freed; NULL: out of memory. */
char	*print_public(const struct settings *, enum setting);
/* At most 80 columns wide. To be freed; NULL: out of memory. */
char	*print_help(void);

#endif
