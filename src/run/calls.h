/* What a guest asks its host for: the operations of guest/hostcalls.def, and the messages of a call and its reply.
 *
 * Thread rule: the first two are called by the task's worker, without the run's lock; the rest by its worker. */
#ifndef RUN_CALLS_H
#define RUN_CALLS_H

#include "base/buffer.h"
#include "base/json.h"
#include "run/outcome.h"
#include <stdint.h>

struct task;

/* For struct sandbox_host; user is the task. */
int32_t calls_submit(void *task, uint32_t op, const json_value *header, const char *body, size_t body_n);
void calls_cancel(void *task, uint32_t op);

/* Answers an operation that didn't begin, by an error. What op_submit returns. */
int32_t calls_refuse(struct task *t, uint32_t op, enum outcome_type type, const char *why);

/* The header of the message that starts an attempt. */
int call_write_header(const struct task *t, struct buffer *to);
/* The reply to the caller of a task that ended well, or with a failure: a message, malloc'd; NULL if there's no memory. */
char *call_success(const struct task *t, size_t *ret_n);
char *call_failure(const struct task *t, size_t *ret_n);

#endif
