/* The table is whole, and each type of value takes what it should. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/flags.h"
#include "conf/environ.h"
#include "conf/print.h"
#include "conf/settings.h"
#include "conf/why.h"
#include "t/lib/tap.h"

/* gunicorn 26's, each by its own name. */
static const char *const theirs[] = {
	"config", "wsgi_app", "bind", "backlog", "workers", "worker_class",
	"threads", "worker_connections", "max_requests",
	"max_requests_jitter", "timeout", "graceful_timeout", "keepalive",
	"asgi_loop", "asgi_lifespan", "asgi_disconnect_grace_period",
	"http_parser", "limit_request_line", "limit_request_fields",
	"limit_request_field_size", "permit_obsolete_folding",
	"strip_header_spaces", "permit_unconventional_http_method",
	"permit_unconventional_http_version", "casefold_http_method",
	"forwarder_headers", "header_map", "secure_scheme_headers",
	"forwarded_allow_ips", "proxy_protocol", "proxy_allow_ips",
	"protocol", "uwsgi_allow_ips", "root_path", "reload",
	"reload_engine", "reload_extra_files", "spew", "check_config",
	"print_config", "preload_app", "sendfile", "reuse_port", "chdir",
	"daemon", "raw_env", "pidfile", "worker_tmp_dir", "user", "group",
	"umask", "initgroups", "tmp_upload_dir", "pythonpath", "paste",
	"raw_paste_global_conf", "proc_name", "default_proc_name",
	"accesslog", "access_log_format", "errorlog", "loglevel",
	"capture_output", "logger_class", "logconfig", "logconfig_dict",
	"logconfig_json", "syslog", "syslog_addr", "syslog_prefix",
	"syslog_facility", "disable_redirect_access_to_syslog",
	"enable_stdio_inheritance", "statsd_host", "statsd_prefix",
	"dogstatsd_tags", "enable_backlog_metric", "keyfile", "certfile",
	"ca_certs", "ciphers", "cert_reqs", "suppress_ragged_eofs",
	"do_handshake_on_connect", "ssl_version", "http_protocols",
	"http2_cleartext", "http2_max_concurrent_streams",
	"http2_initial_window_size", "http2_max_frame_size",
	"http2_max_header_list_size", "on_starting", "on_reload",
	"when_ready", "pre_fork", "post_fork", "post_worker_init",
	"worker_int", "worker_abort", "pre_exec", "pre_request",
	"post_request", "child_exit", "worker_exit", "nworkers_changed",
	"on_exit", "ssl_context", "on_dirty_starting", "dirty_post_fork",
	"dirty_worker_init", "dirty_worker_exit", "dirty_apps",
	"dirty_workers", "dirty_threads", "dirty_timeout",
	"dirty_graceful_timeout", "control_socket", "control_socket_mode",
	"control_socket_disable"
};

static const char *const ours[] = {
	"profile", "request_timeout", "limit_request_body", "app",
	"virtualenv", "interface", "script_name", "host",
	"passenger_protocol", "max_lifetime", "max_lifetime_jitter",
	"max_rss", "recycle_pause", "boot_timeout", "worker_queue"
};

enum {
	NTHEIRS = sizeof(theirs) / sizeof(theirs[0]),
	NOURS = sizeof(ours) / sizeof(ours[0])
};

