# Parsers of outside bytes. A fuzz target is an ordinary test too: it replays
# its corpus, t/corpus/NAME.
C_TESTS += t/fuzz/cgi_head.t t/fuzz/chunks.t t/fuzz/fastcgi.t t/fuzz/http.t \
	t/fuzz/http_head.t t/fuzz/ini.t t/fuzz/passenger.t t/fuzz/record.t

t_fuzz_record_t_SOURCES     = %D%/record.c %D%/replay.c
t_fuzz_record_t_CPPFLAGS    = $(AM_CPPFLAGS) -DCORPUS='"record"'
t_fuzz_record_t_LDADD       = $(TAP) fcgi/libwire.la
t_fuzz_http_head_t_SOURCES  = %D%/http_head.c %D%/replay.c
t_fuzz_http_head_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"http_head"'
t_fuzz_http_head_t_LDADD    = $(TAP) fcgi/libwire.la
t_fuzz_chunks_t_SOURCES     = %D%/chunks.c %D%/replay.c
t_fuzz_chunks_t_CPPFLAGS    = $(AM_CPPFLAGS) -DCORPUS='"chunks"'
t_fuzz_chunks_t_LDADD       = $(TAP) fcgi/libwire.la
t_fuzz_cgi_head_t_SOURCES   = %D%/cgi_head.c %D%/replay.c
t_fuzz_cgi_head_t_CPPFLAGS  = $(AM_CPPFLAGS) -DCORPUS='"cgi_head"'
t_fuzz_cgi_head_t_LDADD     = $(TAP) shim/libcgihead.la
t_fuzz_ini_t_SOURCES        = %D%/ini.c %D%/replay.c
t_fuzz_ini_t_CPPFLAGS       = $(AM_CPPFLAGS) -DCORPUS='"ini"'
t_fuzz_ini_t_LDADD          = $(TAP) conf/libconf.la
t_fuzz_fastcgi_t_SOURCES    = %D%/fastcgi.c %D%/session.h \
	%D%/replay.c
t_fuzz_fastcgi_t_CPPFLAGS   = $(AM_CPPFLAGS) -DCORPUS='"fastcgi"'
t_fuzz_fastcgi_t_LDADD      = $(TAP) $(REQUEST_LIBS)
t_fuzz_http_t_SOURCES       = %D%/http.c %D%/session.h \
	%D%/replay.c
t_fuzz_http_t_CPPFLAGS      = $(AM_CPPFLAGS) -DCORPUS='"http"'
t_fuzz_http_t_LDADD         = $(TAP) $(REQUEST_LIBS)

t_fuzz_passenger_t_SOURCES  = %D%/passenger.c %D%/session.h \
	%D%/replay.c
t_fuzz_passenger_t_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"passenger"'
t_fuzz_passenger_t_LDADD    = $(TAP) $(REQUEST_LIBS)

# Under --enable-fuzz the same targets are fuzzers: t/fuzz/record CORPUS...
FUZZERS = t/fuzz/record t/fuzz/http_head t/fuzz/chunks t/fuzz/cgi_head \
	t/fuzz/ini t/fuzz/fastcgi t/fuzz/http t/fuzz/passenger
if FUZZ
EXTRA_PROGRAMS += $(FUZZERS)
t_fuzz_record_SOURCES    = %D%/record.c
t_fuzz_record_LDADD      = fcgi/libwire.la
t_fuzz_record_LDFLAGS    = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_http_head_SOURCES = %D%/http_head.c
t_fuzz_http_head_LDADD   = fcgi/libwire.la
t_fuzz_http_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_chunks_SOURCES    = %D%/chunks.c
t_fuzz_chunks_LDADD      = fcgi/libwire.la
t_fuzz_chunks_LDFLAGS    = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_cgi_head_SOURCES  = %D%/cgi_head.c
t_fuzz_cgi_head_LDADD    = shim/libcgihead.la
t_fuzz_cgi_head_LDFLAGS  = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_ini_SOURCES       = %D%/ini.c
t_fuzz_ini_LDADD         = conf/libconf.la
t_fuzz_ini_LDFLAGS       = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_fastcgi_SOURCES   = %D%/fastcgi.c %D%/session.h
t_fuzz_fastcgi_LDADD     = $(REQUEST_LIBS)
t_fuzz_fastcgi_LDFLAGS   = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_http_SOURCES      = %D%/http.c %D%/session.h
t_fuzz_http_LDADD        = $(REQUEST_LIBS)
t_fuzz_http_LDFLAGS      = $(AM_LDFLAGS) -fsanitize=fuzzer
t_fuzz_passenger_SOURCES = %D%/passenger.c %D%/session.h
t_fuzz_passenger_LDADD   = $(REQUEST_LIBS)
t_fuzz_passenger_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

# Each fuzzer for FUZZ_SECONDS; findings go to fuzz-out/.
fuzz: $(FUZZERS)
	@for f in $(FUZZERS); do n=$${f#t/fuzz/}; \
	  $(MKDIR_P) fuzz-out/$$n && echo "== $$n" && \
	  $$f -max_total_time=$${FUZZ_SECONDS:-10} -print_final_stats=1 \
	    -artifact_prefix=fuzz-out/$$n- fuzz-out/$$n \
	    $(top_srcdir)/t/corpus/$$n || exit 1; done
.PHONY: fuzz
