/* Waiting that outlives a process: sleeps and signals, the operations "sleep" and "signal.wait" of guest/abi.h.
 *
 * Times are kept by the wall clock, since they must mean the same after a restart; within a process they're waited for by the monotonic one. Of a resumed
 * run nothing is waited for longer than was asked for, wherever the wall clock was put meanwhile.
 * Thread rule: under run->lock, but for what says otherwise. */
#ifndef RUN_WAITS_H
#define RUN_WAITS_H

#include "base/json.h"
#include "run/timers.h"
#include <stdbool.h>
#include <stdint.h>

struct capsule_run;
struct task;

/* A run that would have to wait for longer is suspended, unless its caller says otherwise. */
#define WAITS_SUSPEND_AFTER (60 * NS_PER_S)

struct wait {
    struct task *task;
    uint32_t op;
    uint32_t kind;  /* enum event_wait */
    uint64_t until; /* wall clock, ns since 1970; 0: for ever */
    struct timer timer;
    uint64_t order;               /* of a resumed one (history.h); UINT64_MAX */
    struct wait *previous, *next; /* all of the run's, in the order in which they began */
    char name[];                  /* of the signal */
};

struct waits {
    struct wait *first, *last;
    uint32_t n;
};

/* For calls_submit: by the task's worker, without the lock. What op_submit returns. */
int32_t waits_sleep(struct task *t, uint32_t op, const json_value *header);
int32_t waits_signal(struct task *t, uint32_t op, const json_value *header);
/* The guest wants it to end; false: it isn't a wait. */
bool waits_cancel(struct task *t, uint32_t op);
/* The attempt is over. */
void waits_forget(struct task *t);
/* Its time has come. */
void waits_fire(struct wait *w);
/* Signals may have come. Each is given to the wait for its name that began first; so of a resumed run none is, until all of its tasks are where they were
 * (capsule_run.restoring_n). */
void waits_signalled(struct capsule_run *run);

/* Whether nothing but waits is left to be done, and none of them ends, and no task runs out of time, before `after` ns from now. *ret_wake: when the first
 * of that happens (wall clock; 0: never), ret_words: what is waited for, in words. */
bool waits_only(struct capsule_run *run, uint64_t after, uint64_t *ret_wake, char *ret_words, size_t words_n);

#endif
