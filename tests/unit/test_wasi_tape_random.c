/* Sequences of WASI calls chosen at random: recorded, replayed after the host's files were changed, gone on with live, and replayed once more as a whole.
 *
 * What the guest sees must be the same every time: each errno, each byte of its memory, each descriptor; and the host's tree mustn't be touched by a
 * replay. Every function of the table must have been replayed with success: one that's new and taped needs a row in `shapes`. */
#include "base/buffer.h"
#include "sandbox/wasi_state.h"
#include "unit.h"
#include "wasi_world.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMORY = 16384, VECTORS = 2048, PATH = 4096, PATH_2 = 4608, SUBSCRIPTIONS = 6144, BYTES = 8192 };
enum { CALLS = 40, LIVE = 10, FDS = 16, FUNCTIONS_MAX = 64 };

/* ---- chance ---- */

/* xorshift: the same everywhere. */
static uint64_t chance(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t below(uint64_t *seed, uint64_t n) {
    return (chance(seed) >> 11) % n;
}

/* ---- calls ---- */

/* What each argument is, a letter each; see argument_of. */
static const struct shape {
    const char *name, *roles;
} shapes[] = {
    {"fd_advise", "foza"},
    {"fd_allocate", "foz"},
    {"fd_close", "f"},
    {"fd_datasync", "f"},
    {"fd_fdstat_get", "fr"},
    {"fd_fdstat_set_flags", "fF"},
    {"fd_fdstat_set_rights", "fRR"},
    {"fd_filestat_get", "fr"},
    {"fd_filestat_set_size", "fz"},
    {"fd_filestat_set_times", "fttT"},
    {"fd_pread", "fvnor"},
    {"fd_prestat_get", "fr"},
    {"fd_pwrite", "fvnor"},
    {"fd_read", "fvnr"},
    {"fd_readdir", "fbcKr"},
    {"fd_renumber", "ff"},
    {"fd_seek", "fdwr"},
    {"fd_sync", "f"},
    {"fd_tell", "fr"},
    {"fd_write", "fvnr"},
    {"path_create_directory", "fpl"},
    {"path_filestat_get", "fkplr"},
    {"path_filestat_set_times", "fkplttT"},
    {"path_link", "fkplfPL"},
    {"path_open", "fkplgRRFr"},
    {"path_readlink", "fplbcr"},
    {"path_remove_directory", "fpl"},
    {"path_rename", "fplfPL"},
    {"path_symlink", "plfPL"},
    {"path_unlink_file", "fpl"},
    {"poll_oneoff", "sbmr"},
    {"clock_time_get", "iir"},
    {"random_get", "bc"},
    {"sched_yield", ""},
};

static const char *const paths[] = {
    "data/file.txt",
    "data/sub/inner.txt",
    "data/new",
    "data/sub/new",
    "data/made",
    "data/sub",
    "data",
    "ro/r.txt",
    "ro/sub",
    "ro",
    "project/main.py",
    "project/pkg",
    "project/out",
    "project/out/x",
    "project/.env",
    "data/link_in",
    "data/link_out",
    "data/loop",
    "data/dangling",
    "data/dirlink/inner.txt",
    "data/locked",
    "data/locked/new",
    "data/fifo",
    "project/out/y",
    "etc/conf/single.txt",
    "etc/conf",
    "etc",
    ".",
    "/",
    "new",
    "file.txt",
    "sub",
    "inner.txt",
    "../ro/r.txt",
    "data/sub/../new",
    "project/out/d",
    "project/out/d/e",
    "data/file.txt/x",
    "data/locked/..",
    "project",
    "/etc/conf/new.txt",
    "data/made/deep",
    "",
};

static uint32_t descriptor(uint64_t *seed) {
    switch (below(seed, 10)) {
    case 0:
        return (uint32_t)below(seed, 3);
    case 1:
        return (uint32_t)below(seed, 40);
    case 2:
        return ROOT_FD;
    default:
        return 4 + (uint32_t)below(seed, 5);
    }
}

static void store(struct world *w, uint64_t at, uint64_t value, size_t n) {
    memcpy(w->memory + at, &value, n);
}

/* Somewhere for a result: mostly apart, at times over the arguments of the same call, or outside. */
static uint64_t result_place(uint64_t *seed) {
    static const uint64_t hostile[] = {VECTORS, VECTORS + 4, PATH, SUBSCRIPTIONS, BYTES, MEMORY - 4, MEMORY};
    return below(seed, 12) == 0 ? hostile[below(seed, COUNT(hostile))] : 8 * below(seed, 100);
}

static uint64_t make_vectors(struct world *w, uint64_t *seed) {
    static const uint64_t hostile[] = {VECTORS, VECTORS + 8, 0, MEMORY - 1, MEMORY, UINT32_MAX};
    uint64_t n = below(seed, 8) == 0 ? below(seed, 64) : below(seed, 4);
    for (uint64_t i = 0; i < n; i++) {
        bool odd = below(seed, 30) == 0;
        store(w, VECTORS + 8 * i, odd ? hostile[below(seed, COUNT(hostile))] : BYTES + below(seed, 4000), 4);
        store(w, VECTORS + 8 * i + 4, below(seed, 3) == 0 ? 0 : below(seed, odd ? 16 : 300), 4);
    }
    return n;
}

static uint64_t make_path(struct world *w, uint64_t *seed, uint64_t at) {
    const char *path = paths[below(seed, COUNT(paths))];
    return world_put(w, (uint32_t)at, path[0] == '/' || below(seed, 8) != 0 ? path : "../data/../data/file.txt");
}

static uint64_t make_subscriptions(struct world *w, uint64_t *seed) {
    uint64_t n = below(seed, 5);
    memset(w->memory + SUBSCRIPTIONS, 0, (size_t)n * WASI_SUBSCRIPTION_SIZE);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = SUBSCRIPTIONS + i * WASI_SUBSCRIPTION_SIZE, type = below(seed, 7) % 4;
        store(w, at, chance(seed), 8);
        store(w, at + WASI_SUBSCRIPTION_TYPE, type, 1);
        store(w, at + WASI_SUBSCRIPTION_FD, type == WASI_EVENT_CLOCK ? below(seed, 5) : descriptor(seed), 4);
        store(w, at + WASI_SUBSCRIPTION_CLOCK_TIMEOUT, below(seed, 3) * 1000000000, 8);
        store(w, at + WASI_SUBSCRIPTION_CLOCK_FLAGS, below(seed, 2), 2);
    }
    return n;
}

