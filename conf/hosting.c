#include "config.h"

#include <stddef.h>

#include "conf/hosting.h"
#include "conf/settings.h"
#include "conf/why.h"

#define BIT(kind)	(1U << (kind))

static const struct {
	const char	*name, *title;
	long		 patience;
} hosts[] = {
	[HOST_STANDALONE] = { .name = "standalone",
	    .title = "a shell, a container or a service manager" },
	[HOST_PASSENGER] = { .name = "passenger", .title = "Phusion Passenger",
	    .patience = 55 },
	[HOST_SYSTEMD] = { .name = "systemd",
	    .title = "systemd, with its sockets" },
	[HOST_FASTCGI] = { .name = "fastcgi",
	    .title = "spawn-fcgi, multiwatch, lighttpd, mod_fcgid or the "
	    "like" },
	[HOST_CGI] = { .name = "cgi",
	    .title = "a web server, as a CGI program" },
};

/* What a host keeps to itself. */
static const struct rule {
	unsigned int	 trait;
	unsigned int	 hosts;
	const char	*reason;
} rules[] = {
	{ SETTING_HOST_SOCKET | SETTING_HOST_BACKLOG, BIT(HOST_SYSTEMD),
	    "systemd made the sockets" },
	{ SETTING_HOST_SOCKET | SETTING_HOST_BACKLOG, BIT(HOST_FASTCGI),
	    "the starter made the socket" },
	{ SETTING_HOST_SOCKET, BIT(HOST_PASSENGER),
	    "Passenger says where it connects" },
	{ SETTING_HOST_SOCKET | SETTING_HOST_BACKLOG, BIT(HOST_CGI),
	    "the request comes on standard input" },
	{ SETTING_HOST_PROTOCOL, BIT(HOST_FASTCGI),
	    "descriptor 0 speaks FastCGI" },
	{ SETTING_HOST_PROTOCOL, BIT(HOST_PASSENGER),
	    "Passenger is told what is spoken" },
	{ SETTING_HOST_PROTOCOL, BIT(HOST_CGI), "the web server speaks CGI" },
	{ SETTING_HOST_HTTP,
	    BIT(HOST_FASTCGI) | BIT(HOST_PASSENGER) | BIT(HOST_CGI),
	    "the web server reads the HTTP" },
	{ SETTING_HOST_DAEMON, BIT(HOST_SYSTEMD) | BIT(HOST_FASTCGI) |
	    BIT(HOST_PASSENGER) | BIT(HOST_CGI),
	    "it watches the process that it has started" },
	{ SETTING_HOST_PIDFILE,
	    BIT(HOST_FASTCGI) | BIT(HOST_PASSENGER) | BIT(HOST_CGI),
	    "it may start several of us, and knows each" },
	{ SETTING_HOST_USER,
	    BIT(HOST_FASTCGI) | BIT(HOST_PASSENGER) | BIT(HOST_CGI),
	    "it has chosen the user, and only root can become another" },
	{ SETTING_HOST_ASKS,
	    BIT(HOST_FASTCGI) | BIT(HOST_PASSENGER) | BIT(HOST_CGI),
	    "it starts as many of us as it wants; a number in [host], in "
	    "GANGWAY_WORKERS or on the command line is for each of them" },
	{ SETTING_HOST_RECYCLE, BIT(HOST_FASTCGI),
	    "only workers that are our own are replaced: see workers" },
	{ SETTING_HOST_RECYCLE, BIT(HOST_CGI), "a process has one request" },
	{ SETTING_HOST_CONTROL, BIT(HOST_FASTCGI),
	    "it manages the processes itself: see workers" },
	{ SETTING_HOST_CONTROL, BIT(HOST_CGI), "a process has one request" },
	{ SETTING_HOST_KEEP, BIT(HOST_PASSENGER),
	    "it closes the connections that it keeps; 0 is heeded" },
	{ SETTING_HOST_KEEP, BIT(HOST_CGI), "a process has one request" },
	{ SETTING_HOST_GRACE, BIT(HOST_FASTCGI),
	    "mod_fcgid kills 8 seconds after it has asked; 6 are used" },
	{ SETTING_HOST_GRACE, BIT(HOST_PASSENGER),
	    "it kills 60 seconds after it has asked; 55 are used" },
};

