/* What web servers send for one request each, and what it becomes. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/cgi.h"
#include "fcgi/wire/record.h"
#include "t/lib/tap.h"

#define NGINX	"SERVER_SOFTWARE=nginx/1.22.1"
#define PROXY	"SCRIPT_FILENAME=proxy:fcgi://127.0.0.1:9000/a%20b"

static const struct {
	const char	*name;
	const char	*mount;		/* --script-name */
	const char	*in[12];
	const char	*want[8];	/* "NAME=value", "NAME" for absent */
} cases[] = {
	{ "nginx: no PATH_INFO, the script is the path", NULL,
	    { NGINX, "SCRIPT_NAME=/a b/c" },
	    { "SCRIPT_NAME=", "PATH_INFO=/a b/c" } },
	{ "nginx: an empty PATH_INFO", NULL,
	    { NGINX, "SCRIPT_NAME=/x", "PATH_INFO=" },
	    { "SCRIPT_NAME=", "PATH_INFO=/x" } },
	{ "nginx: split by the configuration", NULL,
	    { NGINX, "SCRIPT_NAME=/app", "PATH_INFO=/x" },
	    { "SCRIPT_NAME=/app", "PATH_INFO=/x" } },
	{ "mod_proxy_fcgi: no PATH_INFO", NULL,
	    { PROXY, "SCRIPT_NAME=/a b/c" },
	    { "SCRIPT_NAME=", "PATH_INFO=/a b/c" } },
	{ "lighttpd: a root mount eats a segment, the mount mends it", "",
	    { "SCRIPT_NAME=/a b", "PATH_INFO=/c/e" },
	    { "SCRIPT_NAME=", "PATH_INFO=/a b/c/e" } },
	{ "mount: all of the path is under it", "/shop",
	    { NGINX, "SCRIPT_NAME=/shop/cart" },
	    { "SCRIPT_NAME=/shop", "PATH_INFO=/cart" } },
	{ "mount: exactly it", "/shop",
	    { NGINX, "SCRIPT_NAME=/shop" },
	    { "SCRIPT_NAME=/shop", "PATH_INFO=" } },
	{ "mount: only whole segments count", "/shop",
	    { NGINX, "SCRIPT_NAME=/shopping" },
	    { "SCRIPT_NAME=", "PATH_INFO=/shopping" } },
	{ "mount: elsewhere", "/shop",
	    { NGINX, "SCRIPT_NAME=/", "PATH_INFO=/y" },
	    { "SCRIPT_NAME=" } },
	{ "mod_fcgid: the script stays", NULL,
	    { "SCRIPT_NAME=/app", "PATH_INFO=/x" },
	    { "SCRIPT_NAME=/app", "PATH_INFO=/x" } },
	{ "mod_fcgid: a rewritten dispatch.fcgi", NULL,
	    { "SCRIPT_NAME=/site/dispatch.fcgi", "PATH_INFO=/foo",
	    "REDIRECT_URL=/site/foo" },
	    { "SCRIPT_NAME=/site", "PATH_INFO=/foo" } },
	{ "nothing at all is the root", NULL,
	    { "SCRIPT_NAME=" }, { "SCRIPT_NAME=", "PATH_INFO=/" } },
	{ "the last of two counts", NULL,
	    { "SCRIPT_NAME=/x", "SERVER_NAME=a", "SERVER_NAME=b" },
	    { "SERVER_NAME=b" } },
	{ "an empty CONTENT_LENGTH is none", NULL,
	    { "CONTENT_LENGTH=" }, { "CONTENT_LENGTH" } },
	{ "an empty CONTENT_TYPE is none", NULL,
	    { "CONTENT_TYPE=" }, { "CONTENT_TYPE" } },
	{ "httpoxy", NULL, { "HTTP_PROXY=evil" }, { "HTTP_PROXY" } },
	{ "framing is the web server's", NULL,
	    { "HTTP_TRANSFER_ENCODING=chunked", "HTTP_CONTENT_LENGTH=5",
	    "HTTP_CONTENT_TYPE=x" },
	    { "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH",
	    "HTTP_CONTENT_TYPE" } },
	{ "odd names are dropped", NULL,
	    { "http_evil=1", "A B=1", "X.Y=2", "HTTP_X_OK=3" },
	    { "http_evil", "A B", "X.Y", "HTTP_X_OK=3" } },
	{ "Authorization behind a rewrite", NULL,
	    { "REDIRECT_HTTP_AUTHORIZATION=Basic eA==" },
	    { "HTTP_AUTHORIZATION=Basic eA==" } },
	{ "what must be there is", NULL, { NULL },
	    { "QUERY_STRING=", "SERVER_PROTOCOL=HTTP/1.0",
	    "SERVER_NAME=localhost", "SERVER_PORT=80" } },
	{ "the raw target has both its names", NULL,
	    { "REQUEST_URI=/a%20b?c" }, { "RAW_URI=/a%20b?c" } },
};

