#include "config.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/scoreboard.h"

static size_t
board_size(size_t places)
{
	return sizeof(struct scoreboard) + places * sizeof(struct place);
}

static void
fd_close(int fd)
{
	if (fd != -1)
		close(fd);
}

static int
handoff_new(int to[2], int *given)
{
	if (given == NULL || given[0] == -1)
		return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0, to);
	to[0] = given[0];
	to[1] = given[1];
	given[0] = given[1] = -1;
	return 0;
}

struct scoreboard *
scoreboard_new(size_t places, int *handoff)
{
	struct scoreboard *sb;

	if (places > (SIZE_MAX - sizeof(*sb)) / sizeof(struct place)) {
		errno = ENOMEM;
		return NULL;
	}
	sb = mmap(NULL, board_size(places), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sb == MAP_FAILED)
		return NULL;
	sb->places = places;
	sb->bell[0] = sb->bell[1] = -1;
	sb->handoff[0] = sb->handoff[1] = -1;
	if (pipe2(sb->bell, O_NONBLOCK | O_CLOEXEC) == -1 ||
	    handoff_new(sb->handoff, handoff) == -1) {
		scoreboard_free(sb);
		return NULL;
	}
	return sb;
}

void
scoreboard_free(struct scoreboard *sb)
{
	int saved = errno;

	if (sb == NULL)
		return;
	fd_close(sb->bell[0]);
	fd_close(sb->bell[1]);
	fd_close(sb->handoff[0]);
	fd_close(sb->handoff[1]);
	munmap(sb, board_size(sb->places));
	errno = saved;
}

void
scoreboard_line(const struct place *p, size_t i, char line[PLACE_LINE])
{
	memcpy(line, p->now[i], PLACE_LINE);
	line[PLACE_LINE - 1] = '\0';
	for (; *line != '\0'; line++)
		if (*line < 0x20 || *line > 0x7e)
			*line = '?';
}

void
scoreboard_ring(const struct scoreboard *sb)
{
	int saved = errno;

	/* A full pipe is fine: the manager will look anyway. */
	while (write(sb->bell[1], "", 1) == -1 && errno == EINTR)
		;
	errno = saved;
}
