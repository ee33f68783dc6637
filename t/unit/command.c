/*
 * Commands of hooks: how many run at once, and how long process 1 waits for
 * them. They run until the test lets go of them: the clock is held.
 */
#include "config.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "fcgi/command.h"
#include "fcgi/hook.h"
#include "fcgi/log.h"
#include "t/lib/tap.h"

enum { HELD_MS = 1000 };

static char log_path[] = "/tmp/gangway-command.XXXXXX";
static int rope[2] = { -1, -1 };	/* commands end with its other end */
static pid_t pid_shown;			/* 0: the real one */

pid_t	__real_getpid(void);
pid_t	__wrap_getpid(void);

pid_t
__wrap_getpid(void)
{
	return pid_shown != 0 ? pid_shown : __real_getpid();
}

static void
start(void)
{
	struct command_facts f = { .n = 0 };
	char text[64];

	if (rope[0] == -1) {
		if (pipe2(rope, O_CLOEXEC) == -1 ||
		    fcntl(rope[0], F_SETFD, 0) == -1)
			exit(99);
	}
	snprintf(text, sizeof(text), "read nothing <&%d; exit 7", rope[0]);
	command_start("when_ready", text, &f);
}

/* Have all end, and wait until they have: nobody has taken note yet. */
static void
let_go(int n)
{
	siginfo_t si;

	close(rope[0]);
	close(rope[1]);
	rope[0] = rope[1] = -1;
	for (; n > 0; n--)
		if (waitid(P_ALL, 0, &si, WEXITED | WNOWAIT) == -1)
			exit(99);
}

static int
logged(const char *what)
{
	static char text[1 << 16];
	FILE *f = fopen(log_path, "r");
	const char *p = text;
	int n = 0;

	if (f == NULL)
		return -1;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	while ((p = strstr(p, what)) != NULL) {
		n++;
		p += strlen(what);
	}
	return n;
}

static uint64_t
linger(pid_t as)
{
	clock_hold(HELD_MS);
	pid_shown = as;
	hook_linger();
	pid_shown = 0;
	return clock_ms() - HELD_MS;
}

static void
test_linger(void)
{
	ok(linger(1) == 0, "process 1 waits for nothing when nothing runs");
	start();
	ok(linger(0) == 0, "another process does not wait at all");
	ok(linger(1) == 2000, "process 1 waits two seconds for a command");
	ok(command_poll() == 1, "and leaves it alone then");
	let_go(1);
	ok(linger(1) == 0, "it does not wait for one that has ended");
	ok(command_poll() == 0 && logged("when_ready exited with code 7") == 1,
	    "whose end is in the log");
	clock_release();
}

/* A command ends with how many variables of that name it was given. */
static void
test_facts(void)
{
	struct command_facts f = { .n = 0 };

	(void)setenv("GANGWAY_EVENT", "of another one", 1);
	command_fact(&f, "GANGWAY_EVENT=%s", "ours");
	command_start("when_ready", "exit $((40 + $(tr '\\0' '\\n' "
	    "</proc/$$/environ | grep -c ^GANGWAY_EVENT=)))", &f);
	let_go(1);
	while (command_poll() != 0)
		let_go(1);
	ok(logged("exited with code 41") == 1,
	    "a fact is there once, whatever our environment has");
	(void)unsetenv("GANGWAY_EVENT");
}

static void
test_most(void)
{
	int i;

	for (i = 0; i < COMMANDS_MAX; i++)
		start();
	ok(command_poll() == COMMANDS_MAX && logged("is left out") == 0,
	    "%d run at once", COMMANDS_MAX);
	start();
	ok(command_poll() == COMMANDS_MAX && logged("is left out: 16 of them "
	    "are running") == 1, "one more is left out, with a line");
	let_go(1);
	while (command_poll() == COMMANDS_MAX)
		let_go(1);
	start();
	ok(logged("is left out") == 1, "where one has ended, one may start");
	let_go(1);
	while (command_poll() != 0)
		let_go(1);
	ok(logged("exited with code 7") == 1 + COMMANDS_MAX + 1,
	    "the end of each is noted");
}

int
main(void)
{
	int fd = mkstemp(log_path);

	if (fd == -1)
		return 99;
	close(fd);
	(void)log_open(log_path, "info", false);
	test_linger();
	test_facts();
	test_most();
	(void)unlink(log_path);
	return tap_done();
}
