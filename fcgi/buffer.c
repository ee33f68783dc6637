#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/buffer.h"

enum { BUFFER_FIRST = 512 };

int
buffer_reserve(struct buffer *b, size_t more, size_t max)
{
	size_t cap = b->cap > 0 ? b->cap : BUFFER_FIRST;
	char *p;

	if (more > max || b->n > max - more)
		return -1;
	if (b->n + more <= b->cap)
		return 0;
	while (cap < b->n + more)
		cap *= 2;
	if (cap > max)
		cap = max;
	if ((p = realloc(b->p, cap)) == NULL)
		return -1;
	b->p = p;
	b->cap = cap;
	return 0;
}

void
buffer_drop(struct buffer *b, size_t n)
{
	if (n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void
buffer_free(struct buffer *b)
{
	free(b->p);
	*b = (struct buffer){ 0 };
}
