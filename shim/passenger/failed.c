#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "shim/passenger/failed.h"

static const struct app_server *server;
static char page[1024];
static size_t length;

void
failed_where(const char *place)
{
	int n;

	if (place == NULL)
		place = "the log of the\nweb server. (Where the application's "
		    "folder has a folder tmp that can be\nwritten to, it goes "
		    "to tmp/gangway.log.)";
	n = snprintf(page, sizeof(page),
	    "This application could not be started.\n\n"
	    "If it is yours: the reason, with the traceback, is in %s.\n"
	    "Repair it, then touch tmp/restart.txt in the application's "
	    "folder (create\nthe folder tmp where there is none): the next "
	    "request makes a new start.\nWithout that another start is "
	    "tried within a minute.\n", place);
	length = n > 0 && (size_t)n < sizeof(page) ? (size_t)n : 0;
}

static int
failed_start(const struct app_server *with, const struct app_config *config)
{
	(void)config;
	server = with;
	return 0;
}

static int
failed_load(void)
{
	return APP_OK;
}

static int
failed_call(struct app_request *rq)
{
	static const struct header fields[] = {
		{ { "Content-Type", 12 }, { "text/plain; charset=utf-8", 25 } },
		{ { "Cache-Control", 13 }, { "no-store", 8 } },
	};
	const struct reply reply = {
		.status = { "500 Internal Server Error", 25 },
		.headers = fields, .nheaders = 2, .length = (int64_t)length,
	};
	const char *why;

	if (server->head(rq, &reply, &why) == -1)
		return -1;
	(void)server->body(rq, page, length, BODY_LAST);
	return 0;
}

static void *
failed_thread_new(void)
{
	return page;
}

static void
failed_thread_free(void *thread)
{
	(void)thread;
}

static int
failed_signals(void)
{
	return 0;
}

const struct app_kind app_failed = {
	.abi = APP_ABI,
	.name = "failed",
	.start = failed_start,
	.load = failed_load,
	.thread_new = failed_thread_new,
	.thread_free = failed_thread_free,
	.call = failed_call,
	.signals = failed_signals,
};
