#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"
#include "shim/python/conffile.h"
#include "shim/python/error.h"
#include "shim/python/interpreter.h"

/* A file is executed again each time, a module imported once. */
static const char source[] =
    "import importlib, importlib.machinery, importlib.util\n"
    "import inspect, os, sys\n"
    "def from_file(path):\n"
    "    path = os.path.abspath(path)\n"
    "    loader = importlib.machinery.SourceFileLoader('__config__', path)\n"
    "    spec = importlib.util.spec_from_loader('__config__', loader)\n"
    "    module = importlib.util.module_from_spec(spec)\n"
    "    code = compile(loader.get_data(path), path, 'exec', 0, True)\n"
    "    sys.modules['__config__'] = module\n"
    "    exec(code, module.__dict__)\n"
    "    return module\n"
    "def from_module(name):\n"
    "    importlib.import_module(name)\n"
    "    return sys.modules[name]\n"
    "def takes(hook, n):\n"
    "    try:\n"
    "        inspect.signature(hook).bind(*range(n))\n"
    "    except TypeError:\n"
    "        return False\n"
    "    except ValueError:\n"
    "        pass\n"		/* built in, without a signature */
    "    return True\n"
    "def named(text):\n"
    "    module, _, name = text.rpartition('.')\n"
    "    return getattr(importlib.import_module(module), name)\n"
    "def label(value, name):\n"
    "    if isinstance(value, type):\n"
    "        return value.__module__ + '.' + value.__qualname__\n"
    "    return '<%s()>' % getattr(value, '__qualname__', name)\n";

/* The hooks, and with how many arguments they are called. */
static const struct hook {
	const char	*name;
	int		 least, most;
} hook_table[] = {
	{ "on_starting", 1, 1 },	{ "on_reload", 1, 1 },
	{ "when_ready", 1, 1 },		{ "pre_fork", 2, 2 },
	{ "post_fork", 2, 2 },		{ "post_worker_init", 1, 1 },
	{ "worker_int", 1, 1 },		{ "worker_abort", 1, 1 },
	{ "pre_exec", 1, 1 },		{ "pre_request", 2, 2 },
	{ "post_request", 2, 4 },	{ "child_exit", 2, 2 },
	{ "worker_exit", 2, 2 },	{ "nworkers_changed", 3, 3 },
	{ "on_exit", 1, 1 },		{ "ssl_context", 2, 2 },
};

struct reading {
	PyObject	*ns;		/* of the source above */
	PyObject	*hooks;		/* name: callable, being gathered */
	void		*conf;
};

static PyObject *hooks, *hooks_before;
static const char *file;	/* being read, for messages */

/* ---- what a value is ---- */

static const struct hook *
hook_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(hook_table) / sizeof(*hook_table); i++)
		if (strcmp(hook_table[i].name, name) == 0)
			return &hook_table[i];
	return NULL;
}

static PyObject *
helper(struct reading *rd, const char *name, const char *format, ...)
{
	PyObject *f = PyDict_GetItemString(rd->ns, name);	/* borrowed */
	PyObject *args, *result;
	va_list ap;

	if (f == NULL) {
		PyErr_SetString(PyExc_RuntimeError, name);
		return NULL;
	}
	va_start(ap, format);
	args = Py_VaBuildValue(format, ap);
	va_end(ap);
	if (args == NULL)
		return NULL;
	result = PyObject_Call(f, args, NULL);
	Py_DECREF(args);
	return result;
}

/* *why for a refused value, the name and the value before the reason. */
static int
refuse(const char *name, PyObject *value, const char *reason, char **why)
{
	PyObject *repr;
	const char *text = NULL;

	if ((repr = PyObject_Repr(value)) != NULL)
		text = PyUnicode_AsUTF8(repr);
	if (text == NULL)
		PyErr_Clear();
	if (asprintf(why, "Invalid value for %s: %s (%s): %s", name,
	    text != NULL ? text : "?", file, reason) == -1)
		*why = NULL;
	Py_XDECREF(repr);
	return -1;
}

/* The server's answer to one value, which is freed. */
static int
answered(int rv, const char *name, PyObject *value, char *said, char **why)
{
	if (rv == -1)
		rv = refuse(name, value, said != NULL ? said : "not allowed",
		    why);
	free(said);
	return rv;
}

/* An exception of ours as *why. */
static int
raised(const char *what, const char *name, char **why)
{
	char *text = error_text();

	if (text == NULL || asprintf(why, "%s: %s\n%s", what, name, text) == -1)
		*why = NULL;
	free(text);
	return -1;
}

