#include "config.h"

#include <stdlib.h>

#include "conf/hosting.h"
#include "conf/settings.h"
#include "conf/why.h"
#include "fcgi/access.h"
#include "fcgi/address.h"
#include "fcgi/verify.h"

static int
refuse(const struct settings *s, enum setting id, const char *value,
    char *reason, char **why)
{
	return why_value(why, setting_info(id)->name, value,
	    settings_source(s, id), reason);
}

static int
verify_bind(const struct settings *s, char **why)
{
	const char *const *v = settings_list(s, SET_bind, NULL);
	struct address ad;
	char *reason;

	for (; *v != NULL; v++) {
		if (address_parse(&ad, *v, &reason) == -1)
			return refuse(s, SET_bind, *v, reason, why);
		address_done(&ad);
	}
	return 0;
}

static int
verify_format(const struct settings *s, char **why)
{
	const char *text = settings_string(s, SET_access_log_format);
	struct access_format *f;
	char *reason;

	if (text == NULL)
		return refuse(s, SET_access_log_format, "",
		    text_new("must not be empty"), why);
	if ((f = access_compile(text, &reason)) == NULL)
		return refuse(s, SET_access_log_format, text, reason, why);
	access_free(f);
	return 0;
}

int
verify_settings(const struct settings *s, const struct hosting *h, char **why)
{
	*why = NULL;
	if (hosting_heeds(h, s, SET_bind) && verify_bind(s, why) == -1)
		return -1;
	/* Without a log nobody reads its format. */
	if (settings_string(s, SET_accesslog) != NULL &&
	    hosting_heeds(h, s, SET_accesslog))
		return verify_format(s, why);
	return 0;
}
