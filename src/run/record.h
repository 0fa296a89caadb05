/* What a run puts on record, and what waits until it's there.
 *
 * Two rules make a resumed run do nothing twice that it need not. *Intent before effect*: what a task does outside of its sandbox (a request, a change of a
 * file) waits until everything that came before it in the run is on record, its own start included. *Results may run ahead*: a result is handed
 * to its caller at once, since nothing outside knows of it yet; except to tasks that may write files, which can act on it at any moment.
 * Both come to one queue of things that are done when a position of the journal is reached ("output commit").
 *
 * A run that isn't recorded has no journal: everything here then does nothing, and nothing waits.
 *
 * Thread rule: all under run->lock, but for what says otherwise. The journal calls back on its writer's thread. */
#ifndef RUN_RECORD_H
#define RUN_RECORD_H

#include "base/error.h"
#include "journal/history.h"
#include "journal/journal.h"
#include <stdbool.h>
#include <stdint.h>

struct capsule_run;
struct http_record;
struct task;
struct wait;

/* Bytes of texts that a run may put on record: code that nobody has read must not fill the disk. */
#define RECORD_TEXTS_MAX (UINT64_C(8) << 30)

struct record {
    struct journal *journal; /* the application's; NULL: the run isn't recorded */
    struct journal_run *run;
    struct history *history; /* of a resumed run; NULL */
    uint64_t appended;       /* the last position */
    uint64_t bytes;          /* of texts that were appended */
    struct deferred *first, *last;
    struct seen_signal *signals, *signals_last; /* that nobody has taken, in order */
    uint64_t seen;                              /* number of the last one that was told */
    bool watched, muted; /* muted: nothing more is written, and what waits goes on waiting */
    bool failed;         /* it can't be written any more */
    struct error *why;   /* NULL: there was no memory to keep it */
    struct buffer tape;  /* being moved from a sandbox to the journal */
};

/* Called without the lock, before the run is executed. */
int record_begin(struct capsule_run *run, bool generated_id, bool durable, struct error *err);
/* Of a run that has ended, its history alone. Sets run->id: `id` may be a beginning of it. */
int record_resume(struct capsule_run *run, const char *id, struct error *err);
/* After the run was executed, without the lock: puts its end on record and waits for that. The error that kept it from being recorded. */
int record_finish(struct capsule_run *run, struct error *err);
/* Of a suspended one: gives the lease back. *ret_news: a signal has come that it didn't wait for any more, and whose sender may have left it to us. */
int record_release(struct capsule_run *run, bool *ret_news, struct error *err);
void record_done(struct capsule_run *run);

/* ---- events ---- */

void record_created(const struct task *t);
void record_started(const struct task *t);
void record_retry(const struct task *t, uint64_t delay);
/* reply: the message that its caller gets. */
void record_ended(const struct task *t, const char *reply, size_t reply_n);
/* The tape since the last time. t's worker, or the driver while it's parked. */
void record_tape(struct task *t);
void record_reply(const struct task *t, uint32_t op, const char *reply, size_t n);
void record_wait(const struct wait *w);
void record_signal(const struct task *t, uint32_t op, uint64_t number);
void record_output(const struct task *t, int stream, const void *bytes, size_t n);
void record_request(const struct task *t, const struct http_record *record);

/* ---- what waits for the record ---- */

/* True if everything appended so far is on record; else the task is told when it is (task_recorded). */
bool record_reached(struct task *t);
/* Lets the journal catch up where it's far behind. Without the lock. */
void record_throttle(const struct capsule_run *run);
/* Completes an operation of a task that's being executed (not closing): at once, or, of one that may write files, when all is on record. Takes reply over. */
void record_deliver(struct task *t, uint32_t op, char *reply, size_t n);
/* The attempt is over: nothing that it waits for is to come. */
void record_forget(struct task *t);

/* Looks for signals and requests to cancel from now on. */
void record_watch(struct capsule_run *run);
/* The first signal of that name that nobody has taken: its number and value (malloc'd, the caller's); false: there's none. */
bool record_take_signal(struct capsule_run *run, const char *name, uint64_t *ret_number, char **ret_json,
                        size_t *ret_n);
/* Puts on record that the run waits without a process, and ends what is recorded. wake: ns since 1970, 0: never. */
void record_suspended(struct capsule_run *run, uint64_t wake, const char *waits_for);

#endif
