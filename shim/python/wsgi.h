/*
 * One call of a WSGI application (PEP 3333), from request to reply.
 *
 * Always true: the iterable's close() is called exactly once, and no
 * exception of the application leaves here.
 */
#ifndef SHIM_PYTHON_WSGI_H
#define SHIM_PYTHON_WSGI_H

#include <Python.h>

struct app_request;

/* The application to call from now on (a reference of its own is taken).
 * 0, or -1 with an exception. */
int	 wsgi_init(PyObject *application);
/* As struct app_kind's after. */
void	 wsgi_after(struct app_request *);
void	 wsgi_done(void);
/* The GIL is held. As struct app_kind's call. */
int	 wsgi_call(struct app_request *);

#endif
