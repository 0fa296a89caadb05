/* Owns looking at runs: their rows, their events, the texts of those.
 *
 * Rows and frames are copied before anybody is called with them, a hundred rows or one frame at a time: callbacks may call the journal again, and nobody's
 * slowness keeps the log from being moved. Thread-safe. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "base/show.h"
#include "journal/inspect.h"
#include "journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_MIN = 4, PAGE_ROWS = 100 };

/* --- rows --- */

void journal_row_done(struct journal_row *row) {
    free(row->entry);
    free(row->task);
    free(row->image);
    free(row->forked_from);
    free(row->app);
    free(row->waits_for);
    free(row->error_type);
    *row = (struct journal_row){0};
}

#define ROW_COLUMNS                                                                                               \
    "n, id, entry, task, image, forked_from, waits_for, error_type, state, final_state, durable, pid, begun, "    \
    "ended,"                                                                                                      \
    " wake, bytes, owner, boot, lease_until"

/* False without memory. */
static bool copy_column(struct query *q, int column, bool may_miss, char **ret) {
    const char *text = query_text(q, column);
    if (!text && may_miss)
        return true;
    *ret = strdup(text ? text : "");
    return *ret != NULL;
}

static int copy_row(struct journal *j, struct query *q, struct journal_row *ret, uint64_t *ret_n,
                    struct error *err) {
    struct lease lease = {query_text(q, 16), query_text(q, 17), query_u64(q, 18)};
    const char *id = query_text(q, 1);
    *ret = (struct journal_row){
        .state = (enum journal_state)query_u64(q, 8),
        .final_state = (int)query_u64(q, 9),
        .durable = query_u64(q, 10) != 0,
        .pid = (int)query_u64(q, 11),
        .begun = query_u64(q, 12),
        .ended = query_u64(q, 13),
        .wake = query_u64(q, 14),
        .bytes = query_u64(q, 15),
        .alive = lease_is_held(j, &lease),
    };
    *ret_n = query_u64(q, 0);
    if (id)
        memcpy(ret->id, id, strnlen(id, JOURNAL_RUN_ID_MAX));
    bool copied = copy_column(q, 2, false, &ret->entry) && copy_column(q, 3, false, &ret->task) &&
                  copy_column(q, 4, false, &ret->image) && copy_column(q, 5, true, &ret->forked_from) &&
                  copy_column(q, 6, true, &ret->waits_for) && copy_column(q, 7, true, &ret->error_type);
    if (copied && !FAULT("journal.row"))
        return 0;
    journal_row_done(ret);
    return error_set(err, ERROR_NOMEM, "out of memory while reading the journal %s", j->dir);
}

/* The row of a run that's under way doesn't know. */
static int count_bytes(struct database *d, uint64_t n, struct journal_row *row, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    if (row->state != JOURNAL_RUNNING)
        return 0;
    int status =
        database_query(d, "SELECT coalesce(sum(length(events)), 0) FROM frame WHERE n BETWEEN ? AND ?", &q, err);
    if (status)
        return status;
    query_put(q, n << FRAME_NUMBER_BITS);
    query_put(q, (n << FRAME_NUMBER_BITS) | UINT32_MAX);
    status = query_step(q, err);
    if (status < 0)
        return status;
    row->bytes = query_u64(q, 0);
    return 0;
}

/* --- finding one --- */

/* 1 and the id that `id` stands for; 0: none; or an error. */
static int complete(struct database *d, const char *id, char ret[JOURNAL_RUN_ID_MAX + 1], struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    char end[JOURNAL_RUN_ID_MAX + 2];
    size_t n = strnlen(id, JOURNAL_RUN_ID_MAX + 1);
    if (n > JOURNAL_RUN_ID_MAX)
        return 0;
    /* The id itself, if it's there, comes first. */
    int status = database_query(d, "SELECT id FROM run WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", &q, err);
    if (status)
        return status;
    memcpy(end, id, n);
    end[n] = n < PREFIX_MIN ? '\x01' : '\x7f'; /* before, and after, all that an id may have */
    end[n + 1] = '\0';
    query_put_text(q, id);
    query_put_text(q, end);
    status = query_step(q, err);
    const char *found = status == 1 ? query_text(q, 0) : NULL;
    if (!found)
        return status < 0 ? status : 0;
    n = strnlen(found, JOURNAL_RUN_ID_MAX);
    memcpy(ret, found, n);
    ret[n] = '\0';
    if (strcmp(ret, id) == 0 || (status = query_step(q, err)) == 0)
        return 1;
    if (status < 0)
        return status;
    const char *other = query_text(q, 0);
    return error_set(err, ERROR_INVALID, "several runs begin with \"%s\", among them %s and %s", show(id).text,
                     ret, other ? other : "");
}

