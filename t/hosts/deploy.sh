#!/bin/sh
# deploy.sh: what it refuses, what it says, and whom it stops. Nothing here
# installs or builds.
. "${top_srcdir:=.}/t/lib/tap.sh"
deploy=$top_srcdir/deploy.sh
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# run ARG... keeps the status, the output and the number of its lines.
run() {
	out=$(bash "$deploy" "$@" 2>&1 </dev/null); status=$?
	lines=$(printf '%s\n' "$out" | wc -l | tr -d ' ')
}
has() { case $out in *"$1"*) echo yes ;; *) echo "$out" ;; esac; }

run help
is "help: status" $status 0
is "help: names the words" "$(has 'deploy.sh check')" yes
run --help
is "--help: status" $status 0

run launch
is "an unknown word: status" $status 2
is "an unknown word: named" "$(has 'unknown word: launch')" yes
is "an unknown word: one line" "$lines" 1
run local "$tmp/none"
is "no such directory: status" $status 2
is "no such directory: named" "$(has "$tmp/none")" yes
is "no such directory: one line" "$lines" 1
run check --fast
is "check with an unknown flag: status" $status 2
is "check with an unknown flag: named" "$(has 'does not know --fast')" yes
run webhosting "$tmp/none"
is "webhosting, no such directory: named" "$status$(has "$tmp/none")" 2yes
run webhosting "$tmp" --python
is "webhosting, a flag without its value: said" \
	"$status$(has '--python wants a value')" 2yes
run webhosting "$tmp" --fast
is "webhosting with an unknown flag: named" \
	"$status$(has 'does not know --fast')" 2yes
run webhosting "$tmp" --output "$tmp/none"
is "webhosting, nowhere to put it: named" "$status$(has "$tmp/none")" 2yes
run local "$tmp" --stop -w 2
is "--stop with other flags: status" $status 2

run local "$tmp" --stop
is "--stop without a pid file: status" $status 0
is "--stop without a pid file: says so" "$(has 'nothing runs here')" yes
is "--stop without a pid file: one line" "$lines" 1
mkdir "$tmp/tmp"
for text in '' abc -1 0 '1 2' 999999999; do
	printf '%s\n' "$text" >"$tmp/tmp/gangway.pid"
	run local "$tmp" --stop
	is "a pid file with '$text' stops nothing" "$status$(has nothing)" 0yes
done
sleep 300 &
other=$!
echo $other >"$tmp/tmp/gangway.pid"
run local "$tmp" --stop
is "another program's pid: status" $status 1
is "another program's pid: says so" "$(has 'not gangway')" yes
is "another program's pid: left alone" \
	"$(kill -0 $other 2>/dev/null && echo runs)" runs
kill $other

# A program of that name is stopped, and waited for.
cp "$(command -v sleep)" "$tmp/gangway"
"$tmp/gangway" 300 &
ours=$!
until case $(readlink "/proc/$ours/exe") in */gangway) ;; *) false ;; esac
do	# still the shell
	kill -0 $ours || break
done
echo $ours >"$tmp/tmp/gangway.pid"
run local "$tmp" --stop
is "our pid: status" $status 0
is "our pid: says so" "$(has "stopped process $ours")" yes

# Someone who may not install, on a machine where all is missing.
mkdir "$tmp/bin"
for tool in bash dirname sed grep cat sleep; do
	ln -s "$(command -v $tool)" "$tmp/bin/$tool"
done
printf '#!/bin/sh\nexit 1\n' >"$tmp/bin/dpkg-query"
printf '#!/bin/sh\necho 1000\n' >"$tmp/bin/id"
printf '#!/bin/sh\necho installed by a test >&2\n' >"$tmp/bin/apt-get"
chmod +x "$tmp/bin/dpkg-query" "$tmp/bin/id" "$tmp/bin/apt-get"
out=$(PATH=$tmp/bin bash "$deploy" local "$tmp" 2>&1 </dev/null); status=$?
is "may not install: status" $status 1
is "may not install: names the packages" "$(has 'autoconf automake')" yes
is "may not install: names root" "$(has 'only root')" yes

# What a check says of its failures, from what automake's drivers left.
mkdir -p "$tmp/build/t/unit"
printf ':test-result: PASS a\n' >"$tmp/build/t/good.trs"
printf ':test-result: FAIL b\n' >"$tmp/build/t/unit/bad.trs"
printf '%s\n' 'ok 1 - a' 'PASS: t/unit/bad 1 - a' 'not ok 2 - b' \
	'FAIL: t/unit/bad 2 - b' '# got 3' 'ok 3 - c' '# other' \
	'not ok 4 - d # TODO' >"$tmp/build/t/unit/bad.log"
printf ':test-result: ERROR\n' >"$tmp/build/t/died.trs"
printf '%s\n' 'ok 1 - a' 'Aborted' >"$tmp/build/t/died.log"
sed -n '/^failures()/,/^}/p' "$deploy" >"$tmp/failures"
is "check: what failed, once, and with what was said of it" "$(bash -c \
	'. "$1/failures"; failures "$1/build"' sh "$tmp")" \
	"FAILED t/died, last: Aborted
FAILED t/unit/bad: not ok 2 - b
FAILED t/unit/bad: # got 3"

# The entry for FastCGI takes the Python that it is told, wherever that is.
mkdir -p "$tmp/site/public" "$tmp/my python"
printf '#!/bin/sh\ncase $1 in -m) echo "$*" ;; esac\n' \
	>"$tmp/my python/python3"
chmod +x "$tmp/my python/python3"
sed "s|^PYTHON=|PYTHON='$tmp/my python/python3'|" \
	"$top_srcdir/shim/passenger/dispatch.fcgi" >"$tmp/site/public/d.fcgi"
is "dispatch.fcgi: a PYTHON with a space in its path" \
	"$(env -i PATH="$PATH" sh "$tmp/site/public/d.fcgi" 2>&1)" "-m gangway"

if command -v shellcheck >/dev/null; then
	for f in deploy.sh .ci/run shim/passenger/dispatch.fcgi; do
		out=$(shellcheck "$top_srcdir/$f" 2>&1); status=$?
		is "shellcheck $f" "$status$out" 0
	done
else
	n=$((n + 1))
	echo "ok $n - shellcheck # SKIP not installed"
fi
done_tests
