#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/inherit.h"

/* Of the messages between workers, which both programs must understand. */
#define HANDOFF_FORM	PACKAGE_VERSION

enum { FDS_MAX = 4096 };

const char *const inherit_variables[] = { "GUNICORN_PID", "GUNICORN_FD",
	"GANGWAY_FD", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", NULL };

/* Those that are quiet still (listener.c) the other one opens by itself. */
static int
write_numbers(FILE *f, const struct listener *l, const char *first)
{
	size_t i;

	for (i = 0; i < l->nfds; i++) {
		if (!listener_listens(l->fds[i]))
			continue;
		if (fprintf(f, "%s%d", first, l->fds[i]) < 0)
			return -1;
		first = ",";
	}
	return 0;
}

static void
write_listener(FILE *f, const struct listener *l)
{
	bool said = l->address != NULL && strchr(l->address, '\n') == NULL;

	(void)fprintf(f, "listen %s ", l->protocol == PROTOCOL_FASTCGI ?
	    "fcgi" : "http");
	(void)write_numbers(f, l, "");
	if (l->path != NULL)
		(void)fprintf(f, "@%ju:%ju", (uintmax_t)l->dev,
		    (uintmax_t)l->ino);
	(void)fprintf(f, " %s\n", said ? l->address : "");
}

static char *
text_end(FILE *f, char **text)
{
	int bad = ferror(f);

	if (fclose(f) == 0 && !bad)
		return *text;
	free(*text);
	return NULL;
}

char *
inherit_text(const struct inherit *in)
{
	char *text = NULL;
	size_t i, n;
	FILE *f;

	if ((f = open_memstream(&text, &n)) == NULL)
		return NULL;
	if (in->systemd)
		(void)fputs("host systemd\n", f);
	(void)fprintf(f, "handoff " HANDOFF_FORM " %d,%d\ntold %d\n",
	    in->handoff[0], in->handoff[1], in->told);
	for (i = 0; i < in->listeners->n; i++)
		write_listener(f, &in->listeners->v[i]);
	return text_end(f, &text);
}

char *
inherit_numbers(const struct inherit *in)
{
	char *text = NULL;
	size_t i, n;
	FILE *f;

	if ((f = open_memstream(&text, &n)) == NULL)
		return NULL;
	for (i = 0; i < in->listeners->n; i++)
		(void)write_numbers(f, &in->listeners->v[i],
		    i == 0 ? "" : ",");
	return text_end(f, &text);
}

int
inherit_open(const struct inherit *in)
{
	const struct listener *l;
	size_t i, j;

	for (i = 0; i < in->listeners->n; i++)
		for (l = &in->listeners->v[i], j = 0; j < l->nfds; j++)
			if (listener_listens(l->fds[j]) &&
			    fcntl(l->fds[j], F_SETFD, 0) == -1)
				return -1;
	return fcntl(in->handoff[0], F_SETFD, 0) == -1 ||
	    fcntl(in->handoff[1], F_SETFD, 0) == -1 ||
	    fcntl(in->told, F_SETFD, 0) == -1 ? -1 : 0;
}

/* --- the other side */

/* Numbers "3,4,5" up to a blank or the end; *s moves there. How many. */
static size_t
read_numbers(const char **s, int *v, size_t max)
{
	size_t n = 0;
	char *end;
	long k;

	while (n < max && **s >= '0' && **s <= '9') {
		k = strtol(*s, &end, 10);
		if (k > INT_MAX)
			return 0;
		v[n++] = (int)k;
		*s = end;
		if (**s == ',')
			(*s)++;
	}
	return n;
}

/* "@DEV:INO", where a socket file was the other one's; *s moves. */
static void
read_file(const char **s, dev_t *dev, ino_t *ino)
{
	char *end;

	if (**s != '@')
		return;
	*dev = (dev_t)strtoumax(*s + 1, &end, 10);
	if (*end == ':')
		*ino = (ino_t)strtoumax(end + 1, &end, 10);
	*s = end;
}

static bool
is_handoff(int fd)
{
	socklen_t len = sizeof(int);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_SEQPACKET;
}

static void
take_listener(struct inherit *in, const char *s)
{
	enum protocol protocol = strncmp(s, "fcgi ", 5) == 0 ?
	    PROTOCOL_FASTCGI : PROTOCOL_HTTP;
	const char *address;
	char *why = NULL;
	dev_t dev = 0;
	ino_t ino = 0;
	size_t i, n;
	int *fds;

	s += strcspn(s, " ");
	if (*s == ' ')
		s++;
	if ((fds = calloc(FDS_MAX, sizeof(*fds))) == NULL)
		return;
	n = read_numbers(&s, fds, FDS_MAX);
	read_file(&s, &dev, &ino);
	address = *s == ' ' && s[1] != '\0' ? s + 1 : NULL;
	for (i = 0; i < n && listener_listens(fds[i]);)
		i++;
	if (i == n && n > 0)
		(void)listeners_take(in->listeners, address, protocol, fds, n,
		    dev, ino, &why);
	free(why);	/* who cannot have it opens it anew, and says why */
	free(fds);
}

/* What cannot be used is closed: a connection that waits there is for those
 * who can. */
static void
take_handoff(struct inherit *in, const char *s)
{
	size_t i, len = strcspn(s, " ");
	bool ours = len == strlen(HANDOFF_FORM) &&
	    strncmp(s, HANDOFF_FORM, len) == 0;
	int fds[2];

	s += len;
	if (*s == ' ')
		s++;
	inherit_alone(in);
	if (read_numbers(&s, fds, 2) != 2 || fds[0] == fds[1])
		return;
	for (i = 0; i < 2; i++)
		if (is_handoff(fds[i]) &&
		    fcntl(fds[i], F_SETFD, FD_CLOEXEC) == 0)
			in->handoff[i] = fds[i];
	if (!ours || in->handoff[0] == -1 || in->handoff[1] == -1)
		inherit_alone(in);
}

static void
take_line(struct inherit *in, const char *s)
{
	if (strcmp(s, "host systemd") == 0)
		in->systemd = true;
	else if (strncmp(s, "listen ", 7) == 0)
		take_listener(in, s + 7);
	else if (strncmp(s, "handoff ", 8) == 0)
		take_handoff(in, s + 8);
	else if (strncmp(s, "told ", 5) == 0 &&
	    (s += 5, read_numbers(&s, &in->told, 1) == 1) &&
	    fcntl(in->told, F_SETFD, FD_CLOEXEC) == -1)
		in->told = -1;
}

struct inherit *
inherit_take(const char *text)
{
	struct inherit *in;
	char *copy, *line, *rest;

	if ((in = calloc(1, sizeof(*in))) == NULL)
		return NULL;
	in->handoff[0] = in->handoff[1] = in->told = -1;
	in->listeners = calloc(1, sizeof(*in->listeners));
	if (in->listeners == NULL || (copy = strdup(text)) == NULL) {
		inherit_done(in);
		return NULL;
	}
	for (rest = copy; (line = strsep(&rest, "\n")) != NULL;)
		take_line(in, line);
	free(copy);
	if (in->listeners->n > 0)
		return in;
	inherit_done(in);
	return NULL;
}

void
inherit_alone(struct inherit *in)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (in->handoff[i] != -1)
			close(in->handoff[i]);
		in->handoff[i] = -1;
	}
}

void
inherit_done(struct inherit *in)
{
	if (in == NULL)
		return;
	if (in->listeners != NULL)
		listeners_close(in->listeners, false);
	free(in->listeners);
	if (in->told != -1)
		close(in->told);
	inherit_alone(in);
	free(in);
}
