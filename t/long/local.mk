# Load, churn, random kills and fault injection: `make check` has a taste of
# each, `make soak` as much as one likes. One test a line.
PY_TESTS += t/long/faults.py
if PYTHON
PY_TESTS += t/long/passenger_load.py
PY_TESTS += t/long/churn.py
PY_TESTS += t/long/soak.py
endif

# make soak SOAK=600: as many seconds of each kind of churn, then all kinds
# at once and counted.
SOAK = 300
soak: all
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/long/churn.py
	$(AM_TESTS_ENVIRONMENT) \
	    /usr/bin/python3 $(top_srcdir)/t/long/soak.py --full
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/server/abuse.py
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/server/deaths.py
	$(MAKE) $(AM_MAKEFLAGS) $(check_LTLIBRARIES)
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/long/faults.py
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/long/passenger_load.py
.PHONY: soak
