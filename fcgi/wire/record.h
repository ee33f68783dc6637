/*
 * The FastCGI record and name-value codec (FastCGI specification 1.0,
 * sections 3.3, 3.4 and 8). No state, no I/O: bytes used, 0 for "more",
 * -1 for "bad"; outputs are written only on success.
 */
#ifndef FCGI_WIRE_RECORD_H
#define FCGI_WIRE_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fcgi/app.h"

enum record_type {
	RECORD_BEGIN_REQUEST = 1, RECORD_ABORT_REQUEST, RECORD_END_REQUEST,
	RECORD_PARAMS, RECORD_STDIN, RECORD_STDOUT, RECORD_STDERR,
	RECORD_DATA, RECORD_GET_VALUES, RECORD_GET_VALUES_RESULT,
	RECORD_UNKNOWN_TYPE
};

enum {
	RECORD_HEADER = 8,
	RECORD_CONTENT_MAX = 65535,
	RECORD_OUT_MAX = 65528,		/* what we send: no padding needed */
	RECORD_KEEP_CONN = 1,		/* BEGIN_REQUEST flag */
	RECORD_RESPONDER = 1, RECORD_AUTHORIZER = 2, RECORD_FILTER = 3,
	RECORD_REQUEST_COMPLETE = 0, RECORD_CANT_MPX_CONN = 1,
	RECORD_OVERLOADED = 2, RECORD_UNKNOWN_ROLE = 3
};

struct record {
	uint8_t		 type;		/* any value: unknown ones are legal */
	uint8_t		 padding;
	uint16_t	 id;		/* 0: management record */
	uint16_t	 length;	/* content bytes after the header */
};

/* Decode a header. 8, 0 (more), or -1 (version is not 1). */
ssize_t	 record_decode(struct record *, const uint8_t *p, size_t n);
/* Write a header (8 bytes). */
void	 record_encode(uint8_t *, enum record_type, uint16_t id,
	    uint16_t length, uint8_t padding);
/* BEGIN_REQUEST's body (8 bytes): role and flags. 8 or -1. */
ssize_t	 record_begin(uint16_t *role, uint8_t *flags, const uint8_t *,
	    size_t);
/* Write a whole END_REQUEST record (16 bytes). */
void	 record_end(uint8_t *, uint16_t id, uint32_t app_status,
	    uint8_t protocol_status);
/* Write a whole UNKNOWN_TYPE record (16 bytes). */
void	 record_unknown(uint8_t *, uint8_t type);

/* One name-value pair from a complete stream: bytes used, or -1 when the
 * lengths run past the end. Name and value point into p. */
ssize_t	 pair_decode(struct str *name, struct str *value, const uint8_t *p,
	    size_t n);
/* Append a pair; bytes used, or 0 when it does not fit. */
size_t	 pair_encode(uint8_t *, size_t cap, struct str name,
	    struct str value);
/* Answer the GET_VALUES stream p[0..n) with a whole GET_VALUES_RESULT
 * record: FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS, each at most
 * once. Bytes written into out, or -1 when the stream is bad. */
enum { VALUES_RESULT_MAX = 128 };
ssize_t	 values_answer(uint8_t out[VALUES_RESULT_MAX], const uint8_t *p,
	    size_t n, unsigned int max_conns, unsigned int max_reqs);

#endif
