/* The journal: runs and their events on disk. The only file that includes SQLite is journal/database.c.
 *
 * Layout of a journal's folder (".capsule" in a project's root, 0700, with a .gitignore of "*"):
 *   journal.db     SQLite in WAL mode; its tables are documented at the top of database.c
 *   blobs/ab/…     values of BLOB_MIN bytes or more, each under the hexadecimal digest of its content; immutable, 0400
 *   images/…       application images that unfinished runs need (run/run_image.h)
 *   leases/…       one locked file for each process that executes runs: the kernel unlocks it when the process dies
 *
 * Writing: events are appended in memory and written by one thread, all that is there in one transaction (group commit). An event has a position; what
 * is to happen only once an event is on record waits for journal_committed to reach it. "On record" means: it survives the death of this
 * process; of a durable run, also the loss of power (the transaction was synced).
 *
 * Leases: a run is executed by one process at a time. Taking a lease raises the run's epoch; every transaction that writes to a run checks that it's
 * still the writer's epoch, so that a process which lost its lease (it was stopped for longer than JOURNAL_LEASE_NS, and another took over)
 * can't write: its run fails with ERROR_CANCELLED. A lease whose process is dead (its file in leases/ isn't locked any more, or the machine was
 * restarted since) can be taken at once, another one when it hasn't been renewed in time. Lease times are CLOCK_BOOTTIME with the boot's id: the
 * wall clock may jump.
 *
 * Thread-safe. Callbacks come on the writer's thread, without locks held. */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/buffer.h"
#include "base/error.h"
#include "journal/event.h"
#include <stdbool.h>
#include <stdint.h>

enum { JOURNAL_SCHEMA = 1, JOURNAL_RUN_ID_MAX = 128, BLOB_MIN = 64 * 1024 };
#define JOURNAL_LEASE_NS (30 * UINT64_C(1000000000)) /* renewed every third of it */

struct journal;
struct journal_run;

/* The states of a run in the table of runs. A run whose process is dead stays RUNNING there: journal_list tells it from one that's alive. */
enum journal_state { JOURNAL_RUNNING = 1, JOURNAL_SUSPENDED = 2, JOURNAL_ENDED = 3 };

enum journal_mode {
    JOURNAL_READ,  /* it must be there; nothing is written, not even a lock file where SQLite can do without */
    JOURNAL_WRITE, /* it must be there */
    JOURNAL_CREATE
};

/* dir: the journal's folder, absolute. ERROR_NOT_FOUND: there's none. ERROR_UNSUPPORTED: written by a newer version, with both versions in the message.
 * ERROR_CORRUPT, ERROR_IO (read-only, full, locked for more than 10 s by another process): message and hint say what and what to do. With JOURNAL_CREATE only
 * the folder is made here; the writer's thread opens the database meanwhile, and what is wrong with that is told by whoever first needs it: of a
 * generated run, by callbacks.failed. */
int journal_open(const char *dir, enum journal_mode mode, struct journal **ret, struct error *err);
/* Writes what is left, ends the writer's thread. The runs have been closed. */
void journal_close(struct journal *j);
const char *journal_dir(const struct journal *j);

/* ---- one run that this process executes ---- */

/* What a run is; texts are copied. */
struct journal_begin {
    const char *id;    /* [A-Za-z0-9_.-]{1,128} */
    const char *entry; /* as given: "main.py" */
    const char *task;  /* entry task's name */
    const char *app; /* how to open it again: a JSON object, the caller's; kept once for all that have the same */
    size_t app_n;
    const char *image;       /* name of its application image, for journal_collect; "" if none */
    const char *forked_from; /* "RUN#TASK", NULL if it isn't a fork */
    bool durable;
    const struct event *first; /* if the id isn't a generated one: written with the run's row; NULL: none */
};

/* Called on the writer's thread. Any may be NULL. */
struct journal_callbacks {
    /* All events up to this position are on record. */
    void (*committed)(void *user, uint64_t position);
    /* Nothing more of this run can be written: a full disk, the lease was lost. Once. */
    void (*failed)(void *user, const struct error *why);
    /* While journal_watch asks for it: a signal with a number above the last one told; somebody wants the run to end. */
    void (*signal)(void *user, uint64_t number, const char *name, const char *json, size_t json_n);
    void (*cancel)(void *user);
    void *user;
};

/* Enters a new run, leased to this process. ERROR_INVALID with `*ret_exists` true if the id is taken, which isn't looked for if it was just generated.
 * The run is there when this returns, with its first event; one with a generated id when its first transaction is on record, so that nobody waits. */
int journal_run_new(struct journal *j, const struct journal_begin *begin, bool generated,
                    const struct journal_callbacks *callbacks, struct journal_run **ret, bool *ret_exists,
                    struct error *err);
/* Takes the lease of an unfinished run. ERROR_NOT_FOUND; ERROR_CANCELLED: another process, named in the message (pid, since when), has it;
 * ERROR_INVALID: the run has ended. Its row is RUNNING then, and waits for nothing. */
int journal_run_take(struct journal *j, const char *id, const struct journal_callbacks *callbacks,
                     struct journal_run **ret, struct error *err);
/* Waits for what was appended, gives the lease back, frees it. No callback comes afterwards. Not from a callback. NULL is fine. */
void journal_run_close(struct journal_run *r);

