/*
 * What a manager hands to the program that takes its place: descriptors,
 * and a text in GANGWAY_FD that says what they are. gunicorn's GUNICORN_FD
 * stands beside it, for those who look there.
 */
#ifndef FCGI_INHERIT_H
#define FCGI_INHERIT_H

#include <stdbool.h>

#include "fcgi/listeners.h"

struct inherit {
	bool		 systemd;	/* the first of us was its child */
	int		 handoff[2];	/* the scoreboard's; -1: none */
	int		 told;		/* write a byte there when the first
					   worker serves; -1: none */
	struct listeners *listeners;
};

/* The variables that say which sockets a process was given, up to NULL; they
 * are for that process only. */
extern const char *const inherit_variables[];

/* As text, to be freed; NULL: no memory. */
char	*inherit_text(const struct inherit *);
/* The numbers of the listening sockets as GUNICORN_FD has them. */
char	*inherit_numbers(const struct inherit *);
/* Let the descriptors pass through exec: for the child that will do so. */
int	 inherit_open(const struct inherit *);
/* From that text; what is not as it says is left out. NULL: nothing is. */
struct inherit *inherit_take(const char *text);
/* Do without the handoff of the other manager. */
void	 inherit_alone(struct inherit *);
void	 inherit_done(struct inherit *);

#endif
