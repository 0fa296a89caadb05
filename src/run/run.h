/* A run: its tasks, its queue and its events. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "capsule.h"
#include "run/app.h"
#include "run/task.h"
#include <stdatomic.h>

enum { RUN_ID_MAX = 128 };

struct worker;

struct capsule_run {
    struct capsule_app *app;
    char id[RUN_ID_MAX + 1];
    uint64_t timeout, deadline;
    capsule_event_callback on_event;
    void *user;

    struct worker *worker; /* while capsule_run_wait executes */
    _Atomic int wake_fd;   /* its eventfd, for capsule_run_cancel; -1 outside of capsule_run_wait */
    atomic_bool cancelled;
    bool waited;

    struct task *root;
    struct task *live; /* all that haven't ended */
    unsigned live_n;
    uint32_t tasks_ever;
    struct task *queue, *queue_last;
    char *traceback, *envelope;
};

/* Makes a task TASK_READY and puts it at the queue's end; nothing if it's there. */
void run_enqueue(struct capsule_run *run, struct task *t);
void run_dequeue(struct capsule_run *run, struct task *t);
/* Tells the embedder. delay: of a retry. */
void run_state_event(const struct capsule_run *run, const struct task *t);
void run_retry_event(const struct capsule_run *run, const struct task *t, uint64_t delay);
void run_output_event(const struct capsule_run *run, const struct task *t, int stream, const void *bytes,
                      size_t n);

/* Appends the task's {"run_id", "task_name", "state", …}, which is "execution" in the envelope and in a TaskError. */
int run_write_execution(const struct capsule_run *run, const struct task *t, struct buffer *to);

#endif
