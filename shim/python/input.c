#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <string.h>

#include "fcgi/app.h"
#include "shim/python/error.h"
#include "shim/python/input.h"
#include "shim/python/interpreter.h"

enum { ERRORS_MAX = 8192 };	/* of an unfinished line, kept */

struct input {
	PyObject_HEAD
	struct app_request	*rq;	/* NULL: the call is over */
	uint64_t		 left;	/* not read yet */
};

/* ---- reading ---- */

/* Up to *n bytes at *p from the server, without taking them; 0: the end. */
static int
input_peek(struct input *in, const char **p, size_t want, size_t *n)
{
	ssize_t got = shim.server->peek(in->rq, p);

	if (got < 0) {
		(void)PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	*n = (size_t)got < want ? (size_t)got : want;
	return 0;
}

static void
input_consume(struct input *in, size_t n)
{
	shim.server->consume(in->rq, n);
	in->left -= n < in->left ? n : in->left;
}

/* How many of the wanted bytes (negative: all) there can be; -1: raised. */
static Py_ssize_t
input_want(struct input *in, Py_ssize_t size)
{
	if (in->rq == NULL) {
		PyErr_SetString(PyExc_ValueError,
		    "I/O operation on closed request");
		return -1;
	}
	if (size >= 0 && (uint64_t)size < in->left)
		return size;
	if (in->left > PY_SSIZE_T_MAX) {
		(void)PyErr_NoMemory();
		return -1;
	}
	return (Py_ssize_t)in->left;
}

static Py_ssize_t
input_fill(struct input *in, char *out, size_t want)
{
	size_t used = 0, n;
	const char *p;

	while (used < want) {
		if (input_peek(in, &p, want - used, &n) == -1)
			return -1;
		if (n == 0)
			break;
		memcpy(out + used, p, n);
		input_consume(in, n);
		used += n;
	}
	return (Py_ssize_t)used;
}

static PyObject *
input_take(struct input *in, Py_ssize_t size)
{
	Py_ssize_t want, used;
	PyObject *out;

	if ((want = input_want(in, size)) == -1)
		return NULL;
	if ((out = PyBytes_FromStringAndSize(NULL, want)) == NULL || want == 0)
		return out;
	used = input_fill(in, PyBytes_AS_STRING(out), (size_t)want);
	if (used == -1)
		Py_CLEAR(out);
	else if (used != want)
		(void)_PyBytes_Resize(&out, used);
	return out;
}

/* Append to a bytes object that only we have; steals it on failure. Python
 * shares bytes of one byte when it makes them from text, but not when it
 * makes room. */
static PyObject *
bytes_append(PyObject *b, const char *p, size_t n)
{
	Py_ssize_t had = b != NULL ? PyBytes_GET_SIZE(b) : 0;

	if (b == NULL)
		b = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
	else
		(void)_PyBytes_Resize(&b, had + (Py_ssize_t)n);
	if (b != NULL)
		memcpy(PyBytes_AS_STRING(b) + had, p, n);
	return b;
}

/* A line is most often within one window: then it is copied once. */
static PyObject *
input_line(struct input *in, Py_ssize_t size)
{
	PyObject *out = NULL;
	const char *p, *nl = NULL;
	Py_ssize_t want;
	size_t n, left;

	if ((want = input_want(in, size)) == -1)
		return NULL;
	for (left = (size_t)want; left > 0 && nl == NULL; left -= n) {
		if (input_peek(in, &p, left, &n) == -1) {
			Py_XDECREF(out);
			return NULL;
		}
		if (n == 0)
			break;
		if ((nl = memchr(p, '\n', n)) != NULL)
			n = (size_t)(nl + 1 - p);
		if ((out = bytes_append(out, p, n)) == NULL)
			return NULL;
		input_consume(in, n);
	}
	return out != NULL ? out : PyBytes_FromStringAndSize(NULL, 0);
}

/* The optional size of read(), readline() and readlines(); None is -1. */
static int
size_arg(const char *name, PyObject *const *args, Py_ssize_t n,
    Py_ssize_t *size)
{
	*size = -1;
	if (n > 1) {
		PyErr_Format(PyExc_TypeError,
		    "%s() takes at most one argument (%zd given)", name, n);
		return -1;
	}
	if (n == 0 || args[0] == Py_None)
		return 0;
	*size = PyNumber_AsSsize_t(args[0], NULL);	/* clips */
	return *size == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
input_read(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	Py_ssize_t size;

	if (size_arg("read", args, n, &size) == -1)
		return NULL;
	return input_take((struct input *)self, size);
}

static PyObject *
input_readline(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	Py_ssize_t size;

	if (size_arg("readline", args, n, &size) == -1)
		return NULL;
	return input_line((struct input *)self, size);
}

static PyObject *
input_next(PyObject *self)
{
	PyObject *line = input_line((struct input *)self, -1);

	if (line != NULL && PyBytes_GET_SIZE(line) == 0)
		Py_CLEAR(line);
	return line;
}

static PyObject *
input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	PyObject *list, *line;
	Py_ssize_t hint, total = 0;
	int bad = 0;

	if (size_arg("readlines", args, n, &hint) == -1 ||
	    (list = PyList_New(0)) == NULL)
		return NULL;
	while (bad == 0 && (hint <= 0 || total < hint)) {
		if ((line = input_next(self)) == NULL)
			break;
		total += PyBytes_GET_SIZE(line);
		bad = PyList_Append(list, line);
		Py_DECREF(line);
	}
	if (PyErr_Occurred())
		Py_CLEAR(list);
	return list;
}

static PyObject *
input_readinto(PyObject *self, PyObject *target)
{
	struct input *in = (struct input *)self;
	Py_ssize_t want, used = -1;
	Py_buffer b;

	if (PyObject_GetBuffer(target, &b, PyBUF_WRITABLE) == -1) {
		PyErr_Format(PyExc_TypeError, "readinto() needs something to "
		    "write to, not %.100s", Py_TYPE(target)->tp_name);
		return NULL;
	}
	if ((want = input_want(in, b.len)) != -1)
		used = input_fill(in, b.buf, (size_t)want);
	PyBuffer_Release(&b);
	return used == -1 ? NULL : PyLong_FromSsize_t(used);
}

static PyObject *
always_true(PyObject *self, PyObject *none)
{
	(void)self, (void)none;
	Py_RETURN_TRUE;
}

#define FAST(f) (PyCFunction)(void (*)(void))(f)
static PyMethodDef input_methods[] = {
	{ "read", FAST(input_read), METH_FASTCALL, NULL },
	{ "readline", FAST(input_readline), METH_FASTCALL, NULL },
	{ "readlines", FAST(input_readlines), METH_FASTCALL, NULL },
	{ "readinto", input_readinto, METH_O, NULL },
	{ "readable", always_true, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyTypeObject input_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "gangway.Input",
	.tp_basicsize = sizeof(struct input),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_doc = "The body of a request (wsgi.input).",
	.tp_methods = input_methods,
	.tp_iter = PyObject_SelfIter,
	.tp_iternext = input_next,
};

PyObject *
input_new(void)
{
	struct input *in = PyObject_New(struct input, &input_type);

	if (in != NULL) {
		in->rq = NULL;
		in->left = 0;
	}
	return (PyObject *)in;
}

void
input_open(PyObject *self, struct app_request *rq)
{
	struct input *in = (struct input *)self;

	in->rq = rq;
	in->left = rq->body_length;
}

void
input_close(PyObject *self)
{
	((struct input *)self)->rq = NULL;
}

/* ---- errors ---- */

struct errors {
	PyObject_HEAD
	struct app_request	*rq;
	size_t			 n;
	char			*line;	/* ERRORS_MAX bytes, when needed */
};

static void
errors_send(struct errors *e, const char *p, size_t n)
{
	if (e->rq != NULL)
		shim.server->error(e->rq, p, n);
	else
		error_lines(APP_ERROR, p, n);
}

static void
errors_flush_line(struct errors *e)
{
	if (e->n > 0)
		errors_send(e, e->line, e->n);
	e->n = 0;
}

/* Whole lines go on at once, without their last newline; print() writes
 * text and newline apart, so the beginning of a line waits for its end. */
static int
errors_put(struct errors *e, const char *p, size_t n)
{
	const char *nl = n > 0 ? memrchr(p, '\n', n) : NULL;
	size_t whole = nl != NULL ? (size_t)(nl - p) : 0;
	const char *first;

	if (nl != NULL && e->n > 0) {
		first = memchr(p, '\n', n);
		if (errors_put(e, p, (size_t)(first - p)) == -1)
			return -1;
		errors_flush_line(e);
		n -= (size_t)(first + 1 - p);
		p = first + 1;
		return errors_put(e, p, n);
	}
	if (nl != NULL) {
		errors_send(e, p, whole);
		p += whole + 1;
		n -= whole + 1;
	}
	if (e->n + n > ERRORS_MAX)
		errors_flush_line(e);
	if (n > ERRORS_MAX) {
		errors_send(e, p, n);
		return 0;
	}
	if (n == 0)
		return 0;
	if (e->line == NULL && (e->line = PyMem_Malloc(ERRORS_MAX)) == NULL) {
		(void)PyErr_NoMemory();
		return -1;
	}
	memcpy(e->line + e->n, p, n);
	e->n += n;
	return 0;
}

static PyObject *
errors_write(PyObject *self, PyObject *text)
{
	PyObject *bytes;
	int rv;

	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError,
		    "write() argument must be str, not %.100s",
		    Py_TYPE(text)->tp_name);
		return NULL;
	}
	bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes == NULL)
		return NULL;
	rv = errors_put((struct errors *)self, PyBytes_AS_STRING(bytes),
	    (size_t)PyBytes_GET_SIZE(bytes));
	Py_DECREF(bytes);
	return rv == -1 ? NULL : PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

