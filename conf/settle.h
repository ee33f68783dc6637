/*
 * What follows from the settings once all sources have spoken.
 */
#ifndef CONF_SETTLE_H
#define CONF_SETTLE_H

struct hosting;
struct notes;
struct settings;

/*
 * Refuse what this version cannot do and must not ignore; turn sync with
 * threads into gthread, as gunicorn does; count workers where they are
 * "auto". *workers_why (to be freed) says how, NULL when nobody counted.
 * 0, or -1 with *why, one line.
 */
int	 settle(struct settings *, char **workers_why, char **why);
/* Note what is set and not yet acted on, in one line, and each setting that
 * somebody gave and the host overrides. */
void	 settle_notes(const struct settings *, const struct hosting *,
	    struct notes *);

#endif
