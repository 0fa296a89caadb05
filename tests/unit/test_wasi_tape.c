/* WASI calls on a tape, case by case: what a replay answers when the files are gone, what it leaves alone, how it goes on when the tape ends, and what it
 * does with a guest that does something else. test_wasi_tape_random.c tries everything in any order. */
#include "base/clock.h"
#include "base/fault.h"
#include "unit.h"
#include "wasi_world.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_u32(struct world *w, uint32_t at, uint32_t value) {
    memcpy(w->memory + at, &value, sizeof value);
}

/* Fails unless nothing of the tape is left and nothing went wrong. */
static void replayed(const struct world *w) {
    if (w->tape.trouble != NULL)
        fail_msg("%s", w->tape.trouble);
    assert_false(tape_replays(&w->tape));
}

static void remove_host(const struct world *w, const char *path) {
    assert_int_equal(remove(world_host(w, path)), 0);
}

/* ---- files that are gone ---- */

static void read_twice(struct world *w, uint32_t *ret_fd) {
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, ret_fd), 0);
    assert_int_equal(world_read(w, *ret_fd, 2), 0);
    assert_memory_equal(w->memory + AT_BUFFER, "he", 2);
    assert_int_equal(world_stat(w, "data/file.txt"), 0);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_SIZE_FIELD), 5);
    assert_int_equal(world_stat(w, "data/none"), WASI_E_NOENT);
}

static void what_was_read_is_read_again(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    world_record(w);
    read_twice(w, &fd);
    remove_host(w, "data/file.txt");
    world_host_write(w, "data/none", "now");
    world_replay(w);
    read_twice(w, &fd);
    replayed(w);
    assert_int_equal(fd, 4);
    /* Live, of what is gone: all that one can do with it is an error. */
    assert_int_equal(CALL(w, "fd_tell", fd, AT_RESULT), 0);
    assert_int_equal(world_u64(w, AT_RESULT), 2);
    assert_int_not_equal(world_read(w, fd, 2), 0);
    assert_int_not_equal(CALL(w, "fd_pread", fd, AT_VECTORS, 1, 0, AT_RESULT), 0);
    assert_int_not_equal(CALL(w, "fd_filestat_get", fd, AT_STAT), 0);
    assert_int_not_equal(CALL(w, "fd_seek", fd, 0, WASI_WHENCE_END, AT_RESULT), 0);
    assert_int_equal(CALL(w, "fd_seek", fd, 1, WASI_WHENCE_SET, AT_RESULT), 0); /* ours to answer */
    assert_int_not_equal(CALL(w, "fd_sync", fd), 0);
    assert_int_not_equal(CALL(w, "fd_filestat_set_times", fd, 0, 0, 5), 0);
    assert_int_equal(CALL(w, "fd_close", fd), 0);
    assert_int_equal(world_stat(w, "data/none"), 0);
}

/* The file comes back before the second resumption: what it was then still counts. */
static void what_was_gone_comes_back(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    world_record(w);
    read_twice(w, &fd);
    remove_host(w, "data/file.txt");
    world_replay(w);
    read_twice(w, &fd);
    replayed(w);
    uint32_t status = world_read(w, fd, 2);
    assert_int_not_equal(status, 0);
    world_host_write(w, "data/file.txt", "another");
    world_replay(w);
    read_twice(w, &fd);
    assert_int_equal(world_read(w, fd, 2), status);
    replayed(w);
    assert_int_equal(world_read(w, fd, 2), 0);
    assert_memory_equal(w->memory + AT_BUFFER, "ot", 2);
}

static void descriptor_is(struct world *w, uint32_t fd, uint8_t type, uint16_t flags, uint64_t rights) {
    assert_int_equal(CALL(w, "fd_fdstat_get", fd, AT_STAT), 0);
    assert_int_equal(w->memory[AT_STAT], type);
    assert_int_equal(world_u32(w, AT_STAT) >> 16, flags);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FDSTAT_RIGHTS), rights);
}

