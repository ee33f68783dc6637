/* What libfcgi_loop and `native:` are compared with: a few variables are
 * looked at, a counter goes into the answer. */
#include <fcgiapp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

int	 app(FCGX_Request *);

int
app(FCGX_Request *r)
{
	static atomic_ulong calls;
	const char *method = FCGX_GetParam("REQUEST_METHOD", r->envp);
	const char *uri = FCGX_GetParam("REQUEST_URI", r->envp);
	char buf[1024];

	while (FCGX_GetStr(buf, sizeof(buf), r->in) > 0)
		;
	FCGX_FPrintF(r->out, "Content-Type: text/plain\r\n\r\n"
	    "Hello %u: %s %s\n", (unsigned int)atomic_fetch_add(&calls, 1),
	    method != NULL ? method : "", uri != NULL ? uri : "");
	return 0;
}
