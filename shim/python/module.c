#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "shim/python/conffile.h"
#include "shim/python/error.h"
#include "shim/python/hooks.h"
#include "shim/python/interpreter.h"
#include "shim/python/load.h"
#include "shim/python/logger.h"
#include "shim/python/module.h"
#include "shim/python/wsgi.h"

static int
module_start(const struct app_server *server, const struct app_config *config)
{
	bool taken;
	int rv = 0;

	if (server->abi != APP_ABI)
		return -1;	/* its log() may be elsewhere: say nothing */
	if (interpreter_start(server, config) == -1)
		return -1;
	taken = interpreter_hold();
	if (logger_init() == -1) {
		error_log("Python's logging could not be set up");
		rv = -1;
	}
	interpreter_release(taken);
	return rv;
}

static int
module_configure(const char *path, void *conf, char **why)
{
	bool taken = interpreter_hold();
	int rv;

	if (interpreter_environ() == -1)
		error_log("os.environ could not be set");
	if (hooks_stand_in() == -1)
		error_log("The modules of gunicorn have no stand-in");
	rv = conffile_read(path, conf, why);
	interpreter_release(taken);
	return rv;
}

static int
module_load(void)
{
	PyObject *app = NULL;
	bool taken = interpreter_hold();
	int rv = APP_BOOT;

	/* Again: the working directory may be another since the start. */
	if (interpreter_paths() == -1)
		error_log("sys.path could not be set");
	else if (interpreter_environ() == -1)
		error_log("os.environ could not be set");
	else
		rv = load_application(shim.config->spec, &app);
	if (rv == APP_OK && wsgi_init(app) == -1) {
		error_log("The WSGI interface could not be set up");
		rv = APP_BOOT;
	} else if (rv == APP_OK)
		hooks_application(app);
	Py_XDECREF(app);
	interpreter_release(taken);
	return rv;
}

static void
module_last(void)
{
	wsgi_done();
	hooks_done();
	conffile_done();
}

static void
module_stop(void)
{
	interpreter_stop(module_last);
}

const struct app_kind app_python = {
	.abi = APP_ABI,
	.name = "python",
	.start = module_start,
	.configure = module_configure,
	.load = module_load,
	.stop = module_stop,
	.before_fork = interpreter_before_fork,
	.after_fork_parent = interpreter_after_fork_parent,
	.after_fork_child = interpreter_after_fork_child,
	.thread_new = interpreter_thread_new,
	.thread_free = interpreter_thread_free,
	.enter = interpreter_enter,
	.leave = interpreter_leave,
	.call = wsgi_call,
	.after = wsgi_after,
	.signals = interpreter_signals,
	.soon = interpreter_soon,
	.dump = interpreter_dump,
	.hook = hooks_event,
	.interrupt = hooks_interrupt,
};
extern const struct app_kind app_kind __attribute__((alias("app_python")));
