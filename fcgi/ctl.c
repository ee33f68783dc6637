#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/ctl.h"
#include "fcgi/ctl_place.h"
#include "fcgi/cwd.h"

enum { CLIENT_MS = 1000, ACCEPT_MAX = 8 };

/* --- the socket */

static int
listen_on(struct ctl *c, const char *path, mode_t mode)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int rc;

	path = cwd_below(path);
	if (strlen(path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path));
	(void)ctl_stale(path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd == -1)
		return -1;
	/* From the first moment on, and not by name: who may write in the
	 * folder could have put a link there. */
	mask = umask(0777 & ~mode);
	rc = bind(c->fd, (struct sockaddr *)&un, sizeof(un));
	(void)umask(mask);
	if (rc == -1)
		return -1;
	if (listen(c->fd, CTL_CLIENTS) == -1 || lstat(path, &st) == -1) {
		(void)unlink(path);
		return -1;
	}
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	return 0;
}

/* Listen no more, and remove the file if it is still ours. */
static void
unlisten(struct ctl *c)
{
	struct stat st;

	if (c->fd > 0 && lstat(c->path, &st) == 0 && st.st_dev == c->dev &&
	    st.st_ino == c->ino)
		(void)unlink(c->path);
	if (c->fd > 0)
		close(c->fd);
	c->fd = 0;
	free(c->path);
	c->path = NULL;
}

int
ctl_open(struct ctl *c, const char *path, mode_t mode, char **why)
{
	unlisten(c);
	if ((c->path = strdup(path)) != NULL &&
	    listen_on(c, path, mode) == 0) {
		c->mode = mode;
		return 0;
	}
	if (asprintf(why, "control_socket %s: %s", path, errno == EADDRINUSE ?
	    "another program is listening there, or it is no socket" :
	    strerror(errno)) == -1)
		*why = NULL;
	ctl_forget(c);
	return -1;
}

static void
hang_up(struct ctl_client *k)
{
	if (k->fd > 0)
		close(k->fd);
	free(k->out);
	k->fd = 0;
	k->out = NULL;
}

void
ctl_forget(struct ctl *c)
{
	size_t i;

	for (i = 0; i < CTL_CLIENTS; i++)
		hang_up(&c->client[i]);
	if (c->fd > 0)
		close(c->fd);
	c->fd = 0;
	free(c->path);
	c->path = NULL;
}

void
ctl_close(struct ctl *c)
{
	unlisten(c);
	ctl_forget(c);
}

/* --- what is said */

static json_t *
refusal(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

static json_t *
order(struct ctl *c, enum ctl_order what, long number)
{
	const char *why = c->obey(c->arg, what, number);

	return why != NULL ? refusal(why) : json_pack("{s:b, s:i}", "ok", 1,
	    "pid", (int)getpid());
}

static json_t *
scale(struct ctl *c, json_t *request)
{
	json_t *n = json_object_get(request, "workers");

	if (!json_is_integer(n) || json_integer_value(n) < 1 ||
	    json_integer_value(n) > INT_MAX)
		return refusal("the number of workers must be 1 or more");
	return order(c, CTL_SCALE, (long)json_integer_value(n));
}

static json_t *
answer(struct ctl *c, const char *line, size_t n)
{
	json_t *request = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const char *s = json_string_value(json_object_get(request,
	    "command"));
	json_t *reply;

	if (s == NULL)
		reply = refusal("not a JSON object with a command");
	else if (strcmp(s, "status") == 0)
		reply = c->status(c->arg);
	else if (strcmp(s, "reload") == 0)
		reply = order(c, CTL_RELOAD, 0);
	else if (strcmp(s, "scale") == 0)
		reply = scale(c, request);
	else if (strcmp(s, "stop") == 0)
		reply = order(c, CTL_STOP, 0);
	else if (strcmp(s, "reopen") == 0)
		reply = order(c, CTL_REOPEN, 0);
	else
		reply = refusal("unknown command");
	json_decref(request);
	return reply;
}

/* --- clients */

static void
welcome(struct ctl *c, uint64_t now)
{
	struct ctl_client *k;
	int i, fd;

	for (i = 0; i < ACCEPT_MAX; i++) {
		for (k = c->client; k < c->client + CTL_CLIENTS; k++)
			if (k->fd == 0)
				break;
		/* The others wait in the socket's queue. */
		if (k == c->client + CTL_CLIENTS)
			return;
		fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			return;
		k->fd = fd;
		k->deadline = now + CLIENT_MS;
		k->n = k->out_n = k->out_at = 0;
	}
}

/* A whole line, or nothing yet, or it hangs up. */
static void
listen_to(struct ctl *c, struct ctl_client *k)
{
	json_t *reply = NULL;
	char *text, *end;
	ssize_t n;

	n = recv(k->fd, k->in + k->n, sizeof(k->in) - k->n, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(k);
		return;
	}
	k->n += (size_t)n;
	if ((end = memchr(k->in, '\n', k->n)) != NULL)
		reply = answer(c, k->in, (size_t)(end - k->in));
	else if (k->n == sizeof(k->in))
		reply = refusal("the request is too long");
	else
		return;
	text = json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(reply);
	if (k->fd == 0) {	/* the order has closed us */
		free(text);
		return;
	}
	if (text == NULL || (k->out_n = strlen(text)) == 0) {
		free(text);
		hang_up(k);
		return;
	}
	text[k->out_n++] = '\n';	/* instead of the NUL */
	k->out = text;
}

static void
talk_to(struct ctl_client *k)
{
	ssize_t n = send(k->fd, k->out + k->out_at, k->out_n - k->out_at,
	    MSG_NOSIGNAL);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		k->out_at += (size_t)n;
	if (n == -1 || k->out_at == k->out_n)
		hang_up(k);
}

int
ctl_watch(const struct ctl *c, struct pollfd *pfd, uint64_t now)
{
	const struct ctl_client *k;
	int i, ms = -1, left;
	bool room = false;

	for (i = 0; i < CTL_CLIENTS; i++) {
		k = &c->client[i];
		pfd[i] = (struct pollfd){ .fd = k->fd > 0 ? k->fd : -1,
		    .events = k->out != NULL ? POLLOUT : POLLIN };
		if (k->fd == 0) {
			room = true;
			continue;
		}
		left = k->deadline <= now ? 0 : (int)(k->deadline - now);
		if (ms == -1 || left < ms)
			ms = left;
	}
	pfd[CTL_CLIENTS] = (struct pollfd){
		.fd = c->fd > 0 && room ? c->fd : -1, .events = POLLIN };
	return ms;
}

void
ctl_turn(struct ctl *c, uint64_t now)
{
	struct ctl_client *k;

	if (c->fd == 0)
		return;
	welcome(c, now);
	for (k = c->client; k < c->client + CTL_CLIENTS; k++) {
		if (k->fd > 0 && k->out == NULL)
			listen_to(c, k);
		if (k->fd > 0 && k->out != NULL)
			talk_to(k);
		if (k->fd > 0 && now >= k->deadline)
			hang_up(k);
	}
}
