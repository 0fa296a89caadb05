/* Data, positions and limits of the WASI host: reading and writing, output, quotas, descriptors, clocks, randomness,
 * polling. */
#define _GNU_SOURCE 1
#include "wasi_world.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_u16(struct world *w, uint32_t at, uint16_t v) {
    memcpy(w->memory + at, &v, sizeof v);
}

static void put_u32(struct world *w, uint32_t at, uint32_t v) {
    memcpy(w->memory + at, &v, sizeof v);
}

static void put_u64(struct world *w, uint32_t at, uint64_t v) {
    memcpy(w->memory + at, &v, sizeof v);
}

static uint64_t seek(struct world *w, uint32_t fd, int64_t delta, uint32_t whence) {
    assert_int_equal(CALL(w, "fd_seek", fd, (uint64_t)delta, whence, AT_RESULT), 0);
    return world_u64(w, AT_RESULT);
}

static void files_are_read_and_written(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "data/new.txt", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, READ | WRITE, &fd), 0);
    assert_int_equal(fd, 4);
    assert_int_equal(world_write(w, fd, "hello world"), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 11);
    assert_int_equal(seek(w, fd, 0, WASI_WHENCE_CUR), 11);
    assert_int_equal(seek(w, fd, -5, WASI_WHENCE_END), 6);
    assert_int_equal(world_read(w, fd, 100), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 5);
    assert_memory_equal(w->memory + AT_BUFFER, "world", 5);
    assert_int_equal(world_read(w, fd, 100), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 0);
    assert_int_equal(seek(w, fd, 2, WASI_WHENCE_SET), 2);
    assert_int_equal(CALL(w, "fd_tell", fd, AT_RESULT), 0);
    assert_int_equal(world_u64(w, AT_RESULT), 2);
    /* Positioned calls leave the position alone. */
    put_u32(w, AT_VECTORS, AT_BUFFER);
    put_u32(w, AT_VECTORS + 4, 5);
    world_put(w, AT_BUFFER, "HELLO");
    assert_int_equal(CALL(w, "fd_pwrite", fd, AT_VECTORS, 1, 0, AT_RESULT), 0);
    assert_int_equal(CALL(w, "fd_pread", fd, AT_VECTORS, 1, 6, AT_RESULT), 0);
    assert_memory_equal(w->memory + AT_BUFFER, "world", 5);
    assert_int_equal(seek(w, fd, 0, WASI_WHENCE_CUR), 2);
    assert_string_equal(world_host_read(w, "data/new.txt"), "HELLO world");
    assert_int_equal(CALL(w, "fd_pread", fd, AT_VECTORS, 1, UINT64_MAX, AT_RESULT), WASI_E_INVAL);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 5), 0);
    assert_int_equal(CALL(w, "fd_datasync", fd), 0);
    assert_int_equal(CALL(w, "fd_sync", fd), 0);
    assert_string_equal(world_host_read(w, "data/new.txt"), "HELLO");
    assert_int_equal(world_open(w, "data/new.txt", WASI_OFLAG_CREAT | WASI_OFLAG_EXCL, WRITE, &fd), WASI_E_EXIST);
    assert_int_equal(world_open(w, "data/new.txt", WASI_OFLAG_CREAT | WASI_OFLAG_TRUNC, WRITE, &fd), 0);
    assert_string_equal(world_host_read(w, "data/new.txt"), "");
}

