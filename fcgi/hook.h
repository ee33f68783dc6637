/*
 * Hooks: what people want to be run when something happens. They are
 * functions of a gunicorn.conf.py, run by the interpreter that has read it,
 * or commands of [hooks] in a gangway.ini.
 *
 * Always true: nobody waits for a command, and a bounded number of them
 * runs at once; what a function raises is logged and hurts nothing; where
 * no hook is set, a call here is a look at a flag.
 */
#ifndef FCGI_HOOK_H
#define FCGI_HOOK_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "fcgi/app.h"

struct listeners;
struct place;
struct settings;

/* --- what there is */

/* An interpreter that reads configuration files. */
void	 hook_interpreter_is(const struct app_kind *);
/* The same, or NULL: who forks tells it. */
const struct app_kind *hook_interpreter(void);
/* These settings are in force, and their sockets (NULL: not yet); both stay
 * the caller's. Without settings there are no hooks. */
void	 hook_settings(const struct settings *, const struct listeners *);
/* The manager whose place this one is to take; 0: nobody's, or it has it. */
void	 hook_parent(pid_t);
/* A configuration file may be read now; if one was, it is not used after
 * all: the hooks are again what they were at hook_keep(). */
void	 hook_keep(void);
void	 hook_revert(void);
/* Is there anything to be run? */
bool	 hook_wanted(enum app_hook);

/* --- in the manager */

/* Signals as others expect them, where ours are blocked; NULL: as is. */
void	 hook_mask(const sigset_t *);
/* on_starting, when_ready, on_reload, pre_exec, on_exit. -1, or the exit
 * status with which the hook wants this process to end. */
int	 hook_server(enum app_hook);
/* nworkers_changed; unless `always`, only where that is another number. */
void	 hook_workers(size_t, bool always);
/* A worker is about to be started; it was, or with -1 was not. */
void	 hook_pre_fork(unsigned long age, unsigned long limit);
void	 hook_forked(unsigned long age, pid_t);
/* It has ended; `tell`: that is news for child_exit. */
void	 hook_child_exit(unsigned long age, pid_t, int status, bool tell);
/* A child that is no worker has ended: was it a command? */
void	 hook_reaped(pid_t, int status);
/* PID 1 takes its commands with it: give them a moment. */
void	 hook_linger(void);

/* --- in a worker */

/* This process is a worker, of that kind and at that place on the board.
 * wake() is called when hook_ran() may be true. */
void	 hook_worker(const struct app_kind *, unsigned long age,
	    unsigned long limit, const struct place *, void (*wake)(void));
/* post_fork, post_worker_init, worker_exit. As hook_server(). */
int	 hook_in_worker(enum app_hook);
/* That signal means worker_int or worker_abort: have the function run on
 * the main thread, if there is one. Async-signal-safe. */
void	 hook_signal(enum app_hook, int sig);
/* Has that hook been run? Runs it when it is not for the main thread. */
bool	 hook_ran(enum app_hook);
/* It has begun, and has not ended. */
bool	 hook_running(enum app_hook);
/* For app.h: the interpreter says so. */
void	 hook_interrupted(enum app_hook, bool ended);
unsigned long hook_requests(void);
/* Take note of commands that have ended. */
void	 hook_tick(void);

#endif
