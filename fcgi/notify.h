/*
 * What a service manager is told, by the datagrams of sd_notify(3), and its
 * watchdog. Nothing happens where NOTIFY_SOCKET is not set.
 *
 * Always true: nothing here blocks, and no failure matters to us.
 */
#ifndef FCGI_NOTIFY_H
#define FCGI_NOTIFY_H

#include <stdint.h>

/* Look at the environment: is anybody there who wants to know? */
void	 notify_open(void);
void	 notify_close(void);
/* Lines of NAME=VALUE. */
void	 notify_send(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* A reload begins: with the time, as Type=notify-reload wants it. */
void	 notify_reloading(void);
/* Say that we live, when it is time to. Milliseconds until the next time,
 * -1: nobody watches. */
int	 notify_watchdog(uint64_t now_ms);

#endif
