/*
 * The application in the place of one that could not be started: the same
 * plain page for every request, with nothing in it that a visitor should
 * not see.
 */
#ifndef SHIM_PASSENGER_FAILED_H
#define SHIM_PASSENGER_FAILED_H

#include "fcgi/app.h"

extern const struct app_kind app_failed;
/* Where the reason is, in words for its owner; NULL: the host's log. */
void	 failed_where(const char *place);

#endif
