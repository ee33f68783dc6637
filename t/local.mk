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
	export LSAN_OPTIONS; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;
if SANITIZE
AM_TESTS_ENVIRONMENT += T_SLOWER=4; export T_SLOWER;
endif

C_TESTS  = t/access.t t/body.t t/buffer.t t/cgi.t t/cgi_head.t t/flags.t \
	t/fuzz_cgi_head.t t/fuzz_chunks.t t/fuzz_fastcgi.t t/fuzz_http.t \
	t/fuzz_http_head.t t/fuzz_ini.t t/fuzz_passenger.t \
	t/fuzz_record.t t/handshake.t t/host.t t/hosting.t \
	t/http_head.t t/inifile.t t/listener.t t/load.t t/log.t \
	t/manager.t t/native.t t/passenger_head.t t/pidfile.t t/queue.t \
	t/record.t \
	t/request.t t/resources.t t/response.t t/settings.t t/trust.t
SH_TESTS = t/deploy.sh t/layers.sh t/man.sh t/style.sh
PY_TESTS = t/example.py t/native_server.py t/faults.py
if PYTHON
C_TESTS += t/wsgi.t
PY_TESTS += t/http1.py t/fastcgi.py t/compare.py t/lifecycle.py t/churn.py \
	t/slow.py t/spawn.py t/engine.py t/messages.py t/extension.py t/venv.py \
	t/passenger.py t/passenger_load.py t/passenger_settings.py \
	t/webhosting.py t/webhosting_chroot.py t/abuse.py t/limits.py \
	t/arbiter.py t/upgrade.py t/hooks.py t/soak.py t/recycle.py \
	t/crowd.py t/ctl.py
endif
TESTS = $(C_TESTS) $(SH_TESTS) $(PY_TESTS)

noinst_LIBRARIES += t/libtap.a
t_libtap_a_SOURCES = %D%/tap.c %D%/tap.h

t_listener_t_SOURCES = %D%/listener.c
t_listener_t_LDADD   = t/libtap.a fcgi/libbase.la
t_pidfile_t_SOURCES  = %D%/pidfile.c
t_pidfile_t_LDADD    = t/libtap.a fcgi/libbase.la
t_host_t_SOURCES     = %D%/host.c
t_host_t_LDADD       = t/libtap.a fcgi/libbase.la
t_manager_t_SOURCES  = %D%/manager.c
t_manager_t_LDADD    = t/libtap.a fcgi/libserver.la
t_cgi_t_SOURCES      = %D%/cgi.c
t_cgi_t_LDADD        = t/libtap.a fcgi/libserver.la

check_PROGRAMS += $(C_TESTS)

# --- settings
t_settings_t_SOURCES = %D%/settings.c
t_settings_t_LDADD   = t/libtap.a conf/libconf.la
t_flags_t_SOURCES    = %D%/flags.c
t_flags_t_LDADD      = t/libtap.a conf/libconf.la
t_load_t_SOURCES     = %D%/load.c
t_load_t_LDADD       = t/libtap.a conf/libconf.la
t_hosting_t_SOURCES  = %D%/hosting.c
t_hosting_t_LDADD    = t/libtap.a conf/libconf.la
t_inifile_t_SOURCES  = %D%/inifile.c
t_inifile_t_LDADD    = t/libtap.a conf/libconf.la
t_resources_t_SOURCES = %D%/resources.c
t_resources_t_LDADD  = t/libtap.a conf/libconf.la

# --- the wire
t_record_t_SOURCES    = %D%/record.c
t_record_t_LDADD      = t/libtap.a fcgi/libwire.la
t_http_head_t_SOURCES = %D%/http_head.c
t_http_head_t_LDADD   = t/libtap.a fcgi/libwire.la