const char *
host_name(enum host_kind kind)
{
	return hosts[kind].name;
}

const char *
host_title(enum host_kind kind)
{
	return hosts[kind].title;
}

bool
hosting_manages(const struct hosting *h)
{
	return h != NULL && h->kind != HOST_STANDALONE &&
	    h->kind != HOST_SYSTEMD;
}

bool
hosting_shares(const struct hosting *h)
{
	return h != NULL && h->kind == HOST_FASTCGI;
}

bool
hosting_alone(const struct hosting *h, const struct settings *s)
{
	return h != NULL && h->kind == HOST_FASTCGI &&
	    !settings_meant_for_host(s, SET_workers);
}

static long
patience(const struct hosting *h)
{
	if (h == NULL)
		return 0;
	return h->patience != 0 ? h->patience : hosts[h->kind].patience;
}

/* Does a rule that is right for setting and host hold just now? */
static bool
applies(unsigned int trait, const struct hosting *h, const struct settings *s,
    enum setting id)
{
	switch (trait) {
	case SETTING_HOST_HTTP:
		return !h->http;
	case SETTING_HOST_USER:
		return !h->root;
	case SETTING_HOST_ASKS:
		return !settings_meant_for_host(s, id);
	case SETTING_HOST_RECYCLE:
	case SETTING_HOST_CONTROL:
		return h->kind != HOST_FASTCGI || hosting_alone(h, s);
	case SETTING_HOST_KEEP:
		return settings_int(s, id) != 0;
	case SETTING_HOST_GRACE:
		return patience(h) != 0 && settings_int(s, id) > patience(h);
	default:
		return true;
	}
}

static const struct rule *
rule_for(const struct hosting *h, const struct settings *s, enum setting id)
{
	unsigned int trait, traits = setting_info(id)->traits;
	const struct rule *r;

	for (r = rules; h != NULL &&
	    r < rules + sizeof(rules) / sizeof(rules[0]); r++) {
		trait = r->trait & traits;
		if (trait != 0 && r->hosts & BIT(h->kind) &&
		    applies(trait, h, s, id))
			return r;
	}
	return NULL;
}

enum standing
hosting_standing(const struct hosting *h, const struct settings *s,
    enum setting id, const char **reason)
{
	const struct rule *r;

	*reason = NULL;
	if (!(setting_info(id)->traits & SETTING_IN_FORCE))
		return STANDING_LATER;
	if ((r = rule_for(h, s, id)) == NULL)
		return STANDING_IN_FORCE;
	*reason = r->reason;
	/* PORT and its like are words of the host itself. */
	return settings_given(s, id) && settings_rank(s, id) != RANK_PLATFORM ?
	    STANDING_OVERRIDDEN : STANDING_LEFT;
}

bool
hosting_heeds(const struct hosting *h, const struct settings *s,
    enum setting id)
{
	const char *reason;

	return hosting_standing(h, s, id, &reason) == STANDING_IN_FORCE;
}

char *
hosting_text(const struct hosting *h, const struct settings *s,
    enum setting id)
{
	static const char *const words[] = {
		[STANDING_IN_FORCE] = "in force",
		[STANDING_LATER] = "not in force yet",
		[STANDING_LEFT] = "left to the host",
		[STANDING_OVERRIDDEN] = "overridden by the host",
	};
	const char *reason;
	enum standing st = hosting_standing(h, s, id, &reason);

	return text_new("%s%s%s", words[st], reason != NULL ? ": " : "",
	    reason != NULL ? reason : "");
}

long
hosting_grace(const struct hosting *h, const struct settings *s)
{
	long n = settings_int(s, SET_graceful_timeout);

	return hosting_heeds(h, s, SET_graceful_timeout) ? n : patience(h);
}
