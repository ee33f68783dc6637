/* A request's memory: variables, arena, reuse. Rows are sizes. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/request.h"
#include "t/lib/tap.h"

static struct request_pool pool;

static const struct {
	const char	*name;
	size_t		 n;
	int		 rc;
	bool		 in_place;
} arenas[] = {
	{ "nothing", 0, 0, true },
	{ "all in place", REQUEST_INLINE, 0, true },
	{ "a byte more", REQUEST_INLINE + 1, 0, false },
	{ "the most", REQUEST_ARENA_MAX, 0, false },
	{ "more than that", REQUEST_ARENA_MAX + 1, -1, true },
	{ "more than there are", SIZE_MAX, -1, true },
};

static const struct {
	const char	*name;
	size_t		 n, room;	/* variables, then room for more */
	int		 rc;
} vars[] = {
	{ "in place", REQUEST_VARS, 0, 0 },
	{ "one more", REQUEST_VARS + 1, 0, 0 },
	{ "room in place", REQUEST_VARS - 8, 8, 0 },
	{ "room beyond", REQUEST_VARS - 7, 8, 0 },
	{ "the most", REQUEST_VARS_MAX, 0, 0 },
	{ "room to the most", REQUEST_VARS_MAX - 8, 8, 0 },
	{ "room past the most", REQUEST_VARS_MAX - 7, 8, -1 },
	{ "room past the most, at once", 1, REQUEST_VARS_MAX, -1 },
	{ "more than the most", REQUEST_VARS_MAX + 1, 0, -1 },
};

static void
check_arena(size_t i)
{
	struct request *rq = request_take(&pool);
	int rc = request_reserve(rq, arenas[i].n);
	char *p = rq->arena;

	if (rc == 0 && arenas[i].n > 0) {
		p = request_mem(rq, arenas[i].n - 1);
		memset(p, 'x', arenas[i].n - 1);
		*request_mem(rq, 1) = 'y';
	}
	ok(rc == arenas[i].rc && p == rq->arena &&
	    (p == rq->inline_arena) == arenas[i].in_place,
	    "arena: %s", arenas[i].name);
	request_put(&pool, rq);
}

static void
check_vars(size_t i)
{
	struct request *rq = request_take(&pool);
	char names[REQUEST_VARS_MAX + 1][24];
	const struct var *v;
	bool found = true;
	size_t k;
	int rc = 0;

	for (k = 0; k < vars[i].n && rc == 0; k++) {
		snprintf(names[k], sizeof(names[k]), "V%zu", k);
		rc = request_var(rq, VAR_OTHER, str_of(names[k]), STR("v"));
	}
	if (rc == 0)
		rc = request_room(rq, vars[i].room);
	for (k = 0; k < rq->nvars; k++) {
		v = request_find(rq, names[k]);
		found = found && v == &rq->vars[k];
	}
	ok(rc == vars[i].rc && found && request_find(rq, "V") == NULL &&
	    rq->nvars + (rc == 0 ? vars[i].room : 0) <= rq->vars_cap,
	    "variables: %s", vars[i].name);
	request_put(&pool, rq);
}

/* A request that comes back is as good as new. */
static void
check_reuse(void)
{
	struct request *rq = request_take(&pool), *again;

	(void)request_reserve(rq, 10000);
	(void)request_mem(rq, 10000);
	(void)request_room(rq, 100);
	(void)request_var(rq, VAR_REQUEST_METHOD, STR("REQUEST_METHOD"),
	    STR("GET"));
	(void)body_add(&rq->body, "body", 4);
	(void)buffer_add(&rq->params, "params", 6, 100);
	(void)buffer_add(&rq->rs.out, "out", 3, 100);
	rq->keep = rq->head_only = rq->abandoned = rq->on_wire = true;
	rq->rs.ended = rq->pub.https = true;
	rq->gone = rq->whole = true;
	rq->id = 9;
	request_put(&pool, rq);
	again = request_take(&pool);
	ok(again == rq, "the last one back is the first to go");
	ok(rq->nvars == 0 && rq->arena_used == 0 && rq->body.total == 0 &&
	    rq->params.n == 0 && rq->rs.out.n == 0 && rq->id == 0,
	    "it holds nothing");
	ok(!rq->keep && !rq->head_only && !rq->abandoned && !rq->on_wire &&
	    !rq->gone && !rq->whole && !rq->rs.ended && !rq->pub.https,
	    "no mark is left");
	ok(rq->arena == rq->inline_arena && rq->vars == rq->inline_vars &&
	    rq->arena_cap == REQUEST_INLINE && rq->vars_cap == REQUEST_VARS &&
	    rq->body.fd == -1, "its memory is its own");
	request_put(&pool, rq);
}

static void
check_pool(void)
{
	struct request *rq[REQUEST_POOL + 5];
	size_t i;

	for (i = 0; i < REQUEST_POOL + 5; i++)
		rq[i] = request_take(&pool);
	ok(pool.n == 0 && pool.head == NULL, "all are out");
	for (i = 0; i < REQUEST_POOL + 5; i++)
		request_put(&pool, rq[i]);
	ok(pool.n == REQUEST_POOL, "only so many are kept");
	request_pool_done(&pool);
	ok(pool.n == 0 && pool.head == NULL, "and none in the end");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(arenas) / sizeof(arenas[0]); i++)
		check_arena(i);
	for (i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
		check_vars(i);
	check_reuse();
	check_pool();
	ok(str_is(STR("abc"), "abc") && !str_is(STR("abc"), "ab") &&
	    !str_is(STR("abc"), "abcd") && !str_is(STR("abc"), "ABC") &&
	    str_is_nocase(STR("aBc"), "AbC") &&
	    !str_is_nocase(STR("abc"), "abd"), "comparing text");
	return tap_done();
}
