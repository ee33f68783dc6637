#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <semaphore.h>
#include <string.h>
#include <strings.h>

#include "fcgi/app.h"
#include "shim/python/file.h"
#include "shim/python/interpreter.h"
#include "shim/python/reply.h"

enum {
	FREE_ABOVE = 65536,	/* larger writes are made without the GIL */
	ROOM_MIN = 16		/* headers */
};

struct response {
	PyObject_HEAD
	struct app_request	*rq;		/* NULL: the call is over */
	PyObject		*start, *write;
	PyObject		*status;	/* NULL: not started */
	PyObject		**held;		/* names and values in turn */
	struct header		*headers;	/* pointing into them */
	size_t			 n, room;
	bool			 given;		/* the server has the head */
	bool			 gone;
	bool			 busy;		/* sending without the GIL */
	sem_t			*waiter;	/* for its end, or NULL */
	bool			 over;		/* the call has returned */
};

/* ---- what start_response() was told ---- */

static void
response_clear(struct response *r)
{
	while (r->n > 0) {
		r->n--;
		Py_DECREF(r->held[2 * r->n]);
		Py_DECREF(r->held[2 * r->n + 1]);
	}
	Py_CLEAR(r->status);
	r->given = false;
}

static int
response_room(struct response *r, size_t n)
{
	struct header *headers;
	PyObject **held;

	if (n <= r->room)
		return 0;
	n = n < ROOM_MIN ? ROOM_MIN : n;
	held = PyMem_Resize(r->held, PyObject *, 2 * n);
	if (held != NULL)
		r->held = held;
	headers = PyMem_Resize(r->headers, struct header, n);
	if (headers != NULL)
		r->headers = headers;
	if (held == NULL || headers == NULL) {
		(void)PyErr_NoMemory();
		return -1;
	}
	r->room = n;
	return 0;
}

/* The bytes of a native string (PEP 3333: code points up to 255). */
static int
latin1(PyObject *o, const char *what, struct str *s)
{
	if (!PyUnicode_Check(o)) {
		PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s",
		    what, Py_TYPE(o)->tp_name);
		return -1;
	}
	if (PyUnicode_READY(o) == -1)
		return -1;
	if (PyUnicode_KIND(o) != PyUnicode_1BYTE_KIND) {
		PyErr_Format(PyExc_ValueError, "%s has characters that are "
		    "not latin-1: %R", what, o);
		return -1;
	}
	s->p = (const char *)PyUnicode_1BYTE_DATA(o);
	s->n = (size_t)PyUnicode_GET_LENGTH(o);
	return 0;
}

static int
response_header(struct response *r, PyObject *pair)
{
	struct header *h = &r->headers[r->n];
	PyObject *name, *value;

	if ((!PyTuple_Check(pair) && !PyList_Check(pair)) ||
	    Py_SIZE(pair) != 2) {
		PyErr_Format(PyExc_TypeError, "a response header must be a "
		    "tuple (name, value), not %R", pair);
		return -1;
	}
	name = PySequence_Fast_GET_ITEM(pair, 0);
	value = PySequence_Fast_GET_ITEM(pair, 1);
	if (latin1(name, "the name of a response header", &h->name) == -1 ||
	    latin1(value, "the value of a response header", &h->value) == -1)
		return -1;
	Py_INCREF(name);
	Py_INCREF(value);
	r->held[2 * r->n] = name;
	r->held[2 * r->n + 1] = value;
	r->n++;
	return 0;
}

static int
response_set(struct response *r, PyObject *status, PyObject *headers)
{
	struct str unused;
	Py_ssize_t i;

	response_clear(r);
	if (latin1(status, "the status", &unused) == -1)
		return -1;
	if (!PyList_Check(headers) && !PyTuple_Check(headers)) {
		PyErr_Format(PyExc_TypeError, "the response headers must be "
		    "a list, not %.100s", Py_TYPE(headers)->tp_name);
		return -1;
	}
	if (response_room(r, (size_t)Py_SIZE(headers)) == -1)
		return -1;
	for (i = 0; i < Py_SIZE(headers); i++)
		if (response_header(r,
		    PySequence_Fast_GET_ITEM(headers, i)) == -1)
			return -1;
	Py_INCREF(status);
	r->status = status;
	return 0;
}

