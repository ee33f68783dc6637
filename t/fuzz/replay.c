/* Runs a fuzz target once over each file of its corpus, t/corpus/CORPUS, as
 * a TAP test. */
#include "config.h"

#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "t/lib/tap.h"

#ifndef CORPUS
#define CORPUS	"record"
#endif

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
main(void)
{
	const char *top = getenv("top_srcdir");
	char dir[1024], path[2048];
	uint8_t buf[65536];
	struct dirent *e;
	FILE *f;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/t/corpus/%s", top ? top : ".",
	    CORPUS);
	if ((d = opendir(dir)) == NULL)
		err(1, "%s", dir);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if ((f = fopen(path, "rb")) == NULL)
			err(1, "%s", path);
		ok(LLVMFuzzerTestOneInput(buf,
		    fread(buf, 1, sizeof(buf), f)) == 0, "%s", e->d_name);
		fclose(f);
	}
	closedir(d);
	return tap_done();
}
