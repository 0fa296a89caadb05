/* Owns SQLite: connections to journal.db, its tables, its versions, and what its errors mean to a user.
 *
 * Version 1 (PRAGMA user_version). The database is in WAL mode with auto_vacuum=INCREMENTAL; times are ns since 1970 unless said otherwise.
 *
 *   run        n              number in this database; never in an interface
 *              id             as in the command line
 *              entry, task    "main.py", its entry task
 *              app            digest of the text that tells how to open the application again
 *              image          name of its image in images/, or ""
 *              forked_from    "RUN#TASK" or NULL
 *              durable        1: its transactions are synced
 *              state          enum journal_state; final_state: capsule_state of an ended one
 *              epoch          raised by whoever takes the lease; begins at random, so that no number is another run's of the same n, long removed
 *              owner          its file in leases/, "" if nobody has the lease; pid: of its process; boot: of its machine's start
 *              lease_until    CLOCK_BOOTTIME in ns; taken: since when
 *              begun, ended, wake (0: not); waits_for, error_type: words, or NULL
 *              cancel         1: somebody wants it to end
 *              known          of a suspended run: the number of the last signal that it knew
 *              bytes          of its frames, when it last ended or was suspended
 *   app        digest, text   such texts, each once for all runs of an application
 *   frame      n              (run << 32) + number of the frame in its run, from 1: a run's frames lie beside each other
 *              events         journal/event.h
 *   signal     n, run, name, value (JSON), time; n rises
 *   blob_use   run, digest    the blobs that a run's frames name
 *
 * A database of an older version is brought up to date by STEPS when it's opened for writing. One of a newer version is refused.
 *
 * Commits aren't synced (synchronous=NORMAL) unless a run is durable (FULL): in WAL mode the process's death loses nothing either way, and a loss of power
 * only the newest commits, because the log is synced before it's moved into the database. Closing leaves the log where it is: moving it costs two
 * fsyncs, more than a small run; the writer decides when (writer.c).
 *
 * Thread rule: a connection belongs to one thread at a time. */
#define _GNU_SOURCE 1
#include "journal/database.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/path.h"
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUERIES_MAX = 64 };

/* STEPS[v] leads from version v to v + 1. */
static const char *const STEPS[] = {
    "CREATE TABLE run(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL, task TEXT NOT NULL,"
    " app BLOB NOT NULL, image TEXT NOT NULL, forked_from TEXT, durable INT NOT NULL, state INT NOT NULL,"
    " final_state INT NOT NULL DEFAULT 0, epoch INT NOT NULL, owner TEXT NOT NULL, pid INT NOT NULL, boot TEXT "
    "NOT NULL,"
    " lease_until INT NOT NULL, taken INT NOT NULL, begun INT NOT NULL, ended INT NOT NULL DEFAULT 0,"
    " wake INT NOT NULL DEFAULT 0, waits_for TEXT, error_type TEXT, cancel INT NOT NULL DEFAULT 0,"
    " known INT NOT NULL DEFAULT 0, bytes INT NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE app(digest BLOB PRIMARY KEY NOT NULL, text BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX run_suspended ON run(wake) WHERE state = 2;"
    "CREATE TABLE frame(n INTEGER PRIMARY KEY, events BLOB NOT NULL) STRICT;"
    "CREATE TABLE signal(n INTEGER PRIMARY KEY, run INT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,"
    " time INT NOT NULL) STRICT;"
    "CREATE INDEX signal_run ON signal(run);"
    "CREATE TABLE blob_use(run INT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run, digest)) STRICT, WITHOUT "
    "ROWID;",
};
_Static_assert(sizeof STEPS / sizeof STEPS[0] == JOURNAL_SCHEMA, "a step for each version");

struct query {
    struct database *database;
    const char *sql;
    sqlite3_stmt *statement;
    int parameters; /* set so far */
    int status;     /* of the first that couldn't be set */
    bool busy;
};

struct database {
    char *dir;
    sqlite3 *handle;
    uint64_t busy_since;
    unsigned log_pages;
    int last; /* SQLite's code of the last statement that failed */
    bool synced;
    struct query queries[QUERIES_MAX];
};

