#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/hosting.h"
#include "conf/settings.h"
#include "fcgi/app.h"
#include "fcgi/board.h"
#include "fcgi/crew.h"
#include "fcgi/listeners.h"
#include "fcgi/log.h"
#include "fcgi/manager.h"
#include "fcgi/wire/session.h"
#include "fcgi/worker.h"
#include "shim/passenger/failed.h"
#include "shim/passenger/handshake.h"

enum { REPORT_MAX = 128 * 1024 };

struct board {
	struct passenger	 host;
	struct passenger_terms	 terms;
	const char		*protocol;
	long			 concurrency;
	int			 socket;	/* ours, as long as it may
						   be wanted again, or -1 */
	int			 leash;
	int			 output;	/* at whose end Passenger takes
						   us for dead, until ready */
	int			 report;	/* what went wrong, or -1 */
	char			*log;		/* where nobody named one */
	bool			 named;		/* somebody did */
	bool			 ready;
};

/* --- what Passenger gave */

/* Only we may notice that Passenger lets go of it. */
static int
take_leash(void)
{
	int fd, null;

	if ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    (null = open("/dev/null", O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	(void)dup2(null, STDIN_FILENO);
	close(null);
	return fd;
}

/* tmp/gangway.log of the application, if we can write there. */
static char *
own_log(const char *root)
{
	char *dir = NULL, *path = NULL;
	struct stat st;

	if (root == NULL || asprintf(&dir, "%s/tmp", root) == -1 ||
	    asprintf(&path, "%s/gangway.log", dir) == -1 ||
	    stat(dir, &st) == -1 || !S_ISDIR(st.st_mode) ||
	    access(dir, W_OK | X_OK) == -1 || (stat(path, &st) == 0 &&
	    (!S_ISREG(st.st_mode) || access(path, W_OK) == -1))) {
		free(path);
		path = NULL;
	}
	free(dir);
	return path;
}

/* PassengerPython stands for us: what follows is its own loader. */
static void
drop_loader(int *argc, char **argv)
{
	const char *name;

	if (*argc != 2 || (name = strrchr(argv[1], '/')) == NULL ||
	    strcmp(name, "/wsgi-loader.py") != 0)
		return;
	*argc = 1;
	argv[1] = NULL;
}

static int
report_open(void)
{
	FILE *f;
	int fd;

	if ((fd = memfd_create("gangway", MFD_CLOEXEC)) != -1)
		return fd;
	if ((f = tmpfile()) == NULL)	/* kernels of old have only this */
		return -1;
	fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 3);
	(void)fclose(f);
	return fd;
}

struct board *
board_new(int *argc, char **argv)
{
	struct board *b;
	char *why = NULL;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	b->socket = b->leash = b->output = b->report = -1;
	if (passenger_take(&b->host, &why) == -1 ||
	    (b->leash = take_leash()) == -1) {
		fprintf(stderr, "Error: Phusion Passenger: %s\n",
		    why != NULL ? why : strerror(errno));
		free(why);
		board_done(b);
		return NULL;
	}
	drop_loader(argc, argv);
	b->output = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	b->log = own_log(b->host.app_root);
	b->report = report_open();
	log_copy(b->report);
	b->terms.password = b->host.password;
	return b;
}

static void
board_close(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
board_done(struct board *b)
{
	if (b == NULL)
		return;
	log_copy(-1);
	board_close(&b->socket);
	board_close(&b->leash);
	board_close(&b->output);
	board_close(&b->report);
	passenger_done(&b->host);
	free(b->log);
	free(b);
}

/* --- settings */

const char *
board_app(const struct board *b)
{
	const char *file = b != NULL ? b->host.startup_file : NULL;
	size_t n = file != NULL ? strlen(file) : 0;

	return n > 3 && strcmp(file + n - 3, ".py") == 0 &&
	    access(file, R_OK) == 0 ? file : NULL;
}

/* Where it is not there yet: what goes wrong is nobody else's business. */
static int
make_private(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOCTTY, 0600);

	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* In the place of what was there, with no more weight than that had. */
static int
decide(struct settings *s, enum setting id, const char *value,
    const char *reason)
{
	char *why = NULL;
	int rc;

	settings_from(s, settings_rank(s, id));
	rc = settings_set(s, id, value, reason, &why);
	settings_from(s, RANK_COMMAND);
	free(why);
	return rc;
}

int
board_settings(struct board *b, struct settings *s)
{
	if (b == NULL)
		return 0;
	if (!settings_meant_for_host(s, SET_workers) && decide(s, SET_workers,
	    "1", "Phusion Passenger has as many processes as it wants") == -1)
		return -1;
	b->named = settings_given(s, SET_errorlog);
	if (b->log != NULL && !b->named && make_private(b->log) == 0 &&
	    decide(s, SET_errorlog, b->log, "there is a folder tmp") == -1)
		return -1;
	return 0;
}

bool
board_http(const struct board *b, const struct settings *s)
{
	return b != NULL && (b->host.port != 0 || (s != NULL &&
	    strcmp(settings_string(s, SET_passenger_protocol), "http") == 0));
}

/* --- serving */

/* Give the listeners a descriptor of their own. */
static int
lend_socket(struct board *b, struct listeners *ls, char **why)
{
	int fd = fcntl(b->socket, F_DUPFD_CLOEXEC, 3);
	bool session = strcmp(b->protocol, "session") == 0;

	return fd == -1 ? -1 : listeners_adopt(ls, &fd, 1, session ?
	    PROTOCOL_SESSION : PROTOCOL_HTTP, why);
}

static void
agree(struct board *b, const struct settings *s)
{
	bool sync = strcmp(settings_string(s, SET_worker_class), "sync") == 0;

	b->concurrency = settings_int(s, SET_workers) *
	    (sync ? 1 : settings_int(s, SET_threads));
	b->protocol = board_http(b, s) ? "http" : "session";
	b->terms.base_uri = board_http(b, s) ? b->host.base_uri : NULL;
}

int
board_listen(struct board *b, struct listeners *ls, const struct settings *s)
{
	char *why = NULL;

	agree(b, s);
	if (b->socket == -1)
		b->socket = passenger_listen(&b->host,
		    (int)settings_int(s, SET_backlog), &why);
	if (b->socket != -1 && lend_socket(b, ls, &why) == 0)
		return 0;
	log_error("%s", why != NULL ? why : strerror(errno));
	free(why);
	return -1;
}

void
board_manage(struct board *b, struct manager_config *m)
{
	m->leash = b->leash;
	m->passenger = &b->terms;
}

bool
board_ready(struct board *b)
{
	char *why = NULL;
	bool told;

	log_copy(-1);
	board_close(&b->socket);
	b->ready = true;
	told = passenger_ready(&b->host, b->protocol, b->concurrency,
	    &why) == 0;
	board_close(&b->output);
	if (told) {
		if (b->host.port == 0)
			log_info("Phusion Passenger was told: %s protocol, "
			    "%ld requests at once", b->protocol,
			    b->concurrency);
		return true;
	}
	log_error("Phusion Passenger could not be told: %s",
	    why != NULL ? why : "no memory");
	free(why);
	return false;
}

/* --- a start that failed */

/* What was noted, to be freed; its length. */
static char *
report_text(const struct board *b, size_t *n)
{
	char *text = malloc(REPORT_MAX + 1);
	ssize_t k = -1;

	if (text == NULL)
		return NULL;
	if (b->report != -1)
		k = pread(b->report, text, REPORT_MAX, 0);
	*n = k > 0 ? (size_t)k : 0;
	text[*n] = '\0';
	return text;
}

/* In our log as well, and on stderr in any case. Where it is to be found,
 * for its owner; NULL: where stderr goes. */
static const char *
report_log(const struct board *b, const char *text, size_t n)
{
	static const char usual[] = "tmp/gangway.log,\nin the application's "
	    "folder";
	bool own = log_fd() != STDERR_FILENO;

	if (!own && b->log != NULL && make_private(b->log) == 0 &&
	    log_open(b->log, "info", false) == 0) {
		log_text(LOG_LEVEL_CRITICAL, "gangway could not start:", text,
		    n);
		return usual;
	}
	if (!own)
		return NULL;
	(void)!write(b->output, text, n);
	if (!log_enabled(LOG_LEVEL_ERROR))	/* it is not there yet */
		log_text(LOG_LEVEL_CRITICAL, "gangway could not start:", text,
		    n);
	return b->named ? "the file that the\nsetting errorlog names" : usual;
}

static bool
page_ready(void *arg)
{
	return board_ready(arg);
}

enum { PAGE_S = 30 };		/* then another start is tried */

static const char *page_path;

/* First nobody can come any more, who has come is served, then it ends. */
static void
page_over(int sig)
{
	int saved = errno;

	(void)sig;
	if (page_path != NULL) {
		(void)unlink(page_path);
		page_path = NULL;
		(void)alarm(1);
	} else
		(void)kill(getpid(), SIGTERM);
	errno = saved;
}

/*
 * Until Passenger stops us, which it does for a new start; but not for ever,
 * for what was wrong may pass by itself, and beside us there may be processes
 * that started well. Passenger replaces one that ends without a word to the
 * visitor, as long as it holds no connection to it.
 */
static int
serve_page(struct board *b, int status, const char *where)
{
	struct listeners ls = { 0 };
	struct app_config config = { 0 };
	static const struct hosting hosting = { .kind = HOST_PASSENGER };
	struct manager_config m = {
		.hosting = &hosting, .listeners = &ls, .kind = &app_failed,
		.config = &config, .ready = page_ready, .arg = b,
	};
	char *why = NULL;

	if ((m.settings = settings_new()) == NULL)
		return status;
	if (settings_set(m.settings, SET_workers, "1", "", &why) == -1 ||
	    settings_set(m.settings, SET_worker_class, "gthread", "",
	    &why) == -1 ||
	    settings_set(m.settings, SET_keepalive, "0", "", &why) == -1 ||
	    board_listen(b, &ls, m.settings) == -1) {
		free(why);
		settings_free(m.settings);
		return status;
	}
	failed_where(where);
	board_manage(b, &m);
	page_path = b->host.path;
	(void)signal(SIGALRM, page_over);
	(void)alarm(PAGE_S);
	(void)manager_run(&m);
	(void)alarm(0);
	page_path = NULL;
	settings_free(m.settings);
	return status;
}

int
board_failed(struct board *b, int status)
{
	struct passenger_failure f;
	char *text, *why = NULL;
	const char *where;
	size_t n = 0;

	if (b->ready)
		return status;
	log_copy(-1);
	if ((text = report_text(b, &n)) == NULL)
		return status;
	where = report_log(b, text, n);
	if (b->host.app_env == NULL ||
	    strcmp(b->host.app_env, "development") != 0) {
		free(text);
		return serve_page(b, status, where);
	}
	f = (struct passenger_failure){
		.summary = "gangway could not start the application",
		.problem = text,
		.solution = "Repair what is named above, then touch "
		    "tmp/restart.txt in the application's folder: the next "
		    "request makes a new start.",
		.log = b->log,
	};
	if (passenger_failed(&b->host, &f, &why) == -1)
		fprintf(stderr, "Error: Phusion Passenger could not be told: "
		    "%s\n", why != NULL ? why : "no memory");
	free(why);
	free(text);
	return status;
}
