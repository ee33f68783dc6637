#!/usr/bin/env bash
# Put an application on board of this machine: install what is missing, build,
# check the settings, start, and say where it answers. See usage() below.
set -euo pipefail

top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

build_packages=(autoconf automake libtool autoconf-archive pkg-config gcc
	make libc6-dev libfcgi-dev libinih-dev libbsd-dev libjansson-dev libuv1-dev
	node-llhttp libpython3-dev python3)
test_packages=(apache2 curl gunicorn libapache2-mod-fcgid
	libapache2-mod-passenger libcap2-bin libfcgi-bin lighttpd mandoc
	multiwatch nginx-light passenger perl procps python3-django
	python3-flask shellcheck spawn-fcgi unzip valgrind wrk)

start_seconds=30	# how long a start may take
stop_seconds=40		# graceful_timeout, and some

usage() {
	cat <<-'END'
	usage: deploy.sh [local [APPDIR] [OPTION...] [FLAG...]]
	       deploy.sh webhosting [APPDIR] [--app MODULE:NAME]
	           [--python PROGRAM]... [--output DIR] [--yes]
	       deploy.sh check [--sanitize] [--yes]
	       deploy.sh help

	local   start the application in APPDIR, by default the bundled
	        example, on 127.0.0.1:8000 or the next free port. FLAGs are
	        gangway's own, such as -w 2 or -b 127.0.0.1:9000.
	        --daemon  in the background: APPDIR/tmp/gangway.pid, gangway.log
	        --stop    stop what --daemon started
	        --yes     install missing packages without asking
	webhosting  make gangway-webhosting.zip, and the folder of that
	        name, for a host that takes nothing but uploads: the
	        application in APPDIR with its packages, and gangway for each
	        Python here whose headers are installed.
	        --app     what to run, if it is not found or not named in
	                  gangway.ini
	        --python  for this Python, and no other but those named so
	        --output  where to put them, by default here
	check   install what the tests need, build, and run them all
	        --sanitize  with AddressSanitizer and UBSan, in a second build
	END
}

say() { printf '%s\n' "deploy.sh: $*"; }
warn() { say "$@" >&2; }
die() { warn "$@"; exit 1; }
misuse() { warn "$* (deploy.sh help tells more)"; exit 2; }

# --- packages

missing_packages() {
	local have name
	have=$(dpkg-query -W -f '${Package} ${Status}\n' "$@" 2>/dev/null |
	    sed -n 's/ install ok installed$//p' || true)
	for name; do
		grep -qxF -- "$name" <<<"$have" || printf '%s\n' "$name"
	done
}

# Run as root. Only a person can type sudo's password.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif person_there; then
		sudo -- "$@"
	else
		sudo -n -- "$@"
	fi
}

person_there() { [ -t 0 ] && [ -z "${CI:-}" ]; }

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
	    -o DPkg::Lock::Timeout=300 "$@"
}

# Debian starts a server when its package is installed, unless this file says
# no. One that is there already is somebody's decision and stays.
policy=/usr/sbin/policy-rc.d
policy_ours=
policy_put() {
	[ ! -e "$policy" ] || return 0
	policy_ours=yes
	printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
}
policy_remove() {
	[ -n "$policy_ours" ] || return 0
	policy_ours=
	as_root rm -f "$policy"
}

install_packages() {
	local list answer
	if ! type apt-get dpkg-query >/dev/null 2>&1; then
		say "this is not Debian; what these packages of Debian's" \
		    "hold must be installed: $*"
		return 0
	fi
	list=$(missing_packages "$@")
	[ -n "$list" ] || return 0
	mapfile -t list <<<"$list"
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		die "these packages are missing, and only root can install" \
		    "them: ${list[*]}"
	fi
	say "installing ${list[*]}"
	if person_there && [ -z "$yes" ]; then
		read -r -p "Go ahead? [Y/n] " answer || answer=n
		case $answer in ''|[Yy]*) ;; *) die "not installed" ;; esac
	fi
	policy_put
	# Package lists may be missing, or older than the archive.
	compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt_get update
	apt_get install -y --no-install-recommends "${list[@]}" ||
	    { apt_get update &&
	    apt_get install -y --no-install-recommends "${list[@]}"; } ||
	    die "the packages could not be installed"
	policy_remove
}

# --- building

