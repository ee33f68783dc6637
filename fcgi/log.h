/*
 * The error log: one line per event, "[2026-11-23 13:38:13 +0000] [PID]
 * [INFO] message", written with one write(2).
 *
 * Always true: bytes from outside cannot end or forge a line (control
 * bytes come out as \xNN, CR and LF too); a line is at most LOG_LINE_MAX
 * bytes; safe from any thread.
 */
#ifndef FCGI_LOG_H
#define FCGI_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR, LOG_LEVEL_CRITICAL };
enum { LOG_LINE_MAX = 16384 };

/*
 * Open (or re-open under changed settings) the error log: "-" is stderr,
 * NULL is none. With `capture`, fds 1 and 2 become the file as well (not
 * for "-"). 0, or -1 with errno.
 */
int	 log_open(const char *path, const char *level, bool capture);
/* Captured streams become the file again, after something else was put there.
 * 0, or -1 with errno. */
int	 log_capture(void);
/* Warnings and worse go to fd too, bare, up to 128 KB; -1: no more. For who
 * is to be told why there was no start. */
void	 log_copy(int fd);
/* Only there: what was said on stderr before there was a log. */
void	 log_copied(const char *text, size_t);
/* For hosts that give stderr away: from the next log_open() on, "-" is syslog
 * (daemon.*) instead. */
void	 log_stderr_given_away(bool);
bool	 log_is_syslog(void);
/* Open the file again under its name (USR1). 0, or -1 with errno: the old
 * one stays in use. */
int	 log_reopen(void);
bool	 log_enabled(enum log_level);
/* The descriptor in use, -1 when there is none. */
int	 log_fd(void);

void	 log_line(enum log_level, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	 log_vline(enum log_level, const char *fmt, va_list)
	    __attribute__((format(printf, 2, 0)));
/* Text of several lines (a traceback), each escaped, as one write. */
void	 log_text(enum log_level, const char *first, const char *, size_t);

#define log_debug(...)	  do { if (log_enabled(LOG_LEVEL_DEBUG)) \
	log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); } while (0)
#define log_info(...)	  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...)  log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)	  log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_critical(...) log_line(LOG_LEVEL_CRITICAL, __VA_ARGS__)

#endif
