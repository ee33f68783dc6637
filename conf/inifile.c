#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/inifile.h"
#include "conf/table.h"
#include "conf/why.h"

enum { INI_SECTION_MAX = 49 };	/* inih cuts longer ones without a word */

/* What the line reader and the handler share. */
struct source {
	struct ini	*ini;
	const char	*p, *end;	/* bytes not yet read */
	int		 line;		/* the one that inih has now */
	bool		 indented;	/* ... begins with white space */
	bool		 comment;	/* ... has one after its value */
	bool		 failed;
	char		**why;
};

static int
refuse(struct source *s, char *reason)
{
	if (!s->failed)
		(void)why_set(s->why, "%s:%d: %s", s->ini->name, s->line,
		    reason != NULL ? reason : "out of memory");
	s->failed = true;
	free(reason);
	return 0;
}

/* Takes the reason. */
static int
refuse_value(struct source *s, enum setting id, const char *value,
    char *reason)
{
	char *place = text_new("%s:%d", s->ini->name, s->line);

	(void)why_value(s->why, setting_info(id)->name, value,
	    place != NULL ? place : s->ini->name, reason);
	free(place);
	s->failed = true;
	return 0;
}

/* A line that inih would cut or misread is refused before it sees it. */
static char *
line_bad(const char *p, size_t n, int max)
{
	const char *close;

	if (n > (size_t)max)
		return text_new("the line has %zu bytes, the most is %d: "
		    "a list goes on in an indented line", n, max);
	if (memchr(p, '\0', n) != NULL)
		return text_new("there is a NUL byte in the line");
	while (n > 0 && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	if (n > 0 && *p == '[' && (close = memchr(p, ']', n)) != NULL &&
	    close - p - 1 > INI_SECTION_MAX)
		return text_new("the section's name is longer than %d bytes",
		    INI_SECTION_MAX);
	return NULL;
}

/* inih takes what follows a semicolon after white space for one. */
static bool
has_comment(const char *p, size_t n)
{
	size_t i;

	for (i = 1; i < n; i++)
		if (p[i] == ';' && isspace((unsigned char)p[i - 1]))
			return true;
	return false;
}

/* inih's reader: one line without its end, NULL when there is no more. */
static char *
read_line(char *to, int size, void *arg)
{
	struct source *s = arg;
	const char *nl;
	char *bad;
	size_t n;

	if (s->failed || s->p == s->end)
		return NULL;
	s->line++;
	nl = memchr(s->p, '\n', (size_t)(s->end - s->p));
	n = (size_t)((nl != NULL ? nl : s->end) - s->p);
	if (n > 0 && s->p[n - 1] == '\r')
		n--;
	if ((bad = line_bad(s->p, n, size - 1)) != NULL) {
		(void)refuse(s, bad);
		return NULL;
	}
	memcpy(to, s->p, n);
	to[n] = '\0';
	s->indented = n > 0 && isspace((unsigned char)*to);
	s->comment = has_comment(to, n);
	s->p = nl != NULL ? nl + 1 : s->end;
	return to;
}

/* The section of that name and its profile's name; -1 when unknown. */
static int
section_of(const char *name, const char **profile)
{
	static const char *const names[] = {
		[INI_GANGWAY] = "gangway", [INI_HOST] = "host",
		[INI_ENV] = "env", [INI_HOOKS] = "hooks"
	};
	int i;

	*profile = NULL;
	if (strncmp(name, "profile", 7) == 0 &&
	    isspace((unsigned char)name[7])) {
		for (name += 7; isspace((unsigned char)*name); name++)
			;
		*profile = name;
		return *name != '\0' ? INI_PROFILE : -1;
	}
	for (i = 0; i <= INI_HOOKS; i++)
		if (names[i] != NULL && strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static char *
section_unknown(const char *name)
{
	char *shown, *s;

	if (*name == '\0')
		return text_new("a section must come first, such as "
		    "[gangway]");
	shown = text_shown(name);
	s = text_new("[%s] is not a section; they are [gangway], [host], "
	    "[profile NAME], [env] and [hooks]", shown != NULL ? shown : "");
	free(shown);
	return s;
}

static char *
name_unknown(const char *name)
{
	const char *near = setting_suggest(name);
	char *shown = text_shown(name), *s;

	if (near != NULL)
		s = text_new("'%s' is not a setting; did you mean %s?",
		    shown != NULL ? shown : "", near);
	else
		s = text_new("'%s' is not a setting; gangway --help lists "
		    "them", shown != NULL ? shown : "");
	free(shown);
	return s;
}

/* NULL when a setting may stand in this section. */
static char *
misplaced(enum ini_section section, enum setting id, const char *name)
{
	bool hook;

	if (id == SETTING_COUNT)
		return name_unknown(name);
	hook = setting_info(id)->type == TYPE_HOOK;
	if (section == INI_HOOKS && !hook)
		return text_new("%s is not a hook; it belongs in [gangway]",
		    setting_info(id)->name);
	if (section != INI_HOOKS && hook)
		return text_new("%s is a hook; it belongs in [hooks]",
		    setting_info(id)->name);
	if (id == SET_pre_request || id == SET_post_request)
		return text_new("%s happens with each request, which is no "
		    "place for a command: it is for functions of a "
		    "gunicorn.conf.py", setting_info(id)->name);
	if (id == SET_config)
		return text_new("config cannot name another file from here");
	if (section == INI_PROFILE && id == SET_profile)
		return text_new("a profile cannot name another one");
	return NULL;
}

static bool
same_place(const struct ini_item *it, const struct ini_item *of)
{
	if (it->section != of->section || it->id != of->id)
		return false;
	if (it->profile != NULL && strcmp(it->profile, of->profile) != 0)
		return false;
	return it->id != SETTING_COUNT || strcmp(it->name, of->name) == 0;
}

/* NULL unless a value that there can be only one of is given again. */
static char *
repeated(const struct source *s, const struct ini_item *item)
{
	enum setting_type type = TYPE_STRING;
	size_t i;

	if (item->id != SETTING_COUNT)
		type = setting_info(item->id)->type;
	if (type == TYPE_LIST || type == TYPE_DICT)
		return NULL;
	if (s->indented && s->ini->n > 0 &&
	    same_place(&s->ini->items[s->ini->n - 1], item))
		return text_new("the line is indented, so it goes on with "
		    "%s, which has one value: begin it in the first column",
		    item->name);
	for (i = 0; i < s->ini->n; i++)
		if (same_place(&s->ini->items[i], item))
			return text_new("%s is given twice, first in line %d",
			    item->name, s->ini->items[i].line);
	return NULL;
}

static char *
env_name_bad(const char *name)
{
	const unsigned char *p = (const unsigned char *)name;

	for (; *p > ' ' && *p != '=' && *p < 0x7f; p++)
		;
	if (*p == '\0' && *name != '\0')
		return NULL;
	return text_new("a variable's name has letters, digits and "
	    "underscores");
}

static int
keep(struct source *s, struct ini_item item, const char *profile,
    const char *name, const char *value)
{
	struct ini_item *items;

	items = reallocarray(s->ini->items, s->ini->n + 1, sizeof(*items));
	if (items == NULL)
		return refuse(s, NULL);
	s->ini->items = items;
	if (profile != NULL && (item.profile = strdup(profile)) == NULL)
		return refuse(s, NULL);
	item.name = strdup(name);
	item.value = strdup(value);
	items[s->ini->n++] = item;
	if (item.name == NULL || item.value == NULL)
		return refuse(s, NULL);
	return 1;
}

/* inih's handler: one name and value; 0 is its word for an error. */
static int
handle(void *arg, const char *section, const char *name, const char *value)
{
	struct source *s = arg;
	struct ini_item item = { .line = s->line, .id = SETTING_COUNT };
	const char *profile;
	char *bad, *reason = NULL;
	int kind = section_of(section, &profile);

	if (s->failed)
		return 0;
	if (kind == -1)
		return refuse(s, section_unknown(section));
	item.section = (enum ini_section)kind;
	if (kind == INI_ENV)
		bad = env_name_bad(name);
	else {
		item.id = setting_find(name);
		bad = misplaced(item.section, item.id, name);
	}
	/* for same_place(); keep() makes copies */
	item.name = (char *)(uintptr_t)name;
	item.profile = (char *)(uintptr_t)profile;
	if (bad == NULL)
		bad = repeated(s, &item);
	/* Half a command could do harm. */
	if (bad == NULL && kind == INI_HOOKS && s->comment)
		bad = text_new("the command would end at the ';', which "
		    "begins a comment after a space: write \"a; b\"");
	if (bad != NULL)
		return refuse(s, bad);
	if (item.id != SETTING_COUNT &&
	    settings_check(item.id, value, &reason) == -1)
		return refuse_value(s, item.id, value, reason);
	item.profile = NULL;
	return keep(s, item, profile, name, value);
}

/* inih found no name and value in this line, and no section. */
static void
syntax(struct source *s, const char *bytes, const char *end, int line)
{
	const char *nl;
	char *text, *shown;
	int i;

	for (i = 1; i < line; i++)
		if ((nl = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL)
			bytes = nl + 1;
	if ((nl = memchr(bytes, '\n', (size_t)(end - bytes))) == NULL)
		nl = end;
	text = strndup(bytes, (size_t)(nl - bytes));
	shown = text != NULL ? text_shown(text) : NULL;
	if (s->failed) {
		free(*s->why);
		*s->why = NULL;
	}
	s->failed = false;
	s->line = line;
	(void)refuse(s, text_new("'%s' is neither [section] nor name = value",
	    shown != NULL ? shown : ""));
	free(shown);
	free(text);
}

int
ini_parse_bytes(struct ini *ini, const char *name, const char *bytes,
    size_t n, char **why)
{
	struct source s = { .ini = ini, .p = bytes, .end = bytes + n };
	char *reason = NULL;
	int line;

	memset(ini, 0, sizeof(*ini));
	s.why = &reason;
	if ((ini->name = strdup(name)) == NULL)
		return why_set(why, "%s: out of memory", name);
	line = ini_parse_stream(read_line, &s, handle, &s);
	/* the first line that is wrong is the one to speak of */
	if (line > 0 && (!s.failed || line < s.line))
		syntax(&s, bytes, bytes + n, line);
	if (!s.failed && line == 0)
		return 0;
	if (reason == NULL)
		(void)why_set(&reason, "%s: out of memory", name);
	ini_done(ini);
	if (why != NULL)
		*why = reason;
	else
		free(reason);
	return -1;
}

int
ini_read(struct ini *ini, const char *path, char **why)
{
	FILE *f = fopen(path, "re");
	char *bytes = NULL;
	size_t n;
	int error;

	memset(ini, 0, sizeof(*ini));
	if (f == NULL)
		return why_set(why, "%s: %s", path, strerror(errno));
	if ((bytes = malloc(INI_BYTES_MAX + 1)) == NULL)
		goto fail;
	n = fread(bytes, 1, INI_BYTES_MAX + 1, f);
	if (ferror(f))
		goto fail;
	if (n > INI_BYTES_MAX)
		error = why_set(why, "%s: longer than %d bytes", path,
		    INI_BYTES_MAX);
	else
		error = ini_parse_bytes(ini, path, bytes, n, why);
	free(bytes);
	fclose(f);
	return error;
fail:
	(void)why_set(why, "%s: %s", path, strerror(errno));
	free(bytes);
	fclose(f);
	return -1;
}

void
ini_done(struct ini *ini)
{
	while (ini->n > 0) {
		ini->n--;
		free(ini->items[ini->n].profile);
		free(ini->items[ini->n].name);
		free(ini->items[ini->n].value);
	}
	free(ini->items);
	free(ini->name);
	memset(ini, 0, sizeof(*ini));
}

bool
ini_has_profile(const struct ini *ini, const char *profile)
{
	size_t i;

	for (i = 0; i < ini->n; i++)
		if (ini->items[i].section == INI_PROFILE &&
		    strcmp(ini->items[i].profile, profile) == 0)
			return true;
	return false;
}

int
ini_apply(const struct ini *ini, enum ini_section section,
    const char *profile, struct settings *s, enum settings_rank rank)
{
	const struct ini_item *it;
	char *source;
	size_t i;
	int error;

	settings_from(s, rank);
	for (i = 0; i < ini->n; i++) {
		it = &ini->items[i];
		if (it->section != section || (profile != NULL &&
		    strcmp(it->profile, profile) != 0))
			continue;
		if ((source = text_new("%s:%d", ini->name, it->line)) == NULL)
			return -1;
		error = settings_add(s, it->id, it->value, true, source, NULL);
		free(source);
		if (error == -1)
			return -1;
	}
	return 0;
}
