/* Fuzzes the WASI host with sequences of calls. The input is the guest's memory and the calls: 12 bytes each, a function and how to make each
 * argument. Nothing may touch memory outside of the view, leave the mounts, or leak a descriptor. */
#include "base/buffer.h"
#include "sandbox/wasi.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MEMORY = 8192, WORDS_AT = 4096, WORD_SIZE = 16, CALL_SIZE = 12, CALLS_MAX = 64 };

/* Paths worth trying, at known addresses; each call may use any of them with any length up to its own. */
static const char *const words[] = {"/",         ".",         "..",      "/rw",      "/rw/f",   "/rw/d/g",
                                    "/ro/f",     "/rw/../ro", "/rw/out", "/rw/up/x", "/one",    "/src/a.py",
                                    "/src/.env", "rw/d/../f", "/rw/f/",  "/rw/new",  "/rw/d/n", "//rw//f",
                                    "/ro/new",   "/src/d",    "/one/x",  "/rw/loop", "/rw/d/",  "../../etc"};

static struct {
    char folder[32];
    struct mount mounts[4];
} world;

static void make_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world.folder, name);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        abort();
    fputs(text, f);
    fclose(f);
}

static int open_folder(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world.folder, name);
    mkdir(path, 0700);
    return open(path, O_PATH | O_DIRECTORY);
}

static void clean_up(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", world.folder);
    if (system(command) != 0)
        perror(world.folder);
}

static void set_up(void) {
    char path[128];
    snprintf(world.folder, sizeof world.folder, "/tmp/capsule-fuzz-XXXXXX");
    if (mkdtemp(world.folder) == NULL)
        abort();
    atexit(clean_up);
    world.mounts[0] =
        (struct mount){.guest = "/rw", .host_fd = open_folder("rw"), .kind = MOUNT_FOLDER, .writable = true};
    world.mounts[1] = (struct mount){.guest = "/ro", .host_fd = open_folder("ro"), .kind = MOUNT_FOLDER};
    world.mounts[2] = (struct mount){.guest = "/src", .host_fd = open_folder("src"), .kind = MOUNT_SOURCES};
    world.mounts[3] = (struct mount){
        .guest = "/one", .host_fd = world.mounts[0].host_fd, .name = "f", .kind = MOUNT_FILE, .writable = true};
    close(open_folder("rw/d"));
    make_file("secret", "secret");
    make_file("ro/f", "read only");
    make_file("src/a.py", "pass");
    make_file("src/.env", "SECRET=1");
    snprintf(path, sizeof path, "%s/rw/up", world.folder);
    if (symlink("..", path) != 0)
        abort();
    snprintf(path, sizeof path, "%s/rw/loop", world.folder);
    if (symlink("loop", path) != 0)
        abort();
}

/* Small numbers, addresses of words, addresses of the calls themselves, and the edges. */
static uint64_t argument(uint8_t b) {
    static const uint64_t edges[] = {UINT32_MAX, UINT64_MAX,        MEMORY, MEMORY - 1, MEMORY - 8,
                                     INT64_MAX,  UINT64_C(1) << 63, 1 << 20};
    if (b < 96)
        return b;
    if (b < 144)
        return WORDS_AT + (uint64_t)(b - 96) * WORD_SIZE;
    if (b < 240)
        return (uint64_t)(b - 144) * 32;
    return edges[b % 8];
}

static void unchanged(const char *name, const char *expected) {
    char path[128], text[64] = "";
    snprintf(path, sizeof path, "%s/%s", world.folder, name);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(text, sizeof text, f) == NULL || strcmp(text, expected) != 0)
        abort();
    fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (world.folder[0] == '\0')
        set_up();
    make_file("rw/f", "content");
    CLEANUP(cleanup_free) void *owned = calloc(1, MEMORY);
    uint8_t *memory = owned;
    memcpy(memory, data, n < WORDS_AT ? n : WORDS_AT);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        memcpy(memory + WORDS_AT + i * WORD_SIZE, words[i], strlen(words[i]));
    struct wasi_options options = {.mounts = world.mounts, .n_mounts = 4, .limits = wasi_limits_default()};
    options.limits.written = 1 << 20;
    options.limits.file_size = 1 << 18;
    struct wasi *wasi = NULL;
    if (wasi_new(&options, &wasi, NULL) != 0)
        abort();
    for (size_t i = 0; i < CALLS_MAX && (i + 1) * CALL_SIZE <= n; i++) {
        const uint8_t *c = data + i * CALL_SIZE;
        uint64_t args[10];
        for (size_t a = 0; a < 10; a++)
            args[a] = argument(c[a + 1]);
        struct wasi_call call = {.wasi = wasi, .memory = {.base = memory, .size = MEMORY}, .args = args};
        (void)wasi_functions[c[0] % wasi_functions_n].call(&call);
    }
    wasi_free(wasi);
    unchanged("secret", "secret");
    unchanged("ro/f", "read only");
    unchanged("src/.env", "SECRET=1");
    return 0;
}
