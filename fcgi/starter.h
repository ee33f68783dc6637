/*
 * Who looks after us, of those who start FastCGI programs: some wait for
 * their children and stop them, some start them and leave.
 */
#ifndef FCGI_STARTER_H
#define FCGI_STARTER_H

#include <stdbool.h>

/* Under a starter that stays, be told to leave (SIGTERM) when it is gone,
 * however it went; the seconds that it gives a program between its TERM and
 * its KILL, 0: as many as we want. To be called once, by its child. */
long	 starter_follow(void);
/* Has our starter given standard error away? */
bool	 starter_is_deaf(void);

#endif