# A tree that was configured in place is built in place.
build_dir() {
	if [ -n "$1" ]; then
		[ ! -e "$top/config.status" ] || die "the source folder is" \
		    "configured itself: run 'make distclean' in it first"
		printf '%s\n' "$top/build-$1"
	elif [ -e "$top/config.status" ]; then
		printf '%s\n' "$top"
	else
		printf '%s\n' "$top/build"
	fi
}

build() {	# DIR TARGETS CONFIGURE-FLAG...
	local dir=$1 targets=$2 jobs target
	shift 2
	jobs=$(nproc 2>/dev/null || echo 2)
	mkdir -p "$dir" || return
	[ "$top/configure" -nt "$top/configure.ac" ] || "$top/autogen.sh" ||
	    return
	cd "$dir" || return
	[ -e Makefile ] || "$top/configure" "$@" || return
	# One after the other: `all` is a make of its own.
	for target in $targets; do
		make -j"$jobs" "$target" || return
	done
}

# The same without its talk, which is shown only when it fails.
build_quietly() {
	local dir=$1 log
	mkdir -p "$dir"
	log=$dir/deploy.log
	[ -e "$dir/Makefile" ] || say "building, this takes a minute ($log)"
	if ! (build "$@") >"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		die "the build failed; all of it is in $log"
	fi
}

# --- starting and stopping

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
	local port
	for ((port = 8000; port < 8100; port++)); do
		port_taken "$port" || { printf '%s\n' "$port"; return 0; }
	done
	die "all ports from 8000 to 8099 are taken; name one with -b"
}

# The address that was asked for among gangway's flags, or nothing.
bind_of() {
	while [ $# -gt 0 ]; do
		case $1 in
		-b|--bind) printf '%s\n' "${2-}"; return 0 ;;
		--bind=*) printf '%s\n' "${1#--bind=}"; return 0 ;;
		-b?*) printf '%s\n' "${1#-b}"; return 0 ;;
		esac
		shift
	done
}

# HOST and PORT of an address; fails for what is not TCP.
split_address() {
	local address=${1#tcp://}
	case $address in
	unix:*|fd:*) return 1 ;;
	\[*\]:*) host=${address%:*}; host=${host#[}; host=${host%]}
		port=${address##*:} ;;
	*:*) host=${address%:*}; port=${address##*:} ;;
	*) host=$address; port=8000 ;;
	esac
	case $host in ''|0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
}

# Does anything at all come back from HOST PORT?
answers() {
	local line=
	exec 3<>"/dev/tcp/$1/$2" || return 1
	printf 'GET / HTTP/1.0\r\nHost: %s\r\nUser-Agent: deploy.sh\r\n\r\n' \
	    "$1:$2" >&3 || return 1
	IFS= read -r -t 10 line <&3 || [ -n "$line" ]
}

# Wait until ADDRESS answers; 1 when the time is over, 2 when PID has ended.
wait_for() {
	local address=$1 pid=$2 host port until=$((SECONDS + start_seconds))
	while [ "$SECONDS" -lt "$until" ]; do
		if split_address "$address"; then
			(answers "$host" "$port") 2>/dev/null && return 0
		elif [ -S "${address#unix:}" ]; then
			return 0
		fi
		[ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || return 2
		sleep 0.1
	done
	return 1
}

url_of() {
	local host port
	if ! split_address "$1"; then
		printf '%s\n' "$1"
	else
		case $host in *:*) host="[$host]" ;; esac
		printf 'http://%s:%s/\n' "$host" "$port"
	fi
}

# Does process PID run, and is it a gangway?
is_gangway() {
	local exe
	if [ -e /proc/self/exe ]; then
		exe=$(readlink "/proc/$1/exe") || return 1
	else
		exe=$(ps -p "$1" -o comm=) || return 1
	fi
	exe=${exe% (deleted)}
	[ "${exe##*/}" = gangway ]
}

