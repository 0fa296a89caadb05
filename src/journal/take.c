/* Owns how this process comes to execute a run: a new one, or one whose lease is free.
 *
 * Thread-safe: the shared connection's lock, and a transaction that has the right to write from its beginning, so that of two takers one sees the other. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "base/show.h"
#include "journal/journal_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- new runs --- */

static bool is_run_id(const char *id) {
    static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t n = strlen(id);
    return n > 0 && n <= JOURNAL_RUN_ID_MAX && strspn(id, ALLOWED) == n;
}

static struct birth *copy_begin(const struct journal_begin *b) {
    struct birth *birth = FAULT("journal.birth") ? NULL : calloc(1, sizeof *birth);
    if (!birth)
        return NULL;
    *birth = (struct birth){.id = strdup(b->id),
                            .entry = strdup(b->entry),
                            .task = strdup(b->task),
                            .app = malloc(b->app_n + 1),
                            .image = strdup(b->image ? b->image : ""),
                            .forked_from = b->forked_from ? strdup(b->forked_from) : NULL,
                            .app_n = b->app_n,
                            .begun = clock_wall_ns()};
    bool whole = birth->id && birth->entry && birth->task && birth->app && birth->image;
    if (!whole || (b->forked_from && !birth->forked_from)) {
        birth_done(birth);
        return NULL;
    }
    if (b->app_n)
        memcpy(birth->app, b->app, b->app_n);
    return birth;
}

/* An id that's the caller's choice may be taken. Another process may take it before our first transaction: then that one fails, before anything that we
 * do is on record (commit_birth). */
static int check_id(struct journal *j, const char *id, bool *ret_exists, struct error *err) {
    bool exists = false;
    int status = read_whether(j, "SELECT 1 FROM run WHERE id = ?", id, &exists, err);
    if (status || !exists)
        return status;
    if (ret_exists)
        *ret_exists = true;
    return take_id_exists(id, err);
}

int take_id_exists(const char *id, struct error *err) {
    error_set(err, ERROR_INVALID, "there is a run with the id %s already", id);
    error_hint(err, "go on with it by `capsule resume %s`, or look at it by `capsule show %s`", id, id);
    return ERROR_INVALID;
}

/* Its row is there, and its first event, when this returns. */
static int enter(struct journal_run *r, const struct event *first, struct error *err) {
    uint64_t position =
        first ? journal_append(r, first, true) : journal_set_state(r, JOURNAL_RUNNING, 0, 0, NULL, NULL);
    return journal_await(r, position, err);
}

static void close_failed(struct journal_run **r) {
    journal_run_close(*r);
}

int journal_run_new(struct journal *j, const struct journal_begin *begin, bool generated,
                    const struct journal_callbacks *callbacks, struct journal_run **ret, bool *ret_exists,
                    struct error *err) {
    CLEANUP(run_cleanup) struct journal_run *r = NULL;
    CLEANUP(close_failed) struct journal_run *failed = NULL;
    if (!is_run_id(begin->id))
        return error_set(err, ERROR_INVALID, "\"%s\" can't be the id of a run: 1 to %d of A-Z a-z 0-9 _ . -",
                         show(begin->id).text, JOURNAL_RUN_ID_MAX);
    int status = run_make(j, begin->id, begin->durable, callbacks, &r, err);
    if (status)
        return status;
    r->birth = copy_begin(begin);
    if (!r->birth)
        return error_set(err, ERROR_NOMEM, "out of memory for run %s", begin->id);
    if (!generated)
        status = check_id(j, begin->id, ret_exists, err);
    if (status == 0)
        status = writer_start(j, err);
    if (status)
        return status;
    /* If it's known already that the writer can't write, nothing should begin. */
    bool later = generated && !atomic_load(&j->broken);
    r->queued = later;
    writer_add(r);
    if (later)
        writer_queue(r, true, false);
    else
        status = enter(r, begin->first, err);
    *(status ? &failed : ret) = r;
    r = NULL;
    if (status == ERROR_INVALID && ret_exists)
        *ret_exists = true;
    return status;
}

/* --- runs that are there --- */

struct row {
    uint64_t n, epoch, pid, taken;
    bool ended, durable, held;
};

