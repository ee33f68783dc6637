#include "config.h"

#include <string.h>

#include "fcgi/wire/cgi.h"
#include "fcgi/wire/record.h"

enum { CGI_OURS = 9 };		/* variables that are added where missing */

/* What is looked for besides the well-known variables. */
enum {
	SLOT_FILE = VAR_COUNT, SLOT_SOFTWARE, SLOT_HTTPS, SLOT_SCHEME,
	SLOT_REDIRECT_URL, SLOT_AUTH, SLOT_REDIRECT_AUTH, SLOT_CODING,
	SLOT_DROPPED, SLOTS
};

/* A request whose variables are being read, and where they are. */
struct reader {
	struct request	*rq;
	uint64_t	 seen;		/* a bit for each name, roughly */
	uint16_t	 at[SLOTS];	/* in rq->vars plus 1; 0: absent */
	bool		 passenger;
	struct str	 password, coding;	/* theirs, as they came */
};

static unsigned int
slot_of(struct str name)
{
	switch (name.n) {
	case 5:
		return str_is(name, "HTTPS") ? SLOT_HTTPS : VAR_OTHER;
	case 7:
		return str_is(name, "RAW_URI") ? VAR_RAW_URI : VAR_OTHER;
	case 9:
		return str_is(name, "PATH_INFO") ? VAR_PATH_INFO : VAR_OTHER;
	case 10:
		/* Here and below: httpoxy, and framing that is not ours. */
		return str_is(name, "HTTP_PROXY") ? SLOT_DROPPED : VAR_OTHER;
	case 11:
		return str_is(name, "SCRIPT_NAME") ? VAR_SCRIPT_NAME :
		    str_is(name, "REQUEST_URI") ? VAR_REQUEST_URI :
		    str_is(name, "SERVER_NAME") ? VAR_SERVER_NAME :
		    str_is(name, "SERVER_PORT") ? VAR_SERVER_PORT :
		    str_is(name, "REMOTE_ADDR") ? VAR_REMOTE_ADDR :
		    str_is(name, "REMOTE_PORT") ? VAR_REMOTE_PORT : VAR_OTHER;
	case 12:
		return str_is(name, "QUERY_STRING") ? VAR_QUERY_STRING :
		    str_is(name, "CONTENT_TYPE") ? VAR_CONTENT_TYPE :
		    str_is(name, "REDIRECT_URL") ? SLOT_REDIRECT_URL :
		    VAR_OTHER;
	case 14:
		return str_is(name, "REQUEST_METHOD") ? VAR_REQUEST_METHOD :
		    str_is(name, "CONTENT_LENGTH") ? VAR_CONTENT_LENGTH :
		    str_is(name, "REQUEST_SCHEME") ? SLOT_SCHEME : VAR_OTHER;
	case 15:
		return str_is(name, "SERVER_PROTOCOL") ? VAR_SERVER_PROTOCOL :
		    str_is(name, "SERVER_SOFTWARE") ? SLOT_SOFTWARE :
		    str_is(name, "SCRIPT_FILENAME") ? SLOT_FILE : VAR_OTHER;
	case 17:
		return str_is(name, "HTTP_CONTENT_TYPE") ? SLOT_DROPPED :
		    VAR_OTHER;
	case 18:
		return str_is(name, "HTTP_AUTHORIZATION") ? SLOT_AUTH :
		    VAR_OTHER;
	case 19:
		return str_is(name, "HTTP_CONTENT_LENGTH") ? SLOT_DROPPED :
		    VAR_OTHER;
	case 22:
		return str_is(name, "HTTP_TRANSFER_ENCODING") ? SLOT_CODING :
		    VAR_OTHER;
	case 27:
		return str_is(name, "REDIRECT_HTTP_AUTHORIZATION") ?
		    SLOT_REDIRECT_AUTH : VAR_OTHER;
	default:
		return VAR_OTHER;
	}
}

/* Variables of the server's own configuration may be in lower case, where
 * none of a client's can be. */
static bool
name_ok(const struct reader *r, struct str name)
{
	enum { ANY = 1, PASSENGER = 2 };
	static const unsigned char class[256] = {
		['A' ... 'Z'] = ANY | PASSENGER,
		['0' ... '9'] = ANY | PASSENGER,
		['_'] = ANY | PASSENGER, ['-'] = ANY | PASSENGER,
		['a' ... 'z'] = PASSENGER,
	};
	const unsigned char *p = (const unsigned char *)name.p;
	unsigned char all = r->passenger ? PASSENGER : ANY;
	size_t n = name.n;

	for (; n >= 4; n -= 4, p += 4)
		all &= class[p[0]] & class[p[1]] & class[p[2]] & class[p[3]];
	for (; n > 0; n--)
		all &= class[*p++];
	return name.n > 0 && all != 0;
}

