/*
 * The body of a request: in memory up to BODY_MEMORY bytes, past that in a
 * temporary file that has no name. Written by the loop while it arrives,
 * read by the application once it is whole.
 */
#ifndef FCGI_BODY_H
#define FCGI_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	BODY_MEMORY = 256 * 1024,
	BODY_WINDOW = 64 * 1024		/* read from and written to the file */
};

struct body {
	char		*p;		/* memory, or the window on the file */
	size_t		 n, cap, at;	/* held, room, read so far of p[0..n) */
	uint64_t	 total;		/* bytes received */
	uint64_t	 filed;		/* of them written to the file */
	uint64_t	 read;		/* file bytes brought back to p */
	int		 fd;		/* -1: all in memory */
	bool		 to_file;	/* known to be too long for memory */
};

void	 body_init(struct body *);
/* `length` bytes are coming (a hint, to take memory once). 0 or -1 errno. */
int	 body_expect(struct body *, uint64_t length);
int	 body_add(struct body *, const char *, size_t);
/* Room to read into without a copy (NULL: use body_add), then its use. */
char	*body_space(struct body *, size_t *room);
void	 body_commit(struct body *, size_t n);
/* All has arrived. 0, or -1 with errno (disk full ...). */
int	 body_complete(struct body *);

/* Say why one of these failed, from errno. */
void	 body_log_error(void);

/* Put one that is whole into a file; take that file, for the caller to
 * close; begin with such a file of n bytes, which is closed with the body. */
int	 body_to_file(struct body *);
int	 body_take_file(struct body *);
int	 body_give_file(struct body *, int fd, uint64_t n);

/* Reading: up to the returned number of unread bytes at *p; 0 at the end,
 * -1 with errno. */
ssize_t	 body_peek(struct body *, const char **p);
void	 body_consume(struct body *, size_t);
void	 body_free(struct body *);

#endif
