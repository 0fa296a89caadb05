/* A task's HTTP requests: between its guest's operations and src/net.
 *
 * An attempt has one session, opened with its first request and closed when the attempt is over; the task waits until it's gone.
 * Thread rule: requests_submit is called by the task's worker, without the run's lock. */
#ifndef RUN_REQUESTS_H
#define RUN_REQUESTS_H

#include "base/json.h"
#include "net/http.h"
#include <stdbool.h>
#include <stdint.h>

struct history_task;
struct task;

/* Adds what a task that has ended requested to its caller's list; or what's on record of one (JSON objects with commas between). The lock is held. */
void requests_hand_up(const struct task *t);
void requests_take_over(struct task *t, const char *requests);

/* What a resumed task requested before, likewise. */
void requests_restore(struct task *t, const struct history_task *past);

/* One of the operations http.*; it goes out when everything before it is on record. */
int32_t requests_submit(struct task *t, uint32_t op, int operation, const json_value *header, const char *body,
                        size_t body_n);
/* Something has waited and is due. The lock is held. */
bool requests_due(const struct task *t);
/* Sends what has waited and is due. By the task's worker, without the lock; so is the next. */
void requests_send(struct task *t);
void requests_cancel(struct task *t, uint32_t op);
/* Forgets what hasn't been sent. The attempt is over. */
void requests_drop(struct task *t);

#endif
