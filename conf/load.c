#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/environ.h"
#include "conf/export.h"
#include "conf/flags.h"
#include "conf/hosting.h"
#include "conf/inifile.h"
#include "conf/load.h"
#include "conf/print.h"
#include "conf/profile.h"
#include "conf/settings.h"
#include "conf/settle.h"
#include "conf/why.h"

#define INI_DEFAULT	"gangway.ini"
#define PYTHON_DEFAULT	"gunicorn.conf.py"
#define APP_FILE	"passenger_wsgi.py"
#define APP_DEFAULT	"passenger_wsgi:application"

struct loading {
	const struct load_input *in;
	struct load_result *out;
	struct settings	*s;
	struct notes	 notes;
	struct notes	 exported;	/* NAME=VALUE */
	struct ini	 ini;		/* empty without a gangway.ini */
	char		*app;		/* positional APP */
	char		*cwd;		/* of the start */
	bool		 python;	/* file is for evaluate() */
};

/* End here; `why` becomes "Error: why", or stays alone for usage errors. */
static int
leave(struct loading *l, int status, char *why)
{
	struct load_result *out = l->out;

	out->exit = true;
	out->status = status;
	if (why != NULL)
		out->output = text_new("%s%s\n", status == 2 ? "" : "Error: ",
		    why);
	free(why);
	return -1;
}

static int
no_memory(struct loading *l)
{
	return leave(l, 1, strdup("out of memory"));
}

/* --help or --version: not a failure, but the end all the same. */
static int
show(struct loading *l, char *text)
{
	l->out->exit = true;
	l->out->status = 0;
	l->out->output = text;
	return text != NULL ? -1 : no_memory(l);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0;
}

/* A path from the directory of the start. */
static char *
from_start(const struct loading *l, const char *path)
{
	if (*path == '/')
		return strdup(path);
	return text_new("%s/%s", l->cwd, path);
}

static int
take_flags(struct loading *l, int n, char *const *words, const char *source,
    bool command)
{
	struct flags flags;
	char *why = NULL;
	int status = 1;

	settings_from(l->s, command ? RANK_COMMAND : RANK_CMD_ARGS);
	if (flags_apply(l->s, n, words, source, &flags, &status, &why) == -1)
		return leave(l, status, why);
	if (flags.help)
		return show(l, print_help());
	if (flags.version)
		return show(l, text_new("gangway (version %s)\n",
		    PACKAGE_VERSION));
	/* As in gunicorn, GUNICORN_CMD_ARGS names no application. */
	if (!command || flags.app == NULL)
		return 0;
	if ((l->app = strdup(flags.app)) == NULL)
		return no_memory(l);
	return 0;
}

static int
take_cmd_args(struct loading *l)
{
	const char *args = environ_get(l->in->environ, "GUNICORN_CMD_ARGS");
	char **words, *why = NULL;
	size_t n;
	int error;

	if (args == NULL)
		return 0;
	if ((words = words_split(args, &n, &why)) == NULL) {
		error = leave(l, 1, text_new("GUNICORN_CMD_ARGS: %s", why));
		free(why);
		return error;
	}
	error = take_flags(l, (int)n, words, "env GUNICORN_CMD_ARGS", false);
	words_free(words);
	return error;
}

/* APP of the command line: the application, or a settings file. */
static int
take_app(struct loading *l)
{
	enum setting id = SET_wsgi_app;
	char *reason = NULL;

	if (l->app == NULL)
		return 0;
	settings_from(l->s, RANK_COMMAND);
	if (ends_with(l->app, ".ini"))
		id = SET_config;
	if (settings_set(l->s, id, l->app, "command line", &reason) == 0)
		return 0;
	free(reason);
	return no_memory(l);
}

static int
take_environ(struct loading *l)
{
	char *why = NULL;

	if (environ_apply(l->s, l->in->environ,
	    hosting_manages(l->in->hosting), &l->notes,
	    &why) == -1)
		return leave(l, 1, why);
	return 0;
}

static int
go_to_dir(struct loading *l)
{
	const char *dir = settings_string(l->s, SET_chdir);
	char *path, *reason;

	if (dir == NULL)
		return 0;
	if ((path = from_start(l, dir)) == NULL)
		return no_memory(l);
	if (chdir(path) == 0) {
		free(path);
		return 0;
	}
	free(path);
	(void)why_value(&reason, "chdir", dir, settings_source(l->s,
	    SET_chdir), text_new("%s", strerror(errno)));
	return leave(l, 1, reason);
}

