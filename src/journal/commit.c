/* Owns what a transaction of the writer's holds: rows of new runs, frames, states, leases.
 *
 * Every run's part begins with a look at its epoch, so that a process which lost a lease writes nothing of that run; the others' parts are written all the
 * same. Blobs are written before the transaction begins; that they're still there is checked inside it, where journal_collect can't be at work.
 * Thread rule: the writer's thread, and commit_birth also journal_run_new. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- new runs --- */

/* How to open the application again: most runs find it there. */
static int insert_app(struct database *d, struct birth *b, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    digest_bytes(NULL, b->app, b->app_n, b->digest);
    int status = database_query(d, "INSERT OR IGNORE INTO app(digest, text) VALUES (?, ?)", &q, err);
    if (status)
        return status;
    query_put_bytes(q, b->digest, DIGEST_SIZE);
    query_put_bytes(q, b->app, b->app_n);
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

int commit_birth(struct journal_run *r, struct database *d, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    struct journal *j = r->journal;
    struct birth *b = r->birth;
    const char *owner;
    uint32_t start;
    random_bytes(&start, sizeof start);
    int status = lease_own(j, &owner, err);
    if (status == 0)
        status = insert_app(d, b, err);
    if (status == 0)
        status = database_query(
            d,
            "INSERT INTO run(id, entry, task, app, image, forked_from, durable, state, epoch, owner,"
            " pid, boot, lease_until, taken, begun) VALUES (?,?,?,?,?,?,?,1,?,?,?,?,?,?,?)",
            &q, err);
    if (status)
        return status;
    query_put_text(q, b->id);
    query_put_text(q, b->entry);
    query_put_text(q, b->task);
    query_put_bytes(q, b->digest, DIGEST_SIZE);
    query_put_text(q, b->image);
    query_put_text(q, b->forked_from);
    query_put(q, r->durable);
    query_put(q, start);
    query_put_text(q, owner);
    query_put(q, (uint64_t)getpid());
    query_put_text(q, j->boot);
    query_put(q, lease_clock() + atomic_load(&j->lease_ns));
    query_put(q, b->begun);
    query_put(q, b->begun);
    status = query_step(q, err);
    if (status < 0)
        return database_exists(d) ? take_id_exists(b->id, err) : status;
    r->n = database_last_row(d);
    r->epoch = start;
    return 0;
}

void commit_born(struct journal_run *r) {
    birth_done(r->birth);
    r->birth = NULL;
    r->leased = true;
}

/* --- lost leases --- */

/* Fails a run that isn't ours any more, naming who has it. */
static void fail_lost(struct journal_run *r, struct database *d) {
    CLEANUP(query_done) struct query *q = NULL;
    char since[TAKE_SINCE_MAX];
    struct error why;
    int status = database_query(d, "SELECT pid, taken FROM run WHERE n = ? AND id = ?", &q, NULL);
    if (status == 0) {
        query_put(q, r->n);
        query_put_text(q, r->id);
        status = query_step(q, NULL);
    }
    if (status == 1) {
        take_since(query_u64(q, 1), since);
        error_set(&why, ERROR_CANCELLED, "run %s was taken over by process %llu (on %s)", r->id,
                  (unsigned long long)query_u64(q, 0), since);
        error_hint(&why, "this process had been stopped for longer than its lease lasts; nothing that it did "
                         "since is recorded");
    } else {
        error_set(&why, ERROR_CANCELLED, "run %s was removed from the journal", r->id);
    }
    r->lost = true;
    run_fail(r, &why);
}

/* 1: it's ours; 0: not; or an error. */
static int is_ours(struct journal_run *r, struct database *d, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, "SELECT 1 FROM run WHERE n = ? AND epoch = ?", &q, err);
    if (status)
        return status;
    query_put(q, r->n);
    query_put(q, r->epoch);
    return query_step(q, err);
}

/* --- frames --- */

