/* A task's life: attempts, retries, its end. */
#include "run/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "guest/abi.h"
#include "run/calls.h"
#include "run/requests.h"
#include "run/run.h"
#include "run/runtime.h"
#include "run/waits.h"
#include "sandbox/operation.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static char *make_key(const struct capsule_run *run, struct task *parent) {
    char *key = NULL;
    int n = parent == NULL ? asprintf(&key, "%s/1", run->id)
                           : asprintf(&key, "%s.%" PRIu32, parent->key, ++parent->calls);
    return n < 0 ? NULL : key;
}

/* Brings it to where its record ends: to the attempt that was under way, or to the next one. */
static void restore(struct task *t, const struct history_task *past) {
    uint64_t now = clock_wall_ns(), age = now > past->created ? now - past->created : 0;
    t->past = past;
    t->created -= age < t->created ? age : t->created;
    t->attempt = past->attempt;
    t->calls = past->children;
    if (!past->in_flight)
        return;
    t->calls = past->calls;
    t->attempt--;
    t->replayed = past->attempt;
    t->silent[0] = past->output[0];
    t->silent[1] = past->output[1];
    t->restoring = past->tape.size > 0;
    if (t->definition->policy.idempotent || history_suspended(t->run->record.history))
        return;
    t->attempt++;
    t->stop = OUTCOME_INTERRUPTED;
    t->stop_text = "it was being executed when its process ended, and isn't idempotent";
    t->final = true;
}

