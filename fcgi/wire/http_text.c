#include "config.h"

#include "fcgi/wire/http_text.h"

enum {
	V = HTTP_VALUE,
	G = HTTP_VALUE | HTTP_TARGET,		/* any visible byte */
	H = G | HTTP_HOST,
	T = G | HTTP_TOKEN,
	M = T | HTTP_METHOD
};

const uint8_t http_class[256] = {
	['\t'] = V, [' '] = V, [0x80 ... 0xff] = V,
	['0' ... '9'] = M | H, ['A' ... 'Z'] = M | H, ['a' ... 'z'] = T | H,
	['!'] = M | H, ['"'] = G, ['#'] = T, ['$'] = M | H, ['%'] = M | H,
	['&'] = M | H, ['\''] = M | H, ['('] = H, [')'] = H, ['*'] = M | H,
	['+'] = M | H, [','] = H, ['-'] = M | H, ['.'] = M | H, ['/'] = G,
	[':'] = H, [';'] = H, ['<'] = G, ['='] = H, ['>'] = G, ['?'] = G,
	['@'] = G, ['['] = H, ['\\'] = G, [']'] = H, ['^'] = M, ['_'] = M | H,
	['`'] = M, ['{'] = G, ['|'] = M, ['}'] = G, ['~'] = M | H
};

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

ssize_t
http_path_decode(char *out, const char *p, size_t n)
{
	const char *end = p + n;
	char *o = out;
	int hi, lo;

	while (p < end) {
		if (*p != '%') {
			*o++ = *p++;
			continue;
		}
		if (end - p < 3 || (hi = hex(p[1])) == -1 ||
		    (lo = hex(p[2])) == -1 || (hi | lo) == 0)
			return -1;
		*o++ = (char)(hi << 4 | lo);
		p += 3;
	}
	return o - out;
}

static const struct {
	int		 status;
	const char	*reason;
} reasons[] = {
	{ 200, "OK" },
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 102, "Processing" },
	{ 103, "Early Hints" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 207, "Multi-Status" },
	{ 208, "Already Reported" },
	{ 226, "IM Used" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 418, "I'm a Teapot" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 506, "Variant Also Negotiates" },
	{ 507, "Insufficient Storage" },
	{ 508, "Loop Detected" },
	{ 510, "Not Extended" },
	{ 511, "Network Authentication Required" }
};

const char *
http_reason(int status)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}