static PyObject *
errors_writelines(PyObject *self, PyObject *lines)
{
	PyObject *it, *line, *done;

	if ((it = PyObject_GetIter(lines)) == NULL)
		return NULL;
	while ((line = PyIter_Next(it)) != NULL) {
		done = errors_write(self, line);
		Py_DECREF(line);
		if (done == NULL)
			break;
		Py_DECREF(done);
	}
	Py_DECREF(it);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
errors_flush(PyObject *self, PyObject *none)
{
	(void)none;
	errors_flush_line((struct errors *)self);
	Py_RETURN_NONE;
}

static PyMethodDef errors_methods[] = {
	{ "write", errors_write, METH_O, NULL },
	{ "writelines", errors_writelines, METH_O, NULL },
	{ "flush", errors_flush, METH_NOARGS, NULL },
	{ "writable", always_true, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static void
errors_free(PyObject *self)
{
	struct errors *e = (struct errors *)self;

	errors_flush_line(e);
	PyMem_Free(e->line);
	PyObject_Free(self);
}

static PyTypeObject errors_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "gangway.Errors",
	.tp_basicsize = sizeof(struct errors),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_doc = "The error stream of the server (wsgi.errors).",
	.tp_methods = errors_methods,
	.tp_dealloc = errors_free,
};

PyObject *
errors_new(void)
{
	struct errors *e = PyObject_New(struct errors, &errors_type);

	if (e != NULL) {
		e->rq = NULL;
		e->n = 0;
		e->line = NULL;
	}
	return (PyObject *)e;
}

void
errors_open(PyObject *self, struct app_request *rq)
{
	((struct errors *)self)->rq = rq;
}

void
errors_close(PyObject *self)
{
	struct errors *e = (struct errors *)self;

	errors_flush_line(e);
	e->rq = NULL;
}

int
input_init(void)
{
	if (PyType_Ready(&input_type) == -1 ||
	    PyType_Ready(&errors_type) == -1)
		return -1;
	return 0;
}