/* Those that depend on nothing but chance; *ret is left alone for others. */
static void number_of(char role, uint64_t *seed, uint64_t *ret) {
    static const uint64_t rights[] = {READ, WRITE, READ | WRITE, UINT64_MAX, WASI_RIGHT_FD_READ, 0};
    static const struct {
        char role;
        uint64_t from, n;
    } ranges[] = {
        {'a', 0, 7}, {'o', 0, 300}, {'z', 0, 500}, {'k', 0, 2},  {'t', 0, 3000000000}, {'w', 0, 4},
        {'i', 0, 5}, {'b', 0, 0},   {'c', 0, 700}, {'K', 0, 12}, {'d', 0, 600},        {'F', 0, 2},
    };
    for (size_t i = 0; i < COUNT(ranges); i++) {
        if (ranges[i].role == role && ranges[i].n > 0)
            *ret = below(seed, ranges[i].n);
    }
    if (role == 'R')
        *ret = below(seed, 2) == 0 ? UINT64_MAX : rights[below(seed, COUNT(rights))];
    else if (role == 'T')
        *ret = below(seed, 10) == 0 ? below(seed, 17) : 5;
    else if (role == 'g')
        *ret = below(seed, 4) == 0 ? below(seed, 16) : below(seed, 3) == 0 ? WASI_OFLAG_CREAT : 0;
    else if (role == 'd')
        *ret -= 100;
    else if (role == 'K')
        *ret = *ret > 6 ? 0 : *ret;
}