# --- requests and responses
REQUEST_LIBS = fcgi/librequest.la fcgi/libbase.la fcgi/libwire.la
t_body_t_SOURCES     = %D%/body.c
t_body_t_LDADD       = t/libtap.a $(REQUEST_LIBS)
t_buffer_t_SOURCES   = %D%/buffer.c
t_buffer_t_LDADD     = t/libtap.a $(REQUEST_LIBS)
t_queue_t_SOURCES    = %D%/queue.c
t_queue_t_LDADD      = t/libtap.a $(REQUEST_LIBS)
t_request_t_SOURCES  = %D%/request.c
t_request_t_LDADD    = t/libtap.a $(REQUEST_LIBS)
t_response_t_SOURCES = %D%/response.c
t_response_t_LDADD   = t/libtap.a $(REQUEST_LIBS)

# --- what the server stands on
t_log_t_SOURCES      = %D%/log.c
t_log_t_LDADD        = t/libtap.a fcgi/libbase.la
t_access_t_SOURCES   = %D%/access.c
t_access_t_LDADD     = t/libtap.a fcgi/libbase.la
t_trust_t_SOURCES    = %D%/trust.c
t_trust_t_LDADD      = t/libtap.a fcgi/libbase.la

t_passenger_head_t_SOURCES = %D%/passenger_head.c
t_passenger_head_t_LDADD   = t/libtap.a $(REQUEST_LIBS)

# --- the host above
t_handshake_t_SOURCES  = %D%/handshake.c
t_handshake_t_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
t_handshake_t_LDADD    = t/libtap.a shim/libpassenger.la

# --- applications; the tests load their modules from t/apps/.libs
t_cgi_head_t_SOURCES = %D%/cgi_head.c
t_cgi_head_t_LDADD   = t/libtap.a shim/libcgihead.la
t_native_t_SOURCES   = %D%/native.c
t_native_t_LDADD     = t/libtap.a shim/libnative.la
check_LTLIBRARIES += t/apps/native_test.la
t_apps_native_test_la_SOURCES = %D%/apps/native_test.c
t_apps_native_test_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_apps_native_test_la_LIBADD  = $(FCGI_LIBS)
check_LTLIBRARIES += t/apps/faults.la
t_apps_faults_la_SOURCES = %D%/apps/faults.c
t_apps_faults_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_apps_faults_la_LIBADD  = -ldl
t_wsgi_t_SOURCES = %D%/wsgi.c %D%/shim_server.c %D%/shim_server.h
t_wsgi_t_LDADD   = t/libtap.a

# --- a fuzz target is an ordinary test too: it replays its corpus
t_fuzz_record_t_SOURCES     = %D%/fuzz_record.c %D%/fuzz_replay.c
t_fuzz_record_t_CPPFLAGS    = $(AM_CPPFLAGS) -DCORPUS='"record"'
t_fuzz_record_t_LDADD       = t/libtap.a fcgi/libwire.la
t_fuzz_http_head_t_SOURCES  = %D%/fuzz_http_head.c %D%/fuzz_replay.c
t_fuzz_http_head_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"http_head"'
t_fuzz_http_head_t_LDADD    = t/libtap.a fcgi/libwire.la
t_fuzz_chunks_t_SOURCES     = %D%/fuzz_chunks.c %D%/fuzz_replay.c
t_fuzz_chunks_t_CPPFLAGS    = $(AM_CPPFLAGS) -DCORPUS='"chunks"'
t_fuzz_chunks_t_LDADD       = t/libtap.a fcgi/libwire.la
t_fuzz_cgi_head_t_SOURCES   = %D%/fuzz_cgi_head.c %D%/fuzz_replay.c
t_fuzz_cgi_head_t_CPPFLAGS  = $(AM_CPPFLAGS) -DCORPUS='"cgi_head"'
t_fuzz_cgi_head_t_LDADD     = t/libtap.a shim/libcgihead.la
t_fuzz_ini_t_SOURCES        = %D%/fuzz_ini.c %D%/fuzz_replay.c
t_fuzz_ini_t_CPPFLAGS       = $(AM_CPPFLAGS) -DCORPUS='"ini"'
t_fuzz_ini_t_LDADD          = t/libtap.a conf/libconf.la
t_fuzz_fastcgi_t_SOURCES    = %D%/fuzz_fastcgi.c %D%/fuzz_session.h \
	%D%/fuzz_replay.c
