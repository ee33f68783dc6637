/*
 * A request that waits behind stuck callers becomes bytes again, so that
 * its connection can go to another worker. What is too long for a message
 * goes along as a file.
 */
#ifndef FCGI_RECALL_H
#define FCGI_RECALL_H

#include "fcgi/conn.h"

/* A queued request, taken off the queue: give its connection to another
 * worker. False, and nothing is changed, when that cannot be. */
bool	 recall_request(struct request *);
#endif
