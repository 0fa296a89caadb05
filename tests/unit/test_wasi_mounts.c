/* The mount table of the WASI host: read-only and source mounts, single files, synthetic folders, listings, the trace,
 * and what changes folders. */
#define _GNU_SOURCE 1
#include "wasi_world.h"

#include "sandbox/mount.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void mount_tables_are_checked(void **state) {
    static const struct mount rows[][2] = {
        {{.guest = "data"}, {.guest = "/x"}},
        {{.guest = "/data/"}, {.guest = "/x"}},
        {{.guest = "/data/../x"}, {.guest = "/y"}},
        {{.guest = ""}, {.guest = "/x"}},
        {{.guest = NULL}, {.guest = "/x"}},
        {{.guest = "/x"}, {.guest = "/x"}},
        {{.guest = "/x", .host_fd = -1}, {.guest = "/y"}},
        {{.guest = "/", .kind = MOUNT_FILE, .name = "x"}, {.guest = "/y"}},
        {{.guest = "/x", .kind = MOUNT_FILE}, {.guest = "/y"}},
        {{.guest = "/x", .kind = MOUNT_FILE, .name = ""}, {.guest = "/y"}},
        {{.guest = "/x", .kind = MOUNT_FILE, .name = ".."}, {.guest = "/y"}},
        {{.guest = "/x", .kind = MOUNT_FILE, .name = "a/b"}, {.guest = "/y"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error err;
        struct wasi *wasi = NULL;
        struct wasi_options options = {.mounts = rows[i], .n_mounts = 2, .limits = wasi_limits_default()};
        if (wasi_new(&options, &wasi, &err) != ERROR_INVALID || wasi)
            fail_msg("row %zu was taken", i);
    }
}

static void the_longest_prefix_wins(void **state) {
    static const struct mount mounts[] = {{.guest = "/"}, {.guest = "/a/b"}, {.guest = "/a"}};
    static const struct {
        const char *path;
        int mount;
        const char *rest;
    } rows[] = {
        {"/", 0, ""},       {"/x", 0, "x"},  {"/ab", 0, "ab"},       {"/a", 2, ""},
        {"/a/bc", 2, "bc"}, {"/a/b", 1, ""}, {"/a/b/c/d", 1, "c/d"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *rest = NULL;
        assert_ptr_equal(mount_find(mounts, 3, rows[i].path, &rest), &mounts[rows[i].mount]);
        assert_string_equal(rest, rows[i].rest);
    }
    assert_null(mount_find(mounts + 1, 2, "/x", &(const char *){NULL}));
}

static void sources_show_only_sources(void **state) {
    static const char *const hidden[] = {
        "project/.env",           "project/.git",
        "project/.git/config.py", "project/README",
        "project/pkg/data.json",  "project/.hidden.py",
        "project/node_modules",   "project/node_modules/x.py",
        "project/__pycache__",    "project/__pycache__/m.py",
        "project/env_link",       "project/fifo.py",
        "project/ext/data.json",
    };
    struct world *w = *state;
    uint32_t fd;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (world_stat(w, hidden[i]) != WASI_E_NOENT || world_lstat(w, hidden[i]) != WASI_E_NOENT)
            fail_msg("%s can be seen", hidden[i]);
        if (world_open(w, hidden[i], 0, READ, &fd) != WASI_E_NOENT)
            fail_msg("%s can be opened", hidden[i]);
        uint32_t n = world_put(w, AT_PATH, hidden[i]);
        assert_int_equal(CALL(w, "path_readlink", 3, AT_PATH, n, AT_BUFFER, 100, AT_RESULT), WASI_E_NOENT);
    }
    assert_string_equal(world_names(w, "project", 4096), "data.folder:3 ext:7 link.py:7 main.py:4 out:3 pkg:3 ");
    assert_string_equal(world_names(w, "project/ext", 4096), "__init__.py:4 mod.py:4 ");
}

static void read_only_mounts_refuse_every_change(void **state) {
    static const char *const paths[] = {"ro/r.txt", "ro/new.txt", "project/main.py", "project/new.py", "new.txt",
                                        "etc/new",  "etc"};
    struct world *w = *state;
    uint32_t fd;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        uint32_t n = world_put(w, AT_PATH, paths[i]), m = world_put(w, AT_PATH_2, "data/file.txt");
        uint32_t o = world_put(w, AT_PATH_2 + 100, "data/other");
        assert_int_equal(world_open(w, paths[i], 0, READ | WRITE, &fd), WASI_E_ROFS);
        assert_int_equal(world_open(w, paths[i], WASI_OFLAG_CREAT, READ, &fd), WASI_E_ROFS);
        assert_int_equal(world_open(w, paths[i], WASI_OFLAG_TRUNC, READ, &fd), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_unlink_file", 3, AT_PATH, n), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_remove_directory", 3, AT_PATH, n), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_rename", 3, AT_PATH, n, 3, AT_PATH_2 + 100, o), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_rename", 3, AT_PATH_2, m, 3, AT_PATH, n), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_link", 3, 0, AT_PATH, n, 3, AT_PATH_2 + 100, o), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_link", 3, 0, AT_PATH_2, m, 3, AT_PATH, n), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_symlink", AT_PATH_2, m, 3, AT_PATH, n), WASI_E_ROFS);
        assert_int_equal(CALL(w, "path_filestat_set_times", 3, 0, AT_PATH, n, 0, 0, 10), WASI_E_ROFS);
    }
    uint32_t n = world_put(w, AT_PATH, "ro/made");
    assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH, n), WASI_E_ROFS);
    assert_int_equal(world_open(w, "ro/r.txt", 0, READ, &fd), 0);
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 0), WASI_E_ROFS);
    assert_int_equal(CALL(w, "fd_filestat_set_times", fd, 0, 0, 10), WASI_E_ROFS);
    assert_int_equal(CALL(w, "fd_allocate", fd, 0, 100), WASI_E_ROFS);
    assert_int_equal(world_write(w, fd, "x"), WASI_E_BADF);
    assert_string_equal(world_host_read(w, "ro/r.txt"), "readonly");
    assert_string_equal(world_host_read(w, "data/file.txt"), "hello");
}