t_fuzz_fastcgi_t_CPPFLAGS   = $(AM_CPPFLAGS) -DCORPUS='"fastcgi"'
t_fuzz_fastcgi_t_LDADD      = t/libtap.a $(REQUEST_LIBS)
t_fuzz_http_t_SOURCES       = %D%/fuzz_http.c %D%/fuzz_session.h \
	%D%/fuzz_replay.c
t_fuzz_http_t_CPPFLAGS      = $(AM_CPPFLAGS) -DCORPUS='"http"'
t_fuzz_http_t_LDADD         = t/libtap.a $(REQUEST_LIBS)

t_fuzz_passenger_t_SOURCES  = %D%/fuzz_passenger.c %D%/fuzz_session.h \
	%D%/fuzz_replay.c
t_fuzz_passenger_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"passenger"'
t_fuzz_passenger_t_LDADD    = t/libtap.a $(REQUEST_LIBS)

# Under --enable-fuzz the same targets are fuzzers: t/fuzz_record CORPUS...
FUZZERS = t/fuzz_record t/fuzz_http_head t/fuzz_chunks t/fuzz_cgi_head \
	t/fuzz_ini t/fuzz_fastcgi t/fuzz_http t/fuzz_passenger
if FUZZ
EXTRA_PROGRAMS += $(FUZZERS)
t_fuzz_record_SOURCES    = %D%/fuzz_record.c
t_fuzz_record_LDADD      = fcgi/libwire.la
t_fuzz_record_LDFLAGS    = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_http_head_SOURCES = %D%/fuzz_http_head.c
t_fuzz_http_head_LDADD   = fcgi/libwire.la
t_fuzz_http_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_chunks_SOURCES    = %D%/fuzz_chunks.c
t_fuzz_chunks_LDADD      = fcgi/libwire.la
t_fuzz_chunks_LDFLAGS    = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_cgi_head_SOURCES  = %D%/fuzz_cgi_head.c
t_fuzz_cgi_head_LDADD    = shim/libcgihead.la
t_fuzz_cgi_head_LDFLAGS  = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_ini_SOURCES       = %D%/fuzz_ini.c
t_fuzz_ini_LDADD         = conf/libconf.la
t_fuzz_ini_LDFLAGS       = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_fastcgi_SOURCES   = %D%/fuzz_fastcgi.c %D%/fuzz_session.h
t_fuzz_fastcgi_LDADD     = $(REQUEST_LIBS)
t_fuzz_fastcgi_LDFLAGS   = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_http_SOURCES      = %D%/fuzz_http.c %D%/fuzz_session.h
t_fuzz_http_LDADD        = $(REQUEST_LIBS)
t_fuzz_http_LDFLAGS      = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_passenger_SOURCES = %D%/fuzz_passenger.c %D%/fuzz_session.h
t_fuzz_passenger_LDADD   = $(REQUEST_LIBS)
t_fuzz_passenger_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

dist_check_SCRIPTS += $(SH_TESTS) $(PY_TESTS)
EXTRA_DIST += t/tap.sh t/tap.py t/server.py t/apache.py t/lsan.supp \
	t/python.supp t/corpus t/bench/run \
	t/apps/broken.py t/apps/calls.py t/apps/collected.py \
	t/apps/confmod.py t/apps/exits.py \
	t/apps/gated.py t/apps/site.conf.py t/apps/site.fcgi t/apps/syntax.py \
	t/apps/rude.py t/apps/greedy.py t/apps/handlers.py \
	t/apps/hello.py t/apps/echo.py t/apps/stream.py t/apps/sleepy.py \
	t/apps/faulty.py t/apps/validated.py t/apps/facts.py t/apps/flaskapp.py \
	t/apps/djangosite/manage.py t/apps/djangosite/site_settings.py \
	t/apps/djangosite/site_urls.py t/apps/djangosite/wsgi.py \
	t/apps/djangosite/static/board.css

