/* Where each setting stands under each host. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "conf/hosting.h"
#include "conf/print.h"
#include "conf/settings.h"
#include "t/lib/tap.h"

#define F	STANDING_IN_FORCE
#define L	STANDING_LEFT
#define O	STANDING_OVERRIDDEN

/* Columns: standalone, passenger, systemd, fastcgi, cgi; nobody has given a
 * value, and nobody is root. */
static const struct {
	enum setting	 id;
	enum standing	 under[5];
} usual[] = {
	{ SET_bind,			{ F, L, L, L, L } },
	{ SET_backlog,			{ F, F, L, L, L } },
	{ SET_reuse_port,		{ F, L, L, L, L } },
	{ SET_umask,			{ F, L, L, L, L } },
	{ SET_protocol,			{ F, L, F, L, L } },
	{ SET_workers,			{ F, L, F, L, L } },
	{ SET_max_requests,		{ F, F, F, L, L } },
	{ SET_max_requests_jitter,	{ F, F, F, L, L } },
	{ SET_control_socket,		{ F, F, F, L, L } },
	{ SET_max_rss,			{ F, F, F, L, L } },
	{ SET_max_lifetime,		{ F, F, F, L, L } },
	{ SET_recycle_pause,		{ F, F, F, L, L } },
	{ SET_boot_timeout,		{ F, F, F, L, L } },
	{ SET_worker_queue,		{ F, F, F, F, F } },
	{ SET_keepalive,		{ F, L, F, F, L } },
	{ SET_graceful_timeout,		{ F, F, F, F, F } },
	{ SET_daemon,			{ F, L, L, L, L } },
	{ SET_pidfile,			{ F, L, F, L, L } },
	{ SET_user,			{ F, L, F, L, L } },
	{ SET_group,			{ F, L, F, L, L } },
	{ SET_initgroups,		{ F, L, F, L, L } },
	{ SET_limit_request_line,	{ F, L, F, L, L } },
	{ SET_header_map,		{ F, L, F, L, L } },
	{ SET_forwarded_allow_ips,	{ F, L, F, L, L } },
	/* What is ours everywhere. */
	{ SET_wsgi_app,			{ F, F, F, F, F } },
	{ SET_threads,			{ F, F, F, F, F } },
	{ SET_worker_class,		{ F, F, F, F, F } },
	{ SET_worker_connections,	{ F, F, F, F, F } },
	{ SET_timeout,			{ F, F, F, F, F } },
	{ SET_request_timeout,		{ F, F, F, F, F } },
	{ SET_limit_request_body,	{ F, F, F, F, F } },
	{ SET_accesslog,		{ F, F, F, F, F } },
	{ SET_errorlog,			{ F, F, F, F, F } },
	{ SET_proc_name,		{ F, F, F, F, F } },
	{ SET_sendfile,			{ F, F, F, F, F } },
};

static enum standing
standing(const struct hosting *h, const struct settings *s, enum setting id)
{
	const char *reason;
	enum standing st = hosting_standing(h, s, id, &reason);

	if ((reason != NULL) != (st == L || st == O))
		ok(false, "%s: a reason where the host has one",
		    setting_info(id)->name);
	return st;
}

static void
test_usual(void)
{
	struct settings *s = settings_new();
	struct hosting h = { 0 };
	size_t i;
	int kind;

	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		for (kind = HOST_STANDALONE; kind <= HOST_CGI; kind++) {
			h.kind = (enum host_kind)kind;
			ok(standing(&h, s, usual[i].id) ==
			    usual[i].under[kind], "%s under %s",
			    setting_info(usual[i].id)->name,
			    host_name(h.kind));
		}
	settings_free(s);
}

