/* Owns the WASI calls that look at or open what a path names; wasi_change.c has those that change folders.
 *
 * Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_lookup.h"

#include "base/buffer.h"
#include "base/fault.h"
#include "sandbox/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define OWNED_FOUND __attribute__((cleanup(found_done))) struct found

/* Descriptor in argument 0, path in arguments i and i + 1. */
static uint32_t read_place(struct wasi_call *call, uint64_t rights, unsigned i, struct place *ret) {
    struct descriptor *folder;
    uint32_t status = wasi_descriptor(call, argument(call, 0), rights, &folder);
    if (status)
        return status;
    return place_read(call, folder, argument(call, i), argument(call, i + 1), ret);
}

static uint32_t lookup_how(uint32_t lookupflags) {
    return lookupflags & WASI_LOOKUP_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : LOOKUP_HERE;
}

uint32_t wasi_path_filestat_get(struct wasi_call *call) {
    struct place place;
    OWNED_FOUND found = FOUND_INIT;
    uint8_t *to = guest_bytes(call, argument(call, 4), WASI_FILESTAT_SIZE);
    uint32_t status = read_place(call, WASI_RIGHT_PATH_FILESTAT_GET, 2, &place);
    if (status)
        return status;
    if (!to)
        return WASI_E_FAULT;
    status = place_find(call, &place, lookup_how(argument(call, 1)), &found);
    if (status)
        return status;
    if (S_ISREG(found.st.st_mode))
        place_trace(call, &place, WASI_TRACE_FILE);
    charge(call, COST_SYSCALL);
    wasi_put_filestat(call->wasi, to, &found.st, found.synthetic ? NULL : place.mount, place.path);
    return WASI_E_SUCCESS;
}

uint32_t wasi_path_filestat_set_times(struct wasi_call *call) {
    struct place place;
    OWNED_FOUND found = FOUND_INIT;
    struct timespec times[2];
    uint32_t status = read_place(call, WASI_RIGHT_PATH_FILESTAT_SET_TIMES, 2, &place);
    if (!status)
        status = place_writable(&place);
    if (!status)
        status = wasi_times(call->args[4], call->args[5], argument(call, 6), times);
    if (!status)
        status = place_find(call, &place, lookup_how(argument(call, 1)) | LOOKUP_CHANGE, &found);
    if (status)
        return status;
    if (found.synthetic)
        return WASI_E_ROFS;
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.times"))
        return WASI_E_IO;
    return utimensat(found.fd, "", times, AT_EMPTY_PATH) == 0 ? WASI_E_SUCCESS : wasi_errno(errno);
}

uint32_t wasi_path_readlink(struct wasi_call *call) {
    struct place place;
    OWNED_FOUND found = FOUND_INIT;
    uint32_t capacity = argument(call, 4);
    uint8_t *to = guest_bytes(call, argument(call, 3), capacity), *ret = guest_bytes(call, argument(call, 5), 4);
    uint32_t status = read_place(call, WASI_RIGHT_PATH_READLINK, 1, &place);
    if (status)
        return status;
    if (!to || !ret)
        return WASI_E_FAULT;
    status = place_find(call, &place, LOOKUP_HERE, &found);
    if (status)
        return status;
    if (!S_ISLNK(found.st.st_mode) || capacity == 0)
        return WASI_E_INVAL;
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.readlink"))
        return WASI_E_IO;
    ssize_t n = readlinkat(found.fd, "", (char *)to, capacity);
    if (n < 0)
        return wasi_errno(errno);
    store_u32(ret, (uint32_t)n);
    return WASI_E_SUCCESS;
}

/* A path_open, its arguments decoded. */
struct opening {
    struct place place;
    uint32_t oflags;
    unsigned how;
    int access; /* O_RDONLY, O_WRONLY or O_RDWR */
    uint64_t rights, inheriting;
    uint16_t fdflags;
};

static uint32_t read_opening(struct wasi_call *call, struct opening *ret) {
    struct descriptor *folder;
    uint32_t fdflags = argument(call, 7), status = read_place(call, WASI_RIGHT_PATH_OPEN, 2, &ret->place);
    if (!status)
        status = wasi_descriptor(call, argument(call, 0), 0, &folder);
    if (status)
        return status;
    ret->oflags = argument(call, 4);
    ret->fdflags = (uint16_t)fdflags;
    if ((ret->oflags & ~(uint32_t)WASI_OFLAGS) || (fdflags & ~(uint32_t)WASI_FDFLAGS))
        return WASI_E_INVAL;
    if ((ret->oflags & WASI_OFLAG_CREAT) && (ret->oflags & WASI_OFLAG_DIRECTORY))
        return WASI_E_INVAL;
    /* A guest asks for more than the folder passes on when it doesn't look first: it gets what there is. */
    ret->rights = call->args[5] & folder->inheriting;
    ret->inheriting = call->args[6] & folder->inheriting;
    bool reads = ret->rights & (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR),
         writes = ret->rights & WASI_RIGHT_FD_WRITE;
    ret->access = !writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY;
    ret->how = lookup_how(argument(call, 1));
    if (!writes && !(ret->oflags & (WASI_OFLAG_CREAT | WASI_OFLAG_TRUNC)))
        return WASI_E_SUCCESS;
    ret->how |= LOOKUP_CHANGE;
    if ((ret->oflags & WASI_OFLAG_CREAT) && !(folder->rights & WASI_RIGHT_PATH_CREATE_FILE))
        return WASI_E_NOTCAPABLE;
    if ((ret->oflags & WASI_OFLAG_TRUNC) && !(folder->rights & WASI_RIGHT_PATH_FILESTAT_SET_SIZE))
        return WASI_E_NOTCAPABLE;
    return place_writable(&ret->place);
}

