/* See journal_power.h. */
#define _GNU_SOURCE 1
#include "journal_power.h"

#include "scratch.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES_MAX = 16, ENTRIES_MAX = 4096, SECTOR = 512 };

static void must(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "power: %s: %s\n", what, strerror(errno));
    abort();
}

/* --- the model ------------------------------------------------------------------------------------------- */

struct change {
    struct change *next;
    sqlite3_int64 at;
    size_t n;
    bool truncates; /* to `at` */
    char bytes[];
};

struct content {
    char *bytes;
    size_t size;
};

struct model_file {
    char name[64]; /* below the folder; "" if there's no such file any more */
    struct content synced;
    bool safe; /* its name was synced */
    struct change *first, **end;
};

/* A name that renameat or mkdirat gave: its inode, its folder's, and whether that folder was synced since. */
struct entry {
    ino_t inode, folder;
    bool name_synced, content_synced;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char folder[256]; /* "": nothing is recorded */
    struct model_file files[FILES_MAX];
    struct entry entries[ENTRIES_MAX];
    size_t entries_n;

    /* The loss that somebody waits for. */
    unsigned countdown; /* 0: none */
    unsigned seed;
    const char *to;
    void (*note)(void *user);
    void *user;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void apply(struct content *c, sqlite3_int64 at, const char *bytes, size_t n) {
    size_t end = (size_t)at + n;
    if (end > c->size) {
        c->bytes = realloc(c->bytes, end);
        must(c->bytes != NULL, "memory");
        memset(c->bytes + c->size, 0, end - c->size);
        c->size = end;
    }
    if (n)
        memcpy(c->bytes + at, bytes, n);
}

static void apply_change(struct content *c, const struct change *change) {
    if (!change->truncates)
        apply(c, change->at, change->bytes, change->n);
    else if ((size_t)change->at < c->size)
        c->size = (size_t)change->at;
}

static void forget_changes(struct model_file *f) {
    for (struct change *next, *c = f->first; c; c = next) {
        next = c->next;
        free(c);
    }
    f->first = NULL;
    f->end = &f->first;
}

static void forget_file(struct model_file *f) {
    forget_changes(f);
    free(f->synced.bytes);
    *f = (struct model_file){.end = &f->first};
}

/* With the lock. NULL if it isn't recorded. */
static struct model_file *model_of(const char *path) {
    size_t n = strlen(power.folder);
    struct model_file *unused = NULL;
    if (!path || n == 0 || strncmp(path, power.folder, n) != 0 || path[n] != '/')
        return NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct model_file *f = &power.files[i];
        if (strcmp(f->name, path + n + 1) == 0)
            return f;
        if (!f->name[0] && !unused)
            unused = f;
    }
    must(unused != NULL, "too many files");
    forget_file(unused);
    snprintf(unused->name, sizeof unused->name, "%s", path + n + 1);
    return unused;
}

static void record(const char *path, sqlite3_int64 at, const void *bytes, size_t n, bool truncates) {
    struct model_file *f = model_of(path);
    if (!f)
        return;
    struct change *c = calloc(1, sizeof *c + n);
    must(c != NULL, "memory");
    c->at = at;
    c->n = n;
    c->truncates = truncates;
    if (n)
        memcpy(c->bytes, bytes, n);
    *f->end = c;
    f->end = &c->next;
}

static void record_sync(const char *path) {
    struct model_file *f = model_of(path);
    if (!f)
        return;
    for (const struct change *c = f->first; c; c = c->next)
        apply_change(&f->synced, c);
    forget_changes(f);
    f->safe = true;
}

/* --- laying out what is left ------------------------------------------------------------------------------- */

static unsigned any(void) {
    return (unsigned)rand_r(&power.seed);
}

/* A part of a write: each sector may have got to the disk or not. */
static void apply_sectors(struct content *c, const struct change *change) {
    for (size_t at = 0; at < change->n; at += SECTOR) {
        size_t n = change->n - at < SECTOR ? change->n - at : SECTOR;
        if (any() % 2)
            apply(c, change->at + (sqlite3_int64)at, change->bytes + at, n);
    }
}

static void apply_some(struct content *c, const struct change *first, unsigned how) {
    const struct change *changes[4096];
    size_t n = 0;
    for (; first && n < 4096; first = first->next)
        changes[n++] = first;
    if (how == 0) /* nothing that wasn't synced */
        return;
    size_t keep = n ? any() % (n + 1) : 0;
    for (size_t i = 0; i < n; i++) {
        if (how == 3) { /* in any order */
            size_t other = i + any() % (n - i);
            const struct change *swap = changes[i];
            changes[i] = changes[other];
            changes[other] = swap;
        }
        if (how == 1 ? i < keep : any() % 3 > 0)
            apply_change(c, changes[i]);
        else if (how > 1 && !changes[i]->truncates && any() % 2)
            apply_sectors(c, changes[i]);
    }
}

