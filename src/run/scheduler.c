/* Drivers, helpers, and how they wake each other. */
#include "run/scheduler.h"
#include "base/clock.h"
#include "base/fault.h"
#include "run/reopen.h"
#include "run/run.h"
#include "run/runtime.h"
#include "run/task.h"
#include "run/waits.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

/* After so many slices a helper looks whether another run needs it more. */
enum { HELPER_TURNS = 16 };

static void *help(void *scheduler);

/* ---- helpers ---- */

static unsigned usable_cores(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (unsigned)n : 1;
}

void scheduler_init(struct scheduler *s, struct capsule_runtime *runtime, unsigned jobs) {
    if (jobs == 0)
        jobs = usable_cores();
    s->runtime = runtime;
    s->helpers_max = (jobs < SCHEDULER_JOBS_MAX ? jobs : SCHEDULER_JOBS_MAX) - 1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    atomic_init(&s->idle_n, 0);
    atomic_init(&s->can_start, s->helpers_max > 0);
}

void scheduler_done(struct scheduler *s) {
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->helpers_n; i++)
        pthread_join(s->helpers[i], NULL);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
}

/* Signals are for the embedder's threads. A helper that can't be started is missed by nobody: the driver does its work. */
static void start_helper(struct scheduler *s) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!FAULT("scheduler.thread") && pthread_create(&s->helpers[s->helpers_n], NULL, help, s) == 0)
        s->helpers_n++;
    else
        s->helpers_max = s->helpers_n;
    atomic_store(&s->can_start, s->helpers_n < s->helpers_max);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Puts a run where helpers look for work. Only those that have some for them are there: a run of a single task takes no lock but its own. s->lock is
 * held. */
static void enlist(struct scheduler *s, struct capsule_run *run) {
    if (run->listed)
        return;
    run->listed = true;
    run->next = s->runs;
    s->runs = run;
}

/* The run has work for others: one more helper should look for it. run->lock is held. */
static void call_helper(struct scheduler *s, struct capsule_run *run) {
    if (atomic_load(&s->idle_n) == 0 && !atomic_load(&s->can_start) && run->listed)
        return;
    pthread_mutex_lock(&s->lock);
    enlist(s, run);
    if (atomic_load(&s->idle_n) > 0) {
        atomic_fetch_sub(&s->idle_n, 1);
        s->called++;
        pthread_cond_signal(&s->work);
    } else if (s->helpers_n < s->helpers_max) {
        start_helper(s);
    }
    pthread_mutex_unlock(&s->lock);
}

/* A run with work, NULL if there's none; it goes to the end of the list, so that all get their turn. s->lock is held. */
static struct capsule_run *pick_run(struct scheduler *s) {
    struct capsule_run **at = &s->runs;
    while (*at != NULL && atomic_load(&(*at)->queue_n) == 0)
        at = &(*at)->next;
    struct capsule_run *run = *at;
    if (run == NULL)
        return NULL;
    *at = run->next;
    while (*at != NULL)
        at = &(*at)->next;
    *at = run;
    run->next = NULL;
    atomic_fetch_add(&run->helpers, 1); /* keeps it from ending */
    return run;
}

/* Waits for a run with work; NULL: the runtime is being closed. */
static struct capsule_run *await_run(struct scheduler *s) {
    pthread_mutex_lock(&s->lock);
    struct capsule_run *run = NULL;
    while (!s->closing && (run = pick_run(s)) == NULL) {
        atomic_fetch_add(&s->idle_n, 1);
        /* Who puts a task into a queue after this sees idle_n; who did before it is seen now. */
        if ((run = pick_run(s)) != NULL) {
            atomic_fetch_sub(&s->idle_n, 1);
            break;
        }
        while (s->called == 0 && !s->closing)
            pthread_cond_wait(&s->work, &s->lock);
        if (s->called > 0)
            s->called--;
    }
    pthread_mutex_unlock(&s->lock);
    return run;
}

