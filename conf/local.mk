noinst_LTLIBRARIES += conf/libconf.la
conf_libconf_la_SOURCES = %D%/settings.c %D%/settings.h %D%/settings.def
conf_libconf_la_LIBADD  = $(INIH_LIBS) $(BSD_LIBS)
