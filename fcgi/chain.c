#include "config.h"

#include <signal.h>
#include <stdatomic.h>

#include "fcgi/chain.h"

enum { CHAIN_MAX = 8 };

typedef void (*handler)(int, siginfo_t *, void *);

static struct chain {
	int			 sig;
	struct sigaction	 ours;
	_Atomic(handler)	 theirs;	/* or NULL */
	atomic_bool		 due;
} chains[CHAIN_MAX];
static size_t nchains;
static atomic_bool news, running;
/* Whose handler this thread is in. Of the model that needs no allocation,
 * for handlers of signals look at it. */
static _Thread_local const struct chain *within
    __attribute__((tls_model("initial-exec")));

/* The two kinds of handlers share their place. */
static handler
handler_of(const struct sigaction *sa)
{
	return sa->sa_handler == SIG_DFL || sa->sa_handler == SIG_IGN ? NULL :
	    sa->sa_sigaction;
}

void
chain_begin(const int *signals, size_t n)
{
	for (nchains = 0; nchains < n && nchains < CHAIN_MAX; nchains++) {
		chains[nchains].sig = signals[nchains];
		(void)sigaction(signals[nchains], NULL,
		    &chains[nchains].ours);
	}
}

void
chain_look(void)
{
	struct sigaction now;
	struct chain *c;

	for (c = chains; c < chains + nchains; c++) {
		(void)sigaction(c->sig, NULL, &now);
		if (now.sa_handler == c->ours.sa_handler) {
			c->ours = now;	/* hooks change its flags */
			continue;
		}
		c->theirs = handler_of(&now);
		(void)sigaction(c->sig, &c->ours, NULL);
	}
}

static bool
is_ours(int sig)
{
	const struct chain *c;

	for (c = chains; c < chains + nchains; c++)
		if (c->sig == sig)
			return true;
	return false;
}

bool
chain_others(void)
{
	/* These are not waited for: who has them has them at once. */
	static const int at_once[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL,
		SIGSEGV, SIGSYS, SIGTRAP };
	struct sigaction now;
	sigset_t not;
	size_t i;
	int sig;

	sigemptyset(&not);
	for (i = 0; i < sizeof(at_once) / sizeof(at_once[0]); i++)
		sigaddset(&not, at_once[i]);
	for (sig = 1; sig < NSIG; sig++)
		if (!is_ours(sig) && sigismember(&not, sig) == 0 &&
		    sigaction(sig, NULL, &now) == 0 &&
		    handler_of(&now) != NULL)
			return true;
	return false;
}

/* The kernel, too, hands all three to handlers that take but one. Theirs may
 * call the one that stood there before, which is ours. */
static void
call(const struct chain *c)
{
	const struct chain *outer = within;
	siginfo_t info = { .si_signo = c->sig };
	handler f = c->theirs;

	if (f == NULL)
		return;
	within = c;
	f(c->sig, &info, NULL);
	within = outer;
}

void
chain_arrived(int sig, bool now)
{
	struct chain *c;

	for (c = chains; c < chains + nchains; c++) {
		if (c->sig != sig || c->theirs == NULL || c == within)
			continue;
		if (now) {
			call(c);
			continue;
		}
		c->due = true;
		news = true;
	}
}

bool
chain_news(void)
{
	return news && atomic_exchange(&news, false);
}

bool
chain_due(void)
{
	const struct chain *c;

	for (c = chains; c < chains + nchains; c++)
		if (c->due)
			return true;
	return running;		/* looked at last, for it is set first */
}

int
chain_run(int (*then)(void))
{
	struct chain *c;
	int rv;

	if (running)
		return 0;
	running = true;
	for (c = chains; c < chains + nchains; c++)
		if (atomic_exchange(&c->due, false))
			call(c);
	rv = then != NULL ? then() : 0;
	running = false;
	return rv;
}
