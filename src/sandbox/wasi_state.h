/* What outlives one WASI call: descriptors, counters. Shared by wasi*.c only.
 *
 * Invariants: a descriptor's `host_fd` is its own and closed with it; `rights` never grow; `mount` points into the
 * options' table. The position in a file is `offset`: the host's is never used, so a descriptor's state is all here.
 * Thread rule: as wasi.h. */
#ifndef SANDBOX_WASI_STATE_H
#define SANDBOX_WASI_STATE_H

#include "sandbox/wasi.h"
#include "sandbox/wasi_abi.h"
#include "sandbox/wasi_memory.h"

#include <sys/stat.h>

enum descriptor_kind {
    DESCRIPTOR_FREE,
    DESCRIPTOR_INPUT,  /* always at its end */
    DESCRIPTOR_OUTPUT, /* to options.output */
    DESCRIPTOR_FOLDER,
    DESCRIPTOR_FILE,
};

struct listing; /* wasi_readdir.c */

struct descriptor {
    enum descriptor_kind kind;
    int host_fd;    /* -1: standard stream, synthetic folder, or what a replay couldn't open again */
    int stream;     /* DESCRIPTOR_OUTPUT */
    uint16_t flags; /* enum wasi_fdflag; kept here, given to the host with each write */
    bool root;
    const struct mount *mount; /* NULL: standard stream or synthetic folder */
    uint64_t rights, inheriting;
    uint64_t offset;
    char *path; /* DESCRIPTOR_FOLDER: its guest path when it was opened; owned */
    struct listing *listing;
};

struct wasi {
    struct wasi_options options;
    uint64_t started_ns;              /* monotonic */
    uint64_t output, written, listed; /* so far, against the limits of the same name */
    struct descriptor *table;
    uint32_t size;
};

/* In fuel units; see wasi_call.cost. */
enum {
    COST_SYSCALL = 1000,
    COST_SYNC = 1000000,
    COST_ENTRY = 200, /* one name of a folder or one poll subscription */
    COST_RANDOM_BYTE = 3,
    COST_BYTES = 8, /* bytes copied per unit */
};

/* A new file, folder or link counts this much against limits.written, so that empty ones run out too. */
enum { CREATION_BYTES = 4096 };

enum { ROOT_FD = 3 };

enum {
    FOLDER_RIGHTS = WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC |
                    WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE | WASI_RIGHT_PATH_LINK_SOURCE |
                    WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN | WASI_RIGHT_FD_READDIR |
                    WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE | WASI_RIGHT_PATH_RENAME_TARGET |
                    WASI_RIGHT_PATH_FILESTAT_GET | WASI_RIGHT_PATH_FILESTAT_SET_SIZE |
                    WASI_RIGHT_PATH_FILESTAT_SET_TIMES | WASI_RIGHT_FD_FILESTAT_GET |
                    WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_SYMLINK | WASI_RIGHT_PATH_REMOVE_DIRECTORY |
                    WASI_RIGHT_PATH_UNLINK_FILE | WASI_RIGHT_POLL_FD_READWRITE,
    FILE_RIGHTS = WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK |
                  WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_WRITE |
                  WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_GET |
                  WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_FILESTAT_SET_TIMES |
                  WASI_RIGHT_POLL_FD_READWRITE,
    /* What only a file that was opened for writing has. */
    WRITE_RIGHTS = WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE,
};

static inline void charge(struct wasi_call *call, uint64_t units) {
    call->cost += units;
}

/* The WASI errno for a host errno; WASI_E_IO for what it doesn't know. */
uint32_t wasi_errno(int host);

/* An open descriptor that has all of `rights`. Otherwise the errno that says best why not: BADF, or ISDIR, NOTDIR
 * and SPIPE where the kind is wrong, or NOTCAPABLE. The pointer holds until the next wasi_claim. */
uint32_t wasi_descriptor(struct wasi_call *call, uint32_t fd, uint64_t rights, struct descriptor **ret);