/* A value; what settings_string() then says; NULL: refused. */
static const struct {
	const char	*name;
	enum setting	 id;
	const char	*value, *text;
	long		 num;
} values[] = {
	{ "decimal",		SET_workers,	"12",	"12",	12 },
	{ "leading zero",	SET_workers,	"08",	"08",	8 },
	{ "hexadecimal",	SET_workers,	"0x10",	"0x10",	16 },
	{ "white space",	SET_workers,	" 7 ",	"7",	7 },
	{ "auto",		SET_workers,	"auto",	"auto",	0 },
	{ "workers may be 0",	SET_workers,	"0",	"0",	0 },
	{ "negative",		SET_workers,	"-1",	NULL,	0 },
	{ "a word",		SET_workers,	"many",	NULL,	0 },
	{ "fraction",		SET_keepalive,	"2.5",	NULL,	0 },
	{ "empty number",	SET_keepalive,	"",	NULL,	0 },
	{ "bare 0x",		SET_keepalive,	"0x",	NULL,	0 },
	{ "two signs",		SET_keepalive,	"--1",	NULL,	0 },
	{ "none for a number",	SET_keepalive,	NULL,	NULL,	0 },
	{ "under the range",	SET_threads,	"0",	NULL,	0 },
	{ "at its start",	SET_threads,	"1",	"1",	1 },
	{ "at its end",		SET_threads,	"4096",	"4096",	4096 },
	{ "over the range",	SET_threads,	"4097",	NULL,	0 },
	{ "huge",	SET_threads, "99999999999999999999999",	NULL,	0 },
	{ "octal mode",		SET_umask,	"0022",	"0022",	022 },
	{ "0o mode",		SET_umask,	"0o22",	"0o22",	022 },
	{ "hexadecimal mode",	SET_umask,	"0xFF",	"0xFF",	0xff },
	{ "decimal mode",	SET_umask,	"18",	"18",	18 },
	{ "mode too large",	SET_umask,	"01000", NULL,	0 },
	{ "true",		SET_daemon,	"true",	"true",	1 },
	{ "Yes",		SET_daemon,	"Yes",	"Yes",	1 },
	{ "1",			SET_daemon,	"1",	"1",	1 },
	{ "off",		SET_daemon,	"off",	"off",	0 },
	{ "maybe",		SET_daemon,	"maybe", NULL,	0 },
	{ "empty bool",		SET_daemon,	"",	NULL,	0 },
	{ "stripped",		SET_pidfile,	" /p ",	"/p",	0 },
	{ "one of",		SET_header_map,	"drop",	"drop",	0 },
	{ "in capitals",	SET_loglevel,	"DEBUG", "debug", 0 },
	{ "synonym",		SET_loglevel,	"warn",	"warning", 0 },
	{ "none of",		SET_loglevel,	"loud",	NULL,	0 },
	{ "beginning of one",	SET_loglevel,	"inf",	NULL,	0 },
	{ "a class's path",	SET_worker_class,
	    "gunicorn.workers.gthread.ThreadWorker", "gthread", 0 },
	{ "uvicorn's class",	SET_worker_class,
	    "uvicorn.workers.UvicornWorker", "asgi", 0 },
	{ "PROXY by a bool",	SET_proxy_protocol, "False", "off", 0 },
	{ "bytes",		SET_max_rss,	"1048576", "1048576", 1048576 },
	{ "megabytes",		SET_max_rss,	"300M",	"300M",	300L << 20 },
	{ "gigabytes",		SET_max_rss,	"2g",	"2g",	2L << 30 },
	{ "kilobytes",		SET_max_rss,	"2048K", "2048K", 2L << 20 },
	{ "no size",		SET_max_rss,	"0",	"0",	0 },
	{ "more than there are", SET_max_rss, "17179869184G", "17179869184G",
	    9223372036854775807 },
	{ "too few bytes",	SET_max_rss,	"300",	NULL,	0 },
	{ "another unit",	SET_max_rss,	"300X",	NULL,	0 },
	{ "two units",		SET_max_rss,	"300MB", NULL,	0 },
	{ "a unit elsewhere",	SET_keepalive,	"1M",	NULL,	0 },
	{ "the largest number",	SET_limit_request_body,
	    "9223372036854775807", "9223372036854775807",
	    9223372036854775807 },
};

