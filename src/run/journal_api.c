/* capsule_journal_*: finding a project's journal, looking at its runs, reaching them from outside.
 *
 * Thread-safe: the journal is, and the lock guards the one thing that is made late. */
#include "run/journal_api.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/path.h"
#include "base/utf8.h"
#include "guest/abi.h"
#include "journal/inspect.h"
#include "run/runtime.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROBLEMS_MAX = 1 << 20, OUTPUT_CHUNK_MAX = 64 << 20, COLLECTION_MAX = 1024 };

_Static_assert(CAPSULE_CREATED == 0 && CAPSULE_RUNNING == 1 && CAPSULE_COMPLETED == 2 && CAPSULE_FAILED == 3 &&
                   CAPSULE_TIMED_OUT == 4 && CAPSULE_CANCELLED == 5 && CAPSULE_INTERRUPTED == 6 &&
                   CAPSULE_SUSPENDED == 7,
               "journals on disk hold these numbers, and journal/inspect.c their names");

/* ---- finding and opening ---- */

/* Whoever owns a journal decides what is run when a run of it is resumed, and with which files. So one that another user left in a folder above
 * us (/tmp has room for anybody's) isn't used, unless that user owns the folder too. */
static int check_owner(const char *folder, const struct stat *st, uid_t owner_of_project, struct error *err) {
    if (st->st_uid == geteuid() || st->st_uid == 0 || st->st_uid == owner_of_project)
        return 0;
    error_set(err, ERROR_PROJECT, "%s belongs to another user (uid %u) and isn't used", folder, st->st_uid);
    error_hint(err, "remove it, or name the project's own folder");
    return ERROR_PROJECT;
}

/* 1: ret is the journal's folder in this project; 0: there is none. */
static int try_folder(const char *project, char ret[PATH_LENGTH_MAX], struct error *err) {
    char database[PATH_LENGTH_MAX];
    struct stat outer, inner, file;
    if (path_normalize(project, JOURNAL_FOLDER, ret, PATH_LENGTH_MAX) < 0 ||
        path_normalize(ret, "journal.db", database, sizeof database) < 0)
        return 0;
    if (lstat(ret, &inner) != 0 || !S_ISDIR(inner.st_mode) || lstat(database, &file) != 0 ||
        stat(project, &outer) != 0)
        return 0;
    int rc = check_owner(ret, &inner, outer.st_uid, err);
    return rc == 0 ? 1 : rc;
}

static int find_folder(const char *place, char ret[PATH_LENGTH_MAX], struct error *err) {
    CLEANUP(cleanup_free) char *start = FAULT("journal.place") ? NULL : realpath(place, NULL);
    if (start == NULL)
        return error_errno(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "can't look into %s", place);
    for (size_t n = strlen(start);; n = path_dir_length(start)) {
        start[n] = '\0';
        int rc = try_folder(start, ret, err);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        if (n <= 1)
            break;
    }
    const bool here = strcmp(place, ".") == 0;
    error_set(err, ERROR_NOT_FOUND, "no run has been recorded %s%s", here ? "here" : "in ", here ? "" : place);
    error_hint(err, "runs are recorded in the folder %s of the program's project", JOURNAL_FOLDER);
    return ERROR_NOT_FOUND;
}

static int open_reader(const char *place, struct capsule_journal *journal, struct error *err) {
    char folder[PATH_LENGTH_MAX];
    int rc = find_folder(place != NULL ? place : ".", folder, err);
    return rc == 0 ? journal_open(folder, JOURNAL_READ, &journal->reader, err) : rc;
}

