#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "fcgi/app.h"
#include "shim/python/error.h"
#include "shim/python/interpreter.h"
#include "shim/python/logger.h"

/*
 * Applications copy the handlers and the level of "gunicorn.error" to their
 * own loggers, so it has both; the server drops what is below its level.
 * logging is large: its loggers are made when somebody imports it.
 */
static const char source[] =
    "import sys\n"
    "def make(logging):\n"
    "    class Handler(logging.Handler):\n"
    "        def emit(self, record):\n"
    "            try:\n"
    "                log(record.levelno, self.format(record))\n"
    "            except Exception:\n"
    "                self.handleError(record)\n"
    "    Handler.__module__ = 'gangway.log'\n"
    "    for name in 'gunicorn', 'gunicorn.error', 'gangway':\n"
    "        logger = logging.getLogger(name)\n"
    "        if not any(type(h).__module__ == 'gangway.log'\n"
    "                   for h in logger.handlers):\n"
    "            logger.addHandler(Handler())\n"
    "        logger.propagate = False\n"
    "        if logger.level == logging.NOTSET:\n"
    "            logger.setLevel(logging.DEBUG)\n"
    "class Watch:\n"
    "    __module__ = 'gangway.log'\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name != 'logging':\n"
    "            return None\n"
    "        sys.meta_path.remove(self)\n"
    "        for finder in sys.meta_path:\n"
    "            find = getattr(finder, 'find_spec', None)\n"
    "            spec = find and find(name, path, target)\n"
    "            if spec is not None:\n"
    "                break\n"
    "        else:\n"
    "            return None\n"
    "        run = spec.loader.exec_module\n"
    "        def exec_module(module):\n"
    "            run(module)\n"
    "            make(module)\n"
    "        spec.loader.exec_module = exec_module\n"
    "        return spec\n"
    "def install(to):\n"
    "    global log\n"
    "    log = to\n"
    "    if 'logging' in sys.modules:\n"
    "        make(sys.modules['logging'])\n"
    "    elif not any(type(f).__module__ == 'gangway.log'\n"
    "                 for f in sys.meta_path):\n"
    "        sys.meta_path.insert(0, Watch())\n";

static enum app_log
level_of(long n)
{
	if (n >= 50)
		return APP_CRITICAL;
	if (n >= 40)
		return APP_ERROR;
	if (n >= 30)
		return APP_WARNING;
	return n >= 20 ? APP_INFO : APP_DEBUG;
}

PyObject *
logger_say(PyObject *self, PyObject *args)
{
	PyObject *text, *bytes;
	long level;

	(void)self;
	if (!PyArg_ParseTuple(args, "lU", &level, &text))
		return NULL;
	bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes == NULL)
		return NULL;
	error_lines(level_of(level), PyBytes_AS_STRING(bytes),
	    (size_t)PyBytes_GET_SIZE(bytes));
	Py_DECREF(bytes);
	Py_RETURN_NONE;
}

static PyMethodDef log_def = { "log", logger_say, METH_VARARGS, NULL };

int
logger_init(void)
{
	PyObject *ns, *log = NULL, *install, *done = NULL;

	if ((ns = interpreter_source("<gangway logger>", source)) == NULL)
		return -1;
	install = PyDict_GetItemString(ns, "install");	/* borrowed */
	if (install != NULL && (log = PyCFunction_New(&log_def, NULL)) != NULL)
		done = PyObject_CallOneArg(install, log);
	Py_XDECREF(log);
	Py_DECREF(ns);
	if (done == NULL)
		return -1;
	Py_DECREF(done);
	return 0;
}
