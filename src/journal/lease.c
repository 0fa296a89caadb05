/* Owns leases/: a file for each process that executes runs, locked for as long as it lives, and the question whether a lease is held.
 *
 * The lock is one of the open file description (F_OFD_SETLK), so that another journal of the same process counts as another process. A file is
 * removed by its process, or by whoever finds it unlocked; who made it and finds it gone before it was locked makes another. Thread- and process-safe. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "journal/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t lease_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void lease_read_boot(char ret[BOOT_MAX]) {
    CLEANUP(cleanup_close)
    int fd = FAULT("journal.boot") ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, ret, BOOT_MAX - 1);
    ret[n > 0 ? n : 0] = '\0';
    ret[strspn(ret, "0123456789abcdef-")] = '\0';
}

/* A name from the database leads to a file in leases/ and nowhere else. */
static bool lease_path(const char *name, char ret[2 * LEASE_NAME_MAX]) {
    size_t n = strlen(name);
    if (n == 0 || n >= LEASE_NAME_MAX || name[0] == '.' || strspn(name, "0123456789abcdef.") != n)
        return false;
    snprintf(ret, 2 * LEASE_NAME_MAX, "leases/%s", name);
    return true;
}

static bool lock_file(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool is_locked(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    /* If it can't be told, a lease is held until it runs out. */
    return fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type != F_UNLCK;
}

/* -1 with errno. */
static int make_file(struct journal *j, char ret_name[LEASE_NAME_MAX]) {
    enum { FLAGS = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC };
    uint64_t unique;
    char path[2 * LEASE_NAME_MAX];
    random_bytes(&unique, sizeof unique);
    snprintf(ret_name, LEASE_NAME_MAX, "%ld.%016llx", (long)getpid(), (unsigned long long)unique);
    snprintf(path, sizeof path, "leases/%s", ret_name);
    int fd = FAULT("journal.lease.create") ? -1 : openat(j->dir_fd, path, FLAGS, 0600);
    if (fd < 0 && errno == ENOENT && (mkdirat(j->dir_fd, "leases", 0700) == 0 || errno == EEXIST))
        fd = openat(j->dir_fd, path, FLAGS, 0600);
    return fd;
}

static int make_own(struct journal *j, struct error *err) {
    for (;;) {
        char name[LEASE_NAME_MAX];
        struct stat st;
        int fd = make_file(j, name);
        bool locked = fd >= 0 && !FAULT("journal.lease.lock") && lock_file(fd);
        if (fd >= 0 && !locked && (errno == EAGAIN || errno == EACCES)) { /* lease_remove_dead has it */
            close(fd);
            continue;
        }
        if (!locked || fstat(fd, &st)) {
            error_errno(err, ERROR_IO, errno, "can't lock a file in %s/leases", j->dir);
            error_hint(err, "check the disk and the permissions of the journal's folder");
            cleanup_close(&fd);
            return ERROR_IO;
        }
        if (st.st_nlink > 0) {
            memcpy(j->leases.name, name, sizeof name);
            j->leases.fd = fd;
            return 0;
        }
        close(fd);
    }
}

int lease_own(struct journal *j, const char **ret_name, struct error *err) {
    pthread_mutex_lock(&j->leases.lock);
    int status = j->leases.fd < 0 ? make_own(j, err) : 0;
    pthread_mutex_unlock(&j->leases.lock);
    if (status == 0)
        *ret_name = j->leases.name;
    return status;
}

void lease_drop(struct journal *j) {
    char path[2 * LEASE_NAME_MAX];
    if (j->leases.fd < 0)
        return;
    if (lease_path(j->leases.name, path))
        unlinkat(j->dir_fd, path, 0);
    cleanup_close(&j->leases.fd);
    j->leases.fd = -1;
}

bool lease_is_held(struct journal *j, const struct lease *lease) {
    char path[2 * LEASE_NAME_MAX];
    if (!lease->owner || !lease->boot || !lease_path(lease->owner, path) || lease_clock() >= lease->until)
        return false;
    if (lease->boot[0] && j->boot[0] && strcmp(lease->boot, j->boot) != 0)
        return false;
    CLEANUP(cleanup_close) int fd = openat(j->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno != ENOENT;
    return is_locked(fd);
}

bool lease_remove_dead(struct journal *j, const char *name) {
    char path[2 * LEASE_NAME_MAX];
    if (!name || !lease_path(name, path))
        return false;
    CLEANUP(cleanup_close) int fd = openat(j->dir_fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    /* The lock keeps its maker, should he be about to lock it, from believing that it's his. */
    return fd >= 0 && lock_file(fd) && unlinkat(j->dir_fd, path, 0) == 0;
}
