/*
 * wsgi.file_wrapper: a file to send. What is an ordinary file goes to the
 * server by its descriptor; anything else is read block by block.
 */
#ifndef SHIM_PYTHON_FILE_H
#define SHIM_PYTHON_FILE_H

#include <Python.h>
#include <stdint.h>
#include <sys/types.h>

extern PyTypeObject file_wrapper_type;

/* 0, or -1 with an exception. */
int	 file_init(void);
void	 file_done(void);

/* Where the file that is wrapped lies: 1 when the server can send it, from
 * its present position to its end; 0 when it has to be read. */
int	 file_place(PyObject *wrapper, int *fd, off_t *offset,
	    uint64_t *length);

#endif
