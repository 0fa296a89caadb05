/* How an attempt or a task ended: the error types of the envelope, what each one means for retries and states. */
#ifndef RUN_OUTCOME_H
#define RUN_OUTCOME_H

#include "base/buffer.h"
#include "base/error.h"
#include "capsule.h"
#include "sandbox/sandbox.h"
#include <stdbool.h>
#include <stddef.h>

/* name as in the envelope, whether it's retried (the guest may forbid it), the state that the task ends in. */
#define OUTCOME_TYPES(X)                                                                                          \
    X(TASK_ERROR, "task_error", true, CAPSULE_FAILED)                                                             \
    X(TIMEOUT, "timeout", true, CAPSULE_TIMED_OUT)                                                                \
    X(OUT_OF_FUEL, "out_of_fuel", false, CAPSULE_FAILED)                                                          \
    X(OUT_OF_MEMORY, "out_of_memory", true, CAPSULE_FAILED)                                                       \
    X(TRAP, "trap", true, CAPSULE_FAILED)                                                                         \
    X(CANCELLED, "cancelled", false, CAPSULE_CANCELLED)                                                           \
    X(POLICY, "policy", false, CAPSULE_FAILED)                                                                    \
    X(NOT_FOUND, "not_found", false, CAPSULE_FAILED)                                                              \
    X(BAD_INPUT, "bad_input", false, CAPSULE_FAILED)                                                              \
    X(BAD_OUTPUT, "bad_output", false, CAPSULE_FAILED)                                                            \
    X(HOST_ERROR, "host_error", false, CAPSULE_FAILED)                                                            \
    X(INTERRUPTED, "interrupted", false, CAPSULE_INTERRUPTED)                                                     \
    X(DIVERGED, "diverged", false, CAPSULE_FAILED)

enum outcome_type {
    OUTCOME_OK,
#define OUTCOME_ENUM(id, name, retried, state) OUTCOME_##id,
    OUTCOME_TYPES(OUTCOME_ENUM)
#undef OUTCOME_ENUM
};

struct outcome {
    enum outcome_type type;
    bool retry;    /* another attempt makes sense */
    char *message; /* of an error; so are the next two, which may be NULL */
    char *class_name;
    char *traceback;
    char *result; /* of OUTCOME_OK: JSON text */
    size_t result_n;
    bool tagged; /* result uses the "$…" forms */
    bool async;  /* the guest says that it came later, by a promise: for the caller to know */
};

void outcome_done(struct outcome *o);
const char *outcome_name(enum outcome_type type); /* NULL for OUTCOME_OK */
capsule_state outcome_state(enum outcome_type type);

/* An error of the host's making. */
void outcome_set(struct outcome *o, enum outcome_type type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What a reply message to a task's caller says (guest/abi.h), in parts. */
void outcome_read_message(struct outcome *o, const char *header, size_t header_n, const char *body, size_t body_n);
/* What an ended sandbox's call came to. Everything in its reply is hostile. */
void outcome_read(struct outcome *o, const struct sandbox *sandbox);

/* Appends {"type", "class"?, "message", "traceback"?} without the closing brace, so that members can be added. */
int outcome_write_error(const struct outcome *o, struct buffer *to);

#endif