static void vectors_are_scattered_and_gathered(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "data/file.txt", 0, READ | WRITE, &fd), 0);
    for (uint32_t i = 0; i < 100; i++) {
        put_u32(w, AT_VECTORS + 8 * i, AT_BUFFER + 2 * i);
        put_u32(w, AT_VECTORS + 8 * i + 4, i % 3 == 0 ? 1 : 0);
        w->memory[AT_BUFFER + 2 * i] = (uint8_t)('a' + i / 3 % 26);
    }
    assert_int_equal(CALL(w, "fd_write", fd, AT_VECTORS, 100, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 34);
    assert_string_equal(world_host_read(w, "data/file.txt"), "abcdefghijklmnopqrstuvwxyzabcdefgh");
    /* What is read may fall on the vectors themselves: they were fetched before. */
    put_u32(w, AT_VECTORS, AT_VECTORS);
    put_u32(w, AT_VECTORS + 4, 16);
    put_u32(w, AT_VECTORS + 8, AT_BUFFER);
    put_u32(w, AT_VECTORS + 12, 4);
    assert_int_equal(CALL(w, "fd_pread", fd, AT_VECTORS, 2, 0, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 20);
    assert_memory_equal(w->memory + AT_VECTORS, "abcdefghijklmnop", 16);
    assert_memory_equal(w->memory + AT_BUFFER, "qrst", 4);
    assert_int_equal(CALL(w, "fd_read", fd, AT_VECTORS, 1025, AT_RESULT), WASI_E_INVAL);
}

static void appending(void **state) {
    struct world *w = *state;
    uint32_t a, b;
    assert_int_equal(world_open_at(w, 3, "data/log", 0, WASI_OFLAG_CREAT, READ | WRITE, WASI_FDFLAG_APPEND, &a),
                     0);
    assert_int_equal(world_open_at(w, 3, "data/log", 0, 0, READ | WRITE, 0, &b), 0);
    assert_int_equal(world_write(w, a, "one "), 0);
    assert_int_equal(CALL(w, "fd_fdstat_set_flags", b, WASI_FDFLAG_APPEND), 0);
    assert_int_equal(world_write(w, b, "two "), 0);
    assert_int_equal(seek(w, b, 0, WASI_WHENCE_CUR), 8);
    assert_int_equal(seek(w, a, 0, WASI_WHENCE_SET), 0);
    assert_int_equal(world_write(w, a, "three"), 0);
    assert_int_equal(seek(w, a, 0, WASI_WHENCE_CUR), 13);
    assert_string_equal(world_host_read(w, "data/log"), "one two three");
    assert_int_equal(CALL(w, "fd_fdstat_set_flags", a, WASI_FDFLAG_DSYNC | WASI_FDFLAG_SYNC), 0);
    assert_int_equal(seek(w, a, 0, WASI_WHENCE_SET), 0);
    assert_int_equal(world_write(w, a, "ONE"), 0);
    assert_string_equal(world_host_read(w, "data/log"), "ONE two three");
    assert_int_equal(CALL(w, "fd_fdstat_set_flags", a, 1 << 5), WASI_E_INVAL);
}

static void sizes_and_totals_are_limited(void **state) {
    struct world *w = *state;
    uint32_t fd;
    w->options.limits.file_size = 100;
    w->options.limits.written = 3 * 4096;
    w->options.limits.transfer = 64;
    world_restart(w);
    assert_int_equal(world_open(w, "data/f", WASI_OFLAG_CREAT, READ | WRITE, &fd), 0);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 100), 0);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 101), WASI_E_FBIG);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, UINT64_MAX), WASI_E_FBIG);
    assert_int_equal(CALL(w, "fd_allocate", fd, 50, 51), WASI_E_FBIG);
    assert_int_equal(CALL(w, "fd_allocate", fd, UINT64_MAX, 2), WASI_E_FBIG);
    assert_int_equal(CALL(w, "fd_allocate", fd, 0, 0), WASI_E_INVAL);
    /* A transfer is short at its limit, a write at the file's. */
    char text[201];
    memset(text, 'x', 200);
    text[200] = '\0';
    assert_int_equal(world_write(w, fd, text), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 64);
    assert_int_equal(world_write(w, fd, text), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 36);
    assert_int_equal(world_write(w, fd, text), WASI_E_FBIG);
    assert_int_equal(CALL(w, "fd_fdstat_set_flags", fd, WASI_FDFLAG_APPEND), 0);
    assert_int_equal(world_write(w, fd, text), WASI_E_FBIG);
    assert_int_equal(CALL(w, "fd_fdstat_set_flags", fd, 0), 0);
    assert_int_equal(seek(w, fd, INT64_MAX, WASI_WHENCE_SET), INT64_MAX);
    assert_int_equal(world_write(w, fd, text), WASI_E_FBIG);
    assert_int_equal(world_read(w, fd, 10), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 0);
    assert_int_equal(CALL(w, "fd_seek", fd, 1, WASI_WHENCE_CUR, AT_RESULT), WASI_E_INVAL);
    assert_int_equal(CALL(w, "fd_seek", fd, (uint64_t)-1, WASI_WHENCE_SET, AT_RESULT), WASI_E_INVAL);
    assert_int_equal(CALL(w, "fd_seek", fd, 0, 3, AT_RESULT), WASI_E_INVAL);
    /* Endless rewriting ends: 4096 for the file and 100 so far, of 12288. */
    uint64_t total = 0;
    uint32_t status;
    do {
        seek(w, fd, 0, WASI_WHENCE_SET);
        status = world_write(w, fd, text);
        total += status ? 0 : world_u32(w, AT_RESULT);
    } while (!status);
    assert_int_equal(status, WASI_E_DQUOT);
    assert_int_equal(total, 2 * 4096 - 100);
    assert_int_equal(CALL(w, "fd_allocate", fd, 0, 10), WASI_E_DQUOT);
    assert_int_equal(world_open(w, "data/another", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_DQUOT);
    assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH, 12), WASI_E_DQUOT);
    assert_false(world_host_has(w, "data/another"));
    struct stat st;
    assert_int_equal(stat(world_host(w, "data/f"), &st), 0);
    assert_true(st.st_size <= 100);
}