static int read_row(struct journal *j, struct database *d, const char *id, struct row *ret, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(
        d, "SELECT n, epoch, pid, taken, state, durable, owner, boot, lease_until FROM run WHERE id = ?", &q, err);
    if (status)
        return status;
    query_put_text(q, id);
    status = query_step(q, err);
    if (status < 0)
        return status;
    if (status == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no run \"%s\" in the journal %s", show(id).text, j->dir);
    struct lease lease = {query_text(q, 6), query_text(q, 7), query_u64(q, 8)};
    *ret = (struct row){.n = query_u64(q, 0),
                        .epoch = query_u64(q, 1),
                        .pid = query_u64(q, 2),
                        .taken = query_u64(q, 3),
                        .ended = query_u64(q, 4) == JOURNAL_ENDED,
                        .durable = query_u64(q, 5) != 0,
                        .held = lease_is_held(j, &lease)};
    if (!ret->held)
        lease_remove_dead(j, lease.owner);
    return 0;
}

void take_since(uint64_t ns, char ret[TAKE_SINCE_MAX]) {
    time_t seconds = (time_t)(ns / NS_PER_S);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || strftime(ret, TAKE_SINCE_MAX, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
        ret[0] = '\0';
}

static int may_be_taken(const char *id, const struct row *row, struct error *err) {
    char since[TAKE_SINCE_MAX];
    if (row->ended)
        return error_set(err, ERROR_INVALID, "run %s has ended", id);
    if (!row->held)
        return 0;
    take_since(row->taken, since);
    error_set(err, ERROR_CANCELLED, "run %s is being executed by process %llu (since %s)", id,
              (unsigned long long)row->pid, since);
    error_hint(err, "wait for it, or stop it first: a run is executed by one process at a time");
    return ERROR_CANCELLED;
}

static int set_lease(struct journal *j, struct database *d, const struct row *row, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    const char *owner;
    int status = lease_own(j, &owner, err);
    if (status == 0)
        status =
            database_query(d,
                           "UPDATE run SET epoch = ?, owner = ?, pid = ?, boot = ?, lease_until = ?, taken = ?,"
                           " state = 1, wake = 0, waits_for = NULL WHERE n = ?",
                           &q, err);
    if (status)
        return status;
    query_put(q, row->epoch + 1);
    query_put_text(q, owner);
    query_put(q, (uint64_t)getpid());
    query_put_text(q, j->boot);
    query_put(q, lease_clock() + atomic_load(&j->lease_ns));
    query_put(q, clock_wall_ns());
    query_put(q, row->n);
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

/* Where the run's frames go on. */
static int read_frames(struct journal_run *r, struct database *d, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(
        d, "SELECT coalesce(max(n), 0), coalesce(sum(length(events)), 0) FROM frame WHERE n BETWEEN ? AND ?", &q,
        err);
    if (status)
        return status;
    query_put(q, r->n << FRAME_NUMBER_BITS);
    query_put(q, (r->n << FRAME_NUMBER_BITS) | UINT32_MAX);
    status = query_step(q, err);
    if (status < 0)
        return status;
    r->frames = query_u64(q, 0) & UINT32_MAX;
    r->bytes = query_u64(q, 1);
    return 0;
}

static int take(struct journal_run *r, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(transaction_done) struct transaction t = {0};
    struct journal *j = r->journal;
    struct database *d;
    struct row row = {0};
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = transaction_begin(&t, d, false, err);
    if (status == 0)
        status = read_row(j, d, r->id, &row, err);
    if (status == 0)
        status = may_be_taken(r->id, &row, err);
    if (status == 0)
        status = set_lease(j, d, &row, err);
    if (status)
        return status;
    r->n = row.n;
    r->epoch = row.epoch + 1;
    r->durable = row.durable;
    r->leased = true;
    status = read_frames(r, d, err);
    return status ? status : transaction_commit(&t, err);
}

int journal_run_take(struct journal *j, const char *id, const struct journal_callbacks *callbacks,
                     struct journal_run **ret, struct error *err) {
    CLEANUP(run_cleanup) struct journal_run *r = NULL;
    if (!is_run_id(id))
        return error_set(err, ERROR_NOT_FOUND, "there is no run \"%s\" in the journal %s", show(id).text, j->dir);
    int status = run_make(j, id, false, callbacks, &r, err);
    if (status == 0)
        status = take(r, err);
    if (status == 0)
        status = writer_start(j, err);
    if (status)
        return status;
    writer_add(r);
    *ret = r;
    r = NULL;
    return 0;
}
