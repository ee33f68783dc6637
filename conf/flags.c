#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/flags.h"
#include "conf/settings.h"
#include "conf/table.h"
#include "conf/value.h"
#include "conf/why.h"

enum { FLAG_HELP = SETTING_COUNT + 1, FLAG_VERSION };

struct reader {
	struct settings	*settings;
	char *const	*words;		/* what is left */
	int		 n;
	const char	*source;
	struct flags	*flags;
	int		*status;
	char		**why;
};

/* The flags of an id, also of the two that are no settings. */
static const char *
flags_of(int id)
{
	if (id == FLAG_HELP)
		return "-h --help";
	if (id == FLAG_VERSION)
		return "-v --version";
	return id < SETTING_COUNT ? setting_info((enum setting)id)->flags : "";
}

/* The next flag in a list of them; its length, 0 at the end. */
static size_t
flag_next(const char **p, const char *before, size_t nbefore)
{
	*p = before + nbefore;
	*p += **p == ' ';
	return strcspn(*p, " ");
}

/* Does this id have a flag that is (or begins with) the n bytes? */
static bool
flag_has(int id, const char *word, size_t n, bool begins)
{
	const char *p = flags_of(id);
	size_t len = 0;

	while ((len = flag_next(&p, p, len)) > 0)
		if ((begins ? len > n : len == n) && strncmp(p, word, n) == 0)
			return true;
	return false;
}

static const char *
long_flag(int id)
{
	const char *p = strstr(flags_of(id), "--");

	return p != NULL ? p : "";
}

/* How gunicorn's users know it: -w/--workers */
static char *
flag_shown(int id)
{
	char *s = strdup(flags_of(id)), *p;

	for (p = s; p != NULL && *p != '\0'; p++)
		if (*p == ' ')
			*p = '/';
	return s;
}

static int
usage(struct reader *r, char *reason)
{
	*r->status = 2;
	(void)why_set(r->why, "gangway: error: %s", reason != NULL ? reason :
	    "out of memory");
	free(reason);
	return -1;
}

static int
usage_flag(struct reader *r, int id, const char *text)
{
	char *flag = flag_shown(id);
	int error = usage(r, text_new("argument %s: %s",
	    flag != NULL ? flag : "", text));

	free(flag);
	return error;
}

static int
usage_unknown(struct reader *r, const char *word, size_t n)
{
	char *name = strndup(word, n), *shown = NULL;
	const char *best = NULL, *p;
	unsigned int d, least = word_near(word) + 1;
	size_t len, best_n = 0;
	char *one;
	int id, error;

	for (id = 0; name != NULL && id <= FLAG_VERSION; id++) {
		p = flags_of(id);
		for (len = 0; (len = flag_next(&p, p, len)) > 0; ) {
			if (len <= 2)
				continue;
			one = strndup(p, len);
			d = one != NULL ? word_distance(name, one) : least;
			free(one);
			if (d < least) {
				least = d;
				best = p;
				best_n = len;
			}
		}
	}
	shown = text_shown(name != NULL ? name : "");
	error = usage(r, text_new("unrecognized argument: %s%s%.*s%s",
	    shown != NULL ? shown : "", best != NULL ? " (did you mean " : "",
	    (int)best_n, best != NULL ? best : "", best != NULL ? "?)" : ""));
	free(shown);
	free(name);
	return error;
}

/* The id of a long flag, of which a beginning is enough when no other flag
 * begins so. SETTING_COUNT, with the reason given, when there is none. */
static int
find_long(struct reader *r, const char *word, size_t n)
{
	int id, found = SETTING_COUNT;

	for (id = 0; id <= FLAG_VERSION; id++)
		if (flag_has(id, word, n, false))
			return id;
	for (id = 0; id <= FLAG_VERSION; id++) {
		if (n <= 2 || !flag_has(id, word, n, true))
			continue;
		if (found != SETTING_COUNT) {
			(void)usage(r, text_new("ambiguous option: %.*s could "
			    "match %.*s, %.*s", (int)n, word,
			    (int)strcspn(long_flag(found), " "),
			    long_flag(found), (int)strcspn(long_flag(id), " "),
			    long_flag(id)));
			return SETTING_COUNT;
		}
		found = id;
	}
	if (found == SETTING_COUNT)
		(void)usage_unknown(r, word, n);
	return found;
}

/* May this word be a flag's value? As in gunicorn, -5 and "-" may. */
static bool
is_value(const char *word)
{
	if (word[0] != '-' || word[1] == '\0' || strchr(word, ' ') != NULL)
		return true;
	return isdigit((unsigned char)word[1]) != 0;
}