/* Which file, and is it ours or Python's; out->file stays NULL for none. */
static int
choose_file(struct loading *l)
{
	const char *name = settings_string(l->s, SET_config);
	bool ini = access(INI_DEFAULT, F_OK) == 0;
	bool python = access(PYTHON_DEFAULT, F_OK) == 0;
	struct load_result *out = l->out;
	int error;

	if (name == NULL) {
		if (!ini && !python)
			return 0;
		if (ini && python)
			notes_add(&l->notes, "%s is ignored, because there "
			    "is a %s", PYTHON_DEFAULT, INI_DEFAULT);
		out->file = strdup(ini ? INI_DEFAULT : PYTHON_DEFAULT);
		l->python = !ini;
		return out->file != NULL ? 0 : no_memory(l);
	}
	l->python = !ends_with(name, ".ini");
	if (strncmp(name, "python:", 7) == 0) {
		out->file = strdup(name);
		return out->file != NULL ? 0 : no_memory(l);
	}
	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	if ((out->file = from_start(l, name)) == NULL)
		return no_memory(l);
	if (access(out->file, R_OK) == 0)
		return 0;
	error = errno;
	return leave(l, 1, text_new("cannot read the settings file %s (%s): "
	    "%s", name, settings_source(l->s, SET_config), strerror(error)));
}

static int
export_variable(struct loading *l, const char *name, size_t n,
    const char *value)
{
	if (export_set(&l->exported, name, n, value) == 0)
		return 0;
	return leave(l, 1, text_new("cannot set the environment variable "
	    "%.*s: %s", (int)n, name, strerror(errno)));
}

static int
export_all(struct loading *l)
{
	const char *const *items = settings_list(l->s, SET_raw_env, NULL);
	const struct ini_item *it;
	size_t i, n;

	for (i = 0; i < l->ini.n; i++) {
		it = &l->ini.items[i];
		if (it->section == INI_ENV && export_variable(l, it->name,
		    strlen(it->name), it->value) == -1)
			return -1;
	}
	for (; *items != NULL; items++) {
		n = strcspn(*items, "=");
		if (export_variable(l, *items, n, *items + n + 1) == -1)
			return -1;
	}
	return 0;
}

static int
take_ini(struct loading *l)
{
	char *why = NULL;

	if (ini_read(&l->ini, l->out->file, &why) == -1)
		return leave(l, 1, why);
	if (ini_apply(&l->ini, INI_GANGWAY, NULL, l->s, RANK_FILE) == -1 ||
	    ini_apply(&l->ini, INI_HOOKS, NULL, l->s, RANK_FILE) == -1)
		return no_memory(l);
	if (hosting_manages(l->in->hosting) &&
	    ini_apply(&l->ini, INI_HOST, NULL, l->s,
	    RANK_FILE_HOST) == -1)
		return no_memory(l);
	return 0;
}

static int
take_python(struct loading *l)
{
	char *why = NULL;

	if (l->in->evaluate == NULL)
		return leave(l, 1, text_new("%s is Python, which this gangway "
		    "was built without: write a " INI_DEFAULT,
		    l->out->file));
	if (export_all(l) == -1)
		return -1;
	settings_from(l->s, RANK_FILE);
	if (l->in->evaluate(l->in->arg, l->out->file, l->s, &why) == -1)
		return leave(l, 1, why);
	return 0;
}

static int
take_file(struct loading *l)
{
	if (choose_file(l) == -1)
		return -1;
	if (l->out->file == NULL)
		return 0;
	return l->python ? take_python(l) : take_ini(l);
}

static bool
called_gunicorn(const struct load_input *in)
{
	const char *name = in->argc > 0 ? in->argv[0] : "";
	const char *slash = strrchr(name, '/');

	return strcmp(slash != NULL ? slash + 1 : name, "gunicorn") == 0;
}

static int
profile_unknown(struct loading *l, const char *name)
{
	const char *near = profile_suggest(name);
	char *why;

	(void)why_value(&why, "profile", name, settings_source(l->s,
	    SET_profile), text_new("must be %s, or a [profile %s] of your "
	    "own in %s%s%s%s", profile_names(), name, INI_DEFAULT,
	    near != NULL ? "; did you mean " : "", near != NULL ? near : "",
	    near != NULL ? "?" : ""));
	return leave(l, 1, why);
}

/* The profile that the start implies, then the one that was named. One's
 * own may have the name of one of ours: then it adds to that. */
static int
take_profiles(struct loading *l)
{
	const char *name = settings_string(l->s, SET_profile);
	enum settings_rank rank = RANK_FILE_PROFILE;
	bool implied = l->python || called_gunicorn(l->in);

	if (implied && profile_apply(l->s, "gunicorn", rank) == -1)
		return no_memory(l);
	if (name == NULL) {
		if (implied && (l->out->profile = strdup("gunicorn")) == NULL)
			return no_memory(l);
		return 0;
	}
	if (!profile_known(name) && !ini_has_profile(&l->ini, name))
		return profile_unknown(l, name);
	/* gunicorn's defaults stay below a file's values, being defaults */
	if (settings_rank(l->s, SET_profile) > RANK_FILE_HOST &&
	    strcmp(name, "gunicorn") != 0)
		rank = RANK_PROFILE;
	if (profile_apply(l->s, name, rank) == -1 ||
	    ini_apply(&l->ini, INI_PROFILE, name, l->s, rank) == -1)
		return no_memory(l);
	l->out->profile = strdup(name);
	return l->out->profile != NULL ? 0 : no_memory(l);
}

