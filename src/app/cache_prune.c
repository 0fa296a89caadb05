/* Owns what leaves the cache: least recently used objects, orphans, temporaries of dead processes, indexes without object.
 *
 * Works under CACHE_OBJECTS_LOCK, so an object without a seal is an orphan and not one that is just being named. Objects that
 * are open or mapped live on without a name. Thread- and process-safe. */
#define _GNU_SOURCE 1
#include "app/cache_internal.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { STALE_AFTER_S = 3600 };
#define SEAL_SUFFIX ".seal"

struct object {
    char name[CACHE_NAME_MAX + 1];
    uint64_t bytes; /* on disk, holes left out */
    time_t used;
    bool sealed;
};

struct object_list {
    struct object *items;
    size_t n, capacity;
};

static void object_list_done(struct object_list *l) {
    free(l->items);
}

static void close_listing(DIR **listing) {
    if (*listing)
        closedir(*listing);
}

static DIR *open_listing(struct cache *c, const char *folder) {
    int fd = FAULT("cache.list") ? -1 : openat(c->dir_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing)
        cleanup_close(&fd);
    return listing;
}

static const char *next_name(DIR *listing) {
    struct dirent *entry;
    do {
        entry = readdir(listing);
    } while (entry && entry->d_name[0] == '.');
    return entry ? entry->d_name : NULL;
}

static int add_object(struct object_list *l, const struct object *o) {
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 64;
        struct object *items = FAULT("cache.list.memory") ? NULL : reallocarray(l->items, capacity, sizeof *items);
        if (!items)
            return ERROR_NOMEM;
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->n++] = *o;
    return 0;
}

/* Fills in sizes and times. False for what isn't an object: a seal, something that went away. */
static bool describe_object(struct cache *c, const char *name, struct object *ret) {
    char path[CACHE_PATH_MAX];
    struct stat st, seal;
    size_t n = strlen(name);
    if (!cache_path("objects", name, "", path) || fstatat(c->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW))
        return false;
    memcpy(ret->name, name, n + 1);
    ret->bytes = (uint64_t)st.st_blocks * 512;
    cache_path("objects", name, SEAL_SUFFIX, path);
    ret->sealed = fstatat(c->dir_fd, path, &seal, AT_SYMLINK_NOFOLLOW) == 0;
    ret->used = ret->sealed ? seal.st_mtim.tv_sec : st.st_mtim.tv_sec;
    return true;
}

static int list_objects(struct cache *c, struct object_list *ret, struct error *err) {
    CLEANUP(close_listing) DIR *listing = open_listing(c, "objects");
    if (!listing)
        return errno == ENOENT ? 0 : error_errno(err, ERROR_IO, errno, "can't list the cache %s", c->dir);
    const char *name;
    while ((name = next_name(listing))) {
        struct object o;
        if (describe_object(c, name, &o) && add_object(ret, &o))
            return error_set(err, ERROR_NOMEM, "out of memory while listing the cache");
    }
    return 0;
}

static int by_use(const void *a, const void *b) {
    const struct object *x = a, *y = b;
    if (x->sealed != y->sealed)
        return x->sealed ? 1 : -1;
    return (x->used > y->used) - (x->used < y->used);
}

static void drop_objects(struct cache *c, struct object_list *l, uint64_t max_bytes, struct cache_usage *usage) {
    /* qsort's argument may not be NULL, even for nothing. */
    if (l->n > 0)
        qsort(l->items, l->n, sizeof *l->items, by_use);
    for (size_t i = 0; i < l->n; i++)
        usage->bytes += l->items[i].bytes;
    usage->objects = l->n;
    for (size_t i = 0; i < l->n; i++) {
        const struct object *o = &l->items[i];
        if (o->sealed && usage->bytes <= max_bytes && max_bytes > 0)
            break;
        cache_object_remove(c, o->name);
        usage->bytes -= o->bytes;
        usage->objects--;
        usage->removed_bytes += o->bytes;
        usage->removed_objects++;
    }
}