/* Items with a bar between; NULL: refused. */
static const struct {
	const char	*name;
	enum setting	 id;
	const char	*value, *items;
} lists[] = {
	{ "one",	SET_bind,	":80",		":80" },
	{ "two",	SET_bind,	"a:1, unix:/b",	"a:1|unix:/b" },
	{ "empty ones go", SET_pythonpath, "a,,b,",	"a|b" },
	{ "no address",	SET_bind,	" , ",		NULL },
	{ "pairs",	SET_raw_env,	"A=1,B=2",	"A=1|B=2" },
	{ "comma in a value", SET_raw_env, "A=1,2,B=x",	"A=1,2|B=x" },
	{ "no pair",	SET_raw_env,	"A",		NULL },
	{ "no name",	SET_raw_env,	"=1",		NULL },
	{ "empty value", SET_raw_env,	"A=",		"A=" },
	{ "addresses",	SET_forwarded_allow_ips, "1.2.3.4,::1",
	    "1.2.3.4|::1" },
	{ "all",	SET_forwarded_allow_ips, "*",	"*" },
	{ "none",	SET_forwarded_allow_ips, "",	"" },
	{ "networks",	SET_forwarded_allow_ips, "10.0.0.0/8,fe80::/10",
	    "10.0.0.0/8|fe80::/10" },
	{ "everything",	SET_forwarded_allow_ips, "0.0.0.0/0", "0.0.0.0/0" },
	{ "whole mask",	SET_forwarded_allow_ips, "1.2.3.4/32", "1.2.3.4/32" },
	{ "host bits",	SET_forwarded_allow_ips, "10.0.0.1/8",	NULL },
	{ "host bits 6", SET_forwarded_allow_ips, "fe80::1/10",	NULL },
	{ "mask too long", SET_forwarded_allow_ips, "1.2.3.4/33", NULL },
	{ "mask a word", SET_forwarded_allow_ips, "1.2.3.0/x",	NULL },
	{ "empty mask",	SET_forwarded_allow_ips, "1.2.3.4/",	NULL },
	{ "a name",	SET_forwarded_allow_ips, "localhost",	NULL },
	{ "dict",	SET_secure_scheme_headers, "A:b,C:d",	"A:b|C:d" },
	{ "no dict",	SET_secure_scheme_headers, "A",		NULL },
	{ "protocols",	SET_http_protocols, "h1,h2",	"h1|h2" },
	{ "unknown one", SET_http_protocols, "h1,h9",	NULL },
};

static void
test_values(void)
{
	struct settings *s = settings_new();
	size_t i;
	char *why;
	int got;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		why = NULL;
		got = settings_set(s, values[i].id, values[i].value, "t",
		    &why);
		if (values[i].text == NULL)
			ok(got == -1 && why != NULL &&
			    strncmp(why, "must be ", 8) == 0, "%s: refused",
			    values[i].name);
		else
			ok(got == 0 && strcmp(settings_string(s, values[i].id),
			    values[i].text) == 0 && settings_int(s,
			    values[i].id) == values[i].num, "%s",
			    values[i].name);
		free(why);
	}
	settings_free(s);
}

static void
join(char *to, size_t size, const char *const *items)
{
	*to = '\0';
	for (; *items != NULL; items++) {
		if (*to != '\0')
			strlcat(to, "|", size);
		strlcat(to, *items, size);
	}
}

static void
test_lists(void)
{
	struct settings *s = settings_new();
	char *why, got[256];
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		why = NULL;
		if (settings_set(s, lists[i].id, lists[i].value, "t",
		    &why) == -1) {
			ok(lists[i].items == NULL && why != NULL,
			    "list, %s: refused", lists[i].name);
			free(why);
			continue;
		}
		join(got, sizeof(got), settings_list(s, lists[i].id, NULL));
		ok(lists[i].items != NULL && strcmp(got, lists[i].items) == 0,
		    "list, %s", lists[i].name);
	}
	settings_free(s);
}

static void
test_ranks(void)
{
	const char *const items[] = { "X=1,2", "Y=3" };
	struct settings *s = settings_new(), *copy;
	char got[64];

	ok(!settings_given(s, SET_threads) && strcmp(settings_source(s,
	    SET_threads), "default") == 0, "a default is not given");
	settings_from(s, RANK_PROFILE);
	settings_set(s, SET_threads, "7", "profile p", NULL);
	ok(!settings_given(s, SET_threads), "nor is a profile's value");
	settings_from(s, RANK_FILE);
	ok(settings_set(s, SET_threads, "8", "file", NULL) == 0 &&
	    settings_int(s, SET_threads) == 7, "a lower rank gives way");
	ok(settings_set(s, SET_threads, "x", "file", NULL) == -1,
	    "and is checked all the same");
	settings_from(s, RANK_COMMAND);
	ok(settings_set(s, SET_threads, "x", "t", NULL) == -1 &&
	    settings_int(s, SET_threads) == 7 && strcmp(settings_source(s,
	    SET_threads), "profile p") == 0, "refused: nothing changes");
	settings_add(s, SET_bind, "a", false, "t", NULL);
	settings_add(s, SET_bind, "b", false, "t", NULL);
	join(got, sizeof(got), settings_list(s, SET_bind, NULL));
	ok(strcmp(got, "a|b") == 0, "adding replaces what ranks lower, "
	    "then adds");
	settings_set_list(s, SET_raw_env, items, 2, "t", NULL);
	copy = settings_copy(s);
	settings_free(s);
	join(got, sizeof(got), settings_list(copy, SET_raw_env, NULL));
	ok(strcmp(got, "X=1,2|Y=3") == 0, "items are not split, and copied");
	ok(settings_int(copy, SET_threads) == 7 && settings_bool(copy,
	    SET_sendfile), "a copy has the values");
	ok(settings_set(copy, SET_pidfile, NULL, "t", NULL) == 0 &&
	    settings_string(copy, SET_pidfile) == NULL &&
	    settings_given(copy, SET_pidfile), "None unsets, and is given");
	ok(settings_set_list(copy, SET_workers, items, 2, "t", NULL) == -1,
	    "a list is no number");
	settings_free(copy);
}

