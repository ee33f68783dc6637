#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "fcgi/notify.h"

static struct sockaddr_un to;
static socklen_t to_len;		/* 0: nobody listens */
static uint64_t beat_ms, beat_at;	/* 0: nobody watches */

static bool
number(const char *name, uint64_t *n)
{
	const char *s = getenv(name);
	char *end;

	if (s == NULL || *s < '0' || *s > '9')
		return false;
	*n = strtoull(s, &end, 10);
	return *end == '\0';
}

void
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	uint64_t us, pid;
	size_t n;

	notify_close();
	/* A path, or @ before a name that is in no folder. */
	if (path == NULL || (*path != '/' && *path != '@') ||
	    (n = strlen(path)) < 2 || n >= sizeof(to.sun_path))
		return;
	to.sun_family = AF_UNIX;
	memcpy(to.sun_path, path, n + 1);
	if (*path == '@')
		to.sun_path[0] = '\0';
	to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (!number("WATCHDOG_USEC", &us) || us == 0 ||
	    (number("WATCHDOG_PID", &pid) && pid != (uint64_t)getpid()))
		return;
	beat_ms = us / 2000;
	if (beat_ms == 0)
		beat_ms = 1;
}

void
notify_close(void)
{
	memset(&to, 0, sizeof(to));
	to_len = 0;
	beat_ms = beat_at = 0;
}

void
notify_send(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int fd, n;

	if (to_len == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return;
	(void)sendto(fd, text, (size_t)n, MSG_NOSIGNAL,
	    (const struct sockaddr *)&to, to_len);
	close(fd);
}

void
notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
	    (unsigned long long)(clock_ns() / 1000));
}

int
notify_watchdog(uint64_t now)
{
	if (beat_ms == 0)
		return -1;
	if (now >= beat_at) {
		notify_send("WATCHDOG=1");
		beat_at = now + beat_ms;
	}
	return beat_at - now > INT_MAX ? INT_MAX : (int)(beat_at - now);
}
