/* Owns a sandbox's WASI state: its life, the descriptor table, the errno table and the table of functions.
 *
 * Descriptors 0, 1 and 2 are the standard streams and 3 is "/", the only pre-opened folder. Rights are enforced as
 * the specification has them, but which mount may be written is decided by the mount alone. See wasi.h for the
 * thread rule. */
#define _GNU_SOURCE 1
#include "sandbox/wasi.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/path.h"
#include "sandbox/mount.h"
#include "sandbox/wasi_lookup.h"
#include "sandbox/wasi_state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_TABLE_SIZE = 8 };

#define FUNCTION(function, types, ...)                                                                            \
    {.name = #function, .parameters = types, .call = wasi_##function __VA_OPT__(, ) __VA_ARGS__}
/* Outputs, by the numbers of their arguments. */
#define SIZE(at, bytes) .out = WASI_OUT_SIZE, .out_argument = at, .out_size = bytes
#define BUFFER(at, count, bytes) .out = WASI_OUT_BUFFER, .out_argument = at, .out_count = count, .out_size = bytes
#define VECTORS(at, count) .out = WASI_OUT_VECTORS, .out_argument = at, .out_count = count

const struct wasi_function wasi_functions[] = {
    FUNCTION(args_get, "ii"),
    FUNCTION(args_sizes_get, "ii"),
    FUNCTION(environ_get, "ii"),
    FUNCTION(environ_sizes_get, "ii"),
    FUNCTION(clock_res_get, "ii"),
    FUNCTION(clock_time_get, "iIi"),
    FUNCTION(fd_advise, "iIIi"),
    FUNCTION(fd_allocate, "iII", .taped = true),
    FUNCTION(fd_close, "i"),
    FUNCTION(fd_datasync, "i", .taped = true),
    FUNCTION(fd_fdstat_get, "ii"),
    FUNCTION(fd_fdstat_set_flags, "ii"),
    FUNCTION(fd_fdstat_set_rights, "iII"),
    FUNCTION(fd_filestat_get, "ii", .taped = true, SIZE(1, WASI_FILESTAT_SIZE)),
    FUNCTION(fd_filestat_set_size, "iI", .taped = true),
    FUNCTION(fd_filestat_set_times, "iIIi", .taped = true),
    FUNCTION(fd_pread, "iiiIi", .taped = true, VECTORS(1, 4)),
    FUNCTION(fd_prestat_get, "ii"),
    FUNCTION(fd_prestat_dir_name, "iii"),
    FUNCTION(fd_pwrite, "iiiIi", .taped = true, SIZE(4, 4)),
    FUNCTION(fd_read, "iiii", .taped = true, VECTORS(1, 3), .moves = true),
    FUNCTION(fd_readdir, "iiiIi", .taped = true, BUFFER(1, 4, 1)),
    FUNCTION(fd_renumber, "ii"),
    FUNCTION(fd_seek, "iIii", .taped = true, SIZE(3, 8), .moves = true),
    FUNCTION(fd_sync, "i", .taped = true),
    FUNCTION(fd_tell, "ii"),
    FUNCTION(fd_write, "iiii", .taped = true, SIZE(3, 4), .moves = true),
    FUNCTION(path_create_directory, "iii", .taped = true),
    FUNCTION(path_filestat_get, "iiiii", .taped = true, SIZE(4, WASI_FILESTAT_SIZE)),
    FUNCTION(path_filestat_set_times, "iiiiIIi", .taped = true),
    FUNCTION(path_link, "iiiiiii", .taped = true),
    FUNCTION(path_open, "iiiiiIIii", .taped = true, SIZE(8, 4), .opens = true),
    FUNCTION(path_readlink, "iiiiii", .taped = true, BUFFER(3, 5, 1)),
    FUNCTION(path_remove_directory, "iii", .taped = true),
    FUNCTION(path_rename, "iiiiii", .taped = true),
    FUNCTION(path_symlink, "iiiii", .taped = true),
    FUNCTION(path_unlink_file, "iii", .taped = true),
    FUNCTION(poll_oneoff, "iiii", .taped = true, BUFFER(1, 3, WASI_EVENT_SIZE)),
    FUNCTION(proc_exit, "i"),
    FUNCTION(proc_raise, "i"),
    FUNCTION(random_get, "ii"),
    FUNCTION(sched_yield, ""),
    FUNCTION(sock_accept, "iii"),
    FUNCTION(sock_recv, "iiiiii"),
    FUNCTION(sock_send, "iiiii"),
    FUNCTION(sock_shutdown, "ii"),
};
const size_t wasi_functions_n = sizeof wasi_functions / sizeof wasi_functions[0];

uint32_t wasi_errno(int host) {
    static const uint8_t numbers[] = {
#define WASI_ERRNO_ROW(name, number) [E##name] = number,
        WASI_ERRNOS(WASI_ERRNO_ROW)
#undef WASI_ERRNO_ROW
    };
    if (host < 0 || (size_t)host >= sizeof numbers || numbers[host] == 0)
        return WASI_E_IO;
    return numbers[host];
}

struct wasi_limits wasi_limits_default(void) {
    const uint64_t mib = 1024 * 1024;
    return (struct wasi_limits){
        .open_files = 256,
        .path_length = PATH_LENGTH_MAX,
        .vectors = IOV_MAX,
        .folder_entries = 65536,
        .transfer = 64 * mib,
        .output = 64 * mib,
        .file_size = 2048 * mib,
        .written = 4096 * mib,
        .subscriptions = 1024,
        .listings = 32 * mib,
    };
}

static uint64_t lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* A limit beyond what the host can do would be a promise that we can't keep. */
static void clamp_limits(struct wasi_limits *l) {
    const uint64_t transfer_max = 0x40000000; /* Linux moves less than 2 GiB a call, and the count is a u32 */
    if (l->open_files < ROOT_FD + 1)
        l->open_files = ROOT_FD + 1;
    l->path_length = (uint32_t)lesser(l->path_length, PATH_LENGTH_MAX);
    l->vectors = (uint32_t)lesser(l->vectors, IOV_MAX);
    l->transfer = lesser(l->transfer, transfer_max);
    l->file_size = lesser(l->file_size, INT64_MAX);
    l->listings = lesser(l->listings, UINT32_MAX);
}

/* The streams are character devices, but can be asked for their position, which is how wasi-libc tells that they are no
 * terminal. */
static void open_streams(struct wasi *w) {
    const uint64_t rights = WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_SEEK |
                            WASI_RIGHT_FD_TELL | WASI_RIGHT_POLL_FD_READWRITE;
    w->table[0] =
        (struct descriptor){.kind = DESCRIPTOR_INPUT, .host_fd = -1, .rights = rights | WASI_RIGHT_FD_READ};
    for (int stream = 1; stream <= 2; stream++)
        w->table[stream] = (struct descriptor){.kind = DESCRIPTOR_OUTPUT,
                                               .host_fd = -1,
                                               .stream = stream,
                                               .rights = rights | WASI_RIGHT_FD_WRITE,
                                               .flags = WASI_FDFLAG_APPEND};
}

int wasi_new(const struct wasi_options *options, struct wasi **ret, struct error *err) {
    int status = mount_check(options->mounts, options->n_mounts, err);
    if (status)
        return status;
    struct wasi *w = FAULT("wasi.new") ? NULL : calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERROR_NOMEM, "no memory for a sandbox's files");
    w->options = *options;
    clamp_limits(&w->options.limits);
    w->started_ns = clock_monotonic_ns();
    w->table = calloc(FIRST_TABLE_SIZE, sizeof *w->table);
    char *root = strdup("/");
    if (!w->table || !root) {
        free(root);
        wasi_free(w);
        return error_set(err, ERROR_NOMEM, "no memory for a sandbox's files");
    }
    w->size = FIRST_TABLE_SIZE;
    open_streams(w);
    w->table[ROOT_FD] = (struct descriptor){.kind = DESCRIPTOR_FOLDER,
                                            .host_fd = -1,
                                            .root = true,
                                            .rights = FOLDER_RIGHTS,
                                            .inheriting = FOLDER_RIGHTS | FILE_RIGHTS,
                                            .path = root};
    *ret = w;
    return 0;
}

