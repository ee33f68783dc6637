/* All sources together: who wins, which file, what is refused. */
#include "config.h"

#include <sys/stat.h>

#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/environ.h"
#include "conf/hosting.h"
#include "conf/load.h"
#include "conf/settings.h"
#include "t/lib/tap.h"

#define INI(text)	"gangway.ini", text
#define PY		"gunicorn.conf.py", "\n"

/* A start in an own directory. The "Python file" sets what `python` says:
 * NAME=VALUE words. */
static const struct {
	const char	*name;
	const char	*files[4];	/* name, text, ... */
	const char	*python;
	const char	*env;		/* NAME=VALUE words */
	const char	*line;		/* argv[0] too */
	bool		 hosted;
	enum setting	 id;
	const char	*value;		/* a list has bars; NULL: it leaves */
	const char	*source;	/* begins so; or the output has this */
} starts[] = {
	{ "default", { 0 }, "", "", "gangway a:b", false,
	    SET_threads, "4", "default" },
	{ "platform", { 0 }, "", "WEB_CONCURRENCY=6", "gangway a:b", false,
	    SET_workers, "6", "env WEB_CONCURRENCY" },
	{ "port", { 0 }, "", "PORT=81", "gangway a:b", false,
	    SET_bind, "0.0.0.0:81", "env PORT" },
	{ "the last port", { 0 }, "", "PORT=65535", "gangway a:b", false,
	    SET_bind, "0.0.0.0:65535", "env PORT" },
	{ "no port", { 0 }, "", "PORT=65536", "gangway a:b", false,
	    SET_bind, NULL, "1 Error: Invalid value for bind: '65536' (env P" },
	{ "an address is no host", { 0 }, "", "GUNICORN_HOST=127.0.0.1",
	    "gangway a:b", false, SET_host, "auto", "default" },
	{ "our host", { 0 }, "", "GANGWAY_HOST=standalone", "gangway a:b",
	    false, SET_host, "standalone", "env GANGWAY_HOST" },
	{ "no port under a host", { 0 }, "", "PORT=81", "gangway a:b", true,
	    SET_bind, "127.0.0.1:8000", "default" },
	{ "file over platform", { INI("[gangway]\nworkers = 7\n") }, "",
	    "WEB_CONCURRENCY=6", "gangway a:b", false,
	    SET_workers, "7", "gangway.ini:2" },
	{ "profile in the file, under it",
	    { INI("[gangway]\nprofile = production\nworkers = 7\n") }, "",
	    "", "gangway a:b", false, SET_workers, "7", "gangway.ini:3" },
	{ "... and over the default",
	    { INI("[gangway]\nprofile = production\n") }, "",
	    "", "gangway a:b", false, SET_loglevel, "warning",
	    "profile production" },
	{ "... with all that it says",
	    { INI("[gangway]\nprofile = production\n") }, "",
	    "", "gangway a:b", false, SET_max_requests, "1000",
	    "profile production" },
	{ "... and under the platform",
	    { INI("[gangway]\nprofile = production\n") }, "",
	    "WEB_CONCURRENCY=6", "gangway a:b", false, SET_workers, "6",
	    "env WEB_CONCURRENCY" },
	{ "named profile over the file", { INI("[gangway]\nworkers = 7\n") },
	    "", "GANGWAY_PROFILE=production", "gangway a:b", false,
	    SET_workers, "4", "profile production" },
	{ "own profile", { INI("[profile me]\nthreads = 9\n") }, "", "",
	    "gangway a:b --profile me", false, SET_threads, "9",
	    "gangway.ini:2" },
	{ "own adds to ours", { INI("[profile production]\nthreads = 9\n") },
	    "", "", "gangway a:b --profile production", false,
	    SET_threads, "9", "gangway.ini:2" },
	{ "the rest of it", { INI("[profile production]\nthreads = 9\n") },
	    "", "", "gangway a:b --profile production", false,
	    SET_workers, "4", "profile production" },
	{ "gunicorn's over a named profile", { 0 }, "",
	    "GANGWAY_PROFILE=production GUNICORN_WORKERS=8", "gangway a:b",
	    false, SET_workers, "8", "env GUNICORN_WORKERS" },
	{ "ours over gunicorn's", { 0 }, "",
	    "GANGWAY_WORKERS=9 GUNICORN_WORKERS=8", "gangway a:b",
	    false, SET_workers, "9", "env GANGWAY_WORKERS" },
	{ "arguments over variables", { 0 }, "",
	    "GANGWAY_WORKERS=9 GUNICORN_CMD_ARGS=-w10", "gangway a:b",
	    false, SET_workers, "10", "env GUNICORN_CMD_ARGS" },
	{ "command line over all", { INI("[gangway]\nworkers = 7\n") }, "",
	    "GANGWAY_WORKERS=9 GUNICORN_CMD_ARGS=-w10", "gangway a:b -w 11",
	    false, SET_workers, "11", "command line" },
	{ "lists are replaced", { INI("[gangway]\nbind = a:1, b:2\n") }, "",
	    "", "gangway a:b -b c:3 -b d:4", false, SET_bind, "c:3|d:4",
	    "command line" },
	{ "empty is unset", { 0 }, "", "GUNICORN_PIDFILE= GUNICORN_WORKERS=",
	    "gangway a:b -w2", false, SET_pidfile, "", "default" },
	{ "the mission's names", { 0 }, "", "GUNICORN_ACCESS_LOG=x.log",
	    "gangway a:b", false, SET_accesslog, "x.log",
	    "env GUNICORN_ACCESS_LOG" },
	{ "a pid is no pidfile", { 0 }, "", "GUNICORN_PID=1 GUNICORN_FD=3",
	    "gangway a:b", false, SET_pidfile, "", "default" },
	{ "[host] not here", { INI("[host]\nthreads = 7\n") }, "", "",
	    "gangway a:b", false, SET_threads, "4", "default" },
	{ "[host] under a host",
	    { INI("[gangway]\nthreads = 6\n[host]\nthreads = 7\n") }, "", "",
	    "gangway a:b", true, SET_threads, "7", "gangway.ini:4" },

	{ "Python", { PY }, "threads=3 worker_class=gthread", "",
	    "gangway a:b", false, SET_threads, "3", "gunicorn.conf.py" },
	{ "implies gunicorn's defaults", { PY }, "threads=3", "",
	    "gangway a:b", false, SET_keepalive, "2", "profile gunicorn" },
	{ "named gunicorn", { 0 }, "", "", "/usr/bin/gunicorn a:b", false,
	    SET_timeout, "30", "profile gunicorn" },
	{ "sync with threads", { PY }, "threads=3", "", "gangway a:b", false,
	    SET_worker_class, "gthread", "profile gunicorn, threads: guni" },
	{ "sync without", { PY }, "workers=3", "", "gangway a:b", false,
	    SET_worker_class, "sync", "profile gunicorn" },
	{ "sync, threads nobody set", { 0 }, "", "", "gangway a:b -k sync",
	    false, SET_worker_class, "sync", "command line" },
	{ "Python over platform", { PY }, "workers=3", "WEB_CONCURRENCY=6",
	    "gangway a:b", false, SET_workers, "3", "gunicorn.conf.py" },
	{ "environment over Python", { PY }, "workers=3",
	    "GUNICORN_WORKERS=6", "gangway a:b", false,
	    SET_workers, "6", "env GUNICORN_WORKERS" },
	{ "gunicorn named is no more than defaults", { PY }, "workers=3",
	    "", "gangway a:b --profile gunicorn", false,
	    SET_workers, "3", "gunicorn.conf.py" },
	{ "ours before Python", { INI("[gangway]\nthreads = 5\n"), PY },
	    "threads=3", "", "gangway a:b", false,
	    SET_threads, "5", "gangway.ini:2" },
	{ "-c chooses", { INI("[gangway]\nthreads = 5\n"), PY }, "threads=3",
	    "", "gangway a:b -c gunicorn.conf.py", false,
	    SET_threads, "3", "gunicorn.conf.py" },
	{ "file:", { PY }, "threads=3",
	    "", "gangway a:b -c file:gunicorn.conf.py", false,
	    SET_threads, "3", "gunicorn.conf.py" },
	{ "-c in the arguments", { "x.ini", "[gangway]\nthreads = 5\n" }, "",
	    "GUNICORN_CMD_ARGS=-cx.ini", "gangway a:b", false,
	    SET_threads, "5", "/" },
	{ "APP is a settings file",
	    { "x.ini", "[gangway]\napp = c:d\n" }, "", "", "gangway x.ini",
	    false, SET_app, "c:d", "/" },
	{ "python:", { 0 }, "threads=3", "", "gangway a:b -c python:m",
	    false, SET_threads, "3", "gunicorn.conf.py" },
	{ "files after chdir", { "sub/gangway.ini", "[gangway]\nthreads=6\n" },
	    "", "", "gangway a:b --chdir sub", false,
	    SET_threads, "6", "gangway.ini:2" },
	{ "-c before chdir", { "x.ini", "[gangway]\nthreads = 7\n",
	    "sub/x.ini", "[gangway]\nthreads=6\n" },
	    "", "", "gangway a:b --chdir sub -c x.ini", false,
	    SET_threads, "7", "/" },
	{ "chdir in the file", { INI("[gangway]\nchdir = sub\n"),
	    "sub/passenger_wsgi.py", "" }, "", "", "gangway", false,
	    SET_app, "passenger_wsgi:application", "passenger_wsgi.py is" },
	{ "passenger_wsgi.py", { "passenger_wsgi.py", "" }, "", "",
	    "gangway", false, SET_app, "passenger_wsgi:application",
	    "passenger_wsgi.py is here" },
	{ "APP over it", { "passenger_wsgi.py", "" }, "", "GANGWAY_APP=x:y",
	    "gangway a:b", false, SET_app, "a:b", "command line" },
	{ "GANGWAY_APP", { "passenger_wsgi.py", "" }, "", "GANGWAY_APP=x:y",
	    "gangway", false, SET_app, "x:y", "env GANGWAY_APP" },
	{ "no APP, but print", { 0 }, "", "", "gangway --print-config",
	    false, SET_print_config, "true", "command line" },

	{ "no application", { 0 }, "", "", "gangway", false,
	    SET_app, NULL, "1 Error: no application" },
	{ "help", { 0 }, "", "", "gangway -h", false,
	    SET_app, NULL, "0 usage: gangway" },
	{ "version", { 0 }, "", "", "gangway --version", false,
	    SET_app, NULL, "0 gangway (version " PACKAGE_VERSION ")" },
	{ "usage", { 0 }, "", "", "gangway --sausage", false,
	    SET_app, NULL, "2 gangway: error: unrec" },
	{ "bad value", { 0 }, "", "GANGWAY_WORKERS=x", "gangway a:b", false,
	    SET_app, NULL,
	    "1 Error: Invalid value for workers: 'x' (env GANGWAY_WORKERS): " },
	{ "bad value in the file", { INI("[gangway]\nworkers=x\n") }, "", "",
	    "gangway a:b", false, SET_app, NULL,
	    "1 Error: Invalid value for workers: 'x' (gangway.ini:2): must" },
	{ "bad value in Python", { PY }, "workers=x", "",
	    "gangway a:b", false, SET_app, NULL, "1 Error: python said" },
	{ "no such file", { 0 }, "", "", "gangway a:b -c x.ini", false,
	    SET_app, NULL, "1 Error: cannot read the settings file x.ini" },
	{ "no such directory", { 0 }, "", "", "gangway a:b --chdir x", false,
	    SET_app, NULL, "1 Error: Invalid value for chdir: 'x' (command" },
	{ "no such profile", { 0 }, "", "", "gangway a:b --profile dev",
	    false, SET_app, NULL, "1 Error: Invalid value for profile" },
	{ "half a profile's name", { 0 }, "", "", "gangway a:b --profile prod",
	    false, SET_app, NULL, "1 Error: Invalid value for profile: 'prod' "
	    "(command line): must be development, production, "
	    "high-availability or gunicorn, or a [profile prod] of your own "
	    "in gangway.ini; did you mean production?\n" },
	{ "open quote", { 0 }, "", "GUNICORN_CMD_ARGS='", "gangway a:b",
	    false, SET_app, NULL, "1 Error: GUNICORN_CMD_ARGS: a quote" },
	{ "class of later", { 0 }, "", "", "gangway a:b -k gevent", false,
	    SET_app, NULL, "1 Error: worker_class gevent (command line)" },
	{ "... overridden", { INI("[gangway]\nworker_class=gevent\n") }, "",
	    "", "gangway a:b -k sync", false, SET_worker_class, "sync",
	    "command line" },
	{ "certificate", { INI("[gangway]\ncertfile=x\n") }, "", "",
	    "gangway a:b", false, SET_app, NULL,
	    "1 Error: certfile (gangway.ini:2) is not possible yet" },
	{ "uwsgi", { 0 }, "", "", "gangway a:b --protocol uwsgi", false,
	    SET_app, NULL, "1 Error: protocol uwsgi" },
	{ "h1 is what we speak", { 0 }, "", "",
	    "gangway a:b --http-protocols h1", false, SET_http_protocols,
	    "h1", "command line" },
	{ "h2", { 0 }, "", "", "gangway a:b --http-protocols h1,h2", false,
	    SET_app, NULL, "1 Error: http_protocols" },
};

