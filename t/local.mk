# .t = compiled C, .sh = shell, .py = Python; all speak TAP.
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
	LSAN_OPTIONS=suppressions=$(abs_top_srcdir)/t/lsan.supp:print_suppressions=0; \
	export LSAN_OPTIONS;

C_TESTS  =
SH_TESTS =
PY_TESTS = t/http1.py t/fastcgi.py t/compare.py t/lifecycle.py t/churn.py \
	t/slow.py
TESTS = $(C_TESTS) $(SH_TESTS) $(PY_TESTS)

noinst_LIBRARIES += t/libtap.a
t_libtap_a_SOURCES = %D%/tap.c %D%/tap.h

check_PROGRAMS += $(C_TESTS)

# A fuzz target is an ordinary test too: it replays its corpus.

dist_check_SCRIPTS += $(SH_TESTS) $(PY_TESTS)
EXTRA_DIST += t/tap.sh t/lsan.supp

# Whole-server tests share these.
EXTRA_DIST += t/tap.py t/server.py \
	t/apps/hello.py t/apps/echo.py t/apps/stream.py t/apps/sleepy.py \
	t/apps/validated.py t/apps/flaskapp.py \
	t/apps/djangosite/manage.py t/apps/djangosite/site_settings.py \
	t/apps/djangosite/site_urls.py t/apps/djangosite/wsgi.py \
	t/apps/djangosite/static/board.css

# make soak SOAK=600: as many seconds of each kind of churn.
SOAK = 300
soak: all
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/churn.py
.PHONY: soak bench

# What it costs beside its peers; BENCH=--quick for a look.
EXTRA_PROGRAMS += t/bench/limit t/bench/fcgiload
t_bench_limit_SOURCES    = %D%/bench/limit.c
t_bench_fcgiload_SOURCES = %D%/bench/fcgiload.c
EXTRA_DIST += t/bench/run
CLEANFILES += $(EXTRA_PROGRAMS)
bench: all t/bench/limit$(EXEEXT) t/bench/fcgiload$(EXEEXT)
	$(AM_TESTS_ENVIRONMENT) \
	    /usr/bin/python3 $(top_srcdir)/t/bench/run $(BENCH)
