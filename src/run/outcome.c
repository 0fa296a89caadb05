/* From a sandbox's end to an outcome. */
#include "run/outcome.h"
#include "base/json.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool retried;
    capsule_state state;
} types[] = {[OUTCOME_OK] = {NULL, false, CAPSULE_COMPLETED},
#define OUTCOME_ROW(id, name, retried, state) [OUTCOME_##id] = {name, retried, state},
             OUTCOME_TYPES(OUTCOME_ROW)
#undef OUTCOME_ROW
};

void outcome_done(struct outcome *o) {
    free(o->message);
    free(o->class_name);
    free(o->traceback);
    free(o->result);
    *o = (struct outcome){0};
}

const char *outcome_name(enum outcome_type type) {
    return types[type].name;
}

capsule_state outcome_state(enum outcome_type type) {
    return types[type].state;
}

void outcome_set(struct outcome *o, enum outcome_type type, const char *format, ...) {
    outcome_done(o);
    o->type = type;
    o->retry = types[type].retried;
    va_list list;
    va_start(list, format);
    if (vasprintf(&o->message, format, list) < 0)
        o->message = NULL;
    va_end(list);
}

/* What a guest may report of itself; anything else counts as the code's own error. */
static enum outcome_type reported_type(const char *name) {
    static const enum outcome_type allowed[] = {OUTCOME_OUT_OF_MEMORY, OUTCOME_BAD_INPUT, OUTCOME_BAD_OUTPUT,
                                                OUTCOME_POLICY};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (strcmp(name, types[allowed[i]].name) == 0)
            return allowed[i];
    }
    return OUTCOME_TASK_ERROR;
}

static char *copy_text(const json_value *v) {
    size_t n;
    const char *text = json_string(v, &n);
    return text != NULL ? strndup(text, n) : NULL;
}

/* What we wrote ourselves. */
static enum outcome_type recorded_type(const char *name) {
    for (int type = OUTCOME_OK + 1; type <= OUTCOME_DIVERGED; type++) {
        if (strcmp(name, types[type].name) == 0)
            return (enum outcome_type)type;
    }
    return OUTCOME_HOST_ERROR;
}

static void read_error(struct outcome *o, const json_value *error, bool ours) {
    const char *type = json_text(json_get(error, "type"), "");
    o->type = ours ? recorded_type(type) : reported_type(type);
    o->retry = types[o->type].retried && json_bool(json_get(error, "retry"), true);
    o->message = copy_text(json_get(error, "message"));
    o->class_name = copy_text(json_get(error, "class"));
    o->traceback = copy_text(json_get(error, "traceback"));
}

static void read_parts(struct outcome *o, const char *header, size_t header_n, const char *body, size_t body_n,
                       bool ours) {
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json_parse(header, header_n, &document, NULL) != 0) {
        outcome_set(o, OUTCOME_TRAP, "the sandbox's reply is malformed");
        return;
    }
    const json_value *root = json_root(document);
    o->async = json_bool(json_get(root, "async"), false);
    if (!json_bool(json_get(root, "ok"), false)) {
        read_error(o, json_get(root, "error"), ours);
        return;
    }
    if (!json_valid(body, body_n)) {
        outcome_set(o, OUTCOME_BAD_OUTPUT, "the result isn't JSON");
        return;
    }
    o->tagged = json_bool(json_get(root, "tagged"), false);
    o->result = malloc(body_n + 1);
    if (o->result == NULL) {
        outcome_set(o, OUTCOME_HOST_ERROR, "no memory for the result");
        return;
    }
    memcpy(o->result, body, body_n);
    o->result[body_n] = '\0';
    o->result_n = body_n;
}

void outcome_read_message(struct outcome *o, const char *header, size_t header_n, const char *body,
                          size_t body_n) {
    outcome_done(o);
    read_parts(o, header, header_n, body, body_n, true);
}

static void read_reply(struct outcome *o, const struct sandbox *sandbox) {
    const char *header, *body;
    size_t header_n, body_n;
    if (sandbox_reply(sandbox, &header, &header_n, &body, &body_n, NULL) != 0)
        outcome_set(o, OUTCOME_TRAP, "the sandbox's reply is malformed");
    else
        read_parts(o, header, header_n, body, body_n, false);
}

void outcome_read(struct outcome *o, const struct sandbox *sandbox) {
    outcome_done(o);
    switch (sandbox_end(sandbox)) {
    case SANDBOX_RETURNED:
        read_reply(o, sandbox);
        break;
    case SANDBOX_EXITED:
        outcome_set(o, OUTCOME_TASK_ERROR, "the task ended its process with exit code %u instead of returning",
                    sandbox_exit_code(sandbox));
        o->class_name = strdup("SystemExit");
        break;
    case SANDBOX_TRAPPED:
        outcome_set(o, OUTCOME_TRAP, "%s", sandbox_trap(sandbox));
        break;
    case SANDBOX_OUT_OF_FUEL:
        outcome_set(o, OUTCOME_OUT_OF_FUEL, "the task used all of its compute");
        break;
    case SANDBOX_OUT_OF_MEMORY:
        outcome_set(o, OUTCOME_OUT_OF_MEMORY, "the task needed more memory than its ram");
        break;
    case SANDBOX_OUTPUT_LIMIT:
        outcome_set(o, OUTCOME_POLICY,
                    "the task wrote more to its standard output and error than it may (%llu MiB)",
                    (unsigned long long)(wasi_limits_default().output >> 20));
        break;
    case SANDBOX_DIVERGED:
        outcome_set(o, OUTCOME_DIVERGED, "resumed, the task can't be brought to where it was: %s",
                    sandbox_trap(sandbox));
        break;
    }
}

static int write_member(struct buffer *to, const char *name, const char *text) {
    if (text == NULL)
        return 0;
    int r = buffer_printf(to, ",\"%s\":", name);
    return r != 0 ? r : json_write_string(to, text, strlen(text));
}

int outcome_write_error(const struct outcome *o, struct buffer *to) {
    int r = buffer_printf(to, "{\"type\":\"%s\"", outcome_name(o->type));
    if (r == 0)
        r = write_member(to, "class", o->class_name);
    if (r == 0)
        r = write_member(to, "message", o->message != NULL ? o->message : "");
    return r != 0 ? r : write_member(to, "traceback", o->traceback);
}
