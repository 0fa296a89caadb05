/* The scheduler: which thread gives which task its next slice.
 *
 * M:N. A run's tasks stand in one queue, first come, first served; a task that used up its slice goes to the end. They're executed by the thread that
 * waits for the run (its driver) and by helper threads, which all runs of a runtime share and which are started when a run first has more to do than
 * its driver can. A task that waits holds no thread. The driver keeps the run's times: deadlines, ends of sleeps, next attempts.
 *
 * A worker that puts a task into an empty queue wakes nobody, since it will come back for it within a slice; so a call of a task and its return stay on
 * one thread.
 *
 * Locks: run->lock guards the queue, the timers and all tasks of the run; scheduler->lock the list of runs. The second may be taken inside the first.
 */
#ifndef RUN_SCHEDULER_H
#define RUN_SCHEDULER_H

#include "base/error.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct capsule_run;
struct capsule_runtime;
struct task;
struct timer;

enum { SCHEDULER_JOBS_MAX = 256 };

struct scheduler {
    struct capsule_runtime *runtime;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct capsule_run *runs; /* that have had work for helpers */
    unsigned helpers_max, helpers_n;
    pthread_t helpers[SCHEDULER_JOBS_MAX];
    atomic_bool can_start;   /* another helper */
    _Atomic unsigned idle_n; /* helpers that wait and haven't been called */
    unsigned called;         /* calls that no helper has heard yet */
    bool closing;
};

/* jobs: threads at most for one run, its own included; 0: as many as this process may use cores. */
void scheduler_init(struct scheduler *s, struct capsule_runtime *runtime, unsigned jobs);
/* Ends the helpers. No run is being executed any more. */
void scheduler_done(struct scheduler *s);

/* Executes a run that has a root, on this thread and on helpers, until its root has ended. */
int scheduler_execute(struct scheduler *s, struct capsule_run *run, struct error *err);

/* The rest with run->lock held. */

/* Makes a task TASK_READY and puts it at the queue's end. by_worker: the calling thread is executing tasks of this run. */
void scheduler_enqueue(struct task *t, bool by_worker);
/* Sets when a task's task_wake or a wait's waits_fire is to be called (monotonic ns, UINT64_MAX: never). */
void scheduler_set_timer(struct capsule_run *run, struct timer *timer, uint64_t at);
/* The driver should look at the run again: its root has ended. */
void scheduler_wake_driver(struct capsule_run *run);

#endif
