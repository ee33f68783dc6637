/*
 * A native application for gangway, on libfcgi's streams. Build and serve:
 *
 *	cc -shared -fPIC -o hello.so native_hello.c -lfcgi
 *	gangway native:hello.so
 *
 * The function is called from several threads at once.
 */
#include <fcgiapp.h>
#include <stdlib.h>

int	 app(FCGX_Request *);

static const char *
param(FCGX_Request *r, const char *name)
{
	const char *value = FCGX_GetParam(name, r->envp);

	return value != NULL ? value : "";
}

int
app(FCGX_Request *r)
{
	char buf[4096];
	long body = 0;
	int n;

	while ((n = FCGX_GetStr(buf, sizeof(buf), r->in)) > 0)
		body += n;
	FCGX_FPrintF(r->out, "Content-Type: text/plain\r\n\r\n"
	    "Hello from C. You sent %s %s and %ld bytes.\n",
	    param(r, "REQUEST_METHOD"), param(r, "PATH_INFO"), body);
	return 0;
}