static const struct {
	const char	*name;
	const char	*in;
	bool		 https;
} schemes[] = {
	{ "HTTPS=on", "HTTPS=on", true },
	{ "HTTPS=1", "HTTPS=1", true },
	{ "HTTPS=off", "HTTPS=off", false },
	{ "REQUEST_SCHEME=https", "REQUEST_SCHEME=https", true },
	{ "port 443 and nothing else", "SERVER_PORT=443", true },
	{ "port 80", "SERVER_PORT=80", false },
};

static const struct {
	const char	*name;
	const char	*in;
} bad[] = {
	{ "a length that is no number", "CONTENT_LENGTH=5x" },
	{ "a negative length", "CONTENT_LENGTH=-5" },
	{ "a length too long", "CONTENT_LENGTH=1234567890123456789012" },
	{ "no method", "REQUEST_METHOD=" },
};

static struct request_pool pool;
static const struct peer nobody;

static void
add(struct request *rq, const char *text)
{
	const char *eq = strchr(text, '=');
	uint8_t pair[512];
	size_t n;

	n = pair_encode(pair, sizeof(pair),
	    (struct str){ text, (size_t)(eq - text) }, str_of(eq + 1));
	if (n == 0 || buffer_add(&rq->params, pair, n, 1 << 16) == -1)
		abort();
}

static bool
holds(struct request *rq, const char *want)
{
	const char *eq = strchr(want, '=');
	char name[128];
	struct var *v;

	if (eq == NULL)
		return request_find(rq, want) == NULL;
	memcpy(name, want, (size_t)(eq - want));
	name[eq - want] = '\0';
	return (v = request_find(rq, name)) != NULL &&
	    str_is(v->value, eq + 1);
}

static void
test_case(size_t i)
{
	struct wire_config c = { .script_name = cases[i].mount };
	struct request *rq = request_take(&pool);
	struct http_refusal no;
	size_t j;

	add(rq, "REQUEST_METHOD=GET");
	for (j = 0; j < 12 && cases[i].in[j] != NULL; j++)
		add(rq, cases[i].in[j]);
	ok(cgi_vars(rq, &c, &nobody, &no) == 0, "%s", cases[i].name);
	for (j = 0; j < 8 && cases[i].want[j] != NULL; j++)
		ok(holds(rq, cases[i].want[j]), "%s: %s", cases[i].name,
		    cases[i].want[j]);
	request_put(&pool, rq);
}

int
main(void)
{
	const struct wire_config c = { 0 };
	struct http_refusal no;
	struct request *rq;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(i);
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		rq = request_take(&pool);
		add(rq, "REQUEST_METHOD=GET");
		add(rq, schemes[i].in);
		ok(cgi_vars(rq, &c, &nobody, &no) == 0 &&
		    rq->pub.https == schemes[i].https, "%s",
		    schemes[i].name);
		request_put(&pool, rq);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rq = request_take(&pool);
		add(rq, "REQUEST_METHOD=GET");
		add(rq, bad[i].in);
		ok(cgi_vars(rq, &c, &nobody, &no) == -1 && no.status == 400,
		    "%s is refused", bad[i].name);
		request_put(&pool, rq);
	}
	request_pool_done(&pool);
	return tap_done();
}
