/* A run, from its arguments to its end, and its events. */
#include "run/run.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "guest/abi.h"
#include "run/reopen.h"
#include "run/requests.h"
#include "run/runtime.h"
#include "sandbox/operation.h"
#include "sandbox/tape.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- events ---- */

static capsule_event event_of(const struct capsule_run *run, const struct task *t, capsule_event_kind kind) {
    return (capsule_event){.kind = kind,
                           .time = clock_wall_ns(),
                           .run_id = run->id,
                           .task_id = t->id,
                           .parent_id = t->parent != NULL ? t->parent->id : 0,
                           .task_name = t->definition->policy.name,
                           .attempt = t->attempt,
                           .state = t->state,
                           .duration = clock_monotonic_ns() - t->created,
                           .fuel = t->fuel,
                           .ram = t->ram};
}

void run_state_event(const struct capsule_run *run, const struct task *t) {
    if (run->on_event == NULL || run->suspended)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_STATE);
    event.error_type = outcome_name(t->outcome.type);
    event.error_message = t->outcome.message;
    run->on_event(run->user, &event);
}

void run_retry_event(const struct capsule_run *run, const struct task *t, uint64_t delay) {
    if (run->on_event == NULL || run->suspended)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_RETRY);
    event.error_type = outcome_name(t->outcome.type);
    event.error_message = t->outcome.message;
    event.delay = delay;
    run->on_event(run->user, &event);
}

void run_output_event(const struct capsule_run *run, const struct task *t, int stream, const void *bytes,
                      size_t n) {
    if (run->on_event == NULL || run->suspended)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_OUTPUT);
    event.stream = stream;
    event.bytes = bytes;
    event.bytes_n = n;
    run->on_event(run->user, &event);
}

void run_request_event(const struct capsule_run *run, const struct task *t, const struct http_record *record) {
    if (run->on_event == NULL || run->suspended)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_REQUEST);
    event.method = record->method;
    event.url = record->url;
    event.status = record->status;
    event.request_duration = record->duration;
    event.response_bytes = record->bytes;
    run->on_event(run->user, &event);
}

/* ---- making ---- */

