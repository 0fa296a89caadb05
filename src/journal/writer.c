/* Owns the writer's thread: when it writes what has been appended, renews leases, looks for signals, and moves the log into the database.
 *
 * It sleeps until something is in its queue, then for company (JOURNAL_LAZY_NS) unless somebody waits, and writes all that's there in one transaction. While it
 * writes, more gathers: the busier the disk, the larger the groups.
 * The log (WAL) is moved into the database when it's large and nothing waits, or very large; on closing only when it's large enough that reading
 * it again would cost the next process more than moving it costs us. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "journal/journal_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    LOG_IDLE_PAGES = 1000, /* 4 MB */
    LOG_BUSY_PAGES = 4000, /* 16 MB */
    LOG_CLOSE_PAGES = 128, /* 0.5 MB: 0.3 ms to read again, 0.5 ms and two fsyncs to move */
};

/* --- what others ask for --- */

void writer_add(struct journal_run *r) {
    struct journal *j = r->journal;
    pthread_mutex_lock(&j->lock);
    r->next = j->runs;
    if (j->runs)
        j->runs->prev = r;
    else
        j->renewed_at = clock_monotonic_ns();
    j->runs = r;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

static void forget(struct journal_run *r) {
    struct journal *j = r->journal;
    pthread_mutex_lock(&j->lock);
    if (r->prev)
        r->prev->next = r->next;
    else
        j->runs = r->next;
    if (r->next)
        r->next->prev = r->prev;
    pthread_mutex_unlock(&j->lock);
}

void writer_queue(struct journal_run *r, bool first, bool prompt) {
    struct journal *j = r->journal;
    pthread_mutex_lock(&j->lock);
    bool wake = prompt && !j->prompt;
    if (first) {
        r->next_queued = NULL;
        if (j->queue_last) {
            j->queue_last->next_queued = r;
        } else {
            j->queue_first = r;
            j->queued_since = clock_monotonic_ns();
            wake = true;
        }
        j->queue_last = r;
    }
    j->prompt |= prompt;
    if (wake)
        pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

/* --- the thread, with the journal's lock --- */

static uint64_t renewal_time(struct journal *j) {
    return j->runs ? j->renewed_at + atomic_load(&j->lease_ns) / 3 : UINT64_MAX;
}

/* When there's something to do if nobody wakes us; UINT64_MAX: never. */
static uint64_t next_time(struct journal *j) {
    uint64_t at = renewal_time(j);
    if (j->queue_first && j->queued_since + JOURNAL_LAZY_NS < at)
        at = j->queued_since + JOURNAL_LAZY_NS;
    if (j->watching && j->poll_at < at)
        at = j->poll_at;
    return at;
}

static void sleep_until(struct journal *j, uint64_t at) {
    if (at == UINT64_MAX) {
        pthread_cond_wait(&j->wake, &j->lock);
        return;
    }
    struct timespec t = {.tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S)};
    pthread_cond_timedwait(&j->wake, &j->lock, &t);
}

static void wait_for_work(struct journal *j) {
    for (;;) {
        if (j->stopping || j->look || (j->prompt && j->queue_first))
            return;
        uint64_t at = next_time(j);
        if (at <= clock_monotonic_ns())
            return;
        sleep_until(j, at);
    }
}

/* The queue, linked by next_writing. */
static struct journal_run *take_queue(struct journal *j) {
    struct journal_run *first = j->queue_first;
    for (struct journal_run *r = first; r; r = r->next_queued)
        r->next_writing = r->next_queued;
    j->queue_first = j->queue_last = NULL;
    j->prompt = false;
    return first;
}

/* All runs, linked likewise. */
static struct journal_run *all_runs(struct journal *j) {
    for (struct journal_run *r = j->runs; r; r = r->next)
        r->next_writing = r->next;
    return j->runs;
}

/* --- the thread, without it --- */

static bool open_writing(struct journal *j, struct error *err) {
    if (!j->writing)
        atomic_store(&j->broken, database_open(j->dir, true, j->mode == JOURNAL_CREATE, &j->writing, err) != 0);
    return j->writing != NULL;
}

/* The callbacks of what was written, or won't be. */
static void tell(struct journal_run *r, uint64_t position) {
    const struct journal_callbacks *c = &r->callbacks;
    pthread_mutex_lock(&r->lock);
    bool failed = r->failed && !r->told_failed;
    pthread_mutex_unlock(&r->lock);
    if (position && journal_committed(r) >= position && c->committed)
        c->committed(c->user, position);
    r->told_failed |= failed;
    /* `why` doesn't change any more. */
    if (failed && c->failed)
        c->failed(c->user, &r->why);
}

static void let_go(struct journal_run *r) {
    forget(r);
    pthread_mutex_lock(&r->lock);
    r->closed = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void free_room(struct journal *j, size_t bytes) {
    if (bytes == 0)
        return;
    atomic_fetch_sub_explicit(&j->waiting_bytes, bytes, memory_order_relaxed);
    pthread_mutex_lock(&j->lock);
    if (j->throttled)
        pthread_cond_broadcast(&j->room);
    pthread_mutex_unlock(&j->lock);
}

static void write_queue(struct journal *j, struct journal_run *first) {
    struct error why;
    size_t bytes = 0;
    bool open = open_writing(j, &why);
    for (struct journal_run *r = first; r; r = r->next_writing) {
        r->skip = !run_take_pending(r);
        bytes += r->writing.bytes;
        if (!open && !r->skip) {
            run_fail(r, &why);
            r->skip = true;
        }
    }
    if (open)
        commit_runs(j, first);
    for (struct journal_run *next, *r = first; r; r = next) {
        next = r->next_writing;
        uint64_t position = r->writing.position;
        pending_done(&r->writing);
        tell(r, position);
        if (r->release)
            let_go(r);
    }
    free_room(j, bytes);
}

/* Runs that fail while their leases are renewed are told like those that fail when they're written. */
static void renew(struct journal *j, struct journal_run *first) {
    if (!j->writing)
        return;
    commit_renewal(j, first);
    for (struct journal_run *r = first; r; r = r->next_writing)
        tell(r, 0);
}

static void look(struct journal *j, struct journal_run *first, bool at_once) {
    struct error why;
    if (!open_writing(j, &why))
        return;
    uint64_t version = database_version(j->writing);
    if (version == j->seen_version && !at_once)
        return;
    j->seen_version = version;
    watch_tell(j, first);
}

static void care_for_log(struct journal *j, bool idle) {
    unsigned pages = j->writing ? database_log_pages(j->writing) : 0;
    if (pages < j->checkpoint_at)
        j->checkpoint_at = 0; /* it began anew */
    if (pages < j->checkpoint_at + (idle ? LOG_IDLE_PAGES : LOG_BUSY_PAGES))
        return;
    database_checkpoint(j->writing, false);
    /* If a reader held it up, the next try is that many pages later. */
    j->checkpoint_at = pages;
}

/* One round, with the lock at its beginning and end. */
static void work(struct journal *j) {
    uint64_t now = clock_monotonic_ns();
    bool at_once = j->look, renewal = now >= renewal_time(j);
    bool poll = j->watching && (at_once || now >= j->poll_at);
    struct journal_run *queue = take_queue(j);
    j->look = false;
    if (renewal)
        j->renewed_at = now;
    if (poll)
        j->poll_at = now + JOURNAL_POLL_NS;
    pthread_mutex_unlock(&j->lock);
    if (queue)
        write_queue(j, queue);
    pthread_mutex_lock(&j->lock);
    bool idle = !j->queue_first;
    struct journal_run *all = poll || renewal ? all_runs(j) : NULL;
    pthread_mutex_unlock(&j->lock);
    if (poll)
        look(j, all, at_once);
    if (renewal)
        renew(j, all);
    care_for_log(j, idle);
    pthread_mutex_lock(&j->lock);
}

static void *run_writer(void *argument) {
    struct journal *j = argument;
    struct error why;
    open_writing(j, &why);
    pthread_mutex_lock(&j->lock);
    for (;;) {
        wait_for_work(j);
        if (j->stopping && !j->queue_first)
            break;
        work(j);
    }
    pthread_mutex_unlock(&j->lock);
    if (j->writing && database_log_pages(j->writing) > LOG_CLOSE_PAGES)
        database_checkpoint(j->writing, true);
    database_close(j->writing);
    j->writing = NULL;
    return NULL;
}

int writer_start(struct journal *j, struct error *err) {
    int status = 0;
    pthread_mutex_lock(&j->lock);
    if (!j->started) {
        int number = FAULT("journal.thread") ? EAGAIN : pthread_create(&j->thread, NULL, run_writer, j);
        if (number)
            status = error_errno(err, ERROR_IO, number, "can't start the journal's thread");
        j->started = !number;
    }
    pthread_mutex_unlock(&j->lock);
    return status;
}

void writer_stop(struct journal *j) {
    if (!j->started)
        return;
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
}
