/* Path resolution of the WASI host: what a guest can name, and every known way of trying to name more. */
#define _GNU_SOURCE 1
#include "wasi_world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void opens_what_is_mounted(void **state) {
    static const struct {
        const char *path, *content;
    } rows[] = {
        {"data/file.txt", "hello"},          {"/data/file.txt", "hello"},
        {"./data//./file.txt", "hello"},     {"data/sub/../file.txt", "hello"},
        {"../../../data/file.txt", "hello"}, {"ro/../data/sub/inner.txt", "inner"},
        {"data/link_in", "hello"},           {"data/dirlink/inner.txt", "inner"},
        {"data/locked/kept.txt", "kept"},    {"ro/r.txt", "readonly"},
        {"project/main.py", "print(1)"},     {"project/link.py", "print(1)"},
        {"project/ext/mod.py", "x = 1"},     {"etc/conf/single.txt", "single"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *content = world_content(w, rows[i].path);
        if (!content || strcmp(content, rows[i].content) != 0)
            fail_msg("%s: %s", rows[i].path, content ? content : "doesn't open");
    }
}

static void refuses_what_is_not(void **state) {
    static const struct {
        const char *path;
        uint32_t errno_value;
    } rows[] = {
        {"", WASI_E_NOENT},
        {"nothing", WASI_E_NOENT},
        {"outside/secret.txt", WASI_E_NOENT},
        {"../outside/secret.txt", WASI_E_NOENT},
        {"data/../outside/secret.txt", WASI_E_NOENT},
        {"data/../../outside/secret.txt", WASI_E_NOENT},
        {"/etc/passwd", WASI_E_NOENT},
        {"/proc/self/environ", WASI_E_NOENT},
        {"data/link_out", WASI_E_PERM},
        {"data/link_abs", WASI_E_PERM},
        {"data/dirout/secret.txt", WASI_E_PERM},
        {"data/sneaky/secret.txt", WASI_E_PERM},
        {"data/magic", WASI_E_PERM},
        {"data/magic/etc/passwd", WASI_E_PERM},
        {"project/out/escape", WASI_E_PERM},
        {"data/loop", WASI_E_LOOP},
        {"data/dangling", WASI_E_NOENT},
        {"data/file.txt/", WASI_E_NOTDIR},
        {"data/file.txt/.", WASI_E_NOTDIR},
        {"data/file.txt/x", WASI_E_NOTDIR},
        {"data/link_in/", WASI_E_NOTDIR},
        {"data/fifo", WASI_E_NOTSUP},
        {"data/socket", WASI_E_NOTSUP},
        {"etc/conf/single.txt/x", WASI_E_NOTDIR},
        {"etc/conf/single.txt/", WASI_E_NOTDIR},
        {"etc/conf/fixed.txt", WASI_E_NOENT},
        {"etc/conf/single.tx", WASI_E_NOENT},
    };
    struct world *w = *state;
    uint32_t fd;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t status = world_open(w, rows[i].path, 0, READ, &fd);
        if (status != rows[i].errno_value)
            fail_msg("%s: %u, not %u", rows[i].path, status, rows[i].errno_value);
    }
}

