# llhttp is compiled from its Debian package, never copied.
noinst_LTLIBRARIES += fcgi/libllhttp.la fcgi/libwire.la fcgi/libbase.la \
	fcgi/librequest.la fcgi/libserver.la
fcgi_libllhttp_la_SOURCES  = %D%/wire/llhttp_state.c %D%/wire/llhttp_api.c
fcgi_libllhttp_la_CPPFLAGS = $(LLHTTP_CPPFLAGS)
fcgi_libllhttp_la_CFLAGS   = $(SAN_FLAGS)

# Bytes to requests and back; no sockets.
fcgi_libwire_la_SOURCES  = %D%/wire/record.c %D%/wire/record.h \
	%D%/wire/http_head.c %D%/wire/http_head.h \
	%D%/wire/http_chunks.c \
	%D%/wire/http_text.c %D%/wire/http_text.h %D%/app.h
fcgi_libwire_la_CPPFLAGS = $(AM_CPPFLAGS) $(LLHTTP_CPPFLAGS)
fcgi_libwire_la_LIBADD   = fcgi/libllhttp.la

# What the rest stands on.
fcgi_libbase_la_SOURCES = \
	%D%/access.c %D%/access.h \
	%D%/access_line.c %D%/access_format.h \
	%D%/address.c %D%/address.h \
	%D%/clock.c %D%/clock.h \
	%D%/cwd.c %D%/cwd.h \
	%D%/host.c %D%/host.h \
	%D%/inherit.c %D%/inherit.h \
	%D%/listener.c %D%/listener.h %D%/listeners.c %D%/listeners.h \
	%D%/log.c %D%/log.h \
	%D%/logfile.c %D%/logfile.h \
	%D%/notify.c %D%/notify.h \
	%D%/pidfile.c %D%/pidfile.h \
	%D%/rights.c %D%/rights.h \
	%D%/scoreboard.c %D%/scoreboard.h \
	%D%/starter.c %D%/starter.h \
	%D%/trust.c %D%/trust.h
fcgi_libbase_la_LIBADD  = conf/libconf.la $(BSD_LIBS)

# Requests and responses of all protocols; no sockets, no loop.
fcgi_librequest_la_SOURCES = \
	%D%/body.c %D%/body.h \
	%D%/buffer.c %D%/buffer.h \
	%D%/queue.c %D%/queue.h \
	%D%/request.c %D%/request.h \
	%D%/response.c %D%/response.h \
	%D%/wire/again.c %D%/wire/again.h \
	%D%/wire/cgi.c %D%/wire/cgi.h \
	%D%/wire/fastcgi.c %D%/wire/fastcgi.h \
	%D%/wire/http.c %D%/wire/http.h \
	%D%/wire/passenger.c %D%/wire/passenger.h \
	%D%/wire/session.h

fcgi_libserver_la_SOURCES = \
	%D%/acceptor.c %D%/acceptor.h \
	%D%/board.c %D%/board.h \
	%D%/chain.c %D%/chain.h \
	%D%/child.c %D%/child.h \
	%D%/command.c %D%/command.h \
	%D%/conn.c %D%/conn.h %D%/conn_life.c %D%/conn_life.h \
	%D%/connection.c %D%/connection.h \
	%D%/connections.c %D%/connections.h \
	%D%/crew.h %D%/ctl.c %D%/ctl.h \
	%D%/ctl_place.c %D%/ctl_place.h \
	%D%/dispatch.c %D%/dispatch.h \
	%D%/engine.h \
	%D%/generation.c %D%/generation.h \
	%D%/handoff.c %D%/handoff.h \
	%D%/hook.c %D%/hook.h \
	%D%/kind.c %D%/kind.h \
	%D%/manager.c %D%/manager.h \
	%D%/late.c %D%/late.h \
	%D%/loop.c %D%/loop.h %D%/net.h \
	%D%/monitor.c %D%/monitor.h \
	%D%/program.c %D%/program.h \
	%D%/recall.c %D%/recall.h \
	%D%/recycle.c %D%/recycle.h \
	%D%/reload.c %D%/reload.h \
	%D%/report.c %D%/report.h \
	%D%/service.c %D%/service.h \
	%D%/shed.c %D%/shed.h \
	%D%/signals.c %D%/signals.h \
	%D%/sink.c %D%/sink.h \
	%D%/slot.c %D%/slot.h \
	%D%/spawn.c %D%/spawn.h \
	%D%/thread.c %D%/thread.h \
	%D%/upgrade.c %D%/upgrade.h \
	%D%/verify.c %D%/verify.h \
	%D%/worker.c %D%/worker.h
fcgi_libserver_la_LIBADD  = fcgi/librequest.la fcgi/libbase.la \
	fcgi/libwire.la shim/libnative.la shim/libpassenger.la $(JANSSON_LIBS) $(UV_LIBS)

bin_PROGRAMS += gangway
gangway_SOURCES = %D%/main.c
gangway_LDADD   = fcgi/libserver.la
bin_PROGRAMS += gangwayctl
gangwayctl_SOURCES = %D%/gangwayctl.c %D%/clock.c %D%/ctl_place.c
gangwayctl_CPPFLAGS = $(AM_CPPFLAGS)
gangwayctl_LDADD   = $(JANSSON_LIBS)
