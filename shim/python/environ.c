#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "fcgi/app.h"
#include "shim/python/environ.h"
#include "shim/python/file.h"
#include "shim/python/interpreter.h"

enum {
	HEADERS_SEEN = 256,	/* places, a power of two */
	VALUE_KEPT = 256,	/* the longest value that is kept for reuse */
	BASE_SIZE = 24		/* entries that make room for 40 */
};

/* A key, and the last value that came with it: clients repeat themselves. */
struct known {
	PyObject	*key, *last;
	bool		 basic;		/* `last` is what the base has */
};

static struct known fixed[VAR_COUNT];
static struct known seen[HEADERS_SEEN];
static PyObject *base, *common;
static unsigned int changes;		/* of the base */
static PyObject *key_input, *key_errors, *key_scheme, *https;

static const char *const fixed_names[VAR_COUNT] = {
	[VAR_REQUEST_METHOD] = "REQUEST_METHOD",
	[VAR_SCRIPT_NAME] = "SCRIPT_NAME",
	[VAR_PATH_INFO] = "PATH_INFO",
	[VAR_QUERY_STRING] = "QUERY_STRING",
	[VAR_REQUEST_URI] = "REQUEST_URI",
	[VAR_RAW_URI] = "RAW_URI",
	[VAR_SERVER_PROTOCOL] = "SERVER_PROTOCOL",
	[VAR_SERVER_NAME] = "SERVER_NAME",
	[VAR_SERVER_PORT] = "SERVER_PORT",
	[VAR_REMOTE_ADDR] = "REMOTE_ADDR",
	[VAR_REMOTE_PORT] = "REMOTE_PORT",
	[VAR_CONTENT_TYPE] = "CONTENT_TYPE",
	[VAR_CONTENT_LENGTH] = "CONTENT_LENGTH",
};

/* In every request: there from the start, so that no copy has to grow. But
 * for the path they rarely change, and the base has their last value. */
static const enum var_id always[] = {
	VAR_PATH_INFO, VAR_REQUEST_METHOD, VAR_SCRIPT_NAME, VAR_QUERY_STRING,
	VAR_SERVER_PROTOCOL, VAR_SERVER_NAME, VAR_SERVER_PORT
};

/*
 * Keys that applications name in their source, as the interned strings
 * that this source has become. Other names are not interned: some versions
 * of Python keep interned strings for ever, and clients choose the names.
 */
static const char *const common_names[] = {
	"HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_ACCEPT_CHARSET",
	"HTTP_ACCEPT_ENCODING", "HTTP_ACCEPT_LANGUAGE", "HTTP_AUTHORIZATION",
	"HTTP_CACHE_CONTROL", "HTTP_CONNECTION", "HTTP_COOKIE", "HTTP_DNT",
	"HTTP_EXPECT", "HTTP_FORWARDED", "HTTP_IF_MATCH",
	"HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE",
	"HTTP_IF_UNMODIFIED_SINCE", "HTTP_KEEP_ALIVE", "HTTP_ORIGIN",
	"HTTP_PRAGMA", "HTTP_RANGE", "HTTP_REFERER", "HTTP_SEC_FETCH_DEST",
	"HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_USER",
	"HTTP_TE", "HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE",
	"HTTP_UPGRADE_INSECURE_REQUESTS", "HTTP_VIA", "HTTP_X_CSRFTOKEN",
	"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST",
	"HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PREFIX",
	"HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PROTOCOL",
	"HTTP_X_FORWARDED_SSL", "HTTP_X_REAL_IP", "HTTP_X_REQUEST_ID",
	"HTTP_X_REQUESTED_WITH", "HTTPS", "DOCUMENT_ROOT", "REMOTE_USER",
	"AUTH_TYPE", "GATEWAY_INTERFACE", "SERVER_ADDR", "REQUEST_SCHEME",
	"PATH_TRANSLATED", "SCRIPT_FILENAME", "DOCUMENT_URI",
};

/* ---- looking up ---- */

static bool
same(PyObject *o, struct str s)
{
	return (size_t)PyUnicode_GET_LENGTH(o) == s.n &&
	    (s.n == 0 || memcmp(PyUnicode_1BYTE_DATA(o), s.p, s.n) == 0);
}

