/* CPUs and memory, from made-up machines, and the workers they give. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/resources.h"
#include "t/lib/tap.h"

static const struct {
	const char	*class;
	long		 cpus, mb, workers;
	const char	*says;
} counts[] = {
	{ "sync",	4,	8000,	4,	"4 CPUs" },
	{ "gthread",	4,	8000,	9,	"2 * 4 + 1" },
	{ "gthread",	1,	8000,	3,	"1 CPU " },
	{ "gevent",	16,	8000,	2,	"gevent" },
	{ "eventlet",	16,	8000,	2,	"eventlet" },
	{ "asgi",	16,	8000,	2,	"asgi" },
	{ "sync",	1,	8000,	2,	"two at least" },
	{ "sync",	1,	150,	1,	"150 MB" },
	{ "gthread",	4,	700,	3,	"700 MB" },
	{ "gthread",	4,	1800,	9,	"2 * 4 + 1" },
	{ "gthread",	4,	1799,	8,	"1799 MB" },
	{ "gthread",	64,	10,	1,	"10 MB" },
	{ "gthread",	2,	0,	5,	"2 * 2 + 1" },
	{ "gevent",	2,	299,	1,	"299 MB" },
};

static void
test_counts(void)
{
	struct resources r = { .cpus_why = "affinity",
	    .memory_why = "machine" };
	char *why;
	size_t i;
	long n;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		why = NULL;
		r.cpus = counts[i].cpus;
		r.memory_mb = counts[i].mb;
		n = resources_workers(&r, counts[i].class, &why);
		if (!ok(n == counts[i].workers && why != NULL &&
		    strstr(why, counts[i].says) != NULL,
		    "%s on %ld CPUs and %ld MB", counts[i].class,
		    counts[i].cpus, counts[i].mb))
			printf("# %ld: %s\n", n, why != NULL ? why : "");
		free(why);
	}
}

/* Write a file and the directories above it. */
static void
put(const char *root, const char *path, const char *text)
{
	char full[512], *p;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (p = full + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		if (mkdir(full, 0700) == -1 && errno != EEXIST)
			perror(full);
		*p = '/';
	}
	if ((f = fopen(full, "w")) == NULL || fputs(text, f) == EOF ||
	    fclose(f) != 0)
		perror(full);
}

static int
take_away(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static const struct {
	const char	*name;
	const char	*files[8];	/* path, text, ... */
	long		 cpus;		/* 0: not limited */
	long		 mb;
} machines[] = {
	{ "no cgroups", { "/proc/meminfo", "MemTotal: 2048000 kB\n" },
	    0, 2000 },
	{ "nothing at all", { NULL }, 0, 0 },
	{ "v2", { "/proc/self/cgroup", "0::/a/b\n",
	    "/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n",
	    "/sys/fs/cgroup/a/b/memory.max", "104857600\n" }, 1, 100 },
	{ "v2, above", { "/proc/self/cgroup", "0::/a/b\n",
	    "/sys/fs/cgroup/a/cpu.max", "100000 100000\n",
	    "/sys/fs/cgroup/a/b/memory.max", "max\n",
	    "/sys/fs/cgroup/a/memory.max", "209715200\n" }, 1, 200 },
	{ "v2, the lower one inside", { "/proc/self/cgroup", "0::/a/b\n",
	    "/sys/fs/cgroup/a/b/memory.max", "104857600\n",
	    "/sys/fs/cgroup/a/memory.max", "209715200\n" }, 0, 100 },
	{ "v2, the lower one outside", { "/proc/self/cgroup", "0::/a/b\n",
	    "/sys/fs/cgroup/a/b/memory.max", "209715200\n",
	    "/sys/fs/cgroup/a/memory.max", "104857600\n" }, 0, 100 },
	{ "v2, container's top", { "/proc/self/cgroup", "0::/far/away\n",
	    "/sys/fs/cgroup/cpu.max", "100000 100000\n",
	    "/sys/fs/cgroup/memory.max", "314572800\n" }, 1, 300 },
	{ "v2, no limit", { "/proc/self/cgroup", "0::/\n",
	    "/sys/fs/cgroup/cpu.max", "max 100000\n",
	    "/sys/fs/cgroup/memory.max", "max\n",
	    "/proc/meminfo", "MemFree: 1 kB\nMemTotal: 1024000 kB\n" },
	    0, 1000 },
	{ "v1", { "/proc/self/cgroup", "4:cpu,cpuacct:/x\n3:memory:/x\n",
	    "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "100000\n",
	    "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n",
	    "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "104857600\n" },
	    1, 100 },
	{ "v1, no quota", { "/proc/self/cgroup", "4:cpu:/\n",
	    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n",
	    "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" }, 0, 0 },
	{ "rubbish", { "/proc/self/cgroup", "\n:::\nx\n0:\n0::/\n",
	    "/sys/fs/cgroup/cpu.max", "a b\n",
	    "/sys/fs/cgroup/memory.max", "\n" }, 0, 0 },
};

static void
test_machines(void)
{
	struct resources r, mine;
	char root[] = "/tmp/resources.XXXXXX";
	size_t i, j;

	resources_find(&mine, "");
	ok(mine.cpus >= 1 && mine.memory_mb > 0, "this machine");
	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		snprintf(root, sizeof(root), "/tmp/resources.XXXXXX");
		if (mkdtemp(root) == NULL)
			perror(root);
		for (j = 0; j < 8 && machines[i].files[j] != NULL; j += 2)
			put(root, machines[i].files[j],
			    machines[i].files[j + 1]);
		resources_find(&r, root);
		if (!ok(r.memory_mb == machines[i].mb &&
		    (machines[i].cpus != 0 ? r.cpus == machines[i].cpus :
		    r.cpus >= mine.cpus), "%s", machines[i].name))
			printf("# %ld CPUs, %ld MB\n", r.cpus, r.memory_mb);
		(void)nftw(root, take_away, 8, FTW_DEPTH | FTW_PHYS);
	}
}

int
main(void)
{
	test_counts();
	test_machines();
	return tap_done();
}
