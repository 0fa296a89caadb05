/* Errors as plain data. The caller owns a struct error; setting one never allocates.
 *
 * Every fallible function returns 0, or a negative code and leaves its outputs untouched.
 * Thread rule: a struct error belongs to one thread at a time. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

/* name, code, what it means. include/capsule.h repeats them as CAPSULE_E_*; src/run/runtime.c asserts that they agree. */
#define ERROR_CODES(X)                                                                                            \
    X(NOMEM, -1, "out of memory")                                                                                 \
    X(IO, -2, "the operating system refused a file operation")                                                    \
    X(INVALID, -3, "an argument, option or document is malformed")                                                \
    X(PROJECT, -4, "the project can't be run as it is")                                                           \
    X(IMPORT, -5, "the user's code failed while it was imported")                                                 \
    X(NOT_FOUND, -6, "no such thing")                                                                             \
    X(LIMIT, -7, "a stated limit was reached")                                                                    \
    X(CORRUPT, -8, "stored data isn't what was written")                                                          \
    X(UNSUPPORTED, -9, "this machine or installation can't do it")                                                \
    X(CANCELLED, -10, "stopped on request")                                                                       \
    X(INTERNAL, -11, "a defect in Capsule")

enum error_code {
    ERROR_NONE = 0,
#define ERROR_ENUM(name, code, meaning) ERROR_##name = code,
    ERROR_CODES(ERROR_ENUM)
#undef ERROR_ENUM
};

enum { ERROR_MESSAGE_MAX = 8192, ERROR_HINT_MAX = 512 };

struct error {
    int code;                        /* enum error_code */
    char message[ERROR_MESSAGE_MAX]; /* what happened and where; UTF-8, no trailing newline */
    char hint[ERROR_HINT_MAX];       /* what the user can do about it; may be empty */
};

/* Sets code and message (truncated in the middle if too long) and clears the hint. err may be NULL. Returns code.
 * The arguments may be the error's own message and hint. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same, with ": " and strerror(errno_value) added. */
int error_errno(struct error *err, int code, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds a hint to an error that was set. */
void error_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts text and ": " in front of the message; code and hint stay. Returns the error's code. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "IO" for ERROR_IO and so on; "UNKNOWN" otherwise. Static. */
const char *error_name(int code);
/* What a code means, in words ("out of memory"). Static. */
const char *error_meaning(int code);

#endif