/* /data is writable and /data/locked, which lies in it on the host, isn't: a link must not be a way round. */
static void an_inner_mount_is_no_weaker(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "data/locked/kept.txt", 0, WRITE, &fd), WASI_E_ROFS);
    assert_int_equal(world_open(w, "data/tolocked/kept.txt", 0, READ, &fd), 0);
    assert_int_equal(world_open(w, "data/tolocked/kept.txt", 0, WRITE, &fd), WASI_E_LOOP);
    assert_int_equal(world_open(w, "data/tolocked/new.txt", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_LOOP);
    uint32_t n = world_put(w, AT_PATH, "data/tolocked/kept.txt");
    assert_int_equal(CALL(w, "path_unlink_file", 3, AT_PATH, n), WASI_E_LOOP);
    assert_int_equal(CALL(w, "path_filestat_set_times", 3, 1, AT_PATH, n, 0, 0, 10), WASI_E_LOOP);
    assert_string_equal(world_host_read(w, "data/locked/kept.txt"), "kept");
}

static void mount_points_stay(void **state) {
    static const char *const rows[] = {"data", "data/locked", "project/out", "etc/conf/single.txt"};
    struct world *w = *state;
    uint32_t m = world_put(w, AT_PATH_2, "data/elsewhere");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool locked = i == 1;
        uint32_t n = world_put(w, AT_PATH, rows[i]), busy = locked ? WASI_E_ROFS : WASI_E_BUSY;
        assert_int_equal(CALL(w, "path_unlink_file", 3, AT_PATH, n), busy);
        assert_int_equal(CALL(w, "path_remove_directory", 3, AT_PATH, n), busy);
        uint32_t status = CALL(w, "path_rename", 3, AT_PATH, n, 3, AT_PATH_2, m);
        assert_true(status == busy || status == WASI_E_XDEV);
        assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH, n), WASI_E_EXIST);
    }
    /* A folder above a mount point that exists on the host too. */
    w->mounts[5].guest = "/data/sub/deep/locked";
    world_restart(w);
    uint32_t n = world_put(w, AT_PATH, "data/sub");
    assert_int_equal(CALL(w, "path_rename", 3, AT_PATH, n, 3, AT_PATH_2, m), WASI_E_BUSY);
    assert_int_equal(CALL(w, "path_rename", 3, AT_PATH_2, m, 3, AT_PATH, n), WASI_E_BUSY);
    assert_true(world_host_has(w, "data/sub"));
    /* "deep" isn't there on the host, but must be seen on the way to the mount. */
    assert_string_equal(world_names(w, "data/sub", 4096), "deep:3 inner.txt:4 ");
    assert_string_equal(world_names(w, "data/sub/deep", 4096), "locked:3 ");
    assert_string_equal(world_content(w, "data/sub/deep/locked/kept.txt"), "kept");
}

