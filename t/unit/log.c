/* The error log: lines that cannot be forged, files that can be renamed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/log.h"
#include "fcgi/logfile.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/log.XXXXXX", path[64], old[64];
static char text[1 << 20];

/* What a file holds; its length. */
static size_t
slurp(const char *name)
{
	FILE *f = fopen(name, "rb");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return n;
}

static void
empty(const char *name)
{
	if (truncate(name, 0) == -1)
		abort();
}

/* What follows "[time] [pid] [LEVEL] " of the only line in the log. */
static const char *
message(const char *level)
{
	char want[32];
	const char *p;
	size_t n = slurp(path);

	(void)snprintf(want, sizeof(want), "] [%d] [%s] ", (int)getpid(),
	    level);
	if ((p = strstr(text, want)) == NULL || p != text + 26 || n == 0 ||
	    text[n - 1] != '\n')
		return "(no line)";
	text[n - 1] = '\0';
	return p + strlen(want);
}

static const struct {
	const char	*in, *out;
} escapes[] = {
	{ "plain", "plain" }, { "", "" },
	{ "a\nb", "a\\x0ab" },
	{ "a\r\n[2026] forged", "a\\x0d\\x0a[2026] forged" },
	{ "\x1b[31mred", "\\x1b[31mred" },
	{ "\t\x01\x1f\x7f", "\\x09\\x01\\x1f\\x7f" },
	{ "say \"it\" \\x0a", "say \"it\" \\x0a" },
	{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "\xe4 latin", "\\xe4 latin" }, { "cut \xc3", "cut \\xc3" },
	{ "\xc2\x9b" "31m", "\\xc2\\x9b31m" }, { "\xc0\x8a", "\\xc0\\x8a" },
	{ "\xe0\x80\x8a", "\\xe0\\x80\\x8a" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	{ "\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a" },
	{ "\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9" },
	{ "\xff\xfe", "\\xff\\xfe" },
};

static void
test_escapes(void)
{
	size_t i;

	for (i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		empty(path);
		log_info("%s", escapes[i].in);
		if (!ok(strcmp(message("INFO"), escapes[i].out) == 0,
		    "escape %zu", i))
			printf("# %s\n", text);
	}
}

static void
test_form(void)
{
	struct tm tm = { .tm_isdst = -1 };
	time_t now = time(NULL), then;
	const char *p;

	empty(path);
	errno = ENOENT;
	log_warning("%s %d", "number", 7);
	ok(errno == ENOENT, "errno is kept");
	ok(strcmp(message("WARNING"), "number 7") == 0, "a line");
	p = strptime(text, "[%Y-%m-%d %H:%M:%S ", &tm);
	then = mktime(&tm);
	ok(p != NULL && then >= now && then - now < 60 && (*p == '+' ||
	    *p == '-') && p[5] == ']', "with the time: %.26s", text);
	empty(path);
	log_error("e");
	ok(strcmp(message("ERROR"), "e") == 0, "an error");
	empty(path);
	log_critical("c");
	ok(strcmp(message("CRITICAL"), "c") == 0, "worse");
}

static void
test_levels(void)
{
	static const struct {
		const char	*name;
		int		 lines;
	} levels[] = {
		{ "debug", 5 }, { "info", 4 }, { "WARNING", 3 },
		{ "Error", 2 }, { "critical", 1 }, { "nonsense", 4 },
		{ NULL, 4 },
	};
	size_t i, n, k;
	int lines;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		empty(path);
		ok(log_open(path, levels[i].name, false) == 0 &&
		    log_enabled(LOG_LEVEL_DEBUG) == (levels[i].lines == 5) &&
		    log_enabled(LOG_LEVEL_CRITICAL), "level %s",
		    levels[i].name ? levels[i].name : "none");
		log_debug("d");
		log_info("i");
		log_warning("w");
		log_error("e");
		log_critical("c");
		n = slurp(path);
		for (k = 0, lines = 0; k < n; k++)
			lines += text[k] == '\n';
		ok(lines == levels[i].lines, "%d lines", lines);
	}
}

static void
test_long(void)
{
	static char big[3 * LOG_LINE_MAX];
	size_t n;

	memset(big, 'a', sizeof(big) - 1);
	empty(path);
	log_info("%s", big);
	n = slurp(path);
	ok(n == LOG_LINE_MAX && strchr(text, '\n') == text + n - 1,
	    "a line too long is cut");
	memset(big, '\n', sizeof(big) - 1);
	empty(path);
	log_info("%s", big);
	n = slurp(path);
	ok(n <= LOG_LINE_MAX && n > LOG_LINE_MAX - 5 &&
	    strchr(text, '\n') == text + n - 1 &&
	    strncmp(text + n - 5, "\\x0a", 4) == 0, "between two escapes");
}

