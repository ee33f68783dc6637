#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/wire/record.h"

enum { RECORD_VERSION = 1 };

ssize_t
record_decode(struct record *r, const uint8_t *p, size_t n)
{
	/* The version is the first byte: a stranger is known at once. */
	if (n > 0 && p[0] != RECORD_VERSION)
		return -1;
	if (n < RECORD_HEADER)
		return 0;
	r->type = p[1];
	r->id = (uint16_t)(p[2] << 8 | p[3]);
	r->length = (uint16_t)(p[4] << 8 | p[5]);
	r->padding = p[6];
	return RECORD_HEADER;
}

void
record_encode(uint8_t *p, enum record_type type, uint16_t id, uint16_t length,
    uint8_t padding)
{
	p[0] = RECORD_VERSION;
	p[1] = (uint8_t)type;
	p[2] = (uint8_t)(id >> 8);
	p[3] = (uint8_t)id;
	p[4] = (uint8_t)(length >> 8);
	p[5] = (uint8_t)length;
	p[6] = padding;
	p[7] = 0;
}

ssize_t
record_begin(uint16_t *role, uint8_t *flags, const uint8_t *p, size_t n)
{
	if (n != 8)
		return -1;
	*role = (uint16_t)(p[0] << 8 | p[1]);
	*flags = p[2];
	return 8;
}

void
record_end(uint8_t *p, uint16_t id, uint32_t app_status,
    uint8_t protocol_status)
{
	record_encode(p, RECORD_END_REQUEST, id, 8, 0);
	p[8] = (uint8_t)(app_status >> 24);
	p[9] = (uint8_t)(app_status >> 16);
	p[10] = (uint8_t)(app_status >> 8);
	p[11] = (uint8_t)app_status;
	p[12] = protocol_status;
	memset(p + 13, 0, 3);
}

void
record_unknown(uint8_t *p, uint8_t type)
{
	record_encode(p, RECORD_UNKNOWN_TYPE, 0, 8, 0);
	p[8] = type;
	memset(p + 9, 0, 7);
}

/* A length of one or four bytes (section 3.4). Bytes used, 0 when short. */
static size_t
length_decode(uint32_t *len, const uint8_t *p, size_t n)
{
	if (n < 1)
		return 0;
	if (p[0] < 0x80) {
		*len = p[0];
		return 1;
	}
	if (n < 4)
		return 0;
	*len = (uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
	return 4;
}

static size_t
length_encode(uint8_t *p, size_t len)
{
	if (len < 0x80) {
		p[0] = (uint8_t)len;
		return 1;
	}
	p[0] = (uint8_t)(len >> 24 | 0x80);
	p[1] = (uint8_t)(len >> 16);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	return 4;
}

ssize_t
pair_decode(struct str *name, struct str *value, const uint8_t *p, size_t n)
{
	uint32_t nlen, vlen;
	size_t used, k;

	if ((used = length_decode(&nlen, p, n)) == 0 ||
	    (k = length_decode(&vlen, p + used, n - used)) == 0)
		return -1;
	used += k;
	/* One after the other: the sum of the two could wrap in 32 bits. */
	if (nlen > n - used || vlen > n - used - nlen)
		return -1;
	*name = (struct str){ (const char *)p + used, nlen };
	*value = (struct str){ (const char *)p + used + nlen, vlen };
	return (ssize_t)(used + nlen + vlen);
}

size_t
pair_encode(uint8_t *p, size_t cap, struct str name, struct str value)
{
	const size_t max = 0x7fffffff;
	size_t used;

	if (name.n > max || value.n > max)
		return 0;
	used = (name.n < 0x80 ? 1 : 4) + (value.n < 0x80 ? 1 : 4);
	if (cap < used || name.n > cap - used || value.n > cap - used - name.n)
		return 0;
	used = length_encode(p, name.n);
	used += length_encode(p + used, value.n);
	if (name.n > 0)
		memcpy(p + used, name.p, name.n);
	used += name.n;
	if (value.n > 0)
		memcpy(p + used, value.p, value.n);
	return used + value.n;
}

ssize_t
values_answer(uint8_t out[VALUES_RESULT_MAX], const uint8_t *p, size_t n,
    unsigned int max_conns, unsigned int max_reqs)
{
	static const char *const names[] = {
		"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"
	};
	const unsigned int values[] = { max_conns, max_reqs, 1 };
	bool asked[3] = { false, false, false };
	struct str name, value;
	size_t i, len = RECORD_HEADER;
	char number[16];
	ssize_t used;

	for (; n > 0; p += used, n -= (size_t)used) {
		if ((used = pair_decode(&name, &value, p, n)) == -1)
			return -1;
		for (i = 0; i < 3; i++)
			if (name.n == strlen(names[i]) &&
			    memcmp(name.p, names[i], name.n) == 0)
				asked[i] = true;
	}
	/* A name is answered once however often it was asked, so that all
	 * three always fit. */
	for (i = 0; i < 3; i++) {
		if (!asked[i])
			continue;
		name = (struct str){ names[i], strlen(names[i]) };
		value.n = (size_t)snprintf(number, sizeof(number), "%u",
		    values[i]);
		value.p = number;
		len += pair_encode(out + len, VALUES_RESULT_MAX - len, name,
		    value);
	}
	n = -len & 7;
	memset(out + len, 0, n);
	record_encode(out, RECORD_GET_VALUES_RESULT, 0,
	    (uint16_t)(len - RECORD_HEADER), (uint8_t)n);
	return (ssize_t)(len + n);
}
