/*
 * Applications in C: `native:FILE.so[:SYMBOL]` names a function
 * `int SYMBOL(FCGX_Request *)` of a shared object, called in the worker with
 * libfcgi's streams. Its return value is the application status.
 *
 * Always true: the function runs on any caller thread, on several at once.
 */
#ifndef SHIM_NATIVE_NATIVE_H
#define SHIM_NATIVE_NATIVE_H

#include "fcgi/app.h"

extern const struct app_kind app_native;

#endif
