#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/python/error.h"
#include "shim/python/interpreter.h"

enum { HEADING_MAX = 1024 };

void
error_lines(enum app_log level, const char *p, size_t n)
{
	const char *end = p + n, *nl;

	for (; p < end; p = nl + 1) {
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
			nl = end;
		shim.server->log(level, "%.*s", (int)(nl - p), p);
	}
}

/* Is it one of the steps between us and the application? */
static bool
frame_is_ours(PyObject *tb)
{
	PyObject *code, *file;
	const char *name = NULL;
	size_t n;
	bool ours;

	code = (PyObject *)PyFrame_GetCode(((PyTracebackObject *)
	    (void *)tb)->tb_frame);
	file = PyObject_GetAttrString(code, "co_filename");
	if (file != NULL)
		name = PyUnicode_AsUTF8(file);
	if (name == NULL)
		PyErr_Clear();
	n = name != NULL ? strlen(name) : 0;
	ours = name != NULL && (strncmp(name, "<gangway ", 9) == 0 ||
	    strncmp(name, "<frozen importlib", 17) == 0 ||
	    (n > 22 && strcmp(name + n - 22, "/importlib/__init__.py") == 0));
	Py_XDECREF(file);
	Py_DECREF(code);
	return ours;
}

/* Where people's own code begins, a reference that takes the other's place;
 * NULL where it never did. */
static PyObject *
traceback_cut(PyObject *tb)
{
	PyObject *next;

	while (tb != NULL && PyTraceBack_Check(tb) && frame_is_ours(tb)) {
		next = (PyObject *)((PyTracebackObject *)(void *)tb)->tb_next;
		Py_XINCREF(next);
		Py_DECREF(tb);
		tb = next;
	}
	return tb;
}

/* "".join(traceback.format_exception(...)) as bytes, or NULL. */
static PyObject *
traceback_bytes(PyObject *type, PyObject *value, PyObject *tb)
{
	PyObject *mod, *list = NULL, *empty = NULL, *text = NULL, *bytes = NULL;

	if ((mod = PyImport_ImportModule("traceback")) == NULL)
		return NULL;
	list = PyObject_CallMethod(mod, "format_exception", "OOO", type,
	    value != NULL ? value : Py_None, tb != NULL ? tb : Py_None);
	if (list != NULL && (empty = PyUnicode_FromString("")) != NULL)
		text = PyUnicode_Join(empty, list);
	if (text != NULL)
		bytes = PyUnicode_AsEncodedString(text, "utf-8",
		    "backslashreplace");
	Py_XDECREF(text);
	Py_XDECREF(empty);
	Py_XDECREF(list);
	Py_DECREF(mod);
	return bytes;
}

char *
error_text(void)
{
	PyObject *type, *value, *tb, *bytes;
	char *text = NULL;
	size_t n;

	PyErr_Fetch(&type, &value, &tb);
	if (type == NULL)
		return strdup("");
	PyErr_NormalizeException(&type, &value, &tb);
	tb = traceback_cut(tb);
	if (value != NULL)
		(void)PyException_SetTraceback(value,
		    tb != NULL ? tb : Py_None);
	if ((bytes = traceback_bytes(type, value, tb)) != NULL) {
		text = strdup(PyBytes_AS_STRING(bytes));
		if (text != NULL && (n = strlen(text)) > 0 &&
		    text[n - 1] == '\n')
			text[n - 1] = '\0';
		Py_DECREF(bytes);
	} else {
		/* The report itself failed: the name is better than nothing. */
		PyErr_Clear();
		text = strdup(PyType_Check(type) ?
		    ((PyTypeObject *)type)->tp_name : "exception");
	}
	Py_XDECREF(tb);
	Py_XDECREF(value);
	Py_XDECREF(type);
	return text;
}

void
error_log(const char *fmt, ...)
{
	char heading[HEADING_MAX], *text;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(heading, sizeof(heading), fmt, ap);
	va_end(ap);
	text = error_text();
	shim.server->log(APP_ERROR, "%s", heading);
	if (text != NULL)
		error_lines(APP_ERROR, text, strlen(text));
	free(text);
}