/* Raise what the third argument holds, as the application would have. */
static void
raise_info(PyObject *info)
{
	PyObject *type = PyTuple_GET_ITEM(info, 0);
	PyObject *value = PyTuple_GET_ITEM(info, 1);
	PyObject *tb = PyTuple_GET_ITEM(info, 2);

	if (!PyExceptionClass_Check(type)) {
		PyErr_SetString(PyExc_AssertionError,
		    "the head of the response has been sent");
		return;
	}
	Py_INCREF(type);
	Py_INCREF(value);
	if (tb == Py_None || !PyTraceBack_Check(tb))
		tb = NULL;
	Py_XINCREF(tb);
	PyErr_Restore(type, value, tb);
}

/* May the head be set? -1 with an exception where PEP 3333 wants one. */
static int
response_may_start(struct response *r, PyObject *info)
{
	if (r->over) {
		PyErr_SetString(PyExc_RuntimeError,
		    "start_response() after the end of the request");
		return -1;
	}
	if (info == NULL || info == Py_None) {
		if (r->status == NULL)
			return 0;
		PyErr_SetString(PyExc_AssertionError,
		    "start_response() was called twice without exc_info");
		return -1;
	}
	if (!PyTuple_Check(info) || PyTuple_GET_SIZE(info) != 3) {
		PyErr_SetString(PyExc_TypeError,
		    "exc_info must be the tuple of sys.exc_info()");
		return -1;
	}
	if (shim.server->head_sent(r->rq)) {
		raise_info(info);
		return -1;
	}
	return 0;
}

/* Arguments by name, as the reference servers allow. */
static int
start_named(PyObject *const *args, Py_ssize_t n, PyObject *names,
    PyObject **to)
{
	static const char *const known[][2] = {
		{ "status", "status" }, { "headers", "response_headers" },
		{ "exc_info", "exc_info" }
	};
	Py_ssize_t i;
	size_t j;

	for (i = 0; i < PyTuple_GET_SIZE(names); i++) {
		PyObject *name = PyTuple_GET_ITEM(names, i);

		for (j = 0; j < 3; j++)
			if (PyUnicode_CompareWithASCIIString(name,
			    known[j][0]) == 0 ||
			    PyUnicode_CompareWithASCIIString(name,
			    known[j][1]) == 0)
				break;
		if (j == 3 || to[j] != NULL) {
			PyErr_Format(PyExc_TypeError, "start_response() got an "
			    "unexpected argument %R", name);
			return -1;
		}
		to[j] = args[n + i];
	}
	return 0;
}

static PyObject *
response_start(PyObject *self, PyObject *const *args, Py_ssize_t n,
    PyObject *names)
{
	struct response *r = (struct response *)self;
	PyObject *a[3] = { NULL, NULL, NULL };
	Py_ssize_t i;

	for (i = 0; i < n && i < 3; i++)
		a[i] = args[i];
	if (names != NULL && start_named(args, n, names, a) == -1)
		return NULL;
	if (n > 3 || a[0] == NULL || a[1] == NULL) {
		PyErr_SetString(PyExc_TypeError,
		    "start_response(status, headers, exc_info=None)");
		return NULL;
	}
	if (response_may_start(r, a[2]) == -1 ||
	    response_set(r, a[0], a[1]) == -1)
		return NULL;
	Py_INCREF(r->write);
	return r->write;
}

/* ---- giving the head ---- */

/* Which header is it that the server refuses? The status, if none. */
static void
head_blame(struct response *r, const struct reply *whole, const char *why)
{
	struct reply one = { .status = whole->status, .nheaders = 1,
	    .length = -1 };
	const char *again;
	size_t i;

	for (i = 0; i < r->n; i++) {
		one.headers = &r->headers[i];
		if (shim.server->head(r->rq, &one, &again) == -1) {
			PyErr_Format(PyExc_ValueError, "%s: %R: %R", why,
			    r->held[2 * i], r->held[2 * i + 1]);
			return;
		}
	}
	PyErr_Format(PyExc_ValueError, "%s: %R", why, r->status);
}