static void
test_text(void)
{
	static char big[100000];
	const char *p;
	size_t n, longest = 0, i, from = 0;

	empty(path);
	log_text(LOG_LEVEL_ERROR, "Exception:", "one\ntwo\r\x1b\n\nfour", 15);
	p = message("ERROR");
	ok(strcmp(p, "Exception:\none\ntwo\\x0d\\x1b\n\nfour") == 0,
	    "several lines");
	empty(path);
	log_text(LOG_LEVEL_INFO, "a\nb", "one\n", 4);
	ok(strcmp(message("INFO"), "a\\x0ab\none") == 0, "the last LF");
	empty(path);
	log_text(LOG_LEVEL_INFO, "nothing", "", 0);
	ok(strcmp(message("INFO"), "nothing") == 0, "only the first line");
	empty(path);
	log_text(LOG_LEVEL_DEBUG, "no", "text", 4);
	ok(slurp(path) == 0, "not at this level");
	memset(big, 1, sizeof(big));
	memcpy(big + 90000, "\nend", 4);
	log_text(LOG_LEVEL_INFO, "long", big, 90004);
	n = slurp(path);
	for (i = 0; i < n; i++)
		if (text[i] == '\n') {
			longest = i + 1 - from > longest ? i + 1 - from :
			    longest;
			from = i + 1;
		}
	ok(longest <= LOG_LINE_MAX && strcmp(text + n - 5, "\nend\n") == 0,
	    "a long line among them is cut");
}

/* Whole pieces, as many as there is room for. */
static void
test_copy_most(int fd)
{
	static const char block[100 * 1024];
	struct stat st;

	(void)!ftruncate(fd, 0);
	(void)lseek(fd, 0, SEEK_SET);
	log_copy(fd);
	log_copied(block, sizeof(block));
	log_copied(block, sizeof(block));
	log_copied("end", 3);
	log_copy(-1);
	ok(fstat(fd, &st) == 0 && st.st_size == sizeof(block) + 3,
	    "a copy has a bound");
}

/* What somebody else is to be told, whatever the log wants. */
static void
test_copy(void)
{
	char copy[64];
	int fd;

	(void)snprintf(copy, sizeof(copy), "%s/copy", dir);
	if ((fd = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600)) == -1 ||
	    log_open(path, "critical", false) == -1)
		abort();
	empty(path);
	log_copy(fd);
	log_info("an info");
	log_error("an error");
	log_text(LOG_LEVEL_WARNING, "first", "second\n", 7);
	log_copied("said before\n", 12);
	log_copy(-1);
	log_error("too late");
	slurp(copy);
	ok(strcmp(text, "an error\nfirst\nsecond\nsaid before\n") == 0,
	    "a copy of what is a warning or worse, bare");
	slurp(path);
	ok(text[0] == '\0', "that leaves the log as it would be");
	test_copy_most(fd);
	close(fd);
	unlink(copy);
	(void)log_open(path, "info", false);
}