static void single_files(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open(w, "etc/conf/single.txt", WASI_OFLAG_TRUNC, WRITE, &fd), 0);
    assert_int_equal(world_write(w, fd, "new"), 0);
    assert_string_equal(world_host_read(w, "single.txt"), "new");
    assert_int_equal(CALL(w, "fd_filestat_set_size", fd, 1), 0);
    assert_string_equal(world_host_read(w, "single.txt"), "n");
    assert_int_equal(world_open(w, "etc/conf/single.txt", WASI_OFLAG_DIRECTORY, READ, &fd), WASI_E_NOTDIR);
    assert_int_equal(world_open(w, "etc/conf/other.txt", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_ROFS);
    uint32_t n = world_put(w, AT_PATH, "etc/conf/single.txt"),
             m = world_put(w, AT_PATH_2, "etc/conf/single.txt/x");
    assert_int_equal(CALL(w, "path_link", 3, 0, AT_PATH, n, 3, AT_PATH_2, m), WASI_E_BUSY);
    assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH_2, m), WASI_E_NOTDIR);
    /* What it's replaced by on the host isn't followed. */
    assert_int_equal(unlink(world_host(w, "single.txt")), 0);
    assert_int_equal(world_stat(w, "etc/conf/single.txt"), WASI_E_NOENT);
    assert_string_equal(world_names(w, "etc/conf", 4096), "");
    assert_int_equal(symlink("outside/secret.txt", world_host(w, "single.txt")), 0);
    assert_int_equal(world_open(w, "etc/conf/single.txt", 0, READ, &fd), WASI_E_LOOP);
    assert_int_equal(world_open(w, "etc/conf/single.txt", WASI_OFLAG_TRUNC, WRITE, &fd), WASI_E_LOOP);
    assert_string_equal(world_host_read(w, "outside/secret.txt"), "secret");
}

static void synthetic_folders(void **state) {
    static const struct {
        const char *path, *names;
    } rows[] = {
        {"/", "data:3 etc:3 project:3 ro:3 "}, {".", "data:3 etc:3 project:3 ro:3 "}, {"etc", "conf:3 "},
        {"etc/conf/", "single.txt:4 "},        {"project/out", "escape:7 "},          {"ro", "r.txt:4 sub:3 "},
    };
    struct world *w = *state;
    uint32_t fd;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(world_stat(w, rows[i].path), 0);
        assert_int_equal(world_filetype(w), WASI_FILETYPE_DIRECTORY);
        assert_string_equal(world_names(w, rows[i].path, 4096), rows[i].names);
        assert_int_equal(world_open(w, rows[i].path, 0, READ, &fd), 0);
        uint64_t ino = world_u64(w, AT_STAT + WASI_FILESTAT_INO);
        assert_int_equal(CALL(w, "fd_filestat_get", fd, AT_STAT), 0);
        assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_INO), ino);
        assert_int_equal(CALL(w, "fd_sync", fd), 0);
        assert_int_equal(CALL(w, "fd_close", fd), 0);
    }
    assert_int_equal(CALL(w, "fd_filestat_get", 3, AT_STAT), 0);
    assert_int_equal(world_filetype(w), WASI_FILETYPE_DIRECTORY);
}

