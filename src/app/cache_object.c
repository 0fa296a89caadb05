/* Owns objects and their seals: writing, naming, and the decision whether one may be used.
 *
 * Invariants: an object is given out only if its identity is sealed or its digest was just found equal; objects/NAME never
 * changes, it's only replaced or removed. Whoever changes objects/ holds CACHE_OBJECTS_LOCK, so that a rename and its seal are
 * one step for other processes; readers hold nothing, and look again under the lock before they call an object corrupt.
 * Thread- and process-safe; a struct cache_write belongs to one thread. */
#define _GNU_SOURCE 1
#include "app/cache_internal.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEAL_MAX = 1024 };
#define SEAL_SUFFIX ".seal"
/* Often enough that what every run uses, the guest's code, isn't taken for older than the images of the last edits. */
#define TOUCH_INTERVAL_S 10

struct seal {
    char digest[DIGEST_HEX_SIZE]; /* "" for a disposable object */
    uint64_t size, dev, ino, mtime, ctime;
    char boot[CACHE_BOOT_MAX];
};

struct cache_write {
    struct cache *cache;
    int fd;
    bool disposable;
    char temporary[CACHE_PATH_MAX]; /* "": a memfd */
};

static uint64_t time_ns(struct timespec t) {
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct seal identify(const struct cache *c, const struct stat *st) {
    struct seal s = {
        .size = (uint64_t)st->st_size,
        .dev = st->st_dev,
        .ino = st->st_ino,
        .mtime = time_ns(st->st_mtim),
        .ctime = time_ns(st->st_ctim),
    };
    memcpy(s.boot, c->boot, sizeof s.boot);
    return s;
}

static bool same_identity(const struct seal *a, const struct seal *b) {
    return a->size == b->size && a->dev == b->dev && a->ino == b->ino && a->mtime == b->mtime &&
           a->ctime == b->ctime && a->boot[0] && strcmp(a->boot, b->boot) == 0;
}

static bool parse_seal(const struct buffer *text, struct seal *ret) {
    CLEANUP(json_cleanup) struct json_document *d = NULL;
    if (json_parse(buffer_text(text), text->size, &d, NULL))
        return false;
    const json_value *root = json_root(d);
    snprintf(ret->digest, sizeof ret->digest, "%s", json_text(json_get(root, "digest"), ""));
    snprintf(ret->boot, sizeof ret->boot, "%s", json_text(json_get(root, "boot"), ""));
    return json_u64(json_get(root, "size"), &ret->size) && json_u64(json_get(root, "dev"), &ret->dev) &&
           json_u64(json_get(root, "ino"), &ret->ino) && json_u64(json_get(root, "mtime"), &ret->mtime) &&
           json_u64(json_get(root, "ctime"), &ret->ctime);
}

/* *ret_used: when the object was last used. */
static bool read_seal(struct cache *c, const char *name, struct seal *ret, time_t *ret_used) {
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(SEAL_MAX);
    struct stat st;
    if (cache_document_read(c, "objects", name, SEAL_SUFFIX, &text, &st) || !parse_seal(&text, ret))
        return false;
    if (ret_used)
        *ret_used = st.st_mtim.tv_sec;
    return true;
}

static int write_seal(struct cache *c, const char *name, const struct seal *s) {
    char text[SEAL_MAX];
    int n =
        snprintf(text, sizeof text,
                 "{\"size\":%llu,\"digest\":\"%s\",\"dev\":%llu,\"ino\":%llu,\"mtime\":%llu,\"ctime\":%llu,"
                 "\"boot\":\"%s\"}",
                 (unsigned long long)s->size, s->digest, (unsigned long long)s->dev, (unsigned long long)s->ino,
                 (unsigned long long)s->mtime, (unsigned long long)s->ctime, s->boot);
    return cache_document_write(c, "objects", name, SEAL_SUFFIX, text, (size_t)n);
}

/* Opens an object as far as it's a plain file. 0, ERROR_NOT_FOUND, or ERROR_IO when the process has no descriptor left. */
static int open_object(struct cache *c, const char *path, int *ret_fd, struct stat *ret_stat) {
    int fd =
        FAULT("cache.object.open") ? -1 : openat(c->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? ERROR_IO : ERROR_NOT_FOUND;
    if (fstat(fd, ret_stat) || !S_ISREG(ret_stat->st_mode)) {
        close(fd);
        return ERROR_NOT_FOUND;
    }
    *ret_fd = fd;
    return 0;
}

static void touch(struct cache *c, const char *name, time_t used) {
    char path[CACHE_PATH_MAX];
    time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
    if (now >= used && now - used < TOUCH_INTERVAL_S)
        return;
    if (cache_writable(c) && cache_path("objects", name, SEAL_SUFFIX, path))
        utimensat(c->dir_fd, path, NULL, AT_SYMLINK_NOFOLLOW);
}

int cache_object_check(struct cache *c, const char *name, int fd) {
    struct stat st;
    struct seal sealed, found;
    time_t used;
    if (fstat(fd, &st) || !read_seal(c, name, &sealed, &used))
        return ERROR_CORRUPT;
    found = identify(c, &st);
    if (same_identity(&sealed, &found)) {
        touch(c, name, used);
        return 0;
    }
    if (sealed.digest[0] == '\0' || sealed.size != found.size)
        return ERROR_CORRUPT;
    /* The identity was read before the content: a change in between shows next time. */
    int status = file_digest(fd, c->key, found.digest);
    if (status == 0 && strcmp(sealed.digest, found.digest) != 0)
        status = ERROR_CORRUPT;
    if (status == 0 && cache_writable(c))
        write_seal(c, name, &found);
    return status;
}

void cache_object_remove(struct cache *c, const char *name) {
    char path[CACHE_PATH_MAX];
    if (cache_path("objects", name, "", path) && unlinkat(c->dir_fd, path, 0) && errno == EISDIR)
        unlinkat(c->dir_fd, path, AT_REMOVEDIR);
    if (cache_path("objects", name, SEAL_SUFFIX, path))
        unlinkat(c->dir_fd, path, 0);
}

/* The fast answer failed. Another process may be between rename and seal, so it's asked again under the lock. */
static int check_again(struct cache *c, const char *name, const char *path, int *ret_fd) {
    CLEANUP(cleanup_close) int lock = -1, fd = -1;
    bool may_remove = cache_writable(c) && cache_flock(c, CACHE_OBJECTS_LOCK, &lock) == 0;
    struct stat st;
    int status = open_object(c, path, &fd, &st);
    if (status == 0)
        status = cache_object_check(c, name, fd);
    if (status == 0) {
        *ret_fd = fd;
        fd = -1;
        return 0;
    }
    /* What couldn't be read for want of memory or descriptors isn't corrupt. */
    if (may_remove && (status == ERROR_CORRUPT || status == ERROR_NOT_FOUND))
        cache_object_remove(c, name);
    return status;
}

static bool trusted_at_once(struct cache *c, const char *name, const struct stat *st) {
    struct seal sealed, found = identify(c, st);
    time_t used;
    if (!read_seal(c, name, &sealed, &used) || !same_identity(&sealed, &found))
        return false;
    touch(c, name, used);
    return true;
}

/* Hands fd over, with a path to it if one is wanted. */
static int give(int *fd, int *ret_fd, char **ret_path, struct error *err) {
    char *path = NULL;
    if (ret_path && (FAULT("cache.path") || asprintf(&path, "/proc/self/fd/%d", *fd) < 0))
        return error_set(err, ERROR_NOMEM, "out of memory in the cache");
    if (ret_path)
        *ret_path = path;
    *ret_fd = *fd;
    *fd = -1;
    return 0;
}

int cache_take(struct cache *c, const char *name, int *ret_fd, char **ret_path, struct error *err) {
    char path[CACHE_PATH_MAX];
    if (!cache_path("objects", name, "", path))
        return error_set(err, ERROR_INTERNAL, "\"%s\" can't be the name of a cached object", name);
    CLEANUP(cleanup_close) int fd = -1;
    struct stat st;
    int status = c->dir_fd < 0 ? ERROR_NOT_FOUND : open_object(c, path, &fd, &st);
    if (status == 0 && !trusted_at_once(c, name, &st)) {
        cleanup_close(&fd);
        fd = -1;
        status = check_again(c, name, path, &fd);
    }
    if (status == 0)
        return give(&fd, ret_fd, ret_path, err);
    if (status == ERROR_NOMEM)
        return error_set(err, status, "out of memory while checking %s in the cache", name);
    if (status == ERROR_IO && (errno == EMFILE || errno == ENFILE))
        return error_errno(err, status, errno, "can't open %s in the cache", name);
    return error_set(err, ERROR_NOT_FOUND, "the cache has no %s", name);
}

int cache_begin(struct cache *c, struct cache_write **ret, int *ret_fd, struct error *err) {
    struct cache_write *w = FAULT("cache.write.new") ? NULL : calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERROR_NOMEM, "out of memory in the cache");
    w->cache = c;
    w->fd = -1;
    if (!cache_writable(c) || cache_temporary(c, w->temporary, &w->fd)) {
        w->temporary[0] = '\0';
        w->fd = FAULT("cache.memfd") ? -1 : memfd_create("capsule", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (w->fd < 0) {
        int status = error_errno(err, ERROR_IO, errno, "no place for a temporary file, on disk or in memory");
        free(w);
        return status;
    }
    *ret_fd = w->fd;
    *ret = w;
    return 0;
}

void cache_write_disposable(struct cache_write *w) {
    w->disposable = true;
}

void cache_abort(struct cache_write *w) {
    if (!w)
        return;
    if (w->temporary[0])
        unlinkat(w->cache->dir_fd, w->temporary, 0);
    cleanup_close(&w->fd);
    free(w);
}

/* A descriptor of the same file that can't write. */
static int reopen(int fd) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return FAULT("cache.reopen") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

/* True if another process put an equal object there meanwhile; *fd becomes that one. Under the lock. */
static bool take_equal(struct cache *c, const char *name, const char *path, const char *digest, int *fd) {
    CLEANUP(cleanup_close) int present = -1;
    struct stat st;
    struct seal sealed;
    if (!digest[0] || open_object(c, path, &present, &st) || !trusted_at_once(c, name, &st))
        return false;
    if (!read_seal(c, name, &sealed, NULL) || strcmp(sealed.digest, digest) != 0)
        return false;
    close(*fd);
    *fd = present;
    present = -1;
    return true;
}

/* Under the lock. False if the name is on the disk without a good seal. */
static bool name_and_seal(struct cache_write *w, const char *name, const char *path, const char *digest, int fd) {
    struct cache *c = w->cache;
    struct stat st;
    /* Whatever else has the name: an old object and its seal, or a folder, which rename would refuse to replace. */
    cache_object_remove(c, name);
    if (FAULT("cache.rename") || renameat(c->dir_fd, w->temporary, c->dir_fd, path)) {
        cache_stop_writing(c);
        return true;
    }
    w->temporary[0] = '\0';
    if (FAULT("cache.seal.stat") || fstat(fd, &st))
        return false;
    struct seal sealed = identify(c, &st);
    memcpy(sealed.digest, digest, sizeof sealed.digest);
    return write_seal(c, name, &sealed) == 0;
}

/* Keeps the finished object under its name if that can be done; *fd is good in any case. */
static void keep(struct cache_write *w, const char *name, const char *path, int *fd) {
    struct cache *c = w->cache;
    char digest[DIGEST_HEX_SIZE] = "";
    CLEANUP(cleanup_close) int lock = -1;
    if (!w->disposable && file_digest(w->fd, c->key, digest))
        return;
    if (fchmod(w->fd, 0400) || cache_flock(c, CACHE_OBJECTS_LOCK, &lock))
        return;
    if (!take_equal(c, name, path, digest, fd) && !name_and_seal(w, name, path, digest, *fd))
        cache_object_remove(c, name);
}

int cache_commit(struct cache_write *w, const char *name, int *ret_fd, char **ret_path, struct error *err) {
    char path[CACHE_PATH_MAX];
    int status = 0;
    CLEANUP(cleanup_close) int fd = -1;
    if (!cache_path("objects", name, "", path))
        status = error_set(err, ERROR_INTERNAL, "\"%s\" can't be the name of a cached object", name);
    else if ((fd = reopen(w->fd)) < 0)
        status = error_errno(err, ERROR_IO, errno, "can't open the finished object %s for reading", name);
    else if (w->temporary[0])
        keep(w, name, path, &fd);
    else /* refused while the writer has it mapped, which is his affair */
        fcntl(w->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    if (status == 0)
        status = give(&fd, ret_fd, ret_path, err);
    cache_abort(w);
    return status;
}
