/* Owns what leaves a journal: runs that ended long ago, then blobs, images, temporaries and leases that nothing needs.
 *
 * Runs go fifty at a time, files five thousand at a time, each time in one transaction with the right to write, so that writers get their turn. While such
 * a transaction lasts nobody can commit a new need for a blob: who wrote a blob before looks, in his own transaction, whether it's still there (commit.c).
 * What is young isn't looked at, so that this hardly ever happens. Thread- and process-safe. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "journal/journal_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS_AT_ONCE = 50, FILES_AT_ONCE = 5000 };

struct work {
    struct journal *journal;
    struct database *database;
    uint64_t before;
    bool dry_run;
    struct digest_set needed;
    uint64_t files; /* removed in this transaction */
    uint64_t blobs_left_bytes;
    struct journal_collection found;
};

/* --- runs --- */

static int run_with(struct database *d, const char *sql, uint64_t a, uint64_t b, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(d, sql, &q, err);
    if (status)
        return status;
    query_put(q, a);
    query_put(q, b);
    status = query_step(q, err);
    return status < 0 ? status : 0;
}

static int remove_run(struct database *d, uint64_t n, struct error *err) {
    uint64_t first = n << FRAME_NUMBER_BITS, last = first | UINT32_MAX;
    int status = run_with(d, "DELETE FROM frame WHERE n BETWEEN ? AND ?", first, last, err);
    if (status == 0)
        status = run_with(d, "DELETE FROM signal WHERE run BETWEEN ? AND ?", n, n, err);
    if (status == 0)
        status = run_with(d, "DELETE FROM blob_use WHERE run BETWEEN ? AND ?", n, n, err);
    return status ? status : run_with(d, "DELETE FROM run WHERE n BETWEEN ? AND ?", n, n, err);
}

/* Up to fifty runs to remove; their number, or an error. */
static int list_runs(struct work *w, uint64_t after, uint64_t ret[RUNS_AT_ONCE], uint64_t *ret_bytes,
                     struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int n = 0,
        status = database_query(
            w->database, "SELECT n, bytes FROM run WHERE state = 3 AND ended < ? AND n > ? ORDER BY n LIMIT 50",
            &q, err);
    if (status)
        return status;
    query_put(q, w->before);
    query_put(q, after);
    *ret_bytes = 0;
    while (n < RUNS_AT_ONCE && (status = query_step(q, err)) == 1) {
        ret[n++] = query_u64(q, 0);
        *ret_bytes += query_u64(q, 1);
    }
    return status < 0 ? status : n;
}

/* The number of runs found, or an error. *after: the number of the last one. */
static int remove_some(struct work *w, uint64_t *after, struct error *err) {
    CLEANUP(transaction_done) struct transaction t = {0};
    uint64_t runs[RUNS_AT_ONCE], bytes = 0;
    /* Synced, so that no loss of power brings back a run whose blobs are gone. */
    int status = w->dry_run ? 0 : transaction_begin(&t, w->database, true, err);
    if (status)
        return status;
    int n = list_runs(w, *after, runs, &bytes, err);
    for (int i = 0; i < n && status == 0 && !w->dry_run; i++)
        status = remove_run(w->database, runs[i], err);
    if (n > 0 && status == 0 && !w->dry_run)
        status = database_run(w->database, "DELETE FROM app WHERE digest NOT IN (SELECT app FROM run)", err);
    if (n > 0 && status == 0 && !w->dry_run)
        status = transaction_commit(&t, err);
    if (n <= 0 || status)
        return n < 0 ? n : status;
    *after = runs[n - 1];
    w->found.runs += (uint64_t)n;
    w->found.events_bytes += bytes;
    return n;
}

/* --- what the runs that stay need --- */

static int add_digests(struct database *d, uint64_t before, struct digest_set *ret, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    uint8_t digest[DIGEST_SIZE];
    size_t n;
    int status = database_query(
        d,
        "SELECT DISTINCT digest FROM blob_use WHERE run NOT IN (SELECT n FROM run WHERE state = 3 AND ended < ?)",
        &q, err);
    if (status)
        return status;
    query_put(q, before);
    while ((status = query_step(q, err)) == 1) {
        const char *bytes = query_bytes(q, 0, &n);
        if (n != DIGEST_SIZE)
            continue;
        memcpy(digest, bytes, DIGEST_SIZE);
        if (digest_set_add(ret, digest))
            return error_set(err, ERROR_NOMEM, "out of memory while looking through the journal");
    }
    digest_set_sort(ret);
    return status;
}

