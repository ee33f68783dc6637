/* The table itself, and finding a row by a name, also by a misspelt one. */
#include "config.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/table.h"

enum {
	IN_FORCE	= SETTING_IN_FORCE,
	PROTECTS	= SETTING_PROTECTS,
	FLAG_NEGATES	= SETTING_FLAG_NEGATES,
	REPEAT		= SETTING_REPEAT,
	OCTAL		= SETTING_OCTAL,
	NO_PYTHON	= SETTING_NO_PYTHON,
	NOT_EMPTY	= SETTING_NOT_EMPTY,
	SIZE		= SETTING_SIZE,
	HOST_SOCKET	= SETTING_HOST_SOCKET,
	HOST_BACKLOG	= SETTING_HOST_BACKLOG,
	HOST_PROTOCOL	= SETTING_HOST_PROTOCOL,
	HOST_HTTP	= SETTING_HOST_HTTP,
	HOST_KEEP	= SETTING_HOST_KEEP,
	HOST_DAEMON	= SETTING_HOST_DAEMON,
	HOST_PIDFILE	= SETTING_HOST_PIDFILE,
	HOST_USER	= SETTING_HOST_USER,
	HOST_ASKS	= SETTING_HOST_ASKS,
	HOST_RECYCLE	= SETTING_HOST_RECYCLE,
	HOST_GRACE	= SETTING_HOST_GRACE,
	HOST_CONTROL	= SETTING_HOST_CONTROL
};

static const struct setting_info table[SETTING_COUNT] = {
#define SETTING(id, type_, group_, flags_, metavar_, fallback_, help_, \
    traits_, ...) \
	[SET_##id] = { .name = #id, .type = type_, .group = group_, \
	    .flags = flags_, .metavar = metavar_, .fallback = fallback_, \
	    .help = help_, .traits = traits_, __VA_ARGS__ },
#include "conf/settings.def"
#undef SETTING
};

enum { NAME_SHOWN_MAX = 64 };	/* no name is longer, by far */

const struct setting_info *
setting_info(enum setting id)
{
	return &table[id];
}

/* Equal, where a dash is an underscore. */
static bool
same_name(const char *a, const char *b)
{
	while (*a != '\0' && (*a == *b || (*a == '-' && *b == '_'))) {
		a++;
		b++;
	}
	return *a == *b;
}

enum setting
setting_find(const char *name)
{
	int i;

	for (i = 0; i < SETTING_COUNT; i++)
		if (same_name(name, table[i].name) || (table[i].alias != NULL &&
		    same_name(name, table[i].alias)))
			break;
	return (enum setting)i;
}

enum setting
setting_find_global(const char *name)
{
	int i;

	for (i = 0; i < SETTING_COUNT; i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].traits & SETTING_NO_PYTHON ?
			    SETTING_COUNT : (enum setting)i;
	return SETTING_COUNT;
}

static unsigned int
least(unsigned int a, unsigned int b, unsigned int c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Edits (a letter more, less, other, or two swapped) between two words. */
static unsigned int
edits(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned int row[3][NAME_SHOWN_MAX + 1];
	unsigned int *two = row[0], *one = row[1], *cur = row[2], *spare;
	size_t i, j;

	for (j = 0; j <= nb; j++)
		one[j] = two[j] = (unsigned int)j;
	for (i = 1; i <= na; i++) {
		cur[0] = (unsigned int)i;
		for (j = 1; j <= nb; j++) {
			cur[j] = least(one[j] + 1, cur[j - 1] + 1,
			    one[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && two[j - 2] + 1 < cur[j])
				cur[j] = two[j - 2] + 1;
		}
		spare = two;
		two = one;
		one = cur;
		cur = spare;
	}
	return one[nb];
}

unsigned int
word_distance(const char *name, const char *word)
{
	char low[NAME_SHOWN_MAX];
	size_t i, na = strlen(name), nb = strlen(word);

	if (na == 0 || na >= sizeof(low) || nb >= sizeof(low))
		return UINT_MAX;
	for (i = 0; i < na; i++) {
		low[i] = name[i] == '-' && word[0] != '-' ? '_' : name[i];
		if (low[i] >= 'A' && low[i] <= 'Z')
			low[i] = (char)(low[i] - 'A' + 'a');
	}
	return edits(low, na, word, nb);
}

unsigned int
word_near(const char *name)
{
	size_t n = strlen(name);

	return n < 6 ? 1 : n < 9 ? 2 : 3;
}

const char *
setting_suggest(const char *name)
{
	const char *best = NULL;
	unsigned int d, least_d = word_near(name) + 1;
	int i;

	for (i = 0; i < SETTING_COUNT; i++) {
		d = word_distance(name, table[i].name);
		if (d < least_d) {
			least_d = d;
			best = table[i].name;
		}
		if (table[i].alias == NULL)
			continue;
		d = word_distance(name, table[i].alias);
		if (d < least_d) {
			least_d = d;
			best = table[i].alias;
		}
	}
	return best;
}
