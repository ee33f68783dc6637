# What it costs beside its peers; BENCH=--quick for a look.
BENCHES = t/bench/limit$(EXEEXT) t/bench/fcgiload$(EXEEXT) \
	t/bench/libfcgi_loop$(EXEEXT) t/bench/native_hello.la
EXTRA_PROGRAMS += t/bench/limit t/bench/fcgiload t/bench/libfcgi_loop
EXTRA_LTLIBRARIES = t/bench/native_hello.la
BENCH_WHERE = %D%/where.c %D%/where.h
t_bench_limit_SOURCES    = %D%/limit.c $(BENCH_WHERE)
t_bench_limit_LDADD      = $(BSD_LIBS)
t_bench_fcgiload_SOURCES = %D%/fcgiload.c $(BENCH_WHERE)
t_bench_fcgiload_LDADD   = $(BSD_LIBS)
t_bench_libfcgi_loop_SOURCES = %D%/libfcgi_loop.c
t_bench_libfcgi_loop_LDADD   = $(FCGI_LIBS) -lpthread -ldl
t_bench_native_hello_la_SOURCES = %D%/native_hello.c
t_bench_native_hello_la_LDFLAGS = $(AM_LDFLAGS) -module -shared \
	-avoid-version -rpath /nowhere
t_bench_native_hello_la_LIBADD  = $(FCGI_LIBS)
if PYTHON
BENCHES += t/bench/limitpy$(EXEEXT)
EXTRA_PROGRAMS += t/bench/limitpy
t_bench_limitpy_SOURCES = %D%/limitpy.c
t_bench_limitpy_CFLAGS  = $(AM_CFLAGS) $(PYTHON_CFLAGS)
t_bench_limitpy_LDADD   = $(PYTHON_LIBS)
endif
CLEANFILES += $(EXTRA_PROGRAMS)
bench: all $(BENCHES)
	$(AM_TESTS_ENVIRONMENT) \
	    /usr/bin/python3 $(top_srcdir)/t/bench/run $(BENCH)
.PHONY: bench