static char start_dir[64];

static int
take_away(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* An empty directory to be in, with a sub/ in it. */
static void
dir_new(void)
{
	snprintf(start_dir, sizeof(start_dir), "/tmp/load.XXXXXX");
	if (mkdtemp(start_dir) == NULL || chdir(start_dir) == -1 ||
	    mkdir("sub", 0700) == -1)
		perror(start_dir);
}

static void
dir_gone(void)
{
	if (chdir("/") == -1)
		perror("/");
	(void)nftw(start_dir, take_away, 8, FTW_DEPTH | FTW_PHYS);
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) != 0)
		perror(path);
}

static const struct hosting fastcgi = { .kind = HOST_FASTCGI };

/* Stands for the interpreter. */
static int
evaluate(void *arg, const char *path, struct settings *into, char **why)
{
	char **words, *value, *reason = NULL;
	size_t i, n;
	int error = 0;

	(void)path;
	if ((words = words_split(arg, &n, NULL)) == NULL)
		return -1;
	for (i = 0; error == 0 && i < n; i++) {
		value = strchr(words[i], '=');
		*value++ = '\0';
		error = settings_set(into, setting_find_global(words[i]),
		    value, "gunicorn.conf.py", &reason);
	}
	free(reason);
	if (error == -1)
		*why = strdup("python said no");
	words_free(words);
	return error;
}

