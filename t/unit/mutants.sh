#!/bin/sh
# t/mutants, the table of t/mutate, fits the tree: each edit matches once,
# each .c has one, each test that is named is there.
. "${top_srcdir:=.}/t/lib/tap.sh"
is "each mutant fits the tree" \
	"$(/usr/bin/python3 "$top_srcdir/t/mutate" --check 2>&1)" ""
done_tests
