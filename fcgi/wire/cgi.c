#include "config.h"

#include <ctype.h>
#include <string.h>

#include "fcgi/wire/cgi.h"
#include "fcgi/wire/record.h"

enum { CGI_OURS = 8 };		/* variables that are added where missing */

static const struct {
	const char	*name;
	enum var_id	 id;
} known[] = {
	{ "REQUEST_METHOD", VAR_REQUEST_METHOD },
	{ "SCRIPT_NAME", VAR_SCRIPT_NAME },
	{ "PATH_INFO", VAR_PATH_INFO },
	{ "QUERY_STRING", VAR_QUERY_STRING },
	{ "REQUEST_URI", VAR_REQUEST_URI },
	{ "SERVER_PROTOCOL", VAR_SERVER_PROTOCOL },
	{ "SERVER_NAME", VAR_SERVER_NAME },
	{ "SERVER_PORT", VAR_SERVER_PORT },
	{ "REMOTE_ADDR", VAR_REMOTE_ADDR },
	{ "REMOTE_PORT", VAR_REMOTE_PORT },
	{ "CONTENT_TYPE", VAR_CONTENT_TYPE },
	{ "CONTENT_LENGTH", VAR_CONTENT_LENGTH },
};

/* Never passed on: httpoxy, and framing that is the web server's. */
static const char *const dropped[] = {
	"HTTP_PROXY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH",
	"HTTP_CONTENT_TYPE",
};

enum var_id
cgi_var_id(struct str name)
{
	size_t i;

	if (name.n < 9 || name.p[0] < 'C' || name.p[0] > 'S' ||
	    name.p[0] == 'H')
		return VAR_OTHER;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_is(name, known[i].name))
			return known[i].id;
	return VAR_OTHER;
}

static bool
wanted(struct str name)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < name.n; i++) {
		c = (unsigned char)name.p[i];
		if (!isupper(c) && !isdigit(c) && c != '_' && c != '-')
			return false;
	}
	if (name.n > 5 && name.p[5] >= 'C' && name.p[5] <= 'T')
		for (i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
			if (str_is(name, dropped[i]))
				return false;
	return name.n > 0;
}

/* A parameter given twice (an include and an override): the last counts. */
static int
add_var(struct request *rq, uint64_t *seen, struct str name, struct str value)
{
	uint64_t bit = (uint64_t)1 << ((name.n * 5 + (size_t)name.p[0] +
	    (size_t)name.p[name.n - 1] * 3 + (size_t)name.p[name.n / 2]) & 63);
	size_t i;

	if ((*seen & bit) != 0)
		for (i = 0; i < rq->nvars; i++)
			if (rq->vars[i].name.n == name.n &&
			    memcmp(rq->vars[i].name.p, name.p, name.n) == 0) {
				rq->vars[i].value = value;
				return 0;
			}
	*seen |= bit;
	return request_var(rq, cgi_var_id(name), name, value);
}

static int
read_pairs(struct request *rq, struct http_refusal *no)
{
	const uint8_t *p = (const uint8_t *)rq->params.p;
	size_t n = rq->params.n, at = 0;
	struct str name, value;
	uint64_t seen = 0;
	ssize_t k;

	while (at < n) {
		if ((k = pair_decode(&name, &value, p + at, n - at)) == -1) {
			*no = (struct http_refusal){ 400,
			    "broken name-value pair in PARAMS" };
			return -1;
		}
		at += (size_t)k;
		if (!wanted(name))
			continue;
		if (add_var(rq, &seen, name, value) == -1) {
			*no = (struct http_refusal){ 431,
			    "too many parameters" };
			return -1;
		}
	}
	return 0;
}

static struct var *
find_id(struct request *rq, enum var_id id)
{
	size_t i;

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].id == id)
			return &rq->vars[i];
	return NULL;
}

static struct str
value_of(struct request *rq, const char *name)
{
	struct var *v = request_find(rq, name);

	return v != NULL ? v->value : STR("");
}

static void
set_id(struct request *rq, enum var_id id, struct str name, struct str value)
{
	struct var *v = find_id(rq, id);

	if (v != NULL)
		v->value = value;
	else
		(void)request_var(rq, id, name, value);
}

static void
set_paths(struct request *rq, struct str script, struct str info)
{
	set_id(rq, VAR_SCRIPT_NAME, STR("SCRIPT_NAME"), script);
	set_id(rq, VAR_PATH_INFO, STR("PATH_INFO"), info);
}