int task_new(struct capsule_run *run, const struct app_task *definition, struct task *parent, const char *body,
             size_t body_n, bool tagged, const struct history_task *past, struct task **ret, struct error *err) {
    struct task *t = FAULT("task.alloc") ? NULL : calloc(1, sizeof *t);
    if (t == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for a task");
    t->key = make_key(run, parent);
    t->body = malloc(body_n + 1);
    if (t->key == NULL || t->body == NULL) {
        task_free(t);
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
    t->created = clock_monotonic_ns();
    t->deadline = t->timer.at = UINT64_MAX;
    t->state = CAPSULE_CREATED;
    if (past != NULL)
        restore(t, past);
    t->requests = BUFFER_INIT(TASK_REQUESTS_MAX);
    if (past != NULL && !past->ended)
        requests_restore(t, past);
    *ret = t;
    return 0;
}

bool task_admit(struct task *t, const char **ret_why) {
    struct capsule_run *run = t->run;
    if (t->depth > TASK_DEPTH_MAX)
        *ret_why = "task calls are nested more than 128 deep";
    else if (run->live_n >= TASKS_ALIVE_MAX)
        *ret_why = "more than 100,000 tasks of the run are alive";
    else if (t->body_n > RUN_ARGUMENTS_MAX - run->arguments)
        *ret_why = "the arguments of all tasks that are alive are more than 1 GiB";
    else if (!timers_reserve(&run->timers, run->live_n + run->waits.n + 1))
        *ret_why = "there's no memory for another task";
    else
        *ret_why = NULL;
    if (*ret_why != NULL)
        return false;
    run->live_n++;
    run->restoring_n += t->restoring;
    run->arguments += t->body_n;
    t->id = t->past != NULL ? t->past->id : ++run->tasks_ever;
    if (t->parent != NULL) {
        t->sibling_next = t->parent->children;
        if (t->sibling_next != NULL)
            t->sibling_next->sibling_previous = t;
        t->parent->children = t;
    }
    return true;
}

void task_free(struct task *t) {
    if (t == NULL)
        return;
    outcome_done(&t->outcome);
    buffer_done(&t->requests);
    requests_drop(t);
    free(t->key);
    free(t->body);
    free(t);
}

/* ---- ending ---- */

static void leave_parent(struct task *t) {
    if (t->sibling_previous != NULL)
        t->sibling_previous->sibling_next = t->sibling_next;
    else
        t->parent->children = t->sibling_next;
    if (t->sibling_next != NULL)
        t->sibling_next->sibling_previous = t->sibling_previous;
}

void task_go_on(struct task *t, bool by_worker) {
    if (t->phase != TASK_WAITING)
        return;
    bool ready = t->closing
                     ? t->children == NULL && t->http == NULL
                     : t->sandbox != NULL && (requests_due(t) || sandbox_ready(t->sandbox, clock_monotonic_ns()));
    if (ready)
        scheduler_enqueue(t, by_worker);
}

void task_recorded(struct task *t) {
    bool held = t->held;
    t->held = false;
    if (t->phase == TASK_WAITING && !t->closing && held)
        scheduler_enqueue(t, false);
    else
        task_go_on(t, false);
}

static void end(struct task *t, char *reply, size_t reply_n) {
    struct capsule_run *run = t->run;
    t->phase = TASK_ENDED;
    t->duration = clock_monotonic_ns() - t->created;
    t->state = outcome_state(t->outcome.type);
    run->live_n--;
    run->arguments -= t->body_n;
    if (t->outcome.type != OUTCOME_OK)
        reply = call_failure(t, &reply_n);
    if (reply != NULL)
        record_ended(t, reply, reply_n);
    run_state_event(run, t);
    if (t->parent == NULL) {
        free(reply);
        scheduler_wake_driver(run);
        return;
    }
    if (t->parent->closing)
        free(reply);
    else
        record_deliver(t->parent, t->parent_op, reply, reply_n);
    requests_hand_up(t);
    leave_parent(t);
    task_go_on(t->parent, true);
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

static void try_again(struct task *t) {
    uint64_t delay = backoff(t->attempt);
    record_retry(t, delay);
    run_retry_event(t->run, t, delay);
    t->closing = t->begun = false;
    t->stop = OUTCOME_OK;
    t->phase = TASK_WAITING;
    scheduler_set_timer(t->run, &t->timer, clock_monotonic_ns() + delay);
}

static void close_sandbox(struct task *t, struct worker *w) {
    if (t->sandbox != NULL) {
        uint64_t ram = sandbox_ram(t->sandbox);
        t->fuel += sandbox_fuel_used(t->sandbox);
        t->ram = ram > t->ram ? ram : t->ram;
        sandbox_close(t->sandbox);
        t->sandbox = NULL;
        atomic_fetch_add_explicit(&w->closed, 1, memory_order_relaxed);
    }
    mounts_done(&t->mounts);
}

static void stop_children(const struct task *t) {
    for (struct task *child = t->children; child != NULL; child = child->sibling_next)
        task_stop(child, OUTCOME_CANCELLED, "its caller ended", true);
}

/* It's where it was when its process ended, or won't be. */
static void end_restoring(struct task *t) {
    struct capsule_run *run = t->run;
    t->restoring = false;
    if (--run->restoring_n == 0)
        waits_signalled(run);
}

static void begin_closing(struct task *t) {
    if (t->restoring)
        end_restoring(t);
    t->closing = true;
    t->deadline = UINT64_MAX;
    t->starved_since = 0;
    t->held = false;
    scheduler_set_timer(t->run, &t->timer, UINT64_MAX);
    record_forget(t);
    waits_forget(t);
    stop_children(t);
    if (t->http != NULL)
        http_session_close(t->http);
}

static void set_stop_outcome(struct task *t) {
    if (t->stop == OUTCOME_TIMEOUT && t->stop_text == NULL)
        outcome_set(&t->outcome, OUTCOME_TIMEOUT, "the task took longer than its timeout of %g s",
                    (double)t->definition->policy.timeout_ns / (double)NS_PER_S);
    else
        outcome_set(&t->outcome, t->stop, "%s", t->stop_text);
}

static void finish_closing(struct task *t, struct worker *w) {
    pthread_mutex_unlock(&t->run->lock);
    char *reply = NULL;
    size_t reply_n = 0;
    close_sandbox(t, w);
    requests_drop(t);
    if (t->outcome.type == OUTCOME_OK && (t->parent != NULL || t->run->record.run != NULL))
        reply = call_success(t, &reply_n);
    pthread_mutex_lock(&t->run->lock);
    bool again =
        t->outcome.type != OUTCOME_OK && t->outcome.retry && t->attempt <= t->definition->policy.max_retries;
    if (again && !t->final) {
        try_again(t);
        return;
    }
    if (again) /* it was stopped while it failed: that's why there is no further attempt */
        set_stop_outcome(t);
    end(t, reply, reply_n);
}

void task_stop(struct task *t, enum outcome_type type, const char *text, bool final) {
    bool stronger = t->stop == OUTCOME_OK || (final && !t->final);
    t->final = t->final || final;
    if (t->phase == TASK_ENDED || !stronger)
        return;
    t->stop = type;
    t->stop_text = text;
    stop_children(t);
    if (t->phase == TASK_WAITING && !t->closing)
        scheduler_enqueue(t, false); /* whoever asks may be no worker */
}

/* ---- attempts ---- */

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

static void forward_output(void *user, int stream, const void *bytes, size_t n) {
    struct task *t = user;
    uint64_t *silent = &t->silent[stream == 2], left_out = *silent < n ? *silent : n;
    *silent -= left_out;
    if (left_out == n)
        return;
    pthread_mutex_lock(&t->run->lock);
    record_output(t, stream, (const char *)bytes + left_out, n - left_out);
    run_output_event(t->run, t, stream, (const char *)bytes + left_out, n - left_out);
    pthread_mutex_unlock(&t->run->lock);
}

static void forward_tape(void *user) {
    struct task *t = user;
    pthread_mutex_lock(&t->run->lock);
    record_tape(t);
    pthread_mutex_unlock(&t->run->lock);
}

static int open_sandbox(struct task *t, struct worker *w, struct error *err) {
    const struct capsule_app *app = t->run->app;
    const struct policy *policy = &t->definition->policy;
    struct sandbox_options options = {
        .engine = app->runtime->engine,
        .module = &app->guest->module,
        .image = app->image,
        .slots = &w->slots,
        .fuel = policy->fuel,
        .ram = policy->ram,
        .wasi = {.limits = wasi_limits_default(), .output = forward_output, .user = t},
        .host = {.submit = calls_submit, .cancel = calls_cancel, .tape = forward_tape, .user = t},
        .taped = t->run->record.run != NULL};
    if (t->replayed == t->attempt) {
        options.replay = t->past->tape.data;
        options.replay_n = t->past->tape.size;
    }
    mounts_done(&t->mounts); /* of a try that found no sandbox free */
    int r = collect_mounts(t, &options.wasi, err);
    if (r != 0)
        return r;
    r = sandbox_open(&options, &t->sandbox, err);
    if (r != ERROR_LIMIT)
        return r;
    /* Perhaps other threads keep idle ones. */
    runtime_forget_image(app->runtime, NULL);
    return sandbox_open(&options, &t->sandbox, err);
}

static int start(struct task *t, struct worker *w, struct error *err) {
    int r = open_sandbox(t, w, err);
    if (r != 0)
        return r;
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(GUEST_HEADER_MAX);
    r = call_write_header(t, &header);
    if (r != 0)
        return error_set(err, r, "the call's header is too long");
    return sandbox_begin_message(t->sandbox, "guest_call", header.data, header.size, t->body, t->body_n, err);
}

/* Why an attempt couldn't start, as the caller sees it. */
static void set_start_outcome(struct task *t, int code, const struct error *err) {
    enum outcome_type type = OUTCOME_HOST_ERROR;
    if (code == ERROR_PROJECT)
        type = OUTCOME_POLICY; /* a granted file is gone */
    else if (code == ERROR_LIMIT && t->sandbox == NULL)
        type = OUTCOME_POLICY; /* sandboxes */
    else if (code == ERROR_LIMIT)
        type = t->body_n > GUEST_MESSAGE_MAX - GUEST_HEADER_MAX ? OUTCOME_BAD_INPUT : OUTCOME_OUT_OF_MEMORY;
    outcome_set(&t->outcome, type, "%s", err->message);
}

enum slice_end { SLICE_USED, SLICE_PARKED, SLICE_STARVED, SLICE_ENDED };

/* All sandboxes are in use. Whether to ask again: not when none has become free for long. */
static bool may_starve_on(struct task *t) {
    uint64_t now = clock_monotonic_ns(), closed = runtime_sandboxes_closed(t->run->app->runtime);
    if (t->starved_since == 0 || closed != t->starved_closed) {
        t->starved_since = now;
        t->starved_closed = closed;
    }
    return now - t->starved_since < TASK_STARVED_MAX_NS;
}

static enum slice_end try_start(struct task *t, struct worker *w) {
    struct error err;
    err.message[0] = '\0'; /* all of it is 8 KiB, and this path is hot */
    int r = start(t, w, &err);
    if (r == 0)
        return SLICE_USED;
    if (r == ERROR_LIMIT && t->sandbox == NULL && may_starve_on(t))
        return SLICE_STARVED;
    set_start_outcome(t, r, &err);
    return SLICE_ENDED;
}

static enum slice_end run_guest(struct task *t) {
    switch (sandbox_poll(t->sandbox)) {
    case SANDBOX_RUNNABLE:
        return SLICE_USED;
    case SANDBOX_PARKED:
        return SLICE_PARKED;
    default:
        outcome_read(&t->outcome, t->sandbox);
        return SLICE_ENDED;
    }
}

/* Of the attempt that begins, ns. Waiting counts, also without a process; that its process was killed doesn't. */
static uint64_t time_left(const struct task *t) {
    uint64_t whole = t->definition->policy.timeout_ns, now = clock_wall_ns();
    if (t->attempt != t->replayed || !history_suspended(t->run->record.history) || now <= t->began)
        return whole;
    return now - t->began < whole ? whole - (now - t->began) : 0;
}

static void begin_attempt(struct task *t) {
    t->attempt++;
    t->begun = true;
    outcome_done(&t->outcome);
    if (t->attempt == t->replayed) {
        t->began = t->past->started;
    } else {
        t->began = clock_wall_ns() / 1000 * 1000;
        t->silent[0] = t->silent[1] = 0;
        record_started(t);
    }
    if (t->definition->policy.timeout_ns != 0)
        t->deadline = clock_monotonic_ns() + time_left(t);
    scheduler_set_timer(t->run, &t->timer, t->deadline);
    t->state = CAPSULE_RUNNING;
    run_state_event(t->run, t);
    /* What it does to files, or may do only once, it does after its start is on record. */
    if (t->definition->writes || !t->definition->policy.idempotent)
        t->held = !record_reached(t);
}

static void wait_until(struct task *t, uint64_t at) {
    t->phase = TASK_WAITING;
    scheduler_set_timer(t->run, &t->timer, at < t->deadline ? at : t->deadline);
}

static void park(struct task *t) {
    uint64_t until = sandbox_wake_time(t->sandbox);
    if (requests_due(t) || sandbox_ready(t->sandbox, until == UINT64_MAX ? 0 : clock_monotonic_ns()))
        scheduler_enqueue(t, true);
    else
        wait_until(t, until);
}

/* Without the lock: opens its sandbox if it has none, sends what is due, and lets its guest run. */
static enum slice_end run_slice(struct task *t, struct worker *w) {
    record_throttle(t->run);
    enum slice_end how = t->sandbox == NULL ? try_start(t, w) : SLICE_USED;
    if (how != SLICE_USED)
        return how;
    if (t->sends != NULL)
        requests_send(t);
    return run_guest(t);
}

/* The task is TASK_RUNNING afterwards only if the attempt is over. */
static void use_slice(struct task *t, struct worker *w) {
    if (t->sandbox == NULL && !t->begun)
        begin_attempt(t);
    if (t->held) {
        wait_until(t, UINT64_MAX);
        return;
    }
    pthread_mutex_unlock(&t->run->lock);
    enum slice_end how = run_slice(t, w);
    pthread_mutex_lock(&t->run->lock);
    if (how != SLICE_STARVED)
        t->starved_since = 0;
    if (t->restoring && t->sandbox != NULL && !sandbox_replays(t->sandbox))
        end_restoring(t);
    if (how == SLICE_ENDED)
        begin_closing(t);
    else if (t->stop != OUTCOME_OK)
        return;
    else if (how == SLICE_USED)
        scheduler_enqueue(t, true);
    else if (how == SLICE_PARKED)
        park(t);
    else
        wait_until(t, clock_monotonic_ns() + TASK_STARVED_POLL_NS);
}

void task_step(struct task *t, struct worker *w) {
    if (!t->closing && t->stop == OUTCOME_OK)
        use_slice(t, w);
    if (t->phase != TASK_RUNNING)
        return;
    if (!t->closing) {
        set_stop_outcome(t);
        begin_closing(t);
    }
    if (t->children == NULL && t->http == NULL)
        finish_closing(t, w);
    else
        t->phase = TASK_WAITING;
}

void task_wake(struct task *t, uint64_t now) {
    if (now >= t->deadline) {
        t->deadline = UINT64_MAX;
        task_stop(t, OUTCOME_TIMEOUT, NULL, false);
    } else if (t->phase == TASK_WAITING) {
        scheduler_enqueue(t, true);
    }
}
