/*
 * The folder we are in, under the name that it was entered by.
 */
#ifndef FCGI_CWD_H
#define FCGI_CWD_H

/* As $PWD has it, links kept, where that is this folder; else as the kernel
 * has it. To be freed; NULL with errno. */
char	*cwd_name(void);

#endif
