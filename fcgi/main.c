#include "config.h"

#include <stddef.h>

#include "fcgi/program.h"

int
main(int argc, char *argv[])
{
	return gangway_main(argc, argv, NULL);
}
