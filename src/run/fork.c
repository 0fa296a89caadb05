/* capsule_journal_fork: a new run that begins with what is on record of another, up to where that called one of its tasks.
 *
 * The events are copied; blobs are shared. Attempts that are replayed in the fork see themselves in the run that they were recorded in, since what they
 * did may depend on its id; from the first new call on, everything has keys of the fork's. Thread-safe. */
#include "base/clock.h"
#include "journal/journal.h"
#include "run/journal_api.h"
#include "run/run.h"
#include "run/runtime.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORK_STOP = 1 };

struct fork {
    struct journal *journal; /* to be written */
    struct journal_run *to;  /* NULL: only look for the step */
    const char *from;        /* run id */
    uint32_t step;
    bool found;
};

static int copy_event(void *user, const struct event *event) {
    struct fork *f = user;
    struct event e = *event;
    if (e.kind == EVENT_CREATED && e.task == f->step) {
        f->found = true;
        return FORK_STOP;
    }
    if (e.kind == EVENT_STARTED && e.texts[0].n == 0)
        e.texts[0] = (struct event_text){.bytes = f->from, .n = strlen(f->from)};
    if (f->to != NULL && e.kind != EVENT_RESUMED && e.kind != EVENT_SUSPENDED)
        (void)journal_append(f->to, &e, false);
    return 0;
}

static int find_step(struct fork *f, struct error *err) {
    uint64_t after = 0;
    int r = journal_events(f->journal, f->from, &after, copy_event, f, err);
    if (r < 0 || f->found)
        return r < 0 ? r : 0;
    error_set(err, ERROR_NOT_FOUND, "run %s has no task #%" PRIu32, f->from, f->step);
    error_hint(err, "`capsule show %s` lists its tasks", f->from);
    return ERROR_NOT_FOUND;
}

/* Copies what came before the step. */
static int copy_events(struct fork *f, struct error *err) {
    uint64_t after = 0;
    int r = journal_events(f->journal, f->from, &after, copy_event, f, err);
    if (r < 0)
        return r;
    /* Nothing is under way: a task that may be run only once is run by the fork, too. */
    struct event suspended = {
        .kind = EVENT_SUSPENDED, .time = clock_wall_ns(), .texts = {{.bytes = "forked", .n = strlen("forked")}}};
    (void)journal_append(f->to, &suspended, false);
    uint64_t position = journal_set_state(f->to, JOURNAL_SUSPENDED, 0, 0, "being resumed", NULL);
    return journal_await(f->to, position, err);
}

static int fork_row(struct fork *f, const struct journal_row *row, char *id, struct error *err) {
    CLEANUP(cleanup_free) char *from = NULL;
    if (asprintf(&from, "%s#%" PRIu32, row->id, f->step) < 0) {
        from = NULL;
        return error_set(err, ERROR_NOMEM, "no memory for a run");
    }
    struct journal_begin begin = {.id = id,
                                  .entry = row->entry,
                                  .task = row->task,
                                  .app = row->app,
                                  .app_n = row->app_n,
                                  .image = row->image,
                                  .forked_from = from,
                                  .durable = row->durable};
    struct journal_callbacks none = {0};
    run_new_id(id);
    f->from = row->id;
    int r = find_step(f, err);
    if (r == 0)
        r = journal_run_new(f->journal, &begin, true, &none, &f->to, NULL, err);
    if (r == 0)
        r = copy_events(f, err);
    journal_run_close(f->to);
    return r;
}

int capsule_journal_fork(capsule_journal *journal, const char *run_id, uint32_t task, char **ret_run_id,
                         capsule_error *error) {
    struct error err = {0};
    struct journal_row row = {0};
    struct fork f = {.step = task};
    char id[RUN_ID_MAX + 1];
    int r = journal_api_writer(journal, &f.journal, &err);
    if (r == 0 && task <= 1)
        r = error_set(&err, ERROR_INVALID, "a run can't be forked before its first task: start it anew");
    if (r == 0)
        r = journal_find(f.journal, run_id, true, &row, &err);
    if (r == 0)
        r = fork_row(&f, &row, id, &err);
    journal_row_done(&row);
    char *given = r == 0 ? strdup(id) : NULL;
    if (r == 0 && given == NULL)
        r = error_set(&err, ERROR_NOMEM, "no memory for a run's id");
    if (r != 0)
        return runtime_error(error, r, &err);
    *ret_run_id = given;
    return 0;
}
