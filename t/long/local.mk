# Load, churn, random kills and fault injection: `make check` has a taste of
# each, `make soak` as much as one likes. One test a line.
PY_TESTS += t/long/faults.py
if PYTHON
PY_TESTS += t/long/passenger_load.py
PY_TESTS += t/long/churn.py
PY_TESTS += t/long/soak.py
endif

# make soak SOAK=600: so many seconds of each, one after the other; what each
# says at its end is how much that was, and what was lost.
SOAK = 300
SOAK_TESTS = t/long/faults.py
if PYTHON
SOAK_TESTS += t/long/churn.py
SOAK_TESTS += t/long/soak.py
SOAK_TESTS += t/server/abuse.py
SOAK_TESTS += t/server/deaths.py
SOAK_TESTS += t/long/passenger_load.py
endif
soak: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_LTLIBRARIES)
	@$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK); export T_SECONDS; \
	failed=; for t in $(SOAK_TESTS); do \
	    echo "# $$t"; \
	    /usr/bin/python3 $(top_srcdir)/$$t || failed="$$failed $$t"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }
.PHONY: soak
