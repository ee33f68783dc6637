/*
 * CGI variables as web servers send them, made clean and uniform: what
 * nginx, Apache's modules and lighttpd each do differently with
 * SCRIPT_NAME, PATH_INFO, CONTENT_LENGTH and friends ends here.
 */
#ifndef FCGI_WIRE_CGI_H
#define FCGI_WIRE_CGI_H

#include "fcgi/wire/session.h"

/*
 * Fill rq's variables from its PARAMS stream (rq->params, complete). 0, or
 * -1 with *no when the stream is broken or lacks what must be there.
 */
int	 cgi_vars(struct request *rq, const struct wire_config *,
	    const struct peer *, struct http_refusal *no);
/* The CONTENT_LENGTH of a filled request, or -1 when there is none. */
int64_t	 cgi_length(struct request *);
/* A well-known variable's id, VAR_OTHER for the rest. */
enum var_id cgi_var_id(struct str name);

#endif