/* wasi-libc asks for these, and calls or doesn't call the host depending on them. */
static void gone_descriptors_look_as_they_did(void **state) {
    struct world *w = *state;
    uint32_t fd = 0, folder = 0, inner = 0;
    const uint64_t rights = WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_TELL;
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open_at(w, 3, "data/sub", 0, 0, READ, 0, &folder), 0);
        assert_int_equal(CALL(w, "fd_fdstat_set_rights", folder, READ & 0x2ffffff & ~UINT64_C(0x7), rights),
                         WASI_E_NOTCAPABLE);
        assert_int_equal(CALL(w, "fd_fdstat_set_rights", folder, WASI_RIGHT_PATH_OPEN, rights), 0);
        assert_int_equal(world_open_at(w, folder, "inner.txt", 0, 0, UINT64_MAX, WASI_FDFLAG_APPEND, &inner), 0);
        assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
        descriptor_is(w, folder, WASI_FILETYPE_DIRECTORY, 0, WASI_RIGHT_PATH_OPEN);
        descriptor_is(w, inner, WASI_FILETYPE_REGULAR_FILE, WASI_FDFLAG_APPEND, rights);
        remove_host(w, "data/file.txt");
        if (life == 0) {
            remove_host(w, "data/sub/inner.txt");
            remove_host(w, "data/sub");
            mkdir(world_host(w, "data/file.txt"), 0755); /* a folder where a file was, and the other way round */
            world_host_write(w, "data/sub", "file");
        }
    }
    replayed(w);
    assert_int_equal(folder, 4);
    assert_int_equal(inner, 5);
    assert_int_not_equal(world_write(w, inner, "x"), 0);
    assert_int_equal(CALL(w, "fd_readdir", folder, AT_BUFFER, 100, 0, AT_RESULT), WASI_E_NOTCAPABLE);
}

/* Positions are on the tape whatever is there now: a file where there was a folder, and the other way round. */
static void a_file_for_a_folder(void **state) {
    struct world *w = *state;
    uint32_t fd = 0, folder = 0;
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "data/sub", 0, READ, &folder), 0);
        assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
        assert_int_equal(world_read(w, folder, 10), WASI_E_ISDIR);
        assert_int_equal(world_read(w, fd, 3), 0);
        assert_int_equal(CALL(w, "fd_seek", fd, 1, WASI_WHENCE_CUR, AT_RESULT), 0);
        assert_int_equal(world_u64(w, AT_RESULT), 4);
        assert_int_equal(CALL(w, "fd_readdir", folder, AT_BUFFER, 1000, 0, AT_RESULT), 0);
        assert_true(world_u32(w, AT_RESULT) > 3 * WASI_DIRENT_SIZE);
        assert_int_equal(world_stat(w, "ro/r.txt"), 0);
        if (life == 0) {
            remove_host(w, "data/sub/inner.txt");
            remove_host(w, "data/sub");
            remove_host(w, "data/file.txt");
            world_host_write(w, "data/sub", "a file of some length");
            mkdir(world_host(w, "data/file.txt"), 0755);
        }
    }
    replayed(w);
    assert_int_equal(CALL(w, "fd_readdir", folder, AT_BUFFER, 1000, 0, AT_RESULT), WASI_E_NOENT);
    assert_int_not_equal(world_read(w, fd, 3), 0);
}

/* ---- nothing is done twice ---- */