static int
head_give(struct response *r, int64_t length)
{
	struct reply reply = { .headers = r->headers, .nheaders = r->n,
	    .length = length };
	const char *why = "the response head is not allowed";

	if (r->given)
		return 0;
	if (r->status == NULL) {
		PyErr_SetString(PyExc_AssertionError,
		    "the application has not called start_response()");
		return -1;
	}
	if (latin1(r->status, "the status", &reply.status) == -1)
		return -1;
	if (shim.server->head(r->rq, &reply, &why) == -1) {
		head_blame(r, &reply, why);
		return -1;
	}
	r->given = true;
	return 0;
}

/* ---- sending ---- */

/* With the GIL, so that who waits is still there when it has been told. */
static void
busy_over(struct response *r)
{
	r->busy = false;
	if (r->waiter != NULL)
		(void)sem_post(r->waiter);
}

static enum send_result
body_send(struct response *r, const char *p, size_t n, bool last)
{
	unsigned int flags = last ? BODY_LAST : 0;
	enum send_result res;

	if (n <= FREE_ABOVE)
		res = shim.server->body(r->rq, p, n, flags);
	else {
		r->busy = true;
		Py_BEGIN_ALLOW_THREADS
		res = shim.server->body(r->rq, p, n, flags);
		Py_END_ALLOW_THREADS
		busy_over(r);
	}
	/* After the last byte the server has no need of us to wait. */
	if (res == SEND_FULL && !last) {
		r->busy = true;
		Py_BEGIN_ALLOW_THREADS
		res = shim.server->drain(r->rq);
		Py_END_ALLOW_THREADS
		busy_over(r);
	}
	return res;
}

int
reply_send(PyObject *self, PyObject *chunk, int64_t length, bool last)
{
	struct response *r = (struct response *)self;

	if (!PyBytes_Check(chunk)) {
		PyErr_Format(PyExc_TypeError, "a chunk of the body must be "
		    "bytes, not %.100s", Py_TYPE(chunk)->tp_name);
		return -1;
	}
	if (PyBytes_GET_SIZE(chunk) == 0)
		return 0;
	if (r->gone)
		return -1;
	if (r->busy) {
		PyErr_SetString(PyExc_RuntimeError,
		    "another thread is writing to this response");
		return -1;
	}
	if (head_give(r, length) == -1)
		return -1;
	Py_INCREF(chunk);	/* its list may change without the GIL */
	if (body_send(r, PyBytes_AS_STRING(chunk),
	    (size_t)PyBytes_GET_SIZE(chunk), last) == SEND_GONE)
		r->gone = true;
	Py_DECREF(chunk);
	return r->gone ? -1 : 0;
}

static PyObject *
response_write(PyObject *self, PyObject *chunk)
{
	struct response *r = (struct response *)self;

	if (r->over) {
		PyErr_SetString(PyExc_RuntimeError,
		    "write() after the end of the request");
		return NULL;
	}
	if (reply_send(self, chunk, -1, false) == -1) {
		/* So that an application which only writes stops, too. */
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_BrokenPipeError,
			    "the client has gone");
		return NULL;
	}
	Py_RETURN_NONE;
}

/* The application's Content-Length, or -1. */
static int64_t
response_length(const struct response *r)
{
	static const char name[] = "content-length";
	int64_t length = 0;
	size_t i, j;

	for (i = 0; i < r->n; i++)
		if (r->headers[i].name.n == sizeof(name) - 1 &&
		    strncasecmp(r->headers[i].name.p, name,
		    sizeof(name) - 1) == 0)
			break;
	if (i == r->n)
		return -1;
	for (j = 0; j < r->headers[i].value.n; j++) {
		unsigned char c = (unsigned char)r->headers[i].value.p[j];

		if (c < '0' || c > '9' || length > INT64_MAX / 10 - 1)
			return -1;
		length = length * 10 + (c - '0');
	}
	return length;
}

int
reply_file(PyObject *self, PyObject *wrapper)
{
	struct response *r = (struct response *)self;
	int64_t limit;
	uint64_t length;
	off_t offset;
	int fd;

	if (r->status == NULL || r->given || r->gone ||
	    !file_place(wrapper, &fd, &offset, &length))
		return 0;
	limit = response_length(r);
	if (limit >= 0 && (uint64_t)limit < length)
		length = (uint64_t)limit;
	if (head_give(r, limit >= 0 ? limit : (int64_t)length) == -1)
		return -1;
	if (length > 0 && shim.server->file(r->rq, fd, offset, length) ==
	    SEND_GONE) {
		r->gone = true;
		return -1;
	}
	return 1;
}

