/*
 * All sources of settings, put together in their order; the one way in for
 * the program that starts.
 *
 * Unlike the rest of conf/ this touches the process: it goes to the
 * directory that `chdir` names, and it puts [env] and raw_env into the
 * environment, both before a gunicorn.conf.py is evaluated (what that file
 * adds follows after it). When it fails, both are as they were.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include <stdbool.h>
#include <stddef.h>

struct hosting;
struct settings;

struct load_input {
	int		 argc;
	char		*const *argv;
	/* The environment at the first start, also at a reload: a copy that
	 * setenv(3) leaves alone. */
	char		*const *environ;
	/* The working directory at the first start, also at a reload; NULL
	 * is the current one. Relative paths count from there. */
	const char	*cwd;
	const struct hosting *hosting;	/* NULL: none */
	const char	*app;		/* what the host says is to be run
					   where nobody else does; NULL */
	/* At a reload, what is in use: variables that it has set and that
	 * are gone from the file get their first value again. NULL. */
	const struct load_result *before;

	/* Evaluate a gunicorn.conf.py, or "python:MODULE", giving its values
	 * to settings_set(into) with the source it finds right. `into` holds
	 * what all other sources said (virtualenv, pythonpath); these keep
	 * their values where they outrank the file. 0, or -1 with *why (to
	 * be freed): a whole line, or NULL when it was said already. NULL
	 * function: this program cannot. */
	int		(*evaluate)(void *arg, const char *path,
			    struct settings *into, char **why);
	void		*arg;
};

struct load_result {
	struct settings	*settings;	/* complete; workers is a number */
	char		*app;		/* NULL only with print_config */
	char		*file;		/* settings file in use, or NULL */
	char		*profile;	/* in force, or NULL */
	char		*workers_why;	/* why auto is that number, or NULL */
	char		**notes;	/* a line each, for the log at start */
	size_t		 nnotes;
	char		**exported;	/* NAME=VALUE set here; NULL-ended */
	int		 status;	/* with exit: the exit status */
	bool		 exit;		/* print output, then leave: on stdout
					   where status is 0, else stderr */
	char		*output;	/* ends with a newline; NULL: nothing */
};

/* 0: go on with result->settings. -1: exit, status and output are set.
 * The result is load_result_done()'s to free in both cases. */
int	 settings_load(const struct load_input *, struct load_result *);
/* A load that went well is not used after all: its variables leave the
 * environment (`environ` as in the input), and those of `before` (NULL: none)
 * hold again. The working directory stays. */
void	 load_result_undo(const struct load_result *,
	    const struct load_result *before, char *const *environ);
void	 load_result_done(struct load_result *);

#endif
