/*
 * From Python exceptions to the error log.
 *
 * Always true: after these no exception is pending. The GIL is held.
 */
#ifndef SHIM_PYTHON_ERROR_H
#define SHIM_PYTHON_ERROR_H

#include "fcgi/app.h"

/* Log a heading and then the pending exception with its whole traceback. */
void	 error_log(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* The pending exception with its traceback, to be freed; NULL: no memory. */
char	*error_text(void);
/* Text of several lines to the log. */
void	 error_lines(enum app_log, const char *, size_t);

#endif