static struct var *
slot_var(const struct reader *r, unsigned int slot)
{
	return r->at[slot] == 0 ? NULL : &r->rq->vars[r->at[slot] - 1];
}

static struct str
slot_value(const struct reader *r, unsigned int slot)
{
	struct var *v = slot_var(r, slot);

	return v != NULL ? v->value : STR("");
}

/* Add what is not there, replace what is: the last counts. */
static inline int
slot_set(struct reader *r, unsigned int slot, struct str name,
    struct str value)
{
	struct request *rq = r->rq;

	if (r->at[slot] != 0) {
		rq->vars[r->at[slot] - 1].value = value;
		return 0;
	}
	if (request_var(rq, slot < VAR_COUNT ? (enum var_id)slot : VAR_OTHER,
	    name, value) == -1)
		return -1;
	r->at[slot] = (uint16_t)rq->nvars;
	return 0;
}

static void
slot_remove(struct reader *r, unsigned int slot)
{
	struct request *rq = r->rq;
	size_t i;

	if (r->at[slot] == 0)
		return;
	rq->vars[r->at[slot] - 1] = rq->vars[--rq->nvars];
	for (i = 0; i < SLOTS; i++)
		if (r->at[i] == rq->nvars + 1)
			r->at[i] = r->at[slot];
	r->at[slot] = 0;
}

/* A parameter given twice (an include and an override): the last counts. */
static int
add_other(struct reader *r, struct str name, struct str value)
{
	struct request *rq = r->rq;
	uint64_t bit = (uint64_t)1 << ((name.n * 5 + (size_t)name.p[0] +
	    (size_t)name.p[name.n - 1] * 3 + (size_t)name.p[name.n / 2]) & 63);
	size_t i;

	if ((r->seen & bit) != 0)
		for (i = 0; i < rq->nvars; i++)
			if (rq->vars[i].name.n == name.n &&
			    memcmp(rq->vars[i].name.p, name.p, name.n) == 0) {
				rq->vars[i].value = value;
				return 0;
			}
	r->seen |= bit;
	return request_var(rq, VAR_OTHER, name, value);
}

/* Between Passenger and us only. */
static bool
is_private(struct reader *r, struct str name, struct str value)
{
	if (!r->passenger || name.n < 10 ||
	    memcmp(name.p, "PASSENGER_", 10) != 0)
		return false;
	if (str_is(name, "PASSENGER_CONNECT_PASSWORD"))
		r->password = value;
	return true;
}

/* The well-known need no look at their names' bytes. */
static int
add_var(struct reader *r, struct str name, struct str value)
{
	unsigned int slot = slot_of(name);

	switch (slot) {
	case VAR_OTHER:
		return !name_ok(r, name) || is_private(r, name, value) ? 0 :
		    add_other(r, name, value);
	case SLOT_CODING:
		r->coding = value;
		return 0;
	case SLOT_DROPPED:
		return 0;
	case VAR_CONTENT_TYPE:
	case VAR_CONTENT_LENGTH:
		if (value.n == 0) {	/* nginx's way to say "none" */
			slot_remove(r, slot);
			return 0;
		}
	}
	return slot_set(r, slot, name, value);
}

/* FastCGI's pairs: nearly always both lengths are of one byte. */
static inline ssize_t
pair_sized(struct str *name, struct str *value, const uint8_t *p, size_t n)
{
	if (n < 2 || p[0] >= 0x80 || p[1] >= 0x80 ||
	    (size_t)p[0] + p[1] > n - 2)
		return pair_decode(name, value, p, n);
	*name = (struct str){ (const char *)p + 2, p[0] };
	*value = (struct str){ (const char *)p + 2 + p[0], p[1] };
	return 2 + p[0] + p[1];
}

/* Passenger's: NUL ends each. */
static ssize_t
pair_ended(struct str *name, struct str *value, const uint8_t *p, size_t n)
{
	const uint8_t *end, *last;

	if ((end = memchr(p, '\0', n)) == NULL ||
	    (last = memchr(end + 1, '\0', n - (size_t)(end + 1 - p))) == NULL)
		return -1;
	*name = (struct str){ (const char *)p, (size_t)(end - p) };
	*value = (struct str){ (const char *)end + 1,
	    (size_t)(last - end - 1) };
	return last + 1 - p;
}

