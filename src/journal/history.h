/* What is on record of one run, in memory: what a process needs to go on with it.
 *
 * Read once when the run is resumed; read-only afterwards. Only what belongs to the attempts that were under
 * way is found: when a task begins another attempt, its children and replies of the attempt before are done with.
 * Thread rule: under its run's lock. */
#ifndef JOURNAL_HISTORY_H
#define JOURNAL_HISTORY_H

#include "journal/journal.h"

struct history;

/* An HTTP request that ended. */
struct history_request {
    struct history_request *next;
    uint64_t status, duration, bytes;
    const char *method; /* with the URL behind its end */
};

struct history_task {
    uint32_t id, parent, op; /* op: the parent's operation that it answers */
    uint32_t parent_attempt; /* in which it was called */
    uint64_t created;        /* when, ns since 1970 */
    char *name;
    bool tagged;
    struct event_text body;
    char *body_bytes; /* where body.bytes points, if it isn't in a blob */

    uint32_t attempt;    /* the last that started; 0: none */
    char *seen_as;       /* the run that it sees itself in; "" for its own */
    bool in_flight;      /* it started, and neither failed nor ended */
    uint64_t started;    /* when, ns since 1970 */
    uint32_t calls;      /* children before that attempt */
    uint32_t children;   /* in all */
    struct buffer tape;  /* of the attempt, whole */
    uint64_t output[2];  /* bytes that it wrote to streams 1 and 2 before the end of its tape */
    uint64_t written[2]; /* bytes that it wrote */

    bool ended;
    int state; /* capsule_state */
    uint32_t attempts;
    uint64_t fuel, ram, duration;
    struct event_text reply;
    char *reply_bytes;
    char *requests;                           /* JSON objects with commas between */
    struct history_request *made, *made_last; /* by its own attempts, in order */
};

struct history_wait {
    uint32_t kind;         /* enum event_wait */
    uint64_t since, until; /* ns since 1970; until 0: for ever */
    uint64_t order;        /* of two waits, the lower one began first */
};

/* ERROR_CORRUPT, ERROR_NOMEM. */
int history_load(struct journal *j, const char *run_id, struct history **ret, struct error *err);
void history_free(struct history *h);

/* The last thing on record is that the run was suspended: nothing was under way. */
bool history_suspended(const struct history *h);
/* NULL if there's no such task. */
struct history_task *history_task(const struct history *h, uint32_t id);
uint32_t history_last_task(const struct history *h); /* the highest number */
/* The task that an operation of a task's attempt called; NULL if none did. */
struct history_task *history_child(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op);
/* The reply to another operation; NULL if it isn't on record. */
const struct event_text *history_reply(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op);
/* A wait that began and hasn't been answered, or NULL. */
const struct history_wait *history_wait(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op);
/* Whether the signal of that number was taken. */
bool history_took(const struct history *h, uint64_t signal);

#endif
