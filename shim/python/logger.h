/*
 * Python's logging to our error log: what is logged to "gunicorn",
 * "gunicorn.error" and "gangway" goes through the server's log, which
 * knows the level that is wanted.
 */
#ifndef SHIM_PYTHON_LOGGER_H
#define SHIM_PYTHON_LOGGER_H

#include <Python.h>

/* Give the loggers their handler, once. 0, or -1 with an exception. */
int	 logger_init(void);
/* The Python function (level, text): lines to our log, by logging's numbers
 * of levels. */
PyObject *logger_say(PyObject *self, PyObject *args);

#endif