/* --- errors --- */

static int fail_busy(const struct database *d, struct error *err) {
    error_set(err, ERROR_IO, "the journal %s is locked by another process, for more than %d s", d->dir,
              (int)(DATABASE_BUSY_NS / NS_PER_S));
    error_hint(err, "find it with: fuser %s/journal.db   (a stopped process keeps its lock)", d->dir);
    return ERROR_IO;
}

static int fail_corrupt(const struct database *d, const char *detail, struct error *err) {
    error_set(err, ERROR_CORRUPT, "the journal %s is damaged: %s", d->dir, detail);
    error_hint(err, "bring it back from a backup, or move the folder away: new runs then begin a new one");
    return ERROR_CORRUPT;
}

static int fail_io(const struct database *d, int number, const char *detail, struct error *err) {
    if (number)
        error_errno(err, ERROR_IO, number, "can't read or write the journal %s", d->dir);
    else
        error_set(err, ERROR_IO, "can't read or write the journal %s: %s", d->dir, detail);
    error_hint(err, "check the disk, its free space and the permissions of the folder");
    return ERROR_IO;
}

static int fail_permission(const struct database *d, struct error *err) {
    error_set(err, ERROR_IO, "the journal %s can't be written", d->dir);
    error_hint(err, "check who owns the folder and whether its file system is mounted read-only");
    return ERROR_IO;
}

/* Translates SQLite's code, at once after the call that gave it: the system's reason is still in errno then, and often nowhere else. */
static int fail(struct database *d, int code, struct error *err) {
    int number = errno;
    const char *detail = d->handle && sqlite3_extended_errcode(d->handle) == code ? sqlite3_errmsg(d->handle)
                                                                                  : sqlite3_errstr(code);
    d->last = code;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail_busy(d, err);
    case SQLITE_FULL:
        error_set(err, ERROR_IO, "the disk is full: the journal %s can't be written", d->dir);
        error_hint(err, "free some space, or move finished runs out of the way with: capsule gc");
        return ERROR_IO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return fail_permission(d, err);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return fail_io(d, number, detail, err);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* our statements are right, so the tables aren't those that we made */
        return fail_corrupt(d, detail, err);
    case SQLITE_NOMEM:
        return error_set(err, ERROR_NOMEM, "out of memory in the journal %s", d->dir);
    case SQLITE_CONSTRAINT:
        return error_set(err, ERROR_INVALID, "the journal %s has this already: %s", d->dir, detail);
    default:
        return error_set(err, ERROR_INTERNAL, "the journal %s: %s (SQLite code %d)", d->dir, detail, code);
    }
}

bool database_exists(struct database *d) {
    return (d->last & 0xff) == SQLITE_CONSTRAINT;
}

/* SQLite's own waits grow to 100 ms, too long for transactions of 0.1 ms. */
static int wait_while_busy(void *user, int times) {
    struct database *d = user;
    uint64_t now = clock_monotonic_ns();
    if (times == 0)
        d->busy_since = now;
    if (now - d->busy_since >= DATABASE_BUSY_NS)
        return 0;
    usleep(times < 5 ? 100u << times : 5000);
    return 1;
}

static int note_log_pages(void *user, sqlite3 *handle, const char *name, int pages) {
    struct database *d = user;
    (void)handle;
    (void)name;
    d->log_pages = (unsigned)pages;
    return SQLITE_OK;
}

/* --- statements --- */

int database_query(struct database *d, const char *sql, struct query **ret, struct error *err) {
    size_t i = 0;
    while (i < QUERIES_MAX && d->queries[i].sql && d->queries[i].sql != sql)
        i++;
    struct query *q = &d->queries[i];
    if (i == QUERIES_MAX || q->busy)
        return error_set(err, ERROR_INTERNAL, "no place for the statement: %s", sql);
    if (!q->sql) {
        errno = 0;
        int code = FAULT("journal.prepare")
                       ? SQLITE_NOMEM
                       : sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->statement, NULL);
        if (code)
            return fail(d, code, err);
    }
    *q = (struct query){.database = d, .sql = sql, .statement = q->statement, .busy = true};
    *ret = q;
    return 0;
}

