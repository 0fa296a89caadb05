/* Events of a run as the journal takes them, and the queue of what waits for it. */
#include "run/record.h"
#include "base/clock.h"
#include "base/fault.h"
#include "net/http.h"
#include "run/reopen.h"
#include "run/requests.h"
#include "run/run.h"
#include "run/runtime.h"
#include "run/task.h"
#include "run/waits.h"
#include "sandbox/tape.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct deferred {
    struct deferred *next;
    uint64_t position;
    struct task *task;
    uint32_t op; /* 0: the task's turn, nothing to complete */
    char *reply;
    size_t reply_n;
};

struct seen_signal {
    struct seen_signal *next;
    uint64_t number;
    char *name, *json;
    size_t json_n;
};

enum { TAPE_KEPT_MAX = 1024 * 1024 /* bytes that the buffer for tapes keeps */ };

static bool writes(const struct capsule_run *run) {
    return run->record.run != NULL && !run->record.muted;
}

/* ---- events ---- */

static struct event_text text(const void *bytes, size_t n) {
    return (struct event_text){.bytes = n > 0 ? bytes : "", .n = n};
}

static struct event_text words(const char *s) {
    return text(s, s != NULL ? strlen(s) : 0);
}

static void append(struct capsule_run *run, struct event *e) {
    if (!writes(run))
        return;
    if (e->time == 0)
        e->time = clock_wall_ns();
    struct record *r = &run->record;
    r->bytes += e->texts[0].n + e->texts[1].n;
    if (r->bytes > RECORD_TEXTS_MAX)
        task_stop(run->root, OUTCOME_POLICY, "what is on record of the run is more than 8 GiB", true);
    r->appended = journal_append(r->run, e, r->first != NULL);
}

static struct event creation(const struct task *t) {
    return (struct event){.kind = EVENT_CREATED,
                          .task = t->id,
                          .time = clock_wall_ns(),
                          .numbers = {t->parent != NULL ? t->parent->id : 0, t->parent_op, t->tagged},
                          .texts = {words(t->definition->policy.name), text(t->body, t->body_n)}};
}

void record_created(const struct task *t) {
    struct event e = creation(t);
    append(t->run, &e);
}

void record_started(const struct task *t) {
    struct event e = {
        .kind = EVENT_STARTED, .task = t->id, .time = t->began, .numbers = {t->attempt}, .texts = {words("")}};
    append(t->run, &e);
}

void record_retry(const struct task *t, uint64_t delay) {
    struct event e = {.kind = EVENT_RETRY,
                      .task = t->id,
                      .numbers = {t->attempt, delay},
                      .texts = {words(outcome_name(t->outcome.type)), words(t->outcome.message)}};
    append(t->run, &e);
}

void record_ended(const struct task *t, const char *reply, size_t reply_n) {
    struct event e = {.kind = EVENT_ENDED,
                      .task = t->id,
                      .numbers = {t->state, t->attempt, t->fuel, t->ram, t->duration},
                      .texts = {text(reply, reply_n), text(t->requests.data, t->requests.size)}};
    append(t->run, &e);
}

void record_tape(struct task *t) {
    if (!writes(t->run) || t->sandbox == NULL)
        return;
    struct buffer *tape = &t->run->record.tape;
    buffer_clear(tape);
    if (sandbox_take_tape(t->sandbox, tape) != 0)
        task_stop(t, OUTCOME_HOST_ERROR, "there's no memory to record the task", true);
    struct event e = {.kind = EVENT_TAPE, .task = t->id, .texts = {text(tape->data, tape->size)}};
    if (tape->size > 0)
        append(t->run, &e);
    if (tape->capacity > TAPE_KEPT_MAX)
        buffer_done(tape);
}

void record_reply(const struct task *t, uint32_t op, const char *reply, size_t n) {
    struct event e = {.kind = EVENT_REPLY, .task = t->id, .numbers = {op}, .texts = {text(reply, n)}};
    append(t->run, &e);
}