void wasi_free(struct wasi *w) {
    if (!w)
        return;
    for (uint32_t fd = 0; fd < w->size; fd++)
        descriptor_done(w, &w->table[fd]);
    free(w->table);
    free(w);
}

bool wasi_quiescent(const struct wasi *w) {
    for (uint32_t fd = 0; fd < w->size; fd++) {
        const struct descriptor *d = &w->table[fd];
        bool expected = fd == 0         ? d->kind == DESCRIPTOR_INPUT
                        : fd < ROOT_FD  ? d->kind == DESCRIPTOR_OUTPUT && d->stream == (int)fd
                        : fd == ROOT_FD ? d->kind == DESCRIPTOR_FOLDER && d->root
                                        : d->kind == DESCRIPTOR_FREE;
        if (!expected)
            return false;
    }
    return true;
}

void descriptor_done(struct wasi *w, struct descriptor *d) {
    if (d->kind == DESCRIPTOR_FREE)
        return;
    listing_drop(w, d);
    if (d->host_fd >= 0)
        close(d->host_fd);
    free(d->path);
    *d = (struct descriptor){.kind = DESCRIPTOR_FREE, .host_fd = -1};
}

uint32_t wasi_descriptor(struct wasi_call *call, uint32_t fd, uint64_t rights, struct descriptor **ret) {
    const struct wasi *w = call->wasi;
    if (fd >= w->size || w->table[fd].kind == DESCRIPTOR_FREE)
        return WASI_E_BADF;
    struct descriptor *d = &w->table[fd];
    uint64_t missing = rights & ~d->rights;
    if (!wasi_may_touch(call, d->mount))
        return WASI_E_IO;
    if (!missing) {
        *ret = d;
        return WASI_E_SUCCESS;
    }
    if (d->kind == DESCRIPTOR_FOLDER && (missing & FILE_RIGHTS & ~(uint64_t)FOLDER_RIGHTS))
        return WASI_E_ISDIR;
    if (d->kind != DESCRIPTOR_FOLDER && (missing & FOLDER_RIGHTS & ~(uint64_t)FILE_RIGHTS))
        return WASI_E_NOTDIR;
    /* As POSIX has it for a file that wasn't opened for that. */
    if (missing & (WASI_RIGHT_FD_READ | WRITE_RIGHTS))
        return WASI_E_BADF;
    return d->kind == DESCRIPTOR_FILE || d->kind == DESCRIPTOR_FOLDER ? WASI_E_NOTCAPABLE : WASI_E_SPIPE;
}

