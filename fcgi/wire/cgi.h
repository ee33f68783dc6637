/*
 * CGI variables as web servers send them, made clean and uniform: what
 * nginx, Apache's modules and lighttpd each do differently with
 * SCRIPT_NAME, PATH_INFO, CONTENT_LENGTH and friends ends here.
 */
#ifndef FCGI_WIRE_CGI_H
#define FCGI_WIRE_CGI_H

#include "fcgi/wire/session.h"

/*
 * Fill rq's variables and rq->announced from its PARAMS stream (rq->params,
 * complete). 0, or -1 with *no when the stream is broken or lacks what must
 * be there.
 */
int	 cgi_vars(struct request *rq, const struct wire_config *,
	    const struct peer *, struct http_refusal *no);

/*
 * The same from Passenger's head, which is in rq->params: names and values
 * that end in NUL. Its path is decoded; its password is compared, and is no
 * variable. *chunked: the body comes in HTTP's chunks.
 */
int	 cgi_vars_passenger(struct request *rq, const struct wire_config *,
	    const struct peer *, bool *chunked, struct http_refusal *no);

#endif