# What it costs beside its peers; BENCH=--quick for a look.
BENCHES = t/bench/limit$(EXEEXT) t/bench/fcgiload$(EXEEXT) \
	t/bench/libfcgi_loop$(EXEEXT) t/bench/native_hello.la
EXTRA_PROGRAMS += t/bench/limit t/bench/fcgiload t/bench/libfcgi_loop
EXTRA_LTLIBRARIES = t/bench/native_hello.la
BENCH_WHERE = %D%/bench/where.c %D%/bench/where.h
t_bench_limit_SOURCES    = %D%/bench/limit.c $(BENCH_WHERE)
t_bench_limit_LDADD      = $(BSD_LIBS)
t_bench_fcgiload_SOURCES = %D%/bench/fcgiload.c $(BENCH_WHERE)
t_bench_fcgiload_LDADD   = $(BSD_LIBS)
t_bench_libfcgi_loop_SOURCES = %D%/bench/libfcgi_loop.c
t_bench_libfcgi_loop_LDADD   = $(FCGI_LIBS) -lpthread -ldl
t_bench_native_hello_la_SOURCES = %D%/bench/native_hello.c
t_bench_native_hello_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_bench_native_hello_la_LIBADD  = $(FCGI_LIBS)
if PYTHON
BENCHES += t/bench/limitpy$(EXEEXT)
EXTRA_PROGRAMS += t/bench/limitpy
t_bench_limitpy_SOURCES = %D%/bench/limitpy.c
t_bench_limitpy_CFLAGS  = $(AM_CFLAGS) $(PYTHON_CFLAGS)
t_bench_limitpy_LDADD   = $(PYTHON_LIBS)
endif
CLEANFILES += $(EXTRA_PROGRAMS)
bench: all $(BENCHES)
	$(AM_TESTS_ENVIRONMENT) \
	    /usr/bin/python3 $(top_srcdir)/t/bench/run $(BENCH)

# Each fuzzer for FUZZ_SECONDS; findings go to fuzz-out/.
fuzz: $(FUZZERS)
	@for f in $(FUZZERS); do n=$${f#t/fuzz_}; \
	  $(MKDIR_P) fuzz-out/$$n && echo "== $$n" && \
	  $$f -max_total_time=$${FUZZ_SECONDS:-10} -print_final_stats=1 \
	    -artifact_prefix=fuzz-out/$$n- fuzz-out/$$n \
	    $(top_srcdir)/t/corpus/$$n || exit 1; done
check-valgrind: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(C_TESTS)' \
	  CHECK_WRAPPER='$(VALGRIND) -q --error-exitcode=99 \
	    --leak-check=full --show-leak-kinds=definite \
	    --errors-for-leak-kinds=definite \
	    --suppressions=$(abs_top_srcdir)/t/python.supp'
# make soak SOAK=600: as many seconds of each kind of churn, then all kinds
# at once and counted.
SOAK = 300
soak: all
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/churn.py
	$(AM_TESTS_ENVIRONMENT) \
	    /usr/bin/python3 $(top_srcdir)/t/soak.py --full
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/abuse.py
	$(MAKE) $(AM_MAKEFLAGS) $(check_LTLIBRARIES)
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/faults.py
	$(AM_TESTS_ENVIRONMENT) T_SECONDS=$(SOAK) \
	    /usr/bin/python3 $(top_srcdir)/t/passenger_load.py
prove: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS) $(check_LTLIBRARIES)
	$(AM_TESTS_ENVIRONMENT) $(PROVE) -e '' $(C_TESTS) && \
	$(PROVE) -e '$(SHELL)' $(SH_TESTS:%=$(srcdir)/%) && \
	$(PROVE) -e /usr/bin/python3 $(PY_TESTS:%=$(srcdir)/%)
.PHONY: bench check-valgrind fuzz prove soak upload