static uint32_t create_file(struct wasi_call *call, const struct opening *o, int *ret_fd) {
    uint64_t allowed = 0;
    if (o->place.folder)
        return WASI_E_ISDIR;
    uint32_t status = wasi_quota(call->wasi, CREATION_BYTES, &allowed);
    if (!status)
        status = place_create(call, &o->place, o->access, ret_fd);
    if (!status)
        call->wasi->written += allowed;
    return status;
}

static uint32_t open_existing(struct wasi_call *call, const struct opening *o, const struct found *found,
                              int *ret_fd) {
    bool folder = S_ISDIR(found->st.st_mode);
    if ((o->oflags & WASI_OFLAG_CREAT) && (o->oflags & WASI_OFLAG_EXCL))
        return WASI_E_EXIST;
    if (S_ISLNK(found->st.st_mode))
        return WASI_E_LOOP;
    if ((o->oflags & WASI_OFLAG_DIRECTORY) && !folder)
        return WASI_E_NOTDIR;
    if (folder && (o->how & LOOKUP_CHANGE))
        return WASI_E_ISDIR;
    if (found->synthetic)
        return WASI_E_SUCCESS;
    int flags = folder ? O_RDONLY | O_DIRECTORY : o->access | (o->oflags & WASI_OFLAG_TRUNC ? O_TRUNC : 0);
    uint32_t status = found_open(call, found, flags, ret_fd);
    if (!status && !folder && o->access != O_WRONLY)
        place_trace(call, &o->place, WASI_TRACE_FILE);
    return status;
}

/* Opens or creates the file or folder; *ret_folder tells which. The host descriptor is -1 for a synthetic folder. */
static uint32_t open_place(struct wasi_call *call, const struct opening *o, int *ret_fd, bool *ret_folder,
                           bool *ret_synthetic) {
    OWNED_FOUND found = FOUND_INIT;
    *ret_folder = *ret_synthetic = false;
    uint32_t status = place_find(call, &o->place, o->how, &found);
    if (status == WASI_E_NOENT && (o->oflags & WASI_OFLAG_CREAT)) {
        status = create_file(call, o, ret_fd);
        if (status != WASI_E_EXIST || (o->oflags & WASI_OFLAG_EXCL))
            return status;
        /* Somebody else made it meanwhile, or there's a link to nowhere, which we don't create through. */
        status = place_find(call, &o->place, o->how, &found);
    }
    if (status)
        return status;
    *ret_folder = S_ISDIR(found.st.st_mode);
    *ret_synthetic = found.synthetic;
    return open_existing(call, o, &found, ret_fd);
}

static void fill(struct descriptor *d, const struct opening *o, bool folder, const struct mount *m, int host_fd,
                 char *path) {
    *d = (struct descriptor){
        .kind = folder ? DESCRIPTOR_FOLDER : DESCRIPTOR_FILE,
        .host_fd = host_fd,
        .flags = o->fdflags,
        .mount = m,
        .rights = o->rights & (folder ? FOLDER_RIGHTS : FILE_RIGHTS),
        .inheriting = folder ? o->inheriting : 0,
        .path = path,
    };
}

uint32_t wasi_open_nothing(struct wasi_call *call, bool folder) {
    struct opening o;
    uint32_t fd = 0;
    uint8_t *ret = guest_bytes(call, argument(call, 8), 4);
    uint32_t status = read_opening(call, &o);
    if (!status)
        status = ret ? wasi_claim(call->wasi, &fd) : (uint32_t)WASI_E_FAULT;
    if (status)
        return status;
    char *path = folder ? strdup(o.place.path) : NULL;
    if (folder && !path)
        return WASI_E_NOMEM;
    fill(&call->wasi->table[fd], &o, folder, o.place.mount, -1, path);
    store_u32(ret, fd);
    return WASI_E_SUCCESS;
}

uint32_t wasi_path_open(struct wasi_call *call) {
    struct opening o;
    CLEANUP(cleanup_close) int host_fd = -1;
    CLEANUP(cleanup_free) char *path = NULL;
    bool folder = false, synthetic = false;
    uint32_t fd = 0;
    uint8_t *ret = guest_bytes(call, argument(call, 8), 4);
    uint32_t status = read_opening(call, &o);
    if (status)
        return status;
    if (!ret)
        return WASI_E_FAULT;
    /* Everything that can fail here comes before a file is created or cut short. */
    status = wasi_claim(call->wasi, &fd);
    if (status)
        return status;
    path = FAULT("wasi.path") ? NULL : strdup(o.place.path);
    if (!path)
        return WASI_E_NOMEM;
    status = open_place(call, &o, &host_fd, &folder, &synthetic);
    if (status)
        return status;
    fill(&call->wasi->table[fd], &o, folder, synthetic ? NULL : o.place.mount, host_fd, folder ? path : NULL);
    host_fd = -1;
    if (folder)
        path = NULL;
    store_u32(ret, fd);
    return WASI_E_SUCCESS;
}
