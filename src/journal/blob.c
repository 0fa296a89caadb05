/* Owns blobs/: files that never change, each under the digest of its content.
 *
 * A blob is written under another name, renamed, and only then named by a transaction; what a crash leaves is a file that nothing needs, or one whose name
 * begins with a dot. journal_collect removes both. Thread- and process-safe: equal content has one name, so whoever comes second changes nothing. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "base/file.h"
#include "journal/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void blob_place(const uint8_t digest[DIGEST_SIZE], struct blob_place *ret) {
    char hex[DIGEST_HEX_SIZE];
    memcpy(ret->digest, digest, DIGEST_SIZE);
    digest_hex(digest, hex);
    snprintf(ret->path, sizeof ret->path, "blobs/%.2s/%s", hex, hex);
}

bool blob_exists(struct journal *j, const uint8_t digest[DIGEST_SIZE]) {
    struct blob_place place;
    blob_place(digest, &place);
    return faccessat(j->dir_fd, place.path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int sync_folder(struct journal *j, const char *path) {
    CLEANUP(cleanup_close) int fd = openat(j->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || FAULT("journal.blob.folder.sync") ? -1 : fsync(fd);
}

/* Makes blobs/ab. 0, or -1 with errno. */
static int make_folders(struct journal *j, const struct blob_place *place) {
    char folder[BLOB_PATH_MAX];
    snprintf(folder, sizeof folder, "%.8s", place->path);
    if (FAULT("journal.blob.mkdir") || (mkdirat(j->dir_fd, "blobs", 0700) && errno != EEXIST))
        return -1;
    return mkdirat(j->dir_fd, folder, 0700) && errno != EEXIST ? -1 : 0;
}

/* All names on the way to a blob, whoever made them: a run that isn't durable doesn't sync its folders. */
static int sync_folders(struct journal *j, const struct blob_place *place) {
    char folder[BLOB_PATH_MAX];
    snprintf(folder, sizeof folder, "%.8s", place->path);
    return sync_folder(j, folder) || sync_folder(j, "blobs") || sync_folder(j, ".") ? -1 : 0;
}

static int open_new(struct journal *j, const struct blob_place *place, char ret_path[BLOB_PATH_MAX]) {
    uint64_t unique;
    random_bytes(&unique, sizeof unique);
    snprintf(ret_path, BLOB_PATH_MAX, "%.8s/.%ld.%016llx", place->path, (long)getpid(),
             (unsigned long long)unique);
    enum { FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC };
    int fd = FAULT("journal.blob.create") ? -1 : openat(j->dir_fd, ret_path, FLAGS, 0400);
    if (fd < 0 && errno == ENOENT && make_folders(j, place) == 0)
        fd = openat(j->dir_fd, ret_path, FLAGS, 0400);
    return fd;
}

/* 0, or -1 with errno and nothing left behind. */
static int write_new(struct journal *j, const struct blob_place *place, const void *bytes, size_t n, bool synced) {
    char path[BLOB_PATH_MAX];
    CLEANUP(cleanup_close) int fd = open_new(j, place, path);
    if (fd < 0)
        return -1;
    if (file_write(fd, bytes, n) && !(synced && (FAULT("journal.blob.sync") || fsync(fd))) &&
        !FAULT("journal.blob.rename") && renameat(j->dir_fd, path, j->dir_fd, place->path) == 0)
        return 0;
    int number = errno;
    unlinkat(j->dir_fd, path, 0);
    errno = number;
    return -1;
}

static bool holds(int fd, const char *bytes, size_t n) {
    char part[16 * 1024];
    ssize_t got;
    for (size_t at = 0; at < n; at += (size_t)got) {
        got = pread(fd, part, sizeof part, (off_t)at);
        if (got <= 0 || (size_t)got > n - at || memcmp(part, bytes + at, (size_t)got) != 0)
            return false;
    }
    return true;
}

/* It's there already, and not damaged by a loss of power: then it must be as durable as if we had written it, and look young to journal_collect. */
static bool keep_existing(struct journal *j, const struct blob_place *place, const void *bytes, size_t n,
                          bool synced) {
    CLEANUP(cleanup_close) int fd = openat(j->dir_fd, place->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != n || !holds(fd, bytes, n))
        return false;
    /* Any change of the times will do. */
    return futimens(fd, NULL) == 0 && !(synced && fsync(fd));
}

int blob_write(struct journal *j, const void *bytes, size_t n, bool synced, uint8_t ret_digest[DIGEST_SIZE],
               struct error *err) {
    struct blob_place place;
    uint8_t digest[DIGEST_SIZE];
    digest_bytes(NULL, bytes, n, digest);
    blob_place(digest, &place);
    int status = keep_existing(j, &place, bytes, n, synced) ? 0 : write_new(j, &place, bytes, n, synced);
    if (status == 0 && synced)
        status = sync_folders(j, &place);
    if (status) {
        int number = errno;
        error_errno(err, ERROR_IO, number, "can't write a value of %zu bytes to %s/%s", n, j->dir, place.path);
        error_hint(err, number == ENOSPC || number == EDQUOT
                            ? "free some space, or move finished runs out of the way with: capsule gc"
                            : "check the disk and the permissions of the journal's folder");
        return ERROR_IO;
    }
    memcpy(ret_digest, digest, DIGEST_SIZE);
    return 0;
}

int blob_read(struct journal *j, const uint8_t digest[DIGEST_SIZE], uint64_t n, struct buffer *ret,
              struct error *err) {
    struct blob_place place;
    uint8_t found[DIGEST_SIZE];
    size_t before = ret->size;
    blob_place(digest, &place);
    CLEANUP(cleanup_close)
    int fd = FAULT("journal.blob.open") ? -1 : openat(j->dir_fd, place.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        error_set(err, ERROR_NOT_FOUND, "a value of the journal is gone: %s/%s", j->dir, place.path);
        error_hint(err, "bring the file back from a backup; the run can't go on without it");
        return ERROR_NOT_FOUND;
    }
    int status = fd < 0 ? ERROR_IO : file_read(fd, ret);
    if (status == ERROR_IO)
        return error_errno(err, status, errno, "can't read %s/%s", j->dir, place.path);
    if (status)
        return error_set(err, status, "%s while reading %s/%s", error_meaning(status), j->dir, place.path);
    digest_bytes(NULL, buffer_text(ret) + before, ret->size - before, found);
    if (digest_equal(found, digest) && (n == UINT64_MAX || n == ret->size - before))
        return 0;
    ret->size = before;
    error_set(err, ERROR_CORRUPT, "a value of the journal isn't what was written: %s/%s", j->dir, place.path);
    error_hint(err, "bring the file back from a backup; the run can't go on without it");
    return ERROR_CORRUPT;
}
