/* Owns fd_readdir: a folder's entries as a guest may see them.
 *
 * Cookie 0 takes a snapshot, sorted by name: what the host holds and the mount shows, and the mount points directly below.
 * Cookie n is the n-th entry of it, so entries neither repeat nor get lost when the folder changes meanwhile. The
 * snapshot lives until the descriptor is closed or rewound, and counts against limits.listings (NOMEM beyond); a
 * folder with more than limits.folder_entries gives OVERFLOW, never a part of its names. Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_lookup.h"

#include "base/buffer.h"
#include "base/fault.h"
#include "sandbox/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST_BUFFER_SIZE = 32768 };

struct entry {
    uint64_t ino;
    uint32_t name; /* offset in names; not terminated */
    uint16_t length;
    uint8_t filetype;
};

struct listing {
    struct buffer names, entries; /* entries: struct entry[n] */
    uint32_t n;
    uint64_t bytes; /* as counted in wasi.listed */
};

/* While a snapshot is taken. */
struct snapshot {
    struct wasi_call *call;
    const struct place *place;
    struct listing *listing;
};

static struct entry *entries_of(const struct listing *l) {
    return (struct entry *)(void *)l->entries.data;
}

static void listing_free(struct listing **l) {
    if (!*l)
        return;
    buffer_done(&(*l)->names);
    buffer_done(&(*l)->entries);
    free(*l);
    *l = NULL;
}

void listing_drop(struct wasi *w, struct descriptor *d) {
    if (!d->listing)
        return;
    w->listed -= d->listing->bytes;
    listing_free(&d->listing);
}

static uint32_t add_entry(const struct snapshot *s, const char *name, size_t length, uint64_t ino,
                          uint8_t filetype) {
    struct listing *l = s->listing;
    struct entry e = {
        .ino = ino ? ino : 1, /* wasi-libc takes 0 for "unknown" and asks again */
        .name = (uint32_t)l->names.size,
        .length = (uint16_t)length,
        .filetype = filetype,
    };
    charge(s->call, COST_ENTRY);
    if (l->n >= s->call->wasi->options.limits.folder_entries)
        return WASI_E_OVERFLOW;
    if (buffer_append(&l->names, name, length) || buffer_append(&l->entries, &e, sizeof e))
        return WASI_E_NOMEM;
    l->n++;
    return WASI_E_SUCCESS;
}

/* Whether a mount point lies there: it hides what the host has, or is listed instead. */
static bool is_mount_name(const struct snapshot *s, const char *name) {
    const struct wasi_options *o = &s->call->wasi->options;
    const struct mount *m;
    size_t cursor = 0, n = strlen(name), length = 0;
    const char *other;
    while ((other = mount_next_name(o->mounts, o->n_mounts, s->place->path, &cursor, &length, &m)))
        if (length == n && memcmp(other, name, n) == 0)
            return true;
    return false;
}

static uint8_t type_of(int folder, const struct dirent64 *e) {
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type;
    return fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint8_t)IFTODT(st.st_mode) : DT_UNKNOWN;
}

static uint32_t add_host_entry(const struct snapshot *s, int folder, const struct dirent64 *e) {
    bool dot = strcmp(e->d_name, ".") == 0, dots = strcmp(e->d_name, "..") == 0;
    if (dot || dots) {
        /* Above a mount's folder the guest's tree isn't the host's. */
        bool foreign = dots && s->place->rest[0] == '\0';
        uint64_t ino = foreign ? wasi_synthetic_ino("..") : e->d_ino;
        return add_entry(s, e->d_name, strlen(e->d_name), ino, WASI_FILETYPE_DIRECTORY);
    }
    uint8_t type = type_of(folder, e);
    if (is_mount_name(s, e->d_name) || !place_lists(s->call, s->place, e->d_name, type))
        return WASI_E_SUCCESS;
    return add_entry(s, e->d_name, strlen(e->d_name), e->d_ino, wasi_filetype((mode_t)DTTOIF((mode_t)type)));
}

