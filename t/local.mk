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

C_TESTS  = t/record.t t/http_head.t t/fuzz_record.t t/fuzz_http_head.t \
	t/fuzz_chunks.t t/log.t t/access.t t/trust.t
SH_TESTS =
PY_TESTS =
TESTS = $(C_TESTS) $(SH_TESTS) $(PY_TESTS)

noinst_LIBRARIES += t/libtap.a
t_libtap_a_SOURCES = %D%/tap.c %D%/tap.h

check_PROGRAMS += $(C_TESTS)

t_record_t_SOURCES    = %D%/record.c
t_record_t_LDADD      = fcgi/libwire.la t/libtap.a
t_http_head_t_SOURCES = %D%/http_head.c
t_http_head_t_LDADD   = fcgi/libwire.la t/libtap.a

t_log_t_SOURCES       = %D%/log.c
t_log_t_LDADD         = fcgi/libbase.la t/libtap.a
t_access_t_SOURCES    = %D%/access.c
t_access_t_LDADD      = fcgi/libbase.la t/libtap.a
t_trust_t_SOURCES     = %D%/trust.c
t_trust_t_LDADD       = fcgi/libbase.la t/libtap.a

# A fuzz target is an ordinary test too: it replays its corpus.
t_fuzz_record_t_SOURCES     = %D%/fuzz_record.c %D%/fuzz_replay.c
t_fuzz_record_t_CPPFLAGS    = $(AM_CPPFLAGS) -DCORPUS='"record"'
t_fuzz_record_t_LDADD       = fcgi/libwire.la t/libtap.a
t_fuzz_http_head_t_SOURCES  = %D%/fuzz_http_head.c %D%/fuzz_replay.c
t_fuzz_http_head_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"http_head"'
t_fuzz_http_head_t_LDADD    = fcgi/libwire.la t/libtap.a
t_fuzz_chunks_t_SOURCES     = %D%/fuzz_chunks.c %D%/fuzz_replay.c
t_fuzz_chunks_t_CPPFLAGS    = $(AM_CPPFLAGS) -DCORPUS='"chunks"'
t_fuzz_chunks_t_LDADD       = fcgi/libwire.la t/libtap.a

# Under --enable-fuzz the same targets are fuzzers: t/fuzz_record CORPUS...
if FUZZ
EXTRA_PROGRAMS += t/fuzz_record t/fuzz_http_head t/fuzz_chunks
t_fuzz_record_SOURCES    = %D%/fuzz_record.c
t_fuzz_record_LDADD      = fcgi/libwire.la
t_fuzz_record_LDFLAGS    = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_http_head_SOURCES = %D%/fuzz_http_head.c
t_fuzz_http_head_LDADD   = fcgi/libwire.la
t_fuzz_http_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_chunks_SOURCES    = %D%/fuzz_chunks.c
t_fuzz_chunks_LDADD      = fcgi/libwire.la
t_fuzz_chunks_LDFLAGS    = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

dist_check_SCRIPTS += $(SH_TESTS) $(PY_TESTS)
EXTRA_DIST += t/tap.sh t/lsan.supp t/corpus
# Native applications; the test loads its module from t/apps/.libs.
C_TESTS += t/cgi_head.t t/native.t t/fuzz_cgi_head.t
t_cgi_head_t_SOURCES = %D%/cgi_head.c
t_cgi_head_t_LDADD   = t/libtap.a shim/libcgihead.la
t_native_t_SOURCES = %D%/native.c
t_native_t_LDADD   = t/libtap.a shim/libnative.la
check_LTLIBRARIES += t/apps/native_test.la
t_apps_native_test_la_SOURCES = %D%/apps/native_test.c
t_apps_native_test_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_apps_native_test_la_LIBADD  = $(FCGI_LIBS)
SH_TESTS += t/deploy.sh t/man.sh
PY_TESTS += t/example.py t/native_server.py

# A fuzz target is an ordinary test too: it replays its corpus.
t_fuzz_cgi_head_t_SOURCES  = %D%/fuzz_cgi_head.c %D%/fuzz_replay.c
t_fuzz_cgi_head_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"cgi_head"'
t_fuzz_cgi_head_t_LDADD    = t/libtap.a shim/libcgihead.la
if FUZZ
EXTRA_PROGRAMS += t/fuzz_cgi_head
t_fuzz_cgi_head_SOURCES = %D%/fuzz_cgi_head.c
t_fuzz_cgi_head_LDADD   = shim/libcgihead.la
t_fuzz_cgi_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

dist_check_SCRIPTS += $(SH_TESTS) $(PY_TESTS)
EXTRA_DIST += t/tap.sh t/lsan.supp t/corpus/cgi_head
