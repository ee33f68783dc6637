#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "fcgi/app.h"
#include "shim/python/environ.h"
#include "shim/python/error.h"
#include "shim/python/file.h"
#include "shim/python/hooks.h"
#include "shim/python/input.h"
#include "shim/python/interpreter.h"
#include "shim/python/reply.h"
#include "shim/python/wsgi.h"

enum { JOIN_MAX = 65536 };	/* a list up to this long is sent as one */

/* What a call needs, used again when the application kept none of it. */
struct exchange {
	struct exchange	*next;
	PyObject	*reply, *input, *errors;
	/* Between the call and its end, where there are hooks. */
	PyObject	*env, *req;
	bool		 called;	/* pre_request let it pass */
};

static PyObject *application, *name_close;
static struct exchange *unused;

/* ---- exchanges ---- */

static void
exchange_free(struct exchange *x)
{
	Py_XDECREF(x->input);
	Py_XDECREF(x->errors);
	if (x->reply != NULL)
		reply_drop(x->reply);
	PyMem_Free(x);
}

static struct exchange *
exchange_get(struct app_request *rq)
{
	struct exchange *x = unused;

	if (x != NULL)
		unused = x->next;
	else if ((x = PyMem_Calloc(1, sizeof(*x))) == NULL) {
		(void)PyErr_NoMemory();
		return NULL;
	}
	if ((x->reply == NULL && (x->reply = reply_new()) == NULL) ||
	    (x->input == NULL && (x->input = input_new()) == NULL) ||
	    (x->errors == NULL && (x->errors = errors_new()) == NULL)) {
		exchange_free(x);
		return NULL;
	}
	reply_open(x->reply, rq);
	input_open(x->input, rq);
	errors_open(x->errors, rq);
	return x;
}

static void
exchange_put(struct exchange *x)
{
	if (!reply_close(x->reply)) {
		reply_drop(x->reply);
		x->reply = NULL;
	}
	input_close(x->input);
	if (Py_REFCNT(x->input) != 1)
		Py_CLEAR(x->input);
	errors_close(x->errors);
	if (Py_REFCNT(x->errors) != 1)
		Py_CLEAR(x->errors);
	x->next = unused;
	unused = x;
}

/* ---- the result ---- */

/* The length of a list or tuple of bytes, or -1 (with no exception) when
 * something else is in it: that is found when its turn comes. */
static Py_ssize_t
sequence_length(PyObject *seq)
{
	Py_ssize_t i, n = PySequence_Fast_GET_SIZE(seq), total = 0;

	for (i = 0; i < n; i++) {
		PyObject *o = PySequence_Fast_GET_ITEM(seq, i);

		if (!PyBytes_Check(o))
			return -1;
		total += PyBytes_GET_SIZE(o);
	}
	return total;
}

/* Several small chunks that are all there become one: one write. */
static int
send_joined(PyObject *reply, PyObject *seq, Py_ssize_t total)
{
	Py_ssize_t i, n = PySequence_Fast_GET_SIZE(seq);
	PyObject *whole, *o;
	char *p;
	int rv;

	if (n == 1)
		return reply_send(reply, PySequence_Fast_GET_ITEM(seq, 0),
		    total, true);
	if ((whole = PyBytes_FromStringAndSize(NULL, total)) == NULL)
		return -1;
	p = PyBytes_AS_STRING(whole);
	for (i = 0; i < n; i++) {
		o = PySequence_Fast_GET_ITEM(seq, i);
		memcpy(p, PyBytes_AS_STRING(o), (size_t)PyBytes_GET_SIZE(o));
		p += PyBytes_GET_SIZE(o);
	}
	rv = reply_send(reply, whole, total, true);
	Py_DECREF(whole);
	return rv;
}

static int
send_each(PyObject *reply, PyObject *result, Py_ssize_t length)
{
	PyObject *it, *chunk;
	int rv = 0;

	if ((it = PyObject_GetIter(result)) == NULL)
		return -1;
	while (rv == 0 && (chunk = PyIter_Next(it)) != NULL) {
		rv = reply_send(reply, chunk, length, false);
		Py_DECREF(chunk);
	}
	Py_DECREF(it);
	return rv == 0 && PyErr_Occurred() ? -1 : rv;
}

