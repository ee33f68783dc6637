#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/why.h"
#include "fcgi/trust.h"

struct net {
	int		 family;
	unsigned int	 bits;
	uint8_t		 addr[16];
};

struct trust {
	bool		 all;
	size_t		 n;
	struct net	 nets[];
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool
prefix_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int rest = bits % 8;

	return memcmp(a, b, bits / 8) == 0 && (rest == 0 ||
	    ((a[bits / 8] ^ b[bits / 8]) & (0xff00 >> rest) & 0xff) == 0);
}

/* "8", or for IPv4 a mask as "255.0.0.0". */
static bool
bits_parse(struct net *net, const char *s)
{
	unsigned int max = net->family == AF_INET ? 32 : 128, v = 0;
	struct in_addr mask;
	const char *p;
	uint32_t m;

	for (p = s; *p >= '0' && *p <= '9' && v <= max; p++)
		v = v * 10 + (unsigned int)(*p - '0');
	if (*s != '\0' && *p == '\0' && v <= max) {
		net->bits = v;
		return true;
	}
	if (net->family != AF_INET || inet_pton(AF_INET, s, &mask) != 1)
		return false;
	m = ntohl(mask.s_addr);
	if ((~m & (~m + 1)) != 0)	/* ones, then zeros */
		return false;
	for (net->bits = 0; m != 0; m <<= 1)
		net->bits++;
	return true;
}

/* Clear the bits past the prefix. Were there any? */
static bool
host_bits_clear(struct net *net)
{
	size_t i, len = net->family == AF_INET ? 4 : 16;
	bool any = false;
	uint8_t keep;

	for (i = net->bits / 8; i < len; i++) {
		keep = i == net->bits / 8 ?
		    (uint8_t)(0xff00 >> net->bits % 8) : 0;
		any = any || (net->addr[i] & ~keep) != 0;
		net->addr[i] &= keep;
	}
	return any;
}

static int
net_parse(struct net *net, char *s, char **why)
{
	char text[INET6_ADDRSTRLEN], *slash = strchr(s, '/');
	bool valid;

	memset(net, 0, sizeof(*net));
	if (slash != NULL)
		*slash = '\0';
	net->family = strchr(s, ':') != NULL ? AF_INET6 : AF_INET;
	net->bits = net->family == AF_INET ? 32 : 128;
	valid = inet_pton(net->family, s, net->addr) == 1 &&
	    (slash == NULL || bits_parse(net, slash + 1));
	if (slash != NULL)
		*slash = '/';
	if (!valid) {
		(void)why_set(why, "'%s' is no address or network: write"
		    " 192.0.2.1, 192.0.2.0/24, 2001:db8::/32 or *", s);
		return -1;
	}
	if (host_bits_clear(net)) {
		(void)inet_ntop(net->family, net->addr, text, sizeof(text));
		(void)why_set(why,
		    "'%s' has host bits set: the network is %s/%u", s,
		    text, net->bits);
		return -1;
	}
	if (net->family == AF_INET6 && net->bits >= 96 &&
	    memcmp(net->addr, mapped, sizeof(mapped)) == 0) {
		net->family = AF_INET;
		net->bits -= 96;
		memmove(net->addr, net->addr + 12, 4);
	}
	return 0;
}

static int
item_add(struct trust *t, const char *item, char **why)
{
	static const char space[] = " \t";
	char *copy;
	size_t n;
	int rc = 0;

	item += strspn(item, space);
	for (n = strlen(item); n > 0 && strchr(space, item[n - 1]); n--)
		continue;
	if (n == 0)
		return 0;
	if (n == 1 && *item == '*') {
		t->all = true;
		return 0;
	}
	if ((copy = strndup(item, n)) == NULL) {
		(void)why_set(why, "out of memory");
		return -1;
	}
	if ((rc = net_parse(&t->nets[t->n], copy, why)) == 0)
		t->n++;
	free(copy);
	return rc;
}

struct trust *
trust_new(const char *const *items, size_t n, char **why)
{
	struct trust *t;
	size_t i;

	if ((t = calloc(1, sizeof(*t) + n * sizeof(t->nets[0]))) == NULL) {
		(void)why_set(why, "out of memory");
		return NULL;
	}
	for (i = 0; i < n; i++)
		if (item_add(t, items[i], why) == -1) {
			trust_free(t);
			return NULL;
		}
	return t;
}

void
trust_free(struct trust *t)
{
	free(t);
}

bool
trust_has(const struct trust *t, const struct sockaddr *sa)
{
	const struct sockaddr_in6 *sin6 = (const void *)sa;
	const struct sockaddr_in *sin = (const void *)sa;
	const uint8_t *addr;
	int family;
	size_t i;

	if (sa == NULL)
		return false;
	if (sa->sa_family == AF_UNIX)
		return true;
	if (t == NULL || (sa->sa_family != AF_INET &&
	    sa->sa_family != AF_INET6))
		return false;
	family = sa->sa_family;
	addr = family == AF_INET ? (const uint8_t *)&sin->sin_addr :
	    sin6->sin6_addr.s6_addr;
	if (family == AF_INET6 && memcmp(addr, mapped, sizeof(mapped)) == 0) {
		family = AF_INET;
		addr += sizeof(mapped);
	}
	for (i = 0; i < t->n && !t->all; i++)
		if (t->nets[i].family == family &&
		    prefix_equal(t->nets[i].addr, addr, t->nets[i].bits))
			return true;
	return t->all;
}
