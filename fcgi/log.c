#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/log.h"
#include "fcgi/logfile.h"

enum {
	LOG_TEXT_MAX = 256 * 1024,	/* of a traceback, before escaping */
	LOG_COPY_MAX = 128 * 1024
};

static const struct {
	const char	*name;
	int		 priority;	/* syslog's */
} levels[] = {
	[LOG_LEVEL_DEBUG] = { "DEBUG", LOG_DEBUG },
	[LOG_LEVEL_INFO] = { "INFO", LOG_INFO },
	[LOG_LEVEL_WARNING] = { "WARNING", LOG_WARNING },
	[LOG_LEVEL_ERROR] = { "ERROR", LOG_ERR },
	[LOG_LEVEL_CRITICAL] = { "CRITICAL", LOG_CRIT }
};

/* Until it is opened, what goes wrong at the start goes to stderr. */
static struct logfile file = { .fd = STDERR_FILENO };
static _Atomic int lowest = LOG_LEVEL_INFO;
static _Atomic bool to_syslog;
static bool given_away;		/* is standard error */
static bool captured;
static _Atomic int copy_fd = -1;
static _Atomic size_t copy_left;

void
log_copy(int fd)
{
	copy_left = LOG_COPY_MAX;
	copy_fd = fd;
}

/* Whole or not at all; who cannot have it goes without. */
void
log_copied(const char *p, size_t n)
{
	int fd = copy_fd;

	if (fd == -1 || n > copy_left)
		return;
	copy_left -= n;
	(void)!write(fd, p, n);
}

/* Also what the log itself does not want. */
static bool
is_copied(enum log_level level)
{
	return level >= LOG_LEVEL_WARNING && copy_fd != -1;
}

/* As in gunicorn an unknown name is "info". */
static enum log_level
level_find(const char *name)
{
	int i;

	for (i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_CRITICAL; i++)
		if (name != NULL && strcasecmp(name, levels[i].name) == 0)
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

int
log_capture(void)
{
	if (!captured)
		return 0;
	(void)fflush(stdout);
	if (dup2(file.fd, STDOUT_FILENO) == -1 ||
	    dup2(file.fd, STDERR_FILENO) == -1)
		return -1;
	return 0;
}

int
log_open(const char *path, const char *level, bool capture)
{
	bool away = given_away && path != NULL && strcmp(path, "-") == 0;

	if (logfile_open(&file, path, away ? -1 : STDERR_FILENO) == -1)
		return -1;
	lowest = level_find(level);
	to_syslog = away;
	captured = capture && file.path != NULL;
	return log_capture();
}

void
log_stderr_given_away(bool away)
{
	if (away)
		openlog("gangway", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	given_away = away;
}

bool
log_is_syslog(void)
{
	return to_syslog;
}

int
log_reopen(void)
{
	if (logfile_reopen(&file) == -1)
		return -1;
	return log_capture();
}

bool
log_enabled(enum log_level level)
{
	return (int)level >= lowest && (file.fd != -1 || to_syslog);
}

int
log_fd(void)
{
	return file.fd;
}

/* "[time] [pid] [LEVEL] ": its length. */
static size_t
line_begin(char *p, size_t cap, enum log_level level)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t n;
	int k;

	if (localtime_r(&now, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = strftime(p, cap, "[%Y-%m-%d %H:%M:%S %z] ", &tm);
	k = snprintf(p + n, cap - n, "[%d] [%s] ", (int)getpid(),
	    levels[level].name);
	return n + (k > 0 ? (size_t)k : 0);
}

void
log_vline(enum log_level level, const char *fmt, va_list ap)
{
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	int keep = errno, k;
	size_t n = 0, head;

	if (!log_enabled(level) && !is_copied(level))
		return;
	if ((k = vsnprintf(raw, sizeof(raw), fmt, ap)) < 0)
		k = 0;
	if ((size_t)k >= sizeof(raw))
		k = sizeof(raw) - 1;
	if (!to_syslog)
		n = line_begin(line, sizeof(line), level);
	head = n;
	n += text_escape(line + n, sizeof(line) - 1 - n, raw, (size_t)k,
	    false);
	if (to_syslog && log_enabled(level))
		syslog(levels[level].priority, "%.*s", (int)n, line);
	line[n++] = '\n';
	if (log_enabled(level))
		logfile_write(&file, line, n);
	if (is_copied(level))
		log_copied(line + head, n - head);
	errno = keep;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vline(level, fmt, ap);
	va_end(ap);
}

/* Append the lines of a text to out, each escaped and none too long. */
static size_t
lines_escape(char *out, size_t cap, const char *p, size_t n)
{
	const char *end, *lf;
	size_t len = 0, room;

	if (n == 0)
		return 0;
	end = p + n;
	for (; p < end && len < cap; p = lf + 1) {
		if ((lf = memchr(p, '\n', (size_t)(end - p))) == NULL)
			lf = end;
		room = cap - len - 1;
		len += text_escape(out + len,
		    room < LOG_LINE_MAX ? room : LOG_LINE_MAX - 1, p,
		    (size_t)(lf - p), false);
		out[len++] = '\n';
	}
	return len;
}

void
log_text(enum log_level level, const char *first, const char *p, size_t n)
{
	int keep = errno;
	size_t cap, len, head;
	char *out, *line, *lf;

	if (!log_enabled(level) && !is_copied(level))
		return;
	if (n > LOG_TEXT_MAX)
		n = LOG_TEXT_MAX;
	/* Four bytes for one at most, an LF, and the first line. */
	cap = LOG_LINE_MAX + 4 * n + 1;
	if ((out = malloc(cap)) == NULL) {
		log_line(level, "%s", first);
		errno = keep;
		return;
	}
	len = head = to_syslog ? 0 : line_begin(out, LOG_LINE_MAX, level);
	len += text_escape(out + len, LOG_LINE_MAX - 1 - len, first,
	    strlen(first), false);
	out[len++] = '\n';
	len += lines_escape(out + len, cap - len, p, n);
	if (to_syslog && log_enabled(level))
		for (line = out; line < out + len; line = lf + 1) {
			lf = memchr(line, '\n', (size_t)(out + len - line));
			syslog(levels[level].priority, "%.*s",
			    (int)(lf - line), line);
		}
	if (log_enabled(level))
		logfile_write(&file, out, len);
	if (is_copied(level))
		log_copied(out + head, len - head);
	free(out);
	errno = keep;
}