/* Notes that the call is about what is mounted there (NULL: a synthetic folder). False: it must not go on. */
bool wasi_may_touch(struct wasi_call *call, const struct mount *m);

/* The lowest free descriptor, still DESCRIPTOR_FREE: the caller fills it in last. MFILE or NOMEM. */
uint32_t wasi_claim(struct wasi *w, uint32_t *ret_fd);

/* Closes what it holds and leaves it DESCRIPTOR_FREE. */
void descriptor_done(struct wasi *w, struct descriptor *d);

/* Frees d->listing. In wasi_readdir.c. */
void listing_drop(struct wasi *w, struct descriptor *d);

/* Checks that n more bytes may be written: *ret_n is at most n. DQUOT when nothing is left (and n > 0). */
uint32_t wasi_quota(const struct wasi *w, uint64_t n, uint64_t *ret_n);

/* Writes a filestat record of st, as seen through mount m (NULL: synthetic, `path` gives its inode). */
void wasi_put_filestat(const struct wasi *w, uint8_t *to, const struct stat *st, const struct mount *m,
                       const char *path);
uint8_t wasi_filetype(mode_t mode);
/* The inode of a folder that no host folder stands for: a hash of its guest path, never 0. */
uint64_t wasi_synthetic_ino(const char *path);

/* The two timespecs for utimensat from WASI's flags, or INVAL. */
uint32_t wasi_times(uint64_t atim, uint64_t mtim, uint32_t flags, struct timespec ret[2]);

/* path_open's arguments once more, for what can't be opened any more: a descriptor as it had given, whose use is an error (host_fd is -1). */
uint32_t wasi_open_nothing(struct wasi_call *call, bool folder);

/* Nanoseconds of a WASI clock as the guest sees it, or INVAL. Not recorded on the tape. */
uint32_t wasi_clock_now(const struct wasi *w, uint32_t id, uint64_t *ret);

/* The calls, by the file that owns them. */
#define WASI_CALL(name) uint32_t wasi_##name(struct wasi_call *call)
/* wasi_system.c */
WASI_CALL(args_get);
WASI_CALL(args_sizes_get);
WASI_CALL(environ_get);
WASI_CALL(environ_sizes_get);
WASI_CALL(clock_res_get);
WASI_CALL(clock_time_get);
WASI_CALL(random_get);
WASI_CALL(proc_exit);
WASI_CALL(proc_raise);
WASI_CALL(sched_yield);
WASI_CALL(sock_accept);
WASI_CALL(sock_recv);
WASI_CALL(sock_send);
WASI_CALL(sock_shutdown);
/* wasi_poll.c */
WASI_CALL(poll_oneoff);
/* wasi_fd.c */
WASI_CALL(fd_advise);
WASI_CALL(fd_allocate);
WASI_CALL(fd_close);
WASI_CALL(fd_datasync);
WASI_CALL(fd_fdstat_get);
WASI_CALL(fd_fdstat_set_flags);
WASI_CALL(fd_fdstat_set_rights);
WASI_CALL(fd_filestat_get);
WASI_CALL(fd_filestat_set_size);
WASI_CALL(fd_filestat_set_times);
WASI_CALL(fd_prestat_get);
WASI_CALL(fd_prestat_dir_name);
WASI_CALL(fd_renumber);
WASI_CALL(fd_seek);
WASI_CALL(fd_sync);
WASI_CALL(fd_tell);
/* wasi_io.c */
WASI_CALL(fd_pread);
WASI_CALL(fd_pwrite);
WASI_CALL(fd_read);
WASI_CALL(fd_write);
/* wasi_readdir.c */
WASI_CALL(fd_readdir);
/* wasi_path.c */
WASI_CALL(path_filestat_get);
WASI_CALL(path_filestat_set_times);
WASI_CALL(path_open);
WASI_CALL(path_readlink);
/* wasi_change.c */
WASI_CALL(path_create_directory);
WASI_CALL(path_link);
WASI_CALL(path_remove_directory);
WASI_CALL(path_rename);
WASI_CALL(path_symlink);
WASI_CALL(path_unlink_file);

#endif
