#!/bin/sh
# Folders include only what is below them: conf < fcgi < shim. Named
# exceptions: fcgi/kind.c puts the kinds of application together,
# fcgi/board.c puts Passenger in front of the program, and the extension
# module is the whole program in one object.
. "${top_srcdir:=.}/t/lib/tap.sh"
cd "$top_srcdir" || exit 1
# uses PATTERN FILE...: the includes of ours that match.
uses() {
	pattern=$1; shift
	grep -nE "^#[[:space:]]*include \"($pattern)" "$@" /dev/null
}
is "conf includes only conf" "$(uses '(fcgi|shim|t)/' conf/*.[ch])" ""
is "fcgi never includes shim" "$(uses '(shim|t)/' \
	$(find fcgi -name '*.[ch]' ! -path fcgi/kind.c \
	! -path fcgi/board.c))" ""
is "shim includes no server header but app.h and clock.h" "$(grep -nE \
	'^#include "(conf|fcgi|t)/' $(find shim -name '*.[ch]') |
	grep -v '"fcgi/app.h"' | grep -v '"fcgi/clock.h"' |
	grep -v '^shim/python/extension.c:.*"fcgi/program.h"')" ""
is "the wire knows no sockets" "$(grep -nE \
	'\b(socket|accept4?|recv|send|sendmsg|uv_[a-z_]+)\(' \
	$(ls fcgi/wire/*.c | grep -v llhttp_))" ""
is "conf never logs or exits" "$(grep -nE '\b(log_[a-z]+|exit|_exit|err|errx)\(' \
	conf/*.c)" ""
# A part is its .c and .h; its includes must not lead back to it.
is "no circles among the parts" "$(for f in conf/*.[ch] fcgi/*.[ch] \
	fcgi/wire/*.[ch]; do
	sed -n "s|^#include \"\(.*\)\.h\"|${f%.[ch]} \1|p" "$f"
	done | awk '$1 != $2' | tsort 2>&1 >/dev/null)" ""
done_tests