static void a_mount_at_the_root(void **state) {
    struct world *w = *state;
    w->mounts[0].guest = "/";
    w->mounts[5].guest = "/locked";
    world_restart(w);
    assert_string_equal(world_content(w, "file.txt"), "hello");
    assert_string_equal(world_content(w, "locked/kept.txt"), "kept");
    const char *names = world_names(w, "/", 100);
    assert_non_null(strstr(names, "file.txt:4 "));
    assert_non_null(strstr(names, "project:3 "));
    assert_non_null(strstr(names, "locked:3 "));
    assert_int_equal(CALL(w, "fd_readdir", 3, AT_BUFFER, 4096, 0, AT_RESULT), 0);
    assert_true(world_u32(w, AT_RESULT) > 500);
    assert_int_equal(world_stat(w, "/"), 0);
    assert_int_equal(world_u64(w, AT_STAT), 1);
}

static void numbers_of_the_host_stay_out(void **state) {
    struct world *w = *state;
    struct stat st;
    assert_int_equal(stat(world_host(w, "data/file.txt"), &st), 0);
    assert_int_equal(world_stat(w, "data/file.txt"), 0);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_DEV), 1);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_INO), st.st_ino);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_SIZE_FIELD), 5);
    assert_int_equal(world_stat(w, "ro/r.txt"), 0);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_DEV), 2);
    assert_int_equal(world_stat(w, "etc"), 0);
    assert_int_equal(world_u64(w, AT_STAT + WASI_FILESTAT_DEV), 0);
}

static void listings_come_in_pieces(void **state) {
    struct world *w = *state;
    char expected[8192] = "";
    for (int i = 0; i < 200; i++) {
        char name[64];
        snprintf(name, sizeof name, "ro/sub/name%03d-%.*s", i, i % 30, "abcdefghijklmnopqrstuvwxyz0123456789");
        world_host_write(w, name, "");
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s:4 ", name + 7);
    }
    static const uint32_t sizes[] = {64, 65, 71, 100, 1000, 4096, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_string_equal(world_names(w, "ro/sub", sizes[i]), expected);
    /* Too small for one entry: filled, and nothing written beyond. */
    for (uint32_t size = 0; size < 40; size++) {
        memset(w->memory + AT_BUFFER, 0xee, 64);
        uint32_t fd;
        assert_int_equal(world_open(w, "ro/sub", 0, READ, &fd), 0);
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, size, 2, AT_RESULT), 0);
        assert_int_equal(world_u32(w, AT_RESULT), size < 32 ? size : size);
        assert_int_equal(w->memory[AT_BUFFER + size], 0xee);
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, size, 202, AT_RESULT), 0);
        assert_int_equal(world_u32(w, AT_RESULT), 0);
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, size, UINT64_MAX, AT_RESULT), 0);
        assert_int_equal(world_u32(w, AT_RESULT), 0);
        assert_int_equal(CALL(w, "fd_close", fd), 0);
    }
}

static void a_listing_is_a_snapshot(void **state) {
    struct world *w = *state;
    uint32_t fd, all;
    assert_int_equal(world_open(w, "ro", 0, READ, &fd), 0);
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 0, AT_RESULT), 0);
    all = world_u32(w, AT_RESULT);
    world_host_write(w, "ro/another.txt", "");
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 1, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), all - 25); /* all but "." */
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 0, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), all + 24 + 11);
}

