/*
 * Which settings hold under which host, and why. A setting's traits
 * (conf/settings.def) say what it is about; the rules here say which of that
 * a host keeps to itself. What is shown to people and what the server does
 * both come from these answers.
 */
#ifndef CONF_HOSTING_H
#define CONF_HOSTING_H

#include <stdbool.h>

#include "conf/table.h"

struct settings;

enum host_kind {
	HOST_STANDALONE, HOST_PASSENGER, HOST_SYSTEMD, HOST_FASTCGI /* fd 0 */,
	HOST_CGI
};

/* What is known of the host at hand. NULL stands for: none, we decide. */
struct hosting {
	enum host_kind	 kind;
	bool		 http;		/* it speaks HTTP with us */
	bool		 root;		/* we may become another user */
	long		 patience;	/* seconds from its TERM to its KILL;
					   0: the kind's own */
};

enum standing {
	STANDING_IN_FORCE,
	STANDING_LATER,		/* nothing in this version acts on it */
	STANDING_LEFT,		/* the host's job; nobody asked for a value */
	STANDING_OVERRIDDEN	/* somebody did, and the host has its own */
};

/* "standalone", "passenger"... */
const char	*host_name(enum host_kind);
/* The same for people: "Phusion Passenger". */
const char	*host_title(enum host_kind);
/* Does somebody else decide how many of us there are? */
bool		 hosting_manages(const struct hosting *);
/* May processes that are not ours accept on the sockets we were given? */
bool		 hosting_shares(const struct hosting *);
/* Is this process one of the host's, without a manager of our own? */
bool		 hosting_alone(const struct hosting *,
		    const struct settings *);
/* Where a setting stands; *reason is the host's, NULL where it has none. */
enum standing	 hosting_standing(const struct hosting *,
		    const struct settings *, enum setting,
		    const char **reason);
/* Is it in force? */
bool		 hosting_heeds(const struct hosting *, const struct settings *,
		    enum setting);
/* "in force", "left to the host: REASON"... To be freed, or NULL. */
char		*hosting_text(const struct hosting *, const struct settings *,
		    enum setting);
/* graceful_timeout, or what the host leaves of it, in seconds. */
long		 hosting_grace(const struct hosting *,
		    const struct settings *);

#endif
