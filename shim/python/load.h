/*
 * From the APP of the command line to a callable: `module`, `module:attr`,
 * `pkg.mod:a.b`, `module:factory(args)`, `FILE`, `FILE:attr`.
 */
#ifndef SHIM_PYTHON_LOAD_H
#define SHIM_PYTHON_LOAD_H

#include <Python.h>

/*
 * Import and look up. The application in *app (new reference) and APP_OK;
 * or APP_BOOT when the import raised, APP_LOAD when there is no usable
 * callable. Then it is logged why; no exception is pending.
 */
int	 load_application(const char *spec, PyObject **app);

#endif