# The process of a pid file. 1: none runs; 2: it is not ours.
our_pid() {
	local pid=
	{ read -r pid <"$1"; } 2>/dev/null || return 1
	[[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
	if ! kill -0 "$pid" 2>/dev/null; then
		[ ! -d "/proc/$pid" ] || return 2	# another user's
		return 1
	fi
	if is_gangway "$pid"; then
		printf '%s\n' "$pid"
	elif [ -e /proc/self/exe ] && ! readlink "/proc/$pid/exe" >/dev/null
	then
		return 1	# ended, and not collected yet
	else
		return 2
	fi
}

stop_daemon() {
	local pidfile=$1/tmp/gangway.pid pid status=0 until
	pid=$(our_pid "$pidfile") || status=$?
	case $status in
	1) say "nothing runs here ($pidfile)"; return 0 ;;
	2) die "$pidfile names a process that is not gangway" ;;
	esac
	kill -TERM "$pid" || die "process $pid cannot be stopped"
	until=$((SECONDS + stop_seconds))
	while is_gangway "$pid"; do
		[ "$SECONDS" -lt "$until" ] ||
		    die "process $pid still runs after $stop_seconds seconds"
		sleep 0.1
	done
	say "stopped process $pid"
}

start_daemon() {
	local dir=$1 address=$2 tmp=$1/tmp pid
	shift 2
	mkdir -p "$tmp"
	if pid=$(our_pid "$tmp/gangway.pid"); then
		die "it runs already, as process $pid; --stop stops it"
	fi
	"$gangway" "$@" --daemon --pid "$tmp/gangway.pid" \
	    --error-logfile "$tmp/gangway.log" ||
	    die "gangway did not start; see $tmp/gangway.log"
	if ! wait_for "$address" ''; then
		tail -n 20 "$tmp/gangway.log" >&2 || true
		die "no answer within $start_seconds seconds from" \
		    "$(url_of "$address"); see $tmp/gangway.log"
	fi
	say "$dir is served at $(url_of "$address") (log: $tmp/gangway.log)"
}

# gangway takes this process's place, so that signals and the exit status are
# its own. Who waits for it beside it belongs to neither.
start_foreground() {
	local dir=$1 address=$2
	shift 2
	( (wait_for "$address" $$ && say "$dir is served at" \
	    "$(url_of "$address") (Ctrl-C stops it)" || [ $? -eq 2 ] ||
	    warn "no answer yet from $(url_of "$address")") </dev/null & )
	exec "$gangway" "$@"
}

local_main() {
	local dir=$top/shim/example daemon='' stop='' address out
	local -a flags=()

	if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
		[ -d "$1" ] || misuse "no such directory: $1"
		dir=$(cd -- "$1" && pwd)
		shift
	fi
	while [ $# -gt 0 ]; do
		case $1 in
		--yes) yes=yes ;;
		--daemon) daemon=yes ;;
		--stop) stop=yes ;;
		*) flags+=("$1") ;;
		esac
		shift
	done
	if [ -n "$stop" ]; then
		[ -z "$daemon${flags[*]-}" ] ||
		    misuse "--stop goes with nothing else"
		stop_daemon "$dir"
		return
	fi

	install_packages "${build_packages[@]}"
	build_quietly "$(build_dir '')" all
	gangway=$(build_dir '')/gangway
	cd "$dir"
	address=$(bind_of ${flags[@]+"${flags[@]}"})
	if [ -z "$address" ]; then
		address=127.0.0.1:$(free_port)
		flags=(-b "$address" ${flags[@]+"${flags[@]}"})
	fi
	if ! out=$("$gangway" --check-config "${flags[@]}" 2>&1); then
		printf '%s\n' "$out" >&2
		die "the settings or the application in $dir are not right"
	fi
	if [ -n "$daemon" ]; then
		start_daemon "$dir" "$address" "${flags[@]}"
	else
		start_foreground "$dir" "$address" "${flags[@]}"
	fi
}

# --- an upload

# "VERSION PKG-CONFIG-FOLDER" of an interpreter whose headers are installed.
python_facts() {
	"$1" -c 'import os, sysconfig
os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))
print(sysconfig.get_python_version(), sysconfig.get_config_var("LIBPC"))
' 2>/dev/null
}

# Those here that an extension module can be made for, one of each version.
pythons_here() {
	local program facts minor seen=' '
	for program in /usr/bin/python3 python3 python3.{9..19}; do
		program=$(command -v "$program") || continue
		facts=$(python_facts "$program") || continue
		minor=${facts%% *}
		minor=${minor#3.}
		[ "$minor" -ge 9 ] || continue
		case $seen in *" $minor "*) continue ;; esac
		seen+="$minor "
		printf '%s\n' "$program"
	done
}