static void empty_files_run_out_too(void **state) {
    struct world *w = *state;
    uint32_t made = 0, status;
    w->options.limits.written = 10 * 4096;
    world_restart(w);
    do {
        char name[32];
        snprintf(name, sizeof name, "data/d%u", made++);
        status = CALL(w, "path_create_directory", 3, AT_PATH, world_put(w, AT_PATH, name));
    } while (!status);
    assert_int_equal(status, WASI_E_DQUOT);
    assert_int_equal(made, 11);
}

static void output_is_passed_on_and_limited(void **state) {
    struct world *w = *state;
    w->options.limits.output = 10;
    world_restart(w);
    assert_int_equal(world_write(w, 1, "12345"), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 5);
    assert_int_equal(world_write(w, 2, "678"), 0);
    assert_int_equal(w->last.end, WASI_GO_ON);
    assert_int_equal(world_write(w, 1, "90ab"), WASI_E_DQUOT);
    assert_int_equal(w->last.end, WASI_OUTPUT_LIMIT);
    assert_string_equal(buffer_text(&w->output[1]), "1234590");
    assert_string_equal(buffer_text(&w->output[2]), "678");
    assert_int_equal(world_write(w, 2, "x"), WASI_E_DQUOT);
    assert_int_equal(w->last.end, WASI_OUTPUT_LIMIT);
    assert_string_equal(buffer_text(&w->output[2]), "678");
    w->options.output = NULL;
    world_restart(w);
    assert_int_equal(world_write(w, 1, "12345"), 0);
}

static void standard_streams(void **state) {
    struct world *w = *state;
    for (uint32_t fd = 0; fd < 3; fd++) {
        assert_int_equal(CALL(w, "fd_fdstat_get", fd, AT_STAT), 0);
        assert_int_equal(w->memory[AT_STAT], WASI_FILETYPE_CHARACTER_DEVICE);
        /* wasi-libc takes a character device without these for a terminal. */
        assert_true(world_u64(w, AT_STAT + WASI_FDSTAT_RIGHTS) & WASI_RIGHT_FD_SEEK);
        assert_int_equal(CALL(w, "fd_filestat_get", fd, AT_STAT), 0);
        assert_int_equal(CALL(w, "fd_seek", fd, 0, 1, AT_RESULT), WASI_E_SPIPE);
        assert_int_equal(CALL(w, "fd_tell", fd, AT_RESULT), WASI_E_SPIPE);
        assert_int_equal(CALL(w, "fd_prestat_get", fd, AT_RESULT), WASI_E_BADF);
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 100, 0, AT_RESULT), WASI_E_NOTDIR);
    }
    assert_int_equal(world_read(w, 0, 100), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 0);
    assert_int_equal(world_write(w, 0, "x"), WASI_E_BADF);
    assert_int_equal(world_read(w, 1, 100), WASI_E_BADF);
    assert_int_equal(CALL(w, "fd_pread", 0, AT_VECTORS, 1, 0, AT_RESULT), WASI_E_SPIPE);
    assert_int_equal(CALL(w, "fd_pwrite", 1, AT_VECTORS, 1, 0, AT_RESULT), WASI_E_SPIPE);
}

