#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "fcgi/access.h"
#include "fcgi/access_format.h"
#include "fcgi/logfile.h"

/* What is being filled in; text goes to p and never past end. */
struct line {
	const struct access_facts *facts;
	char		*p, *end;
	struct str	 vars[VAR_COUNT];	/* the well-known ones */
};

static void
put(struct line *l, const char *p, size_t n)
{
	if (n > (size_t)(l->end - l->p))
		n = (size_t)(l->end - l->p);
	memcpy(l->p, p, n);
	l->p += n;
}

/* A value from outside, or "-" when there is none. */
static void
put_value(struct line *l, struct str s)
{
	if (s.n == 0)
		put(l, "-", 1);
	else
		l->p += text_escape(l->p, (size_t)(l->end - l->p), s.p, s.n,
		    true);
}

static void
put_number(struct line *l, uint64_t v)
{
	char text[20], *p = text + sizeof(text);

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	put(l, p, (size_t)(text + sizeof(text) - p));
}

/* The request's variable of that name in any case; p NULL: none. */
static struct str
variable(const struct line *l, struct str name)
{
	const struct access_facts *f = l->facts;
	size_t i;

	for (i = 0; i < f->nvars; i++)
		if (f->vars[i].name.n == name.n &&
		    strncasecmp(f->vars[i].name.p, name.p, name.n) == 0)
			return f->vars[i].value;
	return (struct str){ NULL, 0 };
}

static struct str
header(const struct line *l, struct str name)
{
	const struct access_facts *f = l->facts;
	size_t i;

	for (i = 0; i < f->nheaders; i++)
		if (f->headers[i].name.n == name.n &&
		    strncasecmp(f->headers[i].name.p, name.p, name.n) == 0)
			return f->headers[i].value;
	return (struct str){ NULL, 0 };
}

#define NAMED(s)	((struct str){ (s), sizeof(s) - 1 })

static int
base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c != '\0' ? strchr(digits, c) : NULL;

	return p != NULL ? (int)(p - digits) : -1;
}

/* The user of "Basic dXNlcjpwYXNz"; bytes in out, 0 when there is none. */
static size_t
basic_user(char *out, size_t cap, struct str s)
{
	unsigned int bits = 0, v = 0;
	const char *p, *end;
	size_t n = 0;
	int d;

	if (s.n < 6 || strncasecmp(s.p, "basic ", 6) != 0)
		return 0;
	end = s.p + s.n;
	for (p = s.p + 6; p < end && *p == ' '; p++)
		continue;
	for (; p < end && (d = base64_value(*p)) != -1; p++) {
		v = (v << 6 | (unsigned int)d) & 0xfff;
		if ((bits += 6) < 8)
			continue;
		bits -= 8;
		if ((char)(v >> bits) == ':')
			return n;
		if (n < cap)
			out[n++] = (char)(v >> bits);
	}
	return 0;	/* without a colon it is no credential */
}

static void
put_user(struct line *l)
{
	char user[256];
	struct str s = { user, basic_user(user, sizeof(user),
	    variable(l, NAMED("HTTP_AUTHORIZATION"))) };

	put_value(l, s.n > 0 ? s : variable(l, NAMED("REMOTE_USER")));
}

/* "[23/Nov/2026:13:35:09 +0000]", made once a second and thread. */
static void
put_time(struct line *l)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static __thread time_t last = -1;
	static __thread char text[40];
	time_t now = time(NULL);
	struct tm tm;
	char zone[8];
	int k;

	if (now != last && localtime_r(&now, &tm) != NULL) {
		(void)strftime(zone, sizeof(zone), "%z", &tm);
		/* Month names of our own: the locale's are not wanted. */
		k = snprintf(text, sizeof(text),
		    "[%02d/%.3s/%d:%02d:%02d:%02d %s]", tm.tm_mday,
		    months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
		    tm.tm_min, tm.tm_sec, zone);
		last = k > 0 ? now : -1;
	}
	put(l, text, strlen(text));
}

/* The path as the client wrote it. */
static struct str
target(const struct line *l)
{
	if (l->vars[VAR_RAW_URI].p != NULL)
		return l->vars[VAR_RAW_URI];
	return l->vars[VAR_REQUEST_URI];
}

