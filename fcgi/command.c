#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/command.h"
#include "fcgi/log.h"

extern char **environ;

static struct command {
	pid_t		 pid;		/* 0: free */
	const char	*hook;
} running[COMMANDS_MAX];

void __attribute__((format(printf, 2, 3)))
command_fact(struct command_facts *f, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (f->n == COMMAND_FACTS)
		return;
	va_start(ap, fmt);
	n = vasprintf(&f->v[f->n], fmt, ap);
	va_end(ap);
	if (n != -1)
		f->n++;
}

static struct command *
command_free_one(void)
{
	size_t i;

	for (i = 0; i < COMMANDS_MAX; i++)
		if (running[i].pid == 0)
			return &running[i];
	return NULL;
}

static bool
is_fact(const struct command_facts *f, const char *name)
{
	size_t i, n = strcspn(name, "=") + 1;

	for (i = 0; i < f->n; i++)
		if (strncmp(f->v[i], name, n) == 0)
			return true;
	return false;
}

/* Ours and the facts, to be freed; its strings are borrowed. */
static char **
environ_with(const struct command_facts *f)
{
	char **e;
	size_t i, n = 0;

	while (environ[n] != NULL)
		n++;
	if ((e = calloc(n + f->n + 1, sizeof(*e))) == NULL)
		return NULL;
	for (i = n = 0; environ[i] != NULL; i++)
		if (!is_fact(f, environ[i]))
			e[n++] = environ[i];
	for (i = 0; i < f->n; i++)
		e[n++] = f->v[i];
	return e;
}

/* A process group of its own, so that ^C means only us; signals as a
 * program expects them. 0 or an errno. */
static int
spawn(pid_t *pid, const char *command, char **env)
{
	char *const argv[] = { (char *)(uintptr_t)"sh",
	    (char *)(uintptr_t)"-c", (char *)(uintptr_t)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	if ((rc = posix_spawn_file_actions_init(&files)) != 0)
		return rc;
	if ((rc = posix_spawnattr_init(&attr)) != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO,
	    "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn(pid, "/bin/sh", &files, &attr, argv, env);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

void
command_start(const char *hook, const char *command, struct command_facts *f)
{
	struct command *c = command_free_one();
	char **env = NULL;
	pid_t pid;
	int error;

	if (c == NULL)
		log_warning("The command of the hook %s is left out: %d of "
		    "them are running", hook, COMMANDS_MAX);
	else if ((env = environ_with(f)) == NULL ||
	    (error = spawn(&pid, command, env)) != 0)
		log_error("The command of the hook %s cannot be started: %s",
		    hook, env == NULL ? "no memory" : strerror(error));
	else
		*c = (struct command){ pid, hook };
	free(env);
	while (f->n > 0)
		free(f->v[--f->n]);
}

static void
say_end(const struct command *c, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		log_warning("The command of the hook %s exited with code %d",
		    c->hook, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		log_warning("The command of the hook %s was ended by signal "
		    "%d", c->hook, WTERMSIG(status));
}

void
command_ended(pid_t pid, int status)
{
	size_t i;

	for (i = 0; i < COMMANDS_MAX; i++) {
		if (running[i].pid != pid)
			continue;
		say_end(&running[i], status);
		running[i].pid = 0;
		return;
	}
}

size_t
command_poll(void)
{
	size_t i, n = 0;
	int status;
	pid_t pid;

	for (i = 0; i < COMMANDS_MAX; i++) {
		if (running[i].pid == 0)
			continue;
		pid = waitpid(running[i].pid, &status, WNOHANG);
		if (pid == running[i].pid)
			command_ended(pid, status);
		else if (pid == -1 && errno == ECHILD)
			running[i].pid = 0;	/* somebody else has */
		else
			n++;
	}
	return n;
}

void
command_forget(void)
{
	memset(running, 0, sizeof(running));
}