static void
test_request_timeout(void)
{
	struct settings *s = settings_new();

	ok(settings_request_timeout(s) == 120, "request_timeout: our timeout");
	settings_from(s, RANK_FILE_PROFILE);
	settings_set(s, SET_timeout, "30", "profile gunicorn", NULL);
	ok(settings_request_timeout(s) == 0, "off under gunicorn's default");
	settings_from(s, RANK_FILE);
	settings_set(s, SET_timeout, "60", "gunicorn.conf.py", NULL);
	ok(settings_request_timeout(s) == 60, "as timeout where one is given");
	settings_set(s, SET_request_timeout, "0", "gunicorn.conf.py", NULL);
	ok(settings_request_timeout(s) == 0, "0 is an answer");
	settings_free(s);
}

/* Is the name in the text as a word? */
static bool
has_word(const char *text, const char *word)
{
	const char *p = text;
	size_t n = strlen(word);

	for (; (p = strstr(p, word)) != NULL; p++)
		if ((p == text || strchr(" \n", p[-1]) != NULL) &&
		    strchr(" \n", p[n]) != NULL)
			return true;
	return false;
}

/* Each flag of a setting stands in the help text. */
static bool
help_has(const char *help, const struct setting_info *info)
{
	char flag[64];
	const char *p = info->flags;
	size_t n;

	if (*p == '\0')
		return has_word(help, info->name);
	for (; *p != '\0'; p += n) {
		p += *p == ' ';
		n = strcspn(p, " ");
		snprintf(flag, sizeof(flag), "%.*s", (int)n, p);
		if (strstr(help, flag) == NULL)
			return false;
	}
	return true;
}

/* Set by the environment, with a value that it must accept. */
static bool
environ_sets(const char *prefix, enum setting id)
{
	const struct setting_info *info = setting_info(id);
	const char *value = info->fallback != NULL ? info->fallback :
	    info->check == CHECK_PAIRS ? "A=1" :
	    info->type == TYPE_DICT ? "A:1" : "1";
	struct settings *s = settings_new();
	struct notes notes = { NULL, 0 };
	char var[512], *env[] = { var, NULL };
	size_t i, n = strlen(prefix);
	bool set;

	snprintf(var, sizeof(var), "%s%s=%s", prefix, info->name, value);
	for (i = n; var[i] != '='; i++)
		if (var[i] >= 'a' && var[i] <= 'z')
			var[i] = (char)(var[i] - 'a' + 'A');
	set = environ_apply(s, env, false, &notes, NULL) == 0 &&
	    settings_given(s, id) && notes.n == 0;
	notes_done(&notes);
	settings_free(s);
	return set;
}

static void
test_whole(const char *name, const char *help, const char *printed)
{
	enum setting id = setting_find(name);
	const struct setting_info *info;

	if (!ok(id != SETTING_COUNT, "%s is a setting", name))
		return;
	info = setting_info(id);
	ok(help_has(help, info), "%s is in the help", name);
	ok(has_word(printed, info->name), "%s is printed", name);
	/* Hooks come from files: a variable must not run commands. */
	ok(environ_sets("GANGWAY_", id) == (info->type != TYPE_HOOK),
	    "%s in the environment", name);
	ok(environ_sets("GUNICORN_", id) == (id != SET_host &&
	    info->type != TYPE_HOOK), "%s with gunicorn's prefix", name);
}

