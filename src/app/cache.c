/* Owns the cache folder itself: where it is, whether it may be trusted and written, its key, its locks and temporaries.
 *
 * Invariant: after cache_open a folder is used only if it belongs to the user and nobody else can write to it, and only with a
 * key. Whatever keeps the folder from being used or written, short of a folder that others control, degrades to working in memory.
 * Thread rule: struct cache is constant after cache_open except for `writable`, which only ever becomes false. */
#define _GNU_SOURCE 1
#include "app/cache.h"

#include "app/cache_internal.h"
#include "base/fault.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char *const FOLDERS[] = {"objects", "index", "tmp", "lock"};

static const char *absolute_variable(const char *name) {
    const char *value = getenv(name);
    return value && value[0] == '/' ? value : NULL;
}

/* The home folder of the user database, malloc'd, or NULL. */
static char *database_home(void) {
    enum { ENTRY_MAX = 16384 };
    CLEANUP(cleanup_free) char *memory = malloc(ENTRY_MAX);
    struct passwd entry, *found = NULL;
    if (!memory || FAULT("cache.home") || getpwuid_r(geteuid(), &entry, memory, ENTRY_MAX, &found) || !found)
        return NULL;
    return entry.pw_dir[0] == '/' ? strdup(entry.pw_dir) : NULL;
}

static int set_folder(const char *base, const char *below, char ret[PATH_LENGTH_MAX], struct error *err) {
    if (path_normalize(base, below, ret, PATH_LENGTH_MAX) < 0)
        return error_set(err, ERROR_INVALID, "the path of the cache folder is longer than %d bytes",
                         PATH_LENGTH_MAX);
    return 0;
}

static int choose_folder(const char *dir, char ret[PATH_LENGTH_MAX], struct error *err) {
    const char *given = dir ? dir : getenv("CAPSULE_CACHE"), *base;
    if (given && given[0]) {
        char working[PATH_LENGTH_MAX] = "/";
        if (given[0] != '/' && !getcwd(working, sizeof working))
            return error_errno(err, ERROR_IO, errno, "can't find the working directory");
        return set_folder(working, given, ret, err);
    }
    if ((base = absolute_variable("XDG_CACHE_HOME")))
        return set_folder(base, "capsule", ret, err);
    if ((base = absolute_variable("HOME")))
        return set_folder(base, ".cache/capsule", ret, err);
    CLEANUP(cleanup_free) char *home = database_home();
    if (home)
        return set_folder(home, ".cache/capsule", ret, err);
    error_set(err, ERROR_INVALID,
              "no place for the cache: HOME isn't set and the user database knows no home folder");
    error_hint(err, "set CAPSULE_CACHE to a folder of your own");
    return ERROR_INVALID;
}

/* mkdir -p, private all along. Failures show when the folder is opened. */
static void make_folders(const char *dir) {
    char path[PATH_LENGTH_MAX];
    size_t n = strlen(dir);
    memcpy(path, dir, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        if (FAULT("cache.mkdir") || (mkdir(path, 0700) && errno != EEXIST))
            return;
        path[i] = dir[i];
    }
}

static int open_folder(const char *dir) {
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
    int fd = FAULT("cache.open") ? -1 : open(dir, FLAGS);
    if (fd < 0 && errno == ENOENT) {
        make_folders(dir);
        fd = open(dir, FLAGS);
    }
    return fd;
}

