/*
 * limitpy MODULE:CALLABLE PORT: the least that a server of Python
 * applications can cost. limit's loop, a head parsed as little as will do,
 * an environ from a base copy, one WSGI call in this process. It trusts its
 * client and its application: for measuring only.
 */
#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <sys/epoll.h>
#include <sys/socket.h>

#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum { IN_MAX = 65536, OUT_MAX = 262144, EVENTS = 256, NAMES = 64 };

struct conn {
	int	 fd;
	size_t	 have;
	char	 in[IN_MAX];
};

enum { METHOD, PATH, QUERY, URI, PROTOCOL, ADDR, REMOTE, KEYS };

static const char *const key_names[KEYS] = { "REQUEST_METHOD", "PATH_INFO",
	"QUERY_STRING", "RAW_URI", "SERVER_PROTOCOL", "REMOTE_ADDR",
	"REMOTE_PORT" };

static struct {
	char		 text[64];	/* HTTP_... */
	size_t		 n;
	PyObject	*key;
} names[NAMES];

static PyObject	*keys[KEYS], *base, *app, *start, *status, *headers;
static char	 out[OUT_MAX];
static size_t	 nout;
static int	 epfd;

static PyObject *
start_response(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	(void)self;
	if (n < 2)
		return NULL;
	Py_INCREF(args[0]);
	Py_XSETREF(status, args[0]);
	Py_INCREF(args[1]);
	Py_XSETREF(headers, args[1]);
	Py_RETURN_NONE;
}

static PyMethodDef start_def = { "start_response",
	(PyCFunction)(void (*)(void))start_response, METH_FASTCALL, NULL };

static void
put(const char *p, size_t n)
{
	if (nout + n > sizeof(out))
		errx(1, "the answer is too large");
	memcpy(out + nout, p, n);
	nout += n;
}

static void
put_text(PyObject *s)
{
	Py_ssize_t n;
	const char *p = PyUnicode_AsUTF8AndSize(s, &n);

	put(p, (size_t)n);
}

static void
env_set(PyObject *env, PyObject *key, const char *p, size_t n)
{
	PyObject *v = PyUnicode_DecodeLatin1(p, (Py_ssize_t)n, NULL);

	PyDict_SetItem(env, key, v);
	Py_DECREF(v);
}

static PyObject *
header_key(const char *p, size_t n)
{
	char text[64] = "HTTP_";
	size_t i;

	for (i = 0; i < n && i < sizeof(text) - 5; i++)
		text[5 + i] = p[i] == '-' ? '_' : p[i] >= 'a' && p[i] <= 'z' ?
		    (char)(p[i] - 32) : p[i];
	n = 5 + i;
	for (i = 0; i < NAMES - 1 && names[i].key != NULL; i++)
		if (names[i].n == n && memcmp(names[i].text, text, n) == 0)
			return names[i].key;
	memcpy(names[i].text, text, names[i].n = n);
	return names[i].key = PyUnicode_FromStringAndSize(text,
	    (Py_ssize_t)n);
}

static PyObject *
env_new(const char *p, const char *end)
{
	const char *space = memchr(p, ' ', (size_t)(end - p)), *target, *q;
	PyObject *env = PyDict_Copy(base);
	size_t n;

	env_set(env, keys[METHOD], p, (size_t)(space - p));
	target = space + 1;
	space = memchr(target, ' ', (size_t)(end - target));
	n = (size_t)(space - target);
	env_set(env, keys[URI], target, n);
	if ((q = memchr(target, '?', n)) == NULL)
		q = space;
	env_set(env, keys[PATH], target, (size_t)(q - target));
	env_set(env, keys[QUERY], q < space ? q + 1 : q,
	    q < space ? (size_t)(space - q) - 1 : 0);
	env_set(env, keys[PROTOCOL], space + 1, 8);
	env_set(env, keys[ADDR], "127.0.0.1", 9);
	env_set(env, keys[REMOTE], "54321", 5);
	for (p = space + 11; p < end; p = q + 2) {
		if ((q = memchr(p, '\r', (size_t)(end + 2 - p))) == NULL ||
		    (space = memchr(p, ':', (size_t)(q - p))) == NULL)
			break;
		env_set(env, header_key(p, (size_t)(space - p)), space + 2,
		    (size_t)(q - space) - 2);
	}
	return env;
}

