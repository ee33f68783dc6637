/*
 * A gunicorn.conf.py: evaluated here, its values handed to the server's
 * setters, its callables kept.
 *
 * (Not config.h: in this folder that name would hide the build's.)
 */
#ifndef SHIM_PYTHON_CONFFILE_H
#define SHIM_PYTHON_CONFFILE_H

#include <Python.h>

/* As struct app_kind's configure; the GIL is held. `path` is a file, with
 * or without "file:" before it, or "python:MODULE". */
int	 conffile_read(const char *path, void *conf, char **why);
/* The hook of that name from the last file read (borrowed), or NULL. */
PyObject *conffile_hook(const char *name);
/* The hooks are those to go back to; and the way back, if a file was read
 * since then. */
void	 conffile_keep(void);
void	 conffile_revert(void);
void	 conffile_done(void);

#endif
