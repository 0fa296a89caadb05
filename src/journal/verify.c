/* Owns the check of a whole journal: SQLite's own, every frame, every blob. Thread-safe. */
#define _GNU_SOURCE 1
#include "journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

/* Problems are worth a line, not an end: only what keeps us from looking is an error. */
static int note(struct buffer *problems, const struct error *problem, struct error *err) {
    if (problem->code == ERROR_NOMEM || problem->code == ERROR_IO) {
        *err = *problem;
        return problem->code;
    }
    int status = buffer_printf(problems, "%s\n", problem->message);
    return status ? error_set(err, status, "the journal has too many problems to list") : 0;
}

static int check_database(struct journal *j, struct buffer *problems, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    struct database *d;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    return database_check(d, problems, err);
}

struct frame_copy {
    uint64_t n;
    char id[JOURNAL_RUN_ID_MAX + 1];
    struct buffer events;
};

/* 1 and the first frame after number n; 0; or an error. */
static int next_frame(struct journal *j, struct frame_copy *f, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    size_t n;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = database_query(
        d,
        "SELECT frame.n, events, coalesce(id, '(none)') FROM frame LEFT JOIN run ON run.n = frame.n >> 32"
        " WHERE frame.n > ? ORDER BY frame.n LIMIT 1",
        &q, err);
    if (status)
        return status;
    query_put(q, f->n);
    status = query_step(q, err);
    if (status != 1)
        return status;
    const char *events = query_bytes(q, 1, &n), *id = query_text(q, 2);
    f->n = query_u64(q, 0);
    buffer_clear(&f->events);
    if (buffer_append(&f->events, events, n))
        return error_set(err, ERROR_NOMEM, "out of memory while checking the journal");
    size_t id_n = strnlen(id, JOURNAL_RUN_ID_MAX);
    memcpy(f->id, id, id_n);
    f->id[id_n] = '\0';
    return 1;
}

static int check_frames(struct journal *j, struct buffer *problems, struct error *err) {
    struct frame_copy f = {.events = BUFFER_INIT(SIZE_MAX / 4)};
    struct error problem;
    int status;
    while ((status = next_frame(j, &f, err)) == 1) {
        status = read_events(f.id, f.n & UINT32_MAX, &f.events, NULL, NULL, &problem);
        if (status && (status = note(problems, &problem, err)))
            break;
    }
    buffer_done(&f.events);
    return status;
}

static int check_blobs(struct journal *j, struct buffer *problems, struct error *err) {
    CLEANUP(digest_set_done) struct digest_set needed = {0};
    struct error problem;
    int status = collect_needed(j, UINT64_MAX, &needed, err);
    for (size_t i = 0; i < needed.n && status == 0; i++) {
        CLEANUP(buffer_done) struct buffer content = BUFFER_INIT(SIZE_MAX / 4);
        if (blob_read(j, needed.items[i], UINT64_MAX, &content, &problem))
            status = note(problems, &problem, err);
    }
    return status;
}

static int check_apps(struct journal *j, struct buffer *problems, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = database_query(d, "SELECT id, app, text FROM run LEFT JOIN app ON digest = app ORDER BY n", &q, err);
    while (status == 0 && (status = query_step(q, err)) == 1) {
        uint8_t digest[DIGEST_SIZE];
        size_t n, size;
        const char *wanted = query_bytes(q, 1, &n), *text = query_bytes(q, 2, &size), *id = query_text(q, 0);
        digest_bytes(NULL, text, size, digest);
        status = 0;
        if (n != DIGEST_SIZE || memcmp(digest, wanted, n) != 0)
            status = buffer_printf(
                problems, "run %s can't be opened again: its application isn't what was written\n", id ? id : "");
    }
    return status < 0 ? status : 0;
}

int journal_verify(struct journal *j, struct buffer *ret_problems, struct error *err) {
    int status = check_database(j, ret_problems, err);
    if (status == 0)
        status = check_frames(j, ret_problems, err);
    if (status == 0)
        status = check_apps(j, ret_problems, err);
    return status ? status : check_blobs(j, ret_problems, err);
}
