#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/hosting.h"
#include "conf/print.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 79 };

static int
by_name(const void *a, const void *b)
{
	const enum setting *x = a, *y = b;

	return strcmp(setting_info(*x)->name, setting_info(*y)->name);
}

/* A string as Python's repr() has it. */
static void
print_quoted(FILE *f, const char *s, size_t n)
{
	char quote = memchr(s, '\'', n) != NULL && memchr(s, '"', n) == NULL ?
	    '"' : '\'';

	fputc(quote, f);
	for (; n > 0; n--, s++) {
		if (*s == quote || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s < ' ')
			fprintf(f, "\\x%02x", (unsigned char)*s);
		else
			fputc(*s, f);
	}
	fputc(quote, f);
}

static void
print_items(FILE *f, const struct settings *s, enum setting id)
{
	bool dict = setting_info(id)->type == TYPE_DICT;
	const char *const *items;
	size_t i, n, key;

	items = settings_list(s, id, &n);
	fputc(dict ? '{' : '[', f);
	for (i = 0; i < n; i++) {
		if (i > 0)
			fputs(", ", f);
		key = dict ? strcspn(items[i], ":") : strlen(items[i]);
		print_quoted(f, items[i], key);
		if (!dict)
			continue;
		fputs(": ", f);
		print_quoted(f, items[i] + key + 1, strlen(items[i] + key + 1));
	}
	fputc(dict ? '}' : ']', f);
}

static void
print_value(FILE *f, const struct settings *s, enum setting id)
{
	const struct setting_info *info = setting_info(id);
	const char *p;

	if (info->type == TYPE_LIST || info->type == TYPE_DICT)
		print_items(f, s, id);
	else if (!settings_has(s, id))
		fputs("None", f);
	else if (info->type == TYPE_BOOL)
		fputs(settings_bool(s, id) ? "True" : "False", f);
	else if (info->type == TYPE_INT && info->traits & SETTING_OCTAL)
		fprintf(f, "0o%lo", (unsigned long)settings_int(s, id));
	else if (info->type == TYPE_INT && !settings_auto(s, id))
		fprintf(f, "%ld", settings_int(s, id));
	else		/* one line, whatever is in it */
		for (p = settings_string(s, id); *p != '\0'; p++)
			fputc((unsigned char)*p < ' ' ? ' ' : *p, f);
}

/* Environment variables are where applications are told their secrets. */
static void
print_names(FILE *f, const struct settings *s, enum setting id)
{
	const char *const *items;
	size_t i, n, name;

	items = settings_list(s, id, &n);
	fputc('[', f);
	for (i = 0; i < n; i++) {
		name = strcspn(items[i], "=");
		fprintf(f, "%s%.*s=...", i > 0 ? ", " : "", (int)name,
		    items[i]);
	}
	fputc(']', f);
}

/* So may a command be told; a function's name tells nothing. */
static bool
is_command(const struct settings *s, enum setting id)
{
	return setting_info(id)->type == TYPE_HOOK && settings_has(s, id) &&
	    settings_string(s, id)[0] != '<';
}

