/*
 * Python's logging to our error log: what is logged to "gunicorn",
 * "gunicorn.error" and "gangway" goes through the server's log, which
 * knows the level that is wanted.
 */
#ifndef SHIM_PYTHON_LOGGER_H
#define SHIM_PYTHON_LOGGER_H

/* Give the loggers their handler, once. 0, or -1 with an exception. */
int	 logger_init(void);

#endif