void record_wait(const struct wait *w) {
    struct event e = {
        .kind = EVENT_WAIT, .task = w->task->id, .numbers = {w->op, w->kind, w->until}, .texts = {words(w->name)}};
    append(w->task->run, &e);
}

void record_signal(const struct task *t, uint32_t op, uint64_t number) {
    struct event e = {.kind = EVENT_SIGNAL, .task = t->id, .numbers = {op, number}};
    append(t->run, &e);
}

void record_output(const struct task *t, int stream, const void *bytes, size_t n) {
    struct event e = {
        .kind = EVENT_OUTPUT, .task = t->id, .numbers = {(uint64_t)stream}, .texts = {text(bytes, n)}};
    append(t->run, &e);
}

void record_request(const struct task *t, const struct http_record *r) {
    struct event e = {.kind = EVENT_REQUEST,
                      .task = t->id,
                      .numbers = {(uint64_t)r->status, r->duration, r->bytes},
                      .texts = {words(r->method), words(r->url)}};
    append(t->run, &e);
}

/* ---- what waits ---- */

static void enqueue(struct capsule_run *run, struct deferred *d) {
    struct record *r = &run->record;
    d->position = r->appended;
    d->task->deferred_n++;
    if (r->last != NULL)
        r->last->next = d;
    else
        r->first = d;
    r->last = d;
    journal_flush(r->run);
}

static struct deferred *defer(struct task *t) {
    struct deferred *d = FAULT("record.alloc") ? NULL : calloc(1, sizeof *d);
    if (d == NULL) {
        task_stop(t, OUTCOME_HOST_ERROR, "there's no memory to record the task", true);
        return NULL;
    }
    d->task = t;
    return d;
}

bool record_reached(struct task *t) {
    struct record *r = &t->run->record;
    if (r->run == NULL || (!r->muted && journal_committed(r->run) >= r->appended))
        return true;
    struct deferred *d = r->muted ? NULL : defer(t);
    if (d != NULL)
        enqueue(t->run, d);
    return false;
}

void record_throttle(const struct capsule_run *run) {
    if (run->record.run != NULL)
        journal_throttle(run->record.run);
}

/* Hands a reply to the guest. */
static void complete(struct task *t, uint32_t op, char *reply, size_t n) {
    if (sandbox_untaken(t->sandbox) + n > RUN_RESULTS_MAX) {
        free(reply);
        task_stop(t, OUTCOME_OUT_OF_MEMORY, "the results that it hasn't taken are more than 1 GiB", true);
        return;
    }
    sandbox_complete(t->sandbox, op, reply, n);
}

void record_deliver(struct task *t, uint32_t op, char *reply, size_t n) {
    struct record *r = &t->run->record;
    if (reply == NULL) {
        task_stop(t, OUTCOME_HOST_ERROR, "no memory for a result", true);
        return;
    }
    bool at_once = r->run == NULL || !t->definition->writes || journal_committed(r->run) >= r->appended;
    struct deferred *d = at_once || r->muted ? NULL : defer(t);
    if (at_once) {
        complete(t, op, reply, n);
    } else if (d == NULL) {
        free(reply);
    } else {
        d->op = op;
        d->reply = reply;
        d->reply_n = n;
        enqueue(t->run, d);
    }
}

void record_forget(struct task *t) {
    struct record *r = &t->run->record;
    struct deferred **at = &r->first;
    if (t->deferred_n == 0)
        return;
    t->deferred_n = 0;
    r->last = NULL;
    for (struct deferred *d; (d = *at) != NULL;) {
        if (d->task != t) {
            r->last = d;
            at = &d->next;
            continue;
        }
        *at = d->next;
        free(d->reply);
        free(d);
    }
}

/* ---- called back by the journal ---- */