static void
put_decimal(struct line *l)
{
	uint64_t us = l->facts->took_us;
	char text[8];

	put_number(l, us / 1000000);
	(void)snprintf(text, sizeof(text), ".%06u",
	    (unsigned int)(us % 1000000));
	put(l, text, 7);
}

static void
put_atom(struct line *l, const struct access_op *op)
{
	const struct access_facts *f = l->facts;
	struct str s;

	switch (op->atom) {
	case ATOM_TEXT:
		put(l, op->text.p, op->text.n);
		break;
	case ATOM_ADDRESS:
		put_value(l, l->vars[VAR_REMOTE_ADDR]);
		break;
	case ATOM_NONE:
		put(l, "-", 1);
		break;
	case ATOM_USER:
		put_user(l);
		break;
	case ATOM_TIME:
		put_time(l);
		break;
	case ATOM_REQUEST:
		put_value(l, l->vars[VAR_REQUEST_METHOD]);
		put(l, " ", 1);
		put_value(l, target(l));
		put(l, " ", 1);
		put_value(l, l->vars[VAR_SERVER_PROTOCOL]);
		break;
	case ATOM_STATUS:
		s = f->status;
		if (s.n > 3)	/* the code without its phrase */
			s.n = 3;
		put_value(l, s);
		break;
	case ATOM_METHOD:
		put_value(l, l->vars[VAR_REQUEST_METHOD]);
		break;
	case ATOM_PATH:
		put_value(l, l->vars[VAR_PATH_INFO]);
		break;
	case ATOM_QUERY:
		/* As in gunicorn a query that is there may be empty. */
		if ((s = l->vars[VAR_QUERY_STRING]).p == NULL || s.n > 0)
			put_value(l, s);
		break;
	case ATOM_PROTOCOL:
		put_value(l, l->vars[VAR_SERVER_PROTOCOL]);
		break;
	case ATOM_SENT:
		put_number(l, f->sent);
		break;
	case ATOM_REFERER:
		put_value(l, variable(l, NAMED("HTTP_REFERER")));
		break;
	case ATOM_AGENT:
		put_value(l, variable(l, NAMED("HTTP_USER_AGENT")));
		break;
	case ATOM_SECONDS:
		put_number(l, f->took_us / 1000000);
		break;
	case ATOM_MILLISECONDS:
		put_number(l, f->took_us / 1000);
		break;
	case ATOM_MICROSECONDS:
		put_number(l, f->took_us);
		break;
	case ATOM_DECIMAL:
		put_decimal(l);
		break;
	case ATOM_PID:
		put(l, "<", 1);
		put_number(l, (uint64_t)getpid());
		put(l, ">", 1);
		break;
	case ATOM_VARIABLE:
		put_value(l, variable(l, op->text));
		break;
	case ATOM_HEADER:
		put_value(l, header(l, op->text));
		break;
	}
}

/* An atom with a precision (cut, but not inside an escape) and a width. */
static void
put_shaped(struct line *l, const struct access_op *op)
{
	char *from = l->p, *end = l->end;
	size_t n, pad;

	if (op->cut && op->precision < (size_t)(end - from))
		l->end = from + op->precision;
	put_atom(l, op);
	l->end = end;
	n = (size_t)(l->p - from);
	if (n >= op->width)
		return;
	if ((pad = op->width - n) > (size_t)(end - l->p))
		pad = (size_t)(end - l->p);
	if (op->left)
		memset(l->p, ' ', pad);
	else {
		memmove(from + pad, from, n);
		memset(from, ' ', pad);
	}
	l->p += pad;
}

size_t
access_line(const struct access_format *format,
    const struct access_facts *facts, char *out, size_t cap)
{
	struct line l = { .facts = facts, .p = out };
	const struct access_op *op = format->ops;
	size_t i;

	if (cap == 0)
		return 0;
	l.end = out + cap - 1;	/* the LF always fits */
	for (i = 0; i < facts->nvars; i++)
		l.vars[facts->vars[i].id] = facts->vars[i].value;
	for (; op < format->ops + format->nops; op++)
		if (op->padded || op->cut)
			put_shaped(&l, op);
		else
			put_atom(&l, op);
	*l.p++ = '\n';
	return (size_t)(l.p - out);
}