static int
result_send(PyObject *reply, PyObject *result)
{
	Py_ssize_t length = -1;
	int rv;

	if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) {
		length = sequence_length(result);
		if (length > 0 && (length <= JOIN_MAX || Py_SIZE(result) == 1))
			return send_joined(reply, result, length);
	} else if (Py_IS_TYPE(result, &file_wrapper_type)) {
		if ((rv = reply_file(reply, result)) != 0)
			return rv == 1 ? 0 : -1;
	} else if (PyBytes_Check(result) || PyUnicode_Check(result)) {
		PyErr_Format(PyExc_TypeError, "the application returned %s, "
		    "not an iterable of bytes", Py_TYPE(result)->tp_name);
		return -1;
	}
	if (send_each(reply, result, length) == -1)
		return -1;
	return reply_end(reply);
}

/* ---- the call ---- */

static struct str
request_var(const struct app_request *rq, enum var_id id)
{
	struct str none = { "", 0 };
	size_t i;

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].id == id)
			return rq->vars[i].value;
	return none;
}

static void
call_failed(PyObject *reply, const struct app_request *rq)
{
	struct str method = request_var(rq, VAR_REQUEST_METHOD);
	struct str uri = request_var(rq, VAR_RAW_URI);

	if (uri.n == 0)
		uri = request_var(rq, VAR_REQUEST_URI);
	if (uri.n == 0)
		uri = request_var(rq, VAR_PATH_INFO);
	if (reply_gone(reply) && (PyErr_Occurred() == NULL ||
	    PyErr_ExceptionMatches(PyExc_ConnectionError))) {
		PyErr_Clear();
		shim.server->log(APP_DEBUG, "The client left during %.*s %.*s",
		    (int)method.n, method.p, (int)uri.n, uri.p);
		return;
	}
	error_log("Error handling request %.*s %.*s", (int)method.n, method.p,
	    (int)uri.n, uri.p);
}

static void
result_close(PyObject *result)
{
	PyObject *close;

	if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
		return;
	if ((close = PyObject_GetAttr(result, name_close)) == NULL) {
		if (PyErr_ExceptionMatches(PyExc_AttributeError))
			PyErr_Clear();
		else
			error_log("Error looking for close()");
		return;
	}
	Py_SETREF(close, PyObject_CallNoArgs(close));
	if (close == NULL)
		error_log("Error in close() of the response");
	Py_XDECREF(close);
}

/* What hooks are given is kept until the response is out. */
static void
call_keep(struct exchange *x, PyObject *env, struct app_request *rq)
{
	reply_over(x->reply);
	x->env = env;
	rq->app = x;
}

/* 0, or -1 with an exception: then it is not to be called. */
static int
call_hooked(struct exchange *x, PyObject *env)
{
	x->req = NULL;
	x->called = hooks_before(env, &x->req) == 0;
	return x->called ? 0 : -1;
}

int
wsgi_call(struct app_request *rq)
{
	PyObject *env, *result = NULL, *args[3] = { NULL, NULL, NULL };
	bool hooked = hooks_requests;
	struct exchange *x;
	int rv = -1;

	if ((x = exchange_get(rq)) == NULL) {
		error_log("No request object");
		return -1;
	}
	env = environ_new(rq, x->input, x->errors);
	if (env != NULL && (!hooked || call_hooked(x, env) == 0)) {
		args[1] = env;
		args[2] = reply_start(x->reply);
		result = PyObject_Vectorcall(application, args + 1,
		    2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	}
	if (!hooked)
		Py_XDECREF(env);
	if (result != NULL)
		rv = result_send(x->reply, result);
	if (rv == -1)
		call_failed(x->reply, rq);
	if (result != NULL) {
		result_close(result);
		Py_DECREF(result);
	}
	if (hooked && env != NULL)
		call_keep(x, env, rq);
	else
		exchange_put(x);
	return rv;
}

void
wsgi_after(struct app_request *rq)
{
	struct exchange *x = rq->app;
	PyObject *answer;

	rq->app = NULL;
	if (hooks_after_wanted()) {
		answer = x->called ? reply_answer(x->reply) : PyTuple_New(0);
		hooks_after(x->env, x->req, answer);
		Py_XDECREF(answer);
	}
	Py_CLEAR(x->req);
	Py_CLEAR(x->env);
	exchange_put(x);
}

int
wsgi_init(PyObject *callable)
{
	if (name_close == NULL &&
	    (name_close = PyUnicode_InternFromString("close")) == NULL)
		return -1;
	if (file_init() == -1 || input_init() == -1 || reply_init() == -1 ||
	    environ_init() == -1)
		return -1;
	Py_INCREF(callable);
	Py_XSETREF(application, callable);
	return 0;
}

void
wsgi_done(void)
{
	struct exchange *x;

	while ((x = unused) != NULL) {
		unused = x->next;
		exchange_free(x);
	}
	environ_done();
	file_done();
	Py_CLEAR(application);
	Py_CLEAR(name_close);
}
