/* The command line: one line a case. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/environ.h"
#include "conf/flags.h"
#include "conf/settings.h"
#include "t/lib/tap.h"

/* A line, split as a shell does; what a setting then is. */
static const struct {
	const char	*name, *line;
	enum setting	 id;
	const char	*value;		/* a list has bars; NULL: unset */
	const char	*app;
} lines[] = {
	{ "nothing",		"",			SET_bind,
	    "127.0.0.1:8000",	NULL },
	{ "short",		"-w 4 a:b",		SET_workers, "4",
	    "a:b" },
	{ "short, joined",	"-w4 a:b",		SET_workers, "4",
	    "a:b" },
	{ "short, =",		"-w=4",			SET_workers, "4",
	    NULL },
	{ "long",		"--workers 4 a:b",	SET_workers, "4",
	    "a:b" },
	{ "long, =",		"--workers=4",		SET_workers, "4",
	    NULL },
	{ "prefix",		"--worker-cl sync",	SET_worker_class,
	    "sync", NULL },
	{ "exact before prefix", "--reload a:b",	SET_reload, "true",
	    "a:b" },
	{ "auto",		"-w auto",		SET_workers, "auto",
	    NULL },
	{ "later wins",		"-w 1 -w 2",		SET_workers, "2",
	    NULL },
	{ "repeated",		"-b a -b b:1 --bind=c",	SET_bind, "a|b:1|c",
	    NULL },
	{ "repeated, commas stay", "-e A=1,2 -e B=3",	SET_raw_env,
	    "A=1,2|B=3", NULL },
	{ "comma list",		"--pythonpath a,b",	SET_pythonpath, "a|b",
	    NULL },
	{ "bools together",	"-DR a:b",		SET_daemon, "true",
	    "a:b" },
	{ "bool, then value",	"-Dw3",			SET_workers, "3",
	    NULL },
	{ "bool with a value",	"--reload=no",		SET_reload, "no",
	    NULL },
	{ "negating",		"--no-sendfile",	SET_sendfile, "false",
	    NULL },
	{ "named as negating",	"--no-control-socket",
	    SET_control_socket_disable,
	    "true", NULL },
	{ "application first",	"a:b -w 3",		SET_workers, "3",
	    "a:b" },
	{ "more applications",	"a:b c:d -w 3",		SET_workers, "3",
	    "a:b" },
	{ "after --",		"-w 3 -- -x:y",		SET_workers, "3",
	    "-x:y" },
	{ "value is -",		"--access-logfile - a:b", SET_accesslog, "-",
	    "a:b" },
	{ "value with a space",	"--access-logformat '-- %(h)s' a:b",
	    SET_access_log_format, "-- %(h)s", "a:b" },
	{ "factory",		"'a:f(\"x\")' -w 1",	SET_workers, "1",
	    "a:f(\"x\")" },
	{ "octal",		"-m 0022",		SET_umask, "0022",
	    NULL },
	{ "underscore flag",	"--limit-request-field_size 9",
	    SET_limit_request_field_size, "9", NULL },
	{ "optional value",	"--proxy-protocol a:b",	SET_proxy_protocol,
	    "auto", "a:b" },
	{ "... given",		"--proxy-protocol v1 a:b", SET_proxy_protocol,
	    "v1", "a:b" },
	{ "... at the end",	"a:b --proxy-protocol",	SET_proxy_protocol,
	    "auto", "a:b" },
	{ "two names",		"--log-file x",		SET_errorlog, "x",
	    NULL },
};

