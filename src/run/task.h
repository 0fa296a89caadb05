/* One task of a run: a call of a function, over all of its attempts, each in a sandbox of its own.
 *
 * States: created → running → completed | failed | timed_out | cancelled. A task's children end before it does: when an attempt is over, whatever ended
 * it, it's *closing*: its children are stopped and its HTTP requests ended; when the last of them is gone its sandbox is closed, and the task ends or
 * tries again.
 *
 * Thread rule: run->lock guards everything here. A TASK_RUNNING task belongs to the worker that took it from the queue, which lets go of the
 * lock while its guest runs and while its sandbox is opened or closed; others may then only call task_stop on it and give it children. */
#ifndef RUN_TASK_H
#define RUN_TASK_H

#include "base/buffer.h"
#include "capsule.h"
#include "run/app.h"
#include "run/outcome.h"
#include "run/timers.h"
#include "sandbox/sandbox.h"
#include <stdbool.h>
#include <stdint.h>

/* How deep calls may nest, and how many tasks of a run may be alive at once. Reaching either is a `policy` error for the caller. */
enum { TASK_DEPTH_MAX = 128, TASKS_ALIVE_MAX = 100000 };

/* Backoff between attempts: doubling from the first to the last, half of it random. */
#define TASK_BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define TASK_BACKOFF_LAST_NS (10 * NS_PER_S)
/* How often a task asks again when all sandboxes are in use, and how long none may have become free before that's an error. */
#define TASK_STARVED_POLL_NS (2 * NS_PER_MS)
#define TASK_STARVED_MAX_NS (10 * NS_PER_S)
/* Bytes of the list of HTTP requests that a task's "execution" tells. */
enum { TASK_REQUESTS_MAX = 256 * 1024 };

enum task_phase {
    TASK_READY,   /* in the run's queue */
    TASK_RUNNING, /* a worker has it */
    TASK_WAITING, /* parked, between two attempts, for a sandbox, or closing while children or requests are left */
    TASK_ENDED
};

struct worker;
struct history_task;
struct http_session;
struct send;

struct task {
    struct capsule_run *run;
    const struct app_task *definition;
    struct task *parent, *children, *sibling_previous, *sibling_next;
    uint32_t parent_op;        /* the operation of the parent's sandbox that this task answers */
    uint32_t id, depth, calls; /* calls: children ever, for their keys */
    char *key;                 /* idempotency key: the run's id and the path of call numbers */
    char *body;                /* [args, kwargs] */
    size_t body_n;
    bool tagged;

    capsule_state state;
    enum task_phase phase;
    struct task *queue_next;
    struct timer timer;

    /* Of a resumed run, what is on record of this task, else NULL; the attempt whose tape is replayed (0: none) and how much output is left out meanwhile,
     * since it was written then. */
    const struct history_task *past;
    uint32_t replayed;
    uint64_t silent[2];
    bool restoring; /* counted in run->restoring_n */

    uint32_t attempt;        /* from 1 once it runs */
    uint64_t began;          /* of the attempt: wall clock, whole µs in ns */
    bool begun;              /* the attempt has, though it may not have a sandbox yet */
    bool held;               /* its start waits for the record */
    struct sandbox *sandbox; /* of the running attempt; NULL between attempts */
    struct http_session *http;
    uint32_t http_open;              /* operations that src/net hasn't answered */
    struct send *sends, *sends_last; /* operations that wait for the record, in order */
    uint32_t waits_n, deferred_n;    /* in the run's lists (waits.h, record.h) */
    struct mount_table mounts;
    uint64_t created, deadline; /* monotonic ns; UINT64_MAX: none */
    uint64_t starved_since;     /* it waits for a sandbox; 0: it doesn't */
    uint64_t starved_closed;    /* sandboxes closed when starved_since was set */

    /* Why the attempt is to end, if somebody wants that: OUTCOME_OK for no, and in words. final: no further attempt. */
    enum outcome_type stop;
    const char *stop_text;
    bool final, closing;

    struct outcome outcome;
    uint64_t duration;  /* from created to its end, ns */
    uint64_t fuel, ram; /* all ended attempts; the largest */
    struct buffer
        requests; /* records of its HTTP requests, and of tasks that it called, as JSON with commas between */
    uint32_t requests_n, requests_omitted;
};

/* Copies body. Not known to the run yet: the lock needn't be held. past: what is on record of it, NULL if it's new. */
int task_new(struct capsule_run *run, const struct app_task *definition, struct task *parent, const char *body,
             size_t body_n, bool tagged, const struct history_task *past, struct task **ret, struct error *err);
/* Makes it one of the run's tasks. False, and *ret_why in words, if the run may have no more; it's the caller's to free then. */
bool task_admit(struct task *t, const char **ret_why);
void task_free(struct task *t);

/* What follows is called with the lock held. */

/* Uses one slice, or goes on with closing. t is TASK_RUNNING; the lock is let go of meanwhile. A task other than the root may have been freed afterwards. */
void task_step(struct task *t, struct worker *w);
/* Its timer has fired. */
void task_wake(struct task *t, uint64_t now);
/* Ends it soon, children first; final: without another attempt. text is static. */
void task_stop(struct task *t, enum outcome_type type, const char *text, bool final);
/* Queues it if it waits and what it waits for has come. */
void task_go_on(struct task *t, bool by_worker);
/* What it waited for is on record. */
void task_recorded(struct task *t);

#endif