static void links_are_not_followed_unasked(void **state) {
    struct world *w = *state;
    uint32_t fd;
    assert_int_equal(world_open_at(w, 3, "data/link_in", 0, 0, READ, 0, &fd), WASI_E_LOOP);
    assert_int_equal(world_lstat(w, "data/link_out"), 0);
    assert_int_equal(world_filetype(w), WASI_FILETYPE_SYMBOLIC_LINK);
    assert_int_equal(world_stat(w, "data/link_out"), WASI_E_PERM);
    /* A slash at the end asks for the folder behind it. */
    assert_int_equal(world_lstat(w, "data/dirlink/"), 0);
    assert_int_equal(world_filetype(w), WASI_FILETYPE_DIRECTORY);
    uint32_t n = world_put(w, AT_PATH, "data/link_in");
    assert_int_equal(CALL(w, "path_readlink", 3, AT_PATH, n, AT_BUFFER, 100, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 8);
    assert_memory_equal(w->memory + AT_BUFFER, "file.txt", 8);
    assert_int_equal(CALL(w, "path_readlink", 3, AT_PATH, n, AT_BUFFER, 3, AT_RESULT), 0);
    assert_int_equal(world_u32(w, AT_RESULT), 3);
    n = world_put(w, AT_PATH, "data/file.txt");
    assert_int_equal(CALL(w, "path_readlink", 3, AT_PATH, n, AT_BUFFER, 100, AT_RESULT), WASI_E_INVAL);
}

static void nul_and_overlong_paths(void **state) {
    struct world *w = *state;
    char path[5000];
    memcpy(w->memory + AT_PATH, "data/file.txt\0.png", 18);
    assert_int_equal(CALL(w, "path_filestat_get", 3, 1, AT_PATH, 18, AT_STAT), WASI_E_ILSEQ);
    assert_int_equal(CALL(w, "path_open", 3, 1, AT_PATH, 18, 0, READ, 0, 0, AT_RESULT), WASI_E_ILSEQ);
    assert_int_equal(CALL(w, "path_create_directory", 3, AT_PATH, 18), WASI_E_ILSEQ);
    memset(path, '/', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(world_stat(w, path), WASI_E_NAMETOOLONG);
    path[4096] = '\0';
    assert_int_equal(world_stat(w, path), WASI_E_NAMETOOLONG);
    path[4095] = '\0';
    assert_int_equal(world_stat(w, path), 0);
    memset(path, 'a', 4095);
    assert_int_equal(world_stat(w, path), WASI_E_NAMETOOLONG); /* with the slash before it */
    path[4094] = '\0';
    assert_int_equal(world_stat(w, path), WASI_E_NOENT); /* nothing is mounted there */
    memcpy(path, "data/", 5);
    assert_int_equal(world_stat(w, path), WASI_E_NAMETOOLONG); /* one name of over 255 bytes */
    w->options.limits.path_length = 10;
    world_restart(w);
    assert_int_equal(world_stat(w, "data/file."), WASI_E_NAMETOOLONG);
    assert_int_equal(world_stat(w, "data/file"), WASI_E_NOENT);
}

/* A path that's within the limit relative to its folder, but not in all. */
static void overlong_by_its_folder(void **state) {
    struct world *w = *state;
    char path[4001];
    uint32_t fd;
    assert_int_equal(world_open(w, "data/sub", WASI_OFLAG_DIRECTORY, READ, &fd), 0);
    memset(path, 'b', 4000);
    path[4000] = '\0';
    memcpy(path, "../../data/", 11);
    assert_int_equal(world_open_at(w, fd, path, 1, 0, READ, 0, &fd), WASI_E_NAMETOOLONG);
    memset(path, 'b', 4000);
    for (size_t i = 0; i < 4000; i += 200)
        path[i] = '/';
    path[0] = 'b';
    assert_int_equal(world_open_at(w, fd, path, 1, 0, READ, 0, &fd), WASI_E_NOENT);
}

static void paths_are_relative_to_the_folder(void **state) {
    struct world *w = *state;
    uint32_t folder, fd;
    assert_int_equal(world_open(w, "data/sub", WASI_OFLAG_DIRECTORY, READ, &folder), 0);
    assert_int_equal(world_open_at(w, folder, "inner.txt", 1, 0, READ, 0, &fd), 0);
    assert_int_equal(world_open_at(w, folder, "../file.txt", 1, 0, READ, 0, &fd), 0);
    assert_int_equal(world_open_at(w, folder, "/ro/r.txt", 1, 0, READ, 0, &fd), 0);
    assert_int_equal(world_open_at(w, folder, "../../../../outside/secret.txt", 1, 0, READ, 0, &fd), WASI_E_NOENT);
    assert_int_equal(world_open_at(w, fd, "x", 1, 0, READ, 0, &fd), WASI_E_NOTDIR);
    assert_int_equal(world_open_at(w, 99, "x", 1, 0, READ, 0, &fd), WASI_E_BADF);
    assert_int_equal(world_open_at(w, 1, "x", 1, 0, READ, 0, &fd), WASI_E_NOTDIR);
}

static void device_nodes_are_not_opened(void **state) {
    struct world *w = *state;
    uint32_t fd;
    if (mknod(world_host(w, "data/zero"), S_IFCHR | 0666, makedev(1, 5)) != 0)
        skip();
    assert_int_equal(world_open(w, "data/zero", 0, READ, &fd), WASI_E_NOTSUP);
    assert_int_equal(world_open(w, "data/zero", WASI_OFLAG_CREAT | WASI_OFLAG_TRUNC, WRITE, &fd), WASI_E_NOTSUP);
    assert_int_equal(world_stat(w, "data/zero"), 0);
    assert_int_equal(world_filetype(w), WASI_FILETYPE_CHARACTER_DEVICE);
}

/* Even where somebody mounted /proc. */
static void magic_links_lead_nowhere(void **state) {
    static const char *const paths[] = {"ro/exe",    "ro/cwd/README.md",    "ro/root/etc/passwd",
                                        "ro/fd/0",   "ro/task/../root/etc", "ro/map_files/../exe",
                                        "ro/ns/user"};
    struct world *w = *state;
    uint32_t fd;
    close(w->mounts[1].host_fd);
    w->mounts[1].host_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->options.trace = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        uint32_t status = world_open(w, paths[i], 0, READ, &fd);
        if (status != WASI_E_PERM && status != WASI_E_LOOP)
            fail_msg("%s: %u", paths[i], status);
    }
}

/* Opening it would wake the writer; this host must not even do that. */
static void *open_fifo(void *path) {
    int fd = open(path, O_WRONLY);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void a_fifo_is_left_alone(void **state) {
    struct world *w = *state;
    pthread_t writer;
    uint32_t fd;
    char path[512];
    snprintf(path, sizeof path, "%s", world_host(w, "data/fifo"));
    assert_int_equal(pthread_create(&writer, NULL, open_fifo, path), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(world_open(w, "data/fifo", 0, READ, &fd), WASI_E_NOTSUP);
        assert_int_equal(world_open(w, "data/fifo", WASI_OFLAG_CREAT, WRITE, &fd), WASI_E_NOTSUP);
    }
    assert_int_equal(pthread_tryjoin_np(writer, NULL), EBUSY);
    int reader = open(path, O_RDONLY);
    pthread_join(writer, NULL);
    close(reader);
}

struct swapper {
    char link[512], other[512];
    atomic_bool stop;
};

/* Makes "swap" by turns the folder sub, a link to ../outside and a link within. */
static void *swap_links(void *user) {
    static const char *const targets[] = {"../outside", "sub", "sub/../../outside", "/"};
    struct swapper *s = user;
    for (unsigned i = 0; !atomic_load(&s->stop); i++) {
        unlink(s->other);
        if (symlink(targets[i % 4], s->other) == 0)
            rename(s->other, s->link);
    }
    return NULL;
}

static void a_racing_link_never_leads_out(void **state) {
    struct world *w = *state;
    struct swapper s = {.stop = false};
    pthread_t thread;
    unsigned inside = 0, refused = 0, made = 0;
    w->options.n_mounts = WORLD_MOUNTS - 1; /* without the mount in /data, links are followed for changes too */
    world_restart(w);
    snprintf(s.link, sizeof s.link, "%s", world_host(w, "data/swap"));
    snprintf(s.other, sizeof s.other, "%s", world_host(w, "data/swap.new"));
    world_host_write(w, "data/sub/secret.txt", "inside");
    assert_int_equal(pthread_create(&thread, NULL, swap_links, &s), 0);
    /* Until both outcomes were seen often; bounded, since on one core a side may starve. */
    for (unsigned i = 0; i < 200000 && (inside < 500 || refused < 500 || made < 20); i++) {
        const char *content = world_content(w, "data/swap/secret.txt");
        if (content && strcmp(content, "inside") != 0)
            fail_msg("read %s", content);
        inside += content != NULL;
        refused += content == NULL;
        uint32_t n = world_put(w, AT_PATH, "data/swap/made");
        CALL(w, "path_create_directory", 3, AT_PATH, n);
        made += CALL(w, "path_remove_directory", 3, AT_PATH, n) == 0;
        n = world_put(w, AT_PATH, "data/swap/secret.txt");
        if (i % 2)
            CALL(w, "path_filestat_get", 3, 1, AT_PATH, n, AT_STAT);
    }
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    assert_true(inside > 0 && refused > 0 && made > 0);
    assert_false(world_host_has(w, "outside/made"));
    assert_string_equal(world_host_read(w, "outside/secret.txt"), "secret");
}

/* The same, with a folder that moves up while a path with ".." in a link is resolved. */
static void *move_folder(void *user) {
    struct swapper *s = user;
    while (!atomic_load(&s->stop)) {
        rename(s->link, s->other);
        rename(s->other, s->link);
    }
    return NULL;
}

static void a_moving_folder_never_leads_out(void **state) {
    struct world *w = *state;
    struct swapper s = {.stop = false};
    pthread_t thread;
    mkdir(world_host(w, "data/a"), 0755);
    mkdir(world_host(w, "data/a/b"), 0755);
    mkdir(world_host(w, "data/a/b/c"), 0755);
    assert_int_equal(symlink("../../../outside/secret.txt", world_host(w, "data/a/b/c/up")), 0);
    snprintf(s.link, sizeof s.link, "%s", world_host(w, "data/a/b/c"));
    snprintf(s.other, sizeof s.other, "%s", world_host(w, "data/c"));
    assert_int_equal(pthread_create(&thread, NULL, move_folder, &s), 0);
    for (unsigned i = 0; i < 20000; i++) {
        const char *content = world_content(w, i % 2 ? "data/a/b/c/up" : "data/c/up");
        if (content)
            fail_msg("read %s", content);
    }
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(opens_what_is_mounted),
        WORLD_TEST(refuses_what_is_not),
        WORLD_TEST(links_are_not_followed_unasked),
        WORLD_TEST(nul_and_overlong_paths),
        WORLD_TEST(overlong_by_its_folder),
        WORLD_TEST(paths_are_relative_to_the_folder),
        WORLD_TEST(device_nodes_are_not_opened),
        WORLD_TEST(magic_links_lead_nowhere),
        WORLD_TEST(a_fifo_is_left_alone),
        WORLD_TEST(a_racing_link_never_leads_out),
        WORLD_TEST(a_moving_folder_never_leads_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
