/* See run_pool.h. */
#include "run_pool.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "moment.h"
#include "output.h"
#include "recorded.h"
#include "show_tasks.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

/* A run that couldn't be resumed is tried again later and later. */
#define REST_FIRST (2 * NS_PER_S)
#define REST_LAST (120 * NS_PER_S)

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_RESTING };

struct job {
    struct job *next;
    enum job_state state;
    uint64_t rest, until; /* of a resting one, monotonic ns */
    char run_id[RECORDED_ID_MAX + 1];
    char entry[]; /* for the lines */
};

struct run_pool {
    capsule_runtime *runtime;
    const char *journal_dir;
    pthread_mutex_t lock;
    pthread_cond_t queued;
    struct job *first; /* all, in the order in which they came */
    size_t pending, failures;
    bool ending;
    pthread_mutex_t say_lock; /* inside of the other, or alone */
    pthread_t threads[THREADS_MAX];
    unsigned threads_n;
};

/* ---- lines ---- */

static void say_text(struct run_pool *pool, const char *text) {
    char time[MOMENT_MAX];
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    const uint64_t now = moment_now();
    buffer_printf(&b, "%s%s%s  ", style(STDERR_FILENO, STYLE_DIM),
                  moment_format_short(time, sizeof time, now, now), style(STDERR_FILENO, STYLE_PLAIN));
    output_escape(&b, text, true);
    buffer_putc(&b, '\n');
    pthread_mutex_lock(&pool->say_lock);
    output_write(STDERR_FILENO, buffer_text(&b), b.size);
    pthread_mutex_unlock(&pool->say_lock);
}

void run_pool_say(struct run_pool *pool, const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    const int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return;
    say_text(pool, text);
    free(text);
}

static void say_outcome(struct run_pool *pool, const struct job *job, capsule_run *run, int state,
                        uint64_t began) {
    char span[MOMENT_MAX];
    const char *waits_for = capsule_run_waits_for(run), *type = capsule_run_error_type(run);
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX);
    buffer_printf(&b, "%s  %s", job->run_id, capsule_state_name((capsule_state)state));
    if (state == CAPSULE_SUSPENDED) {
        buffer_puts(&b, ": waits for ");
        show_short(waits_for != NULL ? waits_for : "a signal or a time", &b);
    } else if (type != NULL) {
        const char *message = capsule_run_error_message(run);
        buffer_printf(&b, ": %s: ", type);
        show_short(message != NULL ? message : "", &b);
    }
    buffer_printf(&b, "  %s", moment_format_span(span, sizeof span, clock_monotonic_ns() - began));
    say_text(pool, buffer_text(&b));
}

/* ---- one run ---- */

static void close_app(capsule_app **app) {
    if (*app != NULL)
        capsule_app_close(*app);
}

static void free_run(capsule_run **run) {
    if (*run != NULL)
        capsule_run_free(*run);
}

/* Returns 0, or a negative code when it couldn't be gone on with. */
static int go_on(struct run_pool *pool, const struct job *job, capsule_error *error) {
    const uint64_t began = clock_monotonic_ns();
    CLEANUP(close_app) capsule_app *app = NULL;
    CLEANUP(free_run) capsule_run *run = NULL;
    int rc = capsule_app_reopen(pool->runtime, pool->journal_dir, job->run_id, NULL, &app, error);
    if (rc == CAPSULE_OK)
        rc = capsule_run_resume(app, job->run_id, NULL, &run, error);
    if (rc != CAPSULE_OK)
        return rc;
    if (capsule_run_had_ended(run)) /* another worker was quicker */
        return CAPSULE_OK;
    run_pool_say(pool, "%s  resumed: %s", job->run_id, job->entry);
    rc = capsule_run_wait(run, error);
    if (rc < 0)
        return rc;
    say_outcome(pool, job, run, rc, began);
    return CAPSULE_OK;
}

/* ---- the list; with the lock held ---- */