static void
shown(char *to, size_t size, const struct settings *s, enum setting id)
{
	const char *const *items = settings_list(s, id, NULL);

	snprintf(to, size, "%s", settings_string(s, id) != NULL ?
	    settings_string(s, id) : "");
	for (; *items != NULL; items++) {
		if (*to != '\0')
			strlcat(to, "|", size);
		strlcat(to, *items, size);
	}
}

static void
test_start(size_t i)
{
	struct load_input in = { .hosting = starts[i].hosted ? &fastcgi : NULL,
	    .evaluate = evaluate, .arg = (char *)(uintptr_t)starts[i].python };
	char **words, **env, value[256] = "", got[512] = "";
	struct load_result out;
	const char *want;
	size_t j, n;

	dir_new();
	for (j = 0; j < 4 && starts[i].files[j] != NULL; j += 2)
		put(starts[i].files[j], starts[i].files[j + 1]);
	words = words_split(starts[i].line, &n, NULL);
	in.argc = (int)n;
	in.argv = words;
	env = words_split(starts[i].env, &n, NULL);
	if (env == NULL) {	/* the case of an open quote */
		env = calloc(2, sizeof(*env));
		env[0] = strdup(starts[i].env);
	}
	in.environ = env;
	if (settings_load(&in, &out) == 0) {
		shown(value, sizeof(value), out.settings, starts[i].id);
		snprintf(got, sizeof(got), "%s", settings_source(out.settings,
		    starts[i].id));
	} else
		snprintf(got, sizeof(got), "%d %s", out.status,
		    out.output != NULL ? out.output : "");
	want = starts[i].source;
	if (!ok(out.exit == (starts[i].value == NULL) &&
	    strncmp(got, want, strlen(want)) == 0 && (out.exit ||
	    strcmp(value, starts[i].value) == 0), "%s", starts[i].name))
		printf("# '%s' %s\n", value, got);
	load_result_done(&out);
	words_free(words);
	words_free(env);
	dir_gone();
}

