/* Calls of tasks by tasks; HTTP is passed on to requests.c. */
#include "run/calls.h"
#include "base/clock.h"
#include "guest/abi.h"
#include "journal/history.h"
#include "run/requests.h"
#include "run/run.h"
#include "run/scheduler.h"
#include "run/task.h"
#include "run/waits.h"
#include "sandbox/operation.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REPLY_MAX = 4 * GUEST_HEADER_MAX };

/* ---- messages ---- */

int call_write_header(const struct task *t, struct buffer *to) {
    const char *name = t->definition->policy.name;
    buffer_puts(to, "{\"task\":");
    json_write_string(to, name, strlen(name));
    /* A fork's replayed attempts see themselves in the run that they were recorded in. */
    bool forked = t->replayed == t->attempt && t->past->seen_as[0] != '\0';
    const char *run_id = forked ? t->past->seen_as : t->run->id, *path = strchr(t->key, '/');
    buffer_printf(to, ",\"run_id\":\"%s\",\"task_id\":%" PRIu32 ",\"attempt\":%" PRIu32 ",\"key\":\"%s%s\"",
                  run_id, t->id, t->attempt, run_id, path != NULL ? path : "");
    if (t->definition->policy.timeout_ns != 0)
        buffer_printf(to, ",\"deadline_ns\":%" PRIu64, t->began + t->definition->policy.timeout_ns);
    if (t->definition->env_json != NULL) {
        buffer_puts(to, ",\"env\":");
        buffer_puts(to, t->definition->env_json);
    }
    return buffer_printf(to, ",\"outer\":%s,\"tagged\":%s}", t->parent == NULL ? "true" : "false",
                         t->tagged ? "true" : "false");
}

static const char *async_member(const struct task *t) {
    return t->outcome.async ? ",\"async\":true" : "";
}

char *call_success(const struct task *t, size_t *ret_n) {
    char header[64];
    int n = snprintf(header, sizeof header, "{\"ok\":true,\"tagged\":%s%s}", t->outcome.tagged ? "true" : "false",
                     async_member(t));
    return message_new(header, (size_t)n, t->outcome.result, t->outcome.result_n, ret_n);
}

char *call_failure(const struct task *t, size_t *ret_n) {
    static const char too_long[] =
        "{\"ok\":false,\"error\":{\"type\":\"host_error\",\"message\":\"the error is too long to pass on\"}}";
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(REPLY_MAX);
    int r = buffer_printf(&header, "{\"ok\":false%s,\"error\":", async_member(t));
    if (r == 0)
        r = outcome_write_error(&t->outcome, &header);
    if (r == 0)
        r = buffer_printf(&header, ",\"retry\":%s,\"execution\":", t->outcome.retry ? "true" : "false");
    if (r == 0)
        r = run_write_execution(t->run, t, &header);
    if (r == 0)
        r = buffer_puts(&header, "}}");
    if (r != 0 || header.size > GUEST_HEADER_MAX)
        return message_new(too_long, sizeof too_long - 1, NULL, 0, ret_n);
    return message_new(header.data, header.size, NULL, 0, ret_n);
}

int32_t calls_refuse(struct task *t, uint32_t op, enum outcome_type type, const char *why) {
    struct outcome outcome = {0};
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(REPLY_MAX);
    outcome_set(&outcome, type, "%s", why);
    buffer_puts(&header, "{\"ok\":false,\"error\":");
    outcome_write_error(&outcome, &header);
    buffer_puts(&header, ",\"retry\":false}}");
    outcome_done(&outcome);
    size_t n = 0;
    char *reply = message_new(buffer_text(&header), header.size, NULL, 0, &n);
    if (reply == NULL)
        return GUEST_E_TOO_MANY;
    pthread_mutex_lock(&t->run->lock);
    record_reply(t, op, reply, n); /* whether it's refused may depend on what else the run was doing */
    pthread_mutex_unlock(&t->run->lock);
    sandbox_complete(t->sandbox, op, reply, n);
    return 0;
}

/* ---- operations ---- */

/* Answers an operation by the reply that's on record. */
static int32_t answer(struct task *t, uint32_t op, const struct event_text *reply) {
    struct error err;
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(2 * (size_t)GUEST_MESSAGE_MAX);
    if (journal_text(t->run->record.journal, reply, &text, &err) != 0) {
        pthread_mutex_lock(&t->run->lock);
        task_stop(t, OUTCOME_DIVERGED, "what it got then can't be read from the journal any more", true);
        pthread_mutex_unlock(&t->run->lock);
        return 0;
    }
    size_t n = text.size;
    char *message = buffer_take(&text);
    if (message == NULL)
        return GUEST_E_TOO_MANY;
    sandbox_complete(t->sandbox, op, message, n);
    return 0;
}