/* A UUID of version 7 (RFC 9562 §5.7): sorts by time. */
void run_new_id(char ret[RUN_ID_MAX + 1]) {
    uint8_t b[16];
    random_bytes(b, sizeof b);
    uint64_t ms = clock_wall_ns() / NS_PER_MS;
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    snprintf(ret, RUN_ID_MAX + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int set_run_id(struct capsule_run *run, const char *id, struct error *err) {
    if (id == NULL) {
        run_new_id(run->id);
        return 0;
    }
    size_t n = strlen(id);
    if (n == 0 || n > RUN_ID_MAX ||
        strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != n)
        return error_set(err, ERROR_INVALID, "a run's id has 1 to %d letters, digits, _, . or -", (int)RUN_ID_MAX);
    memcpy(run->id, id, n + 1);
    return 0;
}

/* One half of the body: text if it's JSON of the right type. */
static int append_json(struct buffer *body, const char *what, const char *text, const char *missing,
                       enum json_type type, struct error *err) {
    if (text == NULL)
        return buffer_puts(body, missing);
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    int r = json_parse(text, strlen(text), &document, err);
    if (r == 0 && json_type(json_root(document)) != type)
        r = error_set(err, ERROR_INVALID, "the %s must be a JSON %s", what,
                      type == JSON_ARRAY ? "array" : "object");
    else if (r != 0)
        error_prefix(err, "the %s aren't JSON", what);
    return r == 0 ? buffer_puts(body, text) : r;
}

static int prepare(struct capsule_run *run, const capsule_run_options *o, struct error *err) {
    const struct app_task *entry = NULL;
    CLEANUP(buffer_done) struct buffer body = BUFFER_INIT(GUEST_MESSAGE_MAX);
    int r = app_entry(run->app, o->task, &entry, err);
    if (r == 0)
        r = set_run_id(run, o->run_id, err);
    buffer_putc(&body, '[');
    if (r == 0)
        r = append_json(&body, "arguments", o->args_json, "[]", JSON_ARRAY, err);
    buffer_putc(&body, ',');
    if (r == 0)
        r = append_json(&body, "keyword arguments", o->kwargs_json, "{}", JSON_OBJECT, err);
    if (r != 0)
        return r;
    if (buffer_putc(&body, ']') != 0)
        return error_set(err, ERROR_LIMIT, "the arguments are longer than %d bytes", (int)GUEST_MESSAGE_MAX);
    r = task_new(run, entry, NULL, body.data, body.size, false, NULL, &run->root, err);
    const char *why;
    if (r == 0 && !task_admit(run->root, &why))
        r = error_set(err, ERROR_LIMIT, "%s", why);
    return r == 0 && run->app->recorded ? record_begin(run, o->run_id == NULL, o->durable != 0, err) : r;
}

static struct capsule_run *run_new(struct capsule_app *app, const capsule_run_options *o) {
    struct capsule_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return NULL;
    run->app = app;
    run->timeout = o->timeout;
    run->on_event = o->on_event;
    run->user = o->user;
    run->suspend_after = o->wait ? UINT64_MAX : o->suspend_after != 0 ? o->suspend_after : WAITS_SUSPEND_AFTER;
    run->record.tape = BUFFER_INIT(TAPE_MAX);
    atomic_init(&run->wake_fd, -1);
    atomic_init(&run->cancelled, false);
    atomic_init(&run->left, false);
    atomic_init(&run->helpers, 0);
    atomic_init(&run->queue_n, 0);
    pthread_mutex_init(&run->lock, NULL);
    return run;
}

/* How a run is made: from options, or from what's on record. */
typedef int maker(struct capsule_run *run, const capsule_run_options *o, struct error *err);

static int make(capsule_app *app, const capsule_run_options *options, maker *how, capsule_run **ret_run,
                capsule_error *error) {
    static const capsule_run_options defaults;
    const capsule_run_options *o = options != NULL ? options : &defaults;
    struct error err = {0};
    struct capsule_run *run = run_new(app, o);
    if (run == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for a run");
    int r = how(run, o, &err);
    if (r != 0) {
        capsule_run_free(run);
        return runtime_error(error, r, &err);
    }
    *ret_run = run;
    return 0;
}

int capsule_run_new(capsule_app *app, const capsule_run_options *options, capsule_run **ret_run,
                    capsule_error *error) {
    return make(app, options, prepare, ret_run, error);
}

/* ---- resuming ---- */

static int read_text(struct capsule_run *run, const struct event_text *text, struct buffer *ret,
                     struct error *err) {
    return journal_text(run->record.journal, text, ret, err);
}

/* The outcome of a run that has ended: from the reply that's on record. */
static int restore_outcome(struct capsule_run *run, const struct history_task *past, struct error *err) {
    struct task *t = run->root;
    CLEANUP(buffer_done) struct buffer reply = BUFFER_INIT(2 * (size_t)GUEST_MESSAGE_MAX);
    const char *header, *body;
    size_t header_n, body_n;
    int r = read_text(run, &past->reply, &reply, err);
    if (r == 0 && !message_split(buffer_text(&reply), reply.size, &header, &header_n, &body, &body_n))
        r = error_set(err, ERROR_CORRUPT, "the outcome that's on record of run %s is malformed", run->id);
    if (r != 0)
        return r;
    outcome_read_message(&t->outcome, header, header_n, body, body_n);
    requests_take_over(t, past->requests);
    t->state = (capsule_state)past->state;
    t->attempt = past->attempts;
    t->fuel = past->fuel;
    t->ram = past->ram;
    t->duration = past->duration;
    t->phase = TASK_ENDED;
    return 0;
}

static int restore_root(struct capsule_run *run, struct error *err) {
    const struct history_task *past = history_task(run->record.history, 1);
    const struct app_task *entry = past != NULL ? app_find(run->app, past->name) : NULL;
    CLEANUP(buffer_done) struct buffer body = BUFFER_INIT(GUEST_MESSAGE_MAX);
    if (entry == NULL)
        return error_set(err, ERROR_CORRUPT, "what run %s began with isn't on record", run->id);
    int r = read_text(run, &past->body, &body, err);
    if (r == 0)
        r = task_new(run, entry, NULL, buffer_text(&body), body.size, past->tagged, past, &run->root, err);
    if (r != 0)
        return r;
    const char *why;
    if (!task_admit(run->root, &why))
        return error_set(err, ERROR_LIMIT, "%s", why);
    run->tasks_ever = history_last_task(run->record.history);
    return past->ended ? restore_outcome(run, past, err) : 0;
}

static int resume(struct capsule_run *run, const capsule_run_options *o, struct error *err) {
    int r = record_resume(run, o->run_id, err);
    return r == 0 ? restore_root(run, err) : r;
}

int capsule_run_resume(capsule_app *app, const char *run_id, const capsule_run_options *options,
                       capsule_run **ret_run, capsule_error *error) {
    capsule_run_options o = options != NULL ? *options : (capsule_run_options){0};
    if (!app->recorded || run_id == NULL)
        return runtime_fail(error, ERROR_INVALID,
                            "this application's runs aren't recorded: open it by capsule_app_reopen");
    o.run_id = run_id;
    return make(app, &o, resume, ret_run, error);
}

int capsule_run_had_ended(const capsule_run *run) {
    return run->record.history != NULL && run->record.run == NULL && !run->waited;
}

const char *capsule_run_id(capsule_run *run) {
    return run->id;
}

const char *capsule_run_waits_for(capsule_run *run) {
    return run->suspended ? run->waits_for : NULL;
}

void capsule_run_free(capsule_run *run) {
    if (run == NULL)
        return;
    record_done(run);
    task_free(run->root);
    timers_done(&run->timers);
    pthread_mutex_destroy(&run->lock);
    free(run->traceback);
    free(run->envelope);
    free(run);
}

/* ---- executing ---- */

static void tell_suspension(struct capsule_run *run) {
    if (run->on_event == NULL)
        return;
    capsule_event event = event_of(run, run->root, CAPSULE_EVENT_STATE);
    event.state = CAPSULE_SUSPENDED;
    run->on_event(run->user, &event);
}

/* The tapes of all tasks that wait, so that nothing of what they did is done again. */
static void record_tapes(struct task *t) {
    record_tape(t);
    for (struct task *child = t->children; child != NULL; child = child->sibling_next)
        record_tapes(child);
}

void run_suspend(struct capsule_run *run, uint64_t wake, const char *waits_for) {
    snprintf(run->waits_for, sizeof run->waits_for, "%s", waits_for);
    record_tapes(run->root);
    tell_suspension(run);
    run->suspended = true;
    record_suspended(run, wake, waits_for);
    task_stop(run->root, OUTCOME_CANCELLED, "the run is suspended", true);
}

void run_leave(struct capsule_run *run) {
    run->record.muted = true;
    task_stop(run->root, OUTCOME_INTERRUPTED, "it was stopped here, and can be resumed", true);
}

/* Executes it until it ends or is suspended, and puts that on record. */
static int execute(struct capsule_run *run, struct error *err) {
    int r = scheduler_execute(&run->app->runtime->scheduler, run, err);
    if (r == 0 && run->suspended)
        r = app_keep_image(run->app, err);
    return r == 0 ? record_finish(run, err) : r;
}

/* Brings it back to where it was before it was suspended. ERROR_CANCELLED: another process was quicker. */
static int return_to_life(struct capsule_run *run, struct error *err) {
    char id[RUN_ID_MAX + 1];
    memcpy(id, run->id, sizeof id);
    record_done(run);
    task_free(run->root);
    run->root = NULL;
    run->suspended = false;
    return resume(run, &(capsule_run_options){.run_id = id}, err);
}

/* A signal that came while the run was being suspended brings it back at once. */
static int release_or_return(struct capsule_run *run, struct error *err) {
    bool news = false;
    int r = record_release(run, &news, err);
    if (r == 0 && news && !atomic_load(&run->cancelled))
        r = return_to_life(run, err);
    if (r != ERROR_CANCELLED)
        return r;
    run->suspended = true; /* whoever took it goes on with it */
    return 0;
}

int capsule_run_wait(capsule_run *run, capsule_error *error) {
    struct error err = {0};
    if (run->waited)
        return runtime_fail(error, ERROR_INVALID, "this run has been waited for");
    run->waited = true;
    int r = 0;
    while (r == 0 && !run->suspended && run->root->phase != TASK_ENDED) {
        r = execute(run, &err);
        if (r == 0 && run->suspended)
            r = release_or_return(run, &err);
    }
    if (r != 0)
        return runtime_error(error, r, &err);
    if (run->suspended)
        return (int)CAPSULE_SUSPENDED;
    if (run->record.run != NULL && !run->record.muted)
        app_drop_image(run->app);
    return (int)run->root->state;
}

static void tell(capsule_run *run, atomic_bool *what) {
    int saved = errno; /* signal handlers must leave it alone */
    atomic_store(what, true);
    int fd = atomic_load(&run->wake_fd);
    uint64_t one = 1;
    if (fd >= 0)
        (void)!write(fd, &one, sizeof one);
    errno = saved;
}

void capsule_run_cancel(capsule_run *run) {
    tell(run, &run->cancelled);
}

void capsule_run_leave(capsule_run *run) {
    tell(run, &run->left);
}
