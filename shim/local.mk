# What CGI programs and native applications write.
noinst_LTLIBRARIES += shim/libcgihead.la shim/libnative.la
shim_libcgihead_la_SOURCES = %D%/cgi_head.c %D%/cgi_head.h

# Applications in C.
shim_libnative_la_SOURCES = \
	%D%/native/env.c %D%/native/env.h \
	%D%/native/native.c %D%/native/native.h \
	%D%/native/streams.c %D%/native/streams.h
shim_libnative_la_LIBADD  = shim/libcgihead.la $(FCGI_LIBS)

# The example is a check module: built by `make check`, never installed.
check_LTLIBRARIES += shim/example/native_hello.la
shim_example_native_hello_la_SOURCES = %D%/example/native_hello.c
shim_example_native_hello_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
shim_example_native_hello_la_LIBADD  = $(FCGI_LIBS)

EXTRA_DIST += shim/example/passenger_wsgi.py shim/example/gangway.ini