int collect_needed(struct journal *j, uint64_t before, struct digest_set *ret, struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    struct database *d;
    int status = outside_begin(j, &d, err);
    if (status)
        return status;
    locked = j;
    /* What ended before the beginning of time: nothing. */
    return add_digests(d, before == UINT64_MAX ? 0 : before, ret, err);
}

/* Of an image's name only what's before the first dot counts; the set has digests of that. */
static void image_digest(const char *name, uint8_t ret[DIGEST_SIZE]) {
    digest_bytes(NULL, name, strcspn(name, "."), ret);
}

/* A run that has ended needs its image no more, however long it stays on record. */
static int add_images(struct database *d, uint64_t before, struct digest_set *ret, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    uint8_t digest[DIGEST_SIZE];
    (void)before;
    int status = database_query(d, "SELECT DISTINCT image FROM run WHERE image <> '' AND state <> 3", &q, err);
    if (status)
        return status;
    while ((status = query_step(q, err)) == 1) {
        const char *name = query_text(q, 0);
        image_digest(name ? name : "", digest);
        if (digest_set_add(ret, digest))
            return error_set(err, ERROR_NOMEM, "out of memory while looking through the journal");
    }
    digest_set_sort(ret);
    return status;
}

/* --- files --- */

static void close_listing(DIR **listing) {
    if (*listing)
        closedir(*listing);
}

/* NULL if it isn't there. */
static DIR *open_listing(struct journal *j, const char *folder) {
    int fd =
        FAULT("journal.list") ? -1 : openat(j->dir_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing)
        cleanup_close(&fd);
    return listing;
}

static const char *next_name(DIR *listing) {
    struct dirent *entry;
    do
        entry = readdir(listing);
    while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry ? entry->d_name : NULL;
}

/* A link or a rename changes ctime, whatever the age of the content. */
static bool is_young(const struct work *w, const struct stat *st) {
    uint64_t changed = (uint64_t)st->st_ctim.tv_sec * NS_PER_S + (uint64_t)st->st_ctim.tv_nsec;
    uint64_t now = clock_wall_ns();
    return now < changed || now - changed < w->journal->young_ns;
}

