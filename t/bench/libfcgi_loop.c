/*
 * libfcgi_loop FILE.so THREADS PORT|SOCKET: the usual FastCGI program in C.
 * So many threads in libfcgi's accept loop call the file's function app().
 */
#include "config.h"

#include <dlfcn.h>
#include <err.h>
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int	(*app)(FCGX_Request *);
static int	 listener;

static void *
serve(void *arg)
{
	FCGX_Request r;

	(void)arg;
	if (FCGX_InitRequest(&r, listener, 0) != 0)
		errx(1, "FCGX_InitRequest");
	while (FCGX_Accept_r(&r) == 0) {
		app(&r);
		FCGX_Finish_r(&r);
	}
	return NULL;
}

int
main(int argc, char *argv[])
{
	pthread_t thread;
	char address[128];
	long n;
	void *p;

	if (argc != 4)
		errx(2, "usage: libfcgi_loop file.so threads port|socket");
	if ((p = dlopen(argv[1], RTLD_NOW)) == NULL ||
	    (p = dlsym(p, "app")) == NULL)
		errx(1, "%s", dlerror());
	memcpy(&app, &p, sizeof(app));
	snprintf(address, sizeof(address), "%s%s",
	    argv[3][0] == '/' ? "" : "127.0.0.1:", argv[3]);
	if (FCGX_Init() != 0 ||
	    (listener = FCGX_OpenSocket(address, 1024)) == -1)
		errx(1, "cannot listen on %s", address);
	for (n = strtol(argv[2], NULL, 10); n > 1; n--)
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			errx(1, "cannot start a thread");
	serve(NULL);
	return 0;
}
