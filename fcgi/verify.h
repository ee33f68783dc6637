/*
 * Settings whose words only the server understands, checked before it opens
 * anything.
 */
#ifndef FCGI_VERIFY_H
#define FCGI_VERIFY_H

struct hosting;
struct settings;

/* Are the addresses of bind and the format of the access log well-formed,
 * where this host heeds them? 0, or -1 with *why (to be freed), one line. */
int	 verify_settings(const struct settings *, const struct hosting *,
	    char **why);

#endif
