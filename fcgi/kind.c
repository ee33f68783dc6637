#include "config.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "fcgi/app.h"
#include "fcgi/kind.h"
#include "shim/native/native.h"

#ifdef PYTHON_MODULE
static const struct app_kind *
try_file(const char *dir, const char *sub, char **tried)
{
	char path[PATH_MAX], *more = NULL;
	const struct app_kind *kind;
	const char *why;
	void *h;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s%s", dir, sub,
	    PYTHON_MODULE) >= sizeof(path))
		return NULL;
	/* Extension modules do not link libpython: they look it up here. */
	h = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (h != NULL && (kind = dlsym(h, "app_kind")) != NULL &&
	    kind->abi == APP_ABI)
		return kind;
	why = h != NULL ? "made for another version of gangway" : dlerror();
	if (access(path, F_OK) == -1)
		why = "not there";
	if (asprintf(&more, "%s%s%s: %s", *tried != NULL ? *tried : "",
	    *tried != NULL ? "; " : "", path, why) == -1)
		return NULL;
	free(*tried);
	*tried = more;
	return NULL;
}

/* The folder of our own file, links followed. */
static const char *
own_folder(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return dirname(path);
}

const struct app_kind *
kind_python(char **why)
{
	static const struct app_kind *found;
	const char *given = getenv("GANGWAY_LIBDIR"), *dir;
	char path[PATH_MAX], *tried = NULL;

	if (found != NULL)
		return found;
	if (given != NULL && *given != '\0')
		found = try_file(given, "", &tried);
	if (found == NULL && (dir = own_folder(path)) != NULL &&
	    (found = try_file(dir, "shim/.libs/", &tried)) == NULL &&
	    (found = try_file(dir, "../shim/.libs/", &tried)) == NULL)
		found = try_file(dir, "../lib/gangway/", &tried);
	if (found == NULL)
		found = try_file(PKGLIBDIR, "", &tried);
	if (found == NULL && asprintf(why, "cannot load the module for "
	    "Python, whose folder GANGWAY_LIBDIR may name: %s", tried) == -1)
		*why = NULL;
	free(tried);
	return found;
}
#else
const struct app_kind *
kind_python(char **why)
{
	*why = strdup("this gangway was built without Python");
	return NULL;
}
#endif

const struct app_kind *
kind_find(const char *spec, const struct app_kind *python, char **why)
{
	if (strncmp(spec, "native:", 7) == 0)
		return &app_native;
	if (strncmp(spec, "cgi:", 4) == 0 ||
	    strncmp(spec, "fastcgi:", 8) == 0) {
		if (asprintf(why, "'%s': this version runs Python "
		    "applications (module:callable, FILE.py) and native: "
		    "ones", spec) == -1)
			*why = NULL;
		return NULL;
	}
	return python != NULL ? python : kind_python(why);
}

void
kind_enter_venv(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN), *slash;
	char *path, *dir;

	if (name == NULL || (slash = strrchr(name, '/')) == NULL ||
	    asprintf(&path, "%.*s/../pyvenv.cfg", (int)(slash - name),
	    name) == -1)
		return;
	if (access(path, R_OK) == 0) {
		path[strlen(path) - strlen("/pyvenv.cfg")] = '\0';
		if ((dir = realpath(path, NULL)) != NULL)
			(void)setenv("VIRTUAL_ENV", dir, 1);
		free(dir);
	}
	free(path);
}