/* Load with a line and no environment, as seen by the caller. */
static int
load_line(struct load_result *out, const char *line, bool hosted,
    const char *cwd, const struct load_result *before)
{
	struct load_input in = { .hosting = hosted ? &fastcgi : NULL,
	    .cwd = cwd, .before = before };
	char *env[] = { (char[]){ "LOAD_KEPT=first" }, NULL };
	size_t n;
	char **words = words_split(line, &n, NULL);
	int error;

	in.argc = (int)n;
	in.argv = words;
	in.environ = env;
	error = settings_load(&in, out);
	words_free(words);
	return error;
}

static bool
has_note(const struct load_result *out, const char *note)
{
	size_t i;

	for (i = 0; i < out->nnotes; i++)
		if (strstr(out->notes[i], note) != NULL)
			return true;
	return false;
}

static void
test_notes(void)
{
	struct load_result out;

	dir_new();
	put("gangway.ini", "[gangway]\nstatsd_host = h\n[hooks]\n"
	    "dirty_post_fork = x\n");
	put("gunicorn.conf.py", "");
	load_line(&out, "gangway a:b --reload --spew=no -p x -w 3", true,
	    NULL, NULL);
	ok(has_note(&out,
	    "not in force yet: statsd_host, reload, dirty_post_fork"),
	    "what is not in force is noted in one line");
	ok(has_note(&out, "pidfile (command line) is overridden by the host, "
	    "fastcgi: it may start several of us"), "and what a host "
	    "overrides, in one each");
	ok(has_note(&out, "gunicorn.conf.py is ignored"), "and the other file");
	ok(out.nnotes == 3, "and no more");
	load_result_done(&out);
	put("gangway.ini", "[gangway]\nworkers = 3\n");
	load_line(&out, "gangway a:b", true, NULL, NULL);
	ok(has_note(&out, "workers (gangway.ini:2) is overridden by the "
	    "host, fastcgi: it starts as many") &&
	    !settings_meant_for_host(out.settings, SET_workers),
	    "workers that were not meant for a host");
	load_result_done(&out);
	load_line(&out, "gangway a:b -w auto", false, NULL, NULL);
	ok(settings_int(out.settings, SET_workers) >= 1 &&
	    out.workers_why != NULL && strncmp(settings_source(out.settings,
	    SET_workers), "command line, auto: ", 20) == 0,
	    "auto is a number, with the reason");
	load_result_done(&out);
	dir_gone();
}

