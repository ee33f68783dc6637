/*
 * The Python shim: what it shows to the server. The loadable module exports
 * the same table under the name `app_kind`.
 */
#ifndef SHIM_PYTHON_MODULE_H
#define SHIM_PYTHON_MODULE_H

#include "fcgi/app.h"

extern const struct app_kind app_python;

#endif
