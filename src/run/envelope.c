/* What is told of a run after its end: the envelope, the result, the error. */
#include "base/json.h"
#include "run/run.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ENVELOPE_MAX = 512 * 1024 * 1024 };

const char *capsule_state_name(capsule_state state) {
    static const char *const names[] = {
        [CAPSULE_CREATED] = "created",         [CAPSULE_RUNNING] = "running",
        [CAPSULE_COMPLETED] = "completed",     [CAPSULE_FAILED] = "failed",
        [CAPSULE_TIMED_OUT] = "timed_out",     [CAPSULE_CANCELLED] = "cancelled",
        [CAPSULE_INTERRUPTED] = "interrupted", [CAPSULE_SUSPENDED] = "suspended",
    };
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

int run_write_execution(const struct capsule_run *run, const struct task *t, struct buffer *to) {
    uint64_t us = t->duration / 1000;
    int r = buffer_printf(to, "{\"run_id\":\"%s\",\"task_name\":", run->id);
    if (r == 0)
        r = json_write_string(to, t->definition->policy.name, strlen(t->definition->policy.name));
    if (r != 0)
        return r;
    r = buffer_printf(to,
                      ",\"state\":\"%s\",\"duration_ms\":%" PRIu64 ".%03" PRIu64 ",\"retries\":%" PRIu32
                      ",\"fuel_consumed\":%" PRIu64 ",\"ram_used\":%" PRIu64 ",\"host_requests\":[%s]",
                      capsule_state_name(t->state), us / 1000, us % 1000, t->attempt > 0 ? t->attempt - 1 : 0,
                      t->fuel, t->ram, buffer_text(&t->requests));
    if (r == 0 && t->requests_omitted > 0)
        r = buffer_printf(to, ",\"host_requests_omitted\":%" PRIu32, t->requests_omitted);
    return r == 0 ? buffer_putc(to, '}') : r;
}

static bool ended(const capsule_run *run) {
    return run->root != NULL && !run->suspended && run->root->phase == TASK_ENDED;
}

const char *capsule_run_result(capsule_run *run) {
    return ended(run) ? run->root->outcome.result : NULL;
}

const char *capsule_run_error_type(capsule_run *run) {
    return ended(run) ? outcome_name(run->root->outcome.type) : NULL;
}

const char *capsule_run_error_message(capsule_run *run) {
    return ended(run) ? run->root->outcome.message : NULL;
}

const char *capsule_run_error_class(capsule_run *run) {
    return ended(run) ? run->root->outcome.class_name : NULL;
}

const char *capsule_run_error_traceback(capsule_run *run) {
    if (run->traceback == NULL && ended(run))
        run->traceback = app_host_traceback(run->app, run->root->outcome.traceback);
    return run->traceback;
}

static int write_error(capsule_run *run, struct buffer *to) {
    struct outcome shown = run->root->outcome;
    shown.traceback = (char *)(uintptr_t)capsule_run_error_traceback(run);
    int r = outcome_write_error(&shown, to);
    return r == 0 ? buffer_putc(to, '}') : r;
}

/* Of a run that waits without a process: there's no outcome yet. */
static int write_suspension(const capsule_run *run, struct buffer *to) {
    buffer_printf(to,
                  "{\"success\":false,\"result\":null,\"error\":null,\"execution\":{\"run_id\":\"%s\",\"state\":"
                  "\"suspended\","
                  "\"waits_for\":",
                  run->id);
    json_write_string(to, run->waits_for, strlen(run->waits_for));
    return buffer_puts(to, "}}");
}

static int write_envelope(capsule_run *run, struct buffer *to) {
    if (run->suspended)
        return write_suspension(run, to);
    const struct outcome *o = &run->root->outcome;
    int r = buffer_printf(to, "{\"success\":%s,\"result\":", o->type == OUTCOME_OK ? "true" : "false");
    if (r == 0)
        r = o->result != NULL ? buffer_append(to, o->result, o->result_n) : buffer_puts(to, "null");
    if (r == 0)
        r = buffer_puts(to, ",\"error\":");
    if (r == 0)
        r = o->type == OUTCOME_OK ? buffer_puts(to, "null") : write_error(run, to);
    if (r == 0)
        r = buffer_puts(to, ",\"execution\":");
    if (r == 0)
        r = run_write_execution(run, run->root, to);
    return r == 0 ? buffer_putc(to, '}') : r;
}

const char *capsule_run_envelope(capsule_run *run) {
    if (run->envelope != NULL || (!ended(run) && !run->suspended))
        return run->envelope;
    struct buffer text = BUFFER_INIT(ENVELOPE_MAX);
    if (write_envelope(run, &text) == 0)
        run->envelope = buffer_take(&text);
    else
        buffer_done(&text);
    return run->envelope;
}
