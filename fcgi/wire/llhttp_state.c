/* Debian's llhttp (package node-llhttp), compiled from where it lies. */
#include <llhttp.c>
