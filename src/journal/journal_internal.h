/* What the files of journal/ share. Nobody else includes it, tests excepted.
 *
 * Threads: the writer's thread (writer.c) owns `writing`, its own connection and of each run what is marked so. All else that reads or writes the database
 * shares the connection `outside` under its lock. Order of locks: a run's, then the journal's; leases.lock and outside_lock are taken alone. None of
 * the first two is held during disk I/O or a callback. */
#ifndef JOURNAL_INTERNAL_H
#define JOURNAL_INTERNAL_H

#include "base/clock.h"
#include "base/digest.h"
#include "journal/database.h"
#include "journal/journal.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    FRAME_FULL = 1024 * 1024, /* a frame of more bytes gets no further event */
    FRAME_MAX = FRAME_FULL + EVENT_TEXTS_MAX * BLOB_MIN + 1024,
    FRAME_KEPT = 64 * 1024,         /* the memory of a frame up to this size is used again */
    WAITING_MAX = 64 * 1024 * 1024, /* bytes, for journal_throttle */
    LEASE_NAME_MAX = 48,
    BOOT_MAX = 40,
    BLOB_PATH_MAX = 128,
};
#define JOURNAL_YOUNG_NS (600 * NS_PER_S)
#define JOURNAL_POLL_NS (100 * NS_PER_MS)
#define FRAME_NUMBER_BITS 32

/* --- event.c --- */

size_t event_texts(enum event_kind kind);
/* Bytes of a text in a frame. */
size_t event_text_size(const struct event_text *text);

/* --- blob.c --- */

struct blob_place {
    uint8_t digest[DIGEST_SIZE];
    char path[BLOB_PATH_MAX]; /* below the journal's folder */
};
void blob_place(const uint8_t digest[DIGEST_SIZE], struct blob_place *ret);
/* Writes a blob unless it's there, under the digest of its bytes. synced: it survives a loss of power when this returns. */
int blob_write(struct journal *j, const void *bytes, size_t n, bool synced, uint8_t ret_digest[DIGEST_SIZE],
               struct error *err);
bool blob_exists(struct journal *j, const uint8_t digest[DIGEST_SIZE]);
/* Appends its bytes, checked. n: as many as there should be, or UINT64_MAX. */
int blob_read(struct journal *j, const uint8_t digest[DIGEST_SIZE], uint64_t n, struct buffer *ret,
              struct error *err);

/* --- digest_set.c --- */

struct digest_set {
    uint8_t (*items)[DIGEST_SIZE]; /* sorted once digest_set_sort was called */
    size_t n, capacity;
};
int digest_set_add(struct digest_set *s, const uint8_t digest[DIGEST_SIZE]); /* 0 or ERROR_NOMEM */
void digest_set_sort(struct digest_set *s);
bool digest_set_has(const struct digest_set *s, const uint8_t digest[DIGEST_SIZE]);
void digest_set_done(struct digest_set *s);

/* --- collect.c --- */

/* The blobs of all runs but those that ended before `before` (UINT64_MAX: of all). Takes the shared connection. */
int collect_needed(struct journal *j, uint64_t before, struct digest_set *ret, struct error *err);

/* --- lease.c --- */

struct lease {
    const char *owner, *boot; /* "" and anything: nobody has it */
    uint64_t until;
};
uint64_t lease_clock(void); /* CLOCK_BOOTTIME */
void lease_read_boot(char ret[BOOT_MAX]);
/* This process's file in leases/, locked; made at the first call. */
int lease_own(struct journal *j, const char **ret_name, struct error *err);
void lease_drop(struct journal *j);
/* Somebody alive has it, and has renewed it in time. */
bool lease_is_held(struct journal *j, const struct lease *lease);
/* The process of a file in leases/ is dead; then the file is removed. */
bool lease_remove_dead(struct journal *j, const char *name);

/* --- append.c: what waits to be written --- */

/* A text that lies, or will lie, in a blob. */
struct large {
    struct large *next;
    size_t at;   /* where its digest goes in the frame */
    char *bytes; /* NULL: of a blob that's there already */
    size_t n;
    uint8_t digest[DIGEST_SIZE];
};

struct frame {
    struct frame *next;
    struct buffer bytes; /* without its check */
    uint64_t time;       /* of its last event */
    struct large *large;
};

struct state_change {
    bool set;
    enum journal_state state;
    int final_state;
    uint64_t wake, known;
    char *waits_for, *error_type;
};

struct pending {
    struct frame *first, *last;
    struct state_change change;
    uint64_t position; /* of the last event */
    size_t bytes;      /* that journal_throttle counts */
};

void pending_done(struct pending *p);

/* What a run is, until its row is written. */
struct birth {
    char *id, *entry, *task, *app, *image, *forked_from;
    size_t app_n;
    uint8_t digest[DIGEST_SIZE]; /* of app */
    uint64_t begun;
};
void birth_done(struct birth *b);

struct journal_run {
    struct journal *journal;
    struct journal_callbacks callbacks;
    char id[JOURNAL_RUN_ID_MAX + 1];
    bool durable;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct pending pending;
    struct frame *spare;
    uint64_t position; /* of the last event appended */
    bool queued, prompt;
    bool failed, closing, closed;
    struct error why; /* of a failed one */
    unsigned waiting; /* threads in journal_await */
    bool watching;
    uint64_t told; /* number of the last signal */

