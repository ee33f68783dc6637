/*
 * The environ dictionary of PEP 3333: a copy of one made at start, and the
 * request's variables under ready-made keys.
 *
 * Always true: each request has a dictionary of its own, and nothing in it
 * that can be changed is shared with another request.
 */
#ifndef SHIM_PYTHON_ENVIRON_H
#define SHIM_PYTHON_ENVIRON_H

#include <Python.h>

struct app_request;

/* Make keys and the dictionary to copy. 0, or -1 with an exception. */
int	 environ_init(void);
void	 environ_done(void);
/* A new environ, or NULL with an exception. */
PyObject *environ_new(const struct app_request *, PyObject *input,
	    PyObject *errors);

#endif
