/*
 * Loaded before libc (LD_PRELOAD) into the server under test: the n-th call
 * of some functions fails. What and when is in a file that T_FAULTS names,
 * mapped by all its processes and written by t/long/faults.py.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	MALLOC = 1, CALLOC = 2, REALLOC = 4, ACCEPT = 8, FORK = 16, SEND = 32,
	FCNTL = 64, PWRITE = 128, RECVMSG = 256, THREAD = 512, SENDFILE = 1024
};

static struct faults {
	_Atomic int	 mask;		/* of these functions */
	_Atomic int	 left;		/* calls until one fails */
	_Atomic int	 times;		/* how many then do */
	_Atomic int	 error;		/* errno, or 0: the usual one */
	_Atomic int	 pid;		/* only there, or 0: everywhere */
	_Atomic int	 hit;		/* how many did */
	_Atomic int	 what;		/* which functions */
} *faults;

void	*__libc_malloc(size_t);
void	*__libc_calloc(size_t, size_t);
void	*__libc_realloc(void *, size_t);

__attribute__((constructor)) static void
open_faults(void)
{
	const char *path = getenv("T_FAULTS");
	void *p;
	int fd;

	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return;
	p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		faults = p;
}

static int
fails(int what, int usual)
{
	int left, error;

	if (faults == NULL || (faults->mask & what) == 0 ||
	    (faults->pid != 0 && faults->pid != getpid()))
		return 0;
	left = atomic_fetch_sub(&faults->left, 1);
	if (left > 1 || left <= 1 - faults->times)
		return 0;
	atomic_fetch_add(&faults->hit, 1);
	atomic_fetch_or(&faults->what, what);
	error = faults->error;
	errno = error != 0 ? error : usual;
	return 1;
}

#define NEXT(name) \
	static __typeof__(name) *next; \
	if (next == NULL) \
		next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void *
malloc(size_t n)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t m)
{
	return fails(CALLOC, ENOMEM) ? NULL : __libc_calloc(n, m);
}

void *
realloc(void *p, size_t n)
{
	return fails(REALLOC, ENOMEM) ? NULL : __libc_realloc(p, n);
}

int
accept4(int fd, struct sockaddr *restrict sa, socklen_t *restrict n,
    int flags)
{
	NEXT(accept4);

	return fails(ACCEPT, EMFILE) ? -1 : next(fd, sa, n, flags);
}

pid_t
fork(void)
{
	NEXT(fork);

	return fails(FORK, EAGAIN) ? -1 : next();
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	NEXT(send);

	return fails(SEND, ENOBUFS) ? -1 : next(fd, p, n, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	NEXT(sendmsg);

	return fails(SEND, ENOBUFS) ? -1 : next(fd, m, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *m, int flags)
{
	NEXT(recvmsg);

	return fails(RECVMSG, ENOMEM) ? -1 : next(fd, m, flags);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	NEXT(pwrite);

	return fails(PWRITE, ENOSPC) ? -1 : next(fd, p, n, at);
}

ssize_t
sendfile(int to, int from, off_t *at, size_t n)
{
	NEXT(sendfile);

	return fails(SENDFILE, EIO) ? -1 : next(to, from, at, n);
}

int
pthread_create(pthread_t *restrict id, const pthread_attr_t *restrict a,
    void *(*f)(void *), void *restrict arg)
{
	NEXT(pthread_create);

	return fails(THREAD, EAGAIN) ? EAGAIN : next(id, a, f, arg);
}

int
fcntl(int fd, int what, ...)
{
	NEXT(fcntl);
	va_list ap;
	void *arg;

	va_start(ap, what);
	arg = va_arg(ap, void *);
	va_end(ap);
	if ((what == F_DUPFD || what == F_DUPFD_CLOEXEC) &&
	    fails(FCNTL, EMFILE))
		return -1;
	return next(fd, what, arg);
}