/* Appends how to open a run's application again. */
static int read_app(struct journal *j, struct database *d, uint64_t n, struct buffer *ret, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    uint8_t digest[DIGEST_SIZE];
    size_t size, digest_n;
    int status =
        database_query(d, "SELECT text, digest FROM run JOIN app ON digest = run.app WHERE n = ?", &q, err);
    if (status)
        return status;
    query_put(q, n);
    status = query_step(q, err);
    if (status < 0)
        return status;
    const char *text = query_bytes(q, 0, &size), *wanted = query_bytes(q, 1, &digest_n);
    digest_bytes(NULL, text, size, digest);
    if (status == 0 || digest_n != DIGEST_SIZE || memcmp(digest, wanted, DIGEST_SIZE) != 0) {
        error_set(err, ERROR_CORRUPT, "the journal %s doesn't hold any more how to open the run's application",
                  j->dir);
        error_hint(err, "bring the journal back from a backup, or begin the run anew under another id");
        return ERROR_CORRUPT;
    }
    return buffer_append(ret, text, size)
               ? error_set(err, ERROR_NOMEM, "out of memory while reading the journal %s", j->dir)
               : 0;
}

static int find(struct journal *j, struct database *d, const char *id, struct journal_row *ret, uint64_t *ret_n,
                struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    char whole[JOURNAL_RUN_ID_MAX + 1];
    int status = complete(d, id, whole, err);
    if (status == 1)
        status = database_query(d, "SELECT " ROW_COLUMNS " FROM run WHERE id = ?", &q, err);
    else if (status == 0)
        status =
            error_set(err, ERROR_NOT_FOUND, "there is no run \"%s\" in the journal %s", show(id).text, j->dir);
    if (status)
        return status;
    query_put_text(q, whole);
    status = query_step(q, err);
    if (status == 0)
        return error_set(err, ERROR_NOT_FOUND, "run %s was removed", whole);
    return status < 0 ? status : copy_row(j, q, ret, ret_n, err);
}

int read_run(struct journal *j, struct database *d, const char *id, struct found_run *ret, struct error *err) {
    CLEANUP(journal_row_done) struct journal_row row = {0};
    uint64_t n;
    int status = find(j, d, id, &row, &n, err);
    if (status)
        return status;
    *ret = (struct found_run){
        .n = n, .durable = row.durable, .alive = row.alive, .ended = row.state == JOURNAL_ENDED};
    memcpy(ret->id, row.id, sizeof row.id);
    return 0;
}

int read_number(struct journal *j, struct database *d, const char *id, uint64_t *n, struct error *err) {
    struct found_run run;
    int status = *n ? 0 : read_run(j, d, id, &run, err);
    if (*n == 0 && status == 0)
        *n = run.n;
    return status;
}

int journal_find(struct journal *j, const char *id, bool with_app, struct journal_row *ret, struct error *err) {
    CLEANUP(journal_row_done) struct journal_row row = {0};
    CLEANUP(buffer_done) struct buffer app = BUFFER_INIT(SIZE_MAX / 4);
    CLEANUP(outside_end) struct journal *locked = NULL;
    struct database *d;
    uint64_t n;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = find(j, d, id, &row, &n, err);
    if (status == 0)
        status = count_bytes(d, n, &row, err);
    if (status == 0 && with_app)
        status = read_app(j, d, n, &app, err);
    if (status)
        return status;
    if (with_app) {
        row.app_n = app.size;
        row.app = buffer_take(&app);
        if (!row.app)
            return error_set(err, ERROR_NOMEM, "out of memory while reading the journal %s", j->dir);
    }
    *ret = row;
    row = (struct journal_row){0};
    return 0;
}

/* --- lists --- */

struct page {
    size_t n;
    uint64_t last; /* number of the last row */
    struct journal_row rows[PAGE_ROWS];
};

static void page_free(struct page **page) {
    for (size_t i = 0; *page && i < (*page)->n; i++)
        journal_row_done(&(*page)->rows[i]);
    free(*page);
}

static int query_page(struct database *d, const struct journal_filter *f, uint64_t before, struct query **ret,
                      struct error *err) {
    static const char ALL[] = "SELECT " ROW_COLUMNS " FROM run WHERE n < ? ORDER BY n DESC LIMIT 100";
    /* The index keeps the many that have ended out of it. */
    static const char DUE[] =
        "SELECT " ROW_COLUMNS
        " FROM run INDEXED BY run_suspended WHERE n < ? AND state = 2 AND (wake BETWEEN 1 AND ? - 1"
        " OR EXISTS (SELECT 1 FROM signal WHERE signal.run = run.n AND signal.n > run.known)) ORDER BY n DESC"
        " LIMIT 100";
    int status = database_query(d, f->due ? DUE : ALL, ret, err);
    if (status)
        return status;
    query_put(*ret, before);
    if (f->due)
        query_put(*ret, f->due);
    return 0;
}

static int read_page(struct journal *j, const struct journal_filter *f, struct page *page, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    uint64_t numbers[PAGE_ROWS];
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = query_page(d, f, page->last, &q, err);
    while (status == 0 && page->n < PAGE_ROWS && (status = query_step(q, err)) == 1) {
        status = copy_row(j, q, &page->rows[page->n], &numbers[page->n], err);
        page->n += status == 0;
    }
    for (size_t i = 0; i < page->n && status == 0; i++)
        status = count_bytes(d, numbers[i], &page->rows[i], err);
    if (page->n)
        page->last = numbers[page->n - 1];
    return status;
}

