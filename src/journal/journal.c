/* Owns a journal's folder, and the connection that everything but the writer shares.
 *
 * Opening with JOURNAL_CREATE makes the folder and leaves the database to the writer's thread, whose first job it is, so that a short run
 * doesn't wait for it. Thread-safe. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "base/file.h"
#include "base/path.h"
#include "journal/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_folder(const char *dir, int number, struct error *err) {
    error_errno(err, ERROR_IO, number, "can't make the journal's folder %s", dir);
    error_hint(err, "check who owns the folder above it, whether it may be written and whether its disk is full");
    return ERROR_IO;
}

/* So that its name survives a loss of power. */
static int sync_parent(const char *dir) {
    char parent[PATH_LENGTH_MAX];
    size_t n = path_dir_length(dir);
    if (n == 0 || n >= sizeof parent)
        return -1;
    memcpy(parent, dir, n);
    parent[n] = '\0';
    CLEANUP(cleanup_close) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || FAULT("journal.parent.sync") ? -1 : fsync(fd);
}

/* What runs write isn't for version control. */
static int write_ignore(int dir_fd) {
    CLEANUP(cleanup_close)
    int fd =
        FAULT("journal.ignore") ? -1 : openat(dir_fd, ".gitignore", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : -1;
    return file_write(fd, "*\n", 2) ? 0 : -1;
}

/* Makes the folder if it's missing. */
static int make_folder(const char *dir, struct error *err) {
    if (!FAULT("journal.mkdir") && mkdir(dir, 0700) == 0) {
        CLEANUP(cleanup_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || write_ignore(fd) || sync_parent(dir))
            return fail_folder(dir, errno, err);
        return 0;
    }
    return errno == EEXIST ? 0 : fail_folder(dir, errno, err);
}

static int open_folder(const char *dir, int *ret_fd, struct error *err) {
    int fd = FAULT("journal.folder") ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, ERROR_NOT_FOUND, "there is no journal in %s", dir);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "can't open the journal's folder %s", dir);
    *ret_fd = fd;
    return 0;
}

static void init_locks(struct journal *j) {
    pthread_condattr_t monotonic;
    pthread_mutex_init(&j->lock, NULL);
    pthread_mutex_init(&j->outside_lock, NULL);
    pthread_mutex_init(&j->leases.lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_cond_init(&j->room, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void free_journal(struct journal *j) {
    lease_drop(j);
    database_close(j->outside);
    cleanup_close(&j->dir_fd);
    pthread_cond_destroy(&j->wake);
    pthread_cond_destroy(&j->room);
    pthread_mutex_destroy(&j->lock);
    pthread_mutex_destroy(&j->outside_lock);
    pthread_mutex_destroy(&j->leases.lock);
    free(j->dir);
    free(j);
}

static int open_journal(struct journal *j, struct error *err) {
    int status = j->mode == JOURNAL_CREATE ? make_folder(j->dir, err) : 0;
    if (status == 0)
        status = open_folder(j->dir, &j->dir_fd, err);
    if (status)
        return status;
    lease_read_boot(j->boot);
    if (j->mode == JOURNAL_CREATE)
        return writer_start(j, err);
    struct database *d;
    status = outside_begin(j, &d, err);
    if (status == 0)
        outside_end(&j);
    return status;
}

int journal_open(const char *dir, enum journal_mode mode, struct journal **ret, struct error *err) {
    struct journal *j = FAULT("journal.memory") ? NULL : calloc(1, sizeof *j);
    if (!j || !(j->dir = strdup(dir))) {
        free(j);
        return error_set(err, ERROR_NOMEM, "out of memory while opening the journal %s", dir);
    }
    j->mode = mode;
    j->young_ns = JOURNAL_YOUNG_NS;
    j->dir_fd = j->leases.fd = -1;
    atomic_init(&j->lease_ns, JOURNAL_LEASE_NS);
    init_locks(j);
    int status = open_journal(j, err);
    if (status)
        free_journal(j);
    else
        *ret = j;
    return status;
}

void journal_close(struct journal *j) {
    if (!j)
        return;
    writer_stop(j);
    free_journal(j);
}

const char *journal_dir(const struct journal *j) {
    return j->dir;
}

void journal_set_lease(struct journal *j, uint64_t ns) {
    pthread_mutex_lock(&j->lock);
    atomic_store(&j->lease_ns, ns);
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

void journal_set_young(struct journal *j, uint64_t ns) {
    j->young_ns = ns;
}

int outside_begin(struct journal *j, struct database **ret, struct error *err) {
    pthread_mutex_lock(&j->outside_lock);
    int status = 0;
    if (!j->outside)
        status = database_open(j->dir, j->mode != JOURNAL_READ, j->mode == JOURNAL_CREATE, &j->outside, err);
    if (status) {
        pthread_mutex_unlock(&j->outside_lock);
        return status;
    }
    *ret = j->outside;
    return 0;
}

void outside_end(struct journal **j) {
    if (*j)
        pthread_mutex_unlock(&(*j)->outside_lock);
}
