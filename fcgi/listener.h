/*
 * Listening sockets: what `bind`, fd 0 and LISTEN_FDS give us.
 *
 * Always true: descriptors are non-blocking and close-on-exec; a socket
 * file is removed only by the process that made it, only at the full stop,
 * and only while it is still ours (device and inode).
 */
#ifndef FCGI_LISTENER_H
#define FCGI_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct settings;

enum protocol {
	PROTOCOL_HTTP, PROTOCOL_FASTCGI,
	PROTOCOL_SESSION	/* Passenger's */
};

struct listener {
	char		*name;		/* for people: http://127.0.0.1:8000 */
	char		*address;	/* as `bind` has it, NULL if adopted */
	enum protocol	 protocol;
	int		 family;	/* AF_INET, AF_INET6, AF_UNIX */
	char		*path;		/* unix socket we made, else NULL */
	dev_t		 dev;
	ino_t		 ino;
	char		 server_name[256], server_port[8]; /* CGI's */
	/* One descriptor, or with reuse_port one per worker slot. */
	int		*fds;
	size_t		 nfds;
	int		 backlog;	/* of sockets we open */
	bool		 inherited;	/* given to us, not opened by us */
};

struct listeners {
	struct listener	*v;
	size_t		 n;
};

/*
 * Open what `bind` says (HOST, HOST:PORT, [v6]:PORT, tcp://, unix:PATH,
 * fd://N; fcgi://HOST:PORT, fcgi+unix:PATH, fcgi+fd://N), with `slots`
 * sockets each under reuse_port. 0, or -1 with *why (to be freed): which
 * address, why, what to do. Port 0 takes a free one (name says which). An
 * address in use is tried again for four seconds, with a line each time.
 */
int	 listeners_open(struct listeners *, const struct settings *,
	    size_t slots, char **why);
/*
 * The same under changed settings, at once: addresses that `old` has too
 * keep their sockets (by new descriptors), the rest is opened. Both lists
 * then know the socket files of those; only the last may remove them.
 */
int	 listeners_reopen(struct listeners *, const struct listeners *old,
	    const struct settings *, size_t slots, char **why);
/* Take over descriptors that are listening already; adds to the list. */
int	 listeners_adopt(struct listeners *, const int *fds, size_t n,
	    enum protocol, char **why);
/* Is it a socket that listens? */
bool	 listener_listens(int fd);
/* All sockets of one listener, from a manager of ours; `address` as its
 * `bind` had it, or NULL. Adds to the list. */
int	 listeners_take(struct listeners *, const char *address,
	    enum protocol, const int *fds, size_t n, char **why);
/* Make room for more slots (a reload under reuse_port): opens what is
 * missing, which listens once a worker watches it. */
int	 listeners_grow(struct listeners *, const struct settings *,
	    size_t slots, char **why);
/* Close all; `unlink` removes the socket files that are ours. */
void	 listeners_close(struct listeners *, bool unlink);
/* Only check the syntax of one address. 0 or -1 with *why. */
int	 listener_check(const char *address, char **why);

#endif
