# Real hosts: Apache with Passenger and mod_fcgid, nginx, lighttpd, spawn-fcgi,
# and what a user does to get there. One test a line.
if PYTHON
PY_TESTS += t/hosts/passenger_settings.py
PY_TESTS += t/hosts/webhosting.py
PY_TESTS += t/hosts/passenger.py
PY_TESTS += t/hosts/spawn.py
PY_TESTS += t/hosts/webhosting_chroot.py
endif
SH_TESTS += t/hosts/deploy.sh