/* What the refusal must say. */
static const struct {
	const char	*name, *line;
	int		 status;
	const char	*says;
} refusals[] = {
	{ "unknown",		"--sausage",	2,	"unrecognized" },
	{ "unknown, short",	"-Z",		2,	"-Z" },
	{ "misspelt",		"--wrokers 3",	2,
	    "did you mean --workers" },
	{ "misspelt, =",	"--thread5=3",	2,
	    "did you mean --threads" },
	{ "ambiguous",		"--work 3",	2,	"could match" },
	{ "no value",		"-w",		2,	"expected one" },
	{ "a flag for a value",	"-b -w",	2,	"-b/--bind" },
	{ "no number",		"-w abc",	2,	"'abc'" },
	{ "number too low",	"-w -2",	1,	"must be a whole" },
	{ "none of",		"--reload-engine x", 1,	"auto, poll or" },
	{ "bad bool",		"--reload=maybe", 1,	"true or false" },
	{ "value for no-",	"--no-sendfile=1", 2,	"no value" },
	{ "no pair",		"-e x",		1,	"NAME=VALUE" },
};

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
test_lines(void)
{
	struct settings *s;
	struct flags flags;
	char **words, got[128], *why = NULL;
	int status;
	size_t i, n;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		s = settings_new();
		words = words_split(lines[i].line, &n, NULL);
		if (!ok(flags_apply(s, (int)n, words, "command line", &flags,
		    &status, &why) == 0, "%s: taken", lines[i].name))
			printf("# %s\n", why);
		shown(got, sizeof(got), s, lines[i].id);
		if (!ok(strcmp(got, lines[i].value) == 0, "%s",
		    lines[i].name))
			printf("# %s\n", got);
		ok(lines[i].app == NULL ? flags.app == NULL :
		    flags.app != NULL && strcmp(flags.app, lines[i].app) == 0,
		    "%s: application", lines[i].name);
		words_free(words);
		settings_free(s);
	}
}

static void
test_refusals(void)
{
	struct settings *s = settings_new();
	struct flags flags;
	char **words, *why;
	int status, got;
	size_t i, n;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		why = NULL;
		status = 0;
		words = words_split(refusals[i].line, &n, NULL);
		got = flags_apply(s, (int)n, words, "command line", &flags,
		    &status, &why);
		if (!ok(got == -1 && status == refusals[i].status &&
		    why != NULL && strstr(why, refusals[i].says) != NULL,
		    "%s: refused", refusals[i].name))
			printf("# %d %s\n", status, why != NULL ? why : "");
		free(why);
		words_free(words);
	}
	settings_free(s);
}

static void
test_leaving(void)
{
	char *help[] = { (char[]){ "-h" }, (char[]){ "--bad" }, NULL };
	char *version[] = { (char[]){ "a:b" }, (char[]){ "--version" }, NULL };
	struct settings *s = settings_new();
	struct flags flags;
	int status;

	ok(flags_apply(s, 2, help, "t", &flags, &status, NULL) == 0 &&
	    flags.help, "-h ends the reading");
	ok(flags_apply(s, 2, version, "t", &flags, &status, NULL) == 0 &&
	    flags.version, "--version");
	settings_free(s);
}

static const struct {
	const char	*line;
	const char	*words;		/* with bars; NULL: refused */
} splits[] = {
	{ "",			"" },
	{ "  a\tb ",		"a|b" },
	{ "'a b' \"c d\"",	"a b|c d" },
	{ "a'b c'd",		"ab cd" },
	{ "a\\ b",		"a b" },
	{ "\"a\\\"b\\c\"",	"a\"b\\c" },
	{ "'a\\b'",		"a\\b" },
	{ "''",			"" },
	{ "'a",			NULL },
	{ "\"a",		NULL },
};

static void
test_splits(void)
{
	char **words, **w, got[128], *why;
	size_t i, n;

	for (i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		why = NULL;
		*got = '\0';
		words = words_split(splits[i].line, &n, &why);
		for (w = words; w != NULL && *w != NULL; w++) {
			if (w != words)
				strlcat(got, "|", sizeof(got));
			strlcat(got, *w, sizeof(got));
		}
		ok(splits[i].words == NULL ? words == NULL && why != NULL :
		    words != NULL && strcmp(got, splits[i].words) == 0,
		    "split [%s]", splits[i].line);
		free(why);
		words_free(words);
	}
}

int
main(void)
{
	test_lines();
	test_refusals();
	test_leaving();
	test_splits();
	return tap_done();
}
