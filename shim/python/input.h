/*
 * wsgi.input and wsgi.errors: the request's body as a file to read, and
 * the server's error stream as a file to write.
 *
 * Always true: both may outlive their request; then reading raises and
 * what is written goes to the error log.
 */
#ifndef SHIM_PYTHON_INPUT_H
#define SHIM_PYTHON_INPUT_H

#include <Python.h>

struct app_request;

/* Make the types ready. 0, or -1 with an exception. */
int	 input_init(void);

/* New objects; NULL with an exception. */
PyObject *input_new(void);
PyObject *errors_new(void);
/* Begin to serve a request. */
void	 input_open(PyObject *, struct app_request *);
void	 errors_open(PyObject *, struct app_request *);
/* The request is over: let go of it, and write what is left of a line. */
void	 input_close(PyObject *);
void	 errors_close(PyObject *);

#endif