/* Fills guest memory with what the call needs, and its arguments. */
static void prepare(struct world *w, const char *roles, uint64_t *seed, uint64_t args[16]) {
    uint64_t path = make_path(w, seed, PATH), path_2 = make_path(w, seed, PATH_2);
    uint64_t vectors = make_vectors(w, seed), subscriptions = make_subscriptions(w, seed);
    for (size_t i = 0; roles[i] != '\0'; i++) {
        switch (roles[i]) {
        case 'f':
            args[i] =
                roles[1] != '\0' && strchr(roles, 'p') != NULL && below(seed, 4) != 0 ? ROOT_FD : descriptor(seed);
            break;
        case 'p':
            args[i] = PATH;
            args[++i] = path;
            break;
        case 'P':
            args[i] = PATH_2;
            args[++i] = path_2;
            break;
        case 'v':
            args[i] = VECTORS;
            args[++i] = below(seed, 50) == 0 ? 5000 : vectors;
            break;
        case 's':
            args[i] = SUBSCRIPTIONS;
            break;
        case 'm':
            args[i] = subscriptions;
            break;
        case 'r':
            args[i] = result_place(seed);
            break;
        case 'b':
            args[i] = below(seed, 30) == 0 ? result_place(seed) : BYTES + below(seed, 100);
            break;
        default:
            number_of(roles[i], seed, &args[i]);
        }
    }
}

static const struct shape *choose(uint64_t *seed) {
    static const char *const often[] = {"path_open", "path_open", "fd_read", "fd_write", "fd_readdir"};
    const char *name = below(seed, 3) == 0 ? often[below(seed, COUNT(often))] : NULL;
    for (size_t i = 0; name != NULL && i < COUNT(shapes); i++) {
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    }
    return &shapes[below(seed, COUNT(shapes))];
}

/* ---- what is seen ---- */

struct sight {
    uint32_t status;
    const char *name;
    struct descriptor fds[FDS];
    uint8_t memory[MEMORY];
};

static struct {
    struct sight seen[CALLS + LIVE];
    unsigned replayed[FUNCTIONS_MAX]; /* with success, by function */
} all;

/* Only what the guest can ask for. */
static void look(const struct world *w, struct sight *s) {
    memset(s->fds, 0, sizeof s->fds);
    for (uint32_t fd = 0; fd < FDS && fd < w->wasi->size; fd++) {
        const struct descriptor *d = &w->wasi->table[fd];
        s->fds[fd] = (struct descriptor){.kind = d->kind,
                                         .flags = d->flags,
                                         .rights = d->rights,
                                         .inheriting = d->inheriting,
                                         .offset = d->offset};
    }
    memcpy(s->memory, w->memory, MEMORY);
}

static void note(const struct world *w, const struct sight *s) {
    for (size_t i = 0; i < wasi_functions_n; i++) {
        if (s->status == 0 && strcmp(wasi_functions[i].name, s->name) == 0 && w->last.end == WASI_GO_ON)
            all.replayed[i]++;
    }
}

static void same(const struct sight *a, const struct sight *b, uint64_t number, size_t i) {
    bool memory = memcmp(a->memory, b->memory, MEMORY) == 0, fds = memcmp(a->fds, b->fds, sizeof a->fds) == 0;
    if (a->status != b->status || !memory || !fds)
        fail_msg("sequence %lu, call %zu (%s): errno %u, then %u; memory is %s, descriptors are %s",
                 (unsigned long)number, i, a->name, a->status, b->status, memory ? "the same" : "different",
                 fds ? "the same" : "different");
}

/* Makes calls [from, to) of the sequence `seed`; compares with what was seen, or keeps it. */
static void make_calls(struct world *w, uint64_t number, uint64_t *seed, size_t from, size_t to, bool again) {
    static struct sight now;
    for (size_t i = from; i < to; i++) {
        struct sight *s = again ? &now : &all.seen[i];
        uint64_t args[16] = {0};
        const struct shape *shape = choose(seed);
        prepare(w, shape->roles, seed, args);
        s->name = shape->name;
        s->status = world_call(w, shape->name, args);
        look(w, s);
        if (w->tape.trouble != NULL)
            fail_msg("sequence %lu, call %zu (%s): %s", (unsigned long)number, i, s->name, w->tape.trouble);
        if (again) {
            same(&all.seen[i], s, number, i);
            note(w, s);
        }
    }
}