int
reply_end(PyObject *self)
{
	return head_give((struct response *)self, 0);
}

PyObject *
reply_answer(PyObject *self)
{
	struct response *r = (struct response *)self;
	PyObject *headers, *pair;
	size_t i;

	if ((headers = PyList_New((Py_ssize_t)r->n)) == NULL)
		return NULL;
	for (i = 0; i < r->n; i++) {
		pair = PyTuple_Pack(2, r->held[2 * i], r->held[2 * i + 1]);
		if (pair == NULL) {
			Py_DECREF(headers);
			return NULL;
		}
		PyList_SET_ITEM(headers, (Py_ssize_t)i, pair);
	}
	if (r->status == NULL)	/* what was sent is the server's own page */
		return Py_BuildValue("(ONiOO)", Py_None, headers, 0, Py_False,
		    Py_False);
	return Py_BuildValue("(ONKNN)", r->status, headers,
	    (unsigned long long)shim.server->sent(r->rq),
	    PyBool_FromLong(shim.server->head_sent(r->rq)),
	    PyBool_FromLong(response_length(r) < 0));
}

bool
reply_gone(PyObject *self)
{
	return ((struct response *)self)->gone;
}

/* ---- the object ---- */

#define FAST(f) (PyCFunction)(void (*)(void))(f)
static PyMethodDef start_def = {
	"start_response", FAST(response_start), METH_FASTCALL | METH_KEYWORDS,
	"start_response(status, headers, exc_info=None) -> write"
};
static PyMethodDef write_def = {
	"write", response_write, METH_O, "write(bytes)"
};

static void
response_free(PyObject *self)
{
	struct response *r = (struct response *)self;

	response_clear(r);
	PyMem_Free(r->held);
	PyMem_Free(r->headers);
	Py_XDECREF(r->start);
	Py_XDECREF(r->write);
	PyObject_Free(self);
}

static PyTypeObject response_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "gangway.Response",
	.tp_basicsize = sizeof(struct response),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_dealloc = response_free,
};

int
reply_init(void)
{
	return PyType_Ready(&response_type);
}

PyObject *
reply_new(void)
{
	struct response *r = PyObject_New(struct response, &response_type);

	if (r == NULL)
		return NULL;
	memset((char *)r + sizeof(r->ob_base), 0,
	    sizeof(*r) - sizeof(r->ob_base));
	r->start = PyCFunction_New(&start_def, (PyObject *)r);
	r->write = PyCFunction_New(&write_def, (PyObject *)r);
	if (r->start == NULL || r->write == NULL) {
		reply_drop((PyObject *)r);
		return NULL;
	}
	return (PyObject *)r;
}

void
reply_open(PyObject *self, struct app_request *rq)
{
	struct response *r = (struct response *)self;

	r->rq = rq;
	r->gone = false;
	r->over = false;
}

void
reply_over(PyObject *self)
{
	struct response *r = (struct response *)self;
	sem_t idle;

	/* A thread of the application may be in write(), without the GIL. */
	while (r->busy) {
		(void)sem_init(&idle, 0, 0);
		r->waiter = &idle;
		Py_BEGIN_ALLOW_THREADS
		while (sem_wait(&idle) == -1)
			continue;
		Py_END_ALLOW_THREADS
		r->waiter = NULL;
		(void)sem_destroy(&idle);
	}
	r->over = true;
}

bool
reply_close(PyObject *self)
{
	struct response *r = (struct response *)self;

	reply_over(self);
	r->rq = NULL;
	response_clear(r);
	return Py_REFCNT(r) == 3 && Py_REFCNT(r->start) == 1 &&
	    Py_REFCNT(r->write) == 1;
}

/* The callables hold the reply and it holds them: open the circle. */
void
reply_drop(PyObject *self)
{
	struct response *r = (struct response *)self;

	Py_CLEAR(r->start);
	Py_CLEAR(r->write);
	Py_DECREF(self);
}

PyObject *
reply_start(PyObject *self)
{
	return ((struct response *)self)->start;
}