static void
test_table(void)
{
	struct settings *s = settings_new();
	char *help = print_help(), *printed = print_config(s, NULL);
	size_t i, longest = 0, n;
	const char *p;

	ok(NTHEIRS == 119, "gunicorn has 119");
	ok(SETTING_COUNT == NTHEIRS + NOURS - 1, "and no more are in the "
	    "table than those and ours (app is wsgi_app)");
	for (i = 0; i < NTHEIRS; i++)
		test_whole(theirs[i], help, printed);
	for (i = 0; i < NOURS; i++)
		test_whole(ours[i], help, printed);
	for (p = help; *p != '\0'; p += n + (p[n] == '\n'))
		if ((n = strcspn(p, "\n")) > longest)
			longest = n;
	ok(longest <= 80, "help is %zu columns wide", longest);
	free(help);
	free(printed);
	settings_free(s);
}

/* What anybody may see holds no secrets: those are in variables and in the
 * commands of hooks. */
static void
test_public(void)
{
	static const struct {
		enum setting id;
		const char *value, *shown;
	} cases[] = {
		{ SET_raw_env, "TOKEN=abc", "[TOKEN=...]" },
		{ SET_when_ready, "curl -H abc https://x/", "..." },
		{ SET_when_ready, "<when_ready()>", "<when_ready()>" },
		{ SET_threads, "7", "7" },
		{ SET_umask, "0027", "0o27" },
	};
	struct settings *s = settings_new();
	char *got;
	size_t i;

	got = print_public(s, SET_when_ready);
	ok(got != NULL && strcmp(got, "None") == 0, "no hook is None");
	free(got);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ok(settings_set(s, cases[i].id, cases[i].value, "t",
		    NULL) == 0, "%s is set", cases[i].value);
		got = print_public(s, cases[i].id);
		ok(got != NULL && strcmp(got, cases[i].shown) == 0,
		    "%s is shown as %s", cases[i].value, cases[i].shown);
		free(got);
	}
	settings_free(s);
}

/* gangway.ini(5) has an entry for each setting. */
static void
test_manual(void)
{
	const char *top = getenv("top_srcdir");
	char path[1024], entry[128], *page = calloc(1, 1 << 17);
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/gangway.ini.5",
	    top != NULL ? top : ".");
	f = fopen(path, "r");
	if (ok(f != NULL, "the manual is there")) {
		ok(fread(page, 1, (1 << 17) - 1, f) > 0, "and is read");
		fclose(f);
	}
	for (i = 0; i < SETTING_COUNT; i++) {
		snprintf(entry, sizeof(entry), "\n.It Ic %s Pq ",
		    setting_info((enum setting)i)->name);
		ok(strstr(page, entry) != NULL, "%s is in the manual",
		    setting_info((enum setting)i)->name);
	}
	free(page);
}

static void
test_names(void)
{
	const char *near;

	ok(setting_find("access_log") == SET_accesslog, "an alias");
	ok(setting_find("worker-class") == SET_worker_class, "with dashes");
	ok(setting_find("Workers") == SETTING_COUNT, "case counts");
	ok(setting_find_global("threads") == SET_threads, "a global");
	ok(setting_find_global("host") == SETTING_COUNT &&
	    setting_find_global("app") == SETTING_COUNT,
	    "host and app are other things in a gunicorn.conf.py");
	near = setting_suggest("worker_clas");
	ok(near != NULL && strcmp(near, "worker_class") == 0, "a letter less");
	near = setting_suggest("wrokers");
	ok(near != NULL && strcmp(near, "workers") == 0, "two swapped");
	near = setting_suggest("MAX_REQUEST");
	ok(near != NULL && strcmp(near, "max_requests") == 0, "in capitals");
	ok(setting_suggest("sausage") == NULL, "nothing is near");
	ok(setting_suggest("") == NULL, "nor to nothing");
}

int
main(void)
{
	test_values();
	test_lists();
	test_ranks();
	test_request_timeout();
	test_names();
	test_table();
	test_manual();
	test_public();
	return tap_done();
}
