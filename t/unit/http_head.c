/* Heads that are taken, and heads that are refused with which status. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/http_head.h"
#include "t/lib/tap.h"

/* Which settings a case runs under. */
enum { PLAIN, FOLDING, STRIP, METHODS, CASEFOLD, VERSIONS, REFUSE, DANGEROUS,
	TRUSTED, TRUSTED_ALL, UNLIMITED, SETS };

static const char *const some[] = { "script_name", "PATH_INFO", NULL };
static const char *const all[] = { "*", NULL };

#define LIMITS	.request_line = 60, .fields = 5, .field_size = 40, \
	.forwarder = some
static const struct http_limits limits[SETS] = {
	[PLAIN] = { LIMITS },
	[FOLDING] = { LIMITS, .obsolete_folding = true },
	[STRIP] = { LIMITS, .strip_spaces = true },
	[METHODS] = { LIMITS, .any_method = true },
	[CASEFOLD] = { LIMITS, .any_method = true, .casefold_method = true },
	[VERSIONS] = { LIMITS, .any_version = true },
	[REFUSE] = { LIMITS, .header_map = HEADER_REFUSE },
	[DANGEROUS] = { LIMITS, .header_map = HEADER_DANGEROUS },
	[TRUSTED] = { LIMITS },
	[TRUSTED_ALL] = { .header_map = HEADER_REFUSE, .forwarder = all },
	[UNLIMITED] = { .header_map = HEADER_DROP },
};

#define B(s)	s, sizeof(s) - 1
#define GET	"GET / HTTP/1.1\r\nHost: h\r\n"
#define POST	"POST / HTTP/1.1\r\nHost: h\r\n"
#define OLD	"GET / HTTP/1.0\r\n"
#define T10	"0123456789"
#define T30	T10 T10 T10

/*
 * `want` of a head that is taken: "method path?query minor flags", then the
 * fields but Host. Flags: k keep-alive, c chunked, e expect, and the length.
 */
