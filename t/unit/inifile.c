/* gangway.ini: what is read, and what every refusal says. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/inifile.h"
#include "t/lib/tap.h"

#define S40	"0123456789012345678901234567890123456789"
#define S160	S40 S40 S40 S40

static const struct {
	const char	*name, *text;
	const char	*why;		/* NULL: taken */
} files[] = {
	{ "empty",		"",				NULL },
	{ "only comments",	"# a\n; b\n\n",			NULL },
	{ "a section",		"[gangway]\nworkers = 3\n",	NULL },
	{ "no newline at end",	"[gangway]\nworkers = 3",	NULL },
	{ "CR LF",		"[gangway]\r\nworkers = 3\r\n",	NULL },
	{ "byte order mark",	"\xef\xbb\xbf[gangway]\nworkers = 3\n", NULL },
	{ "colon",		"[gangway]\nworkers: 3\n",	NULL },
	{ "dashes",		"[gangway]\nworker-class = sync\n", NULL },
	{ "alias",		"[gangway]\napp = a:b\n",	NULL },
	{ "list goes on",	"[gangway]\nbind = a,b\n  c\n",	NULL },
	{ "list again",		"[gangway]\nbind = a\nbind = b\n", NULL },
	{ "all sections",
	    "[gangway]\nprofile=x\n[host]\nworkers=2\n[profile x]\n"
	    "workers=1\n[env]\nA=b\n[hooks]\nwhen_ready=true\n",	NULL },
	{ "same in two profiles",
	    "[profile a]\nworkers=1\n[profile b]\nworkers=2\n",	NULL },
	{ "far over the limit",	"[env]\nA=" S160 S40 "\n",
	    "x:2: the line has 202 bytes" },
	{ "at the limit",	"[env]\nABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJK="
	    S160 "0\n",						NULL },
	{ "at the limit, CR LF",
	    "[env]\r\nABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJK=" S160 "0\r\n",
	    NULL },
	{ "over the limit",	"[env]\nABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJK="
	    S160 "01\nWRONG\n",		"x:2: the line has 200 bytes" },
	{ "no section",		"workers = 3\n",
	    "x:1: a section must come first" },
	{ "unknown section",	"[gangwy]\nworkers = 3\n",
	    "x:2: [gangwy] is not a section" },
	{ "unnamed profile",	"[profile ]\nworkers = 3\n",
	    "x:2: [profile ] is not a section" },
	{ "long section",	"[profile " S40 "0123456789]\nworkers=1\n",
	    "x:1: the section's name" },
	{ "misspelt",		"[gangway]\nworkrs = 3\n",
	    "x:2: 'workrs' is not a setting; did you mean workers?" },
	{ "unknown",		"[gangway]\nsausage = 3\n",
	    "x:2: 'sausage' is not a setting; gangway --help" },
	{ "bad value",		"[gangway]\n\nworkers = abc\n",
	    "Invalid value for workers: 'abc' (x:3): must be a whole" },
	{ "bad value in another section", "[profile p]\nworkers = -1\n",
	    "Invalid value for workers: '-1' (x:2): must be" },
	{ "twice",		"[gangway]\nworkers = 3\nworkers = 3\n",
	    "x:3: workers is given twice, first in line 2" },
	{ "twice, by its alias", "[gangway]\napp = a\nwsgi_app = b\n",
	    "x:3: wsgi_app is given twice, first in line 2" },
	{ "twice, section again",
	    "[gangway]\nworkers = 3\n[env]\nA=1\n[gangway]\nworkers = 4\n",
	    "x:6: workers is given twice" },
	{ "variable twice",	"[env]\nA=1\nA=2\n",
	    "x:3: A is given twice" },
	{ "one value goes on",	"[gangway]\nworkers = 3\n  threads = 4\n",
	    "x:3: the line is indented" },
	{ "hook outside",	"[gangway]\nwhen_ready = x\n",
	    "x:2: when_ready is a hook; it belongs in [hooks]" },
	{ "no hook",		"[hooks]\nworkers = 3\n",
	    "x:2: workers is not a hook" },
	{ "half a command",	"[hooks]\non_exit = a ; b\n",
	    "x:2: the command would end at the ';'" },
	{ "no command for it",	"[hooks]\npost_request = x\n",
	    "x:2: post_request happens with each request" },
	{ "another file",	"[gangway]\nconfig = x\n",
	    "x:2: config cannot" },
	{ "profile in a profile", "[profile a]\nprofile = b\n",
	    "x:2: a profile cannot" },
	{ "variable with a space", "[env]\nA B=1\n",
	    "x:2: a variable's name" },
	{ "escape in a section", "[\x1b[2J]\nA=1\n",
	    "x:2: [\\x1b[2J] is not" },
	{ "no name and value",	"[gangway]\nworkers\n",
	    "x:2: 'workers' is neither" },
	{ "first of two errors", "[gangway]\nrubbish\nworkers = abc\n",
	    "x:2: 'rubbish'" },
	{ "first of two, other way", "[gangway]\nworkers = abc\nrubbish\n",
	    "Invalid value for workers: 'abc' (x:2)" },
	{ "open bracket",	"[gangway\nworkers = 3\n",
	    "x:1: '[gangway' is neither" },
	{ "control bytes",	"[gangway]\nworkers = \x1b[31m\n",
	    "Invalid value for workers: '\\x1b[31m'" },
};

