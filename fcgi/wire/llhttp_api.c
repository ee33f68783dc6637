/* Debian's llhttp (package node-llhttp), compiled from where it lies. */
#include <api.c>
#include <http.c>
