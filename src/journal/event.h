/* The events of a run's journal, as structs and as bytes.
 *
 * A frame is what one run adds to the journal in one transaction: events one after another, in the order in which they happened.
 *
 *   frame   version (u8, EVENT_VERSION) · events · check (8 bytes: the beginning of the BLAKE2b digest of all before it)
 *   event   kind (u8) · task (varint) · time (zigzag varint: µs since the event before it in the frame, of the first since 1970)
 *           · its numbers (varints) · its texts
 *   text    varint (size << 1), bytes; or, of one that lies in a blob of its own (blob.h), varint (size << 1 | 1), digest (32 bytes)
 *   varint  LEB128, at most 64 bits
 *
 * How many numbers and texts a kind has is in the table below; both in the order in which it names them. A kind is never given another
 * meaning: what changes gets a new number. Reading treats every byte as hostile: a file may be damaged. */
#ifndef JOURNAL_EVENT_H
#define JOURNAL_EVENT_H

#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* X(name, number of the kind, "its name", numbers, texts). Of the run itself (BEGUN, RESUMED, SUSPENDED): task 0. Attempts count from 1. */
#define EVENT_KINDS(X)                                                                                                                      \
    X(RESUMED, 1, "resumed", 1, 0)     /* pid: a process went on with the run */                                                            \
    X(SUSPENDED, 2, "suspended", 1, 1) /* wake time (ns since 1970, 0: none); what it waits for, in words */                                \
    X(CREATED, 3, "created", 3, 2)     /* parent (0: none), operation of the parent's, tagged; name, body */                                \
    X(STARTED, 4, "started", 1,                                                                                                             \
      1) /* attempt: its guest is about to run; run that it sees itself in, "" for this one (a fork's differs) */                           \
    X(RETRY, 5, "retry", 2, 2) /* attempt that failed, delay in ns; error type, message */                                                  \
    /* capsule_state, attempts, fuel, ram in bytes, duration in ns; the reply as its caller gets it (guest/abi.h), its HTTP requests as   \
     * JSON objects with commas between them */ \
    X(ENDED, 6, "ended", 5, 2)                                                                                                              \
    X(TAPE, 7, "tape", 0, 1)   /* the next part of the running attempt's tape (sandbox/tape.h) */                                           \
    X(REPLY, 8, "reply", 1, 1) /* operation; its reply, of one that isn't a task: HTTP, sleep, signal */                                    \
    X(WAIT, 9, "wait", 3, 1) /* operation, enum event_wait, until (ns since 1970, 0: for ever); signal's name */                            \
    X(SIGNAL, 10, "signal", 2,                                                                                                              \
      0) /* operation that took it, number of the signal (journal.h); its REPLY follows */                                                  \
    X(OUTPUT, 11, "output", 1, 1) /* stream 1 or 2; bytes */                                                                                \
    X(REQUEST, 12, "request", 3,                                                                                                            \
      2) /* status (0: none), duration in ns, bytes; method, URL: an HTTP request ended */

enum { EVENT_VERSION = 1, EVENT_NUMBERS_MAX = 5, EVENT_TEXTS_MAX = 2, EVENT_CHECK_SIZE = 8 };

enum event_kind {
#define EVENT_ENUM(name, number, title, numbers, texts) EVENT_##name = number,
    EVENT_KINDS(EVENT_ENUM)
#undef EVENT_ENUM
};

enum event_wait { EVENT_WAIT_SLEEP = 1, EVENT_WAIT_SIGNAL = 2 };

struct event_text {
    const char *bytes; /* NULL if it lies in a blob */
    uint64_t n;
    bool in_blob;
    uint8_t digest[DIGEST_SIZE]; /* of the blob */
};

struct event {
    enum event_kind kind;
    uint32_t task;
    uint64_t time; /* wall clock, ns since 1970; kept to the µs */
    uint64_t numbers[EVENT_NUMBERS_MAX];
    struct event_text texts[EVENT_TEXTS_MAX];
};

/* "created"; NULL for a number that isn't a kind. */
const char *event_kind_name(enum event_kind kind);

/* Appends to a frame that's being written; *time is that of the event before (ns; 0 before the first), and is moved on. ERROR_LIMIT or ERROR_NOMEM. */
int event_write(struct buffer *frame, uint64_t *time, const struct event *event);
/* An empty buffer becomes the beginning of a frame; a frame is finished with its check. */
int frame_begin(struct buffer *frame);
int frame_end(struct buffer *frame);

struct frame_reader {
    const char *at, *end;
    uint64_t time;
};

/* ERROR_CORRUPT if the check is wrong; ERROR_UNSUPPORTED if its version is newer than ours. The bytes are kept by reference. */
int frame_open(struct frame_reader *r, const void *bytes, size_t n, struct error *err);
/* 1: *ret is the next event, its texts point into the frame; 0: the end; ERROR_CORRUPT. */
int frame_next(struct frame_reader *r, struct event *ret, struct error *err);

#endif
