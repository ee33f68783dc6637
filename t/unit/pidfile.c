#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/pidfile.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/gangway-pidfile.XXXXXX";
static char path[64];

/* The pid of a process that was. */
static int
dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
	return (int)pid;
}

static void
put(const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		exit(99);
	fputs(text, f);
	fclose(f);
}

static const char *
get(void)
{
	static char text[256];
	FILE *f = fopen(path, "r");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}

/* What is there before, and whether we may take its place. */
static void
test_before(const char *name, const char *text, int want)
{
	char ours[32], *why = NULL;
	int rc;

	snprintf(ours, sizeof(ours), "%d\n", (int)getpid());
	(void)unlink(path);
	if (text != NULL)
		put(text);
	rc = pidfile_create(path, &why);
	ok(rc == want && strcmp(get(), rc == 0 ? ours : text) == 0,
	    "%s: %s", name, want == 0 ? "taken" : "left alone");
	ok((rc == 0) == (why == NULL), "%s: %s", name,
	    why != NULL ? why : "no complaint");
	free(why);
	pidfile_delete(path);
	ok((access(path, F_OK) == 0) == (rc != 0), "%s: %s after", name,
	    rc == 0 ? "gone" : "there");
}

static bool
holds_us(const char *file)
{
	FILE *f = fopen(file, "r");
	int pid = 0;

	if (f == NULL)
		return false;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid == (int)getpid();
}

/* From none to one name, to another, over another's, to none. */
static void
test_move(void)
{
	char *have = NULL, *why = NULL, *second, other[32];

	if (asprintf(&second, "%s.2", path) == -1)
		exit(99);
	ok(pidfile_move(&have, strdup(second), 0, &why) == 0 &&
	    holds_us(second), "move: a first one");
	ok(pidfile_move(&have, strdup(second), 0, &why) == 0 &&
	    holds_us(second), "move: the same");
	snprintf(other, sizeof(other), "%d\n", (int)getppid());
	put(other);
	ok(pidfile_move(&have, strdup(path), 1, &why) == -1 &&
	    strcmp(have, second) == 0 && holds_us(second) && !holds_us(path),
	    "move: not over that of a live process: %s", why);
	free(why);
	ok(pidfile_move(&have, strdup(path), getppid(), &why) == 0 &&
	    strcmp(have, path) == 0 && holds_us(path) &&
	    access(second, F_OK) == -1, "move: over that of whom we succeed");
	ok(pidfile_move(&have, strdup(second), 0, &why) == 0 &&
	    holds_us(second) && access(path, F_OK) == -1,
	    "move: to another name");
	ok(pidfile_move(&have, NULL, 0, &why) == 0 && have == NULL &&
	    access(second, F_OK) == -1, "move: to none");
	free(second);
}

int
main(void)
{
	char dead[32], ours[32], other[32], wide[200], *why = NULL;
	struct stat st;
	int rc;

	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(path, sizeof(path), "%s/pid", dir);
	snprintf(dead, sizeof(dead), "%d\n", dead_pid());
	snprintf(ours, sizeof(ours), "%d", (int)getpid());
	snprintf(other, sizeof(other), " %d\n", (int)getppid());
	memset(wide, '1', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';

	test_before("nothing", NULL, 0);
	test_before("empty", "", 0);
	test_before("a dead process", dead, 0);
	test_before("ourselves", ours, 0);
	test_before("a live process", other, -1);
	test_before("words", "root:x:0:0\n", -1);
	test_before("a number and words", "12 monkeys\n", -1);
	test_before("zero", "0\n", -1);
	test_before("minus one", "-1\n", -1);
	test_before("too large", "99999999999\n", -1);
	test_before("too long", wide, -1);

	(void)unlink(path);
	ok(pidfile_create(path, &why) == 0 && stat(path, &st) == 0 &&
	    (st.st_mode & 07777) == 0644, "mode 0644");
	put("1\n");
	pidfile_delete(path);
	ok(access(path, F_OK) == 0, "another's is not removed");
	(void)unlink(path);
	rc = symlink("/etc/passwd", path);
	rc |= pidfile_create(path, &why);
	ok(rc == -1, "a link is not followed: %s", why);
	free(why);
	(void)unlink(path);
	(void)mkdir(path, 0700);
	rc = pidfile_create(path, &why);
	ok(rc == -1, "a folder: %s", why);
	free(why);
	(void)rmdir(path);
	rc = pidfile_create("/nonexistent/pid", &why);
	ok(rc == -1, "no folder: %s", why);
	free(why);
	pidfile_delete(NULL);
	test_move();
	ok(rmdir(dir) == 0, "no draft is left");
	return tap_done();
}
