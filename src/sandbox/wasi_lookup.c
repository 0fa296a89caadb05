/* Owns the resolution of guest paths; see wasi_lookup.h.
 *
 * Guest paths are resolved lexically up to the mount (so "link/.." is the folder that holds the link), and only what
 * is below the mount is resolved by the host, in one openat2 that the kernel keeps beneath the mount's folder, however
 * links are swapped meanwhile. A mount that holds other mounts is never changed through a symbolic link: on the host
 * the link could lead into what the inner mount shows read-only. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_lookup.h"

#include "base/fault.h"
#include "sandbox/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    /* The kernel asks for another try when a rename raced with "..": a guest must not be able to hold us there. */
    RACE_TRIES = 16,
    NEW_FILE_MODE = 0666, /* less umask */
};

void found_done(struct found *f) {
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

static void set_rest(struct place *p, const char *rest) {
    p->rest = rest ? p->path + (rest - p->path) : NULL;
}

static void place_resolve(const struct wasi *w, struct place *p) {
    const struct mount *mounts = w->options.mounts;
    const char *rest = NULL;
    p->mount = mount_find(mounts, w->options.n_mounts, p->path, &rest);
    p->covers = mount_covers(mounts, w->options.n_mounts, p->path);
    set_rest(p, rest);
}

void place_of(const struct wasi *w, const char *path, struct place *ret) {
    snprintf(ret->path, sizeof ret->path, "%s", path);
    ret->folder = ret->dots = false;
    place_resolve(w, ret);
}

bool place_child(const struct wasi *w, const struct place *folder, const char *name, size_t n, struct place *ret) {
    size_t at = strcmp(folder->path, "/") == 0 ? 0 : strlen(folder->path);
    if (at + 1 + n >= sizeof ret->path)
        return false;
    memcpy(ret->path, folder->path, at);
    ret->path[at] = '/';
    memcpy(ret->path + at + 1, name, n);
    ret->path[at + 1 + n] = '\0';
    ret->folder = ret->dots = false;
    place_resolve(w, ret);
    return true;
}

/* What the end of the path says, before normalisation takes it away. */
static void judge_end(struct place *p, const char *path, size_t n) {
    p->folder = path[n - 1] == '/';
    while (n > 0 && path[n - 1] == '/')
        n--;
    size_t start = n;
    while (start > 0 && path[start - 1] != '/')
        start--;
    const char *last = path + start;
    p->dots = (n - start == 1 && last[0] == '.') || (n - start == 2 && last[0] == '.' && last[1] == '.');
    p->folder |= p->dots;
}

uint32_t place_read(struct wasi_call *call, const struct descriptor *folder, uint64_t address, uint64_t n,
                    struct place *ret) {
    char path[PATH_LENGTH_MAX];
    const uint8_t *bytes = guest_bytes(call, address, n);
    if (!bytes)
        return WASI_E_FAULT;
    if (n == 0)
        return WASI_E_NOENT;
    if (n >= call->wasi->options.limits.path_length)
        return WASI_E_NAMETOOLONG;
    memcpy(path, bytes, n);
    path[n] = '\0';
    if (memchr(path, '\0', n))
        return WASI_E_ILSEQ;
    judge_end(ret, path, n);
    if (path_normalize(folder->path, path, ret->path, sizeof ret->path) < 0)
        return WASI_E_NAMETOOLONG;
    place_resolve(call->wasi, ret);
    return wasi_may_touch(call, ret->mount) ? WASI_E_SUCCESS : WASI_E_IO;
}

uint32_t place_writable(const struct place *p) {
    return p->mount && mount_writable(p->mount) ? WASI_E_SUCCESS : WASI_E_ROFS;
}

/* What p is called, seen from its mount's descriptor. */
static const char *host_name(const struct place *p) {
    if (p->mount->kind == MOUNT_FILE)
        return p->mount->name;
    return p->rest[0] ? p->rest : ".";
}

/* A descriptor or the host's errno, negative. */
static int open_beneath(struct wasi_call *call, const struct place *p, const char *name, int flags, unsigned how) {
    const struct wasi_options *o = &call->wasi->options;
    struct open_how open_how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
        .mode = flags & O_CREAT ? NEW_FILE_MODE : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if (flags & O_PATH) /* the kernel takes few flags beside it */
        open_how.flags &= (uint64_t)(unsigned)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if ((how & LOOKUP_CHANGE) && mount_covers(o->mounts, o->n_mounts, p->mount->guest))
        open_how.resolve |= RESOLVE_NO_SYMLINKS;
    for (int i = 0; i < RACE_TRIES; i++) {
        charge(call, COST_SYSCALL);
        if (FAULT("wasi.open"))
            return -EIO;
        long fd = syscall(SYS_openat2, p->mount->host_fd, name, &open_how, sizeof open_how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

/* To the guest, a link that leaves the mount isn't a matter of devices: it isn't allowed to go there. */
static uint32_t lookup_errno(int host) {
    return host == EXDEV ? (uint32_t)WASI_E_PERM : wasi_errno(host);
}

/* A symbolic link counts as what it leads to. */
static uint32_t check_shown(struct wasi_call *call, const struct place *p, const struct found *f) {
    if (p->mount->kind != MOUNT_SOURCES || S_ISDIR(f->st.st_mode))
        return WASI_E_SUCCESS;
    if (S_ISREG(f->st.st_mode))
        return mount_shows_file(p->mount, p->rest) ? WASI_E_SUCCESS : WASI_E_NOENT;
    if (!S_ISLNK(f->st.st_mode))
        return WASI_E_NOENT;
    struct found target __attribute__((cleanup(found_done))) = FOUND_INIT;
    return place_find(call, p, LOOKUP_FOLLOW, &target) ? WASI_E_NOENT : WASI_E_SUCCESS;
}

/* Fills in the stat of an opened place and judges it: may a guest see it, and is it what the path asks for? */
static uint32_t inspect(struct wasi_call *call, const struct place *p, bool follow, struct found *f) {
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.stat") || fstat(f->fd, &f->st) != 0)
        return WASI_E_IO;
    if (follow && S_ISLNK(f->st.st_mode))
        return WASI_E_LOOP;
    uint32_t status = check_shown(call, p, f);
    if (status)
        return status;
    return p->folder && !S_ISDIR(f->st.st_mode) ? WASI_E_NOTDIR : WASI_E_SUCCESS;
}

static uint32_t find_on_host(struct wasi_call *call, const struct place *p, unsigned how, struct found *ret) {
    bool follow = (how & LOOKUP_FOLLOW) || p->folder;
    if (p->mount->kind == MOUNT_FILE && p->rest[0])
        return WASI_E_NOTDIR;
    if (!mount_shows(p->mount, p->rest))
        return WASI_E_NOENT;
    int flags = O_PATH | (follow && p->mount->kind != MOUNT_FILE ? 0 : O_NOFOLLOW);
    int fd = open_beneath(call, p, host_name(p), flags, how);
    if (fd == -ENOENT)
        place_trace(call, p, WASI_TRACE_ABSENT);
    if (fd < 0)
        return lookup_errno(-fd);
    ret->fd = fd;
    ret->synthetic = false;
    return inspect(call, p, follow, ret);
}

uint32_t place_find(struct wasi_call *call, const struct place *p, unsigned how, struct found *ret) {
    struct found host __attribute__((cleanup(found_done))) = FOUND_INIT;
    if (p->mount) {
        uint32_t status = find_on_host(call, p, how, &host);
        if (status == WASI_E_SUCCESS && (!p->covers || S_ISDIR(host.st.st_mode))) {
            *ret = host;
            host.fd = -1;
            return WASI_E_SUCCESS;
        }
        if (status && !p->covers)
            return status;
    }
    if (!p->covers && strcmp(p->path, "/") != 0)
        return WASI_E_NOENT;
    *ret = (struct found){.fd = -1, .synthetic = true, .st = {.st_mode = S_IFDIR | 0555, .st_nlink = 2}};
    return WASI_E_SUCCESS;
}

uint32_t place_create(struct wasi_call *call, const struct place *p, int access, int *ret_fd) {
    uint32_t status = place_writable(p);
    if (status)
        return status;
    int fd = open_beneath(call, p, host_name(p), access | O_CREAT | O_EXCL | O_NOFOLLOW, LOOKUP_CHANGE);
    if (fd < 0)
        return lookup_errno(-fd);
    *ret_fd = fd;
    return WASI_E_SUCCESS;
}

uint32_t place_open_parent(struct wasi_call *call, struct place *p, int *ret_fd, const char **ret_name) {
    uint32_t status = place_writable(p);
    if (status)
        return status;
    if (p->dots)
        return WASI_E_INVAL;
    if (p->rest[0] == '\0' || p->covers)
        return WASI_E_BUSY;
    if (p->mount->kind == MOUNT_FILE)
        return WASI_E_NOTDIR;
    char *slash = strrchr(p->rest, '/');
    if (slash)
        *slash = '\0';
    int fd = open_beneath(call, p, slash ? p->rest : ".", O_PATH | O_DIRECTORY, LOOKUP_CHANGE);
    if (fd < 0)
        return lookup_errno(-fd);
    *ret_fd = fd;
    *ret_name = slash ? slash + 1 : p->rest;
    return WASI_E_SUCCESS;
}

uint32_t found_open(struct wasi_call *call, const struct found *f, int flags, int *ret_fd) {
    char self[sizeof "/proc/self/fd/-2147483648"];
    if (!S_ISREG(f->st.st_mode) && !S_ISDIR(f->st.st_mode))
        return WASI_E_NOTSUP;
    /* The descriptor's entry leads to exactly the file that was found, whatever its name means by now. */
    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.reopen"))
        return WASI_E_IO;
    int fd = open(self, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return wasi_errno(errno);
    *ret_fd = fd;
    return WASI_E_SUCCESS;
}

bool place_lists(struct wasi_call *call, const struct place *p, const char *name, unsigned char type) {
    if (p->mount->kind != MOUNT_SOURCES)
        return true;
    if (!mount_shows(p->mount, name))
        return false;
    if (type == DT_DIR)
        return true;
    if (type == DT_REG)
        return mount_shows_file(p->mount, name);
    if (type != DT_LNK)
        return false;
    struct place child;
    struct found found __attribute__((cleanup(found_done))) = FOUND_INIT;
    return place_child(call->wasi, p, name, strlen(name), &child) &&
           place_find(call, &child, LOOKUP_FOLLOW, &found) == WASI_E_SUCCESS;
}

/* Apart, because its buffer would make every lookup's frame on the fiber's stack larger by two pages. */
__attribute__((noinline)) static void report(const struct wasi_options *o, const struct place *p,
                                             enum wasi_trace_kind kind) {
    char host[2 * PATH_LENGTH_MAX];
    bool below = p->mount->kind != MOUNT_FILE && p->rest[0];
    int n = snprintf(host, sizeof host, "%s%s%s", p->mount->host, below ? "/" : "", below ? p->rest : "");
    if (n > 0 && (size_t)n < sizeof host)
        o->trace(o->user, kind, host);
}

void place_trace(const struct wasi_call *call, const struct place *p, enum wasi_trace_kind kind) {
    const struct wasi_options *o = &call->wasi->options;
    if (o->trace && p->mount && p->mount->host)
        report(o, p, kind);
}