/* True if the folder holds nothing, or the key that makes it a cache of ours. */
static bool is_empty_or_ours(int dir_fd) {
    struct stat st;
    if (fstatat(dir_fd, "key", &st, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!listing) {
        cleanup_close(&fd);
        return false;
    }
    size_t names = 0;
    while (readdir(listing))
        names++;
    closedir(listing);
    return names <= 2; /* "." and ".." */
}

/* Native code is loaded from here, so nobody else may be able to put any. */
static int check_folder(int dir_fd, const char *dir, struct error *err) {
    struct stat st;
    if (FAULT("cache.stat") || fstat(dir_fd, &st))
        return error_errno(err, ERROR_IO, errno, "can't check the cache folder %s", dir);
    if (st.st_uid != geteuid()) {
        error_set(err, ERROR_UNSUPPORTED, "the cache folder %s belongs to another user (uid %u)", dir, st.st_uid);
        error_hint(err, "set CAPSULE_CACHE to a folder of your own, or HOME to your home folder");
        return ERROR_UNSUPPORTED;
    }
    if ((st.st_mode & 077) == 0)
        return 0;
    /* Others could look, but not plant anything: closing the door is enough, if the folder isn't something else. */
    if ((st.st_mode & 022) == 0 && is_empty_or_ours(dir_fd) && fchmod(dir_fd, 0700) == 0)
        return 0;
    error_set(err, ERROR_UNSUPPORTED, "the cache folder %s is open to other users (mode %04o)", dir,
              (unsigned)st.st_mode & 07777);
    error_hint(err, "empty it and run: chmod 700 %s", dir);
    return ERROR_UNSUPPORTED;
}

/* 0 and the key, or negative if there is none that can be trusted. */
static int read_key(struct cache *c) {
    CLEANUP(cleanup_close)
    int fd = FAULT("cache.key") ? -1 : openat(c->dir_fd, "key", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return ERROR_NOT_FOUND;
    uint8_t key[DIGEST_KEY_SIZE + 1]; /* one more, to see that there's nothing after it */
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return ERROR_NOT_FOUND;
    if (read(fd, key, sizeof key) != DIGEST_KEY_SIZE)
        return ERROR_NOT_FOUND;
    memcpy(c->key, key, DIGEST_KEY_SIZE);
    return 0;
}

/* Under the lock, so that of two processes that start together the second takes the first one's key. */
static int make_key(struct cache *c) {
    CLEANUP(cleanup_close) int lock = -1, fd = -1;
    if (cache_layout(c) || cache_flock(c, ".key", &lock))
        return ERROR_IO;
    if (read_key(c) == 0)
        return 0;
    char path[CACHE_PATH_MAX];
    if (cache_temporary(c, path, &fd))
        return ERROR_IO;
    random_bytes(c->key, sizeof c->key);
    /* Unlike objects the key is synced: after a power loss it could be all zeros, which anybody can guess. */
    if (FAULT("cache.key.write") || write(fd, c->key, sizeof c->key) != (ssize_t)sizeof c->key ||
        fchmod(fd, 0400) || fsync(fd) || FAULT("cache.key.rename") ||
        renameat(c->dir_fd, path, c->dir_fd, "key")) {
        unlinkat(c->dir_fd, path, 0);
        return ERROR_IO;
    }
    return 0;
}

static void read_boot_id(struct cache *c) {
    CLEANUP(cleanup_close)
    int fd = FAULT("cache.boot") ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, c->boot, sizeof c->boot - 1);
    c->boot[n > 0 ? n : 0] = '\0';
    c->boot[strspn(c->boot, "0123456789abcdef-")] = '\0';
}

/* Opens c->dir. A folder that can't be had is no error: *c is then a cache without one. */
static int open_cache(struct cache *c, struct error *err) {
    CLEANUP(cleanup_close) int fd = open_folder(c->dir);
    if (fd < 0) {
        struct stat st;
        if (stat(c->dir, &st) || S_ISDIR(st.st_mode))
            return 0;
        error_set(err, ERROR_INVALID, "the cache folder %s isn't a folder", c->dir);
        error_hint(err, "set CAPSULE_CACHE to a folder of your own");
        return ERROR_INVALID;
    }
    int status = check_folder(fd, c->dir, err);
    if (status)
        return status;
    c->dir_fd = fd;
    atomic_init(&c->writable, faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0);
    if (read_key(c) && (!c->writable || make_key(c))) {
        c->dir_fd = -1;
        atomic_init(&c->writable, false);
        return 0;
    }
    read_boot_id(c);
    fd = -1;
    return 0;
}

int cache_open(const char *dir, struct cache **ret, struct error *err) {
    char path[PATH_LENGTH_MAX];
    int status = choose_folder(dir, path, err);
    if (status)
        return status;
    struct cache *c = FAULT("cache.new") ? NULL : calloc(1, sizeof *c);
    if (!c || !(c->dir = strdup(path))) {
        free(c);
        return error_set(err, ERROR_NOMEM, "out of memory while opening the cache");
    }
    c->dir_fd = -1;
    status = open_cache(c, err);
    if (status) {
        cache_close(c);
        return status;
    }
    *ret = c;
    return 0;
}

void cache_close(struct cache *c) {
    if (!c)
        return;
    cleanup_close(&c->dir_fd);
    free(c->dir);
    free(c);
}

const char *cache_dir(const struct cache *c) {
    return c->dir;
}

bool cache_writable(const struct cache *c) {
    return atomic_load_explicit(&c->writable, memory_order_relaxed);
}

void cache_stop_writing(struct cache *c) {
    atomic_store_explicit(&c->writable, false, memory_order_relaxed);
}

bool cache_path(const char *folder, const char *name, const char *suffix, char ret[CACHE_PATH_MAX]) {
    static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(name);
    if (n == 0 || n > CACHE_NAME_MAX || name[0] == '.' || strspn(name, ALLOWED) != n)
        return false;
    if (strcmp(folder, "objects") == 0 && path_ends_with(name, ".seal"))
        return false;
    snprintf(ret, CACHE_PATH_MAX, "%s/%s%s", folder, name, suffix);
    return true;
}

int cache_layout(struct cache *c) {
    for (size_t i = 0; i < sizeof FOLDERS / sizeof FOLDERS[0]; i++)
        if (FAULT("cache.layout") || (mkdirat(c->dir_fd, FOLDERS[i], 0700) && errno != EEXIST))
            return ERROR_IO;
    return 0;
}

/* openat for writing, making the folders again if somebody removed them. */
static int open_new(struct cache *c, const char *path, int flags) {
    int fd = FAULT("cache.create") ? -1 : openat(c->dir_fd, path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == ENOENT && cache_layout(c) == 0)
        fd = openat(c->dir_fd, path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd;
}

int cache_temporary(struct cache *c, char ret_path[CACHE_PATH_MAX], int *ret_fd) {
    uint64_t unique;
    random_bytes(&unique, sizeof unique);
    snprintf(ret_path, CACHE_PATH_MAX, "tmp/%ld.%016llx", (long)getpid(), (unsigned long long)unique);
    int fd = open_new(c, ret_path, O_RDWR | O_EXCL);
    if (fd < 0)
        return ERROR_IO;
    /* Nobody else knows the name yet, so this doesn't wait; prune takes what isn't locked. A file system without
     * locks leaves prune the process id. */
    if (!FAULT("cache.temporary.lock"))
        flock(fd, LOCK_EX | LOCK_NB);
    *ret_fd = fd;
    return 0;
}

static int lock_file(int fd) {
    if (FAULT("cache.flock"))
        return -1;
    int status;
    do {
        status = flock(fd, LOCK_EX);
    } while (status && errno == EINTR);
    return status;
}

int cache_flock(struct cache *c, const char *name, int *ret_fd) {
    char path[CACHE_PATH_MAX];
    snprintf(path, sizeof path, "lock/%s", name);
    for (;;) {
        CLEANUP(cleanup_close) int fd = open_new(c, path, O_RDWR);
        struct stat locked, named;
        if (fd < 0 || lock_file(fd) || fstat(fd, &locked))
            return ERROR_IO;
        /* prune may have removed the file while we waited: then the lock is nobody's, and we try again. */
        if (fstatat(c->dir_fd, path, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == locked.st_ino) {
            *ret_fd = fd;
            fd = -1;
            return 0;
        }
    }
}

int cache_lock(struct cache *c, const char *name, int *ret_fd, struct error *err) {
    char path[CACHE_PATH_MAX];
    if (!cache_path("lock", name, "", path))
        return error_set(err, ERROR_INTERNAL, "\"%s\" can't be the name of a cache lock", name);
    int fd = -1;
    /* Without the lock the worst is that something is built twice. */
    if (cache_writable(c) && cache_flock(c, name, &fd))
        fd = -1;
    *ret_fd = fd;
    return 0;
}