/* ---- queue; run->lock is held ---- */

static void wake_driver(struct capsule_run *run) {
    uint64_t one = 1;
    run->driver_sleeps = false;
    (void)!write(run->driver->wake_fd, &one, sizeof one);
}

void scheduler_wake_driver(struct capsule_run *run) {
    if (run->driver_sleeps)
        wake_driver(run);
}

void scheduler_enqueue(struct task *t, bool by_worker) {
    struct capsule_run *run = t->run;
    t->phase = TASK_READY;
    scheduler_set_timer(run, &t->timer, t->deadline);
    t->queue_next = NULL;
    if (run->queue_last != NULL)
        run->queue_last->queue_next = t;
    else
        run->queue = t;
    run->queue_last = t;
    unsigned n = atomic_fetch_add(&run->queue_n, 1) + 1;
    if (by_worker && n == 1)
        return;
    if (run->driver_sleeps)
        wake_driver(run);
    else
        call_helper(&run->app->runtime->scheduler, run);
}

static struct task *dequeue(struct capsule_run *run) {
    struct task *t = run->queue;
    if (t == NULL)
        return NULL;
    run->queue = t->queue_next;
    if (run->queue == NULL)
        run->queue_last = NULL;
    atomic_fetch_sub(&run->queue_n, 1);
    t->phase = TASK_RUNNING;
    return t;
}

void scheduler_set_timer(struct capsule_run *run, struct timer *timer, uint64_t at) {
    if (timer->at != at)
        timers_set(&run->timers, timer, at);
    if (run->driver_sleeps && at < run->driver_until)
        wake_driver(run);
}

static void fire_timers(struct capsule_run *run) {
    struct timer *t;
    if (run->timers.n == 0)
        return;
    uint64_t now = clock_monotonic_ns();
    while (timers_first(&run->timers, &t) <= now) {
        timers_set(&run->timers, t, UINT64_MAX);
        if (t->owner == TIMER_OF_WAIT)
            waits_fire((struct wait *)(void *)((char *)t - offsetof(struct wait, timer)));
        else
            task_wake((struct task *)(void *)((char *)t - offsetof(struct task, timer)), now);
    }
}

/* ---- helping ---- */

static void take_turns(struct capsule_run *run, struct worker *w) {
    pthread_mutex_lock(&run->lock);
    for (int i = 0; i < HELPER_TURNS; i++) {
        fire_timers(run);
        struct task *t = dequeue(run);
        if (t == NULL)
            break;
        task_step(t, w);
    }
    /* The driver may have been left asleep because this helper was about to come back for a task. */
    if (atomic_fetch_sub(&run->helpers, 1) == 1 || run->queue != NULL)
        scheduler_wake_driver(run);
    pthread_mutex_unlock(&run->lock);
}

static void *help(void *scheduler) {
    struct scheduler *s = scheduler;
    struct worker *w;
    if (runtime_take_worker(s->runtime, &w, NULL) != 0)
        return NULL;
    for (struct capsule_run *run; (run = await_run(s)) != NULL;)
        take_turns(run, w);
    runtime_put_worker(w);
    return NULL;
}

/* ---- driving ---- */

/* From now on no helper comes to it. */
static void delist(struct scheduler *s, struct capsule_run *run) {
    if (!run->listed)
        return;
    pthread_mutex_lock(&s->lock);
    struct capsule_run **at = &s->runs;
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    pthread_mutex_unlock(&s->lock);
}

/* Whether the run is to wait without a process from now on; its tasks are being ended then. */
static bool suspend(struct capsule_run *run) {
    char words[RUN_WORDS_MAX];
    uint64_t wake = 0;
    if (run->waits.n == 0 || run->record.run == NULL || run->suspend_after == UINT64_MAX ||
        !waits_only(run, run->suspend_after, &wake, words, sizeof words))
        return false;
    run_suspend(run, wake, words);
    return true;
}

