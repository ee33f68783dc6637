#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/clock.h"
#include "shim/passenger/handshake.h"

enum {
	ARG_MAX_BYTES = 16 * 1024,
	PATH_USUAL = 100,	/* where Passenger does not say */
	NAMES = 16,		/* tried for a socket */
	PATIENCE_MS = 5000, PAUSE_MS = 20
};

static int __attribute__((format(printf, 2, 3)))
refuse(char **why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(why, fmt, ap) == -1)
		*why = NULL;
	va_end(ap);
	return -1;
}

/* --- what it tells */

/* args/NAME, to be freed; NULL where it is not there or empty. */
static char *
arg_read(const char *dir, const char *name)
{
	char *path, *text = NULL;
	size_t n = 0;
	FILE *f;

	if (asprintf(&path, "%s/args/%s", dir, name) == -1)
		return NULL;
	if ((f = fopen(path, "re")) != NULL) {
		if ((text = malloc(ARG_MAX_BYTES)) != NULL)
			n = fread(text, 1, ARG_MAX_BYTES - 1, f);
		(void)fclose(f);
	}
	free(path);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	if (n == 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* A number from 1 to most, 0 for all else. */
static unsigned long
arg_number(const char *dir, const char *name, unsigned long most)
{
	char *text = arg_read(dir, name), *end;
	unsigned long n = 0;

	if (text != NULL && *text >= '0' && *text <= '9') {
		n = strtoul(text, &end, 10);
		if (*end != '\0' || n > most)
			n = 0;
	}
	free(text);
	return n;
}

int
passenger_take(struct passenger *p, char **why)
{
	const char *dir = getenv("PASSENGER_SPAWN_WORK_DIR");
	size_t n;

	*p = (struct passenger){ 0 };
	if (dir == NULL || (p->dir = strdup(dir)) == NULL)
		return refuse(why, "no spawn directory is named");
	(void)unsetenv("PASSENGER_SPAWN_WORK_DIR");
	(void)unsetenv("IN_PASSENGER");
	(void)unsetenv("PASSENGER_USE_FEEDBACK_FD");
	p->app_root = arg_read(p->dir, "app_root");
	p->app_env = arg_read(p->dir, "app_env");
	p->startup_file = arg_read(p->dir, "startup_file");
	p->socket_dir = arg_read(p->dir, "socket_dir");
	p->password = arg_read(p->dir, "connect_password");
	p->port = (unsigned int)arg_number(p->dir, "expected_start_port",
	    UINT16_MAX);
	p->path_max = arg_number(p->dir, "UNIX_PATH_MAX", UINT16_MAX);
	if (p->path_max == 0)
		p->path_max = PATH_USUAL;
	p->base_uri = arg_read(p->dir, "base_uri");
	n = p->base_uri != NULL ? strlen(p->base_uri) : 0;
	while (n > 0 && p->base_uri[n - 1] == '/')
		p->base_uri[--n] = '\0';
	if (n == 0) {
		free(p->base_uri);
		p->base_uri = NULL;
	}
	if (p->port == 0 && p->socket_dir == NULL)
		return refuse(why, "%s/args/socket_dir cannot be read",
		    p->dir);
	return 0;
}

/* --- where it will look for us */

/* Only Passenger and we are to connect. */
static int
bind_private(int fd, const struct sockaddr_un *un)
{
	mode_t old = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)un, sizeof(*un));

	(void)umask(old);
	return rc;
}

static int
unix_bind(struct passenger *p, int fd, char **why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t most = sizeof(un.sun_path) - 1;
	int i, n;

	if (p->path_max < most)
		most = p->path_max;
	for (i = 0; i < NAMES; i++) {
		n = snprintf(un.sun_path, sizeof(un.sun_path), "%s/gw.%08x",
		    p->socket_dir, arc4random());
		if (n < 0 || (size_t)n > most)
			return refuse(why, "the folder for sockets %s has a "
			    "name that is too long", p->socket_dir);
		if (bind_private(fd, &un) == 0) {
			if ((p->path = strdup(un.sun_path)) != NULL)
				return 0;
			(void)unlink(un.sun_path);
			return -1;
		}
		if (errno != EADDRINUSE)
			break;
	}
	return refuse(why, "cannot listen on unix:%s: %s", un.sun_path,
	    strerror(errno));
}

static int
tcp_bind(const struct passenger *p, int fd, char **why)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)p->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&in, sizeof(in)) == 0)
		return 0;
	return refuse(why, "cannot listen on Passenger's port %u: %s",
	    p->port, strerror(errno));
}

