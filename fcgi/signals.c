#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/log.h"
#include "fcgi/signals.h"

/* Signals that are kept for us. */
static const int wanted[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT,
	SIGUSR1, SIGTTIN, SIGTTOU, SIGHUP, SIGUSR2, SIGWINCH };
enum { NSIGNALS = sizeof(wanted) / sizeof(*wanted) };

static atomic_int arrived[NSIG];
static atomic_uint turn[NSIG], turns;	/* the first to come has the lowest */
static volatile sig_atomic_t bell_rope = -1;	/* wakes the loop */
static struct sigaction before[NSIGNALS];
static sigset_t mask_before, mask_open;

/* On any thread: hooks may have started some. */
static void
signal_arrived(int sig)
{
	int saved = errno;

	if (atomic_fetch_add(&arrived[sig], 1) == 0)
		turn[sig] = atomic_fetch_add(&turns, 1);
	if (bell_rope != -1)
		(void)!write(bell_rope, "", 1);
	errno = saved;
}

void
signals_mute(void)
{
	bell_rope = -1;
}

void
signals_take(int bell)
{
	struct sigaction sa = { .sa_handler = signal_arrived };
	sigset_t set;
	size_t i;

	bell_rope = bell;
	sigemptyset(&set);
	sigfillset(&sa.sa_mask);
	for (i = 0; i < NSIGNALS; i++)
		sigaddset(&set, wanted[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &mask_before);
	mask_open = mask_before;
	for (i = 0; i < NSIGNALS; i++) {
		arrived[wanted[i]] = 0;
		(void)sigaction(wanted[i], &sa, &before[i]);
		/* Who started us may have blocked them; we need them. */
		sigdelset(&mask_open, wanted[i]);
	}
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
}

/* Those that wait to be delivered are gone with that. */
void
signals_end(void)
{
	size_t i;

	for (i = 0; i < NSIGNALS; i++)
		(void)signal(wanted[i], SIG_IGN);
}

void
signals_give_back(void)
{
	size_t i;

	for (i = 0; i < NSIGNALS; i++)
		(void)sigaction(wanted[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

sigset_t *
signals_mask(void)
{
	return &mask_open;
}

static void
signal_log(int sig)
{
	char name[16];
	size_t i;

	snprintf(name, sizeof(name), "%s", sigabbrev_np(sig));
	for (i = 0; name[i] != '\0'; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	if (sig == SIGCHLD)
		log_debug("Handling signal: %s", name);
	else
		log_info("Handling signal: %s", name);
}

/* Who has waited for the longest time; 0: nobody does. */
static int
next_signal(void)
{
	int sig = 0;
	size_t i;

	for (i = 0; i < NSIGNALS; i++)
		if (arrived[wanted[i]] > 0 && (sig == 0 ||
		    (int)(turn[wanted[i]] - turn[sig]) < 0))
			sig = wanted[i];
	return sig;
}

void
signals_serve(void (*handle)(void *, int), void *arg)
{
	int n, sig;

	while ((sig = next_signal()) != 0) {
		n = atomic_exchange(&arrived[sig], 0);
		if (n > 1 && sig != SIGTTIN && sig != SIGTTOU)
			n = 1;
		while (n-- > 0) {
			signal_log(sig);
			handle(arg, sig);
		}
	}
}
