#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "shim/python/error.h"
#include "shim/python/interpreter.h"

/* faulthandler's way of writing stacks without any lock. No public header
 * declares it, and not every version exports it (3.11 and 3.12 do). */
extern const char *_Py_DumpTracebackThreads(int, PyInterpreterState *,
    PyThreadState *) __attribute__((weak));

struct shim shim;

static PyThreadState		*first;		/* thread 0's */
static PyInterpreterState	*interp;
static bool			 ours;		/* we started it */
static bool			 fork_held;	/* the GIL, before fork() */
static pid_t			 owner;		/* the process that did */
static pid_t			 seen;		/* forks known to Python */

/* ---- which interpreter ---- */

/* The version a virtual environment was made for: "3.11" into buf. */
static int
venv_version(const char *dir, char *buf, size_t size)
{
	char path[PATH_MAX], line[512];
	int major, minor, found = -1;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/pyvenv.cfg", dir) >=
	    sizeof(path) || (f = fopen(path, "re")) == NULL)
		return -1;
	while (found == -1 && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "version = %d.%d", &major, &minor) != 2 &&
		    sscanf(line, "version_info = %d.%d", &major, &minor) != 2)
			continue;
		(void)snprintf(buf, size, "%d.%d", major, minor);
		found = 0;
	}
	(void)fclose(f);
	return found;
}

static char *
path_absolute(const char *path)
{
	char cwd[PATH_MAX], *abs;

	if (*path == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		return strdup(path);
	if (*path == '\0')
		return strdup(cwd);
	if (asprintf(&abs, "%s/%s", cwd, path) == -1)
		return NULL;
	return abs;
}

/* The python of a virtual environment, to be freed; NULL after a line. */
static char *
venv_program(const char *given)
{
	static const char *const names[] = { "python", "python3" };
	char version[16], want[16], *dir, *program = NULL;
	size_t i;

	if ((dir = path_absolute(given)) == NULL)
		return NULL;
	(void)snprintf(want, sizeof(want), "%d.%d", PY_MAJOR_VERSION,
	    PY_MINOR_VERSION);
	if (venv_version(dir, version, sizeof(version)) == -1) {
		shim.server->log(APP_ERROR, "%s is not a virtual environment: "
		    "%s", dir, access(dir, F_OK) == 0 ?
		    "no version in its pyvenv.cfg" : "it is not there");
		goto done;
	}
	if (strcmp(version, want) != 0) {
		shim.server->log(APP_ERROR, "the virtual environment %s is of "
		    "Python %s, this module of Python %s", dir, version, want);
		goto done;
	}
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (asprintf(&program, "%s/bin/%s", dir, names[i]) == -1) {
			program = NULL;
			goto done;
		}
		if (access(program, X_OK) == 0)
			goto done;
		free(program);
		program = NULL;
	}
	shim.server->log(APP_ERROR, "the virtual environment %s has no "
	    "bin/python", dir);
done:
	free(dir);
	return program;
}

static char *
program_choose(void)
{
	const char *venv = shim.config->virtualenv;

	if (venv == NULL)
		venv = getenv("VIRTUAL_ENV");
	if (venv == NULL || *venv == '\0')
		return strdup(PYTHON_PROGRAM);
	return venv_program(venv);
}

/* ---- start and end ---- */

static int
python_init(const char *program)
{
	wchar_t name[] = L"gangway", *argv[] = { name };
	PyConfig pc;
	PyStatus st;

	/* Not the isolated kind: PYTHON* variables mean what they do for
	 * python3. The program's name decides where site looks. */
	PyConfig_InitPythonConfig(&pc);
	pc.install_signal_handlers = 0;
	pc.parse_argv = 0;
	pc.configure_c_stdio = 0;
	pc.pathconfig_warnings = 0;
	st = PyConfig_SetBytesString(&pc, &pc.program_name, program);
	if (!PyStatus_Exception(st))
		st = PyConfig_SetBytesString(&pc, &pc.executable, program);
	if (!PyStatus_Exception(st))
		st = PyConfig_SetWideStringList(&pc, &pc.argv, 1, argv);
	if (!PyStatus_Exception(st))
		st = Py_InitializeFromConfig(&pc);
	PyConfig_Clear(&pc);
	if (PyStatus_Exception(st)) {
		shim.server->log(APP_ERROR, "Python (%s) does not start: %s",
		    program, st.err_msg != NULL ? st.err_msg :
		    "no reason given");
		return -1;
	}
	return 0;
}

void
interpreter_found(void)
{
	first = PyThreadState_Get();
	owner = seen = getpid();
}

/* An interpreter that was there before us: take its lock. */
static void
python_adopt(void)
{
	(void)interpreter_hold();
	/* Forked without our hooks: tell it late rather than never. */
	if (seen != 0 && seen != getpid())
		PyOS_AfterFork_Child();
}

