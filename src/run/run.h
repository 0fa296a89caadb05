/* A run: its tasks, its queue, its times and its events. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "capsule.h"
#include "run/app.h"
#include "run/task.h"
#include "run/timers.h"
#include <pthread.h>
#include <stdatomic.h>

enum { RUN_ID_MAX = 128 };

/* Bytes of the arguments of tasks that haven't ended, and of results that their callers haven't taken (of each caller), at most. */
#define RUN_ARGUMENTS_MAX (UINT64_C(1) << 30)
#define RUN_RESULTS_MAX (UINT64_C(1) << 30)

struct worker;

struct capsule_run {
    struct capsule_app *app;
    char id[RUN_ID_MAX + 1];
    uint64_t timeout;
    capsule_event_callback on_event;
    void *user;
    struct worker *driver; /* of the thread in capsule_run_wait, while that executes */
    _Atomic int wake_fd;   /* its eventfd, for capsule_run_cancel; -1 otherwise */
    atomic_bool cancelled;
    bool waited;

    struct capsule_run *next; /* in the scheduler's list, under its lock */
    _Atomic unsigned helpers; /* that are at work here; counted up under the scheduler's lock, down under ours */

    pthread_mutex_t lock; /* for all below, and for the tasks */
    uint64_t deadline;    /* monotonic ns; UINT64_MAX: none */
    struct task *root;
    struct task *queue, *queue_last;
    _Atomic unsigned queue_n; /* also read without the lock */
    struct timers timers;
    bool listed; /* in the scheduler's list */
    bool driver_sleeps;
    uint64_t driver_until; /* monotonic ns */
    unsigned live_n;       /* tasks that haven't ended */
    uint32_t tasks_ever;
    uint64_t arguments; /* bytes */
    char *traceback, *envelope;
};

/* Events, told with the lock held, which keeps them apart. */
void run_state_event(const struct capsule_run *run, const struct task *t);
void run_retry_event(const struct capsule_run *run, const struct task *t, uint64_t delay); /* ns until the next */
void run_output_event(const struct capsule_run *run, const struct task *t, int stream, const void *bytes,
                      size_t n);
void run_request_event(const struct capsule_run *run, const struct task *t, const struct http_record *record);

/* Appends the task's {"run_id", "task_name", "state", …}, which is "execution" in the envelope and in a TaskError. */
int run_write_execution(const struct capsule_run *run, const struct task *t, struct buffer *to);

#endif