/* The ends tell names apart; two that meet replace each other, no more. */
static unsigned int
place_of(struct str name)
{
	uint64_t a = 0, b = 0;
	size_t i;

	if (name.n >= 13) {
		memcpy(&a, name.p + 5, sizeof(a));
		memcpy(&b, name.p + name.n - sizeof(b), sizeof(b));
	} else
		for (i = 0; i < name.n; i++)
			a = a * 31 + (unsigned char)name.p[i];
	a = (a ^ name.n) * 0x9e3779b97f4a7c15u;
	b = (b ^ a >> 32) * 0xc2b2ae3d27d4eb4fu;
	return (unsigned int)((a ^ b) >> 56) & (HEADERS_SEEN - 1);
}

static PyObject *
key_new(struct str name)
{
	PyObject *key, *interned;

	key = PyUnicode_DecodeLatin1(name.p, (Py_ssize_t)name.n, NULL);
	if (key == NULL)
		return NULL;
	interned = PyDict_GetItemWithError(common, key);	/* borrowed */
	if (interned != NULL) {
		Py_INCREF(interned);
		Py_DECREF(key);
		return interned;
	}
	return key;
}

static struct known *
known_find(const struct var *v)
{
	struct known *k;
	PyObject *key;

	if (v->id != VAR_OTHER && v->id < VAR_COUNT)
		return &fixed[v->id];
	k = &seen[place_of(v->name)];
	if (k->key != NULL && same(k->key, v->name))
		return k;
	if ((key = key_new(v->name)) == NULL)
		return NULL;
	Py_XSETREF(k->key, key);
	Py_CLEAR(k->last);
	return k;
}

static int
environ_set(PyObject *env, const struct var *v)
{
	struct known *k;
	PyObject *value;
	int rv;

	if ((k = known_find(v)) == NULL)
		return -1;
	if (k->last != NULL && same(k->last, v->value))
		return k->basic ? 0 : PyDict_SetItem(env, k->key, k->last);
	value = PyUnicode_DecodeLatin1(v->value.p, (Py_ssize_t)v->value.n,
	    NULL);
	if (value == NULL)
		return -1;
	rv = PyDict_SetItem(env, k->key, value);
	if (rv == 0 && k->basic && v->value.n <= VALUE_KEPT) {
		changes++;
		rv = PyDict_SetItem(base, k->key, value);
	}
	if (rv == 0 && v->value.n <= VALUE_KEPT)
		Py_XSETREF(k->last, value);
	else
		Py_DECREF(value);
	return rv;
}

/* A dictionary is made ready for the garbage collector, which may let other
 * callers run: then the copy is of a base that is no more. */
static PyObject *
base_copy(void)
{
	PyObject *env = NULL;
	unsigned int then;

	do {
		then = changes;
		Py_XSETREF(env, PyDict_Copy(base));
	} while (env != NULL && then != changes);
	return env;
}

PyObject *
environ_new(const struct app_request *rq, PyObject *input, PyObject *errors)
{
	PyObject *env;
	size_t i;

	if ((env = base_copy()) == NULL)
		return NULL;
	for (i = 0; i < rq->nvars; i++)
		if (environ_set(env, &rq->vars[i]) == -1)
			goto fail;
	if (PyDict_SetItem(env, key_input, input) == -1 ||
	    PyDict_SetItem(env, key_errors, errors) == -1 ||
	    (rq->https && PyDict_SetItem(env, key_scheme, https) == -1))
		goto fail;
	return env;
fail:
	Py_DECREF(env);
	return NULL;
}

/* ---- making ready ---- */

static PyObject *
base_constants(void)
{
	const struct app_config *c = shim.config;

	return Py_BuildValue("{s(ii)sssOsOsOsOsOss}",
	    "wsgi.version", 1, 0,
	    "wsgi.url_scheme", "http",
	    "wsgi.multithread", c->threads > 1 ? Py_True : Py_False,
	    "wsgi.multiprocess", c->multiprocess ? Py_True : Py_False,
	    "wsgi.run_once", Py_False,
	    "wsgi.input_terminated", Py_True,
	    "wsgi.file_wrapper", (PyObject *)&file_wrapper_type,
	    "SERVER_SOFTWARE",
	    c->server_software != NULL ? c->server_software : "gangway");
}

/* ((name, value, source, standing), ...): nobody can change it for another
 * request. */