int capsule_journal_open(const char *place, capsule_journal **ret_journal, capsule_error *error) {
    struct error err = {0};
    struct capsule_journal *journal = FAULT("journal.handle") ? NULL : calloc(1, sizeof *journal);
    if (journal == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for a journal");
    int rc = open_reader(place, journal, &err);
    if (rc != 0) {
        free(journal);
        return runtime_error(error, rc, &err);
    }
    pthread_mutex_init(&journal->lock, NULL);
    *ret_journal = journal;
    return 0;
}

void capsule_journal_close(capsule_journal *journal) {
    if (journal == NULL)
        return;
    if (journal->writer != NULL)
        journal_close(journal->writer);
    journal_close(journal->reader);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

const char *capsule_journal_dir(const capsule_journal *journal) {
    return journal_dir(journal->reader);
}

int journal_api_writer(struct capsule_journal *journal, struct journal **ret, struct error *err) {
    pthread_mutex_lock(&journal->lock);
    int rc = 0;
    if (journal->writer == NULL)
        rc = journal_open(journal_dir(journal->reader), JOURNAL_WRITE, &journal->writer, err);
    *ret = journal->writer;
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

/* ---- looking ---- */

/* Hands a text over, or its error. */
static int give(struct buffer *text, int rc, const struct error *err, char **ret, capsule_error *error) {
    char *taken = rc == 0 ? buffer_take(text) : NULL;
    if (rc != 0)
        return runtime_error(error, rc, err);
    if (taken == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for the text");
    *ret = taken;
    return 0;
}

int capsule_journal_list(capsule_journal *journal, const capsule_run_filter *filter, char **ret_json,
                         capsule_error *error) {
    static const capsule_run_filter all;
    const capsule_run_filter *f = filter != NULL ? filter : &all;
    const struct journal_filter inner = {
        .state = f->state, .entry = f->entry, .limit = f->limit, .due = f->due ? clock_wall_ns() : 0};
    struct error err = {0};
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(INSPECT_JSON_MAX);
    int rc = inspect_list(journal->reader, &inner, &text, &err);
    return give(&text, rc, &err, ret_json, error);
}

int capsule_journal_show(capsule_journal *journal, const char *run_id, char **ret_json, capsule_error *error) {
    struct error err = {0};
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(INSPECT_JSON_MAX);
    int rc = inspect_run(journal->reader, run_id, &text, &err);
    return give(&text, rc, &err, ret_json, error);
}

struct output {
    struct journal *j;
    const char *run_id;
    void (*on_output)(void *user, const capsule_event *event);
    void *user;
    struct error *err;
};

static int tell_output(void *user, const struct event *e) {
    const struct output *o = user;
    if (e->kind != EVENT_OUTPUT)
        return 0;
    CLEANUP(buffer_done) struct buffer loaded = BUFFER_INIT(OUTPUT_CHUNK_MAX);
    if (e->texts[0].in_blob) {
        int rc = journal_text(o->j, &e->texts[0], &loaded, o->err);
        if (rc != 0)
            return rc;
    }
    const capsule_event event = {.kind = CAPSULE_EVENT_OUTPUT,
                                 .time = e->time,
                                 .run_id = o->run_id,
                                 .task_id = e->task,
                                 .task_name = "",
                                 .state = CAPSULE_RUNNING,
                                 .stream = e->numbers[0] == 2 ? 2 : 1,
                                 .bytes = e->texts[0].in_blob ? buffer_text(&loaded) : e->texts[0].bytes,
                                 .bytes_n = e->texts[0].in_blob ? loaded.size : (size_t)e->texts[0].n};
    o->on_output(o->user, &event);
    return 0;
}

int capsule_journal_output(capsule_journal *journal, const char *run_id, uint64_t *cursor,
                           void (*on_output)(void *user, const capsule_event *event), void *user, int *ret_over,
                           capsule_error *error) {
    struct error err = {0};
    CLEANUP(journal_row_done) struct journal_row row = {0};
    /* The row first: of a run that had ended by then, all events are there to be read. */
    int rc = journal_find(journal->reader, run_id, false, &row, &err);
    if (rc != 0)
        return runtime_error(error, rc, &err);
    struct output o = {journal->reader, row.id, on_output, user, &err};
    uint64_t at = *cursor;
    rc = journal_events(journal->reader, row.id, &at, tell_output, &o, &err);
    if (rc != 0)
        return runtime_error(error, rc, &err);
    *cursor = at;
    *ret_over = row.state == JOURNAL_ENDED;
    return 0;
}

int capsule_journal_verify(capsule_journal *journal, char **ret_problems, capsule_error *error) {
    struct error err = {0};
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(PROBLEMS_MAX);
    int rc = journal_verify(journal->reader, &text, &err);
    return give(&text, rc, &err, ret_problems, error);
}

/* ---- reaching in ---- */

static int check_signal(const char *name, const char *json, size_t json_n, struct error *err) {
    const size_t n = strlen(name);
    if (n == 0 || n > GUEST_SIGNAL_NAME_MAX || !utf8_valid(name, n))
        return error_set(err, ERROR_INVALID, "a signal's name has 1 to %d bytes of UTF-8", GUEST_SIGNAL_NAME_MAX);
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    return json_parse(json, json_n, &document, err) == 0 ? 0 : error_prefix(err, "the signal's value");
}

int capsule_journal_signal(capsule_journal *journal, const char *run_id, const char *name, const char *json,
                           capsule_error *error) {
    struct error err = {0};
    struct journal *writer = NULL;
    const size_t n = strlen(json);
    int rc = check_signal(name, json, n, &err);
    if (rc == 0)
        rc = journal_api_writer(journal, &writer, &err);
    if (rc == 0)
        rc = journal_signal(writer, run_id, name, json, n, &err);
    return rc == 0 ? 0 : runtime_error(error, rc, &err);
}

int capsule_journal_cancel(capsule_journal *journal, const char *run_id, int *ret_alive, capsule_error *error) {
    struct error err = {0};
    struct journal *writer = NULL;
    bool alive = false;
    int rc = journal_api_writer(journal, &writer, &err);
    if (rc == 0)
        rc = journal_cancel(writer, run_id, &alive, &err);
    if (rc != 0)
        return runtime_error(error, rc, &err);
    *ret_alive = alive;
    return 0;
}

static int write_collection(const struct journal_collection *c, bool dry_run, struct buffer *to) {
    return buffer_printf(to,
                         "{\"dry_run\":%s,\"runs\":%" PRIu64 ",\"events_bytes\":%" PRIu64 ",\"blobs\":%" PRIu64
                         ",\"blobs_bytes\":%" PRIu64 ",\"images\":%" PRIu64 ",\"images_bytes\":%" PRIu64
                         ",\"runs_left\":%" PRIu64 ",\"bytes_left\":%" PRIu64 "}",
                         dry_run ? "true" : "false", c->runs, c->events_bytes, c->blobs, c->blobs_bytes, c->images,
                         c->images_bytes, c->runs_left, c->bytes_left);
}

int capsule_journal_collect(capsule_journal *journal, uint64_t age, int dry_run, char **ret_json,
                            capsule_error *error) {
    struct error err = {0};
    struct journal *writer = NULL;
    struct journal_collection collection = {0};
    const uint64_t now = clock_wall_ns();
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(COLLECTION_MAX);
    int rc = journal_api_writer(journal, &writer, &err);
    if (rc == 0)
        rc = journal_collect(writer, age < now ? now - age : 0, dry_run != 0, &collection, &err);
    if (rc == 0 && (rc = write_collection(&collection, dry_run != 0, &text)) != 0)
        error_set(&err, rc, "no memory for the numbers");
    return give(&text, rc, &err, ret_json, error);
}