void query_done(struct query **q) {
    if (!*q)
        return;
    sqlite3_reset((*q)->statement);
    sqlite3_clear_bindings((*q)->statement);
    (*q)->busy = false;
}

static void note_put(struct query *q, int code) {
    if (code && !q->status)
        q->status = code;
}

void query_put(struct query *q, uint64_t v) {
    /* SQLite's integers have a sign; nothing that's kept comes near it, and "before the end of time" stays that. */
    note_put(q, sqlite3_bind_int64(q->statement, ++q->parameters, (sqlite3_int64)(v < INT64_MAX ? v : INT64_MAX)));
}

void query_put_text(struct query *q, const char *text) {
    note_put(q, sqlite3_bind_text(q->statement, ++q->parameters, text, -1, SQLITE_STATIC));
}

void query_put_bytes(struct query *q, const void *bytes, size_t n) {
    /* No bytes at no address would be NULL. */
    note_put(q, sqlite3_bind_blob64(q->statement, ++q->parameters, bytes ? bytes : "", n, SQLITE_STATIC));
}

int query_step(struct query *q, struct error *err) {
    errno = 0;
    int code = q->status ? q->status : FAULT("journal.step") ? SQLITE_IOERR : sqlite3_step(q->statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return code == SQLITE_ROW;
    return fail(q->database, code, err);
}

uint64_t query_u64(struct query *q, int column) {
    return (uint64_t)sqlite3_column_int64(q->statement, column);
}

const char *query_text(struct query *q, int column) {
    return (const char *)sqlite3_column_text(q->statement, column);
}

const char *query_bytes(struct query *q, int column, size_t *ret_n) {
    const char *bytes = sqlite3_column_blob(q->statement, column);
    int n = sqlite3_column_bytes(q->statement, column);
    *ret_n = n > 0 ? (size_t)n : 0;
    return bytes ? bytes : "";
}

int database_run(struct database *d, const char *sql, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, sql, &q, err);
    if (status == 0)
        status = query_step(q, err);
    return status < 0 ? status : 0;
}

uint64_t database_changes(struct database *d) {
    return (uint64_t)sqlite3_changes64(d->handle);
}

uint64_t database_last_row(struct database *d) {
    return (uint64_t)sqlite3_last_insert_rowid(d->handle);
}

/* --- transactions --- */

int transaction_begin(struct transaction *t, struct database *d, bool synced, struct error *err) {
    int status = 0;
    if (synced != d->synced)
        status = database_run(d, synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err);
    if (status)
        return status;
    d->synced = synced;
    if (FAULT("journal.begin"))
        return fail(d, SQLITE_BUSY, err);
    status = database_run(d, "BEGIN IMMEDIATE", err);
    if (status == 0)
        t->database = d;
    return status;
}

int transaction_commit(struct transaction *t, struct error *err) {
    if (FAULT("journal.commit"))
        return fail(t->database, SQLITE_FULL, err);
    int status = database_run(t->database, "COMMIT", err);
    if (status == 0)
        t->database = NULL;
    return status;
}

void transaction_done(struct transaction *t) {
    /* Some failures roll back by themselves. */
    if (t->database && !sqlite3_get_autocommit(t->database->handle))
        database_run(t->database, "ROLLBACK", NULL);
    t->database = NULL;
}

/* --- opening --- */

static int read_number(struct database *d, const char *sql, uint64_t *ret, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, sql, &q, err);
    if (status == 0)
        status = query_step(q, err);
    if (status < 0)
        return status;
    *ret = status == 1 ? query_u64(q, 0) : 0;
    return 0;
}

