/* Calls of tasks by tasks; HTTP is passed on to requests.c. */
#include "run/calls.h"
#include "base/clock.h"
#include "guest/abi.h"
#include "run/requests.h"
#include "run/run.h"
#include "run/scheduler.h"
#include "run/task.h"
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
    buffer_printf(to, ",\"run_id\":\"%s\",\"task_id\":%" PRIu32 ",\"attempt\":%" PRIu32 ",\"key\":\"%s\"",
                  t->run->id, t->id, t->attempt, t->key);
    if (t->definition->policy.timeout_ns != 0 && t->deadline != UINT64_MAX)
        buffer_printf(to, ",\"deadline_ns\":%" PRIu64, clock_wall_ns() + (t->deadline - clock_monotonic_ns()));
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

/* Answers an operation that didn't become a task. Returns what op_submit returns. */
static int32_t refuse(struct task *t, uint32_t op, enum outcome_type type, const char *why) {
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
    sandbox_complete(t->sandbox, op, reply, n);
    return 0;
}

/* ---- operations ---- */

static int32_t call_task(struct task *t, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    const char *name = json_text(json_get(header, "task"), ""), *why = NULL;
    const struct app_task *definition = app_find(t->run->app, name);
    if (definition == NULL) {
        char message[256];
        snprintf(message, sizeof message, "there's no task named \"%.100s\"", name);
        return refuse(t, op, OUTCOME_NOT_FOUND, message);
    }
    struct task *child;
    if (task_new(t->run, definition, t, body, body_n, json_bool(json_get(header, "tagged"), false), &child,
                 NULL) != 0)
        return refuse(t, op, OUTCOME_HOST_ERROR, "no memory for another task");
    child->parent_op = op;
    pthread_mutex_lock(&t->run->lock);
    if (task_admit(child, &why)) {
        run_state_event(t->run, child);
        scheduler_enqueue(child, true);
    }
    pthread_mutex_unlock(&t->run->lock);
    if (why == NULL)
        return 0;
    task_free(child);
    return refuse(t, op, OUTCOME_POLICY, why);
}

int32_t calls_submit(void *task, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    static const char *const kinds[] = {
#define OPERATION(name, kind) [OPERATION_##name] = kind,
#include "guest/hostcalls.def"
#undef OPERATION
    };
    const char *kind = json_text(json_get(header, "op"), "");
    if (strcmp(kind, kinds[OPERATION_TASK_CALL]) == 0)
        return call_task(task, op, header, body, body_n);
    for (int i = OPERATION_HTTP_REQUEST; i <= OPERATION_HTTP_CLOSE; i++) {
        if (strcmp(kind, kinds[i]) == 0)
            return requests_submit(task, op, header, body, body_n);
    }
    return GUEST_E_BAD_MESSAGE;
}

void calls_cancel(void *task, uint32_t op) {
    struct task *t = task;
    bool found = false;
    pthread_mutex_lock(&t->run->lock);
    for (struct task *child = t->children; child != NULL && !found; child = child->sibling_next) {
        found = child->parent_op == op;
        if (found)
            task_stop(child, OUTCOME_CANCELLED, "its caller cancelled it", true);
    }
    pthread_mutex_unlock(&t->run->lock);
    if (!found && t->http != NULL)
        http_cancel(t->http, op);
}
