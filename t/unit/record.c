/* The FastCGI codec: a table per function. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/wire/record.h"
#include "t/lib/tap.h"

#define STR(s)	((struct str){ (s), sizeof(s) - 1 })

static const struct {
	const char	*name;
	uint8_t		 p[9];
	size_t		 n;
	ssize_t		 used;
	struct record	 r;
} headers[] = {
	{ "begin-request", { 1, 1, 0, 1, 0, 8, 0, 0 }, 8, 8, { 1, 0, 1, 8 } },
	{ "more follows", { 1, 1, 0, 1, 0, 8, 0, 0, 9 }, 9, 8, { 1, 0, 1, 8 } },
	{ "largest", { 1, 4, 255, 255, 255, 255, 255, 255 }, 8, 8,
	    { 4, 255, 65535, 65535 } },
	{ "byte order", { 1, 5, 1, 2, 3, 4, 5, 0 }, 8, 8, { 5, 5, 258, 772 } },
	{ "unknown type", { 1, 99, 0, 0, 0, 0, 0, 0 }, 8, 8, { 99, 0, 0, 0 } },
	{ "type 0", { 1, 0, 0, 0, 0, 0, 0, 0 }, 8, 8, { 0, 0, 0, 0 } },
	{ "reserved byte is ignored", { 1, 5, 0, 1, 0, 0, 0, 77 }, 8, 8,
	    { 5, 0, 1, 0 } },
	{ "nothing", { 0 }, 0, 0, { 0, 0, 0, 0 } },
	{ "one byte", { 1 }, 1, 0, { 0, 0, 0, 0 } },
	{ "one byte short", { 1, 1, 0, 1, 0, 8, 0 }, 7, 0, { 0, 0, 0, 0 } },
	{ "version 0", { 0, 1, 0, 1, 0, 8, 0, 0 }, 8, -1, { 0, 0, 0, 0 } },
	{ "version 2", { 2, 1, 0, 1, 0, 8, 0, 0 }, 8, -1, { 0, 0, 0, 0 } },
	{ "wrong version at once", { 'G' }, 1, -1, { 0, 0, 0, 0 } },
};

static const struct {
	const char	*name, *p;
	size_t		 n;
	ssize_t		 used;
	struct str	 key, value;
} pairs[] = {
#define P(s)	s, sizeof(s) - 1
	{ "short lengths", P("\x01\x02" "abb"), 5, { "a", 1 }, { "bb", 2 } },
	{ "empty value", P("\x01\x00" "a"), 3, { "a", 1 }, { "", 0 } },
	{ "both empty", P("\x00\x00"), 2, { "", 0 }, { "", 0 } },
	{ "empty name", P("\x00\x01v"), 3, { "", 0 }, { "v", 1 } },
	{ "more follows", P("\x01\x01" "ab\x05"), 4, { "a", 1 }, { "b", 1 } },
	{ "long form of short lengths",
	    P("\x80\x00\x00\x01\x80\x00\x00\x02" "abb"), 11, { "a", 1 },
	    { "bb", 2 } },
	{ "nothing", P(""), -1, { NULL, 0 }, { NULL, 0 } },
	{ "one length", P("\x01"), -1, { NULL, 0 }, { NULL, 0 } },
	{ "three of four bytes", P("\x80\x00\x00"), -1, { NULL, 0 },
	    { NULL, 0 } },
	{ "second length cut", P("\x01\x80\x00\x00"), -1, { NULL, 0 },
	    { NULL, 0 } },
	{ "name past the end", P("\x03\x00" "ab"), -1, { NULL, 0 },
	    { NULL, 0 } },
	{ "value past the end", P("\x01\x02" "ab"), -1, { NULL, 0 },
	    { NULL, 0 } },
	{ "largest lengths", P("\xff\xff\xff\xff\xff\xff\xff\xff" "ab"), -1,
	    { NULL, 0 }, { NULL, 0 } },
	{ "lengths whose sum wraps", P("\xff\xff\xff\xfe\x01" "abcdef"), -1,
	    { NULL, 0 }, { NULL, 0 } },
};

static const struct {
	const char	*name, *p;
	size_t		 n;
	ssize_t		 used;
	const char	*out;
} values[] = {
	{ "none asked", P(""), 8, "\x01\x0a\0\0\0\0\0\0" },
	{ "unknown name", P("\x03\0FOO"), 8, "\x01\x0a\0\0\0\0\0\0" },
	{ "MPXS", P("\x0f\0" "FCGI_MPXS_CONNS"), 32,
	    "\x01\x0a\0\0\0\x12\x06\0\x0f\x01" "FCGI_MPXS_CONNS1\0\0\0\0\0\0" },
	{ "four equal names", P("\x0f\0" "FCGI_MPXS_CONNS\x0f\0"
	    "FCGI_MPXS_CONNS\x0f\0" "FCGI_MPXS_CONNS\x0f\0" "FCGI_MPXS_CONNS"),
	    32,
	    "\x01\x0a\0\0\0\x12\x06\0\x0f\x01" "FCGI_MPXS_CONNS1\0\0\0\0\0\0" },
	{ "all three", P("\x0e\0" "FCGI_MAX_CONNS\x0d\0" "FCGI_MAX_REQS\x0f\0"
	    "FCGI_MPXS_CONNS"), 64,
	    "\x01\x0a\0\0\0\x38\0\0\x0e\x03" "FCGI_MAX_CONNS100\x0d\x04"
	    "FCGI_MAX_REQS4000\x0f\x01" "FCGI_MPXS_CONNS1" },
	{ "a value is ignored", P("\x0f\x01" "FCGI_MPXS_CONNS7"), 32,
	    "\x01\x0a\0\0\0\x12\x06\0\x0f\x01" "FCGI_MPXS_CONNS1\0\0\0\0\0\0" },
	{ "cut stream", P("\x0f\0FCGI"), -1, NULL },
};

/* A copy of exactly n bytes, so that reading past it is seen. */
static void *
copy(const void *p, size_t n)
{
	void *q = malloc(n ? n : 1);

	if (q == NULL)
		abort();
	memcpy(q, p, n);
	return q;
}