static void listings_have_limits(void **state) {
    struct world *w = *state;
    uint32_t fd;
    w->options.limits.folder_entries = 3; /* ".", "..", r.txt and sub are four */
    world_restart(w);
    assert_int_equal(world_open(w, "ro", 0, READ, &fd), 0);
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 0, AT_RESULT), WASI_E_OVERFLOW);
    w->options.limits.folder_entries = 4;
    world_restart(w);
    assert_int_equal(world_open(w, "ro", 0, READ, &fd), 0);
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 0, AT_RESULT), 0);
    w->options.limits.folder_entries = 1000;
    w->options.limits.listings = 1000;
    world_restart(w);
    uint32_t status = 0, opened = 0;
    while (!status && opened++ < 50) {
        assert_int_equal(world_open(w, "ro", 0, READ, &fd), 0);
        status = CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 0, AT_RESULT);
    }
    assert_int_equal(status, WASI_E_NOMEM);
    assert_true(opened > 1);
    /* Closing one gives its share back. */
    assert_int_equal(CALL(w, "fd_close", fd - 1), 0);
    assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, 4096, 0, AT_RESULT), 0);
}

static void uses_are_traced(void **state) {
    struct world *w = *state;
    uint32_t fd;
    buffer_clear(&w->trace);
    world_stat(w, "project/main.py");
    world_stat(w, "project/absent.py");
    world_stat(w, "project/.env");
    world_stat(w, "project/README");
    world_stat(w, "project/pkg");
    world_stat(w, "nowhere/else");
    world_open(w, "project/pkg/mod.py", 0, READ, &fd);
    world_open(w, "project/pkg/no.py", 0, READ, &fd);
    world_open(w, "data/file.txt", 0, WRITE, &fd);
    world_names(w, "project/pkg", 4096);
    world_stat(w, "etc/conf/single.txt");
    assert_string_equal(buffer_text(&w->trace),
                        "F src/main.py\nA src/absent.py\nF src/pkg/mod.py\nA src/pkg/no.py\n"
                        "D src/pkg\nF single.txt\n");
}