/* Seals whose object is gone. */
static void drop_seals(struct cache *c) {
    CLEANUP(close_listing) DIR *listing = open_listing(c, "objects");
    const char *name;
    while (listing && (name = next_name(listing))) {
        size_t n = strlen(name), suffix = strlen(SEAL_SUFFIX);
        char object[CACHE_NAME_MAX + 1];
        if (!path_ends_with(name, SEAL_SUFFIX) || n - suffix >= sizeof object)
            continue;
        memcpy(object, name, n - suffix);
        object[n - suffix] = '\0';
        if (faccessat(dirfd(listing), object, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
            unlinkat(dirfd(listing), name, 0);
    }
}

/* True unless the index is as written and names no object that's missing. */
static bool index_is_useless(struct cache *c, const char *name) {
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(CACHE_DOCUMENT_MAX);
    CLEANUP(json_cleanup) struct json_document *d = NULL;
    int status = cache_document_read(c, "index", name, "", &text, NULL);
    if (status == 0)
        status = json_parse(buffer_text(&text), text.size, &d, NULL);
    if (status)
        return status != ERROR_NOMEM;
    const char *object = json_text(json_get(json_root(d), "object"), NULL);
    char path[CACHE_PATH_MAX];
    if (!object)
        return false;
    return !cache_path("objects", object, "", path) || faccessat(c->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void drop_indexes(struct cache *c) {
    CLEANUP(close_listing) DIR *listing = open_listing(c, "index");
    const char *name;
    while (listing && (name = next_name(listing)))
        if (index_is_useless(c, name))
            unlinkat(dirfd(listing), name, 0);
}

/* A file in tmp/ is its writer's as long as he lives: he holds its lock. The process id speaks for those on file systems without
 * locks, and age against an id that was given to another process. */
static bool is_abandoned(int folder, const char *name) {
    CLEANUP(cleanup_close) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return fd < 0 && errno == ELOOP;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return false;
    long pid = strtol(name, NULL, 10);
    bool dead = pid <= 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) && errno == ESRCH);
    return dead || (time_t)(clock_wall_ns() / NS_PER_S) - st.st_mtim.tv_sec > STALE_AFTER_S;
}

static void drop_temporaries(struct cache *c) {
    CLEANUP(close_listing) DIR *listing = open_listing(c, "tmp");
    const char *name;
    while (listing && (name = next_name(listing)))
        if (is_abandoned(dirfd(listing), name))
            unlinkat(dirfd(listing), name, 0);
}

/* cache_flock copes with a lock file that is removed under it. */
static void drop_locks(struct cache *c) {
    CLEANUP(close_listing) DIR *listing = open_listing(c, "lock");
    const char *name;
    while (listing && (name = next_name(listing))) {
        CLEANUP(cleanup_close) int fd = openat(dirfd(listing), name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(listing), name, 0);
    }
}

int cache_prune(struct cache *c, uint64_t max_bytes, struct cache_usage *ret, struct error *err) {
    struct cache_usage usage = {0};
    CLEANUP(object_list_done) struct object_list objects = {0};
    CLEANUP(cleanup_close) int lock = -1;
    if (!cache_writable(c) || cache_flock(c, CACHE_OBJECTS_LOCK, &lock)) {
        error_set(err, ERROR_IO, "the cache folder %s can't be written", c->dir);
        error_hint(err, "check its permissions and the space on its disk, or set CAPSULE_CACHE to another folder");
        return ERROR_IO;
    }
    int status = list_objects(c, &objects, err);
    if (status)
        return status;
    drop_objects(c, &objects, max_bytes, &usage);
    drop_seals(c);
    drop_indexes(c);
    drop_temporaries(c);
    drop_locks(c);
    if (ret)
        *ret = usage;
    return 0;
}

int cache_measure(struct cache *c, struct cache_usage *ret, struct error *err) {
    struct cache_usage usage = {0};
    CLEANUP(object_list_done) struct object_list objects = {0};
    int status = c->dir_fd < 0 ? 0 : list_objects(c, &objects, err);
    if (status)
        return status;
    for (size_t i = 0; i < objects.n; i++)
        usage.bytes += objects.items[i].bytes;
    usage.objects = objects.n;
    *ret = usage;
    return 0;
}
