/* Addresses that are believed, and items that are refused. */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "fcgi/trust.h"
#include "t/lib/tap.h"

static const struct {
	const char	*items[3], *peer;
	bool		 has;
} cases[] = {
	{ { "127.0.0.1", "::1" }, "127.0.0.1", true },
	{ { "127.0.0.1", "::1" }, "::1", true },
	{ { "127.0.0.1", "::1" }, "127.0.0.2", false },
	{ { "127.0.0.1", "::1" }, "::2", false },
	{ { "127.0.0.1" }, "::ffff:127.0.0.1", true },
	{ { "::ffff:127.0.0.1" }, "127.0.0.1", true },
	{ { "::ffff:10.0.0.0/104" }, "10.9.8.7", true },
	{ { "::ffff:10.0.0.0/104" }, "11.0.0.1", false },
	{ { "1.2.3.4" }, "1.2.3.40", false },
	{ { "1.2.3.4" }, "11.2.3.4", false },
	{ { "10.0.0.0/8" }, "10.255.255.255", true },
	{ { "10.0.0.0/8" }, "11.0.0.0", false },
	{ { "10.0.0.0/255.0.0.0" }, "10.1.1.1", true },
	{ { "10.0.0.0/255.0.0.0" }, "11.1.1.1", false },
	{ { "192.168.4.0/22" }, "192.168.7.255", true },
	{ { "192.168.4.0/22" }, "192.168.8.0", false },
	{ { "192.168.4.0/22" }, "192.168.3.255", false },
	{ { "1.2.3.4/31" }, "1.2.3.5", true },
	{ { "1.2.3.4/31" }, "1.2.3.6", false },
	{ { "1.2.3.4/32" }, "1.2.3.4", true },
	{ { "1.2.3.4/32" }, "1.2.3.5", false },
	{ { "0.0.0.0/0" }, "8.8.8.8", true },
	{ { "0.0.0.0/0" }, "2001:db8::1", false },
	{ { "::/0" }, "2001:db8::1", true },
	{ { "::/0" }, "8.8.8.8", false },
	{ { "2001:db8::/33" }, "2001:db8:7fff::1", true },
	{ { "2001:db8::/33" }, "2001:db8:8000::1", false },
	{ { "2001:DB8::/128" }, "2001:db8::", true },
	{ { "1.1.1.1", " 2.2.2.0/24\t", "3.3.3.3" }, "2.2.2.2", true },
	{ { "1.1.1.1", "*" }, "8.8.8.8", true },
	{ { "*" }, "2001:db8::1", true },
	{ { "" }, "127.0.0.1", false },
	{ { NULL }, "127.0.0.1", false },
};

static const struct {
	const char	*item, *word;	/* that the reason must have */
} refused[] = {
	{ "10.0.0.1/8", "10.0.0.0/8" }, { "10.128.0.0/8", "10.0.0.0/8" },
	{ "192.168.1.0/22", "192.168.0.0/22" }, { "1.2.3.5/31", "1.2.3.4/31" },
	{ "1.2.3.4/0", "0.0.0.0/0" }, { "2001:db8::1/32", "2001:db8::/32" },
	{ "::1/0", "::/0" }, { "::ffff:10.0.0.1/104", "::ffff:10.0.0.0/104" },
	{ "10.0.0.1/255.0.0.0", "10.0.0.0/8" }, { "10.0.0.0/33", "'10" },
	{ "10.0.0.0/", "'10.0.0.0/'" }, { "10.0.0.0/-1", "'10" },
	{ "10.0.0.0/8/8", "'10" }, { "10.0.0.0/255.0.255.0", "'10" },
	{ "10.0.0.0/4294967304", "'10" }, { "10.0.0.0/ 8", "'10" },
	{ "/8", "'/8'" }, { "10.0.0", "'10.0.0'" }, { "10.0.0.0.0", "'10" },
	{ "10.0.0.256", "'10" }, { "010.0.0.1", "'010" }, { "::/129", "'::" },
	{ "fe80::1%eth0", "'fe80" }, { ":::", "':::'" }, { "[::1]", "'[::1]'" },
	{ "localhost", "'localhost'" }, { "1.1.1.1,2.2.2.2", "'1.1.1.1,2" },
	{ "**", "'**'" }, { "unix", "'unix'" },
};

static bool
has(const struct trust *t, const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (strchr(text, ':') != NULL) {
		if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
			abort();
		return trust_has(t, (struct sockaddr *)&in6);
	}
	if (inet_pton(AF_INET, text, &in.sin_addr) != 1)
		abort();
	return trust_has(t, (struct sockaddr *)&in);
}

int
main(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	const char *star = "*";
	struct trust *t;
	char *why;
	size_t i, n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (n = 0; n < 3 && cases[i].items[n] != NULL; n++)
			continue;
		why = NULL;
		t = trust_new(cases[i].items, n, &why);
		ok(t != NULL && has(t, cases[i].peer) == cases[i].has,
		    "%s %s in %s", cases[i].peer,
		    cases[i].has ? "is" : "is not",
		    n > 0 ? cases[i].items[0] : "nothing");
		ok(t != NULL && trust_has(t, (struct sockaddr *)&un),
		    "nor is a unix socket refused");
		trust_free(t);
	}
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		why = NULL;
		t = trust_new(&refused[i].item, 1, &why);
		if (!ok(t == NULL && why != NULL &&
		    strstr(why, refused[i].word) != NULL, "refused: %s",
		    refused[i].item))
			printf("# %s\n", why);
		free(why);
		trust_free(t);
	}
	t = trust_new(&star, 1, &why);
	ok(!trust_has(t, &none) && !trust_has(t, NULL), "no address at all");
	trust_free(t);
	ok(!has(NULL, "127.0.0.1") && trust_has(NULL, (struct sockaddr *)&un),
	    "nobody but unix sockets");
	trust_free(NULL);
	return tap_done();
}