static const struct {
	const char	*name;
	int		 set;
	const char	*p;
	size_t		 n;
	int		 status;
	const char	*want;
} heads[] = {
	/* the request line */
	{ "plain", PLAIN, B(GET "\r\n"), 0, "GET /? 1 k" },
	{ "query", PLAIN, B("GET /a?b=c&d HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /a?b=c&d 1 k" },
	{ "empty query", PLAIN, B("GET /a? HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /a? 1 k" },
	{ "second question mark", PLAIN,
	    B("GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "GET /a?b?c 1 k" },
	{ "fragment", PLAIN, B("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /a? 1 k" },
	{ "fragment after the query", PLAIN,
	    B("GET /a?q#b?c HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "GET /a?q 1 k" },
	{ "query in the fragment", PLAIN,
	    B("GET /a#b?c HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "GET /a? 1 k" },
	{ "escapes stay", PLAIN,
	    B("GET /%2F%00%zz HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /%2F%00%zz? 1 k" },
	{ "two slashes", PLAIN, B("GET //x/y HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET //x/y? 1 k" },
	{ "odd but visible bytes", PLAIN,
	    B("GET /\"<>\\^`{|} HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /\"<>\\^`{|}? 1 k" },
	{ "absolute", PLAIN,
	    B("GET http://h:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /a?b 1 k host=h:80" },
	{ "absolute without path", PLAIN,
	    B("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "GET /? 1 k" },
	{ "absolute, only a query", PLAIN,
	    B("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "GET /?q 1 k" },
	{ "absolute beats Host", PLAIN,
	    B("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), 0,
	    "GET /? 1 k host=a" },
	{ "absolute in 1.0", PLAIN, B("GET http://a/ HTTP/1.0\r\n\r\n"), 0,
	    "GET /? 0 - host=a" },
	{ "absolute with IPv6", PLAIN,
	    B("GET http://[::1]:8/x HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GET /x? 1 k host=[::1]:8" },
	{ "absolute with a user", PLAIN,
	    B("GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "absolute without host", PLAIN,
	    B("GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "no scheme", PLAIN,
	    B("GET ://h/x HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "relative target", PLAIN,
	    B("GET a/b HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "relative with ://", PLAIN,
	    B("GET a/b://c HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "authority form", PLAIN,
	    B("GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "question mark first", PLAIN,
	    B("GET ?x HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "OPTIONS *", PLAIN, B("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "OPTIONS *? 1 k" },
	{ "GET *", PLAIN, B("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "OPTIONS *x", PLAIN,
	    B("OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "CONNECT", PLAIN,
	    B("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), 501, NULL },
	{ "tab in the target", PLAIN,
	    B("GET /\ta HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "space in the target", PLAIN,
	    B("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "NUL in the target", PLAIN,
	    B("GET /\0a HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "DEL in the target", PLAIN,
	    B("GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "UTF-8 in the target", PLAIN,
	    B("GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "CR in the target", PLAIN,
	    B("GET /\ra HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "two spaces before the target", PLAIN,
	    B("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "two spaces before the version", PLAIN,
	    B("GET /  HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "tab for space", PLAIN,
	    B("GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "space first", PLAIN, B(" " GET "\r\n"), 400, NULL },
	{ "space last", PLAIN,
	    B("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"), 400, NULL },
	{ "CR CR LF", PLAIN,
	    B("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "no target", PLAIN, B("GET HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "no version", PLAIN, B("GET /\r\n\r\n"), 400, NULL },
	{ "only a method", PLAIN, B("GET\r\n\r\n"), 400, NULL },
	{ "nothing at all", PLAIN, B("\r\n\r\n"), 400, NULL },
	{ "line at the limit", PLAIN, B("GET /" T30 T10 "123456 HTTP/1.1\r\n"
	    "Host: h\r\n\r\n"), 0,
	    "GET /" T30 T10 "123456? 1 k" },
	{ "line over the limit", PLAIN, B("GET /" T30 T10 "1234567 HTTP/1.1\r\n"
	    "Host: h\r\n\r\n"), 400, NULL },
	{ "no limit", UNLIMITED, B("GET /" T30 T30 " HTTP/1.1\r\nHost: h\r\n"
	    "X: " T30 T30 "\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n"), 0,
	    "GET /" T30 T30 "? 1 k X=" T30 T30 " A= B= C= D= E=" },
	/* methods */
	{ "extension method", PLAIN, B("PURGE / HTTP/1.1\r\nHost: h\r\n\r\n"),
	    0, "PURGE /? 1 k" },
	{ "digits and dash", PLAIN,
	    B("M-SEARCH2 / HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "M-SEARCH2 /? 1 k" },
	{ "lower case", PLAIN, B("get / HTTP/1.1\r\nHost: h\r\n\r\n"), 400,
	    NULL },
	{ "lower case allowed", METHODS,
	    B("get / HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "get /? 1 k" },
	{ "lower case folded", CASEFOLD,
	    B("gEt / HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "GET /? 1 k" },
	{ "two letters", PLAIN, B("GE / HTTP/1.1\r\nHost: h\r\n\r\n"), 400,
	    NULL },
	{ "one letter allowed", METHODS,
	    B("G / HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "G /? 1 k" },
	{ "20 letters", PLAIN,
	    B("ABCDEFGHIJKLMNOPQRST / HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "ABCDEFGHIJKLMNOPQRST /? 1 k" },
	{ "21 letters", PLAIN,
	    B("ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1\r\nHost: h\r\n\r\n"), 400,
	    NULL },
	{ "hash", PLAIN, B("GE#T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "hash allowed", METHODS, B("GE#T / HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "GE#T /? 1 k" },
	{ "not a token", PLAIN, B("GE(T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400,
	    NULL },
	{ "not a token even so", METHODS,
	    B("GE(T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "no method", METHODS, B(" / HTTP/1.1\r\nHost: h\r\n\r\n"), 400,
	    NULL },
	{ "folded connect", CASEFOLD,
	    B("connect h:1 HTTP/1.1\r\nHost: h\r\n\r\n"), 501, NULL },
	/* versions */
	{ "1.0", PLAIN, B(OLD "\r\n"), 0, "GET /? 0 -" },
	{ "1.2 is 1.1", PLAIN, B("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 0,
	    "GET /? 1 k" },
	{ "2.0", PLAIN, B("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505, NULL },
	{ "2.0 allowed", VERSIONS, B("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 0,
	    "GET /? 1 k" },
	{ "0.9", PLAIN, B("GET / HTTP/0.9\r\n\r\n"), 505, NULL },
	{ "0.9 allowed", VERSIONS, B("GET / HTTP/0.9\r\n\r\n"), 0,
	    "GET /? 0 -" },
	{ "1.10", PLAIN, B("GET / HTTP/1.10\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "1", PLAIN, B("GET / HTTP/1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "1.x", PLAIN, B("GET / HTTP/1.x\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "lower case http", PLAIN,
	    B("GET / http/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	{ "another protocol", VERSIONS,
	    B("GET / ICY/1.1\r\nHost: h\r\n\r\n"), 400, NULL },
	/* the shape of fields */
	{ "white space around a value", PLAIN, B(GET "A:  \t b c \t \r\n\r\n"),
	    0, "GET /? 1 k A=b c" },
	{ "no white space", PLAIN, B(GET "A:b\r\n\r\n"), 0, "GET /? 1 k A=b" },
	{ "empty value", PLAIN, B(GET "A:\r\nB: \r\n\r\n"), 0,
	    "GET /? 1 k A= B=" },
	{ "colons in a value", PLAIN, B(GET "A: b:c:\r\n\r\n"), 0,
	    "GET /? 1 k A=b:c:" },
	{ "obs-text in a value", PLAIN, B(GET "A: \xe4\xff\x80\r\n\r\n"), 0,
	    "GET /? 1 k A=\xe4\xff\x80" },
	{ "tab in a value", PLAIN, B(GET "A: b\tc\r\n\r\n"), 0,
	    "GET /? 1 k A=b\tc" },
	{ "every token byte", PLAIN, B(GET "!#$%&'*+-.^`|~09AZaz: x\r\n\r\n"),
	    0, "GET /? 1 k !#$%&'*+-.^`|~09AZaz=x" },
	{ "equal fields", PLAIN, B(GET "A: b\r\na: c\r\n\r\n"), 0,
	    "GET /? 1 k A=b a=c" },
	{ "space before the colon", PLAIN, B(GET "A : b\r\n\r\n"), 400, NULL },
	{ "tab before the colon", PLAIN, B(GET "A\t: b\r\n\r\n"), 400, NULL },
	{ "space before it, stripped", STRIP, B(GET "A \t : b\r\n\r\n"), 0,
	    "GET /? 1 k A=b" },
	{ "stripped framing counts", STRIP,
	    B(POST "Content-Length : 3\r\n\r\n"), 0,
	    "POST /? 1 k3 Content-Length=3" },
	{ "strip, but two words", STRIP, B(GET "A b: c\r\n\r\n"), 400, NULL },
	{ "strip, but no colon", STRIP, B(GET "A \r\n\r\n"), 400, NULL },
	{ "strip, but no name", STRIP, B(GET " : b\r\n\r\n"), 400, NULL },
	{ "leading white space", PLAIN, B(GET " A: b\r\n\r\n"), 400, NULL },
	{ "white space after the line", FOLDING,
	    B("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 400, NULL },
	{ "folding", PLAIN, B(GET "A: b\r\n c\r\n\r\n"), 400, NULL },
	{ "folding with a tab", PLAIN, B(GET "A: b\r\n\tc\r\n\r\n"), 400,
	    NULL },
	{ "folding allowed", FOLDING, B(GET "A: b\r\n\tc\r\n d\r\n\r\n"), 0,
	    "GET /? 1 k A=b  \tc   d" },
	{ "folding before the value", FOLDING, B(GET "A:\r\n b\r\n\r\n"), 0,
	    "GET /? 1 k A=b" },
	{ "folding with nothing", FOLDING, B(GET "A: b\r\n \r\n\r\n"), 0,
	    "GET /? 1 k A=b" },
	{ "folded length", FOLDING, B(POST "Content-Length: 1\r\n 0\r\n\r\n"),
	    400, NULL },
	{ "folded name", FOLDING, B(GET "A\r\n b: c\r\n\r\n"), 400, NULL },
	{ "folding counts for the size", FOLDING,
	    B(GET "A: " T30 "\r\n " T10 "\r\n\r\n"), 431, NULL },
	{ "empty name", PLAIN, B(GET ": b\r\n\r\n"), 400, NULL },
	{ "no colon", PLAIN, B(GET "Ab\r\n\r\n"), 400, NULL },
	{ "bracket in a name", PLAIN, B(GET "A(b): c\r\n\r\n"), 400, NULL },
	{ "obs-text in a name", PLAIN, B(GET "\xe4: c\r\n\r\n"), 400, NULL },
	{ "NUL in a name", PLAIN, B(GET "A\0: c\r\n\r\n"), 400, NULL },
	{ "quote in a name", PLAIN, B(GET "\"A\": c\r\n\r\n"), 400, NULL },
	{ "NUL in a value", PLAIN, B(GET "A: b\0c\r\n\r\n"), 400, NULL },
	{ "01 in a value", PLAIN, B(GET "A: \x01\r\n\r\n"), 400, NULL },
	{ "VT in a value", PLAIN, B(GET "A: b\vc\r\n\r\n"), 400, NULL },
	{ "ESC in a value", PLAIN, B(GET "A: \x1b[0m\r\n\r\n"), 400, NULL },
	{ "1F in a value", PLAIN, B(GET "A: \x1f\r\n\r\n"), 400, NULL },
	{ "DEL in a value", PLAIN, B(GET "A: \x7f\r\n\r\n"), 400, NULL },
	{ "bare CR in a value", PLAIN, B(GET "A: b\rc\r\n\r\n"), 400, NULL },
	{ "bare CR hides a field", PLAIN,
	    B(POST "A:\rTransfer-Encoding: chunked\r\n\r\n"), 400, NULL },
	{ "CR CR LF after a value", PLAIN, B(GET "A: b\r\r\n\r\n"), 400, NULL },
	{ "bare LF after a value", PLAIN, B(GET "A: b\nC: d\r\n\r\n"), 400,
	    NULL },
	{ "bare LF after the line", PLAIN,
	    B("GET / HTTP/1.1\nHost: h\r\n\r\n"), 400, NULL },
	{ "bare LFs everywhere", PLAIN, B("GET / HTTP/1.1\nHost: h\n\n"), 400,
	    NULL },
	{ "bare LF at the end", PLAIN, B(GET "\n"), 400, NULL },
	{ "LF CR LF", PLAIN, B("GET / HTTP/1.1\r\nHost: h\n\r\n"), 400, NULL },
	/* limits */
	{ "as many fields as allowed", PLAIN,
	    B(GET "A:\r\nB:\r\nC:\r\nD:\r\n\r\n"), 0,
	    "GET /? 1 k A= B= C= D=" },
	{ "one too many", PLAIN, B(GET "A:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n"),
	    431, NULL },
	{ "dropped ones count", PLAIN,
	    B(GET "A_:\r\nB_:\r\nC_:\r\nD_:\r\nE_:\r\n\r\n"), 431, NULL },
	{ "field at the limit", PLAIN, B(GET "A: " T30 "12345\r\n\r\n"), 0,
	    "GET /? 1 k A=" T30 "12345" },
	{ "field over the limit", PLAIN, B(GET "A: " T30 "123456\r\n\r\n"),
	    431, NULL },
	/* Host */
	{ "no Host", PLAIN, B("GET / HTTP/1.1\r\n\r\n"), 400, NULL },
	{ "no Host in 1.0", PLAIN, B(OLD "A: b\r\n\r\n"), 0,
	    "GET /? 0 - A=b" },
	{ "two Hosts", PLAIN, B(GET "host: h\r\n\r\n"), 400, NULL },
	{ "two Hosts in 1.0", PLAIN, B(OLD "Host: a\r\nHost: b\r\n\r\n"), 400,
	    NULL },
	{ "empty Host", PLAIN, B("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0,
	    "GET /? 1 k host=" },
	{ "Host with a port", PLAIN,
	    B("GET / HTTP/1.1\r\nHost: a.b-c_d:8080\r\n\r\n"), 0,
	    "GET /? 1 k host=a.b-c_d:8080" },
	{ "Host with a bad port", PLAIN,
	    B("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), 400, NULL },
	{ "Host with two ports", PLAIN,
	    B("GET / HTTP/1.1\r\nHost: a:8:9\r\n\r\n"), 400, NULL },
	{ "IPv6 Host", PLAIN, B("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0,
	    "GET /? 1 k host=[::1]:80" },
	{ "open bracket", PLAIN, B("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
	    400, NULL },
	{ "text after the bracket", PLAIN,
	    B("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), 400, NULL },
	{ "slash in Host", PLAIN, B("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
	    400, NULL },
	{ "user in Host", PLAIN, B("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), 400,
	    NULL },
	{ "space in Host", PLAIN, B("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
	    400, NULL },
	{ "obs-text in Host", PLAIN,
	    B("GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n"), 400, NULL },
	{ "backslash in Host", PLAIN,
	    B("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"), 400, NULL },
	/* Content-Length and Transfer-Encoding */
	{ "length", PLAIN, B(POST "content-length: 12\r\n\r\n"), 0,
	    "POST /? 1 k12 content-length=12" },
	{ "length 0", PLAIN, B(POST "Content-Length: 0\r\n\r\n"), 0,
	    "POST /? 1 k0 Content-Length=0" },
	{ "leading zeros", PLAIN, B(POST "Content-Length: 007\r\n\r\n"), 0,
	    "POST /? 1 k7 Content-Length=007" },
	{ "length of a GET", PLAIN, B(GET "Content-Length: 5\r\n\r\n"), 0,
	    "GET /? 1 k5 Content-Length=5" },
	{ "largest length", UNLIMITED,
	    B(POST "Content-Length: 9223372036854775807\r\n\r\n"), 0,
	    "POST /? 1 k9223372036854775807"
	    " Content-Length=9223372036854775807" },
	{ "2^63", UNLIMITED,
	    B(POST "Content-Length: 9223372036854775808\r\n\r\n"), 400, NULL },
	{ "2^64", UNLIMITED,
	    B(POST "Content-Length: 18446744073709551616\r\n\r\n"), 400, NULL },
	{ "2^64 + 5 with zeros", UNLIMITED,
	    B(POST "Content-Length: 0018446744073709551621\r\n\r\n"), 400,
	    NULL },
	{ "two lengths", PLAIN,
	    B(POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400,
	    NULL },
	{ "two equal lengths", PLAIN,
	    B(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400,
	    NULL },
	{ "list of lengths", PLAIN, B(POST "Content-Length: 1, 1\r\n\r\n"),
	    400, NULL },
	{ "plus", PLAIN, B(POST "Content-Length: +1\r\n\r\n"), 400, NULL },
	{ "minus", PLAIN, B(POST "Content-Length: -1\r\n\r\n"), 400, NULL },
	{ "hex length", PLAIN, B(POST "Content-Length: 0x5\r\n\r\n"), 400,
	    NULL },
	{ "empty length", PLAIN, B(POST "Content-Length:\r\n\r\n"), 400, NULL },
	{ "length with a point", PLAIN, B(POST "Content-Length: 1.0\r\n\r\n"),
	    400, NULL },
	{ "length in two parts", PLAIN, B(POST "Content-Length: 1 0\r\n\r\n"),
	    400, NULL },
	{ "chunked", PLAIN, B(POST "Transfer-Encoding: chunked\r\n\r\n"), 0,
	    "POST /? 1 kc Transfer-Encoding=chunked" },
	{ "Chunked", PLAIN, B(POST "Transfer-Encoding: ChunKed\r\n\r\n"), 0,
	    "POST /? 1 kc Transfer-Encoding=ChunKed" },
	{ "chunked twice", PLAIN,
	    B(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400, NULL },
	{ "chunked in two fields", UNLIMITED, B(POST "Transfer-Encoding: "
	    "chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, NULL },
	{ "identity and chunked", UNLIMITED, B(POST "Transfer-Encoding: "
	    "chunked\r\nTransfer-Encoding: identity\r\n\r\n"), 400, NULL },
	{ "gzip, chunked", PLAIN,
	    B(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501, NULL },
	{ "chunked, gzip", PLAIN,
	    B(POST "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400, NULL },
	{ "gzip", PLAIN, B(POST "Transfer-Encoding: gzip\r\n\r\n"), 501, NULL },
	{ "identity", PLAIN, B(POST "Transfer-Encoding: identity\r\n\r\n"),
	    501, NULL },
	{ "xchunked", PLAIN, B(POST "Transfer-Encoding: xchunked\r\n\r\n"),
	    501, NULL },
	{ "chunked with a parameter", PLAIN,
	    B(POST "Transfer-Encoding: chunked;a=b\r\n\r\n"), 400, NULL },
	{ "quoted chunked", PLAIN,
	    B(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 501, NULL },
	{ "empty coding", PLAIN, B(POST "Transfer-Encoding:\r\n\r\n"), 400,
	    NULL },
	{ "comma first", PLAIN, B(POST "Transfer-Encoding: ,chunked\r\n\r\n"),
	    501, NULL },
	{ "chunked with VT", PLAIN,
	    B(POST "Transfer-Encoding: \vchunked\r\n\r\n"), 400, NULL },
	{ "chunked in 1.0", PLAIN,
	    B(OLD "Transfer-Encoding: chunked\r\n\r\n"), 400, NULL },
	{ "length and chunked", UNLIMITED, B(POST "Content-Length: 5\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"), 400, NULL },
	{ "chunked and length", UNLIMITED, B(POST "Transfer-Encoding: "
	    "chunked\r\nContent-Length: 5\r\n\r\n"), 400, NULL },
	{ "length 0 and chunked", UNLIMITED, B(POST "Content-Length: 0\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"), 400, NULL },
	/* Connection, Expect, Content-Type, Proxy */
	{ "close", PLAIN, B(GET "Connection: close\r\n\r\n"), 0,
	    "GET /? 1 - Connection=close" },
	{ "Close in a list", PLAIN, B(GET "Connection: a ,\tClose , b\r\n\r\n"),
	    0, "GET /? 1 - Connection=a ,\tClose , b" },
	{ "close in the second field", PLAIN,
	    B(GET "Connection: a\r\nConnection: close\r\n\r\n"), 0,
	    "GET /? 1 - Connection=a Connection=close" },
	{ "closed is not close", PLAIN, B(GET "Connection: closed\r\n\r\n"), 0,
	    "GET /? 1 k Connection=closed" },
	{ "close beats keep-alive", PLAIN,
	    B(GET "Connection: keep-alive, close\r\n\r\n"), 0,
	    "GET /? 1 - Connection=keep-alive, close" },
	{ "empty list", PLAIN, B(GET "Connection: ,,\r\n\r\n"), 0,
	    "GET /? 1 k Connection=,," },
	{ "keep-alive in 1.0", PLAIN, B(OLD "Connection: Keep-Alive\r\n\r\n"),
	    0, "GET /? 0 k Connection=Keep-Alive" },
	{ "upgrade", UNLIMITED, B(GET "Connection: Upgrade\r\n"
	    "Upgrade: websocket\r\n\r\n"), 0,
	    "GET /? 1 k Connection=Upgrade Upgrade=websocket" },
	{ "upgrade with a body", UNLIMITED, B(POST "Connection: Upgrade\r\n"
	    "Upgrade: h2c\r\nContent-Length: 3\r\n\r\n"), 0,
	    "POST /? 1 k3 Connection=Upgrade Upgrade=h2c Content-Length=3" },
	{ "Expect", PLAIN, B(POST "Expect: 100-Continue\r\n\r\n"), 0,
	    "POST /? 1 ke Expect=100-Continue" },
	{ "another Expect", PLAIN, B(POST "Expect: 200-ok\r\n\r\n"), 417,
	    NULL },
	{ "Expect in 1.0", PLAIN, B(OLD "Expect: x\r\n\r\n"), 0,
	    "GET /? 0 - Expect=x" },
	{ "Content-Type", PLAIN, B(POST "Content-Type: a/b\r\n\r\n"), 0,
	    "POST /? 1 k Content-Type=a/b" },
	{ "two Content-Types", PLAIN,
	    B(POST "Content-Type: a/b\r\nContent-type: a/b\r\n\r\n"), 400,
	    NULL },
	{ "Proxy", PLAIN, B(GET "Proxy: evil\r\npROXY:\r\nA: b\r\n\r\n"), 0,
	    "GET /? 1 k A=b" },
	{ "Proxy of a trusted peer", TRUSTED_ALL, B(GET "Proxy: e\r\n\r\n"), 0,
	    "GET /? 1 k" },
	/* underscores */
	{ "underscore", PLAIN, B(GET "A_B: c\r\nD: e\r\n\r\n"), 0,
	    "GET /? 1 k D=e" },
	{ "underscore refused", REFUSE, B(GET "A_B: c\r\n\r\n"), 400, NULL },
	{ "underscore taken", DANGEROUS, B(GET "A_B: c\r\n\r\n"), 0,
	    "GET /? 1 k A_B=c" },
	{ "alias of the length", DANGEROUS, B(GET "Content_Length: 5\r\n\r\n"),
	    0, "GET /? 1 k" },
	{ "alias of the type", DANGEROUS,
	    B(GET "Content_Type: a/b\r\nContent-Type: c/d\r\n\r\n"), 0,
	    "GET /? 1 k Content-Type=c/d" },
	{ "alias of the coding", DANGEROUS,
	    B(GET "Transfer_Encoding: chunked\r\n\r\n"), 0, "GET /? 1 k" },
	{ "a stranger's SCRIPT_NAME", PLAIN, B(GET "SCRIPT_NAME: /x\r\n\r\n"),
	    0, "GET /? 1 k" },
	{ "a friend's SCRIPT_NAME", TRUSTED,
	    B(GET "Script_Name: /x\r\nA_B: c\r\n\r\n"), 0,
	    "GET /? 1 k Script_Name=/x" },
	{ "a friend's anything", TRUSTED_ALL, B(GET "A_B: c\r\n\r\n"), 0,
	    "GET /? 1 k A_B=c" },
};

static struct header headers[HTTP_HEADERS_MAX];

/* A copy of exactly n bytes, so that reading past it is seen. */
static char *
copy(const char *p, size_t n)
{
	char *q = malloc(n ? n : 1);

	if (q == NULL)
		abort();
	memcpy(q, p, n);
	return q;
}

/* One line that says what a head is. */
static void
show(const struct http_head *h, bool host, char *out, size_t cap)
{
	size_t i;
	FILE *f = fmemopen(out, cap, "w");

	if (f == NULL)
		abort();
	fprintf(f, "%.*s %.*s?%.*s %u ", (int)h->method.n, h->method.p,
	    (int)h->path.n, h->path.p, (int)h->query.n, h->query.p, h->minor);
	if (!h->keep_alive && !h->chunked && !h->expect && !h->has_length)
		fputc('-', f);
	fprintf(f, "%s%s%s", h->keep_alive ? "k" : "", h->chunked ? "c" : "",
	    h->expect ? "e" : "");
	if (h->has_length)
		fprintf(f, "%llu", (unsigned long long)h->length);
	if (host)
		fprintf(f, " host=%.*s", (int)h->host.n, h->host.p);
	for (i = 0; i < h->nheaders; i++)
		if (h->headers[i].name.n != 4 ||
		    strncasecmp(h->headers[i].name.p, "host", 4) != 0)
			fprintf(f, " %.*s=%.*s", (int)h->headers[i].name.n,
			    h->headers[i].name.p, (int)h->headers[i].value.n,
			    h->headers[i].value.p);
	fclose(f);
}

/* The end of the head by whole, by line and by byte. */
static bool
ends(const char *p, size_t n, bool taken)
{
	size_t whole = http_head_end(p, n, 0), seen = 0, i, end = 0;
	const char *lf;

	for (i = 1; i <= n && end == 0; i++)
		end = http_head_end(p, i, i - 1);
	if (end != whole || (end != 0 && end != i - 1))
		return false;
	for (i = 0, end = 0; i < n && end == 0; seen = i) {
		lf = memchr(p + i, '\n', n - i);
		i = lf != NULL ? (size_t)(lf + 1 - p) : n;
		end = http_head_end(p, i, seen);
	}
	return end == whole && (!taken || whole == n);
}

static void
test_heads(void)
{
	struct http_head h;
	struct http_refusal no;
	char text[1024] = "", *p;
	bool trusted;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		p = copy(heads[i].p, heads[i].n);
		ok(ends(p, heads[i].n, heads[i].status == 0), "end of: %s",
		    heads[i].name);
		memset(&h, 0, sizeof(h));
		h.headers = headers;
		no = (struct http_refusal){ 0, NULL };
		trusted = heads[i].set == TRUSTED ||
		    heads[i].set == TRUSTED_ALL;
		rc = http_head_decode(&h, p, heads[i].n,
		    &limits[heads[i].set], trusted, &no);
		if (heads[i].status == 0) {
			if (rc == 0)
				show(&h, strstr(heads[i].want, " host=") !=
				    NULL, text, sizeof(text));
			if (!ok(rc == 0 && strcmp(text, heads[i].want) == 0,
			    "taken: %s", heads[i].name))
				printf("# %d %s, %s\n", no.status, no.why,
				    text);
		} else if (!ok(rc == -1 && no.status == heads[i].status &&
		    no.why != NULL && h.method.p == NULL,
		    "refused: %s", heads[i].name))
			printf("# %d %s\n", no.status, no.why);
		free(p);
	}
}

static const struct {
	const char	*name, *p;
	size_t		 n;
	int		 status;	/* 0: whole; -1: more is needed */
	size_t		 left;		/* bytes after the end */
	const char	*body;
} chunks[] = {
	{ "one chunk", B("5\r\nhello\r\n0\r\n\r\n"), 0, 0, "hello" },
	{ "two chunks", B("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), 0, 0,
	    "hello world" },
	{ "none", B("0\r\n\r\n"), 0, 0, "" },
	{ "hex", B("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"), 0, 0,
	    "01234567890123456789a" },
	{ "leading zeros", B("000005\r\nhello\r\n0000\r\n\r\n"), 0, 0,
	    "hello" },
	{ "CRLF in the data", B("4\r\n\r\n\r\n\r\n0\r\n\r\n"), 0, 0,
	    "\r\n\r\n" },
	{ "next request", B("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), 0, 16,
	    "x" },
	{ "extension", B("1;a=b\r\nx\r\n0;c\r\n\r\n"), 0, 0, "x" },
	{ "extensions", B("1 ; a=\"b c\";d \r\nx\r\n0\r\n\r\n"), 0, 0, "x" },
	{ "trailers", B("0\r\nA: b\r\nC:\r\n\r\n"), 0, 0, "" },
	{ "trailer with obs-text", B("0\r\nA: \xe4\r\n\r\nX"), 0, 1, "" },
	{ "cut size", B("5"), -1, 0, "" },
	{ "cut data", B("5\r\nhel"), -1, 0, "hel" },
	{ "cut end", B("1\r\nx\r\n0\r\n\r"), -1, 0, "x" },
	{ "cut trailer", B("0\r\nA: b\r\n"), -1, 0, "" },
	{ "nothing", B(""), -1, 0, "" },
	{ "largest chunk begins", B("7FFFFFFFFFFFFFFF\r\nx"), -1, 0, "x" },
	{ "chunk of 2^63", B("8000000000000000\r\nx"), 400, 0, "" },
	{ "chunk of 2^64", B("10000000000000000\r\nx"), 400, 0, "" },
	{ "wraps to 5", B("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400, 0,
	    "" },
	{ "no digits", B("\r\nhello"), 400, 0, "" },
	{ "only an extension", B(";a\r\nhello"), 400, 0, "" },
	{ "not hex", B("g\r\nhello"), 400, 0, "" },
	{ "0x", B("0x5\r\nhello\r\n"), 400, 0, "" },
	{ "plus", B("+5\r\nhello\r\n"), 400, 0, "" },
	{ "minus", B("-5\r\nhello\r\n"), 400, 0, "" },
	{ "underscore", B("1_0\r\nhello\r\n"), 400, 0, "" },
	{ "space first", B(" 5\r\nhello\r\n"), 400, 0, "" },
	{ "space last", B("5 \r\nhello\r\n"), 400, 0, "" },
	{ "space between", B("5 5\r\nhello\r\n"), 400, 0, "" },
	{ "bare LF after the size", B("5\nhello\r\n"), 400, 0, "" },
	{ "bare LF in an extension", B("5;a\nhello\r\n"), 400, 0, "" },
	{ "bare CR in an extension", B("5;a\rb\r\nhello\r\n"), 400, 0, "" },
	{ "NUL in an extension", B("5;a\0\r\nhello\r\n"), 400, 0, "" },
	{ "CR without LF", B("5\rhello\r\n"), 400, 0, "" },
	{ "data too long", B("5\r\nhelloXX0\r\n\r\n"), 400, 0, "hello" },
	{ "bare LF after the data", B("5\r\nhello\n0\r\n\r\n"), 400, 0,
	    "hello" },
	{ "CR after the data", B("5\r\nhello\r0\r\n\r\n"), 400, 0, "hello" },
	{ "data too short", B("6\r\nhello\r\n0\r\n\r\n"), 400, 0, "hello\r" },
	{ "bare LF after the last size", B("0\n\n"), 400, 0, "" },
	{ "bare LF after the trailers", B("0\r\n\n"), 400, 0, "" },
	{ "bare LF after a trailer", B("0\r\nA: b\n\r\n"), 400, 0, "" },
	{ "bare CR in a trailer", B("0\r\nA: b\rc\r\n\r\n"), 400, 0, "" },
	{ "folded trailer", B("0\r\nA: b\r\n c\r\n\r\n"), 400, 0, "" },
	{ "empty trailer name", B("0\r\n: b\r\n\r\n"), 400, 0, "" },
	{ "space in a trailer name", B("0\r\nA : b\r\n\r\n"), 400, 0, "" },
	{ "trailer without colon", B("0\r\nA\r\n\r\n"), 400, 0, "" },
	{ "NUL in a trailer", B("0\r\nA: \0\r\n\r\n"), 400, 0, "" },
	{ "trailing Content-Length", B("0\r\ncontent-length: 5\r\n\r\n"), 400,
	    0, "" },
	{ "trailing Transfer-Encoding", B("0\r\nTransfer-Encoding: x\r\n\r\n"),
	    400, 0, "" },
	{ "trailing Host", B("0\r\nHost: h\r\n\r\n"), 400, 0, "" },
	{ "trailing Trailer", B("0\r\nTrailer: a\r\n\r\n"), 400, 0, "" },
	{ "trailing Authorization", B("0\r\nAuthorization: a\r\n\r\n"), 400, 0,
	    "" },
	{ "trailing TE", B("0\r\nTE: a\r\n\r\n"), 400, 0, "" },
	{ "a name that only begins so", B("0\r\nHosts: h\r\nT: a\r\n\r\n"), 0,
	    0, "" },
	{ "a long trailer name", B("0\r\n" T30 ": h\r\n\r\n"), 0, 0, "" },
};

struct body {
	char	 p[256];
	size_t	 n;
};

static int
take(void *arg, const char *p, size_t n)
{
	struct body *b = arg;

	if (n > sizeof(b->p) - b->n)
		abort();
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

/* Does a case come out as the table says, fed `step` bytes at a time? */
static bool
chunks_right(size_t i, size_t step)
{
	struct http_chunks *c = http_chunks_new();
	struct http_refusal no = { 0, NULL };
	struct body b = { .n = 0 };
	size_t used = 0, n;
	bool done = false;
	ssize_t k = 0;
	char *p;

	if (c == NULL)
		return false;
	while (used < chunks[i].n && !done && k != -1) {
		n = step < chunks[i].n - used ? step : chunks[i].n - used;
		p = copy(chunks[i].p + used, n);
		k = http_chunks_feed(c, p, n, take, &b, &done, &no);
		free(p);
		if (k != -1)
			used += (size_t)k;
	}
	http_chunks_free(c);
	if (b.n != strlen(chunks[i].body) ||
	    memcmp(b.p, chunks[i].body, b.n) != 0)
		return false;
	if (chunks[i].status > 0)
		return k == -1 && no.status == chunks[i].status && !done;
	return k != -1 && done == (chunks[i].status == 0) &&
	    used == chunks[i].n - chunks[i].left;
}

static void
test_chunks(void)
{
	size_t i;

	for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		ok(chunks_right(i, chunks[i].n + 1), "chunks: %s",
		    chunks[i].name);
		ok(chunks_right(i, 1), "by byte: %s", chunks[i].name);
	}
}

static int
refuse(void *arg, const char *p, size_t n)
{
	(void)p;
	(void)n;
	return *(int *)arg;
}

static int
count(void *arg, const char *p, size_t n)
{
	(void)p;
	*(size_t *)arg += n;
	return 0;
}

/* Status after `line` is fed `times`, 0 when all was taken. */
static int
flood(const char *first, const char *line, size_t times)
{
	struct http_chunks *c = http_chunks_new();
	struct http_refusal no = { 0, NULL };
	size_t n = 0;
	bool done;
	ssize_t k;

	if (c == NULL)
		return -1;
	k = http_chunks_feed(c, first, strlen(first), count, &n, &done, &no);
	while (k != -1 && times-- > 0)
		k = http_chunks_feed(c, line, strlen(line), count, &n, &done,
		    &no);
	http_chunks_free(c);
	return k == -1 ? no.status : 0;
}

static void
test_chunk_limits(void)
{
	struct http_refusal no = { 0, NULL };
	struct http_chunks *c = http_chunks_new();
	int rc = 413;
	bool done;

	ok(http_chunks_feed(c, "1\r\nx\r\n", 6, refuse, &rc, &done, &no) ==
	    -1 && no.status == 413, "the taker's own status");
	ok(http_chunks_feed(c, "0\r\n\r\n", 5, refuse, &rc, &done, &no) ==
	    -1 && no.status == 400, "bad stays bad");
	http_chunks_free(c);
	c = http_chunks_new();
	rc = -1;
	ok(http_chunks_feed(c, "1\r\nx\r\n", 6, refuse, &rc, &done, &no) ==
	    -1 && no.status == 500, "the taker's failure");
	http_chunks_free(c);
	http_chunks_free(NULL);
	ok(flood("1;", "x", 1000) == 0, "long extension");
	ok(flood("1;", "x", 1100) == 400, "too long an extension");
	ok(flood("", "0", 1000) == 0 && flood("", "0", 1100) == 400,
	    "zeros without end");
	ok(flood("", "1;" T30 T30 "\r\nx\r\n", 260) == 0,
	    "extensions on many chunks");
	ok(flood("", "1;" T30 T30 "\r\nx\r\n", 280) == 400,
	    "too many of them");
	ok(flood("0\r\n", "A: " T10 "\r\n", 1092) == 0, "many trailers");
	ok(flood("0\r\n", "A: " T10 "\r\n", 1093) == 431, "too many trailers");
	ok(flood("", "1\r\nx\r\n", 100000) == 0, "small chunks without end");
}

static void
test_paths(void)
{
	static const struct {
		const char	*in;
		ssize_t		 n;
		const char	*out;
	} paths[] = {
		{ "/a/b", 4, "/a/b" }, { "", 0, "" }, { "/%20%2f", 3, "/ /" },
		{ "/%C3%a4", 3, "/\xc3\xa4" }, { "/+", 2, "/+" },
		{ "/%25%32%35", 4, "/%25" }, { "/%", -1, "" },
		{ "/%4", -1, "" }, { "/%4g", -1, "" }, { "/%g4", -1, "" },
		{ "/%00", -1, "" }, { "/%0", -1, "" }, { "/%%41", -1, "" },
		{ "/%-1", -1, "" }, { "/a%41", 3, "/aA" },
	};
	char out[16], *p;
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		p = copy(paths[i].in, strlen(paths[i].in));
		ok(http_path_decode(out, p, strlen(paths[i].in)) ==
		    paths[i].n && (paths[i].n == -1 || memcmp(out,
		    paths[i].out, (size_t)paths[i].n) == 0), "path %s",
		    paths[i].in);
		free(p);
	}
	ok(strcmp(http_reason(200), "OK") == 0 &&
	    strcmp(http_reason(404), "Not Found") == 0 &&
	    strcmp(http_reason(511), "Network Authentication Required") == 0 &&
	    strcmp(http_reason(599), "") == 0, "reasons");
}

/* More fields than anybody's array has. */
static void
test_many(void)
{
	struct http_head h = { .headers = headers };
	struct http_refusal no = { 0, NULL };
	static char p[8192] = GET;
	size_t n = sizeof(GET) - 1, i;

	for (i = 1; i < HTTP_HEADERS_MAX; i++, n += 4)
		memcpy(p + n, "A:\r\n", 4);
	memcpy(p + n, "\r\n", 2);
	ok(http_head_decode(&h, p, n + 2, &limits[UNLIMITED], false, &no) ==
	    0 && h.nheaders == HTTP_HEADERS_MAX, "1024 fields");
	memcpy(p + n, "A:\r\n\r\n", 6);
	ok(http_head_decode(&h, p, n + 6, &limits[UNLIMITED], false, &no) ==
	    -1 && no.status == 431, "1025 fields");
}

int
main(void)
{
	test_heads();
	test_many();
	test_chunks();
	test_chunk_limits();
	test_paths();
	return tap_done();
}
