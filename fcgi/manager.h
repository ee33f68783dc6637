/*
 * The manager: keeps the wanted number of workers alive, replaces before
 * it stops, and turns signals into that. It never parses a request.
 */
#ifndef FCGI_MANAGER_H
#define FCGI_MANAGER_H

#include "fcgi/crew.h"

/* Serve until told to stop; the exit status (0, 3, 4, 255). */
int	 manager_run(struct manager_config *);

#endif