static void on_committed(void *user, uint64_t position) {
    struct capsule_run *run = user;
    struct record *r = &run->record;
    pthread_mutex_lock(&run->lock);
    for (struct deferred *d; (d = r->first) != NULL && d->position <= position;) {
        r->first = d->next;
        if (r->first == NULL)
            r->last = NULL;
        d->task->deferred_n--;
        if (d->op != 0)
            complete(d->task, d->op, d->reply, d->reply_n);
        task_recorded(d->task);
        free(d);
    }
    pthread_mutex_unlock(&run->lock);
}

static void on_failed(void *user, const struct error *why) {
    struct capsule_run *run = user;
    struct record *r = &run->record;
    pthread_mutex_lock(&run->lock);
    r->why = malloc(sizeof *r->why);
    if (r->why != NULL)
        *r->why = *why;
    r->failed = r->muted = true;
    task_stop(run->root, OUTCOME_HOST_ERROR, "the run can't be recorded any more", true);
    pthread_mutex_unlock(&run->lock);
}

static void keep_signal(struct record *r, uint64_t number, const char *name, const char *json, size_t json_n) {
    bool taken = r->history != NULL && history_took(r->history, number);
    struct seen_signal *s = taken || number <= r->seen ? NULL : calloc(1, sizeof *s);
    r->seen = number > r->seen ? number : r->seen;
    if (s == NULL)
        return;
    *s = (struct seen_signal){
        .number = number, .name = strdup(name), .json = strndup(json, json_n), .json_n = json_n};
    if (r->signals_last != NULL)
        r->signals_last->next = s;
    else
        r->signals = s;
    r->signals_last = s;
}

static void on_signal(void *user, uint64_t number, const char *name, const char *json, size_t json_n) {
    struct capsule_run *run = user;
    pthread_mutex_lock(&run->lock);
    /* One that comes once the run is being suspended is news for record_release. */
    if (!run->record.muted) {
        keep_signal(&run->record, number, name, json, json_n);
        waits_signalled(run);
    }
    pthread_mutex_unlock(&run->lock);
}

static void on_cancel(void *user) {
    struct capsule_run *run = user;
    pthread_mutex_lock(&run->lock);
    task_stop(run->root, OUTCOME_CANCELLED, "the run was cancelled", true);
    pthread_mutex_unlock(&run->lock);
}

/* ---- signals ---- */

void record_watch(struct capsule_run *run) {
    struct record *r = &run->record;
    if (!writes(run) || r->watched)
        return;
    r->watched = true;
    journal_watch(r->run, true, r->seen);
}

static void signal_free(struct seen_signal *s) {
    free(s->name);
    free(s->json);
    free(s);
}

bool record_take_signal(struct capsule_run *run, const char *name, uint64_t *ret_number, char **ret_json,
                        size_t *ret_n) {
    struct record *r = &run->record;
    struct seen_signal *before = NULL, *s = r->signals;
    for (; s != NULL && (s->name == NULL || s->json == NULL || strcmp(s->name, name) != 0); s = s->next)
        before = s;
    if (s == NULL)
        return false;
    if (before != NULL)
        before->next = s->next;
    else
        r->signals = s->next;
    if (r->signals_last == s)
        r->signals_last = before;
    *ret_number = s->number;
    *ret_json = s->json;
    *ret_n = s->json_n;
    s->json = NULL;
    signal_free(s);
    return true;
}

/* ---- beginning and end ---- */

static struct journal_callbacks callbacks(struct capsule_run *run) {
    return (struct journal_callbacks){
        .committed = on_committed, .failed = on_failed, .signal = on_signal, .cancel = on_cancel, .user = run};
}

int record_begin(struct capsule_run *run, bool generated_id, bool durable, struct error *err) {
    const struct capsule_app *app = run->app;
    struct journal_callbacks c = callbacks(run);
    struct journal *journal = NULL;
    int r = app_journal(run->app, &journal, err);
    if (r != 0)
        return r;
    struct event created = creation(run->root);
    struct journal_begin begin = {.id = run->id,
                                  .entry = app->project.entry,
                                  .task = run->root->definition->policy.name,
                                  .app = app->record.data,
                                  .app_n = app->record.size,
                                  .image = app->image_object,
                                  .durable = durable,
                                  .first = &created};
    r = journal_run_new(journal, &begin, generated_id, &c, &run->record.run, NULL, err);
    if (r != 0)
        return r;
    run->record.journal = journal;
    if (generated_id)
        record_created(run->root);
    return 0;
}

