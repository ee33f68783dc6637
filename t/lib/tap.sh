# TAP for shell tests: . "$top_srcdir/t/lib/tap.sh"; is WHAT GOT WANT; done_tests
n=0
is() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"
	else echo "not ok $n - $1"; echo "# got '$2', wanted '$3'"; fi
}
done_tests() { echo "1..$n"; }