/*
 * The signal module makes SIGINT a KeyboardInterrupt when it is imported,
 * whatever the configuration says: take that back, and leave the signal to
 * whoever had it.
 */
static int
sigint_spare(const struct sigaction *was)
{
	PyObject *ns;

	ns = interpreter_source("<gangway start>", "import _signal\n"
	    "_signal.signal(_signal.SIGINT, _signal.SIG_DFL)\n");
	if (ns == NULL)
		return -1;
	Py_DECREF(ns);
	(void)sigaction(SIGINT, was, NULL);
	return 0;
}

/* What is printed is wanted in the log now, not when 8 KB are full. */
static int
stdout_by_lines(void)
{
	PyObject *ns;

	ns = interpreter_source("<gangway start>", "import sys\n"
	    "for f in sys.stdout, sys.stderr:\n"
	    "    if hasattr(f, 'reconfigure'):\n"
	    "        f.reconfigure(line_buffering=True)\n");
	if (ns == NULL)
		return -1;
	Py_DECREF(ns);
	return 0;
}

/* The interpreter that is here stays; is it the one that was asked for? */
static void
venv_compare(void)
{
	PyObject *prefix = PySys_GetObject("prefix");	/* borrowed */
	const char *here = prefix != NULL ? PyUnicode_AsUTF8(prefix) : NULL;
	char want[PATH_MAX], have[PATH_MAX];

	if (here == NULL)
		PyErr_Clear();
	else if (realpath(shim.config->virtualenv, want) == NULL ||
	    realpath(here, have) == NULL || strcmp(want, have) != 0)
		shim.server->log(APP_WARNING, "the virtual environment %s is "
		    "not used: this is the Python of %s",
		    shim.config->virtualenv, here);
}

/* threading takes the thread that imports it for the main thread. */
static int
python_prepare(const struct sigaction *sigint)
{
	PyObject *mod;

	if ((mod = PyImport_ImportModule("threading")) == NULL)
		return -1;
	Py_DECREF(mod);
	if (ours && (sigint_spare(sigint) == -1 || stdout_by_lines() == -1))
		return -1;
	return interpreter_paths();
}

int
interpreter_start(const struct app_server *server,
    const struct app_config *config)
{
	struct sigaction sigint;
	char *program;
	int rv = 0;

	shim.server = server;
	shim.config = config;
	(void)sigaction(SIGINT, NULL, &sigint);	/* cannot fail */
	if (Py_IsInitialized()) {
		python_adopt();
		if (owner == 0)
			interpreter_found();
		if (config->virtualenv != NULL)
			venv_compare();
	} else {
		if ((program = program_choose()) == NULL)
			return -1;
		rv = python_init(program);
		free(program);
		if (rv == -1)
			return -1;
		ours = true;
		owner = getpid();
	}
	seen = getpid();
	interp = PyInterpreterState_Get();
	if (python_prepare(&sigint) == -1) {
		error_log("Python could not be prepared");
		rv = -1;
	}
	first = PyEval_SaveThread();
	return rv;
}

/* What the end of an interpreter does, in a process that must not end it:
 * a fork of somebody else's python3. */
static void
python_farewell(void)
{
	PyObject *ns = interpreter_source("<gangway stop>",
	    "import atexit, sys, threading\n"
	    "threading._shutdown()\n"
	    "atexit._run_exitfuncs()\n"
	    "for f in sys.stdout, sys.stderr:\n"
	    "    if f: f.flush()\n");

	if (ns == NULL)
		error_log("The interpreter did not end well");
	Py_XDECREF(ns);
}

void
interpreter_stop(void (*last)(void))
{
	if (first == NULL)
		return;
	(void)interpreter_hold();
	last();
	if (ours) {
		if (Py_FinalizeEx() == -1)
			shim.server->log(APP_WARNING,
			    "Python could not flush its output");
		ours = false;
		interp = NULL;
	} else {
		if (owner != getpid())
			python_farewell();
		(void)PyEval_SaveThread();
	}
	first = NULL;
}

/* ---- threads and their lock ---- */

void *
interpreter_thread_new(void)
{
	return PyThreadState_New(interp);
}

void
interpreter_thread_free(void *thread)
{
	if (thread == NULL)
		return;
	PyEval_RestoreThread(thread);
	PyThreadState_Clear(thread);
	PyThreadState_DeleteCurrent();
}

void
interpreter_enter(void *thread)
{
	PyEval_RestoreThread(thread != NULL ? thread : first);
}

void
interpreter_leave(void *thread)
{
	(void)thread;
	(void)PyEval_SaveThread();
}

bool
interpreter_hold(void)
{
	PyThreadState *ts;

	if (PyGILState_Check())
		return false;
	ts = PyGILState_GetThisThreadState();
	PyEval_RestoreThread(ts != NULL ? ts : first);
	return true;
}

void
interpreter_release(bool taken)
{
	if (taken)
		(void)PyEval_SaveThread();
}