/* A call that ended before the run was resumed. */
static int32_t answer_call(struct task *t, uint32_t op, const struct history_task *past) {
    t->calls++;
    pthread_mutex_lock(&t->run->lock);
    requests_take_over(t, past->requests);
    pthread_mutex_unlock(&t->run->lock);
    return answer(t, op, &past->reply);
}

static int32_t new_call(struct task *t, uint32_t op, const struct app_task *definition, const char *body,
                        size_t body_n, bool tagged, const struct history_task *past) {
    const char *why = NULL;
    struct task *child;
    if (task_new(t->run, definition, t, body, body_n, tagged, past, &child, NULL) != 0)
        return calls_refuse(t, op, OUTCOME_HOST_ERROR, "no memory for another task");
    child->parent_op = op;
    pthread_mutex_lock(&t->run->lock);
    if (task_admit(child, &why)) {
        if (past == NULL)
            record_created(child);
        run_state_event(t->run, child);
        scheduler_enqueue(child, true);
    }
    pthread_mutex_unlock(&t->run->lock);
    if (why == NULL)
        return 0;
    t->calls--; /* it never was */
    task_free(child);
    return calls_refuse(t, op, OUTCOME_POLICY, why);
}

static int32_t call_task(struct task *t, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    const char *name = json_text(json_get(header, "task"), "");
    const struct app_task *definition = app_find(t->run->app, name);
    const struct history *history = t->run->record.history;
    const struct history_task *past = history != NULL ? history_child(history, t->id, t->attempt, op) : NULL;
    if (definition == NULL) {
        char message[256];
        snprintf(message, sizeof message, "there's no task named \"%.100s\"", name);
        return calls_refuse(t, op, OUTCOME_NOT_FOUND, message);
    }
    if (past != NULL && past->ended)
        return answer_call(t, op, past);
    return new_call(t, op, definition, body, body_n, json_bool(json_get(header, "tagged"), false), past);
}

static int find_operation(const char *kind) {
    static const char *const kinds[] = {
#define OPERATION(name, kind) [OPERATION_##name] = kind,
#include "guest/hostcalls.def"
#undef OPERATION
    };
    int n = sizeof kinds / sizeof kinds[0], i = 0;
    while (i < n && strcmp(kind, kinds[i]) != 0)
        i++;
    return i < n ? i : -1;
}

/* What a task did before is put on record with its calls, requests and waits; not with parts of responses that it reads. */
static bool needs_tape(int operation) {
    return operation != OPERATION_HTTP_READ && operation != OPERATION_HTTP_CLOSE;
}

int32_t calls_submit(void *task, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    struct task *t = task;
    const struct history *history = t->run->record.history;
    int operation = find_operation(json_text(json_get(header, "op"), ""));
    if (operation < 0)
        return GUEST_E_BAD_MESSAGE;
    const struct event_text *past = history != NULL ? history_reply(history, t->id, t->attempt, op) : NULL;
    if (past != NULL)
        return answer(t, op, past);
    if (t->run->record.run != NULL && needs_tape(operation)) {
        pthread_mutex_lock(&t->run->lock);
        record_tape(t);
        pthread_mutex_unlock(&t->run->lock);
    }
    switch (operation) {
    case OPERATION_TASK_CALL:
        return call_task(t, op, header, body, body_n);
    case OPERATION_SLEEP:
        return waits_sleep(t, op, header);
    case OPERATION_SIGNAL_WAIT:
        return waits_signal(t, op, header);
    default:
        return requests_submit(t, op, operation, header, body, body_n);
    }
}

/* Stops the child that an operation stands for. */
static bool cancel_child(const struct task *t, uint32_t op) {
    struct task *child = t->children;
    while (child != NULL && child->parent_op != op)
        child = child->sibling_next;
    if (child != NULL)
        task_stop(child, OUTCOME_CANCELLED, "its caller cancelled it", true);
    return child != NULL;
}

void calls_cancel(void *task, uint32_t op) {
    struct task *t = task;
    pthread_mutex_lock(&t->run->lock);
    bool found = cancel_child(t, op) || waits_cancel(t, op);
    pthread_mutex_unlock(&t->run->lock);
    if (!found)
        requests_cancel(t, op);
}
