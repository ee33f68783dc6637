/*
 * A response, from the application's head and body to framed bytes handed
 * to the connection. Runs on the caller's thread.
 *
 * Always true: every byte of status and headers was checked here, for all
 * kinds of application; nothing is sent after `ended`; a body that is
 * shorter than announced cuts the connection.
 */
#ifndef FCGI_RESPONSE_H
#define FCGI_RESPONSE_H

#include <stdbool.h>
#include <sys/types.h>

#include "fcgi/request.h"

enum {
	RESPONSE_HEAD_MAX = 256 * 1024,
	RESPONSE_TOGETHER = 16 * 1024	/* smaller bodies go out in one piece */
};

/* Keep (or not) status and headers for the access log. */
void	 response_keep_heads(bool);

/* app.h's head, body and file. */
int	 response_head(struct request *, const struct reply *,
	    const char **why);
enum send_result response_body(struct request *, const void *, size_t,
	    unsigned int flags);
enum send_result response_file(struct request *, int fd, off_t,
	    uint64_t length);

/* The application returned: finish, or answer 500 / cut when it failed.
 * The reason is logged. */
void	 response_finish(struct request *, bool ok);
/* A whole small answer without an application (error pages). */
void	 response_error(struct request *, int status, const char *why);

/* For the wires: check and append the application's header fields. */
int	 response_fields(struct request *, const struct reply *,
	    const char **why);
/* And the field that says how long the body is. */
int	 response_length(struct request *, int64_t length);

#endif
