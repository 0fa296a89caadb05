/* Owns the WASI calls that change folders: making, removing, renaming and linking.
 *
 * The host has no openat2 for these. The folder that holds the last name is opened beneath the mount, and the *at() call
 * gets that one name: it is never ".." and has no slash, so nothing can lead it elsewhere. What may be done:
 *   - nothing in a read-only mount or a synthetic folder (ROFS);
 *   - nothing to a mount point or to a folder above one (BUSY): the mount table must stay true;
 *   - renames and hard links within one mount only (XDEV), hard links to regular files only;
 *   - no symbolic links (PERM, as on a file system that has none): what one means changes when it is moved, so no
 *     check at its making holds, and a program outside that follows it wouldn't be kept beneath the mount.
 * Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_lookup.h"

#include "base/buffer.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { NEW_FOLDER_MODE = 0777 }; /* less umask */

/* The last name of a path and the folder that holds it. */
struct target {
    struct place place;
    int parent;
    const char *name;
};

static void target_done(struct target *t) {
    cleanup_close(&t->parent);
}
#define OWNED_TARGET CLEANUP(target_done) struct target

/* Descriptor in argument i, path in the arguments path and path + 1. */
static uint32_t read_target(struct wasi_call *call, unsigned i, unsigned path, uint64_t rights,
                            struct target *ret) {
    struct descriptor *folder;
    uint32_t status = wasi_descriptor(call, argument(call, i), rights, &folder);
    if (status)
        return status;
    return place_read(call, folder, argument(call, path), argument(call, path + 1), &ret->place);
}

static uint32_t open_target(struct wasi_call *call, struct target *t) {
    return place_open_parent(call, &t->place, &t->parent, &t->name);
}

static uint32_t result(struct wasi_call *call, int status) {
    charge(call, COST_SYSCALL);
    return status == 0 ? WASI_E_SUCCESS : wasi_errno(errno);
}

/* The mode of what the target names now, a symbolic link being one. */
static uint32_t target_mode(struct wasi_call *call, const struct target *t, mode_t *ret) {
    struct stat st;
    uint32_t status = result(call, fstatat(t->parent, t->name, &st, AT_SYMLINK_NOFOLLOW));
    if (!status)
        *ret = st.st_mode;
    return status;
}

uint32_t wasi_path_create_directory(struct wasi_call *call) {
    OWNED_TARGET t = {.parent = -1};
    uint64_t allowed = 0;
    uint32_t status = read_target(call, 0, 1, WASI_RIGHT_PATH_CREATE_DIRECTORY, &t);
    if (status)
        return status;
    /* These exist, whether or not something else could be made there. */
    if (t.place.covers || (t.place.mount && t.place.rest[0] == '\0') || strcmp(t.place.path, "/") == 0)
        return WASI_E_EXIST;
    status = open_target(call, &t);
    if (!status)
        status = wasi_quota(call->wasi, CREATION_BYTES, &allowed);
    if (status)
        return status;
    if (FAULT("wasi.mkdir"))
        return WASI_E_NOSPC;
    status = result(call, mkdirat(t.parent, t.name, NEW_FOLDER_MODE));
    if (!status)
        call->wasi->written += allowed;
    return status;
}

uint32_t wasi_path_remove_directory(struct wasi_call *call) {
    OWNED_TARGET t = {.parent = -1};
    uint32_t status = read_target(call, 0, 1, WASI_RIGHT_PATH_REMOVE_DIRECTORY, &t);
    if (!status)
        status = open_target(call, &t);
    if (status)
        return status;
    if (FAULT("wasi.unlink"))
        return WASI_E_IO;
    return result(call, unlinkat(t.parent, t.name, AT_REMOVEDIR));
}

uint32_t wasi_path_unlink_file(struct wasi_call *call) {
    OWNED_TARGET t = {.parent = -1};
    mode_t mode = 0;
    uint32_t status = read_target(call, 0, 1, WASI_RIGHT_PATH_UNLINK_FILE, &t);
    if (!status)
        status = open_target(call, &t);
    if (status)
        return status;
    if (t.place.folder) {
        status = target_mode(call, &t, &mode);
        if (status)
            return status;
        return S_ISDIR(mode) ? WASI_E_ISDIR : WASI_E_NOTDIR;
    }
    if (FAULT("wasi.unlink"))
        return WASI_E_IO;
    return result(call, unlinkat(t.parent, t.name, 0));
}

/* Both ends of a rename or link, opened; they must be in one mount. */
static uint32_t open_pair(struct wasi_call *call, struct target *from, struct target *to) {
    /* Which of them is read-only matters more to the user than that they are apart. */
    uint32_t status = place_writable(&to->place);
    if (!status)
        status = place_writable(&from->place);
    if (status)
        return status;
    if (from->place.mount != to->place.mount)
        return WASI_E_XDEV;
    status = open_target(call, from);
    return status ? status : open_target(call, to);
}

uint32_t wasi_path_rename(struct wasi_call *call) {
    OWNED_TARGET from = {.parent = -1};
    OWNED_TARGET to = {.parent = -1};
    mode_t mode = 0;
    uint32_t status = read_target(call, 0, 1, WASI_RIGHT_PATH_RENAME_SOURCE, &from);
    if (!status)
        status = read_target(call, 3, 4, WASI_RIGHT_PATH_RENAME_TARGET, &to);
    if (!status)
        status = open_pair(call, &from, &to);
    if (!status && (from.place.folder || to.place.folder)) {
        status = target_mode(call, &from, &mode);
        if (!status && !S_ISDIR(mode))
            status = WASI_E_NOTDIR;
    }
    if (status)
        return status;
    if (FAULT("wasi.rename"))
        return WASI_E_IO;
    return result(call, renameat2(from.parent, from.name, to.parent, to.name, 0));
}

uint32_t wasi_path_link(struct wasi_call *call) {
    OWNED_TARGET from = {.parent = -1};
    OWNED_TARGET to = {.parent = -1};
    mode_t mode = 0;
    uint64_t allowed = 0;
    uint32_t status = read_target(call, 0, 2, WASI_RIGHT_PATH_LINK_SOURCE, &from);
    if (!status)
        status = read_target(call, 4, 5, WASI_RIGHT_PATH_LINK_TARGET, &to);
    if (!status)
        status = open_pair(call, &from, &to);
    if (!status)
        status = target_mode(call, &from, &mode);
    if (!status && !S_ISREG(mode))
        status = WASI_E_PERM;
    if (!status && (from.place.folder || to.place.folder))
        status = WASI_E_NOTDIR;
    if (!status)
        status = wasi_quota(call->wasi, CREATION_BYTES, &allowed);
    if (status)
        return status;
    if (FAULT("wasi.link"))
        return WASI_E_NOSPC;
    status = result(call, linkat(from.parent, from.name, to.parent, to.name, 0));
    if (!status)
        call->wasi->written += allowed;
    return status;
}

uint32_t wasi_path_symlink(struct wasi_call *call) {
    struct target t = {.parent = -1};
    if (!guest_bytes(call, argument(call, 0), argument(call, 1)))
        return WASI_E_FAULT;
    uint32_t status = read_target(call, 2, 3, WASI_RIGHT_PATH_SYMLINK, &t);
    if (!status)
        status = place_writable(&t.place);
    return status ? status : (uint32_t)WASI_E_PERM;
}