static void
test_files(void)
{
	struct ini ini;
	char *why;
	size_t i;
	int got;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		why = NULL;
		got = ini_parse_bytes(&ini, "x", files[i].text,
		    strlen(files[i].text), &why);
		if (!ok(files[i].why == NULL ? got == 0 : got == -1 &&
		    why != NULL && strncmp(why, files[i].why,
		    strlen(files[i].why)) == 0 && strchr(why, '\n') == NULL,
		    "%s", files[i].name))
			printf("# %s\n", why != NULL ? why : "taken");
		free(why);
		ini_done(&ini);
	}
	why = NULL;
	ok(ini_parse_bytes(&ini, "x", "[env]\nA=b\0c\n", 12, &why) == -1 &&
	    strcmp(why, "x:2: there is a NUL byte in the line") == 0, "NUL");
	free(why);
}

static void
test_apply(void)
{
	static const char text[] = "[gangway]\nbind = a,\n b\nthreads = 2\n"
	    "bind = c\n[host]\nthreads = 3\n[profile p]\nthreads = 5\n"
	    "max_requests = 6\n[profile q]\nmax_requests = 7\n";
	struct settings *s = settings_new();
	const char *const *bind;
	struct ini ini;
	size_t n;

	if (!ok(ini_parse_bytes(&ini, "f.ini", text, strlen(text), NULL) == 0,
	    "a file with all"))
		return;
	ok(ini_has_profile(&ini, "p") && !ini_has_profile(&ini, "r"),
	    "profiles are found");
	ini_apply(&ini, INI_GANGWAY, NULL, s, RANK_FILE);
	bind = settings_list(s, SET_bind, &n);
	ok(n == 3 && strcmp(bind[0], "a") == 0 && strcmp(bind[2], "c") == 0,
	    "a list over several lines");
	ok(settings_int(s, SET_threads) == 2 && strcmp(settings_source(s,
	    SET_threads), "f.ini:4") == 0, "the source is file and line");
	ini_apply(&ini, INI_HOST, NULL, s, RANK_FILE_HOST);
	ok(settings_int(s, SET_threads) == 3 && settings_meant_for_host(s,
	    SET_threads), "[host] is above [gangway]");
	ini_apply(&ini, INI_PROFILE, "p", s, RANK_FILE_PROFILE);
	ok(settings_int(s, SET_threads) == 3 &&
	    settings_int(s, SET_max_requests) == 6,
	    "a profile is below, and only the named one");
	ini_done(&ini);
	settings_free(s);
}

/* A file of so many bytes, all of them comments. */
static void
test_size(size_t n, bool fits)
{
	char path[] = "/tmp/inifile.XXXXXX", *why = NULL;
	FILE *f = fdopen(mkstemp(path), "w");
	struct ini ini;
	size_t i;
	int rv;

	if (f == NULL)
		return;
	for (i = 1; i <= n; i++)
		putc(i % 100 == 0 ? '\n' : ';', f);
	(void)fclose(f);
	rv = ini_read(&ini, path, &why);
	ok(fits ? rv == 0 : rv == -1 && strstr(why, ": longer than ") != NULL,
	    "a file of %zu bytes %s", n, fits ? "is read" : "is refused");
	if (rv == 0)
		ini_done(&ini);
	free(why);
	(void)unlink(path);
}

static void
test_missing(void)
{
	struct ini ini;
	char *why = NULL;

	ok(ini_read(&ini, "/nonexistent/x.ini", &why) == -1 && why != NULL &&
	    strncmp(why, "/nonexistent/x.ini: ", 20) == 0, "no such file");
	free(why);
	why = NULL;
	ok(ini_read(&ini, "/", &why) == -1 && why != NULL, "a directory");
	free(why);
	test_size(INI_BYTES_MAX, true);
	test_size(INI_BYTES_MAX + 1, false);
}

int
main(void)
{
	test_files();
	test_apply();
	test_missing();
	return tap_done();
}
