/*
 * Commands of [hooks]: started by the shell, with the facts in their
 * environment, and never waited for.
 */
#ifndef FCGI_COMMAND_H
#define FCGI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	COMMAND_FACTS = 12,
	COMMANDS_MAX = 16	/* at once, of a process */
};

struct command_facts {
	char	*v[COMMAND_FACTS];	/* NAME=VALUE, to be freed */
	size_t	 n;
};

/* One more fact. */
void	 command_fact(struct command_facts *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Start it for the hook of that name; failure is one line in the log. The
 * facts are freed. */
void	 command_start(const char *hook, const char *command,
	    struct command_facts *);
/* A child has ended. */
void	 command_ended(pid_t, int status);
/* See which have ended, where nobody else reaps; how many have not. */
size_t	 command_poll(void);
/* In a child: those that run are not ours. */
void	 command_forget(void);

#endif