static int use_blob(struct journal_run *r, struct database *d, const struct large *l, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    uint8_t digest[DIGEST_SIZE];
    int status = 0;
    if (!blob_exists(r->journal, l->digest)) {
        struct blob_place place;
        blob_place(l->digest, &place);
        if (!l->bytes)
            return error_set(err, ERROR_NOT_FOUND, "a value that run %s needs is gone: %s/%s", r->id,
                             r->journal->dir, place.path);
        status = blob_write(r->journal, l->bytes, l->n, r->durable, digest, err);
    }
    if (status == 0)
        status = database_query(d, "INSERT OR IGNORE INTO blob_use(run, digest) VALUES (?, ?)", &q, err);
    if (status)
        return status;
    query_put(q, r->n);
    query_put_bytes(q, l->digest, DIGEST_SIZE);
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

static int insert_frame(struct journal_run *r, struct database *d, const struct frame *f, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = 0;
    for (const struct large *l = f->large; l && status == 0; l = l->next)
        status = use_blob(r, d, l, err);
    if (status == 0)
        status = database_query(d, "INSERT INTO frame(n, events) VALUES (?, ?)", &q, err);
    if (status)
        return status;
    query_put(q, (r->n << FRAME_NUMBER_BITS) + ++r->frames_next);
    query_put_bytes(q, f->bytes.data, f->bytes.size);
    r->bytes_next += f->bytes.size;
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

/* --- states --- */

static bool goes_back(const struct journal_run *r) {
    const struct state_change *c = &r->writing.change;
    return r->release || (c->set && c->state != JOURNAL_RUNNING);
}

static int update_state(struct journal_run *r, struct database *d, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    const struct state_change *c = &r->writing.change;
    const char *owner = "";
    int status = goes_back(r) ? 0 : lease_own(r->journal, &owner, err);
    if (status == 0)
        status = database_query(
            d,
            "UPDATE run SET state = ?, final_state = ?, ended = ?, wake = ?, waits_for = ?, error_type = ?,"
            " known = ?, bytes = ?, owner = ?, lease_until = ? WHERE n = ?",
            &q, err);
    if (status)
        return status;
    query_put(q, (uint64_t)c->state);
    query_put(q, (uint64_t)c->final_state);
    query_put(q, c->state == JOURNAL_ENDED ? clock_wall_ns() : 0);
    query_put(q, c->wake);
    query_put_text(q, c->waits_for);
    query_put_text(q, c->error_type);
    query_put(q, c->known);
    query_put(q, r->bytes_next);
    query_put_text(q, owner);
    query_put(q, lease_clock() + atomic_load(&r->journal->lease_ns));
    query_put(q, r->n);
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

static int give_back(struct journal_run *r, struct database *d, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, "UPDATE run SET owner = '', bytes = ? WHERE n = ?", &q, err);
    if (status)
        return status;
    query_put(q, r->bytes_next);
    query_put(q, r->n);
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

/* --- transactions --- */

static bool has_work(const struct journal_run *r) {
    return r->birth || r->writing.first || r->writing.change.set || (r->release && r->leased);
}

/* What can fail without the database: blobs and checks of frames. A failure is this run's alone. */
static int prepare(struct journal_run *r, struct error *err) {
    int status = 0;
    for (struct frame *f = r->writing.first; f && status == 0; f = f->next) {
        for (struct large *l = f->large; l && status == 0; l = l->next) {
            if (!l->bytes)
                continue;
            status = blob_write(r->journal, l->bytes, l->n, r->durable, l->digest, err);
            memcpy(f->bytes.data + l->at, l->digest, DIGEST_SIZE);
        }
        if (status == 0 && frame_end(&f->bytes))
            status = error_set(err, ERROR_NOMEM, "out of memory while recording run %s", r->id);
    }
    return status;
}

static int write_run(struct journal_run *r, struct database *d, struct error *err) {
    r->frames_next = r->frames;
    r->bytes_next = r->bytes;
    int status = r->birth ? commit_birth(r, d, err) : is_ours(r, d, err);
    if (status < 0)
        return error_prefix(err, "run %s", r->id);
    if (!r->birth && status == 0) {
        fail_lost(r, d);
        return 0;
    }
    status = 0;
    for (const struct frame *f = r->writing.first; f && status == 0; f = f->next)
        status = insert_frame(r, d, f, err);
    if (status == 0 && r->writing.change.set)
        status = update_state(r, d, err);
    else if (status == 0 && r->release && (r->leased || r->birth))
        status = give_back(r, d, err);
    return status;
}

/* *ret_culprit: the run that can't be written, if the others can. */
static int write_all(struct journal *j, struct journal_run *first, struct journal_run **ret_culprit,
                     struct error *err) {
    CLEANUP(transaction_done) struct transaction t = {0};
    bool synced = false;
    for (struct journal_run *r = first; r; r = r->next_writing)
        synced |= r->durable && !r->skip;
    int status = transaction_begin(&t, j->writing, synced, err);
    for (struct journal_run *r = first; r && status == 0; r = r->next_writing) {
        if (r->skip || r->lost)
            continue;
        status = write_run(r, j->writing, err);
        if (status == ERROR_NOT_FOUND || status == ERROR_INVALID)
            *ret_culprit = r;
    }
    return status ? status : transaction_commit(&t, err);
}

/* Again without each run that has no blob that it needs, or whose id is taken. */
static int write_as_many_as_possible(struct journal *j, struct journal_run *first, struct error *err) {
    for (;;) {
        struct journal_run *culprit = NULL;
        int status = write_all(j, first, &culprit, err);
        if (!culprit)
            return status;
        run_fail(culprit, err);
        culprit->skip = true;
    }
}

static void finish(struct journal_run *r) {
    if (r->birth)
        commit_born(r);
    if (goes_back(r))
        r->leased = false;
    else if (r->writing.change.set)
        r->leased = true;
    r->frames = r->frames_next;
    r->bytes = r->bytes_next;
    if (r->writing.position)
        run_committed(r);
}

void commit_runs(struct journal *j, struct journal_run *first) {
    struct error why;
    bool any = false;
    for (struct journal_run *r = first; r; r = r->next_writing) {
        r->skip = r->skip || !has_work(r);
        if (!r->skip && prepare(r, &why)) {
            run_fail(r, &why);
            r->skip = true;
        }
        any |= !r->skip;
    }
    if (!any)
        return;
    int status = write_as_many_as_possible(j, first, &why);
    for (struct journal_run *r = first; r; r = r->next_writing) {
        if (r->skip || r->lost)
            continue;
        if (status)
            run_fail(r, &why);
        else
            finish(r);
    }
}

/* --- renewal --- */

static int renew(struct journal_run *r, struct database *d) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, "UPDATE run SET lease_until = ? WHERE n = ? AND epoch = ?", &q, NULL);
    if (status)
        return status;
    query_put(q, lease_clock() + atomic_load(&r->journal->lease_ns));
    query_put(q, r->n);
    query_put(q, r->epoch);
    status = query_step(q, NULL);
    if (status == 0 && database_changes(d) == 0)
        fail_lost(r, d);
    return status < 0 ? status : 0;
}

static bool is_to_be_renewed(const struct journal_run *r) {
    return r->leased && !r->lost && !r->told_failed;
}

/* What keeps a lease from being renewed, a full disk say, fails the run when it next writes, or another process takes it over. */
void commit_renewal(struct journal *j, struct journal_run *first) {
    CLEANUP(transaction_done) struct transaction t = {0};
    while (first && !is_to_be_renewed(first))
        first = first->next_writing;
    int status = first ? transaction_begin(&t, j->writing, false, NULL) : -1;
    for (struct journal_run *r = first; r && status == 0; r = r->next_writing)
        if (is_to_be_renewed(r))
            status = renew(r, j->writing);
    if (status == 0)
        transaction_commit(&t, NULL);
}