static void the_root_is_pre_opened(void **state) {
    struct world *w = *state;
    assert_int_equal(CALL(w, "fd_prestat_get", 3, AT_RESULT), 0);
    assert_int_equal(w->memory[AT_RESULT], WASI_PREOPEN_DIR);
    assert_int_equal(world_u32(w, AT_RESULT + 4), 1);
    assert_int_equal(CALL(w, "fd_prestat_dir_name", 3, AT_BUFFER, 0), WASI_E_NAMETOOLONG);
    assert_int_equal(CALL(w, "fd_prestat_dir_name", 3, AT_BUFFER, 1), 0);
    assert_int_equal(w->memory[AT_BUFFER], '/');
    assert_int_equal(CALL(w, "fd_prestat_get", 4, AT_RESULT), WASI_E_BADF);
    assert_int_equal(CALL(w, "fd_fdstat_get", 3, AT_STAT), 0);
    assert_int_equal(w->memory[AT_STAT], WASI_FILETYPE_DIRECTORY);
    uint64_t inheriting = world_u64(w, AT_STAT + WASI_FDSTAT_INHERITING);
    assert_int_equal(inheriting & (READ | WRITE), READ | WRITE);
}

static void descriptors_run_out(void **state) {
    struct world *w = *state;
    uint32_t fd = 0, status;
    w->options.limits.open_files = 20;
    world_restart(w);
    assert_true(wasi_quiescent(w->wasi));
    while (!(status = world_open(w, "data/file.txt", 0, READ, &fd)))
        assert_true(fd < 20);
    assert_int_equal(status, WASI_E_MFILE);
    assert_int_equal(fd, 19);
    /* Nothing is made or cut short for want of a descriptor. */
    assert_int_equal(world_open(w, "data/made", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_MFILE);
    assert_int_equal(world_open(w, "data/file.txt", WASI_OFLAG_TRUNC, WRITE, &fd), WASI_E_MFILE);
    assert_false(world_host_has(w, "data/made"));
    assert_string_equal(world_host_read(w, "data/file.txt"), "hello");
    assert_false(wasi_quiescent(w->wasi));
    assert_int_equal(CALL(w, "fd_close", 7), 0);
    assert_int_equal(CALL(w, "fd_close", 7), WASI_E_BADF);
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
    assert_int_equal(fd, 7);
    for (fd = 4; fd < 20; fd++)
        assert_int_equal(CALL(w, "fd_close", fd), 0);
    assert_true(wasi_quiescent(w->wasi));
}

static void renumbering(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "data/file.txt", 0, READ | WRITE, &fd), 0);
    assert_int_equal(CALL(w, "fd_renumber", fd, 3), WASI_E_NOTSUP);
    assert_int_equal(CALL(w, "fd_renumber", 3, fd), WASI_E_NOTSUP);
    assert_int_equal(CALL(w, "fd_renumber", fd, 1000), WASI_E_BADF);
    assert_int_equal(CALL(w, "fd_renumber", 99, fd), WASI_E_BADF);
    assert_int_equal(CALL(w, "fd_renumber", fd, fd), 0);
    assert_int_equal(CALL(w, "fd_renumber", fd, 1), 0);
    assert_int_equal(world_write(w, 1, "HE"), 0);
    assert_string_equal(world_host_read(w, "data/file.txt"), "HEllo");
    assert_int_equal(CALL(w, "fd_close", fd), WASI_E_BADF);
    assert_false(wasi_quiescent(w->wasi));
}

