/*
 * The interpreter of this process: its start and end, its thread states,
 * its lock (the GIL) and what it needs around fork().
 *
 * Always true: outside of enter and leave, and of the functions here, no
 * thread of the server holds the GIL.
 */
#ifndef SHIM_PYTHON_INTERPRETER_H
#define SHIM_PYTHON_INTERPRETER_H

#include <Python.h>
#include <stdbool.h>

#include "fcgi/app.h"

/* What the server gave us; set by interpreter_start() before all else. */
struct shim {
	const struct app_server	*server;
	const struct app_config	*config;
};
extern struct shim shim;

/* struct app_kind has the contracts of these. */
int	 interpreter_start(const struct app_server *,
	    const struct app_config *);
void	 interpreter_stop(void (*last)(void));	/* last: GIL held */
void	 interpreter_before_fork(void);
void	 interpreter_after_fork_parent(void);
void	 interpreter_after_fork_child(void);
void	*interpreter_thread_new(void);
void	 interpreter_thread_free(void *);
void	 interpreter_enter(void *);
void	 interpreter_leave(void *);
int	 interpreter_signals(void);
int	 interpreter_soon(int (*)(void *), void *);
void	 interpreter_dump(int fd);

/* An interpreter that was here before us is ours to use from now on; the
 * lock is held, and let go of by the caller. */
void	 interpreter_found(void);
/* Take the GIL unless this thread has it; give the result to _release(). */
bool	 interpreter_hold(void);
void	 interpreter_release(bool);

/* Put the working directory and then config->pythonpath before sys.path,
 * once each. 0, or -1 with an exception. */
int	 interpreter_paths(void);
/* Let os.environ be the environment of now. 0, or -1 with an exception. */
int	 interpreter_environ(void);
/* Run Python source of ours; its globals (new reference), or NULL with an
 * exception. */
PyObject *interpreter_source(const char *name, const char *source);

#endif