static int read_version(struct database *d, uint64_t *ret, struct error *err) {
    int status = read_number(d, "PRAGMA user_version", ret, err);
    if (status || *ret <= JOURNAL_SCHEMA)
        return status;
    error_set(err, ERROR_UNSUPPORTED,
              "the journal %s has version %llu, and this Capsule (" CAPSULE_VERSION ") knows up to %d", d->dir,
              (unsigned long long)*ret, JOURNAL_SCHEMA);
    error_hint(err, "use the version of Capsule that wrote it, or a newer one");
    return ERROR_UNSUPPORTED;
}

static int script(struct database *d, const char *sql, struct error *err) {
    errno = 0;
    int code = FAULT("journal.script") ? SQLITE_FULL : sqlite3_exec(d->handle, sql, NULL, NULL, NULL);
    return code ? fail(d, code, err) : 0;
}

/* Another process may have made the step between our look and our transaction. */
static int make_step(struct database *d, uint64_t version, struct error *err) {
    CLEANUP(transaction_done) struct transaction t = {0};
    uint64_t found;
    char text[64];
    snprintf(text, sizeof text, "PRAGMA user_version = %llu", (unsigned long long)version + 1);
    int status = transaction_begin(&t, d, true, err);
    if (status == 0)
        status = read_version(d, &found, err);
    if (status || found != version)
        return status;
    status = script(d, STEPS[version], err);
    if (status == 0)
        status = script(d, text, err);
    return status ? status : transaction_commit(&t, err);
}

