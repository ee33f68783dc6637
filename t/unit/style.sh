#!/bin/sh
# House rules that a compiler does not check.
. "${top_srcdir:=.}/t/lib/tap.sh"
cd "$top_srcdir" || exit 1
src=$(find conf fcgi shim t -name '*.[ch]' | sort)

is "no banned function" "$(grep -nE \
	'\b(strcpy|strcat|strncpy|sprintf|vsprintf|gets|atoi|atol|alloca|strtok)\(' \
	$src)" ""
is "every .c begins with config.h" "$(for f in $src; do
	case $f in *.h|fcgi/wire/llhttp_*|shim/example/*|t/apps/*|t/bench/*) continue;; esac
	grep -m1 '^#include' "$f" | grep -q '"config.h"' || echo "$f"; done)" ""
is "no line is wider than 80 columns" "$(for f in $src; do
	expand "$f" | awk -v f="$f" 'length($0) > 80 { print f ":" NR }'
	done)" ""
is "no white space at the end of a line" "$(grep -nE '[[:blank:]]$' $src)" ""
is "no file is longer than 700 lines" "$(for f in $(ls conf/*.c fcgi/*.c \
	fcgi/wire/*.c shim/*.c shim/*/*.c); do
	n=$(wc -l <"$f"); [ "$n" -gt 700 ] && echo "$f: $n"; done)" ""
# From an opening brace in column one to the closing one.
is "no function is longer than 80 lines" "$(for f in $(ls conf/*.c fcgi/*.c \
	fcgi/wire/*.c shim/*.c shim/*/*.c); do
	awk -v f="$f" '/^\{/ { at = NR } /^\}/ && at {
		if (NR - at > 80) print f ":" at; at = 0 }' "$f"; done)" ""
is "every header is guarded" "$(for f in $(find conf fcgi shim -name '*.h'); do
	grep -q '^#ifndef' "$f" || echo "$f"; done)" ""
done_tests