char *
print_public(const struct settings *s, enum setting id)
{
	char *text = NULL;
	size_t size;
	FILE *f;

	if ((f = open_memstream(&text, &size)) == NULL)
		return NULL;
	if (setting_info(id)->check == CHECK_PAIRS)
		print_names(f, s, id);
	else if (is_command(s, id))
		fputs("...", f);
	else
		print_value(f, s, id);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *
print_config(const struct settings *s, const struct hosting *h)
{
	enum host_kind kind = h != NULL ? h->kind : HOST_STANDALONE;
	enum setting ids[SETTING_COUNT];
	int i, width = 0, len;
	size_t size;
	char *text = NULL, *standing;
	FILE *f;

	for (i = 0; i < SETTING_COUNT; i++) {
		ids[i] = (enum setting)i;
		len = (int)strlen(setting_info(ids[i])->name);
		if (len > width)
			width = len;
	}
	qsort(ids, SETTING_COUNT, sizeof(ids[0]), by_name);
	if ((f = open_memstream(&text, &size)) == NULL)
		return NULL;
	fprintf(f, "# started by %s: %s\n", host_name(kind),
	    host_title(kind));
	for (i = 0; i < SETTING_COUNT; i++) {
		fprintf(f, "%-*s = ", width, setting_info(ids[i])->name);
		print_value(f, s, ids[i]);
		standing = hosting_text(h, s, ids[i]);
		fprintf(f, "  # %s; %s\n", settings_source(s, ids[i]),
		    standing != NULL ? standing : "?");
		free(standing);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Text in lines of at most HELP_WIDTH, the next ones indented; the first
 * begins at `column`. */
static void
print_wrapped(FILE *f, const char *text, int column)
{
	int word;
	bool first = true;

	if (column >= HELP_COLUMN) {
		fputc('\n', f);
		column = 0;
	}
	fprintf(f, "%*s", HELP_COLUMN - column, "");
	column = HELP_COLUMN;
	for (; *text != '\0'; text += word, text += *text == ' ') {
		word = (int)strcspn(text, " ");
		if (strcmp(text + word, " *") == 0)	/* stays with it */
			word += 2;
		if (!first && column + 1 + word > HELP_WIDTH) {
			fprintf(f, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (!first) {
			fputc(' ', f);
			column++;
		}
		fprintf(f, "%.*s", word, text);
		column += word;
		first = false;
	}
	fputc('\n', f);
}

/* "  -w, --workers INT" and its column. */
static int
print_flags(FILE *f, const struct setting_info *info)
{
	const char *p = info->flags;
	int n = fprintf(f, "  ");

	for (; *p != '\0'; p++)
		n += fprintf(f, *p == ' ' ? ", " : "%c", *p);
	if (info->metavar != NULL)
		n += fprintf(f, info->bare != NULL ? " [%s]" : " %s",
		    info->metavar);
	return n;
}

static void
print_setting(FILE *f, const struct setting_info *info)
{
	bool plain = info->fallback != NULL && info->type != TYPE_BOOL &&
	    strlen(info->fallback) < 24;
	char text[512];

	snprintf(text, sizeof(text), "%s%s%s%s%s", info->help,
	    plain ? " [" : "", plain ? info->fallback : "", plain ? "]" : "",
	    info->traits & SETTING_IN_FORCE ? "" : " *");
	print_wrapped(f, text, print_flags(f, info));
}

/* The names of a group's settings that no flag sets. */
static void
print_flagless(FILE *f)
{
	int i, column = 1;
	const struct setting_info *info;

	fputs("\nOnly in a settings file or in the environment:\n ", f);
	for (i = 0; i < SETTING_COUNT; i++) {
		info = setting_info((enum setting)i);
		if (*info->flags != '\0')
			continue;
		if (column + 1 + (int)strlen(info->name) > HELP_WIDTH) {
			fputs("\n ", f);
			column = 1;
		}
		column += fprintf(f, " %s", info->name);
	}
	fputc('\n', f);
}

char *
print_help(void)
{
	const struct setting_info *info;
	const char *group = "";
	char *text = NULL;
	size_t size;
	FILE *f;
	int i;

	if ((f = open_memstream(&text, &size)) == NULL)
		return NULL;
	fputs("usage: gangway [OPTION]... [APP]\n\n"
	    "Run a web application under any host, with gunicorn's "
	    "settings.\n\n"
	    "APP is MODULE:CALLABLE, FILE.py or native:FILE.so. Without one, "
	    "the\npassenger_wsgi.py of the working directory is run.\n\n"
	    "  -h, --help                  show this and leave\n"
	    "  -v, --version               show the version and leave\n", f);
	for (i = 0; i < SETTING_COUNT; i++) {
		info = setting_info((enum setting)i);
		if (*info->flags == '\0')
			continue;
		if (strcmp(group, info->group) != 0)
			fprintf(f, "\n%s:\n", info->group);
		group = info->group;
		print_setting(f, info);
	}
	print_flagless(f);
	fputs("\nDefaults are in brackets. What has a * is accepted but not "
	    "yet acted on.\nEach setting also has an environment variable, "
	    "GANGWAY_ or GUNICORN_ and its\nname in capitals, and a line in "
	    "gangway.ini: see gangway.ini(5).\n", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
