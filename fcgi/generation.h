/*
 * A generation: the settings and sockets that workers are made with. A
 * reload makes a new one; the old one lives as long as a worker of it.
 *
 * Always true: sockets may belong to several generations and are closed
 * with the last; the caller's settings and list are never freed here.
 */
#ifndef FCGI_GENERATION_H
#define FCGI_GENERATION_H

#include <stdbool.h>
#include <stddef.h>

struct listeners;
struct settings;

struct generation {
	unsigned int	 number;
	struct settings	*settings;
	struct listeners *listeners;
	bool		 lent;		/* the list is the caller's memory */
	struct generation *older;	/* next in the list */
};

/* The first: of what the caller opened. NULL: no memory. */
struct generation *generation_first(struct settings *, struct listeners *);
/*
 * One more in front of the list, which owns the settings from now on. It
 * shares the sockets of `now` where `bind` did not change, else it opens
 * what is new, under reuse_port `slots` sockets of each. NULL with *why (to
 * be freed); the settings are freed then.
 */
struct generation *generation_add(struct generation **list,
	    struct generation *now, struct settings *, size_t slots,
	    char **why);
/* Take one out of the list. Its sockets are closed when no other has them;
 * `remove`: their files too. The settings are freed unless they are `kept`. */
void	 generation_drop(struct generation **list, struct generation *,
	    const struct settings *kept, bool remove);
/* In a child: let go of the sockets that are not this generation's. */
void	 generation_alone(struct generation *list, const struct generation *);

#endif