static void
test_reopen(void)
{
	int fd = log_fd();

	empty(path);
	log_info("one");
	ok(rename(path, old) == 0 && log_reopen() == 0, "renamed");
	log_info("two");
	ok(strcmp(message("INFO"), "two") == 0, "the new file");
	ok(slurp(old) > 0 && strstr(text, "one\n") != NULL &&
	    strstr(text, "two") == NULL, "the old one");
	ok(log_fd() == fd, "under the same descriptor");
	ok((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "closed on exec");
	unlink(old);
	ok(log_open("/nonexistent/log", "info", false) == -1 &&
	    errno == ENOENT, "a bad name");
	empty(path);
	log_info("still");
	ok(strcmp(message("INFO"), "still") == 0, "keeps the old log");
}

static void
test_relative(void)
{
	char cwd[1024];

	if (getcwd(cwd, sizeof(cwd)) == NULL || chdir(dir) == -1)
		abort();
	ok(log_open("log", "info", false) == 0 && chdir("/") == 0 &&
	    rename(path, old) == 0 && log_reopen() == 0,
	    "a relative name after chdir");
	log_info("here");
	ok(strcmp(message("INFO"), "here") == 0, "is the same file");
	unlink(old);
	if (chdir(cwd) == -1)
		abort();
}

static void
say(const char *p)
{
	if (write(STDOUT_FILENO, p, strlen(p)) == -1 ||
	    write(STDERR_FILENO, p, strlen(p)) == -1)
		_exit(9);
}

/* In a child, whose streams may be taken. */
static int
captured(void)
{
	if (log_open(path, "info", true) == -1)
		return 1;
	say("a\n");
	if (rename(path, old) == -1 || log_reopen() == -1)
		return 2;
	say("b\n");
	/* The streams are for children too. */
	if (system("echo child; echo child >&2") != 0)
		return 3;
	return 0;
}

static void
test_capture(void)
{
	int st = -1;
	pid_t pid;

	empty(path);
	if ((pid = fork()) == 0)
		_exit(captured());
	ok(waitpid(pid, &st, 0) == pid && st == 0, "streams captured");
	slurp(old);
	ok(strcmp(text, "a\na\n") == 0, "before");
	slurp(path);
	ok(strcmp(text, "b\nb\nchild\nchild\n") == 0, "after");
	unlink(old);
}

/* "-" and none, in a child whose stderr is the file. */
static int
standard(void)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	if (dup2(fd, STDERR_FILENO) == -1 || log_open("-", "info", true) == -1)
		return 1;
	log_info("to stderr");
	if (log_fd() != STDERR_FILENO || log_reopen() == -1)
		return 2;
	log_info("again");
	if (log_open(NULL, "info", true) == -1 || log_fd() != -1 ||
	    log_enabled(LOG_LEVEL_CRITICAL))
		return 3;
	log_critical("nowhere");
	log_text(LOG_LEVEL_ERROR, "nor", "this", 4);
	log_stderr_given_away(true);
	if (log_open("-", "error", true) == -1 || !log_is_syslog() ||
	    log_enabled(LOG_LEVEL_INFO) || log_fd() != -1)
		return 4;
	log_error("to syslog");
	if (log_open("-", "debug", false) == -1 || !log_is_syslog() ||
	    !log_enabled(LOG_LEVEL_DEBUG))
		return 5;
	if (log_open(path, "info", false) == -1 || log_is_syslog() ||
	    log_open("-", "info", false) == -1 || !log_is_syslog())
		return 6;
	log_stderr_given_away(false);
	return log_open("-", "info", false) == -1 || log_is_syslog() ? 7 : 0;
}

/* Where who started us has closed descriptors 0 and 1. */
static int
low(void)
{
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)log_open("-", "info", false);
	return log_open(path, "info", false) == 0 &&
	    log_fd() > STDERR_FILENO ? 0 : 1;
}

static void
test_standard(void)
{
	int st = -1;
	pid_t pid;

	if ((pid = fork()) == 0)
		_exit(low());
	ok(waitpid(pid, &st, 0) == pid && st == 0,
	    "a log is never a standard stream");

	empty(path);
	if ((pid = fork()) == 0)
		_exit(standard());
	ok(waitpid(pid, &st, 0) == pid && st == 0, "stderr, none and syslog");
	slurp(path);
	ok(strstr(text, "to stderr\n") != NULL &&
	    strstr(text, "again\n") != NULL && strstr(text, "nowhere") ==
	    NULL, "only what was for stderr");
}

static void *
writer(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++)
		log_info("thread %s line %d end", (char *)arg, i);
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t[4];
	char names[4][2] = { "0", "1", "2", "3" }, *p, *lf;
	int i, whole = 0;

	/* A child has renamed the file that is open here. */
	if (log_reopen() == -1)
		abort();
	empty(path);
	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, writer, names[i]) != 0)
			abort();
	for (i = 0; i < 50; i++)
		if (log_reopen() == -1)
			abort();
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	slurp(path);
	for (p = text; (lf = strchr(p, '\n')) != NULL; p = lf + 1)
		whole += *p == '[' && lf - p > 4 &&
		    strncmp(lf - 4, " end", 4) == 0;
	ok(whole == 8000 && *p == '\0', "lines of four threads are whole");
}