/* What changes the picture: host, how it is there, a value, its rank. */
static const struct {
	const char	*name;
	struct hosting	 h;
	enum setting	 id;
	const char	*value;
	enum settings_rank rank;
	enum standing	 st;
} cases[] = {
	{ "a value that somebody gave", { .kind = HOST_FASTCGI }, SET_pidfile,
	    "/x", RANK_FILE, O },
	{ "one that the platform gave", { .kind = HOST_SYSTEMD }, SET_bind,
	    "0.0.0.0:80", RANK_PLATFORM, L },
	{ "one of a profile", { .kind = HOST_SYSTEMD }, SET_backlog, "9",
	    RANK_PROFILE, L },
	{ "workers of a file", { .kind = HOST_FASTCGI }, SET_workers, "3",
	    RANK_FILE, O },
	{ "workers of [host]", { .kind = HOST_FASTCGI }, SET_workers, "3",
	    RANK_FILE_HOST, F },
	{ "workers of GUNICORN_WORKERS", { .kind = HOST_PASSENGER },
	    SET_workers, "3", RANK_GUNICORN, O },
	{ "workers of GANGWAY_WORKERS", { .kind = HOST_PASSENGER },
	    SET_workers, "3", RANK_GANGWAY, F },
	{ "user, for root", { .kind = HOST_FASTCGI, .root = true }, SET_user,
	    "nobody", RANK_FILE, F },
	{ "user, for others", { .kind = HOST_FASTCGI }, SET_user, "nobody",
	    RANK_FILE, O },
	{ "HTTP that the host speaks", { .kind = HOST_PASSENGER,
	    .http = true }, SET_limit_request_line, "99", RANK_FILE, F },
	{ "keepalive, none", { .kind = HOST_PASSENGER }, SET_keepalive, "0",
	    RANK_FILE, F },
	{ "keepalive, some", { .kind = HOST_PASSENGER }, SET_keepalive, "75",
	    RANK_FILE, O },
	{ "a stop that is too slow", { .kind = HOST_PASSENGER },
	    SET_graceful_timeout, "56", RANK_FILE, O },
	{ "a stop that is not", { .kind = HOST_PASSENGER },
	    SET_graceful_timeout, "55", RANK_FILE, F },
	{ "a stop under mod_fcgid", { .kind = HOST_FASTCGI, .patience = 6 },
	    SET_graceful_timeout, "30", RANK_DEFAULT, L },
	{ "what is for a later version", { .kind = HOST_FASTCGI },
	    SET_statsd_host, "h:1", RANK_FILE, STANDING_LATER },
};

static void
test_cases(void)
{
	struct settings *s;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s = settings_new();
		settings_from(s, cases[i].rank);
		if (cases[i].rank != RANK_DEFAULT)
			settings_set(s, cases[i].id, cases[i].value, "test",
			    NULL);
		ok(standing(&cases[i].h, s, cases[i].id) == cases[i].st,
		    "%s", cases[i].name);
		settings_free(s);
	}
}

/* With workers of our own there is somebody who replaces them. */
static void
test_own_workers(void)
{
	const struct hosting h = { .kind = HOST_FASTCGI };
	struct settings *s = settings_new();

	ok(hosting_alone(&h, s) && hosting_manages(&h), "alone by default");
	settings_from(s, RANK_GANGWAY);
	settings_set(s, SET_workers, "1", "test", NULL);
	ok(!hosting_alone(&h, s) && hosting_heeds(&h, s, SET_max_requests),
	    "not with a number that is meant for the host");
	ok(!hosting_alone(NULL, s) && !hosting_manages(NULL) &&
	    hosting_heeds(NULL, s, SET_pidfile), "and not without a host");
	settings_free(s);
}

static void
test_grace(void)
{
	struct hosting h = { .kind = HOST_PASSENGER };
	struct settings *s = settings_new();

	settings_set(s, SET_graceful_timeout, "600", "test", NULL);
	ok(hosting_grace(NULL, s) == 600, "time for a stop: all of it");
	ok(hosting_grace(&h, s) == 55, "what Passenger leaves of it");
	h.patience = 7;
	ok(hosting_grace(&h, s) == 7, "what this one leaves");
	settings_set(s, SET_graceful_timeout, "5", "test", NULL);
	ok(hosting_grace(&h, s) == 5, "no more than was asked for");
	settings_free(s);
}

static void
test_printed(void)
{
	struct hosting h = { .kind = HOST_FASTCGI };
	struct settings *s = settings_new();
	char *text;
	int i;
	static const struct {
		enum host_kind	 kind;
		const char	*line;
	} lines[] = {
		{ HOST_STANDALONE, "# started by standalone: a shell" },
		{ HOST_PASSENGER, "# started by passenger: Phusion" },
		{ HOST_FASTCGI, "\nthreads                            = 4  "
		    "# default; in force\n" },
		{ HOST_FASTCGI, "  # default; left to the host: the starter "
		    "made the socket\n" },
		{ HOST_FASTCGI, "= /x  # here; overridden by the host: it may "
		    "start several of us, and knows each\n" },
		{ HOST_STANDALONE, "= /x  # here; in force\n" },
		{ HOST_CGI, "# default; not in force yet\n" },
	};

	settings_set(s, SET_pidfile, "/x", "here", NULL);
	for (i = 0; i < (int)(sizeof(lines) / sizeof(lines[0])); i++) {
		h.kind = lines[i].kind;
		text = print_config(s, &h);
		ok(text != NULL && strstr(text, lines[i].line) != NULL,
		    "printed under %s: %s", host_name(h.kind),
		    lines[i].line + strspn(lines[i].line, "\n"));
		free(text);
	}
	settings_free(s);
}

int
main(void)
{
	test_usual();
	test_cases();
	test_own_workers();
	test_grace();
	test_printed();
	return tap_done();
}
