/*
 * The contract between the server and the applications it runs: a table of
 * functions each way. The only server header that shim/ includes, and the
 * only way a loadable module (the Python shim) reaches the server.
 *
 * Always true: an application is called with a complete request (head and
 * body) on one of the worker's caller threads, never inside the event loop.
 * Text is bytes with a length; nothing here is NUL-terminated unless it
 * says so.
 */
#ifndef FCGI_APP_H
#define FCGI_APP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define APP_ABI	3

struct str {
	const char	*p;
	size_t		 n;
};

/* The variables that nearly every request has; VAR_OTHER is the rest. */
enum var_id {
	VAR_OTHER,
	VAR_REQUEST_METHOD, VAR_SCRIPT_NAME, VAR_PATH_INFO, VAR_QUERY_STRING,
	VAR_REQUEST_URI, VAR_RAW_URI, VAR_SERVER_PROTOCOL, VAR_SERVER_NAME,
	VAR_SERVER_PORT, VAR_REMOTE_ADDR, VAR_REMOTE_PORT, VAR_CONTENT_TYPE,
	VAR_CONTENT_LENGTH,
	VAR_COUNT
};

/* A CGI variable (RFC 3875 section 4.1): name as HTTP_ACCEPT, value raw. */
struct var {
	struct str	 name, value;
	enum var_id	 id;
};

/*
 * One request, read-only for the application, valid for the call. No name
 * occurs twice. REQUEST_METHOD, SCRIPT_NAME, PATH_INFO (decoded),
 * QUERY_STRING, SERVER_PROTOCOL, SERVER_NAME and SERVER_PORT are always
 * there. HTTP_PROXY, and whatever a client could forge, are not.
 */
struct app_request {
	const struct var *vars;
	size_t		 nvars;
	uint64_t	 body_length;	/* all of the body is here */
	bool		 https;		/* wsgi.url_scheme */
	bool		 has_body;	/* one was announced, perhaps empty */
	uint32_t	 status;	/* the application's exit status, for
					   FCGI_END_REQUEST (appStatus) */
	void		*app;		/* the application's own */
};

struct header {
	struct str	 name, value;
};

struct reply {
	struct str	 status;	/* "200 OK" */
	const struct header *headers;
	size_t		 nheaders;
	int64_t		 length;	/* of the whole body where the caller
					   knows it, else -1 */
};

enum { BODY_LAST = 1 };	/* flag of body(): nothing follows */

enum send_result {
	SEND_OK = 0,
	SEND_FULL = 1,	/* taken, but the client is slow: call drain() */
	SEND_GONE = -1	/* the client or the request is gone; stop */
};

enum app_log { APP_DEBUG, APP_INFO, APP_WARNING, APP_ERROR, APP_CRITICAL };

/* gunicorn's hooks, and news for which there is no hook. */
enum app_hook {
	APP_ON_STARTING, APP_ON_RELOAD, APP_WHEN_READY, APP_PRE_FORK,
	APP_POST_FORK, APP_POST_WORKER_INIT, APP_WORKER_INT,
	APP_WORKER_ABORT, APP_PRE_EXEC, APP_PRE_REQUEST, APP_POST_REQUEST,
	APP_CHILD_EXIT, APP_WORKER_EXIT, APP_NWORKERS_CHANGED, APP_ON_EXIT,
	APP_HOOKS,
	APP_SETTINGS = APP_HOOKS,	/* others are in force */
	APP_KEEP,	/* so are the hooks of the file read last */
	APP_REVERT,	/* the file read since then is not: those are */
	APP_FORKED,	/* the worker that pre_fork was about is there */
	APP_GONE	/* it ended, and child_exit is not to be called */
};

struct app_listener {
	const char	*name;		/* http://127.0.0.1:8000 */
	int		 fd;
};

/* What has happened. */
struct app_event {
	enum app_hook	 what;
	pid_t		 server;	/* the manager, or who is alone */
	pid_t		 parent;	/* whose place it is to take, or 0 */
	unsigned long	 workers;	/* wanted now */
	long		 before;	/* nworkers_changed; -1: none yet */
	/* the worker that it is about */
	unsigned long	 age;		/* counts from 1 */
	unsigned long	 limit;		/* its max_requests, 0: none */
	pid_t		 pid;		/* 0 before the fork, -1: it failed */
	/* APP_SETTINGS: NULL where they have no function for a hook */
	const void	*settings;
	const struct app_listener *listeners;
	size_t		 nlisteners;
};

/* One setting's value. */
struct app_value {
	const char	*name;
	enum { APP_UNSET, APP_NUMBER, APP_BOOL, APP_TEXT, APP_LIST,
	    APP_PAIRS }	 type;
	long		 number;	/* of a bool, too */
	const char	*text;
	const char	*const *items;	/* pairs are NAME:VALUE */
	size_t		 nitems;
};

/* What the server does for an application. Callable from any caller thread
 * for the request it was called with; never blocks unless it says so. */
struct app_server {
	unsigned int	 abi;

	/* The unread body: *p points at up to the returned number of bytes,
	 * valid until the next peek. 0 at the end, -1 with errno when the
	 * stored body cannot be read. May read a temporary file. */
	ssize_t		(*peek)(struct app_request *, const char **p);
	void		(*consume)(struct app_request *, size_t);

