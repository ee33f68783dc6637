/*
 * Whom we believe: addresses and networks (RFC 4632 notation), or "*".
 * Always true: whole addresses are compared; ::ffff:a.b.c.d is a.b.c.d;
 * a peer on a unix socket is trusted.
 */
#ifndef FCGI_TRUST_H
#define FCGI_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct trust;

/* From the items of a setting. NULL with *why (to be freed). */
struct trust	*trust_new(const char *const *items, size_t n, char **why);
void		 trust_free(struct trust *);
bool		 trust_has(const struct trust *, const struct sockaddr *);

#endif
