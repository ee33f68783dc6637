/*
 * The whole program as a function, for the two shells around it: the
 * executable, and the Python module gangway._core.
 */
#ifndef FCGI_PROGRAM_H
#define FCGI_PROGRAM_H

struct app_kind;

/*
 * From the arguments to the exit status. `python` is the Python shim that
 * is linked in, or NULL: load the module when it is needed. argv stays
 * valid for the life of the process. The caller holds no lock; a process
 * forked in here ends in here.
 */
int	 gangway_main(int argc, char **argv, const struct app_kind *python);

#endif
