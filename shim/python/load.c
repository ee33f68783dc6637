#include "config.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fcgi/app.h"
#include "shim/python/error.h"
#include "shim/python/interpreter.h"
#include "shim/python/load.h"

/*
 * What is plainer in Python. Modules are imported only where they are used:
 * each worker has the memory of all that is. Refused() is an error that one
 * line says all about; other exceptions are shown whole.
 */
static const char source[] =
    "import sys\n"
    "class Refused(Exception): pass\n"
    "def module_file(path):\n"
    "    import importlib.machinery, importlib.util, os\n"
    "    path = os.path.abspath(path)\n"
    "    stem = os.path.splitext(os.path.basename(path))[0]\n"
    "    name = ''.join(c if c.isalnum() else '_' for c in stem) or 'app'\n"
    "    if name in sys.modules or not name.isidentifier():\n"
    "        name = 'app_' + name\n"
    "    folder = os.path.dirname(path)\n"
    "    if folder not in sys.path:\n"
    "        sys.path.insert(0, folder)\n"
    "    loader = importlib.machinery.SourceFileLoader(name, path)\n"
    "    spec = importlib.util.spec_from_loader(name, loader)\n"
    "    module = importlib.util.module_from_spec(spec)\n"
    "    code = compile(loader.get_data(path), path, 'exec', 0, True)\n"
    "    sys.modules[name] = module\n"
    "    try:\n"
    "        exec(code, module.__dict__)\n"
    "    except BaseException:\n"
    "        sys.modules.pop(name, None)\n"
    "        raise\n"
    "    return module\n"
    "def module_named(name):\n"
    "    __import__(name)\n"
    "    return sys.modules[name]\n"
    "def literal(node):\n"
    "    import ast\n"
    "    try:\n"
    "        return ast.literal_eval(node)\n"
    "    except (ValueError, TypeError, SyntaxError):\n"
    "        raise Refused('the arguments of a factory must be '\n"
    "                      'literals') from None\n"
    "def attribute(where, name):\n"
    "    try:\n"
    "        return getattr(where, name)\n"
    "    except AttributeError:\n"
    "        raise Refused('%s has no attribute %r' % (\n"
    "            'module %r' % where.__name__\n"
    "            if isinstance(where, type(sys)) else repr(where),\n"
    "            name)) from None\n"
    "def walk(where, node, text):\n"
    "    import ast\n"
    "    if isinstance(node, ast.Attribute):\n"
    "        return attribute(walk(where, node.value, text), node.attr)\n"
    "    if isinstance(node, ast.Name):\n"
    "        return attribute(where, node.id)\n"
    "    raise Refused('%r is neither a name nor a call of one' % text)\n"
    "def is_async(f):\n"
    "    while not hasattr(f, '__code__') and hasattr(f, 'func'):\n"
    "        f = f.func\n"		/* functools.partial */
    "    code = getattr(f, '__code__', None)\n"
    "    return bool(getattr(code, 'co_flags', 0) & 0x80)\n"
    "def named(module, text):\n"
    "    for name in text.split('.'):\n"
    "        module = attribute(module, name)\n"
    "    return module\n"
    "def expression(module, text):\n"
    "    import ast\n"
    "    try:\n"
    "        node = ast.parse(text.strip(), mode='eval').body\n"
    "    except (SyntaxError, ValueError):\n"
    "        raise Refused('%r is neither a name nor a call of one'\n"
    "                      % text) from None\n"
    "    if isinstance(node, ast.Call):\n"
    "        if any(k.arg is None for k in node.keywords):\n"
    "            raise Refused('the arguments of a factory must be literals')\n"
    "        args = [literal(a) for a in node.args]\n"
    "        kw = {k.arg: literal(k.value) for k in node.keywords}\n"
    "        app = walk(module, node.func, text)\n"
    "        if not callable(app):\n"
    "            raise Refused('%r cannot be called' % text)\n"
    "        app = app(*args, **kw)\n"
    "        if app is None:\n"
    "            raise Refused('%r gave None, not an application' % text)\n"
    "        return app\n"
    "    return walk(module, node, text)\n"
    "def resolve(module, text):\n"
    "    simple = all(n.isidentifier() for n in text.split('.'))\n"
    "    app = (named if simple else expression)(module, text)\n"
    "    if not callable(app):\n"
    "        raise Refused('%r is not an application: it cannot be called'\n"
    "                      % text)\n"
    "    if is_async(app) or not isinstance(app, type) and is_async(\n"
    "            getattr(type(app), '__call__', None)):\n"
    "        raise Refused('%r is an ASGI application; this version runs '\n"
    "                      'WSGI only' % text)\n"
    "    return app\n";

