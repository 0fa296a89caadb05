/* A run, from its arguments to its end, and its events. */
#include "run/run.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "guest/abi.h"
#include "run/runtime.h"
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
    if (run->on_event == NULL)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_STATE);
    event.error_type = outcome_name(t->outcome.type);
    event.error_message = t->outcome.message;
    run->on_event(run->user, &event);
}

void run_retry_event(const struct capsule_run *run, const struct task *t, uint64_t delay) {
    if (run->on_event == NULL)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_RETRY);
    event.error_type = outcome_name(t->outcome.type);
    event.error_message = t->outcome.message;
    event.delay = delay;
    run->on_event(run->user, &event);
}

void run_output_event(const struct capsule_run *run, const struct task *t, int stream, const void *bytes,
                      size_t n) {
    if (run->on_event == NULL)
        return;
    capsule_event event = event_of(run, t, CAPSULE_EVENT_OUTPUT);
    event.stream = stream;
    event.bytes = bytes;
    event.bytes_n = n;
    run->on_event(run->user, &event);
}

void run_request_event(const struct capsule_run *run, const struct task *t, const struct http_record *record) {
    if (run->on_event == NULL)
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
static void new_run_id(char ret[RUN_ID_MAX + 1]) {
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
        new_run_id(run->id);
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
    r = task_new(run, entry, NULL, body.data, body.size, false, &run->root, err);
    const char *why;
    return r != 0 || task_admit(run->root, &why) ? r : error_set(err, ERROR_LIMIT, "%s", why);
}

int capsule_run_new(capsule_app *app, const capsule_run_options *options, capsule_run **ret_run,
                    capsule_error *error) {
    static const capsule_run_options defaults;
    const capsule_run_options *o = options != NULL ? options : &defaults;
    struct error err = {0};
    struct capsule_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for a run");
    run->app = app;
    run->timeout = o->timeout;
    run->on_event = o->on_event;
    run->user = o->user;
    atomic_init(&run->wake_fd, -1);
    atomic_init(&run->cancelled, false);
    atomic_init(&run->helpers, 0);
    atomic_init(&run->queue_n, 0);
    pthread_mutex_init(&run->lock, NULL);
    int r = prepare(run, o, &err);
    if (r != 0) {
        capsule_run_free(run);
        return runtime_error(error, r, &err);
    }
    *ret_run = run;
    return 0;
}

void capsule_run_free(capsule_run *run) {
    if (run == NULL)
        return;
    task_free(run->root);
    timers_done(&run->timers);
    pthread_mutex_destroy(&run->lock);
    free(run->traceback);
    free(run->envelope);
    free(run);
}

/* ---- executing ---- */

int capsule_run_wait(capsule_run *run, capsule_error *error) {
    struct error err = {0};
    if (run->waited)
        return runtime_fail(error, ERROR_INVALID, "this run has been waited for");
    int r = scheduler_execute(&run->app->runtime->scheduler, run, &err);
    if (r != 0)
        return runtime_error(error, r, &err);
    run->waited = true;
    return (int)run->root->state;
}

void capsule_run_cancel(capsule_run *run) {
    int saved = errno; /* signal handlers must leave it alone */
    atomic_store(&run->cancelled, true);
    int fd = atomic_load(&run->wake_fd);
    uint64_t one = 1;
    if (fd >= 0)
        (void)!write(fd, &one, sizeof one);
    errno = saved;
}
