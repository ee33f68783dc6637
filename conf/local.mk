noinst_LTLIBRARIES += conf/libconf.la
conf_libconf_la_SOURCES = \
	%D%/environ.c %D%/environ.h \
	%D%/export.c %D%/export.h \
	%D%/flags.c %D%/flags.h \
	%D%/hosting.c %D%/hosting.h \
	%D%/inifile.c %D%/inifile.h \
	%D%/load.c %D%/load.h \
	%D%/print.c %D%/print.h \
	%D%/profile.c %D%/profile.h \
	%D%/resources.c %D%/resources.h \
	%D%/settings.c %D%/settings.h %D%/settings.def \
	%D%/settle.c %D%/settle.h \
	%D%/table.c %D%/table.h \
	%D%/value.c %D%/value.h \
	%D%/why.c %D%/why.h
conf_libconf_la_LIBADD  = $(INIH_LIBS) $(BSD_LIBS)
