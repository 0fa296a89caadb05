/* Owns how an error's text is set, cut and extended.
 *
 * Invariants: message and hint are NUL-terminated and never cut inside a UTF-8 sequence; nothing is allocated, so an
 * error can be set when memory is out. The arguments may point into the error that is being set.
 * Thread rule: a struct error belongs to one thread at a time. */
#define _GNU_SOURCE 1
#include "base/error.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer texts lose their end before the middle is cut out; the stack of a fiber must bear it. */
enum { SCRATCH_SIZE = 3 * ERROR_MESSAGE_MAX };

static const char ELLIPSIS[] = " … ";

/* Copies text into to[capacity]. A message that's too long keeps its beginning (what failed) and its end (why). */
static void copy_cut(char *to, size_t capacity, const char *text) {
    size_t n = strlen(text);
    if (n < capacity) {
        memcpy(to, text, n + 1);
        return;
    }
    size_t dots = sizeof ELLIPSIS - 1, keep = capacity - 1 - dots;
    size_t head = utf8_cut(text, n, keep / 2);
    size_t tail = utf8_next_start(text, n, n - (keep - head));
    memcpy(to, text, head);
    memcpy(to + head, ELLIPSIS, dots);
    memcpy(to + head + dots, text + tail, n - tail + 1);
}

__attribute__((format(printf, 2, 0))) static void format_scratch(char scratch[SCRATCH_SIZE], const char *format,
                                                                 va_list args) {
    int n = vsnprintf(scratch, SCRATCH_SIZE, format, args);
    if (n < 0)
        scratch[0] = '\0';
    else if (n >= SCRATCH_SIZE)
        scratch[utf8_cut(scratch, SCRATCH_SIZE - 1, SCRATCH_SIZE - 1)] = '\0';
}

int error_set(struct error *err, int code, const char *format, ...) {
    if (!err)
        return code;
    char scratch[SCRATCH_SIZE];
    va_list args;
    va_start(args, format);
    format_scratch(scratch, format, args);
    va_end(args);
    err->code = code;
    err->hint[0] = '\0';
    copy_cut(err->message, sizeof err->message, scratch);
    return code;
}

int error_errno(struct error *err, int code, int errno_value, const char *format, ...) {
    if (!err)
        return code;
    char scratch[SCRATCH_SIZE], reason[128];
    va_list args;
    va_start(args, format);
    format_scratch(scratch, format, args);
    va_end(args);
    /* The GNU variant: returns the text, which may or may not be in the buffer. */
    const char *text = strerror_r(errno_value, reason, sizeof reason);
    return error_set(err, code, "%s: %s", scratch, text);
}

void error_hint(struct error *err, const char *format, ...) {
    if (!err)
        return;
    char scratch[SCRATCH_SIZE];
    va_list args;
    va_start(args, format);
    format_scratch(scratch, format, args);
    va_end(args);
    copy_cut(err->hint, sizeof err->hint, scratch);
}

int error_prefix(struct error *err, const char *format, ...) {
    if (!err)
        return ERROR_INTERNAL;
    char scratch[SCRATCH_SIZE];
    va_list args;
    va_start(args, format);
    format_scratch(scratch, format, args);
    va_end(args);
    size_t used = strlen(scratch);
    snprintf(scratch + used, sizeof scratch - used, ": %s", err->message);
    copy_cut(err->message, sizeof err->message, scratch);
    return err->code;
}

const char *error_name(int code) {
    switch (code) {
#define ERROR_CASE(name, value, meaning)                                                                          \
    case value:                                                                                                   \
        return #name;
        ERROR_CODES(ERROR_CASE)
#undef ERROR_CASE
    default:
        return "UNKNOWN";
    }
}

const char *error_meaning(int code) {
    switch (code) {
#define ERROR_CASE(name, value, meaning)                                                                          \
    case ERROR_##name:                                                                                            \
        return meaning;
        ERROR_CODES(ERROR_CASE)
#undef ERROR_CASE
    default:
        return "unknown error";
    }
}