static void change_much(struct world *w) {
    uint32_t fd = 0, n;
    assert_int_equal(world_open(w, "data/new", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, READ | WRITE, &fd), 0);
    assert_int_equal(world_write(w, fd, "written"), 0);
    assert_int_equal(CALL(w, "fd_pwrite", fd, AT_VECTORS, 1, 100, AT_RESULT), 0);
    assert_int_equal(CALL(w, "fd_allocate", fd, 0, 1000), 0);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 3), 0);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 1, 2, 5), 0);
    assert_int_equal(CALL(w, "fd_datasync", fd), 0);
    assert_int_equal(CALL(w, "fd_close", fd), 0);
    assert_int_equal(world_open(w, "data/file.txt", WASI_OFLAG_TRUNC, WRITE, &fd), 0);
    assert_int_equal(CALL(w, "fd_close", fd), 0);
    n = world_put(w, AT_PATH, "data/made");
    assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH, n), 0);
    assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH, n), WASI_E_EXIST);
    assert_int_equal(CALL(w, "path_filestat_set_times", 3, 0, AT_PATH, n, 5, 6, 5), 0);
    assert_int_equal(CALL(w, "path_remove_directory", 3, AT_PATH, n), 0);
    n = world_put(w, AT_PATH, "data/new");
    uint32_t other = world_put(w, AT_PATH_2, "data/linked");
    assert_int_equal(CALL(w, "path_link", 3, 0, AT_PATH, n, 3, AT_PATH_2, other), 0);
    assert_int_equal(CALL(w, "path_unlink_file", 3, AT_PATH, n), 0);
    other = world_put(w, AT_PATH, "data/linked");
    n = world_put(w, AT_PATH_2, "data/renamed");
    assert_int_equal(CALL(w, "path_rename", 3, AT_PATH, other, 3, AT_PATH_2, n), 0);
}

static void a_replay_changes_nothing(void **state) {
    struct world *w = *state;
    CLEANUP(buffer_done) struct buffer before = BUFFER_INIT(1 << 20);
    CLEANUP(buffer_done) struct buffer after = BUFFER_INIT(1 << 20);
    world_record(w);
    change_much(w);
    world_host_write(w, "data/file.txt", "precious");
    world_host_write(w, "data/new", "precious too");
    world_tree(w, &before);
    world_replay(w);
    change_much(w);
    replayed(w);
    world_tree(w, &after);
    assert_string_equal(buffer_text(&before), buffer_text(&after));
}

/* ---- going on ---- */

static void files_go_on_where_they_were(void **state) {
    struct world *w = *state;
    uint32_t fd = 0, end = 0;
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "data/file.txt", 0, READ | WRITE, &fd), 0);
        assert_int_equal(world_read(w, fd, 2), 0);
        assert_int_equal(world_write(w, fd, "L"), 0);
        assert_int_equal(world_open_at(w, 3, "data/new", 0, WASI_OFLAG_CREAT, WRITE, WASI_FDFLAG_APPEND, &end), 0);
        assert_int_equal(world_write(w, end, "one"), 0);
    }
    replayed(w);
    assert_int_equal(world_write(w, fd, "L"), 0);
    assert_int_equal(world_read(w, fd, 10), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 1);
    assert_string_equal(world_host_read(w, "data/file.txt"), "heLLo");
    world_host_write(w, "data/new", "somebody else's, ");
    assert_int_equal(world_write(w, end, "two"), 0);
    assert_string_equal(world_host_read(w, "data/new"), "somebody else's, two");
    assert_int_equal(CALL(w, "fd_tell", end, AT_RESULT), 0);
    assert_int_equal(world_u64(w, AT_RESULT), 20);
    uint32_t next = 0;
    assert_int_equal(world_open(w, "ro/r.txt", 0, READ, &next), 0);
    assert_int_equal(next, 6);
}