/* Leaves room for what is added afterwards. */
static int
read_pairs(struct reader *r, struct http_refusal *no)
{
	const uint8_t *p = (const uint8_t *)r->rq->params.p;
	size_t n = r->rq->params.n, at = 0;
	struct str name, value;
	ssize_t k;

	while (at < n) {
		k = r->passenger ? pair_ended(&name, &value, p + at, n - at) :
		    pair_sized(&name, &value, p + at, n - at);
		if (k == -1) {
			*no = (struct http_refusal){ 400,
			    "broken name-value pair in the head" };
			return -1;
		}
		at += (size_t)k;
		if (add_var(r, name, value) == -1 ||
		    r->rq->nvars > REQUEST_VARS_MAX - SLOTS) {
			*no = (struct http_refusal){ 431,
			    "too many parameters" };
			return -1;
		}
	}
	return 0;
}

static void
set_paths(struct reader *r, struct str script, struct str info)
{
	(void)slot_set(r, VAR_SCRIPT_NAME, STR("SCRIPT_NAME"), script);
	(void)slot_set(r, VAR_PATH_INFO, STR("PATH_INFO"), info);
}

static bool
starts(struct str s, const struct str with)
{
	return s.n >= with.n && memcmp(s.p, with.p, with.n) == 0;
}

static bool
ends(struct str s, struct str with)
{
	return s.n >= with.n &&
	    memcmp(s.p + s.n - with.n, with.p, with.n) == 0;
}

/* SCRIPT_NAME and PATH_INFO in one piece; they often lie apart. */
static struct str
joined(struct request *rq, struct str a, struct str b)
{
	char *p;

	if (b.n == 0)
		return a;
	if (a.n == 0)
		return b;
	p = request_mem(rq, a.n + b.n);
	memcpy(p, a.p, a.n);
	memcpy(p + a.n, b.p, b.n);
	return (struct str){ p, a.n + b.n };
}

/* The configured mount decides; it repairs every server's idea at once. */
static void
fix_mount(struct reader *r, struct str mount, struct str script,
    struct str info)
{
	struct str full = joined(r->rq, script, info);

	if (full.n < mount.n || memcmp(full.p, mount.p, mount.n) != 0 ||
	    (full.n > mount.n && mount.n > 0 && full.p[mount.n] != '/'))
		mount.n = 0;		/* not under it: all is the path */
	set_paths(r, mount, (struct str){ full.p + mount.n,
	    full.n - mount.n });
}

/* A rewritten dispatch.fcgi: clean URLs want the directory before it. */
static void
fix_rewritten(struct reader *r, struct str script, struct str info)
{
	struct str url = slot_value(r, SLOT_REDIRECT_URL);

	if (url.n == 0 || info.n == 0 || !ends(url, info) ||
	    (url.n >= script.n && memcmp(url.p, script.p, script.n) == 0))
		return;
	set_paths(r, (struct str){ url.p, url.n - info.n }, info);
}

static void
fix_paths(struct reader *r, const struct wire_config *c)
{
	struct str s = slot_value(r, VAR_SCRIPT_NAME),
	    i = slot_value(r, VAR_PATH_INFO);
	struct var *script, *info;

	if (c->script_name != NULL)
		fix_mount(r, str_of(c->script_name), s, i);
	else if (r->passenger)
		set_paths(r, s, i);
	else if (i.n == 0 &&
	    (starts(slot_value(r, SLOT_FILE), STR("proxy:")) ||
	    starts(slot_value(r, SLOT_SOFTWARE), STR("nginx"))))
		set_paths(r, STR(""), s);	/* it all is the path */
	else {
		set_paths(r, s, i);
		fix_rewritten(r, s, i);
	}
	info = slot_var(r, VAR_PATH_INFO);
	script = slot_var(r, VAR_SCRIPT_NAME);
	if (str_is(script->value, "/"))
		script->value = STR("");
	if (info->value.n == 0 && script->value.n == 0)
		info->value = STR("/");
}

static void
fix_server(struct reader *r, const struct peer *peer)
{
	struct str https = slot_value(r, SLOT_HTTPS);
	bool *secure = &r->rq->pub.https;

	*secure = str_is_nocase(https, "on") || str_is(https, "1") ||
	    str_is_nocase(https, "true") ||
	    str_is(slot_value(r, SLOT_SCHEME), "https") ||
	    (https.n == 0 && r->at[SLOT_SCHEME] == 0 &&
	    str_is(slot_value(r, VAR_SERVER_PORT), "443"));
	if (r->at[VAR_SERVER_NAME] == 0)
		(void)slot_set(r, VAR_SERVER_NAME, STR("SERVER_NAME"),
		    peer->server_name.n > 0 ? peer->server_name :
		    STR("localhost"));
	if (r->at[VAR_SERVER_PORT] == 0)
		(void)slot_set(r, VAR_SERVER_PORT, STR("SERVER_PORT"),
		    *secure ? STR("443") : STR("80"));
	if (r->at[VAR_QUERY_STRING] == 0)
		(void)slot_set(r, VAR_QUERY_STRING, STR("QUERY_STRING"),
		    STR(""));
	if (r->at[VAR_SERVER_PROTOCOL] == 0)
		(void)slot_set(r, VAR_SERVER_PROTOCOL, STR("SERVER_PROTOCOL"),
		    STR("HTTP/1.0"));
}