static void rights_only_shrink(void **state) {
    struct world *w = *state;
    uint32_t fd, folder;
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
    assert_int_equal(world_write(w, fd, "x"), WASI_E_BADF);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 0), WASI_E_BADF);
    assert_int_equal(CALL(w, "fd_fdstat_set_rights", fd, WASI_RIGHT_FD_WRITE, 0), WASI_E_NOTCAPABLE);
    assert_int_equal(CALL(w, "fd_fdstat_set_rights", fd, WASI_RIGHT_FD_READ, 0), 0);
    assert_int_equal(CALL(w, "fd_seek", fd, 0, 0, AT_RESULT), WASI_E_NOTCAPABLE);
    assert_int_equal(world_read(w, fd, 1), 0);
    assert_int_equal(world_open(w, "data", 0, READ, &folder), 0);
    assert_int_equal(world_open_at(w, folder, "x", 0, WASI_OFLAG_CREAT, WRITE, 0, &fd), WASI_E_NOTCAPABLE);
    assert_int_equal(CALL(w, "fd_fdstat_set_rights", folder, WASI_RIGHT_PATH_OPEN, WASI_RIGHT_FD_READ), 0);
    assert_int_equal(world_open_at(w, folder, "file.txt", 0, 0, READ | WRITE, 0, &fd), 0);
    assert_int_equal(world_write(w, fd, "x"), WASI_E_BADF);
    assert_int_equal(world_read(w, folder, 1), WASI_E_ISDIR);
    assert_int_equal(world_open(w, "data", 0, WRITE, &fd), WASI_E_ISDIR);
    assert_int_equal(world_open(w, "data/x", WASI_OFLAG_CREAT | WASI_OFLAG_DIRECTORY, READ, &fd), WASI_E_INVAL);
    assert_int_equal(world_open(w, "data/x/", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_ISDIR);
    assert_int_equal(world_open(w, "data/dangling", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_LOOP);
    assert_int_equal(world_open(w, "data/x", 1 << 4, WRITE, &fd), WASI_E_INVAL);
}

static void times_are_set(void **state) {
    struct world *w = *state;
    uint32_t fd, n = world_put(w, AT_PATH, "data/file.txt");
    const uint64_t then = UINT64_C(1000000007) * 1000;
    assert_int_equal(CALL(w, "path_filestat_set_times", 3, 0, AT_PATH, n, then, then + 1, 5), 0);
    assert_int_equal(world_stat(w, "data/file.txt"), 0);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_ATIM), then);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_MTIM), then + 1);
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 0, 77, WASI_FSTFLAG_MTIM), 0);
    assert_int_equal(CALL(w, "fd_filestat_get", fd, AT_STAT), 0);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_ATIM), then);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_MTIM), 77);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 0, 0, WASI_FSTFLAG_MTIM_NOW), 0);
    assert_int_equal(CALL(w, "fd_filestat_get", fd, AT_STAT), 0);
    assert_true(world_u64(w, AT_STAT + WASI_FILESTAT_MTIM) > then);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 0, 0, 3), WASI_E_INVAL);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 0, 0, 12), WASI_E_INVAL);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 0, 0, 16), WASI_E_INVAL);
}

static void clocks_and_randomness(void **state) {
    struct world *w = *state;
    for (uint32_t id = 0; id < 4; id++) {
        assert_int_equal(CALL(w, "clock_res_get", id, AT_RESULT), 0);
        assert_int_not_equal(world_u64(w, AT_RESULT), 0);
        assert_int_equal(CALL(w, "clock_time_get", id, 0, AT_RESULT), 0);
        uint64_t first = world_u64(w, AT_RESULT);
        assert_int_equal(CALL(w, "clock_time_get", id, 0, AT_RESULT), 0);
        assert_true(id == WASI_CLOCK_REALTIME || world_u64(w, AT_RESULT) >= first);
    }
    assert_int_equal(CALL(w, "clock_time_get", 4, 0, AT_RESULT), WASI_E_INVAL);
    assert_int_equal(CALL(w, "clock_res_get", 4, AT_RESULT), WASI_E_INVAL);
    memset(w->memory + AT_BUFFER, 0, 300);
    assert_int_equal(CALL(w, "random_get", AT_BUFFER, 256), 0);
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < 256; i++)
        zeros += w->memory[AT_BUFFER + i] == 0;
    assert_true(zeros < 40);
    for (uint32_t i = 256; i < 300; i++)
        assert_int_equal(w->memory[AT_BUFFER + i], 0);
    assert_int_equal(CALL(w, "random_get", AT_BUFFER, BUFFER_SIZE), 0); /* more than a chunk */
    w->options.limits.transfer = 100;
    world_restart(w);
    assert_int_equal(CALL(w, "random_get", AT_BUFFER, 101), WASI_E_INVAL);
}

