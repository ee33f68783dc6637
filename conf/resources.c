#include "config.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/resources.h"
#include "conf/why.h"

enum { MB = 1024 * 1024 };

/* The classes, what one worker of them is taken to need, and how many
 * workers suit the CPUs: times * cpus + plus. */
static const struct estimate {
	const char	*name;
	long		 mb, times, plus;
} estimates[] = {
	{ "sync",	100,	1,	0 },
	{ "gthread",	200,	2,	1 },
	{ "gevent",	150,	0,	2 },
	{ "eventlet",	150,	0,	2 },
	{ "asgi",	150,	0,	2 },
};

/* One line of a small file; NULL when it cannot be read. */
static char *
line_of(const char *root, const char *dir, const char *group,
    const char *file, char *buf, size_t size)
{
	char path[PATH_MAX];
	FILE *f;
	char *line;

	if (snprintf(path, sizeof(path), "%s%s%s/%s", root, dir, group,
	    file) >= (int)sizeof(path) || (f = fopen(path, "re")) == NULL)
		return NULL;
	line = fgets(buf, (int)size, f);
	fclose(f);
	return line;
}

/* A number, or -1 for "max" and for what cannot be read. */
static long
number_of(const char *root, const char *dir, const char *group,
    const char *file)
{
	char buf[64], *end;
	long n;

	if (line_of(root, dir, group, file, buf, sizeof(buf)) == NULL)
		return -1;
	n = strtol(buf, &end, 10);
	return end == buf ? -1 : n;
}

static void
limit_cpus(struct resources *r, long quota, long period)
{
	long cpus;

	if (quota <= 0 || period <= 0)
		return;
	cpus = quota / period + (quota % period != 0);
	if (cpus < r->cpus) {
		r->cpus = cpus;
		r->cpus_why = "cgroup quota";
	}
}

static void
limit_memory(struct resources *r, long bytes)
{
	long mb = bytes / MB;

	if (bytes > 0 && (r->memory_mb == 0 || mb < r->memory_mb)) {
		r->memory_mb = mb > 0 ? mb : 1;
		r->memory_why = "cgroup limit";
	}
}

static void
look_v2(struct resources *r, const char *root, const char *dir,
    const char *group)
{
	char buf[64];
	long quota, period;

	if (line_of(root, dir, group, "cpu.max", buf, sizeof(buf)) != NULL &&
	    sscanf(buf, "%ld %ld", &quota, &period) == 2)
		limit_cpus(r, quota, period);
	limit_memory(r, number_of(root, dir, group, "memory.max"));
}

static void
look_v1(struct resources *r, const char *root, const char *dir,
    const char *group)
{
	limit_cpus(r, number_of(root, dir, group, "cpu.cfs_quota_us"),
	    number_of(root, dir, group, "cpu.cfs_period_us"));
	limit_memory(r, number_of(root, dir, group,
	    "memory.limit_in_bytes"));
}

/* Look at a group and at all above it, for each of them limits us. Inside a
 * container the path may be the host's: then only its top is there. */
static void
look_up(struct resources *r, const char *root, const char *dir, char *group,
    void (*look)(struct resources *, const char *, const char *,
    const char *))
{
	char *slash;

	for (;;) {
		look(r, root, dir, group);
		if ((slash = strrchr(group, '/')) == NULL)
			return;
		*slash = '\0';
	}
}

/* One line of /proc/self/cgroup: "4:cpu,cpuacct:/a/b" or "0::/a/b". */
static void
look_at(struct resources *r, const char *root, char *line)
{
	static const char *const v1[] = {
		"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
		"/sys/fs/cgroup/memory"
	};
	char *kinds, *path, copy[PATH_MAX];
	size_t i;

	line[strcspn(line, "\n")] = '\0';
	if ((kinds = strchr(line, ':')) == NULL ||
	    (path = strchr(++kinds, ':')) == NULL)
		return;
	*path++ = '\0';
	if (*kinds == '\0') {
		snprintf(copy, sizeof(copy), "%s", path);
		look_up(r, root, "/sys/fs/cgroup/unified", copy, look_v2);
		look_up(r, root, "/sys/fs/cgroup", path, look_v2);
		return;
	}
	for (i = 0; i < sizeof(v1) / sizeof(v1[0]); i++) {
		if (strstr(kinds, i < 2 ? "cpu" : "memory") == NULL)
			continue;
		snprintf(copy, sizeof(copy), "%s", path);
		look_up(r, root, v1[i], copy, look_v1);
	}
}

static long
memory_of_machine(const char *root)
{
	char path[PATH_MAX], line[128];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemTotal: %ld kB", &kb) == 1)
			break;
	fclose(f);
	return kb > 0 ? kb / 1024 : 0;
}

static long
cpus_allowed(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
	/* more CPUs than the set can name, or no such call */
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? n : 1;
}

void
resources_find(struct resources *r, const char *root)
{
	char path[PATH_MAX], line[PATH_MAX + 64];
	FILE *f;

	r->cpus = cpus_allowed();
	r->cpus_why = "affinity";
	r->memory_mb = memory_of_machine(root);
	r->memory_why = "machine";
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		look_at(r, root, line);
	fclose(f);
}

long
resources_workers(const struct resources *r, const char *class,
    char **reason)
{
	const struct estimate *e = &estimates[1];
	const char *plural = r->cpus == 1 ? "" : "s", *least = "";
	long n, fit;
	size_t i;

	for (i = 0; i < sizeof(estimates) / sizeof(estimates[0]); i++)
		if (strcmp(estimates[i].name, class) == 0)
			e = &estimates[i];
	n = e->times * r->cpus + e->plus;
	if (n < 2) {
		n = 2;
		least = ", and two at least";
	}
	fit = r->memory_mb / e->mb;
	if (r->memory_mb > 0 && fit < n) {
		n = fit > 0 ? fit : 1;
		(void)why_set(reason, "memory is %ld MB (%s), %ld MB for each "
		    "%s worker", r->memory_mb, r->memory_why, e->mb, e->name);
	} else if (e->times == 0)
		(void)why_set(reason, "%s serves many connections in each",
		    e->name);
	else if (e->plus != 0)
		(void)why_set(reason, "%ld CPU%s (%s), %s takes %ld * %ld "
		    "+ %ld%s", r->cpus, plural, r->cpus_why, e->name,
		    e->times, r->cpus, e->plus, least);
	else
		(void)why_set(reason, "%ld CPU%s (%s), %s takes one for "
		    "each%s", r->cpus, plural, r->cpus_why, e->name, least);
	return n;
}