static bool
starts(struct str s, const char *with)
{
	size_t n = strlen(with);

	return s.n >= n && memcmp(s.p, with, n) == 0;
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
fix_mount(struct request *rq, struct str mount, struct str script,
    struct str info)
{
	struct str full = joined(rq, script, info);

	if (full.n < mount.n || memcmp(full.p, mount.p, mount.n) != 0 ||
	    (full.n > mount.n && mount.n > 0 && full.p[mount.n] != '/'))
		mount.n = 0;		/* not under it: all is the path */
	set_paths(rq, mount, (struct str){ full.p + mount.n,
	    full.n - mount.n });
}

/* A rewritten dispatch.fcgi: clean URLs want the directory before it. */
static void
fix_rewritten(struct request *rq, struct str script, struct str info)
{
	struct str url = value_of(rq, "REDIRECT_URL");

	if (url.n == 0 || info.n == 0 || !ends(url, info) ||
	    (url.n >= script.n && memcmp(url.p, script.p, script.n) == 0))
		return;
	set_paths(rq, (struct str){ url.p, url.n - info.n }, info);
}

static void
fix_paths(struct request *rq, const struct wire_config *c)
{
	struct var *script = find_id(rq, VAR_SCRIPT_NAME),
	    *info = find_id(rq, VAR_PATH_INFO);
	struct str s = script != NULL ? script->value : STR(""),
	    i = info != NULL ? info->value : STR(""),
	    file = value_of(rq, "SCRIPT_FILENAME");
	bool proxied = starts(file, "proxy:");

	if (c->script_name != NULL)
		fix_mount(rq, str_of(c->script_name), s, i);
	else if (i.n == 0 && (proxied ||
	    starts(value_of(rq, "SERVER_SOFTWARE"), "nginx")))
		set_paths(rq, STR(""), s);	/* it all is the path */
	else {
		set_paths(rq, s, i);
		fix_rewritten(rq, s, i);
	}
	info = find_id(rq, VAR_PATH_INFO);
	script = find_id(rq, VAR_SCRIPT_NAME);
	if (str_is(script->value, "/"))
		script->value = STR("");
	if (info->value.n == 0 && script->value.n == 0)
		info->value = STR("/");
}

static void
fix_server(struct request *rq, const struct peer *peer)
{
	struct str https = value_of(rq, "HTTPS");

	rq->pub.https = str_is_nocase(https, "on") || str_is(https, "1") ||
	    str_is_nocase(https, "true") ||
	    str_is(value_of(rq, "REQUEST_SCHEME"), "https") ||
	    (https.n == 0 && request_find(rq, "REQUEST_SCHEME") == NULL &&
	    str_is(value_of(rq, "SERVER_PORT"), "443"));
	if (find_id(rq, VAR_SERVER_NAME) == NULL)
		set_id(rq, VAR_SERVER_NAME, STR("SERVER_NAME"),
		    peer->server_name.n > 0 ? peer->server_name :
		    STR("localhost"));
	if (find_id(rq, VAR_SERVER_PORT) == NULL)
		set_id(rq, VAR_SERVER_PORT, STR("SERVER_PORT"),
		    rq->pub.https ? STR("443") : STR("80"));
	if (find_id(rq, VAR_QUERY_STRING) == NULL)
		set_id(rq, VAR_QUERY_STRING, STR("QUERY_STRING"), STR(""));
	if (find_id(rq, VAR_SERVER_PROTOCOL) == NULL)
		set_id(rq, VAR_SERVER_PROTOCOL, STR("SERVER_PROTOCOL"),
		    STR("HTTP/1.0"));
}

static void
remove_var(struct request *rq, struct var *v)
{
	*v = rq->vars[--rq->nvars];
}

int64_t
cgi_length(struct request *rq)
{
	struct var *v = find_id(rq, VAR_CONTENT_LENGTH);
	int64_t n = 0;
	size_t i;

	if (v == NULL)
		return -1;
	for (i = 0; i < v->value.n; i++)
		n = n * 10 + (v->value.p[i] - '0');
	return n;
}

static int
fix_length(struct request *rq, struct http_refusal *no)
{
	struct var *v = find_id(rq, VAR_CONTENT_LENGTH);
	size_t i;

	if (v == NULL)
		return 0;
	if (v->value.n == 0) {		/* nginx's way to say "none" */
		remove_var(rq, v);
		return 0;
	}
	for (i = 0; i < v->value.n; i++)
		if (!isdigit((unsigned char)v->value.p[i]) || i > 17) {
			*no = (struct http_refusal){ 400,
			    "CONTENT_LENGTH is not a number" };
			return -1;
		}
	return 0;
}

int
cgi_vars(struct request *rq, const struct wire_config *c,
    const struct peer *peer, struct http_refusal *no)
{
	struct var *method, *v;

	rq->nvars = 0;
	if (read_pairs(rq, no) == -1 || fix_length(rq, no) == -1)
		return -1;
	method = find_id(rq, VAR_REQUEST_METHOD);
	if (method == NULL || method->value.n == 0) {
		*no = (struct http_refusal){ 400, "no REQUEST_METHOD" };
		return -1;
	}
	rq->head_only = str_is(method->value, "HEAD");
	v = find_id(rq, VAR_CONTENT_TYPE);
	if (v != NULL && v->value.n == 0)
		remove_var(rq, v);
	if (request_reserve(rq, rq->params.n + 64) == -1 ||
	    request_room(rq, CGI_OURS) == -1) {
		*no = (struct http_refusal){ 431, "parameters too large" };
		return -1;
	}
	fix_paths(rq, c);
	fix_server(rq, peer);
	if (request_find(rq, "RAW_URI") == NULL &&
	    (v = find_id(rq, VAR_REQUEST_URI)) != NULL)
		(void)request_var(rq, VAR_RAW_URI, STR("RAW_URI"), v->value);
	if (request_find(rq, "HTTP_AUTHORIZATION") == NULL &&
	    (v = request_find(rq, "REDIRECT_HTTP_AUTHORIZATION")) != NULL)
		(void)request_var(rq, VAR_OTHER, STR("HTTP_AUTHORIZATION"),
		    v->value);
	return 0;
}