static bool
env_is(const char *name, const char *value)
{
	const char *v = getenv(name);

	return value == NULL ? v == NULL : v != NULL && strcmp(v, value) == 0;
}

static bool
here_is(const char *tail)
{
	char cwd[PATH_MAX], want[PATH_MAX];

	snprintf(want, sizeof(want), "%s%s", start_dir, tail);
	return getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, want) == 0;
}

/* The process around it: variables and the working directory. */
static void
test_process(void)
{
	struct load_result first, second, broken;

	setenv("LOAD_KEPT", "first", 1);
	dir_new();
	put("sub/gangway.ini", "[env]\nLOAD_NEW = 1\nLOAD_KEPT = other\n"
	    "LOAD_RAW = x\nLOAD_GONE = 1\n");
	load_line(&first, "gangway a:b -e LOAD_RAW=a,b --chdir sub", false,
	    start_dir, NULL);
	ok(env_is("LOAD_NEW", "1") && env_is("LOAD_KEPT", "other") &&
	    env_is("LOAD_RAW", "a,b") && env_is("LOAD_GONE", "1"),
	    "[env] and --env are set");
	ok(here_is("/sub"), "chdir is done");
	put("gangway.ini", "[env]\nLOAD_NEW = 2\nLOAD_RAW = x\n");
	ok(load_line(&second, "gangway a:b -e LOAD_RAW=a,b --chdir sub",
	    false, start_dir, &first) == 0 && here_is("/sub") &&
	    env_is("LOAD_NEW", "2") && env_is("LOAD_KEPT", "first") &&
	    env_is("LOAD_GONE", NULL),
	    "a reload: the same directory, and what is gone is undone");
	load_result_done(&first);
	put("gangway.ini", "[env]\nLOAD_NEW = 3\nLOAD_LATE = 1\n");
	ok(load_line(&broken, "gangway a:b -k gevent --chdir sub", false,
	    start_dir, &second) == -1 && here_is("/sub") &&
	    env_is("LOAD_NEW", "2") && env_is("LOAD_RAW", "a,b") &&
	    env_is("LOAD_LATE", NULL), "a failed one changes nothing");
	load_result_done(&broken);
	ok(load_line(&broken, "gangway a:b -k gevent", false, start_dir,
	    &second) == -1 && here_is("/sub"), "nor where we are");
	load_result_done(&broken);
	load_result_done(&second);
	dir_gone();
}

