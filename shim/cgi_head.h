/*
 * The head of a CGI response (RFC 3875 section 6): what a CGI program, or a
 * native application, writes before the body.
 *
 * Always true: parsing has no state and copies nothing; what a struct
 * cgi_head points at lies in the parsed bytes or is static.
 */
#ifndef SHIM_CGI_HEAD_H
#define SHIM_CGI_HEAD_H

#include "fcgi/app.h"

enum {
	CGI_HEAD_BYTES = 65536,		/* the longest head that is taken */
	CGI_HEAD_FIELDS = 100		/* the most fields that are handed on */
};

struct cgi_head {
	struct str	 status;	/* "200 OK"; 302 for a Location that
					   came without a Status */
	struct header	 headers[CGI_HEAD_FIELDS];
	size_t		 nheaders;
	bool		 has_length;	/* a Content-Length is among them */
};

/*
 * Parse the head at the start of `n` bytes. Returns the bytes it takes, its
 * empty line included; 0 when its end is not there yet; -1 with *why (static
 * text) when it is not a CGI response. *h is touched only by a whole head.
 */
ssize_t		 cgi_head_parse(struct cgi_head *h, const char *p, size_t n,
		    const char **why);

#endif
