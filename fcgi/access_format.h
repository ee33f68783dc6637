/*
 * The compiled form of an access log format: what access.c makes from the
 * text and access_line.c fills in. Private to the two.
 */
#ifndef FCGI_ACCESS_FORMAT_H
#define FCGI_ACCESS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "fcgi/app.h"

enum atom {
	ATOM_TEXT,		/* literal */
	ATOM_ADDRESS, ATOM_NONE, ATOM_USER, ATOM_TIME, ATOM_REQUEST,
	ATOM_STATUS, ATOM_METHOD, ATOM_PATH, ATOM_QUERY, ATOM_PROTOCOL,
	ATOM_SENT, ATOM_REFERER, ATOM_AGENT, ATOM_SECONDS, ATOM_MILLISECONDS,
	ATOM_MICROSECONDS, ATOM_DECIMAL, ATOM_PID,
	ATOM_VARIABLE,		/* of the request, by its CGI name */
	ATOM_HEADER		/* of the response */
};

struct access_op {
	enum atom	 atom;
	struct str	 text;		/* literal, or the name; inside names */
	size_t		 width, precision;
	bool		 padded, cut;	/* width or precision was given */
	bool		 left;
};

struct access_format {
	size_t		 nops;
	char		*names;		/* what the ops point into */
	struct access_op ops[];
};

#endif
