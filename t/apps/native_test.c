/* Native applications for t/native.c, one for each thing to show. */
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APP(name) int name(FCGX_Request *); int name(FCGX_Request *r)

#define TEXT	"Content-Type: text/plain\n\n"

/* Parameters, and a number for the ones that C strings cut short. */
APP(app)
{
	const char *q = FCGX_GetParam("QUERY_STRING", r->envp);
	const char *none = FCGX_GetParam("NO_SUCH", r->envp);

	FCGX_FPrintF(r->out, "Status: 201 Made\r\nContent-Type: text/plain\r\n"
	    "X-Role: %d\r\n\r\nq=%s none=%s", r->role, q,
	    none == NULL ? "null" : none);
	return 0;
}

APP(env)
{
	char **p;

	FCGX_PutS(TEXT, r->out);
	for (p = r->envp; *p != NULL; p++)
		FCGX_FPrintF(r->out, "%s\n", *p);
	return 0;
}

/* The body, by every way of reading. */
APP(by_str)
{
	char buf[70];
	int n;

	FCGX_PutS(TEXT, r->out);
	while ((n = FCGX_GetStr(buf, sizeof(buf), r->in)) > 0)
		FCGX_PutStr(buf, n, r->out);
	FCGX_PutS(FCGX_HasSeenEOF(r->in) == EOF ? "!" : "?", r->out);
	return 0;
}

APP(by_line)
{
	char buf[32];

	FCGX_PutS(TEXT, r->out);
	while (FCGX_GetLine(buf, sizeof(buf), r->in) != NULL)
		FCGX_FPrintF(r->out, "[%s]", buf);
	return 0;
}

APP(by_char)
{
	int c;

	FCGX_PutS(TEXT, r->out);
	while ((c = FCGX_GetChar(r->in)) != EOF) {
		if (c == 'a' && FCGX_UnGetChar('A', r->in) == 'A')
			c = FCGX_GetChar(r->in);
		FCGX_PutChar(c, r->out);
	}
	return FCGX_GetError(r->in) == 0 ? 0 : 1;
}

APP(read_error)
{
	char c;

	FCGX_PutS(TEXT, r->out);
	if (FCGX_GetStr(&c, 1, r->in) == 0)
		FCGX_FPrintF(r->out, "error %d", FCGX_GetError(r->in));
	return 0;
}

/* 100,000 bytes. */
APP(large)
{
	int i;

	FCGX_PutS(TEXT, r->out);
	for (i = 0; i < 10000; i++)
		if (FCGX_PutS("0123456789", r->out) == -1)
			return 7;
	return 0;
}

/* With a query: less than promised, and more than a socket takes at once. */
APP(cut_short)
{
	int i;

	if (*FCGX_GetParam("QUERY_STRING", r->envp) == '\0')
		return app(r);
	FCGX_PutS("Content-Type: a/b\nContent-Length: 9999999\n\n", r->out);
	for (i = 0; i < 60000; i++)
		if (FCGX_PutS("0123456789", r->out) == -1)
			return 7;
	return 0;
}

APP(flushes)
{
	FCGX_PutS("Content-Type: text/plain\n", r->out);
	FCGX_FFlush(r->out);	/* nothing can go yet */
	FCGX_PutS("\n", r->out);
	FCGX_FFlush(r->out);
	FCGX_PutS("one", r->out);
	FCGX_FFlush(r->out);
	FCGX_PutS("two", r->out);
	return 0;
}

APP(with_status)
{
	FCGX_PutS(TEXT "done", r->out);
	return 42;
}

/* Closed by the application; what it writes after is refused. */
APP(closes)
{
	FCGX_PutS(TEXT "done", r->out);
	if (FCGX_FClose(r->out) != 0 || FCGX_PutChar('x', r->out) != EOF ||
	    FCGX_PutS("more", r->out) != -1)
		FCGX_PutS("wrote after close\n", r->err);
	FCGX_SetExitStatus(3, r->out);
	return 3;
}

APP(errors)
{
	FCGX_PutS(TEXT "fine", r->out);
	FCGX_FPrintF(r->err, "warning %d\n", 1);
	FCGX_FFlush(r->err);
	FCGX_PutS("warning 2\n", r->err);
	return 0;
}

APP(redirect)
{
	FCGX_PutS("Location: /there\r\n\r\n", r->out);
	return 0;
}

APP(with_length)
{
	FCGX_PutS("Content-Type: a/b\nContent-Length: 4\n\nbody", r->out);
	return 0;
}

APP(only_head)
{
	FCGX_PutS(TEXT, r->out);
	return 0;
}

APP(silent)
{
	(void)r;
	return 1;
}

APP(no_head)
{
	FCGX_PutS("<h1>hello</h1>\n\n", r->out);
	return 0;
}

APP(half_head)
{
	FCGX_PutS("Content-Type: text/plain\n", r->out);
	return 0;
}

/* A head of n bytes in QUERY_STRING, its empty line included. */
APP(long_head)
{
	long n = strtol(FCGX_GetParam("QUERY_STRING", r->envp), NULL, 10);

	n -= FCGX_PutS("Content-Type: a/b\nX: ", r->out) + 2;
	while (n-- > 0)
		FCGX_PutChar('x', r->out);
	FCGX_PutS("\n\nbody", r->out);
	return 0;
}
