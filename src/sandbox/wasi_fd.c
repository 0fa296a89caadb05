/* Owns the WASI calls on an open descriptor that move no data: attributes, position, size, times, closing.
 *
 * A position is ours (descriptor.offset), so asking for it costs nothing. Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_state.h"

#include "base/clock.h"
#include "base/fault.h"
#include "sandbox/mount.h"
#include "sandbox/wasi_lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

uint8_t wasi_filetype(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return WASI_FILETYPE_REGULAR_FILE;
    case S_IFDIR:
        return WASI_FILETYPE_DIRECTORY;
    case S_IFLNK:
        return WASI_FILETYPE_SYMBOLIC_LINK;
    case S_IFCHR:
        return WASI_FILETYPE_CHARACTER_DEVICE;
    case S_IFBLK:
        return WASI_FILETYPE_BLOCK_DEVICE;
    case S_IFSOCK:
        return WASI_FILETYPE_SOCKET_STREAM;
    default: /* WASI has no number for a FIFO */
        return WASI_FILETYPE_UNKNOWN;
    }
}

uint64_t wasi_synthetic_ino(const char *path) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *path; path++)
        hash = (hash ^ (uint8_t)*path) * UINT64_C(0x100000001b3);
    return hash | 1;
}

static uint64_t nanoseconds(const struct timespec *t) {
    if (t->tv_sec < 0 || (uint64_t)t->tv_sec > UINT64_MAX / NS_PER_S - 1)
        return 0;
    return (uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_nsec;
}

void wasi_put_filestat(const struct wasi *w, uint8_t *to, const struct stat *st, const struct mount *m,
                       const char *path) {
    memset(to, 0, WASI_FILESTAT_SIZE);
    /* The host's device number is nobody's business in there; which mount it is serves as well. */
    store_u64(to + WASI_FILESTAT_DEV, m ? (uint64_t)(m - w->options.mounts) + 1 : 0);
    store_u64(to + WASI_FILESTAT_INO, m ? st->st_ino : wasi_synthetic_ino(path));
    to[WASI_FILESTAT_FILETYPE] = wasi_filetype(st->st_mode);
    store_u64(to + WASI_FILESTAT_NLINK, st->st_nlink);
    store_u64(to + WASI_FILESTAT_SIZE_FIELD, (uint64_t)st->st_size);
    /* Of what isn't recorded, nothing that changes by itself may be seen. */
    store_u64(to + WASI_FILESTAT_ATIM, nanoseconds(m && m->constant ? &st->st_mtim : &st->st_atim));
    store_u64(to + WASI_FILESTAT_MTIM, nanoseconds(&st->st_mtim));
    store_u64(to + WASI_FILESTAT_CTIM, nanoseconds(&st->st_ctim));
}

static struct timespec time_of(uint64_t ns, bool set, bool now) {
    if (!set)
        return (struct timespec){.tv_nsec = now ? UTIME_NOW : UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

uint32_t wasi_times(uint64_t atim, uint64_t mtim, uint32_t flags, struct timespec ret[2]) {
    bool set_a = flags & WASI_FSTFLAG_ATIM, now_a = flags & WASI_FSTFLAG_ATIM_NOW;
    bool set_m = flags & WASI_FSTFLAG_MTIM, now_m = flags & WASI_FSTFLAG_MTIM_NOW;
    if ((flags & ~(uint32_t)WASI_FSTFLAGS) || (set_a && now_a) || (set_m && now_m))
        return WASI_E_INVAL;
    ret[0] = time_of(atim, set_a, now_a);
    ret[1] = time_of(mtim, set_m, now_m);
    return WASI_E_SUCCESS;
}

/* The descriptor, if it has these rights and may be changed. ROFS comes first: it says why the rights aren't there. */
static uint32_t changeable(struct wasi_call *call, uint64_t rights, struct descriptor **ret) {
    struct descriptor *d;
    uint32_t status = wasi_descriptor(call, argument(call, 0), 0, &d);
    if (status)
        return status;
    if ((d->kind == DESCRIPTOR_FILE || d->kind == DESCRIPTOR_FOLDER) && (!d->mount || !mount_writable(d->mount)))
        return WASI_E_ROFS;
    return wasi_descriptor(call, argument(call, 0), rights, ret);
}

uint32_t wasi_fd_advise(struct wasi_call *call) {
    struct descriptor *d;
    uint32_t status = wasi_descriptor(call, argument(call, 0), WASI_RIGHT_FD_ADVISE, &d);
    if (status)
        return status;
    /* Advice may be ignored, and acting on it would let a guest start reads that nothing counts. */
    uint64_t offset = call->args[1], n = call->args[2];
    bool valid = argument(call, 3) <= WASI_ADVICE_MAX && offset <= INT64_MAX && n <= INT64_MAX - offset;
    return valid ? WASI_E_SUCCESS : WASI_E_INVAL;
}

uint32_t wasi_fd_allocate(struct wasi_call *call) {
    struct wasi *w = call->wasi;
    struct descriptor *d;
    uint64_t offset = call->args[1], n = call->args[2], allowed = 0;
    uint32_t status = changeable(call, WASI_RIGHT_FD_ALLOCATE, &d);
    if (status)
        return status;
    if (n == 0)
        return WASI_E_INVAL;
    if (offset > w->options.limits.file_size || n > w->options.limits.file_size - offset)
        return WASI_E_FBIG;
    status = wasi_quota(w, n, &allowed);
    if (status || allowed < n)
        return WASI_E_DQUOT;
    charge(call, COST_SYSCALL + n / COST_BYTES / COST_BYTES);
    if (FAULT("wasi.allocate"))
        return WASI_E_NOSPC;
    if (fallocate(d->host_fd, 0, (off_t)offset, (off_t)n) != 0)
        return wasi_errno(errno);
    w->written += n;
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_close(struct wasi_call *call) {
    struct descriptor *d;
    uint32_t status = wasi_descriptor(call, argument(call, 0), 0, &d);
    if (status)
        return status;
    charge(call, COST_SYSCALL);
    descriptor_done(call->wasi, d);
    return WASI_E_SUCCESS;
}

static uint32_t sync_with(struct wasi_call *call, uint64_t right, int (*sync_host)(int)) {
    struct descriptor *d;
    uint32_t status = wasi_descriptor(call, argument(call, 0), right, &d);
    if (status)
        return status;
    /* What it can't have written needs no flushing. */
    if (!d->mount || !mount_writable(d->mount))
        return WASI_E_SUCCESS;
    charge(call, COST_SYNC);
    if (FAULT("wasi.sync"))
        return WASI_E_IO;
    return sync_host(d->host_fd) == 0 ? WASI_E_SUCCESS : wasi_errno(errno);
}

uint32_t wasi_fd_datasync(struct wasi_call *call) {
    return sync_with(call, WASI_RIGHT_FD_DATASYNC, fdatasync);
}

uint32_t wasi_fd_sync(struct wasi_call *call) {
    return sync_with(call, WASI_RIGHT_FD_SYNC, fsync);
}

static uint8_t descriptor_filetype(const struct descriptor *d) {
    switch (d->kind) {
    case DESCRIPTOR_FOLDER:
        return WASI_FILETYPE_DIRECTORY;
    case DESCRIPTOR_FILE:
        return WASI_FILETYPE_REGULAR_FILE;
    default:
        return WASI_FILETYPE_CHARACTER_DEVICE;
    }
}

uint32_t wasi_fd_fdstat_get(struct wasi_call *call) {
    struct descriptor *d;
    uint8_t *to = guest_bytes(call, argument(call, 1), WASI_FDSTAT_SIZE);
    uint32_t status = wasi_descriptor(call, argument(call, 0), 0, &d);
    if (status)
        return status;
    if (!to)
        return WASI_E_FAULT;
    memset(to, 0, WASI_FDSTAT_SIZE);
    to[WASI_FDSTAT_FILETYPE] = descriptor_filetype(d);
    store_u16(to + WASI_FDSTAT_FLAGS, d->flags);
    store_u64(to + WASI_FDSTAT_RIGHTS, d->rights);
    store_u64(to + WASI_FDSTAT_INHERITING, d->inheriting);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_fdstat_set_flags(struct wasi_call *call) {
    struct descriptor *d;
    uint32_t flags = argument(call, 1);
    uint32_t status = wasi_descriptor(call, argument(call, 0), WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &d);
    if (status)
        return status;
    if (flags & ~(uint32_t)WASI_FDFLAGS)
        return WASI_E_INVAL;
    d->flags = (uint16_t)flags;
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_fdstat_set_rights(struct wasi_call *call) {
    struct descriptor *d;
    uint64_t rights = call->args[1], inheriting = call->args[2];
    uint32_t status = wasi_descriptor(call, argument(call, 0), 0, &d);
    if (status)
        return status;
    if ((rights & ~d->rights) || (inheriting & ~d->inheriting))
        return WASI_E_NOTCAPABLE;
    d->rights = rights;
    d->inheriting = inheriting;
    return WASI_E_SUCCESS;
}

/* The folder's attributes by its path: there is no host descriptor to ask. */
static uint32_t stat_folder(struct wasi_call *call, const struct descriptor *d, uint8_t *to) {
    struct place place;
    struct found found __attribute__((cleanup(found_done))) = FOUND_INIT;
    place_of(call->wasi, d->path, &place);
    if (!wasi_may_touch(call, place.mount))
        return WASI_E_IO;
    uint32_t status = place_find(call, &place, LOOKUP_FOLLOW, &found);
    if (status)
        return status;
    wasi_put_filestat(call->wasi, to, &found.st, found.synthetic ? NULL : place.mount, d->path);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_filestat_get(struct wasi_call *call) {
    struct descriptor *d;
    uint8_t *to = guest_bytes(call, argument(call, 1), WASI_FILESTAT_SIZE);
    uint32_t status = wasi_descriptor(call, argument(call, 0), WASI_RIGHT_FD_FILESTAT_GET, &d);
    if (status)
        return status;
    if (!to)
        return WASI_E_FAULT;
    if (d->kind == DESCRIPTOR_INPUT || d->kind == DESCRIPTOR_OUTPUT) {
        struct stat stream = {.st_mode = S_IFCHR, .st_nlink = 1};
        wasi_put_filestat(call->wasi, to, &stream, NULL, d->kind == DESCRIPTOR_INPUT ? "0" : "1");
        return WASI_E_SUCCESS;
    }
    if (d->kind == DESCRIPTOR_FOLDER && d->host_fd < 0)
        return stat_folder(call, d, to);
    struct stat st;
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.stat") || fstat(d->host_fd, &st) != 0)
        return WASI_E_IO;
    wasi_put_filestat(call->wasi, to, &st, d->mount, NULL);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_filestat_set_size(struct wasi_call *call) {
    struct descriptor *d;
    uint64_t size = call->args[1];
    uint32_t status = changeable(call, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &d);
    if (status)
        return status;
    if (size > call->wasi->options.limits.file_size)
        return WASI_E_FBIG;
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.truncate"))
        return WASI_E_NOSPC;
    return ftruncate(d->host_fd, (off_t)size) == 0 ? WASI_E_SUCCESS : wasi_errno(errno);
}

uint32_t wasi_fd_filestat_set_times(struct wasi_call *call) {
    struct descriptor *d;
    struct timespec times[2];
    uint32_t status = changeable(call, WASI_RIGHT_FD_FILESTAT_SET_TIMES, &d);
    if (!status)
        status = wasi_times(call->args[1], call->args[2], argument(call, 3), times);
    if (status)
        return status;
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.times"))
        return WASI_E_IO;
    return futimens(d->host_fd, times) == 0 ? WASI_E_SUCCESS : wasi_errno(errno);
}

uint32_t wasi_fd_prestat_get(struct wasi_call *call) {
    struct descriptor *d;
    uint8_t *to = guest_bytes(call, argument(call, 1), WASI_PRESTAT_SIZE);
    /* BADF is how a guest learns that it has seen them all. */
    if (wasi_descriptor(call, argument(call, 0), 0, &d) || !d->root)
        return WASI_E_BADF;
    if (!to)
        return WASI_E_FAULT;
    memset(to, 0, WASI_PRESTAT_SIZE);
    to[WASI_PRESTAT_TAG] = WASI_PREOPEN_DIR;
    store_u32(to + WASI_PRESTAT_NAME_LENGTH, 1);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_prestat_dir_name(struct wasi_call *call) {
    struct descriptor *d;
    uint8_t *to = guest_bytes(call, argument(call, 1), argument(call, 2));
    if (wasi_descriptor(call, argument(call, 0), 0, &d) || !d->root)
        return WASI_E_BADF;
    if (!to)
        return WASI_E_FAULT;
    if (argument(call, 2) < 1)
        return WASI_E_NAMETOOLONG;
    to[0] = '/';
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_renumber(struct wasi_call *call) {
    struct wasi *w = call->wasi;
    struct descriptor *from, *to;
    uint32_t status = wasi_descriptor(call, argument(call, 0), 0, &from);
    if (!status)
        status = wasi_descriptor(call, argument(call, 1), 0, &to);
    if (status)
        return status;
    if (from == to)
        return WASI_E_SUCCESS;
    /* The root stays where a guest looks for it. */
    if (from->root || to->root)
        return WASI_E_NOTSUP;
    charge(call, COST_SYSCALL);
    descriptor_done(w, to);
    *to = *from;
    *from = (struct descriptor){.kind = DESCRIPTOR_FREE, .host_fd = -1};
    return WASI_E_SUCCESS;
}

/* Where a seek starts. */
static uint32_t seek_base(struct wasi_call *call, const struct descriptor *d, uint32_t whence, uint64_t *ret) {
    struct stat st;
    switch (whence) {
    case WASI_WHENCE_SET:
        *ret = 0;
        return WASI_E_SUCCESS;
    case WASI_WHENCE_CUR:
        *ret = d->offset;
        return WASI_E_SUCCESS;
    case WASI_WHENCE_END:
        charge(call, COST_SYSCALL);
        if (FAULT("wasi.stat") || fstat(d->host_fd, &st) != 0 || st.st_size < 0)
            return WASI_E_IO;
        *ret = (uint64_t)st.st_size;
        return WASI_E_SUCCESS;
    default:
        return WASI_E_INVAL;
    }
}

uint32_t wasi_fd_seek(struct wasi_call *call) {
    struct descriptor *d;
    uint64_t base = 0, delta = call->args[1];
    uint8_t *ret = guest_bytes(call, argument(call, 3), 8);
    uint32_t status = wasi_descriptor(call, argument(call, 0), WASI_RIGHT_FD_SEEK, &d);
    if (status)
        return status;
    if (d->kind != DESCRIPTOR_FILE)
        return WASI_E_SPIPE;
    if (!ret)
        return WASI_E_FAULT;
    status = seek_base(call, d, argument(call, 2), &base);
    if (status)
        return status;
    int64_t to;
    if (base > INT64_MAX || __builtin_add_overflow((int64_t)base, (int64_t)delta, &to) || to < 0)
        return WASI_E_INVAL;
    d->offset = (uint64_t)to;
    store_u64(ret, d->offset);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_tell(struct wasi_call *call) {
    struct descriptor *d;
    uint8_t *ret = guest_bytes(call, argument(call, 1), 8);
    uint32_t status = wasi_descriptor(call, argument(call, 0), WASI_RIGHT_FD_TELL, &d);
    if (status)
        return status;
    if (d->kind != DESCRIPTOR_FILE)
        return WASI_E_SPIPE;
    if (!ret)
        return WASI_E_FAULT;
    store_u64(ret, d->offset);
    return WASI_E_SUCCESS;
}