static void a_folder_is_read_on(void **state) {
    struct world *w = *state;
    uint32_t fd = 0, got = 0;
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "src-of-nothing", 0, READ, &fd), WASI_E_NOENT);
        assert_int_equal(world_open(w, "project/pkg", WASI_OFLAG_DIRECTORY, READ, &fd), 0);
        /* ".", ".." and the beginning of "__init__.py" */
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 2 * WASI_DIRENT_SIZE + 3 + 30, 0, AT_RESULT), 0);
        got = world_u32(w, AT_RESULT);
        assert_int_equal(got, 2 * WASI_DIRENT_SIZE + 33);
    }
    replayed(w);
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 1000, 2, AT_RESULT), 0);
    assert_memory_equal(w->memory + AT_BUFFER + WASI_DIRENT_SIZE, "__init__.py", 11);
    assert_int_equal(world_u32(w, AT_RESULT), 2 * WASI_DIRENT_SIZE + 11 + 6);
}

/* The names of a synthetic folder are those of mounts, which the host can take away. */
static void folders_above_mounts_are_recorded(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "etc/conf", 0, READ, &fd), 0);
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 1000, 0, AT_RESULT), 0);
        assert_int_equal(world_u32(w, AT_RESULT), 3 * WASI_DIRENT_SIZE + 1 + 2 + 10);
        assert_int_equal(CALL(w, "fd_readdir", 3, AT_BUFFER, 1000, 0, AT_RESULT), 0);
        if (life == 0)
            remove_host(w, "single.txt");
    }
    replayed(w);
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 1000, 0, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 2 * WASI_DIRENT_SIZE + 1 + 2);
}

static void constant_mounts_are_not_recorded(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    w->mounts[1].constant = true;
    world_record(w);
    assert_int_equal(world_open(w, "ro/r.txt", 0, READ, &fd), 0);
    assert_int_equal(world_read(w, fd, 100), 0);
    assert_int_equal(world_stat(w, "ro/r.txt"), 0);
    assert_int_equal(world_open(w, "ro/none", 0, READ, &fd), WASI_E_NOENT);
    assert_string_equal(world_names(w, "ro", 1000), "r.txt:4 sub:3 ");
    assert_int_equal(w->tape.recorded.size, 0);
    assert_int_equal(world_stat(w, "data/file.txt"), 0);
    assert_true(w->tape.recorded.size > WASI_FILESTAT_SIZE);
    world_replay(w);
    assert_int_equal(world_open(w, "ro/r.txt", 0, READ, &fd), 0);
    assert_int_equal(world_read(w, fd, 100), 0);
    assert_memory_equal(w->memory + AT_BUFFER, "readonly", 8);
    for (int i = 0; i < 2; i++)
        CALL(w, "sched_yield");
    assert_int_equal(world_stat(w, "data/file.txt"), WASI_E_IO); /* not then */
    assert_non_null(w->tape.trouble);
}

/* ---- sleeping ---- */

static void sleeping_is_done_once(void **state) {
    struct world *w = *state;
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        memset(w->memory + AT_VECTORS, 0, 2 * (size_t)WASI_SUBSCRIPTION_SIZE);
        w->memory[AT_VECTORS] = 42;
        put_u32(w, AT_VECTORS + WASI_SUBSCRIPTION_CLOCK_ID, WASI_CLOCK_MONOTONIC);
        put_u32(w, AT_VECTORS + WASI_SUBSCRIPTION_CLOCK_TIMEOUT + 4, 1000);
        assert_int_equal(CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, 1, AT_RESULT), 0);
        assert_int_equal(w->last.end, life == 0 ? WASI_PARK : WASI_GO_ON);
        assert_int_equal(world_u32(w, AT_RESULT), 1);
        assert_int_equal(w->memory[AT_BUFFER], 42);
    }
    replayed(w);
    assert_int_equal(CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, 1, AT_RESULT), 0);
    assert_int_equal(w->last.end, WASI_PARK);
}

/* ---- vectors ---- */