webhosting_main() {
	local dir=$top/shim/example out=$PWD app='' main program facts version
	local build path=${PKG_CONFIG_PATH-}
	local -a pythons=() cores=()

	if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
		[ -d "$1" ] || misuse "no such directory: $1"
		dir=$(cd -- "$1" && pwd)
		shift
	fi
	while [ $# -gt 0 ]; do
		case $1 in
		--yes) yes=yes; shift; continue ;;
		--app|--python|--output)
			[ -n "${2-}" ] || misuse "$1 wants a value" ;;
		*) misuse "webhosting does not know $1" ;;
		esac
		case $1 in
		--app) app=$2 ;;
		--python) pythons+=("$2") ;;
		--output) out=$2 ;;
		esac
		shift 2
	done
	[ -d "$out" ] || misuse "no such directory: $out"

	install_packages "${build_packages[@]}"
	if [ -e "$dir/requirements.txt" ] && [ ! -d "$dir/vendor" ]; then
		install_packages python3-pip
	fi
	main=$(build_dir '')
	build_quietly "$main" 'all upload'
	[ ${#pythons[@]} -gt 0 ] || mapfile -t pythons < <(pythons_here)
	[ ${#pythons[@]} -gt 0 ] || die "no Python here has its headers:" \
	    "install python3-dev, or name one with --python"
	for program in "${pythons[@]}"; do
		facts=$(python_facts "$program") ||
		    die "$program is no Python with its headers"
		version=${facts%% *}
		build=$main
		if ! grep -qx "PYTHON_VERSION = $version" "$main/Makefile"; then
			build=$top/build-webhosting-$version
			PKG_CONFIG_PATH=${facts#* }${path:+:$path} \
			    build_quietly "$build" \
			    shim/upload/_core.la \
			    "--with-python=python-$version"
		fi
		cores+=(--core "$program" "$build")
	done
	/usr/bin/python3 -B "$top/shim/passenger/upload.py" "$dir" \
	    "$out/gangway-webhosting" ${app:+--app "$app"} \
	    --program "$main" "${cores[@]}"
}

# --- testing

# What automake's test drivers noted: one result for each TAP line.
totals() {
	find "$1/t" -name '*.trs' -exec cat {} + 2>/dev/null | awk '
	    /^:test-result: (PASS|XFAIL)/ { passed++ }
	    /^:test-result: (FAIL|XPASS|ERROR)/ { failed++ }
	    END { printf "%d passed, %d failed\n", passed, failed }'
}

# What failed, with what its test said of it: whoever sees only the end of all
# that a check prints should know.
failures() {
	local trs name
	find "$1/t" -name '*.trs' | sort | while IFS= read -r trs; do
		grep -Eq '^:test-result: (FAIL|XPASS|ERROR)' "$trs" || continue
		name=${trs#"$1/"}
		awk -v name="${name%.trs}" '
		    /^(PASS|FAIL): / { next }	# of the driver
		    /^ok/ { said = 0 }
		    /^(not ok|Bail out!)/ && !/# (TODO|SKIP)/ { said = 8 }
		    said-- > 0 { print "FAILED " name ": " $0; some = 1 }
		    { last = $0 }
		    END { if (!some) print "FAILED " name ", last: " last }
		    ' "${trs%.trs}.log"
	done
}

check_main() {
	local kind='' dir status=0
	local -a flags=(--enable-werror)

	while [ $# -gt 0 ]; do
		case $1 in
		--yes) yes=yes ;;
		--sanitize) kind=sanitize; flags+=(--enable-sanitize) ;;
		*) misuse "check does not know $1" ;;
		esac
		shift
	done
	install_packages "${build_packages[@]}" "${test_packages[@]}"
	dir=$(build_dir "$kind")
	(build "$dir" all "${flags[@]}") || die "the build failed"
	# Those of tests that are no more would be counted, too.
	find "$dir/t" -name '*.trs' -exec rm -f {} +
	make -C "$dir" check || status=1
	[ "$status" -eq 0 ] || failures "$dir"
	totals "$dir"
	return "$status"
}

yes=
gangway=
trap policy_remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
case ${1-local} in
local) [ $# -eq 0 ] || shift; local_main "$@" ;;
webhosting) shift; webhosting_main "$@" ;;
check) shift; check_main "$@" ;;
help|-h|--help) usage ;;
-*) local_main "$@" ;;
*) misuse "unknown word: $1" ;;
esac
