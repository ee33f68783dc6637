/*
 * Which kind of application a spec names, and where its code is.
 */
#ifndef FCGI_KIND_H
#define FCGI_KIND_H

struct app_kind;

/* The Python shim from its file (see gangway(1), GANGWAY_LIBDIR). NULL with
 * *why (to be freed): what was tried. */
const struct app_kind *kind_python(char **why);
/* The kind for an application: "native:..." or Python. `python` as above,
 * if it is at hand. NULL with *why (to be freed). */
const struct app_kind *kind_find(const char *spec,
	    const struct app_kind *python, char **why);

/* Called by its name in the bin/ of a virtual environment, a link or not, we
 * are in that environment as if it had been activated. */
void	 kind_enter_venv(void);

#endif
