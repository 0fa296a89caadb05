/* Owns what reaches a run from outside of the process that executes it: signals, and the wish that it ends.
 *
 * Thread- and process-safe: the shared connection, under its lock. */
#define _GNU_SOURCE 1
#include "base/show.h"
#include "journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

static int refuse_ended(const struct found_run *run, struct error *err) {
    return run->ended ? error_set(err, ERROR_INVALID, "run %s has ended", run->id) : 0;
}

static int insert_signal(struct database *d, const struct found_run *run, const char *name, const char *json,
                         size_t json_n, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, "INSERT INTO signal(run, name, value, time) VALUES (?, ?, ?, ?)", &q, err);
    if (status)
        return status;
    query_put(q, run->n);
    query_put_text(q, name);
    query_put_bytes(q, json, json_n);
    query_put(q, clock_wall_ns());
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

/* In a transaction that is synced when it's committed, as it has to be for a durable run. */
static int begin(struct database *d, struct journal *j, const char *id, struct transaction *t,
                 struct found_run *ret, struct error *err) {
    int status = read_run(j, d, id, ret, err);
    if (status == 0)
        status = transaction_begin(t, d, ret->durable, err);
    /* Now that nobody else can change it. */
    if (status == 0)
        status = read_run(j, d, ret->id, ret, err);
    return status ? status : refuse_ended(ret, err);
}

int journal_signal(struct journal *j, const char *id, const char *name, const char *json, size_t json_n,
                   struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(transaction_done) struct transaction t = {0};
    struct database *d;
    struct found_run run;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = begin(d, j, id, &t, &run, err);
    if (status == 0)
        status = insert_signal(d, &run, name, json, json_n, err);
    return status ? status : transaction_commit(&t, err);
}

int journal_cancel(struct journal *j, const char *id, bool *ret_alive, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(transaction_done) struct transaction t = {0};
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    struct found_run run;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = begin(d, j, id, &t, &run, err);
    if (status == 0)
        status = database_query(d, "UPDATE run SET cancel = 1 WHERE n = ?", &q, err);
    if (status)
        return status;
    query_put(q, run.n);
    status = query_step(q, err);
    if (status == 0)
        status = transaction_commit(&t, err);
    if (status == 0)
        *ret_alive = run.alive;
    return status;
}

/* --- reading signals --- */

struct read_signal {
    uint64_t number, time;
    char *name, *json;
    size_t json_n;
};

static void read_signal_done(struct read_signal *s) {
    free(s->name);
    free(s->json);
}

static int copy_signal(struct query *q, struct read_signal *ret, struct error *err) {
    const char *name = query_text(q, 1);
    const char *json = query_bytes(q, 2, &ret->json_n);
    ret->number = query_u64(q, 0);
    ret->time = query_u64(q, 3);
    ret->name = strdup(name ? name : "");
    ret->json = malloc(ret->json_n + 1);
    if (!ret->name || !ret->json)
        return error_set(err, ERROR_NOMEM, "out of memory while reading a signal");
    memcpy(ret->json, json, ret->json_n);
    ret->json[ret->json_n] = '\0';
    return 1;
}

/* 1, 0 at the end, or an error. *n: of the run, 0 if it isn't known yet. */
static int read_signal(struct journal *j, const char *id, uint64_t *n, uint64_t after, struct read_signal *ret,
                       struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = read_number(j, d, id, n, err);
    if (status == 0)
        status = database_query(
            d, "SELECT n, name, value, time FROM signal WHERE run = ? AND n > ? ORDER BY n LIMIT 1", &q, err);
    if (status)
        return status;
    query_put(q, *n);
    query_put(q, after);
    status = query_step(q, err);
    return status == 1 ? copy_signal(q, ret, err) : status;
}

int journal_signals(struct journal *j, const char *id, uint64_t after,
                    int (*each)(void *user, uint64_t number, uint64_t time, const char *name, const char *json,
                                size_t json_n),
                    void *user, struct error *err) {
    uint64_t n = 0;
    for (;;) {
        CLEANUP(read_signal_done) struct read_signal s = {0};
        int status = read_signal(j, id, &n, after, &s, err);
        if (status == 1)
            status = each(user, s.number, s.time, s.name, s.json, s.json_n);
        else
            return status;
        if (status)
            return status;
        after = s.number;
    }
}
