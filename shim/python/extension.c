/*
 * The Python module gangway._core: the whole program inside an interpreter
 * that is already there.
 */
#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "fcgi/program.h"
#include "shim/python/interpreter.h"
#include "shim/python/module.h"

static void
argv_free(char **argv)
{
	size_t i;

	for (i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

/* Strings as a program gets them, to be freed; NULL with an exception. */
static char **
argv_new(PyObject *list, Py_ssize_t n)
{
	PyObject *bytes;
	char **argv;
	Py_ssize_t i;

	if ((argv = calloc((size_t)n + 1, sizeof(*argv))) == NULL) {
		(void)PyErr_NoMemory();
		return NULL;
	}
	for (i = 0; i < n; i++) {
		if (!PyUnicode_FSConverter(PySequence_Fast_GET_ITEM(list, i),
		    &bytes)) {
			argv_free(argv);
			return NULL;
		}
		argv[i] = strdup(PyBytes_AS_STRING(bytes));
		Py_DECREF(bytes);
		if (argv[i] == NULL) {
			(void)PyErr_NoMemory();
			argv_free(argv);
			return NULL;
		}
	}
	return argv;
}

/* The strings stay for the life of the process: settings point into them. */
static PyObject *
core_main(PyObject *self, PyObject *args)
{
	PyObject *list;
	PyThreadState *ts;
	char **argv;
	Py_ssize_t n;
	int rv;

	(void)self;
	list = PySequence_Fast(args, "main() takes a list of arguments");
	if (list == NULL)
		return NULL;
	n = PySequence_Fast_GET_SIZE(list);
	argv = argv_new(list, n);
	Py_DECREF(list);
	if (argv == NULL)
		return NULL;
	interpreter_found();
	ts = PyEval_SaveThread();
	rv = gangway_main((int)n, argv, &app_python);
	PyEval_RestoreThread(ts);
	return PyLong_FromLong(rv);
}

static PyMethodDef core_methods[] = {
	{ "main", core_main, METH_O,
	    "main(argv) -> exit status; argv[0] is the program's name" },
	{ NULL, NULL, 0, NULL }
};

static struct PyModuleDef core_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "gangway._core",
	.m_doc = "The gangway server.",
	.m_methods = core_methods,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
	return PyModuleDef_Init(&core_def);
}