static void lay_out_file(const struct model_file *f) {
    struct content c = {0};
    if (!f->name[0] || (!f->safe && any() % 2))
        return;
    apply(&c, 0, f->synced.bytes, f->synced.size);
    apply_some(&c, f->first, any() % 4);
    scratch_write_bytes(power.to, f->name, c.bytes ? c.bytes : "", c.size);
    free(c.bytes);
}

static const struct entry *entry_of(ino_t inode) {
    for (size_t i = power.entries_n; i-- > 0;)
        if (power.entries[i].inode == inode)
            return &power.entries[i];
    return NULL;
}

static char *read_whole(const char *path, size_t *ret_n) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    char *bytes = malloc((size_t)st.st_size + 1);
    must(bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size, path);
    close(fd);
    *ret_n = (size_t)st.st_size;
    return bytes;
}

static void lay_out_blob(const char *name, bool folder_is_safe) {
    struct stat st;
    char path[1024];
    size_t n;
    snprintf(path, sizeof path, "%s/%s", power.folder, name);
    const struct entry *e = stat(path, &st) == 0 ? entry_of(st.st_ino) : NULL;
    bool named = folder_is_safe && e && e->name_synced, whole = e && e->content_synced;
    if (!named && any() % 2)
        return;
    char *bytes = read_whole(path, &n);
    if (!bytes)
        return;
    if (!whole && any() % 2)
        memset(bytes, 0, n);
    scratch_write_bytes(power.to, name, bytes, !whole && any() % 2 ? 0 : n);
    free(bytes);
}

static void lay_out_blobs(void) {
    char path[512], name[400];
    struct stat st;
    snprintf(path, sizeof path, "%s/blobs", power.folder);
    DIR *outer = opendir(path);
    const struct entry *top = outer && fstat(dirfd(outer), &st) == 0 ? entry_of(st.st_ino) : NULL;
    for (struct dirent *d; outer && (d = readdir(outer));) {
        if (strlen(d->d_name) != 2 || d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/blobs/%.2s", power.folder, d->d_name);
        DIR *inner = opendir(path);
        const struct entry *e = inner && fstat(dirfd(inner), &st) == 0 ? entry_of(st.st_ino) : NULL;
        for (struct dirent *b; inner && (b = readdir(inner));) {
            snprintf(name, sizeof name, "blobs/%.2s/%.200s", d->d_name, b->d_name);
            if (b->d_name[0] != '.')
                lay_out_blob(name, top && top->name_synced && e && e->name_synced);
        }
        if (inner)
            closedir(inner);
    }
    if (outer)
        closedir(outer);
}

/* With the lock, at every write and sync of SQLite's. */
static void tick(void) {
    if (power.countdown == 0 || --power.countdown > 0)
        return;
    power.note(power.user);
    for (size_t i = 0; i < FILES_MAX; i++)
        lay_out_file(&power.files[i]);
    lay_out_blobs();
    power.to = NULL;
    pthread_cond_broadcast(&power.changed);
}

bool power_lose(const char *to, unsigned n, unsigned seed, void (*note)(void *user), bool (*give_up)(void *user),
                void *user) {
    pthread_mutex_lock(&power.lock);
    power.to = to;
    power.seed = seed;
    power.note = note;
    power.user = user;
    power.countdown = n;
    while (power.countdown > 0 && !give_up(user)) {
        pthread_mutex_unlock(&power.lock);
        usleep(200);
        pthread_mutex_lock(&power.lock);
    }
    bool lost = power.countdown == 0;
    power.countdown = 0;
    pthread_mutex_unlock(&power.lock);
    return lost;
}

void power_watch(const char *folder) {
    pthread_mutex_lock(&power.lock);
    for (size_t i = 0; i < FILES_MAX; i++)
        forget_file(&power.files[i]);
    power.entries_n = 0;
    snprintf(power.folder, sizeof power.folder, "%s", folder ? folder : "");
    pthread_mutex_unlock(&power.lock);
}

/* --- files of the journal's own ---------------------------------------------------------------------------- */

static bool is_watched(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || !power.folder[0])
        return false;
    path[n] = '\0';
    return strncmp(path, power.folder, strlen(power.folder)) == 0;
}

static struct entry *entry_for(ino_t inode) {
    for (size_t i = 0; i < power.entries_n; i++)
        if (power.entries[i].inode == inode)
            return &power.entries[i];
    must(power.entries_n < ENTRIES_MAX, "too many files");
    power.entries[power.entries_n] = (struct entry){.inode = inode};
    return &power.entries[power.entries_n++];
}

static void note_name(int folder, const char *path) {
    char parent[512];
    struct stat st, up;
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    pthread_mutex_lock(&power.lock);
    if (is_watched(folder) && fstatat(folder, path, &st, 0) == 0 && fstatat(folder, parent, &up, 0) == 0) {
        struct entry *e = entry_for(st.st_ino);
        e->folder = up.st_ino;
        e->name_synced = false;
        /* A folder has nothing of its own to sync but its names. */
        e->content_synced |= S_ISDIR(st.st_mode);
    }
    pthread_mutex_unlock(&power.lock);
}

