#include "config.h"

#include <arpa/inet.h>
#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "t/bench/where.h"

socklen_t
where(union where *w, const char *text)
{
	memset(w, 0, sizeof(*w));
	if (strchr(text, '/') == NULL) {
		w->in.sin_family = AF_INET;
		w->in.sin_port = htons((uint16_t)strtoul(text, NULL, 10));
		w->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(w->in);
	}
	w->un.sun_family = AF_UNIX;
	if (strlen(text) >= sizeof(w->un.sun_path))
		errx(2, "the socket's name is too long: %s", text);
	memcpy(w->un.sun_path, text, strlen(text) + 1);
	return sizeof(w->un);
}
