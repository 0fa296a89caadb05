/* A task's life: attempts, calls of other tasks, retries, its end. */
#include "run/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "guest/abi.h"
#include "run/run.h"
#include "run/runtime.h"
#include "sandbox/operation.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = GUEST_HEADER_MAX, REPLY_MAX = 4 * GUEST_HEADER_MAX };

/* ---- making ---- */

static char *make_key(const struct capsule_run *run, struct task *parent) {
    char *key = NULL;
    int n = parent == NULL ? asprintf(&key, "%s/1", run->id)
                           : asprintf(&key, "%s.%" PRIu32, parent->key, ++parent->calls);
    return n < 0 ? NULL : key;
}

static void link_live(struct task *t) {
    struct capsule_run *run = t->run;
    t->next = run->live;
    if (run->live != NULL)
        run->live->previous = t;
    run->live = t;
    run->live_n++;
}

static void unlink_live(struct task *t) {
    struct capsule_run *run = t->run;
    if (t->previous != NULL)
        t->previous->next = t->next;
    else
        run->live = t->next;
    if (t->next != NULL)
        t->next->previous = t->previous;
    run->live_n--;
}

int task_new(struct capsule_run *run, const struct app_task *definition, struct task *parent, const char *body,
             size_t body_n, bool tagged, struct task **ret, struct error *err) {
    struct task *t = FAULT("task.alloc") ? NULL : calloc(1, sizeof *t);
    if (t == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for a task");
    t->key = make_key(run, parent);
    t->body = malloc(body_n + 1);
    if (t->key == NULL || t->body == NULL) {
        free(t->key);
        free(t->body);
        free(t);
        return error_set(err, ERROR_NOMEM, "no memory for a task's arguments");
    }
    memcpy(t->body, body, body_n);
    t->body[body_n] = '\0';
    t->body_n = body_n;
    t->tagged = tagged;
    t->run = run;
    t->definition = definition;
    t->parent = parent;
    t->depth = parent == NULL ? 1 : parent->depth + 1;
    t->id = ++run->tasks_ever;
    t->created = clock_monotonic_ns();
    t->deadline = t->retry_at = UINT64_MAX;
    t->state = CAPSULE_CREATED;
    link_live(t);
    *ret = t;
    return 0;
}

/* Closes the running attempt's sandbox, if it got that far, and adds up what it used. */
static void close_attempt(struct task *t) {
    if (t->sandbox != NULL) {
        uint64_t ram = sandbox_ram(t->sandbox);
        t->fuel += sandbox_fuel_used(t->sandbox);
        t->ram = ram > t->ram ? ram : t->ram;
        sandbox_close(t->sandbox);
        t->sandbox = NULL;
    }
    mounts_done(&t->mounts);
    t->deadline = UINT64_MAX;
}

void task_free(struct task *t) {
    if (t == NULL)
        return;
    close_attempt(t);
    outcome_done(&t->outcome);
    free(t->key);
    free(t->body);
    free(t);
}

/* ---- ending ---- */

static int write_reply_header(const struct task *t, struct buffer *to) {
    if (t->outcome.type == OUTCOME_OK)
        return buffer_puts(to, t->outcome.tagged ? "{\"ok\":true,\"tagged\":true}" : "{\"ok\":true}");
    int r = buffer_puts(to, "{\"ok\":false,\"error\":");
    if (r == 0)
        r = outcome_write_error(&t->outcome, to);
    if (r == 0)
        r = buffer_printf(to, ",\"retry\":%s,\"execution\":", t->outcome.retry ? "true" : "false");
    if (r == 0)
        r = run_write_execution(t->run, t, to);
    return r == 0 ? buffer_puts(to, "}}") : r;
}

/* Answers the parent's operation and lets it go on if that's what it waits for. */
static void tell_parent(struct task *t) {
    struct task *parent = t->parent;
    if (parent == NULL || parent->sandbox == NULL)
        return;
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(REPLY_MAX);
    static const char too_long[] =
        "{\"ok\":false,\"error\":{\"type\":\"host_error\",\"message\":\"the error is too long to pass on\"}}";
    bool fits = write_reply_header(t, &header) == 0 && header.size <= GUEST_HEADER_MAX;
    size_t n = 0;
    char *message = fits ? message_new(header.data, header.size, t->outcome.result, t->outcome.result_n, &n)
                         : message_new(too_long, sizeof too_long - 1, NULL, 0, &n);
    if (message == NULL) {
        task_end(parent, OUTCOME_HOST_ERROR, "no memory for a result");
        return;
    }
    sandbox_complete(parent->sandbox, t->parent_op, message, n);
    if (parent->phase == TASK_WAITING && sandbox_ready(parent->sandbox, clock_monotonic_ns()))
        run_enqueue(t->run, parent);
}

static void cancel_children(const struct task *t) {
    struct task *child = t->run->live;
    while (child != NULL) {
        if (child->parent != t) {
            child = child->next;
            continue;
        }
        task_end(child, OUTCOME_CANCELLED, "its caller ended");
        child = t->run->live; /* anything may have left the list */
    }
}

/* While a task is being ended its children must not wake it: only a TASK_WAITING one is queued by tell_parent. */
static void stop_attempt(struct task *t) {
    t->phase = TASK_ENDED;
    run_dequeue(t->run, t);
    cancel_children(t);
    close_attempt(t);
}

static void finish(struct task *t) {
    t->duration = clock_monotonic_ns() - t->created;
    t->state = outcome_state(t->outcome.type);
    unlink_live(t);
    run_state_event(t->run, t);
    tell_parent(t);
    if (t->parent != NULL)
        task_free(t);
}

static uint64_t backoff(uint32_t attempt) {
    uint64_t delay = TASK_BACKOFF_FIRST_NS;
    while (--attempt > 0 && delay < TASK_BACKOFF_LAST_NS)
        delay *= 2;
    delay = delay < TASK_BACKOFF_LAST_NS ? delay : TASK_BACKOFF_LAST_NS;
    uint64_t random;
    random_bytes(&random, sizeof random);
    return delay / 2 + random % (delay / 2 + 1);
}

/* t->outcome says how the attempt ended: the task ends as well, or tries again later. */
static void end_attempt(struct task *t) {
    stop_attempt(t);
    if (t->outcome.type == OUTCOME_OK || !t->outcome.retry || t->attempt > t->definition->policy.max_retries) {
        finish(t);
        return;
    }
    uint64_t delay = backoff(t->attempt);
    run_retry_event(t->run, t, delay);
    t->retry_at = clock_monotonic_ns() + delay;
    t->phase = TASK_WAITING;
}

void task_end(struct task *t, enum outcome_type type, const char *message) {
    outcome_set(&t->outcome, type, "%s", message);
    stop_attempt(t);
    finish(t);
}

/* ---- calls of other tasks ---- */

static void answer(struct task *t, uint32_t op, enum outcome_type type, const char *message) {
    struct outcome outcome = {0};
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(REPLY_MAX);
    outcome_set(&outcome, type, "%s", message);
    buffer_puts(&header, "{\"ok\":false,\"error\":");
    outcome_write_error(&outcome, &header);
    buffer_puts(&header, ",\"retry\":false}}");
    outcome_done(&outcome);
    size_t n = 0;
    char *reply = message_new(header.data, header.size, NULL, 0, &n);
    if (reply != NULL)
        sandbox_complete(t->sandbox, op, reply, n);
}

static int32_t call_task(struct task *t, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    const char *name = json_text(json_get(header, "task"), "");
    const struct app_task *definition = app_find(t->run->app, name);
    char message[256];
    if (definition == NULL) {
        snprintf(message, sizeof message, "there's no task named \"%.100s\"", name);
        answer(t, op, OUTCOME_NOT_FOUND, message);
        return 0;
    }
    if (t->depth >= TASK_DEPTH_MAX || t->run->live_n >= TASKS_ALIVE_MAX) {
        snprintf(message, sizeof message,
                 t->depth >= TASK_DEPTH_MAX ? "task calls are nested more than %d deep"
                                            : "more than %d tasks of the run are alive",
                 t->depth >= TASK_DEPTH_MAX ? (int)TASK_DEPTH_MAX : (int)TASKS_ALIVE_MAX);
        answer(t, op, OUTCOME_POLICY, message);
        return 0;
    }
    struct task *child;
    if (task_new(t->run, definition, t, body, body_n, json_bool(json_get(header, "tagged"), false), &child,
                 NULL) != 0) {
        answer(t, op, OUTCOME_HOST_ERROR, "no memory for another task");
        return 0;
    }
    child->parent_op = op;
    run_state_event(t->run, child);
    run_enqueue(t->run, child);
    return 0;
}

static int32_t submit(void *user, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    static const char *const kinds[] = {
#define OPERATION(name, kind) [OPERATION_##name] = kind,
#include "guest/hostcalls.def"
#undef OPERATION
    };
    const char *kind = json_text(json_get(header, "op"), "");
    return strcmp(kind, kinds[OPERATION_TASK_CALL]) == 0 ? call_task(user, op, header, body, body_n)
                                                         : GUEST_E_BAD_MESSAGE;
}

static void cancel(void *user, uint32_t op) {
    const struct task *t = user;
    for (struct task *child = t->run->live; child != NULL; child = child->next) {
        if (child->parent == t && child->parent_op == op) {
            task_end(child, OUTCOME_CANCELLED, "its caller cancelled it");
            return;
        }
    }
}

static void forward_output(void *user, int stream, const void *bytes, size_t n) {
    const struct task *t = user;
    run_output_event(t->run, t, stream, bytes, n);
}

/* ---- attempts ---- */

static int write_call_header(const struct task *t, struct buffer *to) {
    buffer_puts(to, "{\"task\":");
    json_write_string(to, t->definition->policy.name, strlen(t->definition->policy.name));
    buffer_printf(to, ",\"run_id\":\"%s\",\"task_id\":%" PRIu32 ",\"attempt\":%" PRIu32 ",\"key\":\"%s\"",
                  t->run->id, t->id, t->attempt, t->key);
    if (t->deadline != UINT64_MAX)
        buffer_printf(to, ",\"deadline_ns\":%" PRIu64, clock_wall_ns() + (t->deadline - clock_monotonic_ns()));
    if (t->definition->env_json != NULL) {
        buffer_puts(to, ",\"env\":");
        buffer_puts(to, t->definition->env_json);
    }
    return buffer_printf(to, ",\"outer\":%s,\"tagged\":%s}", t->parent == NULL ? "true" : "false",
                         t->tagged ? "true" : "false");
}

/* The mounts of this attempt: the application's own array where the policy grants nothing. */
static int collect_mounts(struct task *t, struct wasi_options *wasi, struct error *err) {
    const struct capsule_app *app = t->run->app;
    const struct policy *policy = &t->definition->policy;
    wasi->mounts = app->mounts.mounts;
    wasi->n_mounts = app->mounts.n;
    if (policy->n_files == 0)
        return 0;
    int r = mounts_copy(&t->mounts, app->mounts.mounts, app->mounts.n, err);
    for (size_t i = 0; r == 0 && i < policy->n_files; i++)
        r = mounts_add_grant(&t->mounts, &app->project, &policy->files[i], err);
    wasi->mounts = t->mounts.mounts;
    wasi->n_mounts = t->mounts.n;
    return r;
}

static int open_sandbox(struct task *t, struct error *err) {
    const struct capsule_app *app = t->run->app;
    const struct policy *policy = &t->definition->policy;
    struct sandbox_options options = {
        .engine = app->runtime->engine,
        .module = &app->runtime->python.module,
        .image = app->image,
        .slots = &t->run->worker->slots,
        .fuel = policy->fuel,
        .ram = policy->ram,
        .wasi = {.limits = wasi_limits_default(), .output = forward_output, .user = t},
        .host = {.submit = submit, .cancel = cancel, .user = t}};
    int r = collect_mounts(t, &options.wasi, err);
    return r == 0 ? sandbox_open(&options, &t->sandbox, err) : r;
}

static int start_attempt(struct task *t, struct error *err) {
    t->attempt++;
    t->retry_at = UINT64_MAX;
    outcome_done(&t->outcome);
    if (t->definition->policy.timeout_ns != 0)
        t->deadline = clock_monotonic_ns() + t->definition->policy.timeout_ns;
    t->state = CAPSULE_RUNNING;
    run_state_event(t->run, t);
    int r = open_sandbox(t, err);
    if (r != 0)
        return r;
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(HEADER_MAX);
    r = write_call_header(t, &header);
    if (r != 0)
        return error_set(err, r, "the call's header is too long");
    return sandbox_begin_message(t->sandbox, "guest_call", header.data, header.size, t->body, t->body_n, err);
}

/* Why an attempt couldn't start, as the caller sees it. */
static void start_failed(struct task *t, int code, const struct error *err) {
    enum outcome_type type = OUTCOME_HOST_ERROR;
    if (code == ERROR_PROJECT)
        type = OUTCOME_POLICY; /* a granted file is gone */
    else if (code == ERROR_LIMIT && t->sandbox != NULL)
        type = t->body_n > GUEST_MESSAGE_MAX - GUEST_HEADER_MAX ? OUTCOME_BAD_INPUT : OUTCOME_OUT_OF_MEMORY;
    outcome_set(&t->outcome, type, "%s", err->message);
    end_attempt(t);
}

void task_step(struct task *t) {
    struct error err = {0};
    int r = t->sandbox == NULL ? start_attempt(t, &err) : 0;
    if (r != 0) {
        start_failed(t, r, &err);
        return;
    }
    switch (sandbox_poll(t->sandbox)) {
    case SANDBOX_RUNNABLE:
        run_enqueue(t->run, t);
        break;
    case SANDBOX_PARKED:
        t->phase = TASK_WAITING;
        if (sandbox_ready(t->sandbox, clock_monotonic_ns()))
            run_enqueue(t->run, t);
        break;
    case SANDBOX_ENDED:
        outcome_read(&t->outcome, t->sandbox);
        end_attempt(t);
        break;
    }
}

uint64_t task_wake_time(const struct task *t) {
    uint64_t wake = t->deadline;
    if (t->phase == TASK_WAITING) {
        uint64_t wait = t->sandbox != NULL ? sandbox_wake_time(t->sandbox) : t->retry_at;
        wake = wait < wake ? wait : wake;
    }
    return wake;
}

void task_wake(struct task *t, uint64_t now) {
    if (now < t->deadline) {
        run_enqueue(t->run, t);
        return;
    }
    outcome_set(&t->outcome, OUTCOME_TIMEOUT, "the task took longer than its timeout of %g s",
                (double)t->definition->policy.timeout_ns / (double)NS_PER_S);
    end_attempt(t);
}