/* One process at a time: while a new database isn't in WAL mode yet, others couldn't even look at it. */
static int update(struct database *d, struct error *err) {
    CLEANUP(cleanup_close) int lock = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t version;
    if (lock >= 0)
        flock(lock, LOCK_EX);
    int status = read_version(d, &version, err);
    if (status == 0 && version == 0)
        status = script(d, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL", err);
    for (; status == 0 && version < JOURNAL_SCHEMA; version++)
        status = make_step(d, version, err);
    /* So that the names of the new files survive a loss of power. */
    if (status == 0 && lock >= 0 && (FAULT("journal.sync") || fsync(lock)))
        status = error_errno(err, ERROR_IO, errno, "can't sync the folder %s", d->dir);
    return status;
}

/* SQLite's name for the file, as a URI if it's to be read without locks. */
static int file_name(const char *dir, bool immutable, char *ret, size_t capacity) {
    size_t n = (size_t)snprintf(ret, capacity, "%s", immutable ? "file:" : "");
    for (const char *c = dir; *c && n + 4 < capacity; c++)
        n += (size_t)snprintf(ret + n, capacity - n, immutable && strchr("%?#", *c) ? "%%%02X" : "%c",
                              (unsigned char)*c);
    n += (size_t)snprintf(ret + n, capacity - n, "/journal.db%s", immutable ? "?immutable=1" : "");
    return n < capacity ? 0 : ERROR_LIMIT;
}

static int connect(struct database *d, bool writable, bool create, bool immutable, struct error *err) {
    char name[3 * PATH_LENGTH_MAX];
    if (file_name(d->dir, immutable, name, sizeof name))
        return error_set(err, ERROR_INVALID, "the path of the journal is too long: %s", d->dir);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (immutable ? SQLITE_OPEN_URI : 0) |
                (writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | (create ? SQLITE_OPEN_CREATE : 0);
    errno = 0;
    int code = FAULT("journal.open") ? SQLITE_CANTOPEN : sqlite3_open_v2(name, &d->handle, flags, NULL);
    if (code)
        return fail(d, code, err);
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_handler(d->handle, wait_while_busy, d);
    sqlite3_wal_hook(d->handle, note_log_pages, d);
    d->synced = true; /* SQLite's default */
    return 0;
}

static void disconnect(struct database *d) {
    for (size_t i = 0; i < QUERIES_MAX; i++)
        sqlite3_finalize(d->queries[i].statement);
    memset(d->queries, 0, sizeof d->queries);
    sqlite3_close(d->handle);
    d->handle = NULL;
}

static bool log_is_empty(const struct database *d) {
    char path[PATH_LENGTH_MAX + 16];
    struct stat st;
    snprintf(path, sizeof path, "%s/journal.db-wal", d->dir);
    return stat(path, &st) ? errno == ENOENT : st.st_size == 0;
}

/* In a folder that can't be written SQLite needs the files that another process left; without a log it can do without them, as nobody can be writing. */
static int read_only_version(struct database *d, uint64_t *ret, struct error *err) {
    int status = read_version(d, ret, err);
    int code = d->last & 0xff;
    if (status == 0 || (code != SQLITE_CANTOPEN && code != SQLITE_READONLY))
        return status;
    disconnect(d);
    if (!log_is_empty(d)) {
        error_set(err, ERROR_IO,
                  "the journal %s can't be read where it is: its folder can't be written, "
                  "and journal.db-shm, which belongs to its journal.db-wal, is missing",
                  d->dir);
        error_hint(err, "copy the folder to a place that can be written and look at it there");
        return ERROR_IO;
    }
    status = connect(d, false, false, true, err);
    return status ? status : read_version(d, ret, err);
}

static int open_database(struct database *d, bool writable, bool create, struct error *err) {
    uint64_t version;
    int status = connect(d, writable, create, false, err);
    if (status == 0)
        status = writable ? read_version(d, &version, err) : read_only_version(d, &version, err);
    if (status || version == JOURNAL_SCHEMA)
        return status;
    if (version == 0 && !create)
        return error_set(err, ERROR_NOT_FOUND, "the journal %s is empty", d->dir);
    if (!writable) {
        error_set(err, ERROR_UNSUPPORTED, "the journal %s has the older version %llu", d->dir,
                  (unsigned long long)version);
        error_hint(err, "run anything in the project to bring it up to date");
        return ERROR_UNSUPPORTED;
    }
    return update(d, err);
}

int database_open(const char *dir, bool writable, bool create, struct database **ret, struct error *err) {
    CLEANUP(database_cleanup) struct database *d = FAULT("journal.new") ? NULL : calloc(1, sizeof *d);
    if (!d || !(d->dir = strdup(dir)))
        return error_set(err, ERROR_NOMEM, "out of memory while opening the journal %s", dir);
    char path[PATH_LENGTH_MAX + 16];
    struct stat st;
    snprintf(path, sizeof path, "%s/journal.db", dir);
    if (!create && stat(path, &st) && errno == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "there is no journal in %s", dir);
    int status = open_database(d, writable, create, err);
    if (status)
        return status;
    *ret = d;
    d = NULL;
    return 0;
}

void database_close(struct database *d) {
    if (!d)
        return;
    disconnect(d);
    free(d->dir);
    free(d);
}

void database_cleanup(struct database **d) {
    database_close(*d);
}

/* --- care --- */

uint64_t database_version(struct database *d) {
    uint64_t version = 0;
    return read_number(d, "PRAGMA data_version", &version, NULL) ? 0 : version;
}

unsigned database_log_pages(struct database *d) {
    return d->log_pages;
}

void database_checkpoint(struct database *d, bool truncate) {
    if (FAULT("journal.checkpoint"))
        return;
    /* Without waiting for others: who is there looks after the log later. */
    sqlite3_busy_handler(d->handle, NULL, NULL);
    int code = sqlite3_wal_checkpoint_v2(
        d->handle, NULL, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code == 0 && truncate)
        d->log_pages = 0;
    sqlite3_busy_handler(d->handle, wait_while_busy, d);
}

int database_shrink(struct database *d, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, "PRAGMA incremental_vacuum", &q, err);
    /* Each step frees a page. */
    while (status == 0 && (status = query_step(q, err)) == 1)
        status = 0;
    return status < 0 ? status : 0;
}

int database_check(struct database *d, struct buffer *ret_problems, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, "PRAGMA integrity_check", &q, err);
    while (status == 0 && (status = query_step(q, err)) == 1) {
        const char *line = query_text(q, 0);
        status = 0;
        if (line && strcmp(line, "ok") != 0)
            status = buffer_printf(ret_problems, "journal.db: %s\n", line);
    }
    return status < 0 ? status : 0;
}
