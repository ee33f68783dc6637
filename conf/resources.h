/*
 * What this process may use of its machine, and how many workers that is.
 */
#ifndef CONF_RESOURCES_H
#define CONF_RESOURCES_H

struct resources {
	long		 cpus;
	const char	*cpus_why;	/* "affinity" or "cgroup quota" */
	long		 memory_mb;	/* 0: unknown */
	const char	*memory_why;	/* "machine" or "cgroup limit" */
};

/* Look at the CPU affinity, the cgroups (version 1 and 2, and those above
 * them) and the memory. `root` is put before /proc and /sys: "" but in
 * tests. Always finds one CPU at least. */
void	 resources_find(struct resources *, const char *root);
/* Workers for a class. *reason (to be freed; may be NULL) is a sentence for
 * the person who wonders. */
long	 resources_workers(const struct resources *, const char *worker_class,
	    char **reason);

#endif
