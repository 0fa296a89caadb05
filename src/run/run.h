/* A run: its tasks, its queue, its times and its events. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "capsule.h"
#include "run/app.h"
#include "run/record.h"
#include "run/task.h"
#include "run/timers.h"
#include "run/waits.h"
#include <pthread.h>
#include <stdatomic.h>

enum { RUN_ID_MAX = JOURNAL_RUN_ID_MAX, RUN_WORDS_MAX = 256 };

/* A run that takes longer looks for signals and requests to cancel it. */
#define RUN_WATCH_AFTER_NS (100 * NS_PER_MS)
/* One that takes longer still keeps a copy of its image, which the cache may drop. */
#define RUN_KEEP_IMAGE_AFTER_NS (1 * NS_PER_S)

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
    struct worker *driver;       /* of the thread in capsule_run_wait, while that executes */
    _Atomic int wake_fd;         /* its eventfd, for capsule_run_cancel; -1 otherwise */
    atomic_bool cancelled, left; /* left: to be resumed by somebody */
    bool waited;

    struct capsule_run *next; /* in the scheduler's list, under its lock */
    _Atomic unsigned helpers; /* that are at work here; counted up under the scheduler's lock, down under ours */

    pthread_mutex_t lock; /* for all below, and for the tasks */
    uint64_t deadline;    /* monotonic ns; UINT64_MAX: none */
    struct task *root;
    struct task *queue, *queue_last;
    _Atomic unsigned queue_n; /* also read without the lock */
    struct timers timers;
    struct waits waits;
    struct record record;
    uint64_t suspend_after; /* ns; UINT64_MAX: never */
    uint64_t began;         /* to be executed here, monotonic ns */
    bool image_kept;
    bool suspended; /* it waits without a process; its tasks are gone without having ended */
    char waits_for[RUN_WORDS_MAX];
    bool listed; /* in the scheduler's list */
    bool driver_sleeps;
    uint64_t driver_until; /* monotonic ns */
    unsigned live_n;       /* tasks that haven't ended */
    unsigned restoring_n;  /* tasks of a resumed run that are still being replayed */
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

/* A new id: a UUID of version 7. */
void run_new_id(char ret[RUN_ID_MAX + 1]);

/* Puts on record that it waits, and ends its tasks here. The lock is held. */
void run_suspend(struct capsule_run *run, uint64_t wake, const char *waits_for);

/* Ends its tasks here, but not on record. The lock is held. */
void run_leave(struct capsule_run *run);

/* Appends the task's {"run_id", "task_name", "state", …}, which is "execution" in the envelope and in a TaskError. */
int run_write_execution(const struct capsule_run *run, const struct task *t, struct buffer *to);

#endif