static PyObject *
settings_tuple(void)
{
	const struct app_config *c = shim.config;
	const struct app_setting *s;
	PyObject *all, *one;
	size_t i;

	if ((all = PyTuple_New((Py_ssize_t)c->nsettings)) == NULL)
		return NULL;
	for (i = 0; i < c->nsettings; i++) {
		s = &c->settings[i];
		one = Py_BuildValue("(NNNN)",
		    PyUnicode_DecodeFSDefault(s->name),
		    PyUnicode_DecodeFSDefault(s->value != NULL ?
		    s->value : ""),
		    PyUnicode_DecodeFSDefault(s->source),
		    PyUnicode_DecodeFSDefault(s->standing != NULL ?
		    s->standing : ""));
		if (one == NULL) {
			Py_DECREF(all);
			return NULL;
		}
		PyTuple_SET_ITEM(all, (Py_ssize_t)i, one);
	}
	return all;
}

/* What only gangway tells. */
static int
base_own(PyObject *d)
{
	const char *host = shim.config->host;
	PyObject *value;
	int rv;

	if ((value = settings_tuple()) == NULL)
		return -1;
	rv = PyDict_SetItemString(d, "gangway.settings", value);
	Py_DECREF(value);
	if (rv == -1 || host == NULL)
		return rv;
	if ((value = PyUnicode_FromString(host)) == NULL)
		return -1;
	rv = PyDict_SetItemString(d, "gangway.host", value);
	Py_DECREF(value);
	return rv;
}

/* A dictionary that once was larger is copied as large as it was. */
static int
base_widen(PyObject *d)
{
	char spare[] = "a";
	int rv = 0;

	for (; rv == 0 && PyDict_GET_SIZE(d) < BASE_SIZE; spare[0]++)
		rv = PyDict_SetItemString(d, spare, Py_None);
	while (rv == 0 && spare[0]-- > 'a')
		rv = PyDict_DelItemString(d, spare);
	return rv;
}

static PyObject *
base_new(void)
{
	PyObject *d, *empty = NULL;
	size_t i;

	if ((d = base_constants()) == NULL ||
	    (empty = PyUnicode_FromString("")) == NULL)
		goto fail;
	for (i = 0; i < sizeof(always) / sizeof(*always); i++) {
		if (PyDict_SetItem(d, fixed[always[i]].key, empty) == -1)
			goto fail;
		fixed[always[i]].basic = always[i] != VAR_PATH_INFO;
	}
	if (PyDict_SetItem(d, key_input, Py_None) == -1 ||
	    PyDict_SetItem(d, key_errors, Py_None) == -1 ||
	    base_own(d) == -1 || base_widen(d) == -1)
		goto fail;
	Py_DECREF(empty);
	return d;
fail:
	Py_XDECREF(empty);
	Py_XDECREF(d);
	return NULL;
}

static PyObject *
common_new(void)
{
	PyObject *d, *s;
	size_t i;
	int rv = 0;

	if ((d = PyDict_New()) == NULL)
		return NULL;
	for (i = 0; i < sizeof(common_names) / sizeof(*common_names); i++) {
		if ((s = PyUnicode_InternFromString(common_names[i])) == NULL ||
		    (rv = PyDict_SetItem(d, s, s)) == -1) {
			Py_XDECREF(s);
			Py_DECREF(d);
			return NULL;
		}
		Py_DECREF(s);
	}
	return d;
}

int
environ_init(void)
{
	size_t i;

	environ_done();
	for (i = 0; i < VAR_COUNT; i++)
		if (fixed_names[i] != NULL && (fixed[i].key =
		    PyUnicode_InternFromString(fixed_names[i])) == NULL)
			return -1;
	if ((key_input = PyUnicode_InternFromString("wsgi.input")) == NULL ||
	    (key_errors = PyUnicode_InternFromString("wsgi.errors")) == NULL ||
	    (key_scheme = PyUnicode_InternFromString("wsgi.url_scheme")) ==
	    NULL ||
	    (https = PyUnicode_InternFromString("https")) == NULL ||
	    (common = common_new()) == NULL ||
	    (base = base_new()) == NULL)
		return -1;
	return 0;
}

void
environ_done(void)
{
	size_t i;

	for (i = 0; i < VAR_COUNT; i++) {
		Py_CLEAR(fixed[i].key);
		Py_CLEAR(fixed[i].last);
		fixed[i].basic = false;
	}
	for (i = 0; i < HEADERS_SEEN; i++) {
		Py_CLEAR(seen[i].key);
		Py_CLEAR(seen[i].last);
	}
	Py_CLEAR(base);
	Py_CLEAR(common);
	Py_CLEAR(key_input);
	Py_CLEAR(key_errors);
	Py_CLEAR(key_scheme);
	Py_CLEAR(https);
}