/* Root's log is its workers' too; but not what a link leads to. */
static void
test_owner(void)
{
	char real[64], folder[64], link[64], through[80];
	struct { const char *path; uid_t owner; } rows[] = {
		{ real, 65534 }, { link, 0 }, { through, 0 },
	};
	struct stat st;
	size_t i;

	if (geteuid() != 0) {
		ok(true, "# SKIP only root gives its files away");
		return;
	}
	(void)snprintf(real, sizeof(real), "%s/new", dir);
	(void)snprintf(link, sizeof(link), "%s/link", dir);
	(void)snprintf(folder, sizeof(folder), "%s/folder", dir);
	(void)snprintf(through, sizeof(through), "%s/new", folder);
	logfile_owner(65534, 65534);
	for (i = 0; i < 3; i++) {
		(void)log_open("-", "info", false);
		(void)unlink(real);
		if (i > 0 && (open(real, O_WRONLY | O_CREAT | O_EXCL |
		    O_CLOEXEC, 0600) == -1 || (i == 1 ? symlink(real, link) :
		    symlink(dir, folder)) == -1))
			abort();
		ok(log_open(rows[i].path, "info", false) == 0 &&
		    stat(real, &st) == 0 && st.st_uid == rows[i].owner,
		    "root's log, %s: its owner", i == 0 ? "a new file" :
		    i == 1 ? "by a link" : "through a linked folder");
	}
	(void)log_open("-", "info", false);
	(void)unlink(link);
	ok(chown(real, 0, 0) == 0 && linkat(AT_FDCWD, real, AT_FDCWD, link, 0)
	    == 0 && log_open(real, "info", false) == 0 &&
	    stat(real, &st) == 0 && st.st_uid == 0,
	    "root's log, a file with two names: its owner");
	ok(log_open("/dev/stdout", "info", false) == 0,
	    "root's log, /dev/stdout");
	logfile_owner(0, 0);
	(void)log_open(path, "info", false);
	(void)unlink(real);
	(void)unlink(link);
	(void)unlink(folder);
}

/* In a folder of its user's a log may become a link, to anything of root's. */
static void
test_links(void)
{
	static const struct {
		const char	*name, *target;	/* in the user's folder */
		const char	*log;
		uid_t		 link_owner;
	} rows[] = {
		{ "log",	"../root",	"log",		65534 },
		{ "roots",	"../root",	"roots",	0 },
		{ "new",	"../new",	"new",		65534 },
		{ "folder",	"..",		"folder/root",	65534 },
	};
	char theirs[64], secret[64], new[64], link[96], log[96];
	struct stat st;
	size_t i;

	if (geteuid() != 0) {
		ok(true, "# SKIP only root has files that others have not");
		return;
	}
	(void)snprintf(theirs, sizeof(theirs), "%s/theirs", dir);
	(void)snprintf(secret, sizeof(secret), "%s/root", dir);
	(void)snprintf(new, sizeof(new), "%s/new", dir);
	if (mkdir(theirs, 0755) == -1 || chown(theirs, 65534, 65534) == -1)
		abort();
	if (close(open(secret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0600)) == -1)
		abort();
	logfile_owner(65534, 65534);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(link, sizeof(link), "%s/%s", theirs,
		    rows[i].name);
		(void)snprintf(log, sizeof(log), "%s/%s", theirs,
		    rows[i].log);
		/* The log is there, and then a link is. */
		if (i == 0 && log_open(log, "info", false) == -1)
			abort();
		(void)unlink(link);
		if (symlink(rows[i].target, link) == -1 ||
		    lchown(link, rows[i].link_owner, 0) == -1)
			abort();
		ok((i == 0 ? log_reopen() : log_open(log, "info", false)) ==
		    -1 && errno == ELOOP, "root's log, not by a link: %s",
		    rows[i].name);
		log_error("not there");
		(void)unlink(link);
	}
	ok(stat(secret, &st) == 0 && st.st_size == 0 && st.st_uid == 0 &&
	    access(new, F_OK) == -1, "root's log: nothing came of the links");
	logfile_owner(0, 0);
	(void)log_open(path, "info", false);
	(void)unlink(secret);
	(void)rmdir(theirs);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		abort();
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	(void)snprintf(old, sizeof(old), "%s/log.1", dir);
	ok(log_fd() == STDERR_FILENO && log_enabled(LOG_LEVEL_INFO),
	    "stderr before it is opened");
	ok(log_open(path, "info", false) == 0, "open");
	test_escapes();
	test_form();
	test_long();
	test_text();
	test_levels();
	test_copy();
	test_reopen();
	test_relative();
	test_capture();
	test_standard();
	test_threads();
	test_owner();
	test_links();
	(void)log_open("-", "info", false);
	unlink(path);
	rmdir(dir);
	return tap_done();
}