static void folders_change(void **state) {
    struct world *w = *state;
    static const struct {
        const char *call, *from, *to;
        uint32_t status;
    } rows[] = {
        {"path_create_directory", "data/new", NULL, 0},
        {"path_create_directory", "data/new", NULL, WASI_E_EXIST},
        {"path_create_directory", "data/new2/", NULL, 0},
        {"path_create_directory", "data/no/new", NULL, WASI_E_NOENT},
        {"path_create_directory", "data/link_in", NULL, WASI_E_EXIST},
        {"path_create_directory", "data/dirout/new", NULL, WASI_E_LOOP}, /* PERM without the inner mount */
        {"path_create_directory", "/", NULL, WASI_E_EXIST},
        {"path_unlink_file", "data/new", NULL, WASI_E_ISDIR},
        {"path_unlink_file", "data/new/", NULL, WASI_E_ISDIR},
        {"path_unlink_file", "data/file.txt/", NULL, WASI_E_NOTDIR},
        {"path_unlink_file", "data/sub/..", NULL, WASI_E_INVAL},
        {"path_remove_directory", "data/file.txt", NULL, WASI_E_NOTDIR},
        {"path_remove_directory", "data/sub", NULL, WASI_E_NOTEMPTY},
        {"path_remove_directory", "data/new/.", NULL, WASI_E_INVAL},
        {"path_rename", "data/new", "data/newer", 0},
        {"path_rename", "data/newer/", "data/new/", 0},
        {"path_rename", "data/file.txt", "data/file2/", WASI_E_NOTDIR},
        {"path_rename", "data/file.txt/", "data/file2", WASI_E_NOTDIR},
        {"path_rename", "data/file.txt", "project/out/file.txt", WASI_E_XDEV},
        {"path_rename", "data/file.txt", "etc/conf/single.txt", WASI_E_XDEV},
        {"path_rename", "data/file.txt", "ro/file.txt", WASI_E_ROFS},
        {"path_rename", "data/file.txt", "data/new/moved.txt", 0},
        {"path_rename", "data/new/moved.txt", "data/file.txt", 0},
        {"path_rename", "data/no", "data/x", WASI_E_NOENT},
        {"path_rename", "data/sub", "data/sub/x", WASI_E_INVAL},
        {"path_remove_directory", "data/new", NULL, 0},
        {"path_remove_directory", "data/new2/", NULL, 0},
        {"path_unlink_file", "data/dangling", NULL, 0},
        {"path_unlink_file", "data/link_out", NULL, 0},
        {"path_unlink_file", "data/sub/inner.txt", NULL, 0},
        {"path_unlink_file", "data/sub/inner.txt", NULL, WASI_E_NOENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t n = world_put(w, AT_PATH, rows[i].from);
        uint32_t m = rows[i].to ? world_put(w, AT_PATH_2, rows[i].to) : 0;
        uint32_t status =
            m ? CALL(w, rows[i].call, 3, AT_PATH, n, 3, AT_PATH_2, m) : CALL(w, rows[i].call, 3, AT_PATH, n);
        if (status != rows[i].status)
            fail_msg("%s %s %s: %u, not %u", rows[i].call, rows[i].from, rows[i].to ? rows[i].to : "", status,
                     rows[i].status);
    }
    assert_true(world_host_has(w, "outside/secret.txt"));
    assert_string_equal(world_host_read(w, "data/file.txt"), "hello");
}

static void links_made_by_guests(void **state) {
    struct world *w = *state;
    static const struct {
        const char *from, *to;
        uint32_t status;
    } rows[] = {
        {"data/file.txt", "data/hard", 0},
        {"data/file.txt", "data/hard", WASI_E_EXIST},
        {"data/sub", "data/hard2", WASI_E_PERM},
        {"data/link_out", "data/hard2", WASI_E_PERM},
        {"data/fifo", "data/hard2", WASI_E_PERM},
        {"data/file.txt/", "data/hard2", WASI_E_NOTDIR},
        {"data/file.txt", "data/hard2/", WASI_E_NOTDIR},
        {"data/file.txt", "project/out/hard", WASI_E_XDEV},
        {"project/out/x", "data/hard2", WASI_E_XDEV},
        {"ro/r.txt", "data/hard2", WASI_E_ROFS},
        {"data/locked/kept.txt", "data/hard2", WASI_E_ROFS},
        {"outside/secret.txt", "data/hard2", WASI_E_ROFS},
        {"../outside/secret.txt", "data/hard2", WASI_E_ROFS},
        {"data/dirout/secret.txt", "data/hard2", WASI_E_LOOP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint32_t follow = 0; follow < 2; follow++) {
            uint32_t n = world_put(w, AT_PATH, rows[i].from), m = world_put(w, AT_PATH_2, rows[i].to);
            uint32_t status = CALL(w, "path_link", 3, follow, AT_PATH, n, 3, AT_PATH_2, m);
            uint32_t expected = i == 0 && follow ? (uint32_t)WASI_E_EXIST : rows[i].status;
            if (status != expected)
                fail_msg("%s to %s: %u, not %u", rows[i].from, rows[i].to, status, expected);
        }
    }
    assert_string_equal(world_content(w, "data/hard"), "hello");
    assert_false(world_host_has(w, "data/hard2"));
    static const char *const targets[] = {"file.txt", "/etc/passwd", "../outside", "sub/../../outside", ""};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        uint32_t n = world_put(w, AT_PATH, targets[i]), m = world_put(w, AT_PATH_2, "data/soft");
        assert_int_equal(CALL(w, "path_symlink", AT_PATH, n, 3, AT_PATH_2, m), WASI_E_PERM);
        assert_false(world_host_has(w, "data/soft"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mount_tables_are_checked),
        cmocka_unit_test(the_longest_prefix_wins),
        WORLD_TEST(sources_show_only_sources),
        WORLD_TEST(read_only_mounts_refuse_every_change),
        WORLD_TEST(an_inner_mount_is_no_weaker),
        WORLD_TEST(mount_points_stay),
        WORLD_TEST(single_files),
        WORLD_TEST(synthetic_folders),
        WORLD_TEST(a_mount_at_the_root),
        WORLD_TEST(numbers_of_the_host_stay_out),
        WORLD_TEST(listings_come_in_pieces),
        WORLD_TEST(a_listing_is_a_snapshot),
        WORLD_TEST(listings_have_limits),
        WORLD_TEST(uses_are_traced),
        WORLD_TEST(folders_change),
        WORLD_TEST(links_made_by_guests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
