/* A host folder tree, the mounts over it and a guest's memory, for the tests of the WASI host.
 *
 * On the host, below world.root (a temporary folder):
 *   data/      → /data, writable     file.txt "hello", sub/inner.txt, links in and out, a FIFO, a socket, locked/
 *   data/locked/ → /data/locked, read-only      kept.txt
 *   ro/        → /ro, read-only      r.txt, sub/
 *   src/       → /project, sources   main.py, pkg/…, and what must stay hidden
 *   out/       → /project/out, writable, has no folder in src/
 *   single.txt → /etc/conf/single.txt, writable
 *   fixed.txt, outside/   not mounted
 */
#ifndef TESTS_WASI_WORLD_H
#define TESTS_WASI_WORLD_H

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "sandbox/tape.h"
#include "sandbox/wasi.h"
#include "sandbox/wasi_abi.h"

enum { WORLD_MOUNTS = 6, WORLD_MEMORY = 256 * 1024 };

/* Where the helpers put things in guest memory. */
enum {
    AT_RESULT = 0,
    AT_RESULT_2 = 8,
    AT_STAT = 64,
    AT_VECTORS = 1024,
    AT_PATH = 16384,
    AT_PATH_2 = 32768,
    AT_BUFFER = 65536,
    BUFFER_SIZE = WORLD_MEMORY - AT_BUFFER,
};

enum {
    READ = WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL |
           WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_PATH_OPEN | WASI_RIGHT_PATH_FILESTAT_GET | WASI_RIGHT_FD_SYNC |
           WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_DATASYNC |
           WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_POLL_FD_READWRITE,
    WRITE = WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_SEEK |
            WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_TIMES,
};

struct world {
    char root[256];
    struct mount mounts[WORLD_MOUNTS];
    struct wasi_options options;
    struct wasi *wasi;
    uint8_t *memory; /* exactly size bytes, so that ASan sees every step beyond */
    uint64_t size;
    struct wasi_call last; /* what the last call ended with */
    struct buffer output[3];
    struct buffer trace; /* "F path\n", "D path\n" or "A path\n"; paths relative to root */
    struct tape tape;
    struct buffer kept; /* what was taken from it: all that a replay gets */
};

int world_setup(void **state);
int world_teardown(void **state);
/* A new wasi with the options as they are now. */
void world_restart(struct world *w);

/* Anew, with empty memory, recording a tape from now on. */
void world_record(struct world *w);
/* Anew, with empty memory, replaying what was recorded so far, then recording on. */
void world_replay(struct world *w);
/* Moves what was recorded since the last time to `kept`. */
void world_keep(struct world *w);

/* All that can be seen of the host's tree from outside but times of access, one line for each name. */
void world_tree(const struct world *w, struct buffer *ret);

/* The call as a sandbox makes it: with options.tape, if there's one. */
uint32_t world_call(struct world *w, const char *name, const uint64_t *args);
/* Missing arguments are 0. */
#define CALL(w, name, ...) world_call(w, name, (const uint64_t[10]){__VA_ARGS__})

/* Copies text to guest memory at `at`; its length. */
uint32_t world_put(struct world *w, uint32_t at, const char *text);
uint32_t world_u32(const struct world *w, uint32_t at);
uint64_t world_u64(const struct world *w, uint32_t at);

/* Relative to the root, links followed unless nofollow. */
uint32_t world_open(struct world *w, const char *path, uint32_t oflags, uint64_t rights, uint32_t *ret_fd);
uint32_t world_open_at(struct world *w, uint32_t folder, const char *path, uint32_t lookup, uint32_t oflags,
                       uint64_t rights, uint32_t fdflags, uint32_t *ret_fd);
uint32_t world_stat(struct world *w, const char *path);  /* to AT_STAT */
uint32_t world_lstat(struct world *w, const char *path); /* to AT_STAT */
uint8_t world_filetype(const struct world *w);           /* of AT_STAT */
/* With one vector; the count is in AT_RESULT. */
uint32_t world_write(struct world *w, uint32_t fd, const char *text);
uint32_t world_read(struct world *w, uint32_t fd, uint32_t n);
/* Reads the whole file at the path; NULL if that fails. Static. */
const char *world_content(struct world *w, const char *path);
/* All names of a folder, each with its type and a space after it ("a.txt:4 sub:3 "), read through a buffer of that
 * size; "." and ".." are left out. Static. */
const char *world_names(struct world *w, const char *path, uint32_t buffer_size);

/* root/path on the host. Static, four at a time. */
const char *world_host(const struct world *w, const char *path);
void world_host_write(const struct world *w, const char *path, const char *text);
/* Static; NULL if it isn't there. */
const char *world_host_read(const struct world *w, const char *path);
bool world_host_has(const struct world *w, const char *path);

/* For test tables. */
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
