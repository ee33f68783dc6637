/*
 * A request's variables as "NAME=value" strings, as CGI programs and
 * FCGX_GetParam() want them.
 *
 * Always true: the memory is kept and used again by the next env_fill(), and
 * grows only with the largest request seen.
 */
#ifndef SHIM_NATIVE_ENV_H
#define SHIM_NATIVE_ENV_H

#include "fcgi/app.h"

struct env {
	char	**vec;		/* NULL-terminated, like environ(7) */
	size_t	  vec_size;
	char	 *text;
	size_t	  text_size;
};

/*
 * Put the request's variables into *e, and those of CGI that it lacks:
 * GATEWAY_INTERFACE, SERVER_SOFTWARE, HTTPS, and the CONTENT_LENGTH of a body
 * that came without. 0, or -1 with errno: ENOMEM, or EINVAL when a value
 * holds a NUL byte, which such a string cannot express.
 */
int		 env_fill(struct env *e, const struct app_request *,
		    const char *server_software);
void		 env_done(struct env *e);

#endif