/* No number where one must be: for gunicorn, that is a matter of usage. */
static int
usage_number(struct reader *r, enum setting id, const char *value)
{
	char *reason = NULL, *shown = text_shown(value), *text;
	int error;

	(void)settings_check(id, value, &reason);
	text = text_new("invalid value '%s': %s", shown != NULL ? shown : "",
	    reason != NULL ? reason : "");
	error = usage_flag(r, id, text != NULL ? text : "invalid value");
	free(reason);
	free(shown);
	free(text);
	return error;
}

static int
set(struct reader *r, enum setting id, const char *value)
{
	const struct setting_info *info = setting_info(id);
	char *reason = NULL;
	int error;

	if (info->type == TYPE_INT && !value_is_number(info, value))
		return usage_number(r, id, value);
	error = info->traits & SETTING_REPEAT ?
	    settings_add(r->settings, id, value, false, r->source, &reason) :
	    settings_set(r->settings, id, value, r->source, &reason);
	if (error == 0)
		return 0;
	*r->status = 1;
	return why_value(r->why, info->name, value, r->source, reason);
}

/* A flag of a bool; its value, if it has one, came with it (--reload=no). */
static int
set_bool(struct reader *r, enum setting id, const char *value)
{
	bool negates = setting_info(id)->traits & SETTING_FLAG_NEGATES;

	if (value == NULL)
		return set(r, id, negates ? "false" : "true");
	if (negates)
		return usage_flag(r, id, "takes no value");
	return set(r, id, value);
}

/* One flag, with the value that was in the same word, or NULL. */
static int
flag(struct reader *r, int id, const char *value)
{
	const struct setting_info *info;

	if (id > SETTING_COUNT) {
		r->flags->help |= id == FLAG_HELP;
		r->flags->version |= id == FLAG_VERSION;
		return 0;
	}
	info = setting_info((enum setting)id);
	if (info->type == TYPE_BOOL)
		return set_bool(r, (enum setting)id, value);
	if (value == NULL && info->bare != NULL && (r->n == 0 ||
	    settings_check((enum setting)id, r->words[0], NULL) == -1))
		value = info->bare;
	if (value == NULL) {
		if (r->n == 0 || !is_value(r->words[0]))
			return usage_flag(r, id, "expected one argument");
		value = *r->words++;
		r->n--;
	}
	return set(r, (enum setting)id, value);
}

/* A word such as -w4, -w=4, -w (and 4 follows) or -DR. */
static int
short_flags(struct reader *r, const char *word)
{
	char name[3] = "-?";
	const char *p;
	int id;

	for (p = word + 1; *p != '\0'; p++) {
		name[1] = *p;
		for (id = 0; id <= FLAG_VERSION; id++)
			if (flag_has(id, name, 2, false))
				break;
		if (id > FLAG_VERSION)
			return usage_unknown(r, word, strlen(word));
		if (id > SETTING_COUNT || setting_info((enum setting)id)->type
		    == TYPE_BOOL) {
			if (flag(r, id, NULL) == -1)
				return -1;
			continue;
		}
		p++;
		if (*p == '\0')
			return flag(r, id, NULL);
		return flag(r, id, *p == '=' ? p + 1 : p);
	}
	return 0;
}

static int
long_word(struct reader *r, const char *word)
{
	size_t n = strcspn(word, "=");
	int id = find_long(r, word, n);

	if (id == SETTING_COUNT)
		return -1;
	return flag(r, id, word[n] == '=' ? word + n + 1 : NULL);
}

int
flags_apply(struct settings *s, int n, char *const *words,
    const char *source, struct flags *flags, int *status, char **why)
{
	struct reader r = { s, words, n, source, flags, status, why };
	const char *word;
	bool only_words = false;
	int error;

	memset(flags, 0, sizeof(*flags));
	while (r.n > 0 && !flags->help && !flags->version) {
		word = *r.words++;
		r.n--;
		if (!only_words && strcmp(word, "--") == 0) {
			only_words = true;
			continue;
		}
		if (only_words || word[0] != '-' || is_value(word)) {
			/* More than one is ignored, as gunicorn does. */
			if (flags->app == NULL && *word != '\0')
				flags->app = word;
			continue;
		}
		error = word[1] == '-' ? long_word(&r, word) :
		    short_flags(&r, word);
		if (error == -1)
			return -1;
	}
	return 0;
}
