/*
 * The hooks of a gunicorn.conf.py, and the objects that they get
 * (hooks.py).
 *
 * Always true: an exception of a hook is logged here and goes no further,
 * but for a SystemExit, which becomes an exit status, and for what
 * pre_request raises.
 */
#ifndef SHIM_PYTHON_HOOKS_H
#define SHIM_PYTHON_HOOKS_H

#include <Python.h>
#include <stdbool.h>

#include "fcgi/app.h"

/* Is there a hook that is to be called for each request? */
extern bool hooks_requests;

/* Be the modules `gunicorn` and below, where these are not installed. 0, or
 * -1 with an exception. */
int	 hooks_stand_in(void);
/* As struct app_kind's hook and interrupt. */
int	 hooks_event(const struct app_event *);
void	 hooks_interrupt(int sig);

/* The application that was loaded, for worker.wsgi. */
void	 hooks_application(PyObject *);
/* Run pre_request; *req becomes what is to be given to hooks_after(), or
 * stays NULL. 0, or -1 with an exception. */
int	 hooks_before(PyObject *environ, PyObject **req);
/* Is there a post_request? */
bool	 hooks_after_wanted(void);
/* Run it; `answer` is a tuple as Response takes it (hooks.py),
 * empty where the application was not called, or NULL with an exception. */
void	 hooks_after(PyObject *environ, PyObject *req, PyObject *answer);
void	 hooks_done(void);

#endif
