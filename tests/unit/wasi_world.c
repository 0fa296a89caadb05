/* Owns the fixture of the WASI tests; see wasi_world.h. */
#define _GNU_SOURCE 1
#include "wasi_world.h"

#include "sandbox/wasi_tape.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *world_host(const struct world *w, const char *path) {
    static char paths[4][1024];
    static unsigned next;
    char *ret = paths[next++ % 4];
    snprintf(ret, sizeof paths[0], "%s/%s", w->root, path);
    return ret;
}

void world_host_write(const struct world *w, const char *path, const char *text) {
    FILE *f = fopen(world_host(w, path), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

const char *world_host_read(const struct world *w, const char *path) {
    static char text[4096];
    FILE *f = fopen(world_host(w, path), "r");
    if (!f)
        return NULL;
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

bool world_host_has(const struct world *w, const char *path) {
    struct stat st;
    return lstat(world_host(w, path), &st) == 0;
}

static void make_tree(const struct world *w) {
    static const char *const folders[] = {
        "outside", "outside/dir", "data",     "data/sub",         "data/locked",     "ro",  "ro/sub",
        "src",     "src/pkg",     "src/.git", "src/node_modules", "src/__pycache__", "out", "src/data.folder"};
    static const char *const files[][2] = {
        {"outside/secret.txt", "secret"}, {"data/file.txt", "hello"},    {"data/sub/inner.txt", "inner"},
        {"data/locked/kept.txt", "kept"}, {"ro/r.txt", "readonly"},      {"src/main.py", "print(1)"},
        {"src/.env", "KEY=secret"},       {"src/README", "read me"},     {"src/pkg/__init__.py", ""},
        {"src/pkg/mod.py", "x = 1"},      {"src/pkg/data.json", "{}"},   {"src/.git/config.py", "secret"},
        {"src/node_modules/x.py", "x"},   {"src/__pycache__/m.py", "x"}, {"single.txt", "single"},
        {"fixed.txt", "fixed"},           {"src/.hidden.py", "hidden"},
    };
    static const char *const links[][2] = {
        {"file.txt", "data/link_in"},     {"../outside/secret.txt", "data/link_out"},
        {"/etc/passwd", "data/link_abs"}, {"sub", "data/dirlink"},
        {"../outside", "data/dirout"},    {"loop", "data/loop"},
        {"nowhere", "data/dangling"},     {"sub/../../outside", "data/sneaky"},
        {"locked", "data/tolocked"},      {"/proc/self/root", "data/magic"},
        {"main.py", "src/link.py"},       {"pkg", "src/ext"},
        {".env", "src/env_link"},         {"../fixed.txt", "out/escape"},
    };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        assert_int_equal(mkdir(world_host(w, folders[i]), 0755), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        world_host_write(w, files[i][0], files[i][1]);
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        assert_int_equal(symlink(links[i][0], world_host(w, links[i][1])), 0);
    assert_int_equal(mkfifo(world_host(w, "data/fifo"), 0666), 0);
    assert_int_equal(mkfifo(world_host(w, "src/fifo.py"), 0666), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/data/socket", w->root);
    assert_int_equal(bind(s, (const struct sockaddr *)&address, sizeof address), 0);
    close(s);
}

static void set_mount(struct world *w, size_t i, struct mount m, const char *folder, const char *host) {
    m.host_fd = open(world_host(w, folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(m.host_fd >= 0);
    m.host = strdup(world_host(w, host));
    w->mounts[i] = m;
}

static void make_mounts(struct world *w) {
    set_mount(w, 0, (struct mount){.guest = "/data", .kind = MOUNT_FOLDER, .writable = true}, "data", "data");
    set_mount(w, 1, (struct mount){.guest = "/ro", .kind = MOUNT_FOLDER}, "ro", "ro");
    set_mount(w, 2, (struct mount){.guest = "/project", .kind = MOUNT_SOURCES, .writable = true}, "src", "src");
    set_mount(w, 3, (struct mount){.guest = "/project/out", .kind = MOUNT_FOLDER, .writable = true}, "out", "out");
    set_mount(w, 4,
              (struct mount){
                  .guest = "/etc/conf/single.txt", .kind = MOUNT_FILE, .name = "single.txt", .writable = true},
              ".", "single.txt");
    set_mount(w, 5, (struct mount){.guest = "/data/locked", .kind = MOUNT_FOLDER}, "data/locked", "data/locked");
}

static void on_output(void *user, int stream, const void *bytes, size_t n) {
    struct world *w = user;
    assert_true(stream == 1 || stream == 2);
    assert_int_equal(buffer_append(&w->output[stream], bytes, n), 0);
}

static void on_trace(void *user, enum wasi_trace_kind kind, const char *host) {
    struct world *w = user;
    size_t n = strlen(w->root);
    assert_int_equal(strncmp(host, w->root, n), 0);
    const char letter = kind == WASI_TRACE_FILE ? 'F' : kind == WASI_TRACE_FOLDER ? 'D' : 'A';
    assert_int_equal(buffer_printf(&w->trace, "%c %s\n", letter, host + n + 1), 0);
}

void world_restart(struct world *w) {
    struct error err;
    wasi_free(w->wasi);
    w->wasi = NULL;
    assert_int_equal(wasi_new(&w->options, &w->wasi, &err), 0);
}

int world_setup(void **state) {
    struct world *w = calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    snprintf(w->root, sizeof w->root, "%.60s/wasi.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->root));
    make_tree(w);
    make_mounts(w);
    for (int i = 0; i < 3; i++)
        w->output[i] = BUFFER_INIT(1 << 20);
    w->trace = BUFFER_INIT(1 << 20);
    w->kept = BUFFER_INIT(TAPE_MAX);
    w->size = WORLD_MEMORY;
    w->memory = calloc(1, w->size);
    w->options = (struct wasi_options){
        .mounts = w->mounts,
        .n_mounts = WORLD_MOUNTS,
        .limits = wasi_limits_default(),
        .output = on_output,
        .trace = on_trace,
        .user = w,
    };
    world_restart(w);
    *state = w;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int world_teardown(void **state) {
    struct world *w = *state;
    wasi_free(w->wasi);
    for (size_t i = 0; i < WORLD_MOUNTS; i++) {
        close(w->mounts[i].host_fd);
        free((char *)(uintptr_t)w->mounts[i].host);
    }
    for (int i = 0; i < 3; i++)
        buffer_done(&w->output[i]);
    buffer_done(&w->trace);
    buffer_done(&w->kept);
    tape_done(&w->tape);
    free(w->memory);
    nftw(w->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    return 0;
}

/* ---- tapes ---- */

static void begin_tape(struct world *w) {
    tape_done(&w->tape);
    tape_init(&w->tape, w->kept.data, w->kept.size);
    w->options.tape = &w->tape;
    memset(w->memory, 0, w->size);
    world_restart(w);
}

void world_record(struct world *w) {
    buffer_clear(&w->kept);
    begin_tape(w);
}

void world_replay(struct world *w) {
    world_keep(w);
    begin_tape(w);
}

void world_keep(struct world *w) {
    CLEANUP(buffer_done) struct buffer part = BUFFER_INIT(TAPE_MAX);
    assert_int_equal(tape_take(&w->tape, &part), 0);
    if (part.size == 0)
        return;
    assert_false(tape_replays(&w->tape));
    assert_int_equal(buffer_append(&w->kept, part.data, part.size), 0);
    w->tape.at = w->tape.end = ""; /* the bytes may have moved; all of them were replayed */
}

static struct buffer *tree; /* of world_tree, which nftw can't tell */

static int describe(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    char content[256] = "";
    ssize_t n = 0;
    if (type == FTW_SL)
        n = readlink(path, content, sizeof content - 1);
    else if (S_ISREG(st->st_mode)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        n = read(fd, content, sizeof content - 1);
        close(fd);
    }
    return buffer_printf(tree, "%s %o %lu %ld %ld.%09ld %ld.%09ld [%.*s]\n", path + ftw->base, st->st_mode,
                         (unsigned long)st->st_nlink, (long)st->st_size, (long)st->st_mtim.tv_sec,
                         st->st_mtim.tv_nsec, (long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, (int)n, content);
}

void world_tree(const struct world *w, struct buffer *ret) {
    tree = ret;
    assert_int_equal(nftw(w->root, describe, 16, FTW_PHYS), 0);
}

uint32_t world_call(struct world *w, const char *name, const uint64_t *args) {
    for (size_t i = 0; i < wasi_functions_n; i++) {
        if (strcmp(wasi_functions[i].name, name) != 0)
            continue;
        w->last = (struct wasi_call){.wasi = w->wasi, .memory = {w->memory, w->size}, .args = args};
        uint32_t status = wasi_taped_call(&w->last, &wasi_functions[i]);
        w->last.args = NULL;
        return status;
    }
    fail_msg("no function %s", name);
    return 0;
}

uint32_t world_put(struct world *w, uint32_t at, const char *text) {
    size_t n = strlen(text);
    assert_true(at + n <= w->size);
    memcpy(w->memory + at, text, n);
    return (uint32_t)n;
}

uint32_t world_u32(const struct world *w, uint32_t at) {
    uint32_t v;
    memcpy(&v, w->memory + at, sizeof v);
    return v;
}

uint64_t world_u64(const struct world *w, uint32_t at) {
    uint64_t v;
    memcpy(&v, w->memory + at, sizeof v);
    return v;
}

uint32_t world_open_at(struct world *w, uint32_t folder, const char *path, uint32_t lookup, uint32_t oflags,
                       uint64_t rights, uint32_t fdflags, uint32_t *ret_fd) {
    uint32_t n = world_put(w, AT_PATH, path);
    uint32_t status =
        CALL(w, "path_open", folder, lookup, AT_PATH, n, oflags, rights, UINT64_MAX, fdflags, AT_RESULT);
    if (!status)
        *ret_fd = world_u32(w, AT_RESULT);
    return status;
}

uint32_t world_open(struct world *w, const char *path, uint32_t oflags, uint64_t rights, uint32_t *ret_fd) {
    return world_open_at(w, 3, path, WASI_LOOKUP_SYMLINK_FOLLOW, oflags, rights, 0, ret_fd);
}

uint32_t world_stat(struct world *w, const char *path) {
    return CALL(w, "path_filestat_get", 3, WASI_LOOKUP_SYMLINK_FOLLOW, AT_PATH, world_put(w, AT_PATH, path),
                AT_STAT);
}

uint32_t world_lstat(struct world *w, const char *path) {
    return CALL(w, "path_filestat_get", 3, 0, AT_PATH, world_put(w, AT_PATH, path), AT_STAT);
}

uint8_t world_filetype(const struct world *w) {
    return w->memory[AT_STAT + WASI_FILESTAT_FILETYPE];
}

static void put_vector(struct world *w, uint32_t address, uint32_t n) {
    memcpy(w->memory + AT_VECTORS, &address, sizeof address);
    memcpy(w->memory + AT_VECTORS + 4, &n, sizeof n);
}

uint32_t world_write(struct world *w, uint32_t fd, const char *text) {
    put_vector(w, AT_BUFFER, world_put(w, AT_BUFFER, text));
    return CALL(w, "fd_write", fd, AT_VECTORS, 1, AT_RESULT);
}

uint32_t world_read(struct world *w, uint32_t fd, uint32_t n) {
    put_vector(w, AT_BUFFER, n);
    return CALL(w, "fd_read", fd, AT_VECTORS, 1, AT_RESULT);
}

const char *world_content(struct world *w, const char *path) {
    static char text[4096];
    uint32_t fd = 0;
    if (world_open(w, path, 0, READ, &fd))
        return NULL;
    uint32_t status = world_read(w, fd, sizeof text - 1);
    assert_int_equal(CALL(w, "fd_close", fd), 0);
    if (status)
        return NULL;
    uint32_t n = world_u32(w, AT_RESULT);
    memcpy(text, w->memory + AT_BUFFER, n);
    text[n] = '\0';
    return text;
}

const char *world_names(struct world *w, const char *path, uint32_t buffer_size) {
    static char names[1 << 16];
    size_t used = 0;
    uint32_t fd = 0, got;
    uint64_t cookie = 0;
    assert_int_equal(world_open(w, path, WASI_OFLAG_DIRECTORY, READ, &fd), 0);
    names[0] = '\0';
    do {
        assert_int_equal(CALL(w, "fd_readdir", fd, AT_BUFFER, buffer_size, cookie, AT_RESULT), 0);
        got = world_u32(w, AT_RESULT);
        assert_true(got <= buffer_size);
        bool progress = false;
        for (uint32_t at = 0; at + WASI_DIRENT_SIZE <= got;) {
            uint32_t entry = AT_BUFFER + at, n = world_u32(w, entry + WASI_DIRENT_NAME_LENGTH);
            const char *name = (const char *)w->memory + entry + WASI_DIRENT_SIZE;
            at += WASI_DIRENT_SIZE + n;
            if (at > got)
                break;
            progress = true;
            assert_true(world_u64(w, entry + WASI_DIRENT_INO) != 0);
            cookie = world_u64(w, entry + WASI_DIRENT_NEXT);
            bool dots = (n == 1 && name[0] == '.') || (n == 2 && memcmp(name, "..", 2) == 0);
            if (!dots)
                used += (size_t)snprintf(names + used, sizeof names - used, "%.*s:%u ", (int)n, name,
                                         w->memory[entry + WASI_DIRENT_FILETYPE]);
        }
        assert_true(progress || got < buffer_size); /* else the buffer is too small for a name */
    } while (got == buffer_size);
    assert_int_equal(CALL(w, "fd_close", fd), 0);
    return names;
}