static bool blob_digest(const char *name, uint8_t ret[DIGEST_SIZE]) {
    static const char HEX[] = "0123456789abcdef";
    if (strlen(name) != 2 * DIGEST_SIZE || strspn(name, HEX) != 2 * DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        ret[i] = (uint8_t)((strchr(HEX, name[2 * i]) - HEX) << 4 | (strchr(HEX, name[2 * i + 1]) - HEX));
    return true;
}

/* Its writer's, by the number of his process at its beginning: ".PID.RANDOM". */
static bool is_being_written(const char *name) {
    long pid = strtol(name + 1, NULL, 10);
    return pid > 0 && pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

struct kind_of_file {
    bool (*digest)(const char *name, uint8_t ret[DIGEST_SIZE]);
    uint64_t *files, *bytes, *left; /* what is counted; left may be NULL */
};

static void sweep_file(struct work *w, int folder, const char *name, const struct kind_of_file *kind) {
    struct stat st;
    uint8_t digest[DIGEST_SIZE];
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
        return;
    bool temporary = name[0] == '.', needed;
    if (temporary)
        needed = is_young(w, &st) || is_being_written(name);
    else
        needed = is_young(w, &st) || !kind->digest(name, digest) || digest_set_has(&w->needed, digest);
    if (!needed && !w->dry_run)
        needed = FAULT("journal.unlink") || unlinkat(folder, name, 0);
    w->files += !needed;
    if (!needed && !temporary) {
        ++*kind->files;
        *kind->bytes += (uint64_t)st.st_size;
    } else if (!temporary && kind->left) {
        *kind->left += (uint64_t)st.st_size;
    }
}

/* False if it stopped since enough was removed for one transaction. */
static bool sweep_folder(struct work *w, const char *folder, const struct kind_of_file *kind) {
    CLEANUP(close_listing) DIR *listing = open_listing(w->journal, folder);
    const char *name;
    while (listing && (name = next_name(listing))) {
        sweep_file(w, dirfd(listing), name, kind);
        if (w->files >= FILES_AT_ONCE && !w->dry_run)
            return false;
    }
    return true;
}

static bool sweep_blobs(struct work *w) {
    struct kind_of_file kind = {blob_digest, &w->found.blobs, &w->found.blobs_bytes, &w->blobs_left_bytes};
    CLEANUP(close_listing) DIR *listing = open_listing(w->journal, "blobs");
    const char *name;
    w->blobs_left_bytes = 0;
    while (listing && (name = next_name(listing))) {
        char folder[16];
        if (strlen(name) != 2)
            continue;
        snprintf(folder, sizeof folder, "blobs/%s", name);
        if (!sweep_folder(w, folder, &kind))
            return false;
    }
    return true;
}

static bool any_image(const char *name, uint8_t ret[DIGEST_SIZE]) {
    image_digest(name, ret);
    return true;
}

static bool sweep_images(struct work *w) {
    struct kind_of_file kind = {any_image, &w->found.images, &w->found.images_bytes, NULL};
    return sweep_folder(w, "images", &kind);
}

/* Repeats a sweep until it comes to its end, each time in a transaction and with what is needed by then. */
static int sweep(struct work *w,
                 int (*read_needed)(struct database *, uint64_t, struct digest_set *, struct error *),
                 bool (*sweep_some)(struct work *), struct error *err) {
    for (bool done = false; !done;) {
        CLEANUP(transaction_done) struct transaction t = {0};
        int status = w->dry_run ? 0 : transaction_begin(&t, w->database, false, err);
        digest_set_done(&w->needed);
        if (status == 0)
            status = read_needed(w->database, w->before, &w->needed, err);
        if (status)
            return status;
        w->files = 0;
        done = sweep_some(w);
    }
    return 0;
}

static void sweep_leases(struct work *w) {
    CLEANUP(close_listing) DIR *listing = w->dry_run ? NULL : open_listing(w->journal, "leases");
    const char *name;
    while (listing && (name = next_name(listing)))
        lease_remove_dead(w->journal, name);
}

/* --- all of it --- */

static int count_left(struct work *w, struct error *err) {
    CLEANUP(query_done) struct query *q = NULL;
    int status = database_query(
        w->database, "SELECT (SELECT count(*) FROM run), (SELECT coalesce(sum(length(events)), 0) FROM frame)", &q,
        err);
    if (status == 0)
        status = query_step(q, err);
    if (status < 0)
        return status;
    bool dry = w->dry_run;
    w->found.runs_left = query_u64(q, 0) - (dry ? w->found.runs : 0);
    w->found.bytes_left = query_u64(q, 1) - (dry ? w->found.events_bytes : 0) + w->blobs_left_bytes;
    return 0;
}

static int collect(struct work *w, struct error *err) {
    uint64_t after = 0;
    int status;
    while ((status = remove_some(w, &after, err)) > 0)
        continue;
    if (status == 0)
        status = sweep(w, add_digests, sweep_blobs, err);
    if (status == 0)
        status = sweep(w, add_images, sweep_images, err);
    sweep_leases(w);
    if (status == 0 && !w->dry_run)
        status = database_shrink(w->database, err);
    if (status == 0 && !w->dry_run)
        database_checkpoint(w->database, true);
    return status ? status : count_left(w, err);
}

int journal_collect(struct journal *j, uint64_t before, bool dry_run, struct journal_collection *ret,
                    struct error *err) {
    CLEANUP(outside_end) struct journal *locked = NULL;
    struct work w = {.journal = j, .before = before, .dry_run = dry_run};
    int status = outside_begin(j, &w.database, err);
    if (status)
        return status;
    locked = j;
    status = collect(&w, err);
    digest_set_done(&w.needed);
    if (status == 0 && ret)
        *ret = w.found;
    return status;
}