static int
set_text(struct reading *rd, const char *name, PyObject *value,
    PyObject *text, char **why)
{
	char *said = NULL;
	const char *s;
	Py_ssize_t n;
	int rv;

	if ((s = PyUnicode_AsUTF8AndSize(text, &n)) == NULL) {
		PyErr_Clear();
		return refuse(name, value, "must be Unicode text", why);
	}
	if (strlen(s) != (size_t)n)
		return refuse(name, value, "must not hold a NUL", why);
	rv = shim.server->set(rd->conf, name, s, &said);
	return answered(rv, name, value, said, why);
}

/* Strings of a list, or "K:V" of a dict, gathered in `texts`. */
static int
set_texts(struct reading *rd, const char *name, PyObject *value,
    PyObject *texts, char **why)
{
	Py_ssize_t i, n = PyList_GET_SIZE(texts);
	const char **items;
	char *said = NULL;
	int rv;

	if ((items = calloc((size_t)n + 1, sizeof(*items))) == NULL)
		return refuse(name, value, "out of memory", why);
	for (i = 0; i < n; i++) {
		items[i] = PyUnicode_AsUTF8(PyList_GET_ITEM(texts, i));
		if (items[i] == NULL) {
			PyErr_Clear();
			free(items);
			return refuse(name, value, "must be Unicode text", why);
		}
	}
	rv = shim.server->set_list(rd->conf, name, items, (size_t)n, &said);
	free(items);
	return answered(rv, name, value, said, why);
}

static int
set_sequence(struct reading *rd, const char *name, PyObject *value, char **why)
{
	PyObject *list;
	Py_ssize_t i;
	int rv = 0;

	if ((list = PySequence_List(value)) == NULL)
		return raised("Invalid value for", name, why);
	for (i = 0; rv == 0 && i < PyList_GET_SIZE(list); i++)
		if (!PyUnicode_Check(PyList_GET_ITEM(list, i)))
			rv = refuse(name, value, "must be a list of strings",
			    why);
	if (rv == 0)
		rv = set_texts(rd, name, value, list, why);
	Py_DECREF(list);
	return rv;
}

static int
set_dict(struct reading *rd, const char *name, PyObject *value, char **why)
{
	PyObject *list, *k, *v, *item;
	Py_ssize_t at = 0;
	int rv = 0;

	if ((list = PyList_New(0)) == NULL)
		return raised("Invalid value for", name, why);
	while (rv == 0 && PyDict_Next(value, &at, &k, &v)) {
		if (!PyUnicode_Check(k) || !PyUnicode_Check(v)) {
			rv = refuse(name, value,
			    "must be a dict of strings", why);
			break;
		}
		item = PyUnicode_FromFormat("%U:%U", k, v);
		if (item == NULL || PyList_Append(list, item) == -1)
			rv = raised("Invalid value for", name, why);
		Py_XDECREF(item);
	}
	if (rv == 0)
		rv = set_texts(rd, name, value, list, why);
	Py_DECREF(list);
	return rv;
}

/* Keep a hook when it can be called as it will be. */
static int
keep_hook(struct reading *rd, const struct hook *h, PyObject *value,
    char **why)
{
	PyObject *yes = NULL;
	char reason[64];
	int n, ok = 0;

	for (n = h->least; ok == 0 && n <= h->most; n++) {
		if ((yes = helper(rd, "takes", "(Oi)", value, n)) == NULL)
			return raised("Invalid value for", h->name, why);
		ok = PyObject_IsTrue(yes);
		Py_DECREF(yes);
	}
	if (ok != 1) {
		(void)snprintf(reason, sizeof(reason),
		    "must take %d argument%s", h->least,
		    h->least == 1 ? "" : "s");
		return refuse(h->name, value, reason, why);
	}
	if (PyDict_SetItemString(rd->hooks, h->name, value) == -1)
		return raised("Invalid value for", h->name, why);
	return 0;
}

static int
set_callable(struct reading *rd, const char *name, PyObject *value, char **why)
{
	const struct hook *h = hook_find(name);
	PyObject *label;
	int rv;

	if (h == NULL && !PyType_Check(value)) {
		shim.server->log(APP_DEBUG, "The function %s of the "
		    "configuration file is not a setting", name);
		return 0;
	}
	if (h != NULL && keep_hook(rd, h, value, why) == -1)
		return -1;
	if ((label = helper(rd, "label", "(Os)", value, name)) == NULL)
		return raised("Invalid value for", name, why);
	rv = set_text(rd, name, value, label, why);
	Py_DECREF(label);
	return rv;
}

/* "pkg.mod.func", as gunicorn lets a hook be named. */
static int
set_named_hook(struct reading *rd, const char *name, PyObject *value,
    char **why)
{
	PyObject *f = helper(rd, "named", "(O)", value);
	int rv;

	if (f == NULL)
		return raised("Invalid value for", name, why);
	if (PyCallable_Check(f))
		rv = set_callable(rd, name, f, why);
	else
		rv = refuse(name, value, "must name a function", why);
	Py_DECREF(f);
	return rv;
}

