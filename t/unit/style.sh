#!/bin/sh
# House rules that a compiler does not check.
. "${top_srcdir:=.}/t/lib/tap.sh"
cd "$top_srcdir" || exit 1
src=$(find conf fcgi shim t -name '*.[ch]' | sort)
ours=$(find conf fcgi shim -name '*.c' | sort)

is "no banned function" "$(grep -nE \
	'\b(strcpy|strcat|strncpy|sprintf|vsprintf|gets|atoi|atol|alloca|strtok)\(' \
	$src)" ""
is "every .c begins with config.h" "$(awk '
	FNR == 1 { seen = 0 }
	FILENAME ~ /\.h$|wire\/llhttp_|shim\/example\/|t\/(apps|bench)\// {
		next }
	/^#include/ && !seen++ && !/"config\.h"/ { print FILENAME }' $src)" ""
is "no line is wider than 80 columns" "$(awk 'length($0) > 40 {
	at = 0
	n = split($0, part, "\t")
	for (i = 1; i < n; i++)
		at += length(part[i]) + 8 - (at + length(part[i])) % 8
	if (at + length(part[n]) > 80)
		print FILENAME ":" FNR }' $src)" ""
is "no white space at the end of a line" "$(grep -nE '[[:blank:]]$' $src)" ""
is "no file is longer than 700 lines" "$(wc -l $ours |
	awk '$2 != "total" && $1 > 700')" ""
# From an opening brace in column one to the closing one.
is "no function is longer than 80 lines" "$(awk '
	/^\{/ { at = FNR }
	/^\}/ && at { if (FNR - at > 80) print FILENAME ":" at; at = 0 }' \
	$ours)" ""
is "every header is guarded" "$(grep -L '^#ifndef' \
	$(find conf fcgi shim -name '*.h'))" ""
is "only t/lib/wait.py lets time go by" "$(grep -nE \
	'\b(time\.sleep|from time import)\b' t/*/*.py t/repeat t/mutate |
	grep -v '^t/lib/wait\.py:\|^t/apps/')" ""
done_tests
