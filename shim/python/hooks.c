#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <signal.h>
#include <string.h>

#include "shim/python/conffile.h"
#include "shim/python/error.h"
#include "shim/python/hooks.h"
#include "shim/python/interpreter.h"
#include "shim/python/logger.h"

/* hooks.py, with a NUL at the end. */
static const char source[] = {
#include "shim/python/hooks_py.h"
};

static const char *const names[APP_HOOKS] = {
	[APP_ON_STARTING] = "on_starting", [APP_ON_RELOAD] = "on_reload",
	[APP_WHEN_READY] = "when_ready", [APP_PRE_FORK] = "pre_fork",
	[APP_POST_FORK] = "post_fork",
	[APP_POST_WORKER_INIT] = "post_worker_init",
	[APP_WORKER_INT] = "worker_int", [APP_WORKER_ABORT] = "worker_abort",
	[APP_PRE_EXEC] = "pre_exec", [APP_PRE_REQUEST] = "pre_request",
	[APP_POST_REQUEST] = "post_request",
	[APP_CHILD_EXIT] = "child_exit", [APP_WORKER_EXIT] = "worker_exit",
	[APP_NWORKERS_CHANGED] = "nworkers_changed",
	[APP_ON_EXIT] = "on_exit",
};

bool hooks_requests;

static PyObject *ns;			/* of hooks.py */
static PyObject *before, *after;	/* called for each request, or NULL */
static PyObject *do_before, *do_after;
static void (*python_signal)(int);	/* Python's own handler */

/* Py_XNewRef() of newer versions. */
static PyObject *
ref(PyObject *o)
{
	Py_XINCREF(o);
	return o;
}

/* ---- what hooks.py is given ---- */

static PyObject *
hooks_count(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return PyLong_FromUnsignedLong(shim.server->requests());
}

static PyObject *
hooks_report(PyObject *self, PyObject *args)
{
	PyObject *type, *value, *tb;
	const char *heading;

	(void)self;
	if (!PyArg_ParseTuple(args, "s", &heading))
		return NULL;
	PyErr_GetExcInfo(&type, &value, &tb);
	PyErr_Restore(type, value, tb);
	error_log("%s", heading);
	Py_RETURN_NONE;
}

static PyObject *
hooks_interrupted(PyObject *self, PyObject *args)
{
	int what, ended;

	(void)self;
	if (!PyArg_ParseTuple(args, "ip", &what, &ended))
		return NULL;
	shim.server->interrupted((enum app_hook)what, ended != 0);
	Py_RETURN_NONE;
}

static PyObject *
hooks_find(PyObject *self, PyObject *args)
{
	PyObject *found;
	const char *name;

	(void)self;
	if (!PyArg_ParseTuple(args, "s", &name))
		return NULL;
	found = conffile_hook(name);
	return ref(found != NULL ? found : Py_None);
}

static PyMethodDef given[] = {
	{ "say", logger_say, METH_VARARGS, NULL },
	{ "requests", hooks_count, METH_NOARGS, NULL },
	{ "report", hooks_report, METH_VARARGS, NULL },
	{ "interrupted", hooks_interrupted, METH_VARARGS, NULL },
	{ "hook", hooks_find, METH_VARARGS, NULL },
};

static int
give(PyObject *to)
{
	PyObject *f;
	size_t i;
	int rv = 0;

	for (i = 0; rv == 0 && i < sizeof(given) / sizeof(*given); i++) {
		if ((f = PyCFunction_New(&given[i], NULL)) == NULL)
			return -1;
		rv = PyDict_SetItemString(to, given[i].ml_name, f);
		Py_DECREF(f);
	}
	return rv;
}

/* 0, or -1 with an exception. */
static int
hooks_open(void)
{
	PyObject *all;

	if (ns != NULL)
		return 0;
	if ((all = interpreter_source("<gangway hooks>", source)) == NULL)
		return -1;
	if (give(all) == -1) {
		Py_DECREF(all);
		return -1;
	}
	ns = all;
	return 0;
}

