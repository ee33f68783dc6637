# What CGI programs and native applications write.
noinst_LTLIBRARIES += shim/libcgihead.la shim/libnative.la
shim_libcgihead_la_SOURCES = %D%/cgi_head.c %D%/cgi_head.h

# Applications in C.
shim_libnative_la_SOURCES = \
	%D%/native/env.c %D%/native/env.h \
	%D%/native/native.c %D%/native/native.h \
	%D%/native/streams.c %D%/native/streams.h
shim_libnative_la_LIBADD  = shim/libcgihead.la $(FCGI_LIBS)

# The host above that wants a handshake.
noinst_LTLIBRARIES += shim/libpassenger.la
shim_libpassenger_la_SOURCES = \
	%D%/passenger/failed.c %D%/passenger/failed.h \
	%D%/passenger/handshake.c %D%/passenger/handshake.h
shim_libpassenger_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
shim_libpassenger_la_LIBADD  = $(JANSSON_LIBS) $(BSD_LIBS)

# The example is a check module: built by `make check`, never installed.
check_LTLIBRARIES += shim/example/native_hello.la
shim_example_native_hello_la_SOURCES = %D%/example/native_hello.c
shim_example_native_hello_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
shim_example_native_hello_la_LIBADD  = $(FCGI_LIBS)

# hooks.py is needed from a tree without Python, too.
EXTRA_DIST += shim/example/passenger_wsgi.py shim/example/gangway.ini \
	shim/python/hooks.py

# What people copy to a host, and what deploy.sh webhosting adds to it.
dist_pkgdata_DATA = %D%/passenger/passenger_wsgi.py \
	%D%/passenger/Passengerfile.json \
	%D%/passenger/Passengerfile.port.json \
	%D%/passenger/htaccess
dist_pkgdata_SCRIPTS = %D%/passenger/dispatch.fcgi
EXTRA_DIST += shim/passenger/gangway.ini shim/passenger/upload.py \
	shim/passenger/upload.txt
nginxdir = $(datadir)/gangway/nginx
dist_nginx_DATA = %D%/nginx/gangway.conf
if PYTHON
# The shim once, for its two uses: a module that the program loads (linked
# to libpython), and part of a Python extension (linked to nothing of it).
noinst_LTLIBRARIES += shim/libpython.la
shim_libpython_la_SOURCES = \
	%D%/python/conffile.c %D%/python/conffile.h \
	%D%/python/environ.c %D%/python/environ.h \
	%D%/python/error.c %D%/python/error.h \
	%D%/python/file.c %D%/python/file.h \
	%D%/python/hooks.c %D%/python/hooks.h \
	%D%/python/input.c %D%/python/input.h \
	%D%/python/interpreter.c %D%/python/interpreter.h \
	%D%/python/load.c %D%/python/load.h \
	%D%/python/logger.c %D%/python/logger.h \
	%D%/python/module.c %D%/python/module.h \
	%D%/python/reply.c %D%/python/reply.h \
	%D%/python/wsgi.c %D%/python/wsgi.h
shim_libpython_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_CFLAGS)

# What hooks are given is written in Python and kept as text.
nodist_shim_libpython_la_SOURCES = shim/python/hooks_py.h
BUILT_SOURCES += shim/python/hooks_py.h
CLEANFILES += shim/python/hooks_py.h
shim/python/hooks_py.h: $(srcdir)/shim/python/hooks.py
	$(AM_V_GEN)$(MKDIR_P) shim/python && \
	    { od -An -v -tx1 $(srcdir)/shim/python/hooks.py | \
	    sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g' && echo 0; } >$@.new && \
	    mv -f $@.new $@
# BUILT_SOURCES is for all, check and install; an upload asks for a part. (The
# name of the object itself would take the place of automake's rule for it,
# where dependencies are not tracked.)
$(shim_libpython_la_OBJECTS): shim/python/hooks_py.h

pkglib_LTLIBRARIES += shim/python.la
shim_python_la_SOURCES =
shim_python_la_LDFLAGS = $(AM_LDFLAGS) $(MODULE_LDFLAGS) -module \
	-avoid-version -shared -export-symbols-regex '^app_kind$$'
shim_python_la_LIBADD  = shim/libpython.la $(PYTHON_LIBS)

corelibdir = $(PYTHON_PACKAGES)/gangway
corelib_LTLIBRARIES = shim/_core.la
dist_corelib_DATA   = %D%/python/gangway/__init__.py \
	%D%/python/gangway/__main__.py \
	%D%/python/gangway/fits.py %D%/python/gangway/probe.py
shim__core_la_SOURCES  = %D%/python/extension.c fcgi/program.h
shim__core_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_CFLAGS)
shim__core_la_LDFLAGS  = $(AM_LDFLAGS) -module -avoid-version -shared \
	-export-symbols-regex '^PyInit__core$$'
shim__core_la_LIBADD   = shim/libpython.la fcgi/libserver.la

# The same parts for an upload (deploy.sh webhosting): they find their libraries
# beside them. RPATH and not RUNPATH, which would not hold for the libraries
# that these libraries need.
UPLOAD_LDFLAGS = -Wl,--disable-new-dtags
check_LTLIBRARIES += shim/upload/_core.la shim/upload/python.la
shim_upload__core_la_SOURCES  = $(shim__core_la_SOURCES)
shim_upload__core_la_CPPFLAGS = $(shim__core_la_CPPFLAGS)
shim_upload__core_la_LDFLAGS  = $(shim__core_la_LDFLAGS) $(UPLOAD_LDFLAGS) \
	-Wl,-rpath,'$$ORIGIN/lib' -rpath /nowhere
shim_upload__core_la_LIBADD   = $(shim__core_la_LIBADD)
shim_upload_python_la_SOURCES =
shim_upload_python_la_LDFLAGS = $(shim_python_la_LDFLAGS) $(UPLOAD_LDFLAGS) \
	-Wl,-rpath,'$$ORIGIN/..' -rpath /nowhere
shim_upload_python_la_LIBADD  = $(shim_python_la_LIBADD)
check_PROGRAMS += shim/upload/gangway
shim_upload_gangway_SOURCES = fcgi/main.c
shim_upload_gangway_LDFLAGS = $(AM_LDFLAGS) $(UPLOAD_LDFLAGS) \
	-Wl,-rpath,'$$ORIGIN/../lib'
shim_upload_gangway_LDADD   = $(gangway_LDADD)
UPLOAD = shim/upload/_core.la shim/upload/python.la \
	shim/upload/gangway$(EXEEXT)
upload: $(UPLOAD)

# The program looks for the shim by its interpreter: python3.X.so.
all-local: shim/.libs/python$(PYTHON_VERSION).so
shim/.libs/python$(PYTHON_VERSION).so: shim/python.la
	$(AM_V_at)cd shim/.libs && rm -f python$(PYTHON_VERSION).so && \
	    $(LN_S) python.so python$(PYTHON_VERSION).so
CLEANFILES += shim/.libs/python$(PYTHON_VERSION).so

install-exec-hook:
	cd '$(DESTDIR)$(pkglibdir)' && rm -f python.la && \
	    mv -f python.so python$(PYTHON_VERSION).so
install-data-hook:
	rm -f '$(DESTDIR)$(corelibdir)/_core.la'
uninstall-hook:
	rm -f '$(DESTDIR)$(pkglibdir)/python$(PYTHON_VERSION).so' \
	    '$(DESTDIR)$(corelibdir)/_core.so'
endif
