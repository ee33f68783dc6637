/*
 * The whole program, for both of its shells: the executable, and the
 * extension module inside an interpreter that is already there.
 */
#ifndef FCGI_PROGRAM_H
#define FCGI_PROGRAM_H

struct app_kind;

/* Run gangway with this command line; the exit status. `python` is the
 * Python shim where the caller has it in itself, NULL: it is loaded from
 * its file when it is needed. */
int	 gangway_main(int argc, char **argv, const struct app_kind *python);

#endif
