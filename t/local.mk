# The tests. .t = compiled C, .sh = shell, .py = Python; all speak TAP.
# Three tiers: `make check` is what a change needs; `make soak` is load,
# churn, random kills and fault injection for as long as one likes;
# `make check-all` is all of it, with sanitizers and valgrind.
TEST_EXTENSIONS = .t .sh .py
T_LOG_DRIVER    = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
T_LOG_COMPILER  = $(CHECK_WRAPPER)
SH_LOG_DRIVER   = $(T_LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
PY_LOG_DRIVER   = $(T_LOG_DRIVER)
PY_LOG_COMPILER = /usr/bin/python3
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	ASAN_OPTIONS=detect_leaks=1; export ASAN_OPTIONS; \
	UBSAN_OPTIONS=print_stacktrace=1; export UBSAN_OPTIONS; \
	LSAN_OPTIONS=suppressions=$(abs_top_srcdir)/t/lib/lsan.supp:print_suppressions=0; \
	export LSAN_OPTIONS; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;
if SANITIZE
AM_TESTS_ENVIRONMENT += T_SLOWER=4; export T_SLOWER;
endif

# Tests mostly wait: several at once for each processor, the longest first.
# `make -j1 check` runs one after the other. configure sets CHECK_JOBS.
AM_MAKEFLAGS = $(CHECK_JOBS)

TAP      = t/lib/libtap.a
C_TESTS  =
SH_TESTS =
PY_TESTS =

noinst_LIBRARIES += t/lib/libtap.a
t_lib_libtap_a_SOURCES = %D%/lib/tap.c %D%/lib/tap.h

# The longest first.
include t/hosts/local.mk
include t/long/local.mk
include t/server/local.mk
include t/unit/local.mk
include t/fuzz/local.mk
include t/bench/local.mk

TESTS = $(PY_TESTS) $(SH_TESTS) $(C_TESTS)
check_PROGRAMS += $(C_TESTS)
dist_check_SCRIPTS += $(SH_TESTS) $(PY_TESTS)
EXTRA_DIST += t/apps/broken.py
EXTRA_DIST += t/apps/calls.py
EXTRA_DIST += t/apps/collected.py
EXTRA_DIST += t/apps/confmod.py
EXTRA_DIST += t/apps/djangosite/manage.py
EXTRA_DIST += t/apps/djangosite/site_settings.py
EXTRA_DIST += t/apps/djangosite/site_urls.py
EXTRA_DIST += t/apps/djangosite/static/board.css
EXTRA_DIST += t/apps/djangosite/wsgi.py
EXTRA_DIST += t/apps/echo.py
EXTRA_DIST += t/apps/exits.py
EXTRA_DIST += t/apps/facts.py
EXTRA_DIST += t/apps/faulty.py
EXTRA_DIST += t/apps/flaskapp.py
EXTRA_DIST += t/apps/gated.py
EXTRA_DIST += t/apps/greedy.py
EXTRA_DIST += t/apps/handlers.py
EXTRA_DIST += t/apps/held.py
EXTRA_DIST += t/apps/hello.py
EXTRA_DIST += t/apps/rude.py
EXTRA_DIST += t/apps/site.conf.py
EXTRA_DIST += t/apps/site.fcgi
EXTRA_DIST += t/apps/sleepy.py
EXTRA_DIST += t/apps/stream.py
EXTRA_DIST += t/apps/stuck.py
EXTRA_DIST += t/apps/syntax.py
EXTRA_DIST += t/apps/validated.py
EXTRA_DIST += t/bench/run
EXTRA_DIST += t/check-all
EXTRA_DIST += t/corpus
EXTRA_DIST += t/lib/apache.py
EXTRA_DIST += t/lib/load.py
EXTRA_DIST += t/lib/lsan.supp
EXTRA_DIST += t/lib/process.py
EXTRA_DIST += t/lib/python.supp
EXTRA_DIST += t/lib/server.py
EXTRA_DIST += t/lib/talk.py
EXTRA_DIST += t/lib/tap.py
EXTRA_DIST += t/lib/tap.sh
EXTRA_DIST += t/lib/wait.py
EXTRA_DIST += t/lib/wire.py
EXTRA_DIST += t/mutants
EXTRA_DIST += t/mutate
EXTRA_DIST += t/repeat

check-valgrind: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(C_TESTS)' \
	  CHECK_WRAPPER='$(VALGRIND) -q --error-exitcode=99 \
	    --leak-check=full --show-leak-kinds=definite \
	    --errors-for-leak-kinds=definite \
	    --suppressions=$(abs_top_srcdir)/t/lib/python.supp'

# All of it, one stage after the other; SOAK=600 for more than 30 seconds of
# each kind of soak.
check-all: all
	$(SHELL) $(top_srcdir)/t/check-all

# What t/repeat runs: the environment of a test on one line, then the tests.
list-tests:
	@echo "$(AM_TESTS_ENVIRONMENT)" | tr -d "'"
	@for t in $(TESTS); do echo $$t; done
.PHONY: check-valgrind check-all list-tests