int
passenger_listen(struct passenger *p, int backlog, char **why)
{
	int fd, rc;

	fd = socket(p->port != 0 ? AF_INET : AF_UNIX, SOCK_STREAM |
	    SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return refuse(why, "no socket: %s", strerror(errno));
	rc = p->port != 0 ? tcp_bind(p, fd, why) : unix_bind(p, fd, why);
	if (rc == 0 && listen(fd, backlog) == -1)
		rc = refuse(why, "cannot listen: %s", strerror(errno));
	if (rc == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* --- what it wants to hear */

/* The file `name` of the spawn directory, with that text. */
static int
answer_write(const struct passenger *p, const char *name, const char *text,
    char **why)
{
	char *path;
	FILE *f;
	int rc;

	if (asprintf(&path, "%s/%s", p->dir, name) == -1)
		return -1;
	if ((f = fopen(path, "we")) == NULL)
		rc = refuse(why, "%s: %s", path, strerror(errno));
	else {
		rc = fputs(text, f) < 0 ? -1 : 0;
		if (fclose(f) != 0 || rc == -1)
			rc = refuse(why, "%s: %s", path, strerror(errno));
	}
	free(path);
	return rc;
}

/* The byte that ends the start. Its reader may be a moment late; where it
 * has gone away we must not wait for ever. */
static int
finish(const struct passenger *p, char verdict, char **why)
{
	char *path;
	int fd, tries = PATIENCE_MS / PAUSE_MS, rc = 0;

	if (asprintf(&path, "%s/response/finish", p->dir) == -1)
		return -1;
	while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) == -1 &&
	    errno == ENXIO && tries-- > 0)
		clock_pause(PAUSE_MS);
	if (fd == -1 || write(fd, &verdict, 1) != 1)
		rc = refuse(why, "%s: %s", path, strerror(errno));
	if (fd != -1)
		close(fd);
	free(path);
	return rc;
}

int
passenger_ready(struct passenger *p, const char *protocol, long concurrency,
    char **why)
{
	json_t *about;
	char *address, *text;
	int rc;

	if (p->port != 0)	/* it has seen that somebody listens */
		return 0;
	if (p->path == NULL || asprintf(&address, "unix:%s", p->path) == -1)
		return -1;
	about = json_pack("{s:[{s:s,s:s,s:s,s:I,s:b}]}", "sockets",
	    "name", "main", "address", address, "protocol", protocol,
	    "concurrency", (json_int_t)concurrency,
	    "accept_http_requests", 1);
	free(address);
	if (about == NULL)
		return refuse(why, "the name of the socket is not UTF-8");
	text = json_dumps(about, JSON_COMPACT);
	json_decref(about);
	if (text == NULL)
		return -1;
	rc = answer_write(p, "response/properties.json", text, why);
	free(text);
	return rc == -1 ? -1 : finish(p, '1', why);
}

/* --- what it is to show */

static void
put_escaped(FILE *f, const char *s)
{
	for (; *s != '\0'; s++)
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		default:
			fputc(*s, f);
		}
}

/* As Passenger's page wants it: with the line breaks that it has. */
static int
answer_html(const struct passenger *p, const char *name, const char *before,
    const char *text, const char *after, char **why)
{
	char *html = NULL;
	size_t size;
	FILE *f;
	int rc = -1;

	if ((f = open_memstream(&html, &size)) == NULL)
		return -1;
	fputs(before, f);
	put_escaped(f, text);
	fputs(after, f);
	if (fclose(f) == 0)
		rc = answer_write(p, name, html, why);
	free(html);
	return rc;
}

int
passenger_failed(struct passenger *p, const struct passenger_failure *f,
    char **why)
{
	char *second = NULL;
	int rc;

	rc = answer_write(p, "response/error/category", "INTERNAL_ERROR",
	    why);
	if (rc == 0)
		rc = answer_write(p, "response/error/summary", f->summary,
		    why);
	if (rc == 0)
		rc = answer_html(p, "response/error/problem_description.html",
		    "<p>gangway could not start the application:</p>\n"
		    "<pre>", f->problem, "</pre>\n", why);
	if (rc == 0)
		rc = answer_write(p, "response/error/problem_description.txt",
		    f->problem, why);
	if (rc == 0)
		rc = answer_html(p, "response/error/solution_description.html",
		    "<p>", f->solution, "</p>\n", why);
	if (rc == 0 && f->log != NULL)	/* a help, no more */
		(void)answer_write(p, "envdump/annotations/gangway log",
		    f->log, why);
	if (finish(p, '0', rc == 0 ? why : &second) == -1)
		rc = -1;
	free(second);	/* the first reason is enough */
	return rc;
}

void
passenger_done(struct passenger *p)
{
	if (p->path != NULL)
		(void)unlink(p->path);
	free(p->dir);
	free(p->app_root);
	free(p->app_env);
	free(p->startup_file);
	free(p->socket_dir);
	free(p->base_uri);
	if (p->password != NULL)
		explicit_bzero(p->password, strlen(p->password));
	free(p->password);
	free(p->path);
	*p = (struct passenger){ 0 };
}