static void many_vectors(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    world_host_write(w, "data/long", "0123456789");
    assert_int_equal(truncate(world_host(w, "data/long"), 100000), 0);
    static const uint32_t counts[] = {0, 1, 16, 17, 1023, 1024, 1025};
    CLEANUP(buffer_done) struct buffer then = BUFFER_INIT(1 << 24);
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "data/long", 0, READ, &fd), 0);
        for (size_t c = 0; c < COUNT(counts); c++) {
            memset(w->memory + AT_BUFFER, 0xee, BUFFER_SIZE);
            for (uint32_t i = 0; i < counts[c]; i++) {
                put_u32(w, AT_VECTORS + 8 * i, AT_BUFFER + 100 * i);
                put_u32(w, AT_VECTORS + 8 * i + 4, i % 3 == 0 ? 0 : 7);
            }
            assert_int_equal(CALL(w, "fd_pread", fd, AT_VECTORS, counts[c], 5, AT_RESULT),
                             counts[c] > 1024 ? WASI_E_INVAL : 0);
            if (life == 0)
                assert_int_equal(buffer_append(&then, w->memory, w->size), 0);
            else
                assert_memory_equal(then.data + c * w->size, w->memory, w->size);
        }
        remove(world_host(w, "data/long"));
    }
    replayed(w);
}

/* Reads over the list of vectors, over the count, over each other. */
static void vectors_over_themselves(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    static const uint32_t vectors[][2] = {
        {AT_VECTORS + 8, 3}, {AT_VECTORS, 4}, {AT_RESULT, 2}, {AT_RESULT + 1, 20}};
    world_host_write(w, "data/long", "abcdefghijklmnopqrstuvwxyz0123456789");
    CLEANUP(cleanup_free) void *then = malloc(w->size);
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "data/long", 0, READ, &fd), 0);
        for (uint32_t i = 0; i < COUNT(vectors); i++) {
            put_u32(w, AT_VECTORS + 8 * i, vectors[i][0]);
            put_u32(w, AT_VECTORS + 8 * i + 4, vectors[i][1]);
        }
        assert_int_equal(CALL(w, "fd_read", fd, AT_VECTORS, COUNT(vectors), AT_RESULT), 0);
        assert_int_equal(world_u32(w, AT_RESULT), 29);
        if (life == 0)
            memcpy(then, w->memory, w->size);
        else
            assert_memory_equal(then, w->memory, w->size);
        remove(world_host(w, "data/long"));
    }
    replayed(w);
}

static void a_big_read(void **state) {
    struct world *w = *state;
    const uint32_t n = 8 << 20;
    uint32_t fd = 0;
    free(w->memory);
    w->size = AT_BUFFER + n;
    w->memory = calloc(1, w->size);
    world_host_write(w, "data/big", "big");
    assert_int_equal(truncate(world_host(w, "data/big"), n), 0);
    for (int life = 0; life < 2; life++) {
        (life == 0 ? world_record : world_replay)(w);
        assert_int_equal(world_open(w, "data/big", 0, READ, &fd), 0);
        assert_int_equal(world_read(w, fd, n), 0);
        assert_int_equal(world_u32(w, AT_RESULT), n);
        assert_memory_equal(w->memory + AT_BUFFER, "big", 4);
        assert_int_equal(CALL(w, "fd_tell", fd, AT_RESULT), 0);
        assert_int_equal(world_u64(w, AT_RESULT), n);
        remove(world_host(w, "data/big"));
    }
    replayed(w);
}

/* ---- divergences ---- */

static void record_three(struct world *w) {
    uint32_t fd = 0;
    world_record(w);
    assert_int_equal(world_open(w, "data/file.txt", 0, READ | WRITE, &fd), 0);
    assert_int_equal(CALL(w, "clock_time_get", WASI_CLOCK_MONOTONIC, 0, AT_RESULT), 0);
    assert_int_equal(world_read(w, fd, 3), 0);
    assert_int_equal(world_stat(w, "data/sub"), 0);
    world_replay(w);
    assert_int_equal(world_open(w, "data/file.txt", 0, READ | WRITE, &fd), 0);
}