/* The answer to the head in p..end, into out. */
static void
answer(const char *p, const char *end)
{
	PyObject *env = env_new(p, end), *args[2] = { env, start }, *r, *o;
	Py_ssize_t i, n;
	char *chunk;

	r = PyObject_Vectorcall(app, args, 2, NULL);
	Py_DECREF(env);
	if (r == NULL || !PyList_Check(r) || status == NULL) {
		PyErr_Print();
		errx(1, "the application failed, or answered no list");
	}
	put("HTTP/1.1 ", 9);
	put_text(status);
	for (i = 0; i < PyList_GET_SIZE(headers); i++) {
		o = PyList_GET_ITEM(headers, i);
		put("\r\n", 2);
		put_text(PyTuple_GET_ITEM(o, 0));
		put(": ", 2);
		put_text(PyTuple_GET_ITEM(o, 1));
	}
	put("\r\nServer: limitpy\r\n"
	    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n", 58);
	for (i = 0; i < PyList_GET_SIZE(r); i++) {
		if (PyBytes_AsStringAndSize(PyList_GET_ITEM(r, i), &chunk,
		    &n) == -1)
			errx(1, "a chunk is not bytes");
		put(chunk, (size_t)n);
	}
	Py_DECREF(r);
}

/* 0, or -1 when the connection is to be closed. */
static int
conn_read(struct conn *c)
{
	const char *p = c->in, *end;
	ssize_t n;

	n = read(c->fd, c->in + c->have, IN_MAX - c->have);
	if (n <= 0)
		return -1;
	c->have += (size_t)n;
	nout = 0;
	while ((end = memmem(p, c->have, "\r\n\r\n", 4)) != NULL) {
		answer(p, end);
		c->have -= (size_t)(end + 4 - p);
		p = end + 4;
	}
	memmove(c->in, p, c->have);
	if (nout > 0 && write(c->fd, out, nout) != (ssize_t)nout)
		return -1;
	return 0;
}

static int
listen_on(const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd, one = 1;

	sin.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 4096) == -1)
		err(1, "port %s", port);
	return fd;
}

static void
conn_accept(int listener)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, 0)) != -1) {
		if ((c = malloc(sizeof(*c))) == NULL)
			err(1, NULL);
		c->fd = fd;
		c->have = 0;
		ev.data.ptr = c;
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void
load(char *spec)
{
	char *colon = strchr(spec, ':');
	PyObject *module;
	size_t i;

	if (colon == NULL)
		errx(2, "usage: limitpy module:callable port");
	*colon = '\0';
	Py_Initialize();
	PyRun_SimpleString("import sys; sys.path.insert(0, '')");
	if ((module = PyImport_ImportModule(spec)) == NULL ||
	    (app = PyObject_GetAttrString(module, colon + 1)) == NULL ||
	    (start = PyCFunction_New(&start_def, NULL)) == NULL) {
		PyErr_Print();
		errx(1, "cannot load %s", spec);
	}
	for (i = 0; i < KEYS; i++)
		keys[i] = PyUnicode_InternFromString(key_names[i]);
	base = Py_BuildValue("{s(ii)sssOsOsOsOsOssssss}",
	    "wsgi.version", 1, 0, "wsgi.url_scheme", "http",
	    "wsgi.input", Py_None, "wsgi.errors", PySys_GetObject("stderr"),
	    "wsgi.multithread", Py_False, "wsgi.multiprocess", Py_False,
	    "wsgi.run_once", Py_False, "SERVER_NAME", "localhost",
	    "SERVER_PORT", "80", "SCRIPT_NAME", "");
	if (base == NULL)
		errx(1, "out of memory");
}

int
main(int argc, char *argv[])
{
	struct epoll_event ev = { .events = EPOLLIN }, evs[EVENTS];
	struct conn *c;
	int i, listener, n;

	if (argc != 3)
		errx(2, "usage: limitpy module:callable port");
	load(argv[1]);
	listener = listen_on(argv[2]);
	if ((epfd = epoll_create1(0)) == -1 ||
	    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev) == -1)
		err(1, "epoll");
	for (;;) {
		n = epoll_wait(epfd, evs, EVENTS, -1);
		for (i = 0; i < n; i++)
			if ((c = evs[i].data.ptr) == NULL)
				conn_accept(listener);
			else if (conn_read(c) == -1) {
				close(c->fd);
				free(c);
			}
	}
}
