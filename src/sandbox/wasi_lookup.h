/* From a path in guest memory to an open host descriptor: the narrow gate through which every path call goes.
 *
 *   place   what a path means lexically: which mount, and what lies below it. No system call was made.
 *   found   what is there: an O_PATH descriptor that openat2 resolved beneath the mount, and its stat.
 *
 * Because a file is first found by O_PATH and only opened for use when it is known to be a regular file or folder,
 * no FIFO or device is ever opened. Thread rule: as wasi.h. */
#ifndef SANDBOX_WASI_LOOKUP_H
#define SANDBOX_WASI_LOOKUP_H

#include "base/path.h"
#include "sandbox/wasi_state.h"

struct place {
    char path[PATH_LENGTH_MAX]; /* normalised guest path; open_parent splits it */
    const struct mount *mount;  /* NULL: only a synthetic folder can be here */
    char *rest;                 /* below the mount, "" for the mount itself; in path */
    bool folder;                /* written so that only a folder can be meant: "x/", "x/.", ".." */
    bool dots;                  /* its last component was "." or ".." */
    bool covers;                /* mount points lie below it, so it is a folder whatever the host has */
};

struct found {
    int fd; /* O_PATH; -1 if synthetic */
    bool synthetic;
    struct stat st; /* zero but for mode and links if synthetic */
};
#define FOUND_INIT ((struct found){.fd = -1})
void found_done(struct found *f);

enum lookup {
    LOOKUP_HERE = 0,        /* a symbolic link at the end is what's meant */
    LOOKUP_FOLLOW = 1 << 0, /* or what it points to */
    LOOKUP_CHANGE = 1 << 1, /* in order to change something */
};

/* The place of guest memory's path[0..n), relative to the folder. NOENT (empty), NAMETOOLONG, ILSEQ (holds a NUL) or
 * FAULT. */
uint32_t place_read(struct wasi_call *call, const struct descriptor *folder, uint64_t address, uint64_t n,
                    struct place *ret);
/* The place of a guest path of ours. */
void place_of(const struct wasi *w, const char *path, struct place *ret);

/* The place of the name in a folder; false if its path would be too long. */
bool place_child(const struct wasi *w, const struct place *folder, const char *name, size_t n, struct place *ret);

/* ROFS unless things may be changed there. */
uint32_t place_writable(const struct place *p);

/* What is there, with the rules of mounts applied: hidden names are NOENT, leaving the mount is PERM. Failed lookups
 * are traced. A symbolic link is only returned without LOOKUP_FOLLOW. */
uint32_t place_find(struct wasi_call *call, const struct place *p, unsigned how, struct found *ret);

/* Creates a regular file there and opens it; never follows a link at the end. The access mode is O_RDONLY and so on. */
uint32_t place_create(struct wasi_call *call, const struct place *p, int access, int *ret_fd);

/* Opens the folder that holds p's last component, for an *at() call with exactly that name (never "..", no slash).
 * ROFS, INVAL ("." or ".." at the end) or BUSY (a mount point, or above one). Ends the use of p: its path is split. */
uint32_t place_open_parent(struct wasi_call *call, struct place *p, int *ret_fd, const char **ret_name);

/* Opens a found regular file or folder for use; NOTSUP for anything else. */
uint32_t found_open(struct wasi_call *call, const struct found *f, int flags, int *ret_fd);

/* Whether a name below mount p, in the folder p->rest, is seen there; type as in dirent.h. */
bool place_lists(struct wasi_call *call, const struct place *p, const char *name, unsigned char type);

/* Reports the use of p to options.trace, if its mount has a host path. */
void place_trace(const struct wasi_call *call, const struct place *p, enum wasi_trace_kind kind);

#endif