static int
set_path(struct reading *rd, const char *name, PyObject *value, char **why)
{
	PyObject *text = PyOS_FSPath(value);
	int rv;

	if (text == NULL || !PyUnicode_Check(text)) {
		PyErr_Clear();
		rv = refuse(name, value, PyFloat_Check(value) ?
		    "must be a whole number" : "is of a type that no setting "
		    "has", why);
	} else
		rv = set_text(rd, name, value, text, why);
	Py_XDECREF(text);
	return rv;
}

static int
set_value(struct reading *rd, const char *name, PyObject *value, char **why)
{
	PyObject *text;
	char *said = NULL;
	int rv;

	if (value == Py_None || PyBool_Check(value)) {
		rv = shim.server->set(rd->conf, name, value == Py_None ? NULL :
		    value == Py_True ? "true" : "false", &said);
		return answered(rv, name, value, said, why);
	}
	if (PyUnicode_Check(value))
		return hook_find(name) != NULL ?
		    set_named_hook(rd, name, value, why) :
		    set_text(rd, name, value, value, why);
	if (PyLong_Check(value)) {
		if ((text = PyNumber_ToBase(value, 10)) == NULL)
			return raised("Invalid value for", name, why);
		rv = set_text(rd, name, value, text, why);
		Py_DECREF(text);
		return rv;
	}
	if (PyList_Check(value) || PyTuple_Check(value))
		return set_sequence(rd, name, value, why);
	if (PyDict_Check(value))
		return set_dict(rd, name, value, why);
	if (PyModule_Check(value)) {
		shim.server->log(APP_DEBUG, "The module %s, imported by the "
		    "configuration file, is not a setting", name);
		return 0;
	}
	if (PyCallable_Check(value))
		return set_callable(rd, name, value, why);
	return set_path(rd, name, value, why);
}

/* ---- the file ---- */

static PyObject *
conffile_run(struct reading *rd, const char *path)
{
	PyObject *text, *module;

	if (strncmp(path, "python:", 7) == 0)
		return helper(rd, "from_module", "(s)", path + 7);
	if (strncmp(path, "file:", 5) == 0)
		path += 5;
	if ((text = PyUnicode_DecodeFSDefault(path)) == NULL)
		return NULL;
	module = helper(rd, "from_file", "(O)", text);
	Py_DECREF(text);
	return module;
}

/* The module's globals in the order they were first given. A copy: what
 * looking at a value runs may change them. */
static int
values_set(struct reading *rd, PyObject *module, char **why)
{
	PyObject *all, *k, *v;
	Py_ssize_t at = 0;
	const char *name;
	int rv = 0;

	if ((all = PyDict_Copy(PyModule_GetDict(module))) == NULL)
		return raised("Failed to read", "the globals", why);
	while (rv == 0 && PyDict_Next(all, &at, &k, &v)) {
		if (!PyUnicode_Check(k) ||
		    (name = PyUnicode_AsUTF8(k)) == NULL) {
			PyErr_Clear();
			continue;
		}
		if (shim.server->type(name) >= 0)
			rv = set_value(rd, name, v, why);
	}
	Py_DECREF(all);
	return rv;
}

int
conffile_read(const char *path, void *conf, char **why)
{
	struct reading rd = { .conf = conf };
	PyObject *module = NULL;
	int rv = -1;

	*why = NULL;
	Py_XSETREF(hooks_before, hooks);
	Py_XINCREF(hooks);
	file = (file = strrchr(path, '/')) != NULL ? file + 1 : path;
	if ((rd.ns = interpreter_source("<gangway config>", source)) == NULL ||
	    (rd.hooks = PyDict_New()) == NULL ||
	    (module = conffile_run(&rd, path)) == NULL) {
		rv = raised("Failed to read config file", path, why);
		goto done;
	}
	if (!PyModule_Check(module)) {
		if (asprintf(why, "%s is not a module", path) == -1)
			*why = NULL;
		goto done;
	}
	if ((rv = values_set(&rd, module, why)) == 0) {
		Py_XSETREF(hooks, rd.hooks);
		rd.hooks = NULL;
	}
done:
	Py_XDECREF(module);
	Py_XDECREF(rd.hooks);
	Py_XDECREF(rd.ns);
	return rv;
}

PyObject *
conffile_hook(const char *name)
{
	return hooks != NULL ? PyDict_GetItemString(hooks, name) : NULL;
}

void
conffile_keep(void)
{
	Py_CLEAR(hooks_before);
}

void
conffile_revert(void)
{
	if (hooks_before == NULL)
		return;
	Py_XSETREF(hooks, hooks_before);
	hooks_before = NULL;
}

void
conffile_done(void)
{
	Py_CLEAR(hooks);
	Py_CLEAR(hooks_before);
}
