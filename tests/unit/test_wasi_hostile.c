/* Hostile arguments for every WASI function: none may touch anything outside the guest's memory, hang or crash, and
 * nothing outside the mounts may change. Also the torture run: every fallible host call fails once.
 *
 * The guest's memory is tried in two shapes: an allocation of exactly its size, for ASan; and in the midst of canaries,
 * which also show what the kernel writes. The arguments come from a fixed sequence, so a failure can be repeated. */
#define _GNU_SOURCE 1
#include "wasi_world.h"

#include "base/fault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CANARY = 4096, SMALL = 4096, ROUNDS = 1500 };

static uint64_t sequence;

static uint64_t next(void) {
    sequence ^= sequence << 13;
    sequence ^= sequence >> 7;
    sequence ^= sequence << 17;
    return sequence;
}

static uint64_t hostile(uint64_t size) {
    const uint64_t values[] = {
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        16,
        24,
        48,
        64,
        100,
        1024,
        1025,
        4095,
        4096,
        65536,
        size - 1,
        size,
        size + 1,
        size - 4,
        size - 8,
        size - 24,
        size - 64,
        size / 2,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0xfffffff8,
        0xffffffc0,
        0xfffff000,
        UINT64_C(0x100000000),
        UINT64_C(0x100000003),
        INT64_MAX,
        UINT64_C(1) << 63,
        UINT64_MAX,
        UINT64_MAX - 7,
    };
    const size_t n = sizeof values / sizeof values[0];
    return values[next() % n];
}

/* Addresses and lengths that look right, and paths that lead somewhere. */
static void fill(uint8_t *memory, uint64_t size) {
    static const char *const paths[] = {
        "data/file.txt",      "data/sub/..", "/",       ".",  "data/link_out",
        "data/new",           "ro/r.txt",    "project", "..", "data/dirout/secret.txt",
        "etc/conf/single.txt"};
    for (uint64_t i = 0; i + 4 <= size; i += 4) {
        uint32_t v = (uint32_t)(next() % 4 ? hostile(size) : next() % (size + 1));
        memcpy(memory + i, &v, sizeof v);
    }
    for (size_t i = 0; i < 8 && size >= 64; i++) {
        const char *path = paths[next() % (sizeof paths / sizeof paths[0])];
        memcpy(memory + next() % (size - 40), path, strlen(path) + 1);
    }
}

static void set_small_limits(struct world *w) {
    w->options.limits = (struct wasi_limits){
        .open_files = 16,
        .path_length = 4096,
        .vectors = 1024,
        .folder_entries = 1000,
        .transfer = 65536,
        .output = UINT32_MAX,
        .file_size = 100000,
        .written = 1000000,
        .subscriptions = 1024,
        .listings = 100000,
    };
    w->options.output = NULL;
    w->options.trace = NULL;
}

/* Some descriptors of each kind for the calls to work on. */
static void open_some(struct world *w) {
    uint32_t fd;
    world_restart(w);
    assert_int_equal(world_open(w, "data/file.txt", WASI_OFLAG_CREAT, READ | WRITE, &fd), 0);
    assert_int_equal(world_open(w, "data", 0, READ, &fd), 0);
    assert_int_equal(world_open(w, "ro/r.txt", 0, READ, &fd), 0);
    assert_int_equal(world_open(w, "etc", 0, READ, &fd), 0);
    assert_int_equal(world_open(w, "project", 0, READ, &fd), 0);
}

static void call_with(struct world *w, const struct wasi_function *f, uint8_t *memory, uint64_t size) {
    uint64_t args[10];
    size_t n = strlen(f->parameters);
    for (size_t i = 0; i < n; i++)
        args[i] = next() % 8 ? hostile(size) : next();
    if (n > 0 && next() % 4)
        args[0] = next() % 10;
    /* A path_open or rename that gets as far as the host. */
    if (n > 3 && next() % 4 == 0) {
        args[2] = next() % (size + 1);
        args[3] = next() % 40;
    }
    struct wasi_call call = {.wasi = w->wasi, .memory = {memory, size}, .args = args};
    uint32_t status = f->call(&call);
    if (status > WASI_E_NOTCAPABLE)
        fail_msg("%s gave %u", f->name, status);
}

static void hammer(struct world *w, const struct wasi_function *f, uint8_t *memory, uint64_t size) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 50 == 0)
            open_some(w);
        if (i % 10 == 0)
            fill(memory, size);
        call_with(w, f, memory, size);
    }
}

static void check_outside(const struct world *w) {
    assert_string_equal(world_host_read(w, "outside/secret.txt"), "secret");
    assert_string_equal(world_host_read(w, "fixed.txt"), "fixed");
    assert_string_equal(world_host_read(w, "ro/r.txt"), "readonly");
    assert_string_equal(world_host_read(w, "src/main.py"), "print(1)");
    assert_string_equal(world_host_read(w, "data/locked/kept.txt"), "kept");
}