static int
read_length(struct reader *r, struct http_refusal *no)
{
	struct str s = slot_value(r, VAR_CONTENT_LENGTH);
	int64_t n = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || i > 17) {
			*no = (struct http_refusal){ 400,
			    "CONTENT_LENGTH is not a number" };
			return -1;
		}
		n = n * 10 + (s.p[i] - '0');
	}
	r->rq->announced = s.n > 0 ? n : -1;
	return 0;
}

/* All pairs, and room for what is made of them. */
static int
read_head(struct reader *r, struct http_refusal *no)
{
	struct request *rq = r->rq;

	rq->nvars = 0;
	if (read_pairs(r, no) == -1 || read_length(r, no) == -1)
		return -1;
	if (slot_value(r, VAR_REQUEST_METHOD).n == 0)
		return http_refuse(no, 400, "no REQUEST_METHOD");
	rq->head_only = str_is(slot_value(r, VAR_REQUEST_METHOD), "HEAD");
	if (request_reserve(rq, 2 * rq->params.n + 64) == -1 ||
	    request_room(rq, CGI_OURS) == -1)
		return http_refuse(no, 431, "parameters too large");
	return 0;
}

static void
fix_names(struct reader *r, const struct wire_config *c,
    const struct peer *peer)
{
	struct var *v;

	fix_paths(r, c);
	fix_server(r, peer);
	if ((v = slot_var(r, VAR_REQUEST_URI)) != NULL)
		(void)slot_set(r, VAR_RAW_URI, STR("RAW_URI"), v->value);
	if (r->at[SLOT_AUTH] == 0 && (v = slot_var(r, SLOT_REDIRECT_AUTH)) !=
	    NULL)
		(void)slot_set(r, SLOT_AUTH, STR("HTTP_AUTHORIZATION"),
		    v->value);
}

int
cgi_vars(struct request *rq, const struct wire_config *c,
    const struct peer *peer, struct http_refusal *no)
{
	struct reader r = { .rq = rq };

	if (read_head(&r, no) == -1)
		return -1;
	fix_names(&r, c, peer);
	return 0;
}

/* --- Passenger */

/* As long for every wrong one. */
static bool
password_right(const struct wire_config *c, struct str given)
{
	const char *right = c->passenger != NULL ? c->passenger->password :
	    NULL;
	unsigned char differ;
	size_t i, n;

	if (right == NULL)
		return true;
	n = strlen(right);
	differ = n != given.n;
	for (i = 0; i < n; i++)
		differ |= (unsigned char)(right[i] ^
		    (given.n > 0 ? given.p[i % given.n] : 0));
	return differ == 0;
}

static int
decode_path(struct reader *r, struct http_refusal *no)
{
	struct var *v = slot_var(r, VAR_PATH_INFO);
	ssize_t n;
	char *p;

	if (v == NULL || v->value.n == 0 ||
	    memchr(v->value.p, '%', v->value.n) == NULL)
		return 0;
	p = request_mem(r->rq, v->value.n);
	if ((n = http_path_decode(p, v->value.p, v->value.n)) == -1)
		return http_refuse(no, 400, "bad escape in the path");
	v->value = (struct str){ p, (size_t)n };
	return 0;
}

int
cgi_vars_passenger(struct request *rq, const struct wire_config *c,
    const struct peer *peer, bool *chunked, struct http_refusal *no)
{
	struct reader r = { .rq = rq, .passenger = true };

	if (read_head(&r, no) == -1)
		return -1;
	if (!password_right(c, r.password))
		return http_refuse(no, 403,
		    "the connect password is not there or not right");
	*chunked = rq->announced == -1 && r.coding.n > 0;
	if (*chunked && !str_is_nocase(r.coding, "chunked"))
		return http_refuse(no, 501, "unknown transfer coding");
	if (decode_path(&r, no) == -1)
		return -1;
	fix_names(&r, c, peer);
	return 0;
}
