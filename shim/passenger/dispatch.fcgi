#!/bin/sh
# The entry for hosts that speak FastCGI: mod_fcgid, lighttpd, spawn-fcgi.
# It lies in public/, and the application in the folder above. This file must
# be executable, and nobody but you may be allowed to write it (mode 755).

# Three lines to edit:
PYTHON=			# the host's Python, if it is not found: /path/python3
HOW=auto		# inside (this Python), exec (our program), or auto
APP=			# module:callable, if gangway.ini does not name it

VERSIONS=		# the Pythons that gangway/ was made for

case $0 in */*) cd -- "${0%/*}" || exit ;; esac
cd .. || exit
export PYTHONPATH="$PWD/vendor${PYTHONPATH:+:$PYTHONPATH}"

# Become a server, which a CGI program cannot be.
become() {
	[ -z "$GATEWAY_INTERFACE" ] || page 'The web server runs this file' \
	    'as a CGI program, for one request: gangway needs FastCGI' \
	    '(mod_fcgid) or Passenger here.'
	exec "$@"
}

misfit() { exec "$1" gangway/fits.py; }

page() {
	printf '%s\r\n' 'Status: 500 Internal Server Error' \
	    'Content-Type: text/plain' 'Cache-Control: no-store' '' "$*"
	exit 0
}

# Those that may be the right one, best first.
set -- "$PYTHON" venv/bin/python .venv/bin/python
for v in $VERSIONS; do
	set -- "$@" "python$v" "/opt/plesk/python/$v/bin/python$v" \
	    "/opt/alt/python${v%.*}${v#*.}/bin/python$v"
done
set -- "$@" python3 /usr/bin/python3 /usr/local/bin/python3 python

if [ "$HOW" != exec ]; then
	for py; do
		command -v "$py" >/dev/null 2>&1 || continue
		"$py" -c 'import gangway._core' 2>/dev/null </dev/null || continue
		become "$py" -m gangway ${APP:+"$APP"}
	done
fi
program=$(command -v gangway/bin/gangway || command -v bin/gangway ||
    command -v gangway)
library=$(sed -n 's/^program-library //p' gangway/made.txt 2>/dev/null)
if [ "$HOW" != inside ] && [ -d "${VIRTUAL_ENV-${library:-/}}" ] &&
    "$program" --version >/dev/null 2>&1 </dev/null; then
	become "$program" ${APP:+"$APP"}
fi

# Nothing fits. Any Python can say so on a page.
for py; do
	command -v "$py" >/dev/null 2>&1 || continue
	misfit "$py"
done
echo 'dispatch.fcgi: no Python is found here: set PYTHON= in this file' >&2
[ -z "$GATEWAY_INTERFACE" ] || page 'No Python is found on this host:' \
    'set PYTHON= in public/dispatch.fcgi.'
exit 1