/* Each does something else than record_three after its first call. */
static void another_function(struct world *w) {
    CALL(w, "clock_time_get", WASI_CLOCK_MONOTONIC, 0, AT_RESULT);
    assert_int_equal(world_write(w, 4, "changed"), WASI_E_IO);
}
static void another_order(struct world *w) {
    assert_int_equal(world_write(w, 4, "changed"), WASI_E_IO);
}
static void another_clock(struct world *w) {
    CALL(w, "clock_time_get", WASI_CLOCK_REALTIME, 0, AT_RESULT);
}
static void a_call_more(struct world *w) {
    CALL(w, "sched_yield");
    CALL(w, "clock_time_get", WASI_CLOCK_MONOTONIC, 0, AT_RESULT);
}
static void randomness(struct world *w) {
    CALL(w, "random_get", AT_BUFFER, 8);
}
static void create(struct world *w) {
    uint32_t fd = 0;
    assert_int_equal(world_open(w, "data/new", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_IO);
}
static void truncate_file(struct world *w) {
    uint32_t fd = 0;
    assert_int_equal(world_open(w, "data/file.txt", WASI_OFLAG_TRUNC, WRITE, &fd), WASI_E_IO);
}
static void sleep_now(struct world *w) {
    put_u32(w, AT_VECTORS + WASI_SUBSCRIPTION_CLOCK_TIMEOUT, 1000000);
    assert_int_equal(CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, 1, AT_RESULT), WASI_E_IO);
    assert_int_equal(w->last.end, WASI_GO_ON);
}
static void to_nowhere(struct world *w) {
    CALL(w, "clock_time_get", WASI_CLOCK_MONOTONIC, 0, AT_RESULT);
    put_u32(w, AT_VECTORS, (uint32_t)w->size);
    put_u32(w, AT_VECTORS + 4, 3);
    assert_int_equal(CALL(w, "fd_read", 4, AT_VECTORS, 1, AT_RESULT), WASI_E_IO);
}
static void no_place_for_the_count(struct world *w) {
    CALL(w, "clock_time_get", WASI_CLOCK_MONOTONIC, 0, AT_RESULT);
    put_u32(w, AT_VECTORS, AT_BUFFER);
    put_u32(w, AT_VECTORS + 4, 3);
    assert_int_equal(CALL(w, "fd_read", 4, AT_VECTORS, 1, (uint64_t)w->size - 3), WASI_E_IO);
}

static const struct {
    void (*step)(struct world *w);
    const char *text;
} divergences[] = {
    {another_function, "with files"}, {another_order, "with files"},
    {another_clock, "another clock"}, {a_call_more, "did before"},
    {randomness, "did before"},       {create, "with files"},
    {truncate_file, "with files"},    {sleep_now, "with files"},
    {to_nowhere, "another place"},    {no_place_for_the_count, "another place"},
};

