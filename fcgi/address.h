/*
 * One address of `bind`, taken apart. Pure: opens nothing, asks nobody.
 */
#ifndef FCGI_ADDRESS_H
#define FCGI_ADDRESS_H

#include <stdbool.h>

enum address_kind { ADDRESS_TCP, ADDRESS_UNIX, ADDRESS_FD };

struct address {
	enum address_kind kind;
	bool		 fastcgi;
	const char	*text;	/* as it was given; the caller's */
	char		*host;	/* lower case, without brackets */
	char		 port[8];
	const char	*path;	/* in text */
	int		 fd;
};

/* Fill from text. 0, or -1 with *why (to be freed): what would be right. */
int	 address_parse(struct address *, const char *text, char **why);
void	 address_done(struct address *);

#endif
