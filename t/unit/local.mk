# Programs in C, each over one part of the tree; and the rules of the house.
C_TESTS += t/unit/access.t
C_TESTS += t/unit/again.t
C_TESTS += t/unit/body.t
C_TESTS += t/unit/buffer.t
C_TESTS += t/unit/cgi.t
C_TESTS += t/unit/cgi_head.t
C_TESTS += t/unit/command.t
C_TESTS += t/unit/ctl_place.t
C_TESTS += t/unit/deadlines.t
C_TESTS += t/unit/engine.t
C_TESTS += t/unit/flags.t
C_TESTS += t/unit/handshake.t
C_TESTS += t/unit/host.t
C_TESTS += t/unit/hosting.t
C_TESTS += t/unit/http_head.t
C_TESTS += t/unit/inifile.t
C_TESTS += t/unit/listener.t
C_TESTS += t/unit/load.t
C_TESTS += t/unit/log.t
C_TESTS += t/unit/manager.t
C_TESTS += t/unit/manager_time.t
C_TESTS += t/unit/native.t
C_TESTS += t/unit/passenger_head.t
C_TESTS += t/unit/pidfile.t
C_TESTS += t/unit/queue.t
C_TESTS += t/unit/record.t
C_TESTS += t/unit/request.t
C_TESTS += t/unit/resources.t
C_TESTS += t/unit/response.t
C_TESTS += t/unit/settings.t
C_TESTS += t/unit/trust.t
C_TESTS += t/unit/worker.t
if PYTHON
C_TESTS += t/unit/wsgi.t
endif
SH_TESTS += t/unit/layers.sh t/unit/man.sh t/unit/mutants.sh \
	t/unit/style.sh

t_unit_listener_t_SOURCES = %D%/listener.c
t_unit_listener_t_LDADD   = $(TAP) fcgi/libbase.la
t_unit_pidfile_t_SOURCES  = %D%/pidfile.c
t_unit_pidfile_t_LDADD    = $(TAP) fcgi/libbase.la
t_unit_host_t_SOURCES     = %D%/host.c
t_unit_host_t_LDADD       = $(TAP) fcgi/libbase.la
t_unit_manager_t_SOURCES  = %D%/manager.c
t_unit_manager_t_LDADD    = $(TAP) fcgi/libserver.la
t_unit_manager_time_t_SOURCES = %D%/manager_time.c
t_unit_manager_time_t_LDADD   = $(TAP) fcgi/libserver.la
t_unit_manager_time_t_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=spawn_worker \
	-Wl,--wrap=fork -Wl,--wrap=kill -Wl,--wrap=waitpid \
	-Wl,--wrap=getppid -Wl,--wrap=ppoll -Wl,--wrap=open \
	-Wl,--wrap=arc4random_uniform -Wl,--wrap=upgrade_promoted \
	-Wl,--wrap=sendto
t_unit_command_t_SOURCES  = %D%/command.c
t_unit_command_t_LDADD    = $(TAP) fcgi/libserver.la
t_unit_command_t_LDFLAGS  = $(AM_LDFLAGS) -Wl,--wrap=getpid
t_unit_ctl_place_t_SOURCES = %D%/ctl_place.c
t_unit_ctl_place_t_LDADD   = $(TAP) fcgi/libserver.la
t_unit_ctl_place_t_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=time \
	-Wl,--wrap=clock_pause
t_unit_cgi_t_SOURCES      = %D%/cgi.c
t_unit_cgi_t_LDADD        = $(TAP) fcgi/libserver.la

# --- settings
t_unit_settings_t_SOURCES = %D%/settings.c
t_unit_settings_t_LDADD   = $(TAP) conf/libconf.la
t_unit_flags_t_SOURCES    = %D%/flags.c
t_unit_flags_t_LDADD      = $(TAP) conf/libconf.la
t_unit_load_t_SOURCES     = %D%/load.c
t_unit_load_t_LDADD       = $(TAP) conf/libconf.la
t_unit_hosting_t_SOURCES  = %D%/hosting.c
t_unit_hosting_t_LDADD    = $(TAP) conf/libconf.la
t_unit_inifile_t_SOURCES  = %D%/inifile.c
t_unit_inifile_t_LDADD    = $(TAP) conf/libconf.la
t_unit_resources_t_SOURCES = %D%/resources.c
t_unit_resources_t_LDADD  = $(TAP) conf/libconf.la

