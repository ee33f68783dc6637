#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fcgi/address.h"

#define DEFAULT_PORT	"8000"
#define DEFAULT_HOST	"0.0.0.0"

enum { PORT_MAX = 65535, FD_MAX = 65535 };

static int
refuse(char **why, const char *text, const char *what)
{
	if (asprintf(why, "\"%s\" is not an address to listen on: %s", text,
	    what) == -1)
		*why = NULL;
	errno = EINVAL;
	return -1;
}

/* Does *s start with prefix, whatever the case? Then step over it. */
static bool
skip(const char **s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncasecmp(*s, prefix, n) != 0)
		return false;
	*s += n;
	return true;
}

static int
number(const char *s, int max)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)*s) || strlen(s) > 8)
		return -1;
	n = strtol(s, &end, 10);
	return *end == '\0' && n <= max ? (int)n : -1;
}

static int
set_host(struct address *ad, const char *s, size_t n, char **why)
{
	char *p;

	if (n == 0) {
		s = DEFAULT_HOST;
		n = sizeof(DEFAULT_HOST) - 1;
	}
	if ((ad->host = strndup(s, n)) == NULL)
		return refuse(why, ad->text, "no memory");
	for (p = ad->host; *p != '\0'; p++) {
		if (isspace((unsigned char)*p) || *p == '/') {
			address_done(ad);
			return refuse(why, ad->text, "write HOST:PORT, "
			    "unix:PATH or fd://N");
		}
		*p = (char)tolower((unsigned char)*p);
	}
	return 0;
}

static int
set_port(struct address *ad, const char *s, char **why)
{
	int n;

	if ((n = number(s, PORT_MAX)) == -1)
		return refuse(why, ad->text, "the port must be 0 to 65535");
	snprintf(ad->port, sizeof(ad->port), "%d", n);
	return 0;
}

/* HOST, HOST:PORT, :PORT, [v6], [v6]:PORT */
static int
parse_tcp(struct address *ad, const char *s, char **why)
{
	const char *end, *port = NULL;

	if (*s == '[') {
		s++;
		if ((end = strchr(s, ']')) == NULL)
			return refuse(why, ad->text, "the ] is missing");
		if (end == s)
			return refuse(why, ad->text,
			    "nothing between [ and ]");
		if (end[1] == ':')
			port = end + 2;
		else if (end[1] != '\0')
			return refuse(why, ad->text,
			    "after ] comes : and the port");
	} else {
		if ((end = strchr(s, ':')) != NULL)
			port = end + 1;
		else
			end = s + strlen(s);
		if (port != NULL && strncmp(port, "//", 2) == 0)
			return refuse(why, ad->text, "write HOST:PORT, "
			    "tcp://HOST:PORT, fcgi://HOST:PORT, unix:PATH or "
			    "fd://N");
		if (port != NULL && strchr(port, ':') != NULL)
			return refuse(why, ad->text, "put IPv6 addresses in "
			    "brackets, as in [::1]:8000");
	}
	if (set_port(ad, port != NULL && *port != '\0' ? port : DEFAULT_PORT,
	    why) == -1)
		return -1;
	return set_host(ad, s, (size_t)(end - s), why);
}

static int
parse_unix(struct address *ad, const char *s, char **why)
{
	if (s[0] == '/' && s[1] == '/')
		s += 2;
	if (*s == '\0')
		return refuse(why, ad->text, "the path is missing");
	ad->kind = ADDRESS_UNIX;
	ad->path = s;
	return 0;
}

int
address_parse(struct address *out, const char *text, char **why)
{
	struct address ad = { .kind = ADDRESS_TCP, .text = text, .fd = -1 };
	const char *s = text;

	*why = NULL;
	if (skip(&s, "fcgi+"))
		ad.fastcgi = true;
	if (skip(&s, "unix:")) {
		if (parse_unix(&ad, s, why) == -1)
			return -1;
	} else if (skip(&s, "fd://")) {
		ad.kind = ADDRESS_FD;
		if ((ad.fd = number(s, FD_MAX)) == -1)
			return refuse(why, text, "after fd:// comes the "
			    "number of a descriptor");
	} else {
		if (!skip(&s, "tcp://") && !ad.fastcgi && skip(&s, "fcgi://"))
			ad.fastcgi = true;
		if (parse_tcp(&ad, s, why) == -1)
			return -1;
	}
	*out = ad;
	return 0;
}

void
address_done(struct address *ad)
{
	free(ad->host);
	ad->host = NULL;
}
