/* Any bytes as a gangway.ini: read or refused, and then usable. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/inifile.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct settings *s;
	struct ini ini;
	char *why = NULL;

	if (ini_parse_bytes(&ini, "f", (const char *)bytes, n, &why) == -1) {
		/* one line for a person, whatever was in the file */
		if (why == NULL || strchr(why, '\n') != NULL)
			abort();
		free(why);
		return 0;
	}
	if ((s = settings_new()) == NULL)
		abort();
	if (ini_apply(&ini, INI_GANGWAY, NULL, s, RANK_FILE) == -1 ||
	    ini_apply(&ini, INI_HOST, NULL, s, RANK_FILE_HOST) == -1 ||
	    ini_apply(&ini, INI_PROFILE, "p", s, RANK_PROFILE) == -1 ||
	    ini_apply(&ini, INI_HOOKS, NULL, s, RANK_FILE) == -1)
		abort();
	settings_free(s);
	ini_done(&ini);
	return 0;
}