# --- the wire
t_unit_record_t_SOURCES    = %D%/record.c
t_unit_record_t_LDADD      = $(TAP) fcgi/libwire.la
t_unit_http_head_t_SOURCES = %D%/http_head.c
t_unit_http_head_t_LDADD   = $(TAP) fcgi/libwire.la

# --- requests and responses
REQUEST_LIBS = fcgi/librequest.la fcgi/libbase.la fcgi/libwire.la
t_unit_again_t_SOURCES    = %D%/again.c
t_unit_again_t_LDADD      = $(TAP) $(REQUEST_LIBS)
t_unit_body_t_SOURCES     = %D%/body.c
t_unit_body_t_LDADD       = $(TAP) $(REQUEST_LIBS)
t_unit_buffer_t_SOURCES   = %D%/buffer.c
t_unit_buffer_t_LDADD     = $(TAP) $(REQUEST_LIBS)
t_unit_queue_t_SOURCES    = %D%/queue.c
t_unit_queue_t_LDADD      = $(TAP) $(REQUEST_LIBS)
t_unit_request_t_SOURCES  = %D%/request.c
t_unit_request_t_LDADD    = $(TAP) $(REQUEST_LIBS)
t_unit_response_t_SOURCES = %D%/response.c
t_unit_response_t_LDADD   = $(TAP) $(REQUEST_LIBS)

# --- what the server stands on
t_unit_log_t_SOURCES      = %D%/log.c
t_unit_log_t_LDADD        = $(TAP) fcgi/libbase.la
t_unit_access_t_SOURCES   = %D%/access.c
t_unit_access_t_LDADD     = $(TAP) fcgi/libbase.la
t_unit_trust_t_SOURCES    = %D%/trust.c
t_unit_trust_t_LDADD      = $(TAP) fcgi/libbase.la

t_unit_passenger_head_t_SOURCES = %D%/passenger_head.c
t_unit_passenger_head_t_LDADD   = $(TAP) $(REQUEST_LIBS)

# --- the host above
t_unit_handshake_t_SOURCES  = %D%/handshake.c
t_unit_handshake_t_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
t_unit_handshake_t_LDADD    = $(TAP) shim/libpassenger.la fcgi/libbase.la

# --- applications; the tests load their modules from t/apps/.libs
t_unit_cgi_head_t_SOURCES = %D%/cgi_head.c
t_unit_cgi_head_t_LDADD   = $(TAP) shim/libcgihead.la
t_unit_native_t_SOURCES   = %D%/native.c
t_unit_native_t_LDADD     = $(TAP) shim/libnative.la
check_LTLIBRARIES += t/apps/native_test.la
t_apps_native_test_la_SOURCES = t/apps/native_test.c
t_apps_native_test_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_apps_native_test_la_LIBADD  = $(FCGI_LIBS)
check_LTLIBRARIES += t/apps/faults.la
t_apps_faults_la_SOURCES = t/apps/faults.c
t_apps_faults_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_apps_faults_la_LIBADD  = -ldl
t_unit_wsgi_t_SOURCES = %D%/wsgi.c %D%/shim_server.c %D%/shim_server.h
t_unit_wsgi_t_LDADD   = $(TAP)


# --- time: the real thing, with a clock that is held
NETSIDE      = %D%/netside.c %D%/netside.h
NETSIDE_WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
t_unit_deadlines_t_SOURCES  = %D%/deadlines.c $(NETSIDE)
t_unit_deadlines_t_CPPFLAGS = $(AM_CPPFLAGS) $(LLHTTP_CPPFLAGS)
t_unit_deadlines_t_LDADD    = $(TAP) fcgi/libserver.la
t_unit_deadlines_t_LDFLAGS  = $(AM_LDFLAGS) $(NETSIDE_WRAP)
t_unit_engine_t_SOURCES     = %D%/engine.c $(NETSIDE)
t_unit_engine_t_CPPFLAGS    = $(AM_CPPFLAGS) $(LLHTTP_CPPFLAGS)
t_unit_engine_t_LDADD       = $(TAP) fcgi/libserver.la
t_unit_engine_t_LDFLAGS     = $(AM_LDFLAGS) $(NETSIDE_WRAP)
t_unit_worker_t_SOURCES     = %D%/worker.c $(NETSIDE)
t_unit_worker_t_CPPFLAGS    = $(AM_CPPFLAGS) $(LLHTTP_CPPFLAGS)
t_unit_worker_t_LDADD       = $(TAP) fcgi/libserver.la
t_unit_worker_t_LDFLAGS     = $(AM_LDFLAGS) $(NETSIDE_WRAP)