static uint32_t add_host_entries(const struct snapshot *s, int folder) {
    CLEANUP(cleanup_free) char *buffer = FAULT("wasi.readdir") ? NULL : malloc(HOST_BUFFER_SIZE);
    if (!buffer)
        return WASI_E_NOMEM;
    if (lseek(folder, 0, SEEK_SET) < 0)
        return wasi_errno(errno);
    for (;;) {
        charge(s->call, COST_SYSCALL);
        ssize_t n = getdents64(folder, buffer, HOST_BUFFER_SIZE);
        if (n <= 0)
            return n == 0 ? WASI_E_SUCCESS : wasi_errno(errno);
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)(const void *)(buffer + at);
            uint32_t status = add_host_entry(s, folder, e);
            if (status)
                return status;
            at += e->d_reclen;
        }
    }
}

/* The names that lead to mount points. Each is looked up, so that it has the inode that a stat gives. */
static uint32_t add_mount_entries(const struct snapshot *s) {
    const struct wasi_options *o = &s->call->wasi->options;
    const struct mount *m;
    const char *name;
    size_t cursor = 0, length = 0;
    while ((name = mount_next_name(o->mounts, o->n_mounts, s->place->path, &cursor, &length, &m))) {
        struct place child;
        __attribute__((cleanup(found_done))) struct found found = FOUND_INIT;
        /* What can't be looked up, such as a mounted file that was deleted on the host, isn't there. */
        if (!place_child(s->call->wasi, s->place, name, length, &child) ||
            place_find(s->call, &child, LOOKUP_HERE, &found))
            continue;
        uint64_t ino = found.synthetic ? wasi_synthetic_ino(child.path) : found.st.st_ino;
        uint32_t status = add_entry(s, name, length, ino, wasi_filetype(found.st.st_mode));
        if (status)
            return status;
    }
    return WASI_E_SUCCESS;
}

static int compare_entries(const void *a, const void *b, void *names) {
    const struct entry *x = a, *y = b;
    size_t n = x->length < y->length ? x->length : y->length;
    int order = memcmp((const char *)names + x->name, (const char *)names + y->name, n);
    return order ? order : (int)x->length - (int)y->length;
}

/* Sorts, and drops repeated names: several mounts can lie below one of them. */
static void arrange(struct listing *l) {
    struct entry *entries = entries_of(l);
    uint32_t kept = 0;
    if (l->n == 0)
        return;
    qsort_r(entries, l->n, sizeof *entries, compare_entries, l->names.data);
    for (uint32_t i = 1; i < l->n; i++)
        if (compare_entries(&entries[i], &entries[kept], l->names.data) != 0)
            entries[++kept] = entries[i];
    l->n = kept + 1;
}

/* A descriptor to read the folder with: d's own, or one of its own for the root, which may be a mount. */
static uint32_t open_listed(struct wasi_call *call, const struct descriptor *d, const struct place *place,
                            int *ret_fd) {
    __attribute__((cleanup(found_done))) struct found found = FOUND_INIT;
    if (d->host_fd >= 0 || !d->root)
        return WASI_E_SUCCESS;
    uint32_t status = place_find(call, place, LOOKUP_FOLLOW, &found);
    if (status || found.synthetic)
        return status;
    return found_open(call, &found, O_RDONLY | O_DIRECTORY, ret_fd);
}

static uint32_t fill(const struct snapshot *s, const struct descriptor *d) {
    CLEANUP(cleanup_close) int own = -1;
    uint32_t status = open_listed(s->call, d, s->place, &own);
    int folder = own >= 0 ? own : d->host_fd;
    if (!status && folder < 0 && d->mount)
        return WASI_E_NOENT; /* it was gone when it should be opened again */
    if (!status && folder >= 0)
        status = add_host_entries(s, folder);
    if (!status && folder < 0) {
        status = add_entry(s, ".", 1, wasi_synthetic_ino(s->place->path), WASI_FILETYPE_DIRECTORY);
        if (!status)
            status = add_entry(s, "..", 2, wasi_synthetic_ino(".."), WASI_FILETYPE_DIRECTORY);
    }
    return status ? status : add_mount_entries(s);
}

