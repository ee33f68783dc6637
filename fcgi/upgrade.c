#include "config.h"

#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/app.h"
#include "fcgi/crew.h"
#include "fcgi/cwd.h"
#include "fcgi/generation.h"
#include "fcgi/hook.h"
#include "fcgi/inherit.h"
#include "fcgi/log.h"
#include "fcgi/scoreboard.h"
#include "fcgi/signals.h"
#include "fcgi/upgrade.h"

enum {
	NEW_VARIABLES = 4,
	PARENT_MS = 200		/* how often a successor looks for it */
};

/* What a successor says when it serves. */
enum { WORD_JOINED = 'j', WORD_APART = 'a' };

/* --- how we were started */

/* Is it our own file? Then under that name from the root, links kept: a
 * virtual environment is known by them, and a new version found. */
static char *
own_name(const char *name)
{
	struct stat a, b;
	char *dir, *whole = NULL;

	if (name == NULL || strchr(name, '/') == NULL ||
	    stat(name, &a) == -1 || stat("/proc/self/exe", &b) == -1 ||
	    a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return NULL;
	if (*name == '/')
		return strdup(name);
	if ((dir = cwd_name()) == NULL)
		return NULL;
	if (asprintf(&whole, "%s/%s", dir, name) == -1)
		whole = NULL;
	free(dir);
	return whole;
}

/* The words of the command line as the kernel was given them. */
static char **
own_words(void)
{
	char *text = NULL, **argv = NULL;
	size_t size = 0, n = 0;
	ssize_t len;
	FILE *f;

	if ((f = fopen("/proc/self/cmdline", "re")) == NULL)
		return NULL;
	if ((argv = calloc(1, sizeof(*argv))) == NULL)
		goto fail;
	while ((len = getdelim(&text, &size, '\0', f)) > 0) {
		char **more = reallocarray(argv, n + 2, sizeof(*argv));

		if (more == NULL)
			goto fail;
		argv = more;
		argv[n + 1] = NULL;
		if ((argv[n++] = strdup(text)) == NULL)
			goto fail;
	}
	free(text);
	(void)fclose(f);
	return argv;
fail:
	while (argv != NULL && n > 0)
		free(argv[--n]);
	free(argv);
	free(text);
	(void)fclose(f);
	return NULL;
}

int
restart_find(struct restart *r)
{
	char path[PATH_MAX];
	ssize_t n;

	if ((r->argv = own_words()) == NULL || r->argv[0] == NULL)
		return -1;
	/* What was executed; a script has an interpreter, which is named in
	 * its first word. */
	r->program = own_name((const char *)getauxval(AT_EXECFN));
	if (r->program == NULL)
		r->program = own_name(r->argv[0]);
	if (r->program == NULL &&
	    (n = readlink("/proc/self/exe", path, sizeof(path) - 1)) > 0) {
		path[n] = '\0';
		r->program = strdup(path);
	}
	return r->program != NULL ? 0 : -1;
}

void
restart_done(struct restart *r)
{
	size_t i;

	for (i = 0; r->argv != NULL && r->argv[i] != NULL; i++)
		free(r->argv[i]);
	free(r->argv);
	free(r->program);
	r->argv = NULL;
	r->program = NULL;
}

/* --- the child */

static bool
is_named(const char *var, const char *name)
{
	size_t n = strlen(name);

	return strncmp(var, name, n) == 0 && var[n] == '=';
}

/* Variables that say something else to the successor. */
static bool
replaced(const char *var)
{
	const char *const *name;

	for (name = inherit_variables; *name != NULL; name++)
		if (is_named(var, *name))
			return true;
	return is_named(var, "WATCHDOG_PID");
}

static char **
new_environ(const struct restart *how, const struct inherit *in)
{
	char *fds = inherit_numbers(in), *text = inherit_text(in), **e;
	size_t i, n = 0;

	while (how->environ[n] != NULL)
		n++;
	e = calloc(n + NEW_VARIABLES + 1, sizeof(*e));
	if (e == NULL || fds == NULL || text == NULL)
		return NULL;
	for (i = n = 0; how->environ[i] != NULL; i++)
		if (!replaced(how->environ[i]))
			e[n++] = how->environ[i];
	if (asprintf(&e[n++], "GUNICORN_PID=%d", (int)getppid()) == -1 ||
	    asprintf(&e[n++], "GUNICORN_FD=%s", fds) == -1 ||
	    asprintf(&e[n++], "GANGWAY_FD=%s", text) == -1 ||
	    (getenv("WATCHDOG_PID") != NULL &&
	    asprintf(&e[n++], "WATCHDOG_PID=%d", (int)getpid()) == -1))
		return NULL;
	return e;
}

/* Who must be told of a fork, or NULL. */
static const struct app_kind *
interpreter(const struct crew *c)
{
	return c->config->started ? c->config->kind : hook_interpreter();
}

static void __attribute__((noreturn))
become(const struct restart *how, const struct crew *c, struct inherit *in)
{
	const struct app_kind *kind = interpreter(c);
	char **environment;

	if (kind != NULL && kind->after_fork_child != NULL)
		kind->after_fork_child();
	(void)hook_server(APP_PRE_EXEC);
	if ((environment = new_environ(how, in)) == NULL ||
	    chdir(how->cwd) == -1 || inherit_open(in) == -1)
		log_error("cannot start the new program: %s",
		    strerror(errno));
	else {
		(void)signal(SIGPIPE, SIG_DFL);
		signals_give_back();
		(void)execve(how->program, how->argv, environment);
		log_error("cannot execute %s: %s", how->program,
		    strerror(errno));
	}
	_exit(1);
}

/* --- the parent */

void
upgrade_begin(struct upgrade *u, const struct crew *c)
{
	const struct app_kind *kind = interpreter(c);
	struct inherit in = { .listeners = c->current->listeners,
	    .handoff = { c->handoff[0], c->handoff[1] } };
	int word[2], saved;
	pid_t pid;

	if (u->child != 0 || u->parent != 0) {
		log_warning("USR2 signal ignored. %s exists.",
		    u->child != 0 ? "Child" : "Parent");
		return;
	}
	if (u->how == NULL) {
		log_warning("USR2 signal ignored: %s", u->cannot);
		return;
	}
	if (pipe2(word, O_CLOEXEC | O_NONBLOCK) == -1) {
		log_error("cannot start the new program: %s",
		    strerror(errno));
		return;
	}
	in.systemd = u->how->systemd;
	in.told = word[1];
	if (kind != NULL && kind->before_fork != NULL)
		kind->before_fork();
	(void)fflush(NULL);	/* or the child would write it again */
	if ((pid = fork()) == 0)
		become(u->how, c, &in);
	saved = errno;
	if (kind != NULL && kind->after_fork_parent != NULL)
		kind->after_fork_parent();
	close(word[1]);
	if (pid == -1) {
		close(word[0]);
		log_error("cannot start the new program: %s",
		    strerror(saved));
		return;
	}
	u->child = pid;
	u->word = word[0];
	u->child_joined = false;
}

void
upgrade_ready(struct upgrade *u)
{
	char word = u->joined ? WORD_JOINED : WORD_APART;

	if (u->told == 0)
		return;
	(void)!write(u->told, &word, 1);	/* it may have gone */
	close(u->told);
	u->told = 0;
}

bool
upgrade_lost(struct upgrade *u, pid_t pid, int status)
{
	if (pid != u->child || pid == 0)
		return false;
	u->child = 0;
	u->child_joined = false;
	close(u->word);
	u->word = 0;
	if (WIFSIGNALED(status))
		log_warning("The new program (pid:%d) was sent SIG%s: this "
		    "one goes on", (int)pid, sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		log_error("The new program (pid:%d) exited with code %d: "
		    "this one goes on", (int)pid, WEXITSTATUS(status));
	else
		log_info("The new program (pid:%d) has left: this one goes "
		    "on", (int)pid);
	return true;
}

bool
upgrade_promoted(struct upgrade *u)
{
	if (u->parent == 0 || getppid() == u->parent)
		return false;
	u->parent = 0;
	return true;
}

int
upgrade_pause(const struct upgrade *u)
{
	return u->parent != 0 ? PARENT_MS : -1;
}

bool
upgrade_shared(const struct upgrade *u)
{
	return u->child != 0 || u->parent != 0;
}

bool
upgrade_served(struct upgrade *u)
{
	char word;

	if (u->parent != 0)
		return u->joined && getppid() == u->parent;
	if (u->child != 0 && !u->child_joined)
		u->child_joined = read(u->word, &word, 1) == 1 &&
		    word == WORD_JOINED;
	return u->child_joined;
}

void
upgrade_done(struct upgrade *u)
{
	if (u->word != 0)
		close(u->word);
	if (u->told != 0)
		close(u->told);
	u->word = u->told = 0;
}
