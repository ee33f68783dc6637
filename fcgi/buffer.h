/*
 * A growing run of bytes with a cap that the caller names each time.
 * Always true: p is NULL while cap is 0; n <= cap.
 */
#ifndef FCGI_BUFFER_H
#define FCGI_BUFFER_H

#include <stddef.h>
#include <string.h>

struct buffer {
	char	*p;
	size_t	 n, cap;
};

/* Room for `more` bytes behind p[n), never beyond max in all. 0 or -1. */
int	 buffer_reserve(struct buffer *, size_t more, size_t max);
/* Append; 0, or -1 (nothing added) when it would pass max or memory is out. */
static inline int
buffer_add(struct buffer *b, const void *p, size_t n, size_t max)
{
	/* Inline: what is appended are mostly a few bytes, and there is
	 * mostly room. */
	if (n == 0)
		return 0;
	if ((n > b->cap - b->n || b->n + n > max) &&
	    buffer_reserve(b, n, max) == -1)
		return -1;
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}
/* Forget the first n bytes. */
void	 buffer_drop(struct buffer *, size_t n);
/* Free the memory; usable again as an empty buffer. */
void	 buffer_free(struct buffer *);

#endif
