#include "config.h"

#include <stdio.h>
#include <string.h>

#include "conf/profile.h"
#include "conf/table.h"

static const struct {
	const char	*profile;
	enum setting	 id;
	const char	*value;
} values[] = {
	{ "development",	SET_workers,		"2" },
	{ "development",	SET_worker_class,	"gthread" },
	{ "development",	SET_threads,		"4" },
	{ "development",	SET_reload,		"true" },
	{ "development",	SET_loglevel,		"debug" },

	{ "production",		SET_workers,		"4" },
	{ "production",		SET_worker_class,	"gthread" },
	{ "production",		SET_threads,		"4" },
	{ "production",		SET_reload,		"false" },
	{ "production",		SET_loglevel,		"warning" },
	{ "production",		SET_max_requests,	"1000" },

	{ "high-availability",	SET_workers,		"8" },
	{ "high-availability",	SET_worker_class,	"gevent" },
	{ "high-availability",	SET_worker_connections,	"2000" },
	{ "high-availability",	SET_reload,		"false" },
	{ "high-availability",	SET_backlog,		"4096" },

	/* gunicorn's own defaults, where ours are others. */
	{ "gunicorn",		SET_workers,		"1" },
	{ "gunicorn",		SET_worker_class,	"sync" },
	{ "gunicorn",		SET_threads,		"1" },
	{ "gunicorn",		SET_max_requests,	"0" },
	{ "gunicorn",		SET_max_requests_jitter, "0" },
	{ "gunicorn",		SET_timeout,		"30" },
	{ "gunicorn",		SET_keepalive,		"2" },
};

static const char *const names[] = {
	"development", "production", "high-availability", "gunicorn"
};

bool
profile_known(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

const char *
profile_names(void)
{
	return "development, production, high-availability or gunicorn";
}

const char *
profile_suggest(const char *name)
{
	const char *best = NULL;
	unsigned int d, least = word_near(name) + 1;
	size_t i, n = strlen(name);

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		/* dev, prod: people shorten these */
		if (n >= 3 && strncmp(names[i], name, n) == 0)
			return names[i];
		if ((d = word_distance(name, names[i])) < least) {
			least = d;
			best = names[i];
		}
	}
	return best;
}

int
profile_apply(struct settings *s, const char *name, enum settings_rank rank)
{
	char source[64];
	size_t i;

	snprintf(source, sizeof(source), "profile %s", name);
	settings_from(s, rank);
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i].profile, name) == 0 && settings_set(s,
		    values[i].id, values[i].value, source, NULL) == -1)
			return -1;
	return 0;
}