static int on_waiting_signal(void *user, uint64_t number, uint64_t time, const char *name, const char *json,
                             size_t json_n) {
    (void)time;
    keep_signal(user, number, name, json, json_n);
    return 0;
}

static int on_news(void *user, uint64_t number, uint64_t time, const char *name, const char *json, size_t json_n) {
    (void)number, (void)time, (void)name, (void)json, (void)json_n;
    *(bool *)user = true;
    return 1;
}

int record_release(struct capsule_run *run, bool *ret_news, struct error *err) {
    struct record *r = &run->record;
    *ret_news = false;
    journal_run_close(r->run);
    r->run = NULL;
    int status = journal_signals(r->journal, run->id, r->seen, on_news, ret_news, err);
    return status < 0 ? status : 0;
}

int record_resume(struct capsule_run *run, const char *id, struct error *err) {
    struct journal_callbacks c = callbacks(run);
    struct record *rec = &run->record;
    struct journal_row row = {0};
    int r = app_journal(run->app, &rec->journal, err);
    if (r == 0)
        r = journal_find(rec->journal, id, false, &row, err);
    if (r != 0)
        return r;
    snprintf(run->id, sizeof run->id, "%s", row.id);
    bool ended = row.state == JOURNAL_ENDED;
    journal_row_done(&row);
    if (!ended)
        r = journal_run_take(rec->journal, run->id, &c, &rec->run, err);
    if (r == ERROR_INVALID) { /* another process has ended it meanwhile */
        ended = true;
        r = 0;
    }
    if (r == 0)
        r = history_load(rec->journal, run->id, &rec->history, err);
    if (r != 0 || ended)
        return r;
    r = journal_signals(rec->journal, run->id, 0, on_waiting_signal, rec, err);
    if (r != 0)
        return r;
    struct event e = {.kind = EVENT_RESUMED, .numbers = {(uint64_t)getpid()}};
    append(run, &e);
    (void)journal_set_state(rec->run, JOURNAL_RUNNING, 0, 0, NULL, NULL);
    return 0;
}

void record_suspended(struct capsule_run *run, uint64_t wake, const char *waits_for) {
    struct record *r = &run->record;
    struct event e = {.kind = EVENT_SUSPENDED, .numbers = {wake}, .texts = {words(waits_for)}};
    append(run, &e);
    r->appended = journal_set_state(r->run, JOURNAL_SUSPENDED, 0, wake, waits_for, NULL);
    r->muted = true;
}

int record_finish(struct capsule_run *run, struct error *err) {
    struct record *r = &run->record;
    if (r->run == NULL)
        return 0;
    if (writes(run))
        r->appended = journal_set_state(r->run, JOURNAL_ENDED, (int)run->root->state, 0, NULL,
                                        outcome_name(run->root->outcome.type));
    int status = r->failed ? ERROR_IO : journal_await(r->run, r->appended, err);
    if (r->failed && r->why != NULL) {
        status = r->why->code;
        error_set(err, status, "%s", r->why->message);
        error_hint(err, "%s", r->why->hint);
    } else if (r->failed) {
        error_set(err, status, "the run can't be recorded any more");
    }
    return status;
}

void record_done(struct capsule_run *run) {
    struct record *r = &run->record;
    journal_run_close(r->run);
    history_free(r->history);
    for (struct seen_signal *s = r->signals, *next; s != NULL; s = next) {
        next = s->next;
        signal_free(s);
    }
    buffer_done(&r->tape);
    free(r->why);
    *r = (struct record){.tape = BUFFER_INIT(TAPE_MAX)};
}