/* Which application, where the host has a word in it too. */
static void
test_host_app(void)
{
	static const struct {
		const char	*name, *words[4], *want;
	} rows[] = {
		{ "the host's", { "gangway" }, "/srv/site.py" },
		{ "the command line's", { "gangway", "a:b" }, "a:b" },
	};
	struct load_input in = { .cwd = start_dir, .app = "/srv/site.py" };
	struct load_result out;
	char *argv[4];
	size_t i, n;

	dir_new();
	in.environ = environ;
	in.argv = argv;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (n = 0; rows[i].words[n] != NULL; n++)
			argv[n] = strdup(rows[i].words[n]);
		argv[n] = NULL;
		in.argc = (int)n;
		ok(settings_load(&in, &out) == 0 &&
		    strcmp(out.app, rows[i].want) == 0, "the application: %s",
		    rows[i].name);
		load_result_done(&out);
		while (n > 0)
			free(argv[--n]);
	}
	put("passenger_wsgi.py", "");
	argv[0] = strdup("gangway");
	argv[1] = NULL;
	in.argc = 1;
	ok(settings_load(&in, &out) == 0 &&
	    strcmp(out.app, "passenger_wsgi:application") == 0,
	    "the application: the usual file's before the host's");
	load_result_done(&out);
	free(argv[0]);
	dir_gone();
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		test_start(i);
	test_notes();
	test_host_app();
	test_process();
	return tap_done();
}
