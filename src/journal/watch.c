/* Owns how a run that this process executes hears of signals and of the wish that it ends.
 *
 * Thread rule: the writer's thread; callbacks without locks and outside of any statement, so they may append. */
#define _GNU_SOURCE 1
#include "journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

struct signal {
    uint64_t number;
    char *name, *json;
    size_t json_n;
};

static void signal_done(struct signal *s) {
    free(s->name);
    free(s->json);
}

/* 1 and a copy of the first signal after the one with this number; 0: there's none; or an error. */
static int next_signal(struct journal_run *r, uint64_t after, struct signal *ret) {
    CLEANUP(query_done) struct query *q = NULL;
    int status =
        database_query(r->journal->writing,
                       "SELECT n, name, value FROM signal WHERE run = ? AND n > ? ORDER BY n LIMIT 1", &q, NULL);
    if (status)
        return status;
    query_put(q, r->n);
    query_put(q, after);
    status = query_step(q, NULL);
    if (status != 1)
        return status;
    const char *name = query_text(q, 1);
    const char *json = query_bytes(q, 2, &ret->json_n);
    ret->number = query_u64(q, 0);
    ret->name = name ? strdup(name) : NULL;
    ret->json = malloc(ret->json_n + 1);
    if (!ret->name || !ret->json)
        return ERROR_NOMEM; /* the next look will find it */
    memcpy(ret->json, json, ret->json_n);
    ret->json[ret->json_n] = '\0';
    return 1;
}

/* The number of the last signal that it was told; false if it doesn't listen. */
static bool listens(struct journal_run *r, uint64_t *ret_told) {
    pthread_mutex_lock(&r->lock);
    bool listens = r->watching && !r->failed && !r->closing;
    *ret_told = r->told;
    pthread_mutex_unlock(&r->lock);
    return listens;
}

static void tell_signals(struct journal_run *r) {
    uint64_t told;
    while (listens(r, &told)) {
        CLEANUP(signal_done) struct signal s = {0};
        if (next_signal(r, told, &s) != 1)
            return;
        if (r->callbacks.signal)
            r->callbacks.signal(r->callbacks.user, s.number, s.name, s.json, s.json_n);
        /* Only now: journal_set_state takes this for what the run knows. */
        pthread_mutex_lock(&r->lock);
        if (s.number > r->told)
            r->told = s.number;
        pthread_mutex_unlock(&r->lock);
    }
}

static bool is_cancelled(struct journal_run *r) {
    CLEANUP(query_done) struct query *q = NULL;
    if (database_query(r->journal->writing, "SELECT cancel FROM run WHERE n = ?", &q, NULL))
        return false;
    query_put(q, r->n);
    return query_step(q, NULL) == 1 && query_u64(q, 0) != 0;
}

void watch_tell(struct journal *j, struct journal_run *first) {
    (void)j;
    for (struct journal_run *r = first; r; r = r->next_writing) {
        uint64_t told;
        if (r->birth || !listens(r, &told))
            continue;
        if (!r->told_cancel && is_cancelled(r)) {
            r->told_cancel = true;
            if (r->callbacks.cancel)
                r->callbacks.cancel(r->callbacks.user);
        }
        tell_signals(r);
    }
}
