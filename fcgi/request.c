#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/request.h"

enum { KEEP_OUT = 32 * 1024 };	/* larger buffers are not kept for reuse */

struct request *
request_take(struct request_pool *pool)
{
	struct request *rq = pool->head;

	if (rq != NULL) {
		pool->head = rq->next;
		pool->n--;
	} else {
		if ((rq = malloc(sizeof(*rq))) == NULL)
			return NULL;
		memset(rq, 0, offsetof(struct request, inline_arena));
		rq->arena = rq->inline_arena;
		rq->arena_cap = sizeof(rq->inline_arena);
		rq->vars = rq->inline_vars;
		rq->vars_cap = REQUEST_VARS;
		body_init(&rq->body);
	}
	rq->next = NULL;
	return rq;
}

/* Back to the state of a new one, keeping what is cheap to keep. */
static void
request_reset(struct request *rq)
{
	struct buffer out = rq->rs.out, log = rq->rs.log;

	if (rq->arena != rq->inline_arena) {
		free(rq->arena);
		rq->arena = rq->inline_arena;
		rq->arena_cap = sizeof(rq->inline_arena);
	}
	if (rq->vars != rq->inline_vars) {
		free(rq->vars);
		rq->vars = rq->inline_vars;
		rq->vars_cap = REQUEST_VARS;
	}
	if (rq->body.p != NULL || rq->body.fd != -1)
		body_free(&rq->body);
	else
		body_init(&rq->body);
	if (rq->params.cap > KEEP_OUT)
		buffer_free(&rq->params);
	if (out.cap > KEEP_OUT)
		buffer_free(&out);
	if (log.cap > KEEP_OUT)
		buffer_free(&log);
	out.n = log.n = rq->params.n = 0;
	rq->rs = (struct response){ .out = out, .log = log };
	rq->pub = (struct app_request){ 0 };
	rq->conn = NULL;
	rq->sibling = NULL;
	rq->abandoned = rq->on_wire = rq->whole = false;
	rq->keep = rq->head_only = false;
	rq->late = false;
	/* Nobody else has it: without the fences of plain assignments. */
	atomic_store_explicit(&rq->answered, false, memory_order_relaxed);
	atomic_store_explicit(&rq->gone, false, memory_order_relaxed);
	atomic_store_explicit(&rq->draining, false, memory_order_relaxed);
	atomic_store_explicit(&rq->over, false, memory_order_relaxed);
	rq->id = rq->minor = 0;
	rq->nvars = rq->arena_used = 0;
	atomic_store_explicit(&rq->state, REQUEST_READING,
	    memory_order_relaxed);
}

static void
request_free(struct request *rq)
{
	buffer_free(&rq->rs.out);
	buffer_free(&rq->rs.log);
	buffer_free(&rq->params);
	free(rq);
}

void
request_put(struct request_pool *pool, struct request *rq)
{
	if (rq->body.cap >= BODY_WINDOW || rq->rs.out.cap >= BODY_WINDOW)
		pool->large = true;
	request_reset(rq);
	if (pool->n >= REQUEST_POOL) {
		request_free(rq);
		return;
	}
	rq->next = pool->head;
	pool->head = rq;
	pool->n++;
}

void
request_pool_done(struct request_pool *pool)
{
	struct request *rq;

	while ((rq = pool->head) != NULL) {
		pool->head = rq->next;
		request_free(rq);
	}
	pool->n = 0;
}

int
request_reserve(struct request *rq, size_t n)
{
	char *p;

	if (n <= rq->arena_cap)
		return 0;
	if (n > REQUEST_ARENA_MAX || (p = malloc(n)) == NULL)
		return -1;
	rq->arena = p;
	rq->arena_cap = n;
	return 0;
}

char *
request_mem(struct request *rq, size_t n)
{
	char *p = rq->arena + rq->arena_used;

	assert(n <= rq->arena_cap - rq->arena_used);
	rq->arena_used += n;
	return p;
}

int
request_vars_grow(struct request *rq)
{
	struct var *v;

	if (rq->vars_cap >= REQUEST_VARS_MAX)
		return -1;
	if ((v = malloc(REQUEST_VARS_MAX * sizeof(*v))) == NULL)
		return -1;
	memcpy(v, rq->vars, rq->nvars * sizeof(*v));
	rq->vars = v;
	rq->vars_cap = REQUEST_VARS_MAX;
	return 0;
}

int
request_room(struct request *rq, size_t n)
{
	if (rq->nvars + n <= rq->vars_cap)
		return 0;
	return rq->nvars + n <= REQUEST_VARS_MAX ? request_vars_grow(rq) : -1;
}

struct var *
request_find(struct request *rq, const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].name.n == n &&
		    memcmp(rq->vars[i].name.p, name, n) == 0)
			return &rq->vars[i];
	return NULL;
}

struct str
request_value(struct request *rq, enum var_id id)
{
	size_t i;

	for (i = 0; i < rq->nvars; i++)
		if (rq->vars[i].id == id)
			return rq->vars[i].value;
	return STR("");
}
