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
/* At most 80 columns wide. To be freed; NULL: out of memory. */
char	*print_help(void);

#endif