static void drop(struct run_pool *pool, struct job *job) {
    struct job **at = &pool->first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    free(job);
}

static void let_rest(struct job *job) {
    job->rest = job->rest == 0 ? REST_FIRST : job->rest * 2 > REST_LAST ? REST_LAST : job->rest * 2;
    job->until = clock_monotonic_ns() + job->rest;
    job->state = JOB_RESTING;
}

static struct job *find_queued(struct run_pool *pool) {
    struct job *job = pool->first;
    while (job != NULL && job->state != JOB_QUEUED)
        job = job->next;
    return job;
}

static void finish(struct run_pool *pool, struct job *job, int rc, const capsule_error *error) {
    pool->pending--;
    /* Another process that was quicker has the run in good hands. */
    if (rc == CAPSULE_OK || rc == CAPSULE_E_CANCELLED) {
        drop(pool, job);
        return;
    }
    pool->failures++;
    let_rest(job);
    run_pool_say(pool, "%s  can't be resumed: %s%s%s", job->run_id, error->message,
                 error->hint[0] != '\0' ? "; " : "", error->hint);
}

static void *work(void *argument) {
    struct run_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job = find_queued(pool);
        if (job == NULL && pool->ending)
            break;
        if (job == NULL) {
            pthread_cond_wait(&pool->queued, &pool->lock);
            continue;
        }
        job->state = JOB_RUNNING;
        pthread_mutex_unlock(&pool->lock);
        capsule_error error = {0};
        const int rc = go_on(pool, job, &error);
        pthread_mutex_lock(&pool->lock);
        finish(pool, job, rc, &error);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- from outside ---- */

struct run_pool *run_pool_new(capsule_runtime *runtime, const char *journal_dir, unsigned threads) {
    struct run_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    (void)output_is_terminal(STDERR_FILENO); /* asked once, before there are threads that ask */
    pool->runtime = runtime;
    pool->journal_dir = journal_dir;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->say_lock, NULL);
    pthread_cond_init(&pool->queued, NULL);
    while (pool->threads_n < threads && pool->threads_n < THREADS_MAX &&
           pthread_create(&pool->threads[pool->threads_n], NULL, work, pool) == 0)
        pool->threads_n++;
    if (pool->threads_n > 0)
        return pool;
    run_pool_free(pool);
    return NULL;
}

void run_pool_add(struct run_pool *pool, const char *run_id, const char *entry) {
    pthread_mutex_lock(&pool->lock);
    struct job **at = &pool->first, *job = NULL;
    while (*at != NULL && strcmp((*at)->run_id, run_id) != 0)
        at = &(*at)->next;
    const size_t n = strlen(entry) + 1;
    if (*at == NULL) {
        if (strlen(run_id) <= RECORDED_ID_MAX && (job = calloc(1, sizeof *job + n)) != NULL) {
            memcpy(job->run_id, run_id, strlen(run_id) + 1);
            memcpy(job->entry, entry, n);
            *at = job;
        }
    } else if ((*at)->state == JOB_RESTING && clock_monotonic_ns() >= (*at)->until) {
        job = *at;
    }
    if (job != NULL) {
        job->state = JOB_QUEUED;
        pool->pending++;
        pthread_cond_signal(&pool->queued);
    }
    pthread_mutex_unlock(&pool->lock);
}

void run_pool_stop(struct run_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    for (struct job *job; (job = find_queued(pool)) != NULL; pool->pending--)
        drop(pool, job);
    pthread_mutex_unlock(&pool->lock);
}

size_t run_pool_pending(struct run_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    const size_t n = pool->pending;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

size_t run_pool_failures(struct run_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    const size_t n = pool->failures;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

void run_pool_free(struct run_pool *pool) {
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->queued);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_n; i++)
        pthread_join(pool->threads[i], NULL);
    while (pool->first != NULL)
        drop(pool, pool->first);
    pthread_cond_destroy(&pool->queued);
    pthread_mutex_destroy(&pool->say_lock);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
