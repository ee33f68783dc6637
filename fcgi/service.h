/*
 * The server's side of app.h: one table of functions that applications
 * call, each a thin way to the part that does it.
 */
#ifndef FCGI_SERVICE_H
#define FCGI_SERVICE_H

#include "fcgi/app.h"

extern const struct app_server app_server;

/* Where a configuration that is being evaluated puts its values. */
struct service_conf {
	struct settings	*settings;
	const char	*source;
};

#endif