static int
find_app(struct loading *l)
{
	const char *app = settings_string(l->s, SET_wsgi_app);

	if (app == NULL && access(APP_FILE, F_OK) == 0) {
		settings_from(l->s, RANK_DEFAULT);
		if (settings_set(l->s, SET_wsgi_app, APP_DEFAULT,
		    APP_FILE " is here", NULL) == -1)
			return no_memory(l);
		/* None, said by somebody, is outranked by what is here */
		app = APP_DEFAULT;
	}
	if (app == NULL && l->in->app != NULL) {
		settings_from(l->s, RANK_DEFAULT);
		if (settings_set(l->s, SET_wsgi_app, l->in->app,
		    "the host's word", NULL) == -1)
			return no_memory(l);
		app = l->in->app;
	}
	if (app == NULL && settings_bool(l->s, SET_print_config))
		return 0;
	if (app == NULL)
		return leave(l, 1, strdup("no application: name one, such as "
		    "\"gangway MODULE:CALLABLE\", or put a " APP_FILE
		    " here"));
	l->out->app = strdup(app);
	return l->out->app != NULL ? 0 : no_memory(l);
}

static int
finish(struct loading *l)
{
	char *why = NULL;

	if (settle(l->s, &l->out->workers_why, &why) == -1)
		return leave(l, 1, why);
	settle_notes(l->s, l->in->hosting, &l->notes);
	return export_all(l);
}

/* The sources by rank, not in order: a value's rank decides who wins. The
 * order here is the one in which they are needed. */
static int
load(struct loading *l)
{
	const struct load_input *in = l->in;

	if (take_flags(l, in->argc > 0 ? in->argc - 1 : 0, in->argv + 1,
	    "command line", true) == -1 || take_cmd_args(l) == -1 ||
	    take_app(l) == -1 || take_environ(l) == -1)
		return -1;
	if (in->before != NULL)
		export_back(in->before->exported, in->environ);
	/* once for where the files are, once for what they say */
	if (go_to_dir(l) == -1 || take_file(l) == -1 ||
	    take_profiles(l) == -1 || go_to_dir(l) == -1)
		return -1;
	if (find_app(l) == -1)
		return -1;
	return finish(l);
}

static char **
list_end(struct notes *list)
{
	char **v = reallocarray(list->v, list->n + 1, sizeof(*v));

	if (v != NULL)
		v[list->n] = NULL;
	else
		notes_done(list);
	list->v = NULL;
	return v;
}

int
settings_load(const struct load_input *in, struct load_result *out)
{
	struct loading l = { .in = in, .out = out };
	int error = -1, here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(out, 0, sizeof(*out));
	l.cwd = in->cwd != NULL ? strdup(in->cwd) : getcwd(NULL, 0);
	if (l.cwd == NULL)
		(void)leave(&l, 1, text_new("where are we? %s",
		    strerror(errno)));
	else if ((l.s = settings_new()) == NULL)
		(void)no_memory(&l);
	else if (chdir(l.cwd) == -1)
		(void)leave(&l, 1, text_new("%s: %s", l.cwd,
		    strerror(errno)));
	else
		error = load(&l);
	out->exported = list_end(&l.exported);
	if (error == -1) {
		load_result_undo(out, in->before, in->environ);
		if (here != -1)
			(void)fchdir(here);	/* best effort */
	}
	if (here != -1)
		close(here);
	if (l.s != NULL)
		settings_from(l.s, RANK_COMMAND);
	out->settings = l.s;
	out->nnotes = l.notes.n;
	out->notes = l.notes.v;
	ini_done(&l.ini);
	free(l.app);
	free(l.cwd);
	return error;
}

void
load_result_undo(const struct load_result *r, const struct load_result *before,
    char *const *env)
{
	export_back(r->exported, env);
	if (before != NULL)
		export_again(before->exported);
}

void
load_result_done(struct load_result *out)
{
	struct notes notes = { out->notes, out->nnotes };
	char **name;

	settings_free(out->settings);
	free(out->app);
	free(out->file);
	free(out->profile);
	free(out->workers_why);
	notes_done(&notes);
	for (name = out->exported; name != NULL && *name != NULL; name++)
		free(*name);
	free(out->exported);
	free(out->output);
	memset(out, 0, sizeof(*out));
}