static void never_outside_an_exact_allocation(void **state) {
    static const uint64_t sizes[] = {1, 3, 63, 64, 100, SMALL, 65536};
    struct world *w = *state;
    sequence = UINT64_C(0x9e3779b97f4a7c15);
    set_small_limits(w);
    for (size_t i = 0; i < wasi_functions_n; i++) {
        uint64_t size = sizes[i % 3 ? 4 + i % 3 : next() % 7];
        uint8_t *memory = malloc(size);
        hammer(w, &wasi_functions[i], memory, size);
        free(memory);
    }
    check_outside(w);
}

static void never_into_the_canaries(void **state) {
    struct world *w = *state;
    uint8_t *all = malloc(SMALL + 2 * CANARY);
    sequence = UINT64_C(0x2545f4914f6cdd1d);
    set_small_limits(w);
    for (size_t i = 0; i < wasi_functions_n; i++) {
        memset(all, 0xa5, SMALL + 2 * CANARY);
        hammer(w, &wasi_functions[i], all + CANARY, SMALL);
        for (size_t j = 0; j < CANARY; j++)
            if (all[j] != 0xa5 || all[CANARY + SMALL + j] != 0xa5)
                fail_msg("%s wrote outside", wasi_functions[i].name);
    }
    free(all);
    check_outside(w);
}

static void no_memory_at_all(void **state) {
    struct world *w = *state;
    const uint64_t args[10] = {3};
    for (size_t i = 0; i < wasi_functions_n; i++) {
        struct wasi_call call = {.wasi = w->wasi, .memory = {NULL, 0}, .args = args};
        wasi_functions[i].call(&call);
    }
}

/* Each address of each function just past what fits. All of these calls would succeed in a larger memory. */
static const struct {
    const char *name;
    uint64_t args[10];
    unsigned address; /* which argument; it's set so that the last byte is outside */
    uint32_t size;
} past_the_end[] = {
    {"args_sizes_get", {0, 8}, 0, 4},
    {"args_sizes_get", {0, 8}, 1, 4},
    {"environ_sizes_get", {0, 8}, 1, 4},
    {"clock_res_get", {0, 0}, 1, 8},
    {"clock_time_get", {0, 0, 0}, 2, 8},
    {"fd_fdstat_get", {4, 0}, 1, WASI_FDSTAT_SIZE},
    {"fd_filestat_get", {4, 0}, 1, WASI_FILESTAT_SIZE},
    {"fd_prestat_get", {3, 0}, 1, WASI_PRESTAT_SIZE},
    {"fd_prestat_dir_name", {3, 0, 1}, 1, 1},
    {"fd_seek", {4, 0, 0, 0}, 3, 8},
    {"fd_tell", {4, 0}, 1, 8},
    {"fd_read", {4, AT_VECTORS, 1, 0}, 1, 8},
    {"fd_read", {4, AT_VECTORS, 1, 0}, 3, 4},
    {"fd_write", {1, AT_VECTORS, 1, 0}, 1, 8},
    {"fd_write", {1, AT_VECTORS, 1, 0}, 3, 4},
    {"fd_pread", {4, AT_VECTORS, 1, 0, 0}, 4, 4},
    {"fd_pwrite", {4, AT_VECTORS, 1, 0, 0}, 4, 4},
    {"fd_readdir", {3, 0, 500, 0, 0}, 1, 500},
    {"fd_readdir", {3, AT_BUFFER, 500, 0, 0}, 4, 4},
    {"path_filestat_get", {3, 0, 0, 1, AT_STAT}, 2, 1},
    {"path_filestat_get", {3, 0, AT_PATH, 1, 0}, 4, WASI_FILESTAT_SIZE},
    {"path_open", {3, 0, 0, 1, 0, READ, 0, 0, 0}, 2, 1},
    {"path_open", {3, 0, AT_PATH, 1, 0, READ, 0, 0, 0}, 8, 4},
    {"path_create_directory", {3, 0, 4}, 1, 4},
    {"path_rename", {3, 0, 4, 3, AT_PATH, 1}, 1, 4},
    {"path_rename", {3, AT_PATH, 1, 3, 0, 4}, 4, 4},
    {"path_symlink", {0, 4, 3, AT_PATH, 1}, 0, 4},
    {"path_readlink", {3, AT_PATH, 1, 0, 10, 0}, 3, 10},
    {"path_readlink", {3, AT_PATH, 1, AT_BUFFER, 10, 0}, 5, 4},
    {"poll_oneoff", {0, AT_BUFFER, 1, 0}, 0, WASI_SUBSCRIPTION_SIZE},
    {"poll_oneoff", {AT_STAT, 0, 1, 0}, 1, WASI_EVENT_SIZE},
    {"poll_oneoff", {AT_STAT, AT_BUFFER, 1, 0}, 3, 4},
    {"random_get", {0, 100}, 0, 100},
};

