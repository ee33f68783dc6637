#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fastcgi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/native/env.h"
#include "shim/native/native.h"
#include "shim/native/streams.h"

#define DEFAULT_SYMBOL	"app"

struct native_thread {
	struct streams	*streams;
	struct env	 env;
};

static struct {
	const struct app_server *server;
	const struct app_config *config;
	int		(*run)(FCGX_Request *);
	FCGX_Stream	*library;	/* see streams_new() */
} native;

static _Thread_local struct native_thread *self;

static void
thread_free(void *arg)
{
	struct native_thread *t = arg;

	if (t == NULL)
		return;
	if (self == t)
		self = NULL;
	streams_free(t->streams);
	env_done(&t->env);
	free(t);
}

static void *
thread_new(void)
{
	struct native_thread *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->streams = streams_new(native.server, native.library->data);
	if (t->streams == NULL) {
		free(t);
		return NULL;
	}
	return self = t;
}

static int
native_start(const struct app_server *server, const struct app_config *config)
{
	native.server = server;
	native.config = config;
	/*
	 * FCGX_SetExitStatus() and FCGX_StartFilterData() look into what
	 * libfcgi keeps of a stream, which is private. One stream of its own
	 * making gives them something to look at; it is never written to.
	 */
	if (native.library == NULL)
		native.library = FCGX_CreateWriter(-1, 1, 64, FCGI_STDOUT);
	if (native.library == NULL || (self == NULL && thread_new() == NULL)) {
		server->log(APP_ERROR, "native: out of memory");
		return -1;
	}
	return 0;
}

/*
 * FILE.so[:SYMBOL] into the path for dlopen(3), to be freed, and the symbol.
 * A name without a slash means this directory, not the library path.
 */
static char *
spec_split(const char *spec, const char **symbol)
{
	const char *colon;
	char *path;
	size_t n;

	if (strncmp(spec, "native:", 7) == 0)
		spec += 7;
	n = strlen(spec);
	*symbol = DEFAULT_SYMBOL;
	colon = strrchr(spec, ':');
	if (colon != NULL && colon[1] != '\0' && strchr(colon, '/') == NULL) {
		*symbol = colon + 1;
		n = (size_t)(colon - spec);
	}
	if (asprintf(&path, "%s%.*s", memchr(spec, '/', n) ? "" : "./",
	    (int)n, spec) == -1)
		return NULL;
	return path;
}

static int
native_load(void)
{
	const char *symbol, *reason;
	char *path;
	void *so, *p;

	if ((path = spec_split(native.config->spec, &symbol)) == NULL) {
		native.server->log(APP_ERROR, "native: out of memory");
		return APP_BOOT;
	}
	/* It stays open: threads may be in it until the process ends. */
	if ((so = dlopen(path, RTLD_NOW | RTLD_LOCAL)) == NULL) {
		reason = dlerror();
		native.server->log(APP_ERROR, "native: cannot load %s: %s",
		    path, reason != NULL ? reason : "no reason given");
		free(path);
		return APP_BOOT;
	}
	if ((p = dlsym(so, symbol)) == NULL) {
		native.server->log(APP_ERROR,
		    "native: %s has no function %s", path, symbol);
		(void)dlclose(so);
		free(path);
		return APP_LOAD;
	}
	memcpy(&native.run, &p, sizeof(native.run));
	free(path);
	return APP_OK;
}

static void
native_stop(void)
{
	thread_free(self);
}

static int
native_signals(void)
{
	return 0;
}

static void
native_dump(int fd)
{
	static const char line[] = "native application: its stack is not "
	    "known here; see the core file or a debugger\n";

	if (write(fd, line, sizeof(line) - 1) == -1)
		return;		/* nobody is left to be told */
}

/* A request that cannot be put into C strings, such as PATH_INFO with %00. */
static int
refuse(struct app_request *rq)
{
	static const char text[] = "Bad Request\n";
	static const struct header type[] = {
		{ { "Content-Type", 12 }, { "text/plain", 10 } },
	};
	static const struct reply reply = {
		.status = { "400 Bad Request", 15 },
		.headers = type, .nheaders = 1, .length = sizeof(text) - 1,
	};
	const char *why;

	native.server->log(APP_WARNING,
	    "native: refused a request with a NUL byte in a variable");
	if (native.server->head(rq, &reply, &why) == -1)
		return -1;
	(void)native.server->body(rq, text, sizeof(text) - 1, BODY_LAST);
	return 0;
}

static int
native_call(struct app_request *rq)
{
	FCGX_Request f = {
		.requestId = 1, .role = FCGI_RESPONDER, .ipcFd = -1,
		.isBeginProcessed = 1, .listen_sock = -1,
	};
	const char *why;
	int status;

	if ((self == NULL && thread_new() == NULL) ||
	    env_fill(&self->env, rq, native.config->server_software) == -1) {
		if (self != NULL && errno == EINVAL)
			return refuse(rq);
		native.server->log(APP_ERROR, "native: out of memory");
		return -1;
	}
	f.envp = self->env.vec;
	streams_open(self->streams, rq, &f);
	status = native.run(&f);
	rq->status = (uint32_t)status;
	if (status != 0)
		native.server->log(APP_DEBUG,
		    "native: application status %d", status);
	if (streams_close(self->streams, &why) == -1) {
		native.server->log(APP_ERROR,
		    "native: not a CGI response: %s", why);
		return -1;
	}
	return 0;
}

const struct app_kind app_native = {
	.abi = APP_ABI,
	.name = "native",
	.start = native_start,
	.load = native_load,
	.stop = native_stop,
	.thread_new = thread_new,
	.thread_free = thread_free,
	.call = native_call,
	.signals = native_signals,
	.dump = native_dump,
};
