/* The head of a CGI response, case by case. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/cgi_head.h"
#include "t/lib/tap.h"

/* `want` is "status|name=value;..." for a whole head, "more" for one whose
 * end is missing, else the reason for which it is refused. */
static const struct row {
	const char	*name, *head, *want;
} rows[] = {
	{ "type only", "Content-Type: a/b\n\nx",
	    "200 OK|Content-Type=a/b;" },
	{ "CRLF", "Content-Type: a/b\r\n\r\nx", "200 OK|Content-Type=a/b;" },
	{ "both line ends", "Content-Type: a/b\r\nX: y\n\r\nx",
	    "200 OK|Content-Type=a/b;X=y;" },
	{ "status with reason", "Status: 418 Tea\n\n", "418 Tea|" },
	{ "status without", "status:404\n\n", "404 Not Found|" },
	{ "unknown status without", "Status: 299\n\n", "299|" },
	{ "status, empty reason", "Status: 200 \n\n", "200 OK|" },
	{ "location", "Location: /x\n\n", "302 Found|Location=/x;" },
	{ "location and status", "Location: /x\nStatus: 301\n\n",
	    "301 Moved Permanently|Location=/x;" },
	{ "empty value", "Content-Type:\n\n", "200 OK|Content-Type=;" },
	{ "blanks around", "Content-Type: \t a/b \t\n\n",
	    "200 OK|Content-Type=a/b;" },
	{ "bytes over 127", "Status: 200\nX: \xc3\xa9\n\n",
	    "200 OK|X=\xc3\xa9;" },
	{ "a field twice", "Status: 200\nSet-Cookie: a\nSet-Cookie: b\n\n",
	    "200 OK|Set-Cookie=a;Set-Cookie=b;" },
	{ "of the connection", "Status: 200\nConnection: close\n"
	    "TRANSFER-ENCODING: chunked\nUpgrade: x\n\n", "200 OK|" },
	{ "length", "Status: 200\nContent-Length: 12\n\n",
	    "200 OK|Content-Length=12;" },
	{ "nothing", "", "more" },
	{ "half a line", "Content-Type: a", "more" },
	{ "no empty line", "Content-Type: a/b\n", "more" },
	{ "half an end", "Content-Type: a/b\n\r", "more" },
	{ "only an end", "\n", "no Content-Type, Location or Status" },
	{ "no CGI field", "X: y\n\n", "no Content-Type, Location or Status" },
	{ "a status line", "HTTP/1.0 200 OK\nX: y\n\n",
	    "a line is not NAME: VALUE" },
	{ "blank before the colon", "Content-Type : a/b\n\n",
	    "a line is not NAME: VALUE" },
	{ "no name", ": a\n\n", "a line is not NAME: VALUE" },
	{ "folded", "Content-Type: a\n b\n\n", "a line is not NAME: VALUE" },
	{ "bare CR", "Content-Type: a\rb\n\n",
	    "a value has a control character" },
	{ "CR CR LF", "Content-Type: a\r\r\n\n",
	    "a value has a control character" },
	{ "DEL", "Content-Type: a\x7f\n\n", "a value has a control character" },
	{ "status of an interim response", "Status: 100 x\n\n",
	    "Status is not a number from 200 to 599 and a reason" },
	{ "status of four digits", "Status: 2000 x\n\n",
	    "Status is not a number from 200 to 599 and a reason" },
	{ "status of words", "Status: OK\n\n",
	    "Status is not a number from 200 to 599 and a reason" },
	{ "length of words", "Status: 200\nContent-Length: x\n\n",
	    "Content-Length is not a number" },
	{ "length with a sign", "Status: 200\nContent-Length: +1\n\n",
	    "Content-Length is not a number" },
	{ "length over all bounds",
	    "Status: 200\nContent-Length: 1234567890123456789\n\n",
	    "Content-Length is not a number" },
	{ "status twice", "Status: 200\nStatus: 200\n\n", "Status, Location, "
	    "Content-Type or Content-Length is there twice" },
	{ "length twice", "Content-Length: 1\ncontent-length: 1\n\n",
	    "Status, Location, Content-Type or Content-Length is there twice" },
};

static void
told(char *buf, size_t size, const char *p, size_t n)
{
	const char *why = NULL;
	struct cgi_head h;
	size_t i, at;
	ssize_t used;

	used = cgi_head_parse(&h, p, n, &why);
	if (used <= 0) {
		snprintf(buf, size, "%s", used == 0 ? "more" : why);
		return;
	}
	at = (size_t)snprintf(buf, size, "%.*s|", (int)h.status.n, h.status.p);
	for (i = 0; i < h.nheaders && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%.*s=%.*s;",
		    (int)h.headers[i].name.n, h.headers[i].name.p,
		    (int)h.headers[i].value.n, h.headers[i].value.p);
}

/* n fields beside the type: under, at and over the bound. */
static void
test_fields(size_t n, bool fits)
{
	char *p = malloc(16 + 16 * (n + 1)), got[64];
	size_t at, i;

	if (p == NULL)
		abort();
	at = (size_t)snprintf(p, 16, "Status: 200\n");
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(p + at, 16, "X%zu: y\n", i);
	p[at++] = '\n';
	told(got, sizeof(got), p, at);
	ok(strncmp(got, fits ? "200 OK|" : "too many fields", 7) == 0,
	    "%zu fields", n);
	free(p);
}

int
main(void)
{
	char got[512];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		told(got, sizeof(got), rows[i].head, strlen(rows[i].head));
		if (!ok(strcmp(got, rows[i].want) == 0, "%s", rows[i].name))
			printf("# got '%s', wanted '%s'\n", got, rows[i].want);
	}
	test_fields(CGI_HEAD_FIELDS - 1, true);
	test_fields(CGI_HEAD_FIELDS, true);
	test_fields(CGI_HEAD_FIELDS + 1, false);
	return tap_done();
}