    _Atomic uint64_t committed;

    /* The writer's thread; before the run is in the journal's list, whoever makes it. */
    struct pending writing;
    struct birth *birth; /* NULL once its row is written */
    uint64_t n, epoch;
    uint64_t frames, bytes;           /* written so far */
    uint64_t frames_next, bytes_next; /* so many if the transaction succeeds */
    bool leased, told_failed, told_cancel;
    bool skip;    /* nothing of it is in this transaction */
    bool lost;    /* another process has it */
    bool release; /* closing, as of when `writing` was taken */
    struct journal_run *next_writing;

    struct journal_run *next_queued; /* guarded by the journal's lock */
    struct journal_run *prev, *next;
};

/* Takes what a run has appended for writing; false if nothing is to be done for it. The writer's thread. */
bool run_take_pending(struct journal_run *r);
/* From now on nothing more is written. The first reason counts. Any thread; the writer tells it. */
void run_fail(struct journal_run *r, const struct error *why);
/* Events up to r->writing.position are on record. */
void run_committed(struct journal_run *r);
/* A run to execute, not yet known to the writer. */
int run_make(struct journal *j, const char *id, bool durable, const struct journal_callbacks *callbacks,
             struct journal_run **ret, struct error *err);
void run_unmake(struct journal_run *r);
void run_cleanup(struct journal_run **r);

/* --- take.c --- */

enum { TAKE_SINCE_MAX = 32 };
/* A time as messages have it. */
void take_since(uint64_t ns, char ret[TAKE_SINCE_MAX]);
/* The error of an id that another run has. */
int take_id_exists(const char *id, struct error *err);

/* --- commit.c: transactions of the writer's thread --- */

/* Inserts its row, leased to this process: sets r->n and r->epoch. In a transaction, after which commit_born is called. */
int commit_birth(struct journal_run *r, struct database *d, struct error *err);
void commit_born(struct journal_run *r);
/* Writes what the runs of the list have in `writing`, in one transaction; fails those that can't be. */
void commit_runs(struct journal *j, struct journal_run *first);
/* Moves the ends of the leases. */
void commit_renewal(struct journal *j, struct journal_run *first);

/* --- writer.c --- */

int writer_start(struct journal *j, struct error *err);
void writer_stop(struct journal *j);
/* Makes a run known to the writer. */
void writer_add(struct journal_run *r);
/* Puts a run into its queue. first: it isn't in there; prompt: to be written at once. */
void writer_queue(struct journal_run *r, bool first, bool prompt);

/* --- watch.c --- */

/* Tells the runs of the list, linked by next_writing, of signals and requests to cancel. The writer's thread. */
void watch_tell(struct journal *j, struct journal_run *first);

/* --- journal.c --- */

struct journal {
    char *dir;
    int dir_fd;
    enum journal_mode mode;
    char boot[BOOT_MAX];
    _Atomic uint64_t lease_ns;
    uint64_t young_ns; /* journal_collect leaves files alone that changed more recently */

    struct {
        pthread_mutex_t lock;
        int fd;
        char name[LEASE_NAME_MAX];
    } leases;

    pthread_mutex_t outside_lock;
    struct database *outside; /* NULL until it's needed */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;  /* of the writer */
    pthread_cond_t room;  /* for journal_throttle */
    struct journal_run *queue_first, *queue_last;
    struct journal_run *runs;
    uint64_t queued_since; /* the first of the queue */
    bool started, stopping, prompt, look;
    unsigned watching, throttled;
    uint64_t renewed_at;
    pthread_t thread;

    _Atomic uint64_t waiting_bytes;
    atomic_bool broken; /* the writer can't open the database */

    /* The writer's thread. */
    struct database *writing;
    uint64_t poll_at, seen_version;
    unsigned checkpoint_at; /* pages in the log */
};

/* The shared connection, locked; opened if it isn't yet. */
int outside_begin(struct journal *j, struct database **ret, struct error *err);
void outside_end(struct journal **j);

/* For tests: leases of this journal last that long; what counts as young. */
void journal_set_lease(struct journal *j, uint64_t ns);
void journal_set_young(struct journal *j, uint64_t ns);

/* --- read.c --- */

/* A run as the commands that come from outside need it. */
struct found_run {
    uint64_t n;
    char id[JOURNAL_RUN_ID_MAX + 1];
    bool durable, alive, ended;
};
/* By id or its unique beginning. */
int read_run(struct journal *j, struct database *d, const char *id, struct found_run *ret, struct error *err);
/* The number of a run, where *n is 0: it isn't known yet. */
int read_number(struct journal *j, struct database *d, const char *id, uint64_t *n, struct error *err);
/* Whether a query with one parameter, a text, finds anything. */
int read_whether(struct journal *j, const char *sql, const char *text, bool *ret, struct error *err);
/* Calls each, which may be NULL, with the events of a frame. Errors name the run and the frame's number. */
int read_events(const char *id, uint64_t number, const struct buffer *frame,
                int (*each)(void *user, const struct event *event), void *user, struct error *err);

#endif