static void the_process(void **state) {
    struct world *w = *state;
    put_u64(w, AT_RESULT, UINT64_MAX);
    assert_int_equal(CALL(w, "args_sizes_get", AT_RESULT, AT_RESULT + 4), 0);
    assert_int_equal(world_u64(w, AT_RESULT), 0);
    put_u64(w, AT_RESULT, UINT64_MAX);
    assert_int_equal(CALL(w, "environ_sizes_get", AT_RESULT, AT_RESULT + 4), 0);
    assert_int_equal(world_u64(w, AT_RESULT), 0);
    assert_int_equal(CALL(w, "args_get", AT_RESULT, AT_RESULT), 0);
    assert_int_equal(CALL(w, "environ_get", AT_RESULT, AT_RESULT), 0);
    assert_int_equal(CALL(w, "sched_yield"), 0);
    assert_int_equal(CALL(w, "proc_raise", 6), WASI_E_NOSYS);
    CALL(w, "proc_exit", 42);
    assert_int_equal(w->last.end, WASI_EXIT);
    assert_int_equal(w->last.exit_code, 42);
    assert_int_equal(CALL(w, "sock_accept", 3, 0, AT_RESULT), WASI_E_NOTSOCK);
    assert_int_equal(CALL(w, "sock_recv", 1, 0, 0, 0, 0, 0), WASI_E_NOTSOCK);
    assert_int_equal(CALL(w, "sock_send", 9, 0, 0, 0, 0), WASI_E_BADF);
    assert_int_equal(CALL(w, "sock_shutdown", 3, 0), WASI_E_NOTSOCK);
    assert_int_equal(wasi_functions_n, 46);
}

static void put_clock(struct world *w, uint32_t i, uint32_t id, uint64_t timeout, uint16_t flags) {
    uint32_t at = AT_VECTORS + i * WASI_SUBSCRIPTION_SIZE;
    memset(w->memory + at, 0, WASI_SUBSCRIPTION_SIZE);
    put_u64(w, at, 100 + i);
    put_u32(w, at + WASI_SUBSCRIPTION_CLOCK_ID, id);
    put_u64(w, at + WASI_SUBSCRIPTION_CLOCK_TIMEOUT, timeout);
    put_u16(w, at + WASI_SUBSCRIPTION_CLOCK_FLAGS, flags);
}

static void put_descriptor(struct world *w, uint32_t i, uint8_t type, uint32_t fd) {
    uint32_t at = AT_VECTORS + i * WASI_SUBSCRIPTION_SIZE;
    memset(w->memory + at, 0, WASI_SUBSCRIPTION_SIZE);
    put_u64(w, at, 100 + i);
    w->memory[at + WASI_SUBSCRIPTION_TYPE] = type;
    put_u32(w, at + WASI_SUBSCRIPTION_FD, fd);
}

static uint32_t poll_n(struct world *w, uint32_t n) {
    assert_int_equal(CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, n, AT_RESULT), 0);
    return world_u32(w, AT_RESULT);
}