static void results_need_their_whole_place(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "data/file.txt", 0, READ | WRITE, &fd), 0);
    world_put(w, AT_PATH, ".");
    for (size_t i = 0; i < sizeof past_the_end / sizeof past_the_end[0]; i++) {
        static const uint64_t beyond[] = {0, 1, UINT32_MAX - WORLD_MEMORY};
        for (size_t j = 0; j < 3; j++) {
            uint64_t args[10];
            memcpy(args, past_the_end[i].args, sizeof args);
            args[past_the_end[i].address] = WORLD_MEMORY - past_the_end[i].size + 1 + beyond[j];
            uint32_t status = world_call(w, past_the_end[i].name, args);
            if (status != WASI_E_FAULT)
                fail_msg("row %zu, %s: %u", i, past_the_end[i].name, status);
        }
    }
    /* A vector that ends outside, after one that doesn't: nothing is moved. */
    const uint32_t vectors[] = {AT_BUFFER, 5, WORLD_MEMORY - 1, 2};
    memcpy(w->memory + AT_VECTORS, vectors, sizeof vectors);
    assert_int_equal(CALL(w, "fd_read", fd, AT_VECTORS, 2, AT_RESULT), WASI_E_FAULT);
    assert_int_equal(w->memory[AT_BUFFER], 0);
    assert_int_equal(CALL(w, "fd_write", fd, AT_VECTORS, 2, AT_RESULT), WASI_E_FAULT);
    assert_string_equal(world_host_read(w, "data/file.txt"), "hello");
}

#ifdef CAPSULE_FAULTS
static unsigned open_on_host(void) {
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A bit of everything. Statuses don't matter: the calls must fail cleanly. */
static void use_everything(struct world *w) {
    struct error err;
    struct wasi *wasi = NULL;
    uint32_t fd = 99;
    if (wasi_new(&w->options, &wasi, &err))
        return;
    wasi_free(w->wasi);
    w->wasi = wasi;
    for (unsigned i = 0; i < 6; i++)
        world_open(w, "data/file.txt", 0, READ | WRITE, &fd);
    world_write(w, fd, "text");
    world_read(w, fd, 10);
    CALL(w, "fd_seek", fd, 0, WASI_WHENCE_END, AT_RESULT);
    CALL(w, "fd_allocate", fd, 0, 10);
    CALL(w, "fd_filestat_set_size", fd, 5);
    CALL(w, "fd_filestat_set_times", fd, 0, 0, 10);
    CALL(w, "fd_filestat_get", fd, AT_STAT);
    CALL(w, "fd_sync", fd);
    CALL(w, "fd_read", fd, AT_VECTORS, 100, AT_RESULT);
    CALL(w, "fd_fdstat_set_flags", fd, WASI_FDFLAG_APPEND);
    world_write(w, fd, "text");
    CALL(w, "random_get", AT_BUFFER, 10);
    CALL(w, "fd_readdir", 3, AT_BUFFER, 1000, 0, AT_RESULT);
    if (!world_open(w, "project", 0, READ, &fd))
        CALL(w, "fd_readdir", fd, AT_BUFFER, 1000, 0, AT_RESULT);
    uint32_t n = world_put(w, AT_PATH, "data/made"), m = world_put(w, AT_PATH_2, "data/other");
    CALL(w, "path_create_directory", 3, AT_PATH, n);
    CALL(w, "path_rename", 3, AT_PATH, n, 3, AT_PATH_2, m);
    CALL(w, "path_remove_directory", 3, AT_PATH_2, m);
    CALL(w, "path_remove_directory", 3, AT_PATH, n);
    world_open(w, "data/made", WASI_OFLAG_CREAT, WRITE, &fd);
    n = world_put(w, AT_PATH, "data/made");
    CALL(w, "path_link", 3, 0, AT_PATH, n, 3, AT_PATH_2, m);
    CALL(w, "path_filestat_set_times", 3, 0, AT_PATH, n, 0, 0, 10);
    CALL(w, "path_unlink_file", 3, AT_PATH, n);
    CALL(w, "path_unlink_file", 3, AT_PATH_2, m);
    n = world_put(w, AT_PATH, "data/link_in");
    CALL(w, "path_readlink", 3, AT_PATH, n, AT_BUFFER, 100, AT_RESULT);
    memset(w->memory + AT_VECTORS, 0, WASI_SUBSCRIPTION_SIZE);
    w->memory[AT_VECTORS + WASI_SUBSCRIPTION_TYPE] = WASI_EVENT_FD_READ;
    w->memory[AT_VECTORS + WASI_SUBSCRIPTION_FD] = 4;
    CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, 1, AT_RESULT);
}

static void every_host_call_fails_once(void **state) {
    struct world *w = *state;
    w->options.output = NULL;
    w->options.trace = NULL;
    w->options.limits.listings = 1 << 20;
    unsigned before = 0;
    for (unsigned long at = 1;; at++) {
        assert_true(at < 1000);
        world_restart(w);
        unsigned now = open_on_host();
        assert_true(before == 0 || now == before);
        before = now;
        fault_arm(at);
        use_everything(w);
        unsigned long visits = fault_visits();
        fault_arm(0);
        if (visits < at)
            break;
    }
    check_outside(w);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(results_need_their_whole_place),    WORLD_TEST(no_memory_at_all),
        WORLD_TEST(never_outside_an_exact_allocation), WORLD_TEST(never_into_the_canaries),
#ifdef CAPSULE_FAULTS
        WORLD_TEST(every_host_call_fails_once),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