int fsync(int fd) {
    struct stat st;
    int status = (int)syscall(SYS_fsync, fd);
    pthread_mutex_lock(&power.lock);
    if (status == 0 && is_watched(fd) && fstat(fd, &st) == 0) {
        if (S_ISREG(st.st_mode))
            entry_for(st.st_ino)->content_synced = true;
        for (size_t i = 0; i < power.entries_n; i++)
            if (power.entries[i].folder == st.st_ino)
                power.entries[i].name_synced = true;
    }
    pthread_mutex_unlock(&power.lock);
    return status;
}

int renameat(int old_folder, const char *old, int folder, const char *name) {
    int status = (int)syscall(SYS_renameat2, old_folder, old, folder, name, 0);
    if (status == 0)
        note_name(folder, name);
    return status;
}

int mkdirat(int folder, const char *name, mode_t mode) {
    int status = (int)syscall(SYS_mkdirat, folder, name, mode);
    if (status == 0)
        note_name(folder, name);
    return status;
}

/* --- SQLite's files ------------------------------------------------------------------------------------------ */

struct shim_file {
    sqlite3_file base;
    char path[512];
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static struct shim_file *shim(sqlite3_file *f) {
    return (struct shim_file *)f;
}

static sqlite3_file *real(sqlite3_file *f) {
    return shim(f)->real;
}

static int shim_close(sqlite3_file *f) {
    return real(f)->pMethods ? real(f)->pMethods->xClose(real(f)) : SQLITE_OK;
}

static int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    return real(f)->pMethods->xRead(real(f), to, n, at);
}

static int shim_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at) {
    pthread_mutex_lock(&power.lock);
    int status = real(f)->pMethods->xWrite(real(f), bytes, n, at);
    record(shim(f)->path, at, bytes, (size_t)n, false);
    tick();
    pthread_mutex_unlock(&power.lock);
    return status;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 n) {
    pthread_mutex_lock(&power.lock);
    int status = real(f)->pMethods->xTruncate(real(f), n);
    record(shim(f)->path, n, NULL, 0, true);
    tick();
    pthread_mutex_unlock(&power.lock);
    return status;
}

/* The power may go before a sync has done anything, too. */
static int shim_sync(sqlite3_file *f, int flags) {
    pthread_mutex_lock(&power.lock);
    tick();
    pthread_mutex_unlock(&power.lock);
    int status = real(f)->pMethods->xSync(real(f), flags);
    pthread_mutex_lock(&power.lock);
    record_sync(shim(f)->path);
    pthread_mutex_unlock(&power.lock);
    return status;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *ret) {
    return real(f)->pMethods->xFileSize(real(f), ret);
}

static int shim_lock(sqlite3_file *f, int level) {
    return real(f)->pMethods->xLock(real(f), level);
}

static int shim_unlock(sqlite3_file *f, int level) {
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int shim_reserved(sqlite3_file *f, int *ret) {
    return real(f)->pMethods->xCheckReservedLock(real(f), ret);
}

static int shim_control(sqlite3_file *f, int what, void *argument) {
    return real(f)->pMethods->xFileControl(real(f), what, argument);
}

static int shim_sector(sqlite3_file *f) {
    return real(f)->pMethods->xSectorSize(real(f));
}

static int shim_traits(sqlite3_file *f) {
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret) {
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, ret);
}

static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags) {
    return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f) {
    real(f)->pMethods->xShmBarrier(real(f));
}

static int shim_shm_unmap(sqlite3_file *f, int deletes) {
    return real(f)->pMethods->xShmUnmap(real(f), deletes);
}

static const sqlite3_io_methods methods = {
    2,           shim_close,   shim_read,     shim_write,       shim_truncate,  shim_sync,
    shim_size,   shim_lock,    shim_unlock,   shim_reserved,    shim_control,   shim_sector,
    shim_traits, shim_shm_map, shim_shm_lock, shim_shm_barrier, shim_shm_unmap, NULL,
    NULL};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
    (void)vfs;
    struct shim_file *s = shim(f);
    memset(s, 0, sizeof *s);
    s->real = (sqlite3_file *)(s + 1);
    snprintf(s->path, sizeof s->path, "%s", name ? name : "");
    int status = real_vfs->xOpen(real_vfs, name, s->real, flags, ret_flags);
    s->base.pMethods = s->real->pMethods ? &methods : NULL;
    return status;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
    (void)vfs;
    pthread_mutex_lock(&power.lock);
    int status = real_vfs->xDelete(real_vfs, name, sync_folder);
    struct model_file *f = model_of(name);
    if (f)
        forget_file(f);
    pthread_mutex_unlock(&power.lock);
    return status;
}

void power_install(void) {
    static sqlite3_vfs vfs;
    sqlite3_initialize();
    real_vfs = sqlite3_vfs_find(NULL);
    must(real_vfs != NULL, "no VFS");
    vfs = *real_vfs;
    vfs.zName = "power";
    vfs.szOsFile = real_vfs->szOsFile + (int)sizeof(struct shim_file);
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    must(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK, "register");
}
