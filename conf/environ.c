#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/environ.h"
#include "conf/settings.h"
#include "conf/why.h"

enum { NAME_MAX_BYTES = 64 };	/* longer than any setting's name */

const char *
environ_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env != NULL && *env != NULL; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return (*env)[n + 1] != '\0' ? *env + n + 1 : NULL;
	return NULL;
}

/* Set from the variable of that name; -1 with the whole sentence. */
static int
apply(struct settings *s, enum setting id, const char *name,
    const char *value, char **why)
{
	char source[NAME_MAX_BYTES * 2], *reason = NULL;

	snprintf(source, sizeof(source), "env %s", name);
	if (settings_set(s, id, value, source, &reason) == 0)
		return 0;
	return why_value(why, setting_info(id)->name, value, source, reason);
}

static int
apply_port(struct settings *s, const char *port, char **why)
{
	char address[32];
	size_t n = strlen(port);

	if (n > 5 || strspn(port, "0123456789") != n ||
	    strtol(port, NULL, 10) > 65535)
		return why_value(why, "bind", port, "env PORT",
		    text_new("must be a port, 0 to 65535"));
	snprintf(address, sizeof(address), "0.0.0.0:%s", port);
	return apply(s, SET_bind, "PORT", address, why);
}

static int
apply_platform(struct settings *s, char *const *env, bool hosted, char **why)
{
	const char *v;

	settings_from(s, RANK_PLATFORM);
	if ((v = environ_get(env, "WEB_CONCURRENCY")) != NULL &&
	    apply(s, SET_workers, "WEB_CONCURRENCY", v, why) == -1)
		return -1;
	if ((v = environ_get(env, "FORWARDED_ALLOW_IPS")) != NULL &&
	    apply(s, SET_forwarded_allow_ips, "FORWARDED_ALLOW_IPS", v,
	    why) == -1)
		return -1;
	if ((v = environ_get(env, "SENDFILE")) != NULL) {
		/* gunicorn's words for it; all others mean no */
		v = strcasecmp(v, "y") == 0 || strcasecmp(v, "yes") == 0 ||
		    strcasecmp(v, "true") == 0 || strcmp(v, "1") == 0 ?
		    "true" : "false";
		if (apply(s, SET_sendfile, "SENDFILE", v, why) == -1)
			return -1;
	}
	if (hosted)
		return 0;
	if ((v = environ_get(env, "SCRIPT_NAME")) != NULL &&
	    apply(s, SET_script_name, "SCRIPT_NAME", v, why) == -1)
		return -1;
	if ((v = environ_get(env, "PORT")) != NULL)
		return apply_port(s, v, why);
	return 0;
}

/* The name before the '=' without its prefix, in lower case. */
static bool
lower_name(char *to, size_t size, const char *from)
{
	size_t i, n = strcspn(from, "=");

	if (n == 0 || n >= size)
		return false;
	for (i = 0; i < n; i++)
		to[i] = (char)tolower((unsigned char)from[i]);
	to[n] = '\0';
	return true;
}

static void
note_unknown(struct notes *notes, const char *name, const char *low)
{
	const char *near = setting_suggest(low);
	char like[NAME_MAX_BYTES];
	size_t i;

	if (near == NULL) {
		notes_add(notes, "%s is not a setting: ignored", name);
		return;
	}
	for (i = 0; near[i] != '\0' && i < sizeof(like) - 1; i++)
		like[i] = (char)toupper((unsigned char)near[i]);
	like[i] = '\0';
	notes_add(notes, "%s is not a setting: ignored. Did you mean "
	    "GANGWAY_%s?", name, like);
}

/* Ours, but no setting: LIBDIR is fcgi/kind.c's, the next two are
 * shim/passenger's, the rest are facts for a command of [hooks]. */
static bool
is_other(const char *low)
{
	static const char *const names[] = { "libdir", "bin", "boarded",
		"event", "pid", "worker_pid", "worker_age", "exit_status",
		"exit_signal", "requests", "nworkers", "nworkers_before" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(low, names[i]) == 0)
			return true;
	return false;
}

/* One GUNICORN_* or GANGWAY_* variable; `rest` is after the prefix. */
static int
apply_variable(struct settings *s, const char *var, const char *rest,
    bool ours, struct notes *notes, char **why)
{
	char low[NAME_MAX_BYTES], name[NAME_MAX_BYTES * 2];
	const char *value = strchr(var, '=') + 1;
	enum setting id;

	if (*value == '\0' || !lower_name(low, sizeof(low), rest))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - var), var);
	id = setting_find(low);
	/* GUNICORN_HOST is many a script's word for an address. */
	if (!ours && id == SET_host)
		return 0;
	if (id != SETTING_COUNT && setting_info(id)->type == TYPE_HOOK) {
		notes_add(notes, "%s is ignored: a hook belongs in [hooks] or "
		    "in a gunicorn.conf.py", name);
		return 0;
	}
	if (id != SETTING_COUNT) {
		settings_from(s, ours ? RANK_GANGWAY : RANK_GUNICORN);
		return apply(s, id, name, value, why);
	}
	if (ours && !is_other(low))
		note_unknown(notes, name, low);
	return 0;
}

int
environ_apply(struct settings *s, char *const *env, bool hosted,
    struct notes *notes, char **why)
{
	static const char theirs[] = "GUNICORN_", ours[] = "GANGWAY_";
	const size_t ntheirs = sizeof(theirs) - 1, nours = sizeof(ours) - 1;
	int error = 0;

	if (apply_platform(s, env, hosted, why) == -1)
		return -1;
	for (; error == 0 && env != NULL && *env != NULL; env++) {
		if (strchr(*env, '=') == NULL)
			continue;
		if (strncmp(*env, theirs, ntheirs) == 0)
			error = apply_variable(s, *env, *env + ntheirs, false,
			    notes, why);
		else if (strncmp(*env, ours, nours) == 0)
			error = apply_variable(s, *env, *env + nours, true,
			    notes, why);
	}
	return error;
}

/* Copy one word to `to`, without its quotes. The rest of the line, or NULL
 * when a quote stays open. */
static const char *
word_copy(char *to, const char *p)
{
	char quote = '\0';

	for (; *p != '\0' && (quote != '\0' || !isspace((unsigned char)*p));
	    p++) {
		if (*p == quote)
			quote = '\0';
		else if (quote == '\0' && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && p[1] != '\0' && (quote == '\0' ||
		    (quote == '"' && (p[1] == '"' || p[1] == '\\'))))
			*to++ = *++p;
		else
			*to++ = *p;
	}
	*to = '\0';
	return quote == '\0' ? p : NULL;
}

char **
words_split(const char *line, size_t *n, char **why)
{
	size_t max = strlen(line) / 2 + 2;
	char **words = calloc(max, sizeof(*words));

	*n = 0;
	if (words == NULL)
		goto no_memory;
	for (;;) {
		while (isspace((unsigned char)*line))
			line++;
		if (*line == '\0')
			return words;
		if ((words[*n] = malloc(strlen(line) + 1)) == NULL)
			goto no_memory;
		if ((line = word_copy(words[(*n)++], line)) == NULL)
			break;
	}
	(void)why_set(why, "a quote is not closed");
	words_free(words);
	return NULL;
no_memory:
	(void)why_set(why, "out of memory");
	words_free(words);
	return NULL;
}

void
words_free(char **words)
{
	char **w;

	for (w = words; w != NULL && *w != NULL; w++)
		free(*w);
	free(words);
}
