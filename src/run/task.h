/* One task of a run: a call of a function, over all of its attempts, each in a sandbox of its own.
 *
 * States: created → running → completed | failed | timed_out | cancelled. A task's children end before it does.
 * Owned by its run; used on the run's thread only. */
#ifndef RUN_TASK_H
#define RUN_TASK_H

#include "capsule.h"
#include "run/app.h"
#include "run/outcome.h"
#include "sandbox/sandbox.h"
#include <stdbool.h>
#include <stdint.h>

/* How deep calls may nest, and how many tasks of a run may be alive at once. Reaching either is a `policy` error for the caller. */
enum { TASK_DEPTH_MAX = 128, TASKS_ALIVE_MAX = 4096 };

/* Backoff between attempts: doubling from the first to the last, half of it random. */
#define TASK_BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define TASK_BACKOFF_LAST_NS (10 * NS_PER_S)

enum task_phase {
    TASK_READY,   /* in the run's queue: it has a slice to use */
    TASK_WAITING, /* parked, or between two attempts */
    TASK_ENDED
};

struct task {
    struct capsule_run *run;
    const struct app_task *definition;
    struct task *parent;
    uint32_t parent_op;        /* the operation of the parent's sandbox that this task answers */
    uint32_t id, depth, calls; /* calls: children ever, for their keys */
    char *key;                 /* idempotency key: the run's id and the path of call numbers */
    char *body;                /* [args, kwargs] */
    size_t body_n;
    bool tagged;

    capsule_state state;
    enum task_phase phase;
    uint32_t attempt;        /* from 1 once it runs */
    struct sandbox *sandbox; /* of the running attempt; NULL between attempts */
    struct mount_table mounts;
    uint64_t created, deadline, retry_at; /* monotonic ns; UINT64_MAX: none */
    uint64_t duration;                    /* from created to its end, ns */
    uint64_t fuel, ram;                   /* all ended attempts; the largest */
    struct outcome outcome;

    struct task *previous, *next;             /* in the run's list of live tasks */
    struct task *queue_previous, *queue_next; /* in its queue, while TASK_READY and queued */
    bool queued;
};

/* Copies body. */
int task_new(struct capsule_run *run, const struct app_task *definition, struct task *parent, const char *body,
             size_t body_n, bool tagged, struct task **ret, struct error *err);
void task_free(struct task *t);

/* Uses one slice: opens the sandbox of the first or next attempt if need be. t isn't queued. It may have been freed afterwards, as any
 * of its ancestors and descendants; a root never is. */
void task_step(struct task *t);
/* When something is to be done about it by itself: its deadline, the end of its wait or its next attempt. Monotonic ns. */
uint64_t task_wake_time(const struct task *t);
/* Does that: ends the attempt whose time is over, or queues a waiting task that can go on. Frees as task_step does. */
void task_wake(struct task *t, uint64_t now);
/* Ends the task, children first, without a further attempt. Frees as task_step does. */
void task_end(struct task *t, enum outcome_type type, const char *message);

#endif