static bool
is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Is it meant as a file? A bare word is a module's name even when a file
 * of that name is there. */
static bool
names_file(const char *path)
{
	return strpbrk(path, "/.") != NULL && is_file(path);
}

/*
 * Take the expression off `spec`, which is cut: "wsgi:app" leaves "wsgi".
 * A colon may stand in a file's name, and in the arguments of a factory.
 */
static const char *
expression_split(char *spec)
{
	char *colon;

	if (names_file(spec))
		return "application";
	for (colon = spec; (colon = strchr(colon, ':')) != NULL; colon++) {
		*colon = '\0';
		if (names_file(spec))
			break;
		*colon = ':';
	}
	if (colon == NULL && (colon = strchr(spec, ':')) == NULL)
		return "application";
	*colon = '\0';
	return colon[1] != '\0' ? colon + 1 : "application";
}

/* "shop/wsgi.py" where no such file is: what was meant is shop.wsgi. */
static void
module_hint(const char *name, const char *expr)
{
	size_t n = strlen(name);
	char *dotted, *p;

	if (n > 3 && strcmp(name + n - 3, ".py") == 0)
		n -= 3;
	else if (strchr(name, '/') == NULL)
		return;
	if ((dotted = strndup(name, n)) == NULL)
		return;
	for (p = dotted; (p = strchr(p, '/')) != NULL; )
		*p = '.';
	shim.server->log(APP_ERROR, "There is no file %s; did you mean the "
	    "module \"%s:%s\"?", name, dotted, expr);
	free(dotted);
}

static PyObject *
call_helper(PyObject *ns, const char *name, const char *format, void *a,
    const char *b)
{
	PyObject *f = PyDict_GetItemString(ns, name);	/* borrowed */

	if (f == NULL) {
		PyErr_SetString(PyExc_RuntimeError, name);
		return NULL;
	}
	return PyObject_CallFunction(f, format, a, b);
}

static void
refused(PyObject *ns, const char *spec)
{
	PyObject *kind = PyDict_GetItemString(ns, "Refused");
	PyObject *type, *value, *tb, *text;

	if (kind == NULL || !PyErr_ExceptionMatches(kind)) {
		error_log("The application %s cannot be made", spec);
		return;
	}
	PyErr_Fetch(&type, &value, &tb);
	text = value != NULL ? PyObject_Str(value) : NULL;
	shim.server->log(APP_ERROR, "The application %s cannot be used: %s",
	    spec, text != NULL && PyUnicode_AsUTF8(text) != NULL ?
	    PyUnicode_AsUTF8(text) : "?");
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	PyErr_Clear();
}

static PyObject *
module_load(PyObject *ns, char *name)
{
	PyObject *path, *module;

	if (!names_file(name))
		return call_helper(ns, "module_named", "s", name, NULL);
	if ((path = PyUnicode_DecodeFSDefault(name)) == NULL)
		return NULL;
	module = call_helper(ns, "module_file", "O", path, NULL);
	Py_DECREF(path);
	return module;
}

int
load_application(const char *spec, PyObject **app)
{
	PyObject *ns = NULL, *module = NULL;
	const char *expr;
	char *name;
	int status = APP_BOOT;

	if ((name = strdup(spec)) == NULL ||
	    (ns = interpreter_source("<gangway load>", source)) == NULL) {
		error_log("The application %s cannot be loaded", spec);
		goto done;
	}
	expr = expression_split(name);
	if ((module = module_load(ns, name)) == NULL) {
		error_log("The application %s cannot be imported", spec);
		if (!names_file(name))
			module_hint(name, expr);
		goto done;
	}
	*app = call_helper(ns, "resolve", "Os", module, expr);
	if (*app == NULL) {
		refused(ns, spec);
		status = APP_LOAD;
		goto done;
	}
	status = APP_OK;
done:
	Py_XDECREF(module);
	Py_XDECREF(ns);
	free(name);
	return status;
}
