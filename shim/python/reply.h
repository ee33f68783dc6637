/*
 * start_response(), write() and the way of the body to the server.
 *
 * Always true: the head is given to the server with the first body bytes
 * or at the end, and can be replaced until the server has sent it; a reply
 * may outlive its request and then refuses everything.
 */
#ifndef SHIM_PYTHON_REPLY_H
#define SHIM_PYTHON_REPLY_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

struct app_request;

/* Make the type ready. 0, or -1 with an exception. */
int	 reply_init(void);

/* A new reply, or NULL with an exception. */
PyObject *reply_new(void);
void	 reply_open(PyObject *, struct app_request *);
/* The call has returned, and what other threads were writing is written:
 * nobody can write any more. What reply_answer() tells stays. */
void	 reply_over(PyObject *);
/* The request is over. True when nobody kept the reply: it can be opened
 * again. Else let go of it by reply_drop(). */
bool	 reply_close(PyObject *);
void	 reply_drop(PyObject *);
/* The callable for the application (borrowed). */
PyObject *reply_start(PyObject *);

/* Send one chunk; `length` is the whole body's where it is known, else -1.
 * 0, or -1 with an exception (none when reply_gone()). */
int	 reply_send(PyObject *, PyObject *bytes, int64_t length, bool last);
/* Send the file in a file wrapper. 1 when done, 0 when it has to be read,
 * -1 as above. */
int	 reply_file(PyObject *, PyObject *wrapper);
/* The end: gives the head, where there was no body. 0, or -1 as above. */
int	 reply_end(PyObject *);
/* (status or None, headers, bytes sent, is the head sent, is its length
 * unknown), new; or NULL with an exception. */
PyObject *reply_answer(PyObject *);
/* The client has gone; nothing more can be sent. */
bool	 reply_gone(PyObject *);

#endif