static void what_diverges_has_no_effect(void **state) {
    struct world *w = *state;
    CLEANUP(buffer_done) struct buffer before = BUFFER_INIT(1 << 20);
    CLEANUP(buffer_done) struct buffer after = BUFFER_INIT(1 << 20);
    for (size_t i = 0; i < COUNT(divergences); i++) {
        uint32_t fd = 0, n;
        buffer_clear(&before);
        buffer_clear(&after);
        record_three(w);
        world_tree(w, &before);
        divergences[i].step(w);
        assert_non_null(w->tape.trouble);
        assert_contains(w->tape.trouble, divergences[i].text);
        assert_false(w->tape.broken);
        /* And nothing from then on, should the guest come to it. */
        assert_int_equal(world_open(w, "data/new", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_IO);
        assert_int_equal(world_write(w, 4, "changed"), WASI_E_IO);
        n = world_put(w, AT_PATH, "data/file.txt");
        assert_int_equal(CALL(w, "path_unlink_file", 3, AT_PATH, n), WASI_E_IO);
        world_tree(w, &after);
        assert_string_equal(buffer_text(&before), buffer_text(&after));
        assert_int_equal(w->tape.recorded.size, 0);
    }
}

/* Cut at every byte: all is as it was up to there, and then live, or there's trouble; nothing else. */
static void tapes_that_are_cut(void **state) {
    struct world *w = *state;
    record_three(w);
    CLEANUP(buffer_done) struct buffer whole = BUFFER_INIT(TAPE_MAX);
    assert_int_equal(buffer_append(&whole, w->kept.data, w->kept.size), 0);
    for (size_t n = 0; n <= whole.size; n++) {
        CLEANUP(cleanup_free) void *exact = malloc(n + 1);
        uint32_t fd = 99;
        memcpy(exact, whole.data, n);
        tape_done(&w->tape);
        tape_init(&w->tape, exact, n);
        world_restart(w);
        (void)world_open(w, "data/file.txt", 0, READ | WRITE, &fd);
        (void)CALL(w, "clock_time_get", WASI_CLOCK_MONOTONIC, 0, AT_RESULT);
        (void)world_read(w, 4, 3);
        (void)world_stat(w, "data/sub");
        assert_false(tape_replays(&w->tape));
        assert_false(w->tape.broken);
        if (w->tape.trouble == NULL)
            assert_int_equal(fd, 4);
        w->tape.at = w->tape.end = "";
    }
}

/* ---- failures of the host ---- */

#ifdef CAPSULE_FAULTS
static void no_memory_for_a_tape(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    w->options.trace = NULL;
    for (unsigned long at = 1; at < 200; at++) {
        world_record(w);
        fault_arm(at);
        bool well = world_open(w, "data/file.txt", 0, READ, &fd) == 0 && world_read(w, fd, 3) == 0 &&
                    CALL(w, "fd_readdir", 3, AT_BUFFER, 100, 0, AT_RESULT) == 0;
        const char *name = fault_name();
        fault_arm(0);
        bool taped = strncmp(name, "tape.", 5) == 0;
        if (taped)
            assert_true(w->tape.broken);
        else
            assert_true(w->tape.trouble == NULL || w->tape.broken);
        if (name[0] == '\0') {
            assert_true(well);
            return;
        }
    }
    fail();
}

/* Opening again fails for want of memory: that isn't the file's fault, and must not look so. */
static void no_memory_to_open_again(void **state) {
    struct world *w = *state;
    uint32_t fd = 0;
    world_record(w);
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
    for (unsigned long at = 1; at < 100; at++) {
        world_replay(w);
        fault_arm(at);
        uint32_t status = world_open(w, "data/file.txt", 0, READ, &fd);
        bool path = strcmp(fault_name(), "wasi.path") == 0, none = fault_name()[0] == '\0';
        fault_arm(0);
        if (path)
            assert_true(status == WASI_E_IO && w->tape.broken);
        if (none)
            return;
        w->tape.at = w->tape.end = "";
    }
    fail();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_was_read_is_read_again),
        WORLD_TEST(what_was_gone_comes_back),
        WORLD_TEST(gone_descriptors_look_as_they_did),
        WORLD_TEST(a_file_for_a_folder),
        WORLD_TEST(a_replay_changes_nothing),
        WORLD_TEST(files_go_on_where_they_were),
        WORLD_TEST(a_folder_is_read_on),
        WORLD_TEST(folders_above_mounts_are_recorded),
        WORLD_TEST(constant_mounts_are_not_recorded),
        WORLD_TEST(sleeping_is_done_once),
        WORLD_TEST(many_vectors),
        WORLD_TEST(vectors_over_themselves),
        WORLD_TEST(a_big_read),
        WORLD_TEST(what_diverges_has_no_effect),
        WORLD_TEST(tapes_that_are_cut),
#ifdef CAPSULE_FAULTS
        WORLD_TEST(no_memory_for_a_tape),
        WORLD_TEST(no_memory_to_open_again),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
