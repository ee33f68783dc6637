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
PY_TESTS =
TESTS = $(C_TESTS) $(SH_TESTS) $(PY_TESTS)

noinst_LIBRARIES += t/libtap.a
t_libtap_a_SOURCES = %D%/tap.c %D%/tap.h

check_PROGRAMS += $(C_TESTS)

# A fuzz target is an ordinary test too: it replays its corpus.

dist_check_SCRIPTS += $(SH_TESTS) $(PY_TESTS)
EXTRA_DIST += t/tap.sh t/lsan.supp

# --- conf/
C_TESTS += t/settings.t t/flags.t t/load.t t/inifile.t t/resources.t \
	t/fuzz_ini.t
t_settings_t_SOURCES  = %D%/settings.c
t_settings_t_LDADD    = t/libtap.a conf/libconf.la
t_flags_t_SOURCES     = %D%/flags.c
t_flags_t_LDADD       = t/libtap.a conf/libconf.la
t_load_t_SOURCES      = %D%/load.c
t_load_t_LDADD        = t/libtap.a conf/libconf.la
t_inifile_t_SOURCES   = %D%/inifile.c
t_inifile_t_LDADD     = t/libtap.a conf/libconf.la
t_resources_t_SOURCES = %D%/resources.c
t_resources_t_LDADD   = t/libtap.a conf/libconf.la
t_fuzz_ini_t_SOURCES  = %D%/fuzz_ini.c %D%/fuzz_replay.c
t_fuzz_ini_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"ini"'
t_fuzz_ini_t_LDADD    = t/libtap.a conf/libconf.la
EXTRA_DIST += t/corpus/ini
