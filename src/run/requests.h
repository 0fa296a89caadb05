/* A task's HTTP requests: between its guest's operations and src/net.
 *
 * An attempt has one session, opened with its first request and closed when the attempt is over; the task waits until it's gone.
 * Thread rule: requests_submit is called by the task's worker, without the run's lock. */
#ifndef RUN_REQUESTS_H
#define RUN_REQUESTS_H

#include "base/json.h"
#include "net/http.h"
#include <stdint.h>

struct task;

/* Adds what a task that has ended requested to its caller's list. The lock is held. */
void requests_hand_up(const struct task *t);

int32_t requests_submit(struct task *t, uint32_t op, const json_value *header, const char *body, size_t body_n);

#endif