static void
test_headers(void)
{
	uint8_t out[8], *p;
	struct record r;
	size_t i;

	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		memset(&r, 0, sizeof(r));
		p = copy(headers[i].p, headers[i].n);
		ok(record_decode(&r, p, headers[i].n) == headers[i].used &&
		    memcmp(&r, &headers[i].r, sizeof(r)) == 0, "header: %s",
		    headers[i].name);
		free(p);
	}
	record_encode(out, RECORD_STDOUT, 0x1234, 0xfedc, 7);
	ok(memcmp(out, "\x01\x06\x12\x34\xfe\xdc\x07\x00", 8) == 0, "encode");
}

static void
test_bodies(void)
{
	const uint8_t body[9] = { 1, 3, 1, 0, 0, 0, 0, 0 };
	uint8_t out[16], flags = 9;
	uint16_t role = 9;

	ok(record_begin(&role, &flags, body, 7) == -1, "short body");
	ok(record_begin(&role, &flags, body, 9) == -1 && role == 9 &&
	    flags == 9, "long body");
	ok(record_begin(&role, &flags, body, 8) == 8 && role == 259 &&
	    flags == RECORD_KEEP_CONN, "role and flags");
	record_end(out, 0x0102, 0x01020304, RECORD_OVERLOADED);
	ok(memcmp(out, "\1\3\1\2\0\10\0\0\1\2\3\4\2\0\0\0", 16) == 0, "end");
	record_unknown(out, 99);
	ok(memcmp(out, "\1\13\0\0\0\10\0\0\143\0\0\0\0\0\0\0", 16) == 0,
	    "unknown type");
}

static void
test_pairs(void)
{
	struct str k, v;
	uint8_t *p;
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		k = v = (struct str){ NULL, 0 };
		p = copy(pairs[i].p, pairs[i].n);
		ok(pair_decode(&k, &v, p, pairs[i].n) == pairs[i].used &&
		    k.n == pairs[i].key.n && v.n == pairs[i].value.n &&
		    (k.n == 0 || memcmp(k.p, pairs[i].key.p, k.n) == 0) &&
		    (v.n == 0 || memcmp(v.p, pairs[i].value.p, v.n) == 0) &&
		    (pairs[i].used != -1 || k.p == NULL), "pair: %s",
		    pairs[i].name);
		free(p);
	}
}

/* Lengths around the change of form go there and back. */
static void
test_round(void)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 129, 255, 256, 70000 };
	static char text[70000];
	static uint8_t buf[140008];
	struct str k, v, k2, v2;
	size_t i, j, need;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < 8; i++)
		for (j = 0; j < 8; j++) {
			k = (struct str){ text, sizes[i] };
			v = (struct str){ text, sizes[j] };
			need = (k.n < 128 ? 1 : 4) + (v.n < 128 ? 1 : 4) +
			    k.n + v.n;
			ok(pair_encode(buf, need - 1, k, v) == 0 &&
			    pair_encode(buf, need, k, v) == need &&
			    pair_decode(&k2, &v2, buf, need) == (ssize_t)need &&
			    k2.n == k.n && v2.n == v.n, "pair of %zu and %zu",
			    k.n, v.n);
		}
	ok(pair_encode(buf, 0, STR(""), STR("")) == 0, "no room at all");
	ok(pair_encode(buf, sizeof(buf), (struct str){ text, SIZE_MAX },
	    STR("")) == 0, "a length that the form cannot say");
}

static void
test_values(void)
{
	uint8_t out[VALUES_RESULT_MAX], *p;
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		p = copy(values[i].p, values[i].n);
		ok(values_answer(out, p, values[i].n, 100, 4000) ==
		    values[i].used && (values[i].used == -1 ||
		    memcmp(out, values[i].out, (size_t)values[i].used) == 0),
		    "values: %s", values[i].name);
		free(p);
	}
}

int
main(void)
{
	test_headers();
	test_bodies();
	test_pairs();
	test_round();
	test_values();
	return tap_done();
}