static bool passes(const struct journal_filter *f, const struct journal_row *row) {
    return (!f->state || strcmp(f->state, inspect_state(row)) == 0) &&
           (!f->entry || strcmp(f->entry, row->entry) == 0);
}

/* 1 after the last page. */
static int list_page(struct journal *j, const struct journal_filter *f, uint64_t *last, uint64_t *left,
                     int (*each)(void *user, const struct journal_row *row), void *user, struct error *err) {
    CLEANUP(page_free) struct page *page = FAULT("journal.page") ? NULL : calloc(1, sizeof *page);
    if (!page)
        return error_set(err, ERROR_NOMEM, "out of memory while reading the journal %s", j->dir);
    page->last = *last;
    int status = read_page(j, f, page, err);
    for (size_t i = 0; i < page->n && *left > 0 && status == 0; i++) {
        if (!passes(f, &page->rows[i]))
            continue;
        status = each(user, &page->rows[i]);
        --*left;
    }
    *last = page->n == PAGE_ROWS && *left > 0 ? page->last : 0;
    return status;
}

int journal_list(struct journal *j, const struct journal_filter *filter,
                 int (*each)(void *user, const struct journal_row *row), void *user, struct error *err) {
    struct journal_filter f = filter ? *filter : (struct journal_filter){0};
    uint64_t last = INT64_MAX, left = f.limit ? f.limit : UINT64_MAX;
    int status = 0;
    while (last && status == 0)
        status = list_page(j, &f, &last, &left, each, user, err);
    return status;
}

int read_whether(struct journal *j, const char *sql, const char *text, bool *ret, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = database_query(d, sql, &q, err);
    if (status)
        return status;
    query_put_text(q, text);
    status = query_step(q, err);
    if (status >= 0)
        *ret = status == 1;
    return status < 0 ? status : 0;
}

int journal_needs_image(struct journal *j, const char *image, bool *ret, struct error *err) {
    return read_whether(j, "SELECT 1 FROM run WHERE image = ? AND state <> 3 LIMIT 1", image, ret, err);
}

/* --- events --- */

/* 1 and a copy of the first frame after *after, which is moved on; 0: there's none; or an error. *n: of the run, 0 if it isn't known yet. */
static int read_frame(struct journal *j, const char *id, uint64_t *n, uint64_t *after, struct buffer *ret,
                      struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    CLEANUP(query_done) struct query *q = NULL;
    struct database *d;
    size_t size;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    status = read_number(j, d, id, n, err);
    if (status == 0)
        status =
            database_query(d, "SELECT n, events FROM frame WHERE n > ? AND n <= ? ORDER BY n LIMIT 1", &q, err);
    if (status)
        return status;
    query_put(q, (*n << FRAME_NUMBER_BITS) + *after);
    query_put(q, (*n << FRAME_NUMBER_BITS) | UINT32_MAX);
    status = query_step(q, err);
    if (status != 1)
        return status;
    const char *events = query_bytes(q, 1, &size);
    buffer_clear(ret);
    if (buffer_append(ret, events, size))
        return error_set(err, ERROR_NOMEM, "out of memory while reading run %s", id);
    *after = query_u64(q, 0) & UINT32_MAX;
    return 1;
}

int read_events(const char *id, uint64_t number, const struct buffer *frame,
                int (*each)(void *user, const struct event *event), void *user, struct error *err) {
    struct frame_reader reader;
    struct event event;
    int status = frame_open(&reader, buffer_text(frame), frame->size, err);
    while (status == 0 && (status = frame_next(&reader, &event, err)) == 1) {
        status = each ? each(user, &event) : 0;
        if (status)
            return status;
    }
    if (status == 0)
        return 0;
    error_prefix(err, "frame %llu of run %s in the journal", (unsigned long long)number, id);
    if (status == ERROR_CORRUPT)
        error_hint(err, "bring the journal back from a backup, or begin the run anew under another id");
    return status;
}

int journal_events(struct journal *j, const char *id, uint64_t *after,
                   int (*each)(void *user, const struct event *event), void *user, struct error *err) {
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(SIZE_MAX / 4);
    uint64_t n = 0, number = *after;
    if (number > UINT32_MAX)
        return error_set(err, ERROR_INVALID, "a run has no frame with the number %llu",
                         (unsigned long long)number);
    for (;;) {
        int status = read_frame(j, id, &n, &number, &frame, err);
        if (status != 1)
            return status;
        status = read_events(id, number, &frame, each, user, err);
        if (status)
            return status;
        *after = number;
    }
}

int journal_text(struct journal *j, const struct event_text *text, struct buffer *ret, struct error *err) {
    if (text->in_blob)
        return blob_read(j, text->digest, text->n, ret, err);
    int status = buffer_append(ret, text->bytes, (size_t)text->n);
    return status ? error_set(err, status, "%s while reading the journal", error_meaning(status)) : 0;
}
