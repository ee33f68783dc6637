/* A growing run of bytes: the rows are steps on one buffer. */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "fcgi/buffer.h"
#include "t/lib/tap.h"

enum op { ADD, RESERVE, DROP, FREE };

static const struct {
	const char	*name;
	enum op		 op;
	size_t		 n, max;
	int		 rc;
	size_t		 holds;
} steps[] = {
	{ "nothing is added to nothing", ADD, 0, 0, 0, 0 },
	{ "first bytes", ADD, 10, 100, 0, 10 },
	{ "up to the cap", ADD, 90, 100, 0, 100 },
	{ "not past it", ADD, 1, 100, -1, 100 },
	{ "nothing at the cap", ADD, 0, 100, 0, 100 },
	{ "a larger cap", ADD, 1000, 1100, 0, 1100 },
	{ "a smaller one", ADD, 1, 50, -1, 1100 },
	{ "more than there are numbers", RESERVE, SIZE_MAX, SIZE_MAX, -1,
	    1100 },
	{ "room", RESERVE, 5000, 6100, 0, 1100 },
	{ "no room", RESERVE, 5001, 6100, -1, 1100 },
	{ "the room is used", ADD, 5000, 6100, 0, 6100 },
	{ "none is dropped", DROP, 0, 0, 0, 6100 },
	{ "some are dropped", DROP, 6000, 0, 0, 100 },
	{ "the rest is dropped", DROP, 100, 0, 0, 0 },
	{ "used again", ADD, 3, 10, 0, 3 },
	{ "freed", FREE, 0, 0, 0, 0 },
	{ "freed twice", FREE, 0, 0, 0, 0 },
	{ "used after it", ADD, 2, 2, 0, 2 },
	{ "and freed", FREE, 0, 0, 0, 0 },
};

int
main(void)
{
	struct buffer b = { 0 };
	char src[8192], want[8192];
	size_t i, j, held = 0;
	int rc;

	for (i = 0; i < sizeof(src); i++)
		src[i] = (char)(i * 7);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		rc = 0;
		switch (steps[i].op) {
		case ADD:
			rc = buffer_add(&b, src + i, steps[i].n, steps[i].max);
			for (j = 0; rc == 0 && j < steps[i].n; j++)
				want[held++] = src[i + j];
			break;
		case RESERVE:
			rc = buffer_reserve(&b, steps[i].n, steps[i].max);
			break;
		case DROP:
			buffer_drop(&b, steps[i].n);
			held -= steps[i].n;
			memmove(want, want + steps[i].n, held);
			break;
		case FREE:
			buffer_free(&b);
			held = 0;
		}
		ok(rc == steps[i].rc && b.n == steps[i].holds && b.n <= b.cap &&
		    (b.cap == 0) == (b.p == NULL) && held == b.n &&
		    (held == 0 || memcmp(b.p, want, held) == 0), "%s",
		    steps[i].name);
	}
	return tap_done();
}
