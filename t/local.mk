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
EXTRA_DIST += t/lib/tap.sh t/lib/tap.py t/lib/server.py t/lib/apache.py \
	t/lib/process.py t/lib/talk.py t/lib/wait.py t/lib/wire.py \
	t/lib/lsan.supp t/lib/python.supp t/corpus t/bench/run t/repeat \
	t/apps/broken.py t/apps/calls.py t/apps/collected.py \
	t/apps/confmod.py t/apps/exits.py \
	t/apps/gated.py t/apps/held.py t/apps/site.conf.py t/apps/site.fcgi t/apps/syntax.py \
	t/apps/rude.py t/apps/greedy.py t/apps/handlers.py \
	t/apps/hello.py t/apps/echo.py t/apps/stream.py t/apps/sleepy.py \
	t/apps/faulty.py t/apps/validated.py t/apps/facts.py t/apps/flaskapp.py \
	t/apps/djangosite/manage.py t/apps/djangosite/site_settings.py \
	t/apps/djangosite/site_urls.py t/apps/djangosite/wsgi.py \
	t/apps/djangosite/static/board.css

check-valgrind: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(C_TESTS)' \
	  CHECK_WRAPPER='$(VALGRIND) -q --error-exitcode=99 \
	    --leak-check=full --show-leak-kinds=definite \
	    --errors-for-leak-kinds=definite \
	    --suppressions=$(abs_top_srcdir)/t/lib/python.supp'
# What t/repeat runs: the environment of a test on one line, then the tests.
list-tests:
	@echo "$(AM_TESTS_ENVIRONMENT)" | tr -d "'"
	@for t in $(TESTS); do echo $$t; done
.PHONY: check-valgrind list-tests
