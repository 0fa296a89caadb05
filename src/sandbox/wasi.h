/* The WASI preview 1 host of one sandbox: files through a mount table, clocks, randomness, standard output.
 *
 * This is the wall. Every address, length, descriptor, path and flag that comes in is hostile. Nothing here knows the Wasm engine: a
 * call gets the guest's memory as a view and its arguments as u64s, and returns a WASI errno. State that outlives a call is in struct wasi.
 * Thread rule: one sandbox is used by one thread at a time.
 *
 * Names are resolved lexically in the guest's namespace ("/"), then by the longest mount prefix, then on the host by
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS) below the mount's descriptor. Parents of mounts are synthetic read-only folders. */
#ifndef SANDBOX_WASI_H
#define SANDBOX_WASI_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_memory {
    uint8_t *base;
    uint64_t size;
};

enum mount_kind {
    MOUNT_FOLDER, /* all of it */
    MOUNT_FILE,   /* one file: host_fd is its parent folder, name its name there */
    /* Only what Python can import: folders and *.py, no name that starts with a dot, nothing called __pycache__ or
     * node_modules. Never writable. A symbolic link counts as what it leads to. */
    MOUNT_SOURCES,
};

struct mount {
    const char *guest; /* normalised absolute guest path: "/project/data" */
    int host_fd;       /* O_PATH folder; owned by whoever made the table */
    const char *name;  /* MOUNT_FILE only */
    const char *host;  /* absolute host path of what is mounted, a file's too; for the trace only, may be NULL */
    enum mount_kind kind;
    bool writable;
    /* What lies there is part of the guest, which its images depend on: it isn't recorded on a tape. */
    bool constant;
};

/* Limits of one sandbox; wasi_limits_default() gives the documented ones. */
struct wasi_limits {
    uint32_t open_files;     /* 256, the three standard ones included */
    uint32_t path_length;    /* 4,096 bytes, the NUL that the host adds included */
    uint32_t vectors;        /* 1,024 iovecs a call */
    uint32_t folder_entries; /* 65,536 read from one folder */
    uint64_t transfer;       /* 64 MiB moved by one read or write call; longer ones are short */
    uint64_t output;         /* 64 MiB of stdout + stderr, then the sandbox is stopped */
    uint64_t file_size;      /* 2 GiB: no write or truncation beyond */
    uint64_t written;        /* 4 GiB to files in all; each new file, folder or link counts 4,096 */
    uint32_t subscriptions;  /* 1,024 in poll_oneoff */
    uint64_t listings;       /* 32 MiB of host memory for the folder listings being read */
};
struct wasi_limits wasi_limits_default(void);

/* What a traced path was used for; see app/dependencies.h. */
enum wasi_trace_kind { WASI_TRACE_FILE, WASI_TRACE_FOLDER, WASI_TRACE_ABSENT };

struct wasi_options {
    const struct mount *mounts; /* kept by reference; no two with the same guest path */
    size_t n_mounts;
    struct wasi_limits limits;
    /* The guest's standard output (1) and error (2) as they're written. NULL: discarded. */
    void (*output)(void *user, int stream, const void *bytes, size_t n);
    /* While an image is built: each path looked up below a mount with a host path. NULL: none. */
    void (*trace)(void *user, enum wasi_trace_kind kind, const char *host_path);
    void *user;
    struct tape *tape; /* NULL: nothing is recorded; borrowed */
};

/* Why a call must not simply return to the guest. */
enum wasi_end {
    WASI_GO_ON,
    WASI_EXIT,         /* proc_exit: see exit_code */
    WASI_OUTPUT_LIMIT, /* wrote more than limits.output */
    /* poll_oneoff with only clocks: sleep until park_until_ns (monotonic), then the call has succeeded; the events are
     * written already. */
    WASI_PARK,
};

struct wasi;
int wasi_new(const struct wasi_options *options, struct wasi **ret, struct error *err);
void wasi_free(struct wasi *w); /* closes every descriptor */
/* True when nothing is open but the standard streams and the root: required for taking an image. */
bool wasi_quiescent(const struct wasi *w);

struct wasi_call {
    struct wasi *wasi;
    struct guest_memory memory;
    const uint64_t *args; /* i32 arguments zero-extended */
    /* Out. The caller starts them at zero, as a designated initialiser does: calls only set or add. */
    enum wasi_end end;
    uint32_t exit_code;
    uint64_t park_until_ns;
    uint64_t cost; /* host work, in fuel units: about 1 per ns (1000 for a system call, bytes / 8 for copies) */
    bool outside;  /* it looked at, or changed, what isn't the guest's own */
    /* In: such a call is to fail with IO before anything happens. */
    bool stay_inside;
};

/* What a call leaves in guest memory when it succeeds, for the tape. */
enum wasi_out {
    WASI_OUT_NONE,
    WASI_OUT_SIZE,    /* out_size bytes at argument out_argument */
    WASI_OUT_BUFFER,  /* items of out_size bytes there; how many is at argument out_count (u32) */
    WASI_OUT_VECTORS, /* bytes in the vectors there; how many likewise */
};

/* One import of "wasi_snapshot_preview1". parameters: 'i' (i32) and 'I' (i64) each; all return an errno as i32 (proc_exit: nothing). */
struct wasi_function {
    const char *name, *parameters;
    uint32_t (*call)(struct wasi_call *call);
    bool
        taped; /* what it comes to depends on more than the guest and its image (clocks and randomness have entries of their own) */
    enum wasi_out out;
    uint8_t out_argument, out_count;
    uint16_t out_size;
    bool moves; /* the position of an open file */
    bool opens; /* a descriptor */
};
extern const struct wasi_function wasi_functions[];
extern const size_t wasi_functions_n;

#endif