/* ---- fork ---- */

void
interpreter_before_fork(void)
{
	if (!Py_IsInitialized())
		return;
	fork_held = interpreter_hold();
	PyOS_BeforeFork();
}

void
interpreter_after_fork_parent(void)
{
	if (!Py_IsInitialized())
		return;
	PyOS_AfterFork_Parent();
	interpreter_release(fork_held);
}

void
interpreter_after_fork_child(void)
{
	if (!Py_IsInitialized())
		return;
	PyOS_AfterFork_Child();
	seen = getpid();
	/* The thread that forked is all there is now. */
	first = PyThreadState_Get();
	interpreter_release(fork_held);
}

/* ---- signals and stacks ---- */

int
interpreter_signals(void)
{
	bool leave;

	if (PyErr_CheckSignals() == 0)
		return 0;
	leave = PyErr_ExceptionMatches(PyExc_SystemExit) ||
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
	if (leave)
		PyErr_Clear();
	else
		error_log("Exception in a signal handler");
	return leave ? -1 : 0;
}

int
interpreter_soon(int (*f)(void *), void *arg)
{
	return Py_AddPendingCall(f, arg);
}

void
interpreter_dump(int fd)
{
	static const char none[] = "(This Python has no way to show its "
	    "stacks from outside.)\n";

	if (_Py_DumpTracebackThreads == NULL)
		(void)!write(fd, none, sizeof(none) - 1);
	else if (interp != NULL)
		(void)_Py_DumpTracebackThreads(fd, interp, NULL);
}

/* ---- for the rest of the shim ---- */

static int
path_insert(PyObject *list, const char *dir)
{
	PyObject *entry;
	char *abs;
	int rv;

	if ((abs = path_absolute(dir)) == NULL) {
		(void)PyErr_NoMemory();
		return -1;
	}
	entry = PyUnicode_DecodeFSDefault(abs);
	free(abs);
	if (entry == NULL)
		return -1;
	if ((rv = PySequence_Contains(list, entry)) == 0)
		rv = PyList_Insert(list, 0, entry);
	Py_DECREF(entry);
	return rv == -1 ? -1 : 0;
}

int
interpreter_paths(void)
{
	const char *const *p = shim.config->pythonpath;
	PyObject *list = PySys_GetObject("path");	/* borrowed */

	if (list == NULL || !PyList_Check(list)) {
		PyErr_SetString(PyExc_RuntimeError, "sys.path is lost");
		return -1;
	}
	if (path_insert(list, "") == -1)
		return -1;
	for (; p != NULL && *p != NULL; p++)
		if (path_insert(list, *p) == -1)
			return -1;
	return 0;
}

/* The environment as bytes: bytes. */
static PyObject *
environ_bytes(void)
{
	PyObject *d, *name, *value;
	const char *eq;
	size_t i;
	int rv = 0;

	if ((d = PyDict_New()) == NULL)
		return NULL;
	for (i = 0; rv == 0 && environ != NULL && environ[i] != NULL; i++) {
		if ((eq = strchr(environ[i], '=')) == NULL)
			continue;
		name = PyBytes_FromStringAndSize(environ[i], eq - environ[i]);
		value = PyBytes_FromString(eq + 1);
		rv = name == NULL || value == NULL ? -1 :
		    PyDict_SetItem(d, name, value);
		Py_XDECREF(name);
		Py_XDECREF(value);
	}
	if (rv == -1)
		Py_CLEAR(d);
	return d;
}

/* os.environ is what was there when os was imported; settings that were
 * read since then may have changed it. */
int
interpreter_environ(void)
{
	static const char source[] =
	    "import os\n"
	    "def agree(now):\n"
	    "    for name in [n for n in os.environb if n not in now]:\n"
	    "        del os.environb[name]\n"
	    "    for name, value in now.items():\n"
	    "        if os.environb.get(name) != value:\n"
	    "            os.environb[name] = value\n";
	PyObject *ns, *now = NULL, *result = NULL;

	if ((ns = interpreter_source("<gangway environ>", source)) != NULL &&
	    (now = environ_bytes()) != NULL)
		result = PyObject_CallFunction(PyDict_GetItemString(ns,
		    "agree"), "(O)", now);
	Py_XDECREF(now);
	Py_XDECREF(ns);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}

PyObject *
interpreter_source(const char *name, const char *source)
{
	PyObject *code, *ns, *result = NULL;

	if ((code = Py_CompileString(source, name, Py_file_input)) == NULL)
		return NULL;
	if ((ns = PyDict_New()) != NULL &&
	    PyDict_SetItemString(ns, "__builtins__",
	    PyEval_GetBuiltins()) == 0)
		result = PyEval_EvalCode(code, ns, ns);
	Py_DECREF(code);
	if (result == NULL)
		Py_CLEAR(ns);
	Py_XDECREF(result);
	return ns;
}
