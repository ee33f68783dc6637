#include "config.h"

#include <stddef.h>
#include <unistd.h>

#include "fcgi/program.h"

extern char **environ;

int
main(int argc, char *argv[])
{
	setproctitle_init(argc, argv, environ);
	return gangway_main(argc, argv, NULL);
}