/* A folder's names are those in its mount and those of the mounts in it. Apart, so that its place isn't on the fiber's stack together with the next. */
__attribute__((noinline)) static bool may_list(struct wasi_call *call, const struct descriptor *d) {
    const struct wasi_options *o = &call->wasi->options;
    const struct mount *m;
    struct place place;
    size_t cursor = 0, length = 0;
    place_of(call->wasi, d->path, &place);
    bool may = wasi_may_touch(call, place.mount);
    while (mount_next_name(o->mounts, o->n_mounts, place.path, &cursor, &length, &m))
        may = wasi_may_touch(call, m);
    return may;
}

static uint32_t take_snapshot(struct wasi_call *call, struct descriptor *d) {
    struct place place;
    struct wasi *w = call->wasi;
    CLEANUP(listing_free) struct listing *l = NULL;
    listing_drop(w, d);
    l = FAULT("wasi.listing") ? NULL : calloc(1, sizeof *l);
    if (!l)
        return WASI_E_NOMEM;
    uint64_t limit = w->options.limits.listings;
    /* Half each: an entry is about as long as a name with what the buffers' growth adds. */
    size_t left = (size_t)(w->listed < limit ? limit - w->listed : 0) / 2;
    l->names = BUFFER_INIT(left);
    l->entries = BUFFER_INIT(left);
    place_of(w, d->path, &place);
    struct snapshot s = {.call = call, .place = &place, .listing = l};
    uint32_t status = fill(&s, d);
    if (status)
        return status;
    arrange(l);
    place_trace(call, &place, WASI_TRACE_FOLDER);
    l->bytes = l->names.capacity + l->entries.capacity;
    w->listed += l->bytes;
    d->listing = l;
    l = NULL;
    return WASI_E_SUCCESS;
}

/* Copies entries from cookie on until the buffer is full; the last one may be cut short, as the guest expects. */
static uint32_t copy_entries(const struct listing *l, uint64_t cookie, uint8_t *to, uint32_t capacity) {
    uint32_t used = 0;
    for (uint64_t i = cookie; i < l->n && used < capacity; i++) {
        const struct entry *e = &entries_of(l)[i];
        uint8_t record[WASI_DIRENT_SIZE] = {0};
        store_u64(record + WASI_DIRENT_NEXT, i + 1);
        store_u64(record + WASI_DIRENT_INO, e->ino);
        store_u32(record + WASI_DIRENT_NAME_LENGTH, e->length);
        record[WASI_DIRENT_FILETYPE] = e->filetype;
        uint32_t room = capacity - used;
        uint32_t n = room < WASI_DIRENT_SIZE ? room : WASI_DIRENT_SIZE;
        memcpy(to + used, record, n);
        used += n;
        room -= n;
        n = room < e->length ? room : e->length;
        memcpy(to + used, l->names.data + e->name, n);
        used += n;
    }
    return used;
}

uint32_t wasi_fd_readdir(struct wasi_call *call) {
    struct descriptor *d;
    uint32_t capacity = argument(call, 2);
    uint64_t cookie = call->args[3];
    uint8_t *to = guest_bytes(call, argument(call, 1), capacity), *ret = guest_bytes(call, argument(call, 4), 4);
    uint32_t status = wasi_descriptor(call, argument(call, 0), WASI_RIGHT_FD_READDIR, &d);
    if (status)
        return status;
    if (!to || !ret)
        return WASI_E_FAULT;
    if (!may_list(call, d))
        return WASI_E_IO;
    if (cookie == 0 || !d->listing) {
        status = take_snapshot(call, d);
        if (status)
            return status;
    }
    uint32_t used = copy_entries(d->listing, cookie, to, capacity);
    charge(call, used / COST_BYTES);
    store_u32(ret, used);
    return WASI_E_SUCCESS;
}