static void sleeping_parks(void **state) {
    struct world *w = *state;
    uint64_t before = clock_monotonic_ns();
    put_clock(w, 0, WASI_CLOCK_MONOTONIC, 9 * NS_PER_S, 0);
    put_clock(w, 1, WASI_CLOCK_REALTIME, 5 * NS_PER_S, 0);
    put_clock(w, 2, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
    assert_int_equal(poll_n(w, 3), 1);
    assert_int_equal(w->last.end, WASI_PARK);
    uint64_t slept = w->last.park_until_ns - before;
    assert_true(slept >= 5 * NS_PER_S && slept < 8 * NS_PER_S);
    assert_int_equal(world_u64(w, AT_BUFFER), 101);
    assert_int_equal(world_u32(w, AT_BUFFER + WASI_EVENT_ERROR), 0);
    /* Absolute times, of both clocks; both are then the earliest. */
    put_clock(w, 0, WASI_CLOCK_REALTIME, clock_wall_ns() + 60 * NS_PER_S, WASI_SUBCLOCK_ABSTIME);
    assert_int_equal(poll_n(w, 1), 1);
    slept = w->last.park_until_ns - clock_monotonic_ns();
    assert_int_equal(w->last.end, WASI_PARK);
    assert_true(slept > 50 * NS_PER_S && slept <= 60 * NS_PER_S);
    put_clock(w, 0, WASI_CLOCK_MONOTONIC, before + 60 * NS_PER_S, WASI_SUBCLOCK_ABSTIME);
    put_clock(w, 1, WASI_CLOCK_MONOTONIC, UINT64_MAX, WASI_SUBCLOCK_ABSTIME);
    assert_int_equal(poll_n(w, 2), 1);
    assert_int_equal(w->last.end, WASI_PARK);
    assert_int_equal(world_u64(w, AT_BUFFER), 100);
    /* Forever is a long time, but no overflow. */
    put_clock(w, 0, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
    put_clock(w, 1, WASI_CLOCK_REALTIME, UINT64_MAX, 0);
    assert_int_equal(poll_n(w, 2), 2);
    assert_int_equal(w->last.park_until_ns, UINT64_MAX);
}

static void what_is_ready_does_not_park(void **state) {
    struct world *w = *state;
    uint32_t fd;
    put_clock(w, 0, WASI_CLOCK_MONOTONIC, 0, 0);
    put_clock(w, 1, WASI_CLOCK_MONOTONIC, 5 * NS_PER_S, 0);
    put_clock(w, 2, WASI_CLOCK_REALTIME, 5, WASI_SUBCLOCK_ABSTIME);
    assert_int_equal(poll_n(w, 3), 2);
    assert_int_equal(w->last.end, WASI_GO_ON);
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
    put_descriptor(w, 0, WASI_EVENT_FD_READ, fd);
    put_descriptor(w, 1, WASI_EVENT_FD_READ, 0);
    put_descriptor(w, 2, WASI_EVENT_FD_WRITE, 1);
    put_descriptor(w, 3, WASI_EVENT_FD_READ, 77);
    put_clock(w, 4, WASI_CLOCK_MONOTONIC, 5 * NS_PER_S, 0);
    put_clock(w, 5, 9, 5 * NS_PER_S, 0);
    put_descriptor(w, 6, 9, 0);
    put_clock(w, 7, WASI_CLOCK_PROCESS_CPUTIME, 5 * NS_PER_S, 0);
    assert_int_equal(poll_n(w, 8), 7);
    assert_int_equal(w->last.end, WASI_GO_ON);
    static const uint16_t errors[] = {0, 0, 0, WASI_E_BADF, WASI_E_INVAL, WASI_E_INVAL, WASI_E_NOTSUP};
    for (uint32_t i = 0; i < 7; i++) {
        uint32_t at = AT_BUFFER + i * WASI_EVENT_SIZE;
        assert_int_equal(world_u64(w, at), 100 + i + (i >= 4));
        assert_int_equal(world_u32(w, at + WASI_EVENT_ERROR) & 0xffff, errors[i]);
    }
    assert_int_equal(world_u64(w, AT_BUFFER + WASI_EVENT_BYTES), 5);
    assert_int_equal(CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, 0, AT_RESULT), WASI_E_INVAL);
    assert_int_equal(CALL(w, "poll_oneoff", AT_VECTORS, AT_BUFFER, 1025, AT_RESULT), WASI_E_INVAL);
}

static void work_is_charged(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "data/file.txt", 0, READ, &fd), 0);
    assert_true(w->last.cost >= 2000);
    assert_int_equal(world_read(w, fd, 100), 0);
    assert_true(w->last.cost >= 1000);
    CALL(w, "random_get", AT_BUFFER, 100000);
    assert_true(w->last.cost >= 100000);
    CALL(w, "fd_readdir", 3, AT_BUFFER, 4096, 0, AT_RESULT);
    assert_true(w->last.cost >= 1000);
    world_write(w, 1, "x");
    assert_true(w->last.cost >= 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(files_are_read_and_written),
        WORLD_TEST(vectors_are_scattered_and_gathered),
        WORLD_TEST(appending),
        WORLD_TEST(sizes_and_totals_are_limited),
        WORLD_TEST(empty_files_run_out_too),
        WORLD_TEST(output_is_passed_on_and_limited),
        WORLD_TEST(standard_streams),
        WORLD_TEST(the_root_is_pre_opened),
        WORLD_TEST(descriptors_run_out),
        WORLD_TEST(renumbering),
        WORLD_TEST(rights_only_shrink),
        WORLD_TEST(times_are_set),
        WORLD_TEST(clocks_and_randomness),
        WORLD_TEST(the_process),
        WORLD_TEST(sleeping_parks),
        WORLD_TEST(what_is_ready_does_not_park),
        WORLD_TEST(work_is_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
