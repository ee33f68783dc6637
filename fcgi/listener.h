/*
 * One address that is listened on, and its sockets: opened, kept over a
 * reload, or given to us.
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
	char		*address;	/* listener_address() of what `bind`
					   has, NULL if adopted */
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

/* What the settings say of all sockets. */
struct listener_options {
	const struct settings *settings;
	int		 backlog;
	bool		 reuse_port;
	size_t		 slots;		/* sockets of each, under reuse_port */
};

struct listener_options listener_options(const struct settings *,
	    size_t slots);

/* A word of `bind` as one that means the same from any folder: the path of a
 * unix socket from the root. To be freed; NULL with *why (to be freed). */
char	*listener_address(const char *text, char **why);

/*
 * Each fills a listener that is all zeroes. 0, or -1 with *why (to be freed)
 * and errno; listener_done() is the caller's then, too.
 */

/*
 * What `bind` says: HOST, HOST:PORT, [v6]:PORT, tcp://, unix:PATH, fd://N;
 * fcgi://HOST:PORT, fcgi+unix:PATH, fcgi+fd://N. Port 0 takes a free one
 * (name says which).
 */
int	 listener_open(struct listener *, const char *text,
	    const struct listener_options *, char **why);
/* The sockets of `old`, which has an address, by descriptors of our own. */
int	 listener_share(struct listener *, const struct listener *old,
	    const struct listener_options *, char **why);
/* Take over descriptors that are listening already; `address` as a manager
 * of ours had it, or NULL, and which socket file was its own, or 0 and 0. */
int	 listener_take(struct listener *, const char *address,
	    enum protocol, const int *fds, size_t n, dev_t, ino_t, char **why);

/* Open what is missing to a socket for each slot, which listens once a
 * worker watches it; nothing without reuse_port, now or when the first was
 * opened. 0, or -1 with *why. */
int	 listener_grow(struct listener *, const struct listener_options *,
	    char **why);
/* Is it a socket that listens? */
bool	 listener_listens(int fd);
/* Close all of it; `unlink` removes the socket file if it is ours. */
void	 listener_done(struct listener *, bool unlink);

#endif
