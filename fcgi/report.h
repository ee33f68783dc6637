/*
 * What the manager knows of itself and its workers, for people and programs
 * that ask over the control socket.
 */
#ifndef FCGI_REPORT_H
#define FCGI_REPORT_H

#include <jansson.h>
#include <stdint.h>

struct crew;

/* As gangwayctl(1) describes it; `state` is the manager's. NULL: no memory. */
json_t	*report_status(const struct crew *, const char *state,
	    uint64_t started_ms);

#endif
