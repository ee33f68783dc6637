#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/resources.h"
#include "conf/hosting.h"
#include "conf/settings.h"
#include "conf/settle.h"
#include "conf/why.h"

/* Is the value other than the built-in default? */
static bool
differs(const struct settings *s, enum setting id)
{
	const char *fallback = setting_info(id)->fallback;
	struct settings *d;
	const char *const *a, *const *b;
	size_t i, n, m;
	bool same;

	if (settings_rank(s, id) == RANK_DEFAULT)
		return false;
	if (fallback == NULL)
		return setting_info(id)->type == TYPE_INT ||
		    settings_has(s, id);
	if ((d = settings_new()) == NULL)
		return true;
	a = settings_list(s, id, &n);
	b = settings_list(d, id, &m);
	same = n == m && settings_int(s, id) == settings_int(d, id) &&
	    settings_auto(s, id) == settings_auto(d, id);
	for (i = 0; same && i < n; i++)
		same = strcmp(a[i], b[i]) == 0;
	if (same && setting_info(id)->type == TYPE_STRING)
		same = settings_string(s, id) != NULL &&
		    strcmp(settings_string(s, id), settings_string(d, id)) == 0;
	settings_free(d);
	return !same;
}

/* Is the word one of those that this version can do? */
static bool
possible(const char *list, const char *word)
{
	size_t len, n = strlen(word);

	for (; *list != '\0'; list += len) {
		list += *list == ' ';
		len = strcspn(list, " ");
		if (len == n && strncmp(list, word, n) == 0)
			return true;
	}
	return false;
}

static int
refuse_word(const struct settings *s, enum setting id, char **why)
{
	const char *list = setting_info(id)->possible;
	const char *space = strrchr(list, ' ');

	return why_set(why, "%s %s (%s) is not possible yet: this version "
	    "has %.*s and %s", setting_info(id)->name,
	    settings_string(s, id), settings_source(s, id),
	    (int)(space - list), list, space + 1);
}

static int
refuse(const struct settings *s, char **why)
{
	const struct setting_info *info;
	unsigned int both;
	enum setting id;
	int i;

	for (i = 0; i < SETTING_COUNT; i++) {
		id = (enum setting)i;
		info = setting_info(id);
		if (info->possible != NULL && settings_string(s, id) != NULL &&
		    !possible(info->possible, settings_string(s, id)))
			return refuse_word(s, id, why);
		both = info->traits & (SETTING_PROTECTS | SETTING_IN_FORCE);
		if (both == SETTING_PROTECTS && differs(s, id))
			return why_set(why, "%s (%s) is not possible yet, and "
			    "to ignore it would be less safe than you asked "
			    "for: take it out", info->name,
			    settings_source(s, id));
	}
	return 0;
}

/* Give a setting a value that follows from others, keeping its rank. */
static int
conclude(struct settings *s, enum setting id, const char *value,
    char *source, char **why)
{
	int error = -1;

	settings_from(s, settings_rank(s, id));
	if (source == NULL)
		(void)why_set(why, "out of memory");
	else
		error = settings_set(s, id, value, source, why);
	settings_from(s, RANK_COMMAND);
	free(source);
	return error;
}

static int
count_workers(struct settings *s, char **workers_why, char **why)
{
	struct resources r;
	char number[32];

	resources_find(&r, "");
	snprintf(number, sizeof(number), "%ld", resources_workers(&r,
	    settings_string(s, SET_worker_class), workers_why));
	return conclude(s, SET_workers, number, text_new("%s, auto: %s",
	    settings_source(s, SET_workers),
	    *workers_why != NULL ? *workers_why : ""), why);
}

int
settle(struct settings *s, char **workers_why, char **why)
{
	const char *class = settings_string(s, SET_worker_class);

	if (class == NULL)	/* None, or empty: as in gunicorn, sync */
		class = "sync";
	if (strcmp(class, "sync") == 0 && settings_given(s, SET_threads) &&
	    settings_int(s, SET_threads) > 1)
		class = "gthread";
	if ((settings_string(s, SET_worker_class) == NULL ||
	    strcmp(class, settings_string(s, SET_worker_class)) != 0) &&
	    conclude(s, SET_worker_class, class, text_new("%s, threads: %s",
	    settings_source(s, SET_worker_class),
	    settings_source(s, SET_threads)), why) == -1)
		return -1;
	if (refuse(s, why) == -1)
		return -1;
	if (settings_auto(s, SET_workers))
		return count_workers(s, workers_why, why);
	return 0;
}

/* Add ", NAME" to a list that may be NULL. */
static void
list_add(char **list, const char *name)
{
	char *more = text_new("%s%s%s", *list != NULL ? *list : "",
	    *list != NULL ? ", " : "", name);

	if (more == NULL)
		return;
	free(*list);
	*list = more;
}

void
settle_notes(const struct settings *s, const struct hosting *h,
    struct notes *notes)
{
	char *later = NULL;
	const char *reason;
	enum setting id;
	int i;

	for (i = 0; i < SETTING_COUNT; i++) {
		id = (enum setting)i;
		switch (hosting_standing(h, s, id, &reason)) {
		case STANDING_LATER:
			if (differs(s, id))
				list_add(&later, setting_info(id)->name);
			break;
		case STANDING_OVERRIDDEN:
			notes_add(notes, "%s (%s) is overridden by the host, "
			    "%s: %s", setting_info(id)->name,
			    settings_source(s, id), host_name(h->kind),
			    reason);
			break;
		case STANDING_IN_FORCE:
		case STANDING_LEFT:
			break;
		}
	}
	if (later != NULL)
		notes_add(notes, "not in force yet: %s", later);
	free(later);
}