/* A function of hooks.py (borrowed), or NULL with an exception. */
static PyObject *
ours(const char *name)
{
	PyObject *f;

	if (hooks_open() == -1)
		return NULL;
	if ((f = PyDict_GetItemString(ns, name)) == NULL)
		PyErr_SetString(PyExc_RuntimeError, name);
	return f;
}

/* ---- modules that stand in for gunicorn's ---- */

static PyObject *
stand_in_spec(PyObject *self, PyObject *name)
{
	PyObject *f = ours("gunicorn_spec");

	(void)self;
	return f == NULL ? NULL : PyObject_CallOneArg(f, name);
}

static PyMethodDef spec_def = { "spec", stand_in_spec, METH_O, NULL };

int
hooks_stand_in(void)
{
	static const char finder[] =
	    "import sys\n"
	    "class Finder:\n"
	    "    __module__ = 'gangway.hooks'\n"
	    "    def find_spec(self, name, path=None, target=None):\n"
	    "        if name.partition('.')[0] != 'gunicorn':\n"
	    "            return None\n"
	    "        return spec(name)\n"
	    "def install(to):\n"
	    "    global spec\n"
	    "    spec = to\n"
	    "    if not any(type(f).__module__ == 'gangway.hooks'\n"
	    "               for f in sys.meta_path):\n"
	    "        sys.meta_path.append(Finder())\n";
	PyObject *all, *spec = NULL, *done = NULL;

	if ((all = interpreter_source("<gangway hooks>", finder)) != NULL &&
	    (spec = PyCFunction_New(&spec_def, NULL)) != NULL)
		done = PyObject_CallFunctionObjArgs(PyDict_GetItemString(all,
		    "install"), spec, NULL);
	Py_XDECREF(all);
	Py_XDECREF(spec);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

/* ---- settings ---- */

static PyObject *
list_object(const struct app_value *v)
{
	PyObject *list, *item;
	size_t i;

	if ((list = PyList_New((Py_ssize_t)v->nitems)) == NULL)
		return NULL;
	for (i = 0; i < v->nitems; i++) {
		if ((item = PyUnicode_DecodeFSDefault(v->items[i])) == NULL) {
			Py_DECREF(list);
			return NULL;
		}
		PyList_SET_ITEM(list, (Py_ssize_t)i, item);
	}
	return list;
}

static PyObject *
pairs_object(const struct app_value *v)
{
	PyObject *dict, *key, *value;
	const char *colon;
	size_t i;
	int rv = 0;

	if ((dict = PyDict_New()) == NULL)
		return NULL;
	for (i = 0; rv == 0 && i < v->nitems; i++) {
		if ((colon = strchr(v->items[i], ':')) == NULL)
			continue;
		key = PyUnicode_DecodeFSDefaultAndSize(v->items[i],
		    colon - v->items[i]);
		value = PyUnicode_DecodeFSDefault(colon + 1);
		rv = key == NULL || value == NULL ? -1 :
		    PyDict_SetItem(dict, key, value);
		Py_XDECREF(key);
		Py_XDECREF(value);
	}
	if (rv == -1)
		Py_CLEAR(dict);
	return dict;
}

static PyObject *
value_object(const struct app_value *v)
{
	switch (v->type) {
	case APP_NUMBER:
		return PyLong_FromLong(v->number);
	case APP_BOOL:
		return PyBool_FromLong(v->number);
	case APP_TEXT:
		return PyUnicode_DecodeFSDefault(v->text);
	case APP_LIST:
		return list_object(v);
	case APP_PAIRS:
		return pairs_object(v);
	default:
		Py_RETURN_NONE;
	}
}

static PyObject *
values_object(const void *settings)
{
	PyObject *all, *value;
	struct app_value v;
	size_t i;
	int rv = 0;

	if ((all = PyDict_New()) == NULL)
		return NULL;
	for (i = 0; rv == 0 && shim.server->value(settings, i, &v); i++) {
		if ((value = value_object(&v)) == NULL) {
			rv = -1;
			break;
		}
		rv = PyDict_SetItemString(all, v.name, value);
		Py_DECREF(value);
	}
	if (rv == -1)
		Py_CLEAR(all);
	return all;
}

static PyObject *
listeners_object(const struct app_event *e)
{
	PyObject *list, *one;
	size_t i;

	if ((list = PyList_New((Py_ssize_t)e->nlisteners)) == NULL)
		return NULL;
	for (i = 0; i < e->nlisteners; i++) {
		one = Py_BuildValue("(Ni)", PyUnicode_DecodeFSDefault(
		    e->listeners[i].name), e->listeners[i].fd);
		if (one == NULL) {
			Py_DECREF(list);
			return NULL;
		}
		PyList_SET_ITEM(list, (Py_ssize_t)i, one);
	}
	return list;
}

static void
requests_forget(void)
{
	hooks_requests = false;
	Py_CLEAR(before);
	Py_CLEAR(after);
	Py_CLEAR(do_before);
	Py_CLEAR(do_after);
}

/* Which hooks are called for a request is looked up now and not then. */
static int
requests_prepare(void)
{
	PyObject *choose;

	requests_forget();
	before = ref(conffile_hook("pre_request"));
	after = ref(conffile_hook("post_request"));
	if (before == NULL && after == NULL)
		return 0;
	if ((do_before = ref(ours("before_request"))) == NULL ||
	    (choose = ours("after_request_for")) == NULL ||
	    (after != NULL &&
	    (do_after = PyObject_CallOneArg(choose, after)) == NULL))
		return -1;
	hooks_requests = true;
	return 0;
}

static PyObject *
settings_event(const struct app_event *e)
{
	PyObject *f, *values = NULL, *listeners = NULL, *done = NULL;

	if (e->settings == NULL) {
		requests_forget();
		Py_RETURN_NONE;
	}
	if ((f = ours("settings")) != NULL && requests_prepare() == 0 &&
	    (values = values_object(e->settings)) != NULL &&
	    (listeners = listeners_object(e)) != NULL)
		done = PyObject_CallFunctionObjArgs(f, values, listeners,
		    NULL);
	Py_XDECREF(values);
	Py_XDECREF(listeners);
	return done;
}

/* ---- signals to a worker ---- */

/*
 * Python's way to run a function for a signal is the only one that ends
 * what a thread waits for. Its handler is kept, to be called from the
 * server's, which stays in its place.
 */
static PyObject *
catch(enum app_hook what, const int *signals, int n)
{
	struct sigaction was[2], now;
	PyObject *f = ours("catch"), *done = NULL;
	int i;

	for (i = 0; i < n; i++)
		(void)sigaction(signals[i], NULL, &was[i]);
	if (f != NULL)
		done = n == 1 ?
		    PyObject_CallFunction(f, "sii", names[what], (int)what,
		    signals[0]) :
		    PyObject_CallFunction(f, "siii", names[what], (int)what,
		    signals[0], signals[1]);
	for (i = 0; i < n; i++) {
		(void)sigaction(signals[i], NULL, &now);
		if (done != NULL)
			python_signal = now.sa_handler;
		/* A call that waits ends, so that the function can run. */
		was[i].sa_flags &= ~SA_RESTART;
		(void)sigaction(signals[i], &was[i], NULL);
	}
	return done;
}

static int
catch_all(void)
{
	static const int interrupts[] = { SIGINT, SIGQUIT };
	static const int aborts[] = { SIGABRT };
	PyObject *done;

	if (conffile_hook("worker_int") != NULL) {
		if ((done = catch(APP_WORKER_INT, interrupts, 2)) == NULL)
			return -1;
		Py_DECREF(done);
	}
	/* worker_exit is reached by unwinding what the thread is stuck in. */
	if (conffile_hook("worker_abort") != NULL ||
	    conffile_hook("worker_exit") != NULL) {
		if ((done = catch(APP_WORKER_ABORT, aborts, 1)) == NULL)
			return -1;
		Py_DECREF(done);
	}
	return 0;
}

void
hooks_interrupt(int sig)
{
	if (python_signal != NULL)
		python_signal(sig);
}

/* ---- events ---- */

static PyObject *
run(const struct app_event *e)
{
	const char *name = e->what < APP_HOOKS ? names[e->what] : NULL;
	PyObject *f;

	switch (e->what) {
	case APP_SETTINGS:
		return settings_event(e);
	case APP_KEEP:
		conffile_keep();
		Py_RETURN_NONE;
	case APP_REVERT:
		conffile_revert();
		Py_RETURN_NONE;
	case APP_NWORKERS_CHANGED:
		f = ours(name);
		return f == NULL ? NULL : PyObject_CallFunction(f, "llkl",
		    (long)e->server, (long)e->parent, e->workers, e->before);
	case APP_PRE_FORK:
		f = ours(name);
		return f == NULL ? NULL : PyObject_CallFunction(f, "lkk",
		    (long)e->parent, e->age, e->limit);
	case APP_FORKED:
		f = ours("forked");
		return f == NULL ? NULL : PyObject_CallFunction(f, "kl",
		    e->age, (long)e->pid);
	case APP_CHILD_EXIT:
	case APP_GONE:
		f = ours("child_exit");
		return f == NULL ? NULL : PyObject_CallFunction(f, "lkli",
		    (long)e->parent, e->age, (long)e->pid,
		    e->what == APP_CHILD_EXIT);
	case APP_POST_FORK:
		if (catch_all() == -1)
			return NULL;
		/* FALLTHROUGH */
	case APP_POST_WORKER_INIT:
	case APP_WORKER_EXIT:
		f = ours("of_worker");
		return f == NULL ? NULL : PyObject_CallFunction(f, "skkl",
		    name, e->age, e->limit, (long)e->pid);
	case APP_WORKER_INT:
	case APP_WORKER_ABORT:
		f = ours("of_worker_signal");
		return f == NULL ? NULL : PyObject_CallFunction(f, "s", name);
	default:
		f = ours("of_server");
		return f == NULL ? NULL : PyObject_CallFunction(f, "sllk",
		    name, (long)e->server, (long)e->parent, e->workers);
	}
}

/* The exit status in a SystemExit, as the interpreter would have it. */
static int
exit_status(void)
{
	PyObject *type, *value, *tb, *code = NULL;
	int status = 1;

	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	if (value != NULL)
		code = PyObject_GetAttrString(value, "code");
	if (code == NULL)
		PyErr_Clear();
	else if (code == Py_None)
		status = 0;
	else if (PyLong_Check(code))
		status = (int)PyLong_AsLong(code) & 0xff;
	else {
		PyErr_Restore(ref(type), ref(value),
		    ref(tb));
		error_log("A hook ends this process");
	}
	PyErr_Clear();
	Py_XDECREF(code);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	return status;
}

int
hooks_event(const struct app_event *e)
{
	PyGILState_STATE state;
	PyObject *done;
	int rv = -1;

	if (!Py_IsInitialized())
		return -1;
	state = PyGILState_Ensure();
	if ((done = run(e)) != NULL)
		Py_DECREF(done);
	else if (PyErr_ExceptionMatches(PyExc_SystemExit))
		rv = exit_status();
	else
		error_log("Error in the hook %s", e->what < APP_HOOKS ?
		    names[e->what] : "(of the server itself)");
	PyGILState_Release(state);
	return rv;
}

/* ---- requests ---- */

void
hooks_application(PyObject *application)
{
	PyObject *server, *app = NULL;

	if (ns == NULL)
		return;
	if ((server = PyDict_GetItemString(ns, "server")) == NULL ||
	    (app = PyObject_GetAttrString(server, "app")) == NULL ||
	    PyObject_SetAttrString(app, "callable", application) == -1)
		error_log("The application cannot be shown to hooks");
	Py_XDECREF(app);
}

bool
hooks_after_wanted(void)
{
	return after != NULL;
}

int
hooks_before(PyObject *environ, PyObject **req)
{
	if (before == NULL)
		return 0;
	*req = PyObject_CallFunctionObjArgs(do_before, before, environ, NULL);
	return *req != NULL ? 0 : -1;
}

void
hooks_after(PyObject *environ, PyObject *req, PyObject *answer)
{
	PyObject *done = NULL;

	if (answer != NULL)
		done = PyObject_CallFunctionObjArgs(do_after, after, environ,
		    req != NULL ? req : Py_None, answer, NULL);
	if (done == NULL)
		error_log("Error in the hook post_request");
	Py_XDECREF(done);
}

void
hooks_done(void)
{
	requests_forget();
	Py_CLEAR(ns);
}