/* ---- changes of the host ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void change_host(const struct world *w, uint64_t *seed) {
    static const char *const places[] = {"data/file.txt",
                                         "data/sub",
                                         "data/sub/inner.txt",
                                         "data/new",
                                         "data/made",
                                         "out/x",
                                         "out/d",
                                         "src/main.py",
                                         "src/pkg",
                                         "single.txt",
                                         "data/sub/new",
                                         "data/link_in",
                                         "data/loop",
                                         "ro/r.txt",
                                         "ro/sub",
                                         "data/dirlink",
                                         "data/locked/kept.txt"};
    for (uint64_t n = below(seed, 8); n > 0; n--) {
        const char *path = places[below(seed, COUNT(places))];
        if (w->mounts[1].constant && strncmp(path, "ro/", 3) == 0)
            continue;
        const char *host = world_host(w, path);
        uint64_t how = below(seed, 4);
        if (how < 3)
            (void)nftw(host, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        if (how == 1)
            (void)mkdir(host, 0755);
        else if (how >= 2 && !world_host_has(w, path) && access(host, F_OK) != 0) {
            FILE *f = fopen(host, "w");
            if (f != NULL && fputs("another", f) >= 0)
                fclose(f);
        }
    }
}

static void replay_untouched(struct world *w, uint64_t number, uint64_t *seed, size_t n) {
    CLEANUP(buffer_done) struct buffer before = BUFFER_INIT(1 << 20);
    CLEANUP(buffer_done) struct buffer after = BUFFER_INIT(1 << 20);
    CLEANUP(buffer_done) struct buffer output = BUFFER_INIT(1 << 20);
    assert_int_equal(buffer_append(&output, w->output[1].data, w->output[1].size), 0);
    buffer_clear(&w->output[1]);
    world_replay(w);
    world_tree(w, &before);
    make_calls(w, number, seed, 0, n, true);
    world_tree(w, &after);
    if (strcmp(buffer_text(&before), buffer_text(&after)) != 0)
        fail_msg("sequence %lu: its replay changed files\n%s\n%s", (unsigned long)number, before.data, after.data);
    assert_false(tape_replays(&w->tape));
    assert_int_equal(w->output[1].size, output.size);
    assert_memory_equal(buffer_text(&w->output[1]), buffer_text(&output), output.size);
}

static void try_sequence(uint64_t number) {
    void *state = NULL;
    world_setup(&state);
    struct world *w = state;
    uint64_t change = number * UINT64_C(0x9e3779b97f4a7c15) + 3, seed = number * UINT64_C(0xd1342543de82ef95) + 1;
    const uint64_t start = seed;
    free(w->memory);
    w->size = MEMORY;
    w->memory = calloc(1, MEMORY);
    w->mounts[1].constant = number % 2 == 0;
    w->options.trace = NULL;
    world_record(w);
    make_calls(w, number, &seed, 0, CALLS, false);
    for (int life = 0; life < 2; life++) {
        change_host(w, &change);
        seed = start;
        replay_untouched(w, number, &seed, life == 0 ? CALLS : CALLS + LIVE);
        if (life == 0)
            make_calls(w, number, &seed, CALLS, CALLS + LIVE, false);
    }
    world_teardown(&state);
}

enum { SEQUENCES = 3000 };

/* CAPSULE_SEQUENCE=N tries that one alone. */
static void test_sequences(void **state) {
    (void)state;
    const char *one = getenv("CAPSULE_SEQUENCE");
    if (one != NULL) {
        try_sequence(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t i = 1; i <= SEQUENCES; i++)
        try_sequence(i);
    for (size_t i = 0; i < wasi_functions_n; i++) {
        bool never = strcmp(wasi_functions[i].name, "path_symlink") == 0;
        if (wasi_functions[i].taped && !never && all.replayed[i] == 0)
            fail_msg("%s was never replayed with success", wasi_functions[i].name);
    }
}

int main(void) {
    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1); /* thousands of fsyncs of a disk take minutes */
    assert_true(wasi_functions_n <= FUNCTIONS_MAX);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sequences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