/* Appends an event, whose texts are copied; one of BLOB_MIN or more is written to a blob by the writer's thread. Returns its position. Never fails: what
 * can't be kept (no memory, a failed run) is told by callbacks.failed. `prompt`: somebody will wait for it, so the writer begins at once;
 * otherwise within JOURNAL_LAZY_NS. */
uint64_t journal_append(struct journal_run *r, const struct event *event, bool prompt);
/* The run's row changes in the transaction that brings the events appended so far. wake: ns since 1970 when a suspended run goes on by itself, 0 for
 * never; waits_for, error_type: words for lists, may be NULL; final_state: capsule_state for JOURNAL_ENDED. With SUSPENDED and
 * ENDED the lease goes back in the same transaction: another process may take the run from then on. Returns a position. */
uint64_t journal_set_state(struct journal_run *r, enum journal_state state, int final_state, uint64_t wake,
                           const char *waits_for, const char *error_type);
uint64_t journal_committed(const struct journal_run *r); /* atomic read, from any thread */
/* Makes the writer begin now. */
void journal_flush(struct journal_run *r);
/* Blocks until the position is on record. The error that journal_callbacks.failed told, if it never will be. */
int journal_await(struct journal_run *r, uint64_t position, struct error *err);
/* Blocks while more than 64 MiB wait to be written. Never with a lock held that a callback takes. */
void journal_throttle(struct journal_run *r);
/* Whether to look for signals and requests to cancel (every 100 ms, and at once). after: the number of the last signal that's known. */
void journal_watch(struct journal_run *r, bool on, uint64_t after);

#define JOURNAL_LAZY_NS (2 * UINT64_C(1000000))

/* ---- reading ---- */

struct journal_row {
    char id[JOURNAL_RUN_ID_MAX + 1];
    char *entry, *task, *image, *forked_from; /* forked_from may be NULL */
    char *app;                                /* NULL unless asked for */
    size_t app_n;
    char *waits_for, *error_type; /* may be NULL */
    enum journal_state state;
    int final_state;             /* capsule_state, of JOURNAL_ENDED */
    bool durable, alive;         /* alive: a process has its lease */
    int pid;                     /* of it */
    uint64_t begun, ended, wake; /* ns since 1970; 0: not */
    uint64_t bytes;              /* of its events, without blobs */
};
void journal_row_done(struct journal_row *row);
/* with_app: reads `app` as well. ERROR_NOT_FOUND. A unique beginning of an id, of 4 characters or more, stands for it; ERROR_INVALID if there are several. */
int journal_find(struct journal *j, const char *id, bool with_app, struct journal_row *ret, struct error *err);

struct journal_filter {
    const char *
        state; /* "running", "interrupted" (its process is dead), "suspended", "completed", "failed", …; NULL: all */
    const char *entry; /* NULL: all */
    uint64_t
        due; /* not 0: only suspended runs that wake before this time (ns since 1970), or that have a signal they don't know */
    uint64_t limit; /* newest first; 0: no limit */
};
/* Calls each for every run. Stops at a non-zero return, which is returned. */
int journal_list(struct journal *j, const struct journal_filter *filter,
                 int (*each)(void *user, const struct journal_row *row), void *user, struct error *err);

/* Whether a run that hasn't ended needs an image of that name. */
int journal_needs_image(struct journal *j, const char *image, bool *ret, struct error *err);

/* Calls each with a run's events in order; texts that lie in blobs aren't loaded. after: only those of frames with a number above *after, which is moved
 * on (start with 0). ERROR_CORRUPT names the run and the frame. */
int journal_events(struct journal *j, const char *id, uint64_t *after,
                   int (*each)(void *user, const struct event *event), void *user, struct error *err);
/* The text of an event, from its blob if it lies there. Appends. ERROR_CORRUPT or ERROR_NOT_FOUND for a blob that isn't what was written. */
int journal_text(struct journal *j, const struct event_text *text, struct buffer *ret, struct error *err);

/* ---- from outside of a run ---- */

/* Leaves a signal for a run that hasn't ended. It's on record (synced if the run is durable) when this returns. */
int journal_signal(struct journal *j, const char *id, const char *name, const char *json, size_t json_n,
                   struct error *err);
/* Asks whoever executes the run, or will, to end it; *ret_alive tells whether somebody does. ERROR_INVALID: it has ended. */
int journal_cancel(struct journal *j, const char *id, bool *ret_alive, struct error *err);
/* Calls each with the signals of a run above number `after`, in order. */
int journal_signals(struct journal *j, const char *id, uint64_t after,
                    int (*each)(void *user, uint64_t number, uint64_t time, const char *name, const char *json,
                                size_t json_n),
                    void *user, struct error *err);

struct journal_collection {
    uint64_t runs, events_bytes, blobs, blobs_bytes; /* removed, or with dry_run: that would be */
    uint64_t images, images_bytes;
    uint64_t runs_left, bytes_left; /* bytes of events and blobs */
};
/* Removes ended runs that ended before `before` (ns since 1970), then blobs and images that nothing needs, then gives free pages back. */
int journal_collect(struct journal *j, uint64_t before, bool dry_run, struct journal_collection *ret,
                    struct error *err);

/* The whole database is sound: SQLite's own check and the check of every frame and blob. *ret_problems gets a line for each. */
int journal_verify(struct journal *j, struct buffer *ret_problems, struct error *err);

#endif