bool wasi_may_touch(struct wasi_call *call, const struct mount *m) {
    call->outside |= m && !m->constant;
    return !(call->outside && call->stay_inside);
}

uint32_t wasi_claim(struct wasi *w, uint32_t *ret_fd) {
    for (uint32_t fd = 0; fd < w->size; fd++) {
        if (fd < w->options.limits.open_files && w->table[fd].kind == DESCRIPTOR_FREE) {
            *ret_fd = fd;
            return WASI_E_SUCCESS;
        }
    }
    uint32_t size = w->size;
    if (size >= w->options.limits.open_files)
        return WASI_E_MFILE;
    struct descriptor *table = FAULT("wasi.claim") ? NULL : reallocarray(w->table, size * 2, sizeof *table);
    if (!table)
        return WASI_E_NOMEM;
    for (uint32_t fd = size; fd < size * 2; fd++)
        table[fd] = (struct descriptor){.kind = DESCRIPTOR_FREE, .host_fd = -1};
    w->table = table;
    w->size = size * 2;
    *ret_fd = size;
    return WASI_E_SUCCESS;
}

uint32_t wasi_quota(const struct wasi *w, uint64_t n, uint64_t *ret_n) {
    uint64_t limit = w->options.limits.written;
    uint64_t left = w->written < limit ? limit - w->written : 0;
    if (n > 0 && left == 0)
        return WASI_E_DQUOT;
    *ret_n = lesser(n, left);
    return WASI_E_SUCCESS;
}
