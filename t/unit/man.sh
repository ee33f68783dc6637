#!/bin/sh
# The manual pages: clean, and no flag of the settings table is missing.
. "${top_srcdir:=.}/t/lib/tap.sh"
page=$top_srcdir/man/gangway.1
table=$top_srcdir/conf/settings.def

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

for p in "$page" "$top_srcdir/man/gangwayctl.1" \
	"$top_srcdir/man/gangway.ini.5"; do
	[ -e "$p" ] || continue
	if command -v mandoc >/dev/null; then
		out=$(mandoc -T lint -W warning "$p" 2>&1)
		is "mandoc likes ${p##*/}" "$?$out" 0
	else
		skip "mandoc likes ${p##*/}" "mandoc is not installed"
	fi
done

# Hyphens that a reader may copy are written \- in the page.
plain=$(sed 's/\\-/-/g' "$page")
flags=$(grep -o -e '--[a-z][a-z0-9_-]*' "$table" 2>/dev/null | sort -u)
missing=
for flag in $flags; do
	printf '%s\n' "$plain" | grep -q -e "Fl ${flag#-}\( \|\$\)" ||
		missing="$missing $flag"
done
if [ -n "$flags" ]; then
	is "every flag has its place in gangway.1" "$missing" ""
else
	skip "every flag has its place in gangway.1" "no table of settings"
fi
done_tests