/* What a run does once it has lived for a while, and short ones never need. */
static void settle_in(struct capsule_run *run) {
    if (run->record.run == NULL || run->image_kept || run->root->phase == TASK_ENDED)
        return;
    uint64_t age = clock_monotonic_ns() - run->began;
    if (age > RUN_WATCH_AFTER_NS)
        record_watch(run);
    if (age <= RUN_KEEP_IMAGE_AFTER_NS)
        return;
    run->image_kept = true;
    pthread_mutex_unlock(&run->lock);
    (void)app_keep_image(run->app, NULL); /* without it, the run depends on the cache */
    pthread_mutex_lock(&run->lock);
}

/* Sleeps until a time of the run's, until work comes, or until capsule_run_cancel. */
static void sleep_until_woken(struct capsule_run *run) {
    struct timer *first;
    uint64_t until = timers_first(&run->timers, &first);
    until = run->deadline < until ? run->deadline : until;
    if (run->record.run != NULL && !run->image_kept) { /* settle_in comes again */
        uint64_t soon = clock_monotonic_ns() + RUN_WATCH_AFTER_NS;
        until = soon < until ? soon : until;
    }
    run->driver_sleeps = true;
    run->driver_until = until;
    pthread_mutex_unlock(&run->lock);
    uint64_t now = clock_monotonic_ns(), ns = until > now ? until - now : 0, count;
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    struct pollfd wake = {.fd = run->driver->wake_fd, .events = POLLIN};
    if (ppoll(&wake, 1, until == UINT64_MAX ? NULL : &t, NULL) > 0)
        (void)!read(wake.fd, &count, sizeof count);
    pthread_mutex_lock(&run->lock);
    run->driver_sleeps = false;
}

static void end_if_told(struct capsule_run *run) {
    bool left = atomic_load_explicit(&run->left, memory_order_relaxed);
    if (left && run->record.run != NULL && !run->record.muted)
        run_leave(run);
    else if (left || atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        task_stop(run->root, OUTCOME_CANCELLED, "the run was cancelled", true);
    else if (run->deadline != UINT64_MAX && clock_monotonic_ns() >= run->deadline)
        task_stop(run->root, OUTCOME_TIMEOUT, "the run took longer than its timeout", true);
    else
        return;
    run->deadline = UINT64_MAX; /* once is enough */
}

static void drive(struct capsule_run *run) {
    pthread_mutex_lock(&run->lock);
    run_state_event(run, run->root);
    scheduler_enqueue(run->root, true);
    while (run->root->phase != TASK_ENDED) {
        end_if_told(run);
        fire_timers(run);
        struct task *t = dequeue(run);
        if (t != NULL)
            task_step(t, run->driver);
        else if (!suspend(run))
            sleep_until_woken(run);
        settle_in(run);
    }
    pthread_mutex_unlock(&run->lock);
}

static void await_helpers(struct capsule_run *run) {
    pthread_mutex_lock(&run->lock);
    run->deadline = UINT64_MAX;
    while (atomic_load(&run->helpers) > 0)
        sleep_until_woken(run);
    pthread_mutex_unlock(&run->lock);
}

int scheduler_execute(struct scheduler *s, struct capsule_run *run, struct error *err) {
    int r = runtime_take_worker(s->runtime, &run->driver, err);
    if (r != 0)
        return r;
    run->listed = false; /* one that was suspended, and goes on at once, was taken off the list */
    run->began = clock_monotonic_ns();
    run->deadline = run->timeout == 0 ? UINT64_MAX : clock_monotonic_ns() + run->timeout;
    atomic_store(&run->wake_fd, run->driver->wake_fd);
    drive(run);
    delist(s, run);
    await_helpers(run);
    atomic_store(&run->wake_fd, -1);
    runtime_put_worker(run->driver);
    run->driver = NULL;
    return 0;
}
