/*
 * The folder we are in, and names that are counted from it.
 */
#ifndef FCGI_CWD_H
#define FCGI_CWD_H

/* As $PWD has it, links kept, where that is this folder; else as the kernel
 * has it. To be freed; NULL with errno. */
char	*cwd_name(void);
/* That file under its name from the root, with the folder as the kernel has
 * it: neither a chdir nor a link that is led elsewhere makes it another file.
 * To be freed; NULL with errno. */
char	*cwd_path(const char *path);
/* And back, for sun_path is short: the name of a file below this folder as
 * from here, another one as it is. Points into the argument. */
const char *cwd_below(const char *path);

#endif
