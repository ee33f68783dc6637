#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"
#include "conf/value.h"
#include "conf/why.h"

struct slot {
	struct value		 value;
	char			*source;
	enum settings_rank	 rank;
};

struct settings {
	struct slot		 slots[SETTING_COUNT];
	enum settings_rank	 rank;		/* of what is set next */
};

struct settings *
settings_new(void)
{
	struct settings *s = calloc(1, sizeof(*s));
	const char *fallback;
	int i;

	if (s == NULL)
		return NULL;
	s->rank = RANK_DEFAULT;
	for (i = 0; i < SETTING_COUNT; i++) {
		fallback = setting_info((enum setting)i)->fallback;
		if (fallback != NULL && settings_set(s, (enum setting)i,
		    fallback, "default", NULL) == -1) {
			settings_free(s);
			return NULL;
		}
	}
	s->rank = RANK_COMMAND;
	return s;
}

struct settings *
settings_copy(const struct settings *from)
{
	struct settings *s = calloc(1, sizeof(*s));
	int i;

	if (s == NULL)
		return NULL;
	s->rank = from->rank;
	for (i = 0; i < SETTING_COUNT; i++) {
		s->slots[i].rank = from->slots[i].rank;
		if (from->slots[i].source != NULL && (s->slots[i].source =
		    strdup(from->slots[i].source)) == NULL)
			goto fail;
		if (value_copy(&s->slots[i].value, &from->slots[i].value) == -1)
			goto fail;
	}
	return s;
fail:
	settings_free(s);
	return NULL;
}

void
settings_free(struct settings *s)
{
	int i;

	if (s == NULL)
		return;
	for (i = 0; i < SETTING_COUNT; i++) {
		value_done(&s->slots[i].value);
		free(s->slots[i].source);
	}
	free(s);
}

void
settings_from(struct settings *s, enum settings_rank rank)
{
	s->rank = rank;
}

/* Put a checked value in its place, unless it is outranked; takes it. */
static int
settings_put(struct settings *s, enum setting id, struct value *v,
    const char *source, bool join, char **why)
{
	struct slot *slot = &s->slots[id];
	char *from;

	if (s->rank < slot->rank) {
		value_done(v);
		return 0;
	}
	if ((from = strdup(source)) == NULL)
		goto fail;
	if (join && slot->rank == s->rank && slot->value.items != NULL) {
		if (value_join(&slot->value, v) == -1) {
			free(from);
			goto fail;
		}
	} else {
		value_done(&slot->value);
		slot->value = *v;
	}
	free(slot->source);
	slot->source = from;
	slot->rank = s->rank;
	return 0;
fail:
	value_done(v);
	return why_set(why, "cannot be kept: out of memory");
}

int
settings_set(struct settings *s, enum setting id, const char *value,
    const char *source, char **why)
{
	struct value v = { .text = NULL };

	if (value_parse(&v, setting_info(id), value, why) == -1)
		return -1;
	return settings_put(s, id, &v, source, false, why);
}

/* For a setting that is no list: its one value. */
static int
set_single(struct settings *s, enum setting id, const char *const *items,
    size_t n, const char *source, char **why)
{
	if (n != 1)
		return why_set(why, "must be one value, not a list");
	return settings_set(s, id, items[0], source, why);
}

static bool
is_list(enum setting id)
{
	enum setting_type t = setting_info(id)->type;

	return t == TYPE_LIST || t == TYPE_DICT;
}

int
settings_set_list(struct settings *s, enum setting id,
    const char *const *items, size_t n, const char *source, char **why)
{
	struct value v = { .text = NULL };

	if (!is_list(id))
		return set_single(s, id, items, n, source, why);
	if (value_list(&v, setting_info(id), items, n, why) == -1)
		return -1;
	return settings_put(s, id, &v, source, false, why);
}

int
settings_add(struct settings *s, enum setting id, const char *value,
    bool split, const char *source, char **why)
{
	struct value v = { .text = NULL };
	int error;

	if (!is_list(id))
		return settings_set(s, id, value, source, why);
	error = split ? value_parse(&v, setting_info(id), value, why) :
	    value_list(&v, setting_info(id), &value, 1, why);
	if (error == -1)
		return -1;
	return settings_put(s, id, &v, source, true, why);
}

int
settings_check(enum setting id, const char *value, char **why)
{
	struct value v = { .text = NULL };

	if (value_parse(&v, setting_info(id), value, why) == -1)
		return -1;
	value_done(&v);
	return 0;
}

long
settings_int(const struct settings *s, enum setting id)
{
	return s->slots[id].value.num;
}

bool
settings_bool(const struct settings *s, enum setting id)
{
	return s->slots[id].value.num != 0;
}

const char *
settings_string(const struct settings *s, enum setting id)
{
	return s->slots[id].value.text;
}

const char *const *
settings_list(const struct settings *s, enum setting id, size_t *n)
{
	static const char *const none[] = { NULL };
	const struct value *v = &s->slots[id].value;

	if (n != NULL)
		*n = v->n;
	return v->items != NULL ? (const char *const *)v->items : none;
}

bool
settings_has(const struct settings *s, enum setting id)
{
	return s->slots[id].value.text != NULL || s->slots[id].value.n > 0;
}

bool
settings_auto(const struct settings *s, enum setting id)
{
	const char *text = s->slots[id].value.text;

	return setting_info(id)->type == TYPE_INT && text != NULL &&
	    (*text | 0x20) == 'a';
}

const char *
settings_source(const struct settings *s, enum setting id)
{
	return s->slots[id].source != NULL ? s->slots[id].source : "default";
}

enum settings_rank
settings_rank(const struct settings *s, enum setting id)
{
	return s->slots[id].rank;
}

bool
settings_given(const struct settings *s, enum setting id)
{
	enum settings_rank rank = s->slots[id].rank;

	return rank != RANK_DEFAULT && rank != RANK_FILE_PROFILE &&
	    rank != RANK_PROFILE;
}

bool
settings_meant_for_host(const struct settings *s, enum setting id)
{
	enum settings_rank rank = s->slots[id].rank;

	return rank == RANK_FILE_HOST || rank >= RANK_GANGWAY;
}

long
settings_request_timeout(const struct settings *s)
{
	if (settings_has(s, SET_request_timeout))
		return settings_int(s, SET_request_timeout);
	if (strcmp(settings_source(s, SET_timeout), "profile gunicorn") == 0)
		return 0;
	return settings_int(s, SET_timeout);
}