	/* The head of the response, kept until the first body() or end().
	 * May be replaced until head_sent(). -1 with *why (static text, for
	 * one line) when a byte of status, name or value is not allowed. */
	int		(*head)(struct app_request *, const struct reply *,
			    const char **why);
	bool		(*head_sent)(const struct app_request *);
	/* Body bytes; sent at once. What passes the Content-Length is cut,
	 * what a HEAD, 204 or 304 must not have is dropped. */
	enum send_result (*body)(struct app_request *, const void *, size_t,
			    unsigned int flags);
	/* `length` bytes of a file from `offset`; the descriptor stays the
	 * caller's. The server goes on sending after the call returns. */
	enum send_result (*file)(struct app_request *, int fd, off_t offset,
			    uint64_t length);
	/* Wait until the client has taken enough. Blocks: let go of locks. */
	enum send_result (*drain)(struct app_request *);

	/* A line (or lines) of the application's error stream. */
	void		(*error)(struct app_request *, const char *, size_t);
	/* One line to the error log. */
	void		(*log)(enum app_log, const char *fmt, ...)
			    __attribute__((format(printf, 2, 3)));

	/* Settings, for a configuration in the application's language. Both
	 * return 0, or -1 with *why (to be freed). */
	int		(*set)(void *conf, const char *name, const char *value,
			    char **why);
	int		(*set_list)(void *conf, const char *name,
			    const char *const *items, size_t n, char **why);
	/* The type of the setting of that name, -1 when there is none. */
	int		(*type)(const char *name);
	/* The i-th setting; false: there are not so many. */
	bool		(*value)(const void *settings, size_t i,
			    struct app_value *);

	/* Requests that this worker has answered. */
	unsigned long	(*requests)(void);
	/* Body bytes sent of a response. */
	uint64_t	(*sent)(const struct app_request *);
	/* The hook that interrupt() asked for begins, or has ended. */
	void		(*interrupted)(enum app_hook, bool ended);
};

/* One setting in force, to be shown to people; without secrets. */
struct app_setting {
	const char	*name, *value, *source;
	const char	*standing;	/* "in force", or what the host does */
};

/* What the application is started with; lives as long as the process. */
struct app_config {
	const char	*spec;		/* APP of the command line */
	unsigned int	 threads;	/* callers in this worker */
	bool		 multiprocess;
	const char	*const *pythonpath;	/* NULL-terminated */
	const char	*virtualenv;	/* directory or NULL */
	const char	*server_software;	/* "gangway/0.1.0" */
	bool		 reload;
	const struct app_setting *settings;
	size_t		 nsettings;
	const char	*host;		/* who started us: "passenger" */
};

/* Exit statuses that load() may return (gunicorn's). */
enum { APP_OK = 0, APP_BOOT = 3, APP_LOAD = 4 };

/* What an application kind does for the server; one static table a kind. */
struct app_kind {
	unsigned int	 abi;
	const char	*name;		/* "python", "native" */

	/* Prepare this process (start the interpreter), once; the calling
	 * thread becomes thread 0 and does not hold any lock after. 0, or -1
	 * after one log line. */
	int		(*start)(const struct app_server *,
			    const struct app_config *);
	/* Evaluate a configuration file, giving values to server->set(conf).
	 * After start(). 0, or -1 with *why (to be freed). NULL: not able. */
	int		(*configure)(const char *path, void *conf, char **why);
	/* Load config->spec. 0, or APP_BOOT or APP_LOAD after logging why. */
	int		(*load)(void);
	void		(*stop)(void);

	/* Around fork(), in the thread that forks; NULL where not needed. */
	void		(*before_fork)(void);
	void		(*after_fork_parent)(void);
	void		(*after_fork_child)(void);

	/* A caller thread's own state (thread 0 has it from start()). */
	void		*(*thread_new)(void);	/* on it; NULL: no memory */
	void		(*thread_free)(void *);
	/* Take and let go of what only one thread may hold (the GIL); NULL
	 * where there is no such thing. `thread` is thread_new()'s, NULL for
	 * thread 0. */
	void		(*enter)(void *thread);
	void		(*leave)(void *thread);

	/* Run the application for one request; entered, and still entered
	 * at return. 0 when the response is whole; -1 when it is not (the
	 * reason is logged): the server then answers 500, or cuts. */
	int		(*call)(struct app_request *);
	/* Where call() has left something in rq->app: the response is out,
	 * this is the end of the request. Entered. */
	void		(*after)(struct app_request *);
	/* Let handlers of signals run (thread 0, entered). -1: leave. */
	int		(*signals)(void);
	/* Have thread 0 call f(arg), entered, as soon as it runs Python, in
	 * the midst of a call too; from any thread, entered or not. -1: it
	 * cannot. NULL: handlers of signals are functions like any other. */
	int		(*soon)(int (*f)(void *), void *arg);
	/* Write where every thread is to fd. Async-signal-safe, no locks. */
	void		(*dump)(int fd);

	/* Run the hook of a configuration file for this event, on any
	 * thread, entered or not. -1, or the exit status that it asked for;
	 * what else it raised is logged. NULL: there are no such hooks. */
	int		(*hook)(const struct app_event *);
	/* Run the hook for that signal on thread 0 as soon as it can run
	 * Python. Async-signal-safe. */
	void		(*interrupt)(int sig);
};

#endif
