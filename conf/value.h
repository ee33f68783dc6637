/*
 * One value from text, by the rule of its setting's row.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>

struct setting_info;

/* Text may be NULL (unset) for all but numbers. Memory is the holder's. */
struct value {
	char	*text;		/* NULL: unset; the canonical word for oneof */
	char	**items;	/* of a list, NULL at the end */
	size_t	 n;
	long	 num;		/* of a number or a bool */
};

/* Fill a zeroed value. 0, or -1 with *why and the value still empty. */
int	 value_parse(struct value *, const struct setting_info *,
	    const char *text, char **why);
/* The same from items; they are checked, not split. */
int	 value_list(struct value *, const struct setting_info *,
	    const char *const *items, size_t n, char **why);
/* Append the items of `more` (which is emptied). 0, or -1: no memory. */
int	 value_join(struct value *, struct value *more);
int	 value_copy(struct value *, const struct value *);
void	 value_done(struct value *);

/* Is the text a whole number, in range or not (-3, 0x10)? */
bool	 value_is_number(const struct setting_info *, const char *text);

#endif
