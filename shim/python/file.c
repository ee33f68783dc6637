#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/python/file.h"

enum { BLOCK_SIZE = 65536 };

struct file_wrapper {
	PyObject_HEAD
	PyObject	*file;
	Py_ssize_t	 size;		/* of a block */
};

static PyObject *text_base, *buffered_base, *reader, *random_access;

static PyObject *
wrapper_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
	static char filelike[] = "filelike", blksize[] = "blksize";
	static char *names[] = { filelike, blksize, NULL };
	struct file_wrapper *w;
	Py_ssize_t size = BLOCK_SIZE;
	PyObject *file;

	if (!PyArg_ParseTupleAndKeywords(args, kw, "O|n", names, &file, &size))
		return NULL;
	if ((w = (struct file_wrapper *)type->tp_alloc(type, 0)) == NULL)
		return NULL;
	Py_INCREF(file);
	w->file = file;
	w->size = size > 0 ? size : BLOCK_SIZE;
	return (PyObject *)w;
}

static int
wrapper_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(((struct file_wrapper *)self)->file);
	return 0;
}

static int
wrapper_clear(PyObject *self)
{
	Py_CLEAR(((struct file_wrapper *)self)->file);
	return 0;
}

static void
wrapper_free(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	(void)wrapper_clear(self);
	Py_TYPE(self)->tp_free(self);
}

static PyObject *
wrapper_next(PyObject *self)
{
	struct file_wrapper *w = (struct file_wrapper *)self;
	PyObject *block;

	block = PyObject_CallMethod(w->file, "read", "n", w->size);
	if (block != NULL && PyBytes_Check(block) &&
	    PyBytes_GET_SIZE(block) == 0)
		Py_CLEAR(block);
	return block;
}

static PyObject *
wrapper_close(PyObject *self, PyObject *none)
{
	PyObject *close;

	(void)none;
	close = PyObject_GetAttrString(((struct file_wrapper *)self)->file,
	    "close");
	if (close == NULL) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			return NULL;
		PyErr_Clear();
		Py_RETURN_NONE;
	}
	Py_SETREF(close, PyObject_CallNoArgs(close));
	return close;
}

static PyMethodDef wrapper_methods[] = {
	{ "close", wrapper_close, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL }
};

static PyMemberDef wrapper_members[] = {
	{ "filelike", T_OBJECT, offsetof(struct file_wrapper, file), READONLY,
	    NULL },
	{ "blksize", T_PYSSIZET, offsetof(struct file_wrapper, size), READONLY,
	    NULL },
	{ NULL, 0, 0, 0, NULL }
};

PyTypeObject file_wrapper_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "gangway.FileWrapper",
	.tp_basicsize = sizeof(struct file_wrapper),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.tp_doc = "A file as the body of a response (wsgi.file_wrapper).",
	.tp_new = wrapper_new,
	.tp_alloc = PyType_GenericAlloc,
	.tp_free = PyObject_GC_Del,
	.tp_dealloc = wrapper_free,
	.tp_traverse = wrapper_traverse,
	.tp_clear = wrapper_clear,
	.tp_methods = wrapper_methods,
	.tp_members = wrapper_members,
	.tp_iter = PyObject_SelfIter,
	.tp_iternext = wrapper_next,
};

/*
 * Does reading the object give what is in its descriptor? Not for text, and
 * not for the buffered readers that decode (gzip and its kind have the
 * compressed file's fileno()).
 */
static bool
file_is_plain(PyObject *file)
{
	if (PyObject_IsInstance(file, text_base) == 1)
		return false;
	if (PyObject_IsInstance(file, buffered_base) == 1)
		return (PyObject *)Py_TYPE(file) == reader ||
		    (PyObject *)Py_TYPE(file) == random_access;
	return true;
}

/* The position as the application sees it: what a buffer has read ahead is
 * not read yet. -1 when there is none. */
static off_t
file_position(PyObject *file, int fd)
{
	PyObject *at;
	off_t pos;

	if ((at = PyObject_CallMethod(file, "tell", NULL)) == NULL) {
		PyErr_Clear();
		return lseek(fd, 0, SEEK_CUR);
	}
	pos = (off_t)PyLong_AsLongLong(at);
	Py_DECREF(at);
	if (PyErr_Occurred())
		PyErr_Clear();
	return pos;
}

int
file_place(PyObject *wrapper, int *fd, off_t *offset, uint64_t *length)
{
	PyObject *file = ((struct file_wrapper *)wrapper)->file, *number;
	struct stat st;
	off_t at;
	int n;

	if (file == NULL || !file_is_plain(file))
		return 0;
	number = PyObject_CallMethod(file, "fileno", NULL);
	if (number == NULL) {
		PyErr_Clear();
		return 0;
	}
	n = (int)PyLong_AsLong(number);
	Py_DECREF(number);
	if (PyErr_Occurred()) {
		PyErr_Clear();
		return 0;
	}
	/* Files of /proc say that they are empty; they have to be read. */
	if (n < 0 || fstat(n, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size == 0 || (at = file_position(file, n)) < 0)
		return 0;
	*fd = n;
	*offset = at;
	*length = at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
	return 1;
}

int
file_init(void)
{
	PyObject *io;

	file_done();
	if (PyType_Ready(&file_wrapper_type) == -1 ||
	    (io = PyImport_ImportModule("io")) == NULL)
		return -1;
	text_base = PyObject_GetAttrString(io, "TextIOBase");
	buffered_base = PyObject_GetAttrString(io, "BufferedIOBase");
	reader = PyObject_GetAttrString(io, "BufferedReader");
	random_access = PyObject_GetAttrString(io, "BufferedRandom");
	Py_DECREF(io);
	return text_base == NULL || buffered_base == NULL || reader == NULL ||
	    random_access == NULL ? -1 : 0;
}

void
file_done(void)
{
	Py_CLEAR(text_base);
	Py_CLEAR(buffered_base);
	Py_CLEAR(reader);
	Py_CLEAR(random_access);
}
