/* Preparing a guest: compile its code once per machine, boot it once, keep both in the cache. */
#include "run/guest.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/path.h"
#include "run/image_store.h"
#include "sandbox/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* A boot takes a quarter of a second; this bounds a guest in disorder. */
#define BOOT_FUEL UINT64_C(1000000000000)
enum { GUEST_JSON_MAX = 65536 };

static const struct guest_kind kinds[] = {
    [LANGUAGE_PYTHON] = {"python",
                         "Python",
                         2,
                         {{"lib/python3.13", "/lib/python3.13"}, {"lib/site", "/lib/site"}}},
    /* Its runtime is in the base image. */
    [LANGUAGE_JAVASCRIPT] = {"js", "JavaScript", 0, {{NULL, NULL}}},
};

const struct guest_kind *guest_kind(enum language language) {
    return &kinds[language];
}

/* ---- opening ---- */

static int not_installed(const struct guest *g, struct error *err) {
    error_errno(err, ERROR_UNSUPPORTED, errno, "the %s guest isn't installed in %s", g->kind->title, g->dir);
    error_hint(err, "build it with make, or point CAPSULE_GUESTS at the folder lib/capsule of an installation");
    return ERROR_UNSUPPORTED;
}

static int read_description(struct guest *g, struct error *err) {
    CLEANUP(cleanup_close) int fd = openat(g->dir_fd, "guest.json", O_RDONLY | O_CLOEXEC);
    char text[GUEST_JSON_MAX];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        return not_installed(g, err);
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    int r = json_parse(text, (size_t)n, &document, err);
    const char *digest = json_text(json_get(json_root(document), "digest"), NULL);
    const char *version = json_text(json_get(json_root(document), "version"), NULL);
    if (r != 0 || digest == NULL || version == NULL)
        return error_set(err, ERROR_CORRUPT, "%s/guest.json is damaged", g->dir);
    g->version = strdup(version);
    struct digest_state state;
    uint8_t key[DIGEST_SIZE];
    digest_begin(&state, NULL);
    digest_update(&state, engine_identity(), strlen(engine_identity()) + 1);
    digest_update(&state, digest, strlen(digest) + 1);
    digest_end(&state, key);
    digest_hex(key, g->key);
    return g->version == NULL ? error_set(err, ERROR_NOMEM, "no memory for a guest") : 0;
}

int guest_open(struct guest *g, const char *guests_dir, const struct guest_kind *kind, struct error *err) {
    *g = (struct guest){.kind = kind, .dir_fd = -1, .library_fds = {-1, -1}};
    pthread_mutex_init(&g->lock, NULL);
    g->opened = true;
    if (asprintf(&g->dir, "%s/%s", guests_dir, kind->name) < 0) {
        g->dir = NULL;
        return error_set(err, ERROR_NOMEM, "no memory for a guest");
    }
    g->dir_fd = open(g->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (g->dir_fd < 0)
        return not_installed(g, err);
    for (size_t i = 0; i < kind->libraries_n; i++) {
        g->library_fds[i] = openat(g->dir_fd, kind->libraries[i].folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (g->library_fds[i] < 0)
            return not_installed(g, err);
    }
    return read_description(g, err);
}

void guest_close(struct guest *g) {
    if (!g->opened)
        return;
    image_release(g->base);
    if (g->loaded)
        engine_unload(&g->module);
    for (size_t i = 0; i < GUEST_LIBRARIES_MAX; i++)
        cleanup_close(&g->library_fds[i]);
    cleanup_close(&g->dir_fd);
    free(g->dir);
    free(g->version);
    pthread_mutex_destroy(&g->lock);
    *g = (struct guest){0};
}

size_t guest_mounts(const struct guest *g, struct mount *ret) {
    for (size_t i = 0; i < g->kind->libraries_n; i++)
        ret[i] = (struct mount){.guest = g->kind->libraries[i].mount,
                                .host_fd = g->library_fds[i],
                                .kind = MOUNT_FOLDER,
                                .constant = true};
    return g->kind->libraries_n;
}

static void progress(const struct guest *g, const struct guest_context *c, const char *doing, const char *where) {
    char what[128];
    snprintf(what, sizeof what, "%s the %s guest%s (once)", doing, g->kind->title, where);
    if (c->on_progress != NULL)
        c->on_progress(c->user, what);
}

/* ---- native code ---- */

/* Maps a file of the guest's folder; *ret_n is its size. */
static int map_file(const struct guest *g, const char *name, const uint8_t **ret, size_t *ret_n,
                    struct error *err) {
    CLEANUP(cleanup_close) int fd = openat(g->dir_fd, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return not_installed(g, err);
    if (st.st_size <= 0)
        return error_set(err, ERROR_CORRUPT, "%s/%s is empty", g->dir, name);
    void *at = FAULT("guest.map") ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return error_errno(err, ERROR_IO, errno, "can't map %s/%s", g->dir, name);
    *ret = at;
    *ret_n = (size_t)st.st_size;
    return 0;
}

static int copy_file(int from, int to, struct error *err) {
    off_t at = 0;
    ssize_t n;
    do {
        n = FAULT("guest.copy") ? -1 : sendfile(to, from, &at, 1 << 30);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 ? 0 : error_errno(err, ERROR_IO, errno, "can't write compiled code");
}

/* Makes compiled code a cache object and loads that. */
static int keep_code(struct guest *g, const struct guest_context *c, int code, const char *object,
                     struct error *err) {
    struct cache_write *write = NULL;
    int fd = -1;
    int r = cache_begin(c->cache, &write, &fd, err);
    if (r != 0)
        return r;
    r = copy_file(code, fd, err);
    if (r != 0) {
        cache_abort(write);
        return r;
    }
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(cleanup_close) int object_fd = -1;
    r = cache_commit(write, object, &object_fd, &path, err);
    return r == 0 ? engine_load(c->engine, path, &g->module, err) : r;
}

/* Compiles core.wasm, keeps the code and loads it. Into memory first: it takes seconds, and a process that is interrupted
 * meanwhile shall leave no temporary file. */
static int compile(struct guest *g, const struct guest_context *c, const char *object, struct error *err) {
    progress(g, c, "compiling", " for this machine");
    CLEANUP(cleanup_close) int code = memfd_create("capsule-code", MFD_CLOEXEC);
    const uint8_t *wasm = NULL;
    size_t n = 0;
    if (code < 0)
        return error_errno(err, ERROR_IO, errno, "no memory for compiled code");
    int r = map_file(g, "core.wasm", &wasm, &n, err);
    if (r != 0)
        return r;
    r = engine_compile(c->engine, wasm, n, code, err);
    munmap((void *)(uintptr_t)wasm, n);
    if (r == 0)
        r = keep_code(g, c, code, object, err);
    if (r == ERROR_IO && cache_writable(c->cache)) {
        /* A full disk: once more, in memory. */
        cache_stop_writing(c->cache);
        r = keep_code(g, c, code, object, err);
    }
    return r;
}

static int take_code(struct guest *g, const struct guest_context *c, const char *object, struct error *err) {
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(cleanup_close) int fd = -1;
    int r = cache_take(c->cache, object, &fd, &path, err);
    return r == 0 ? engine_load(c->engine, path, &g->module, err) : r;
}

static int load_code(struct guest *g, const struct guest_context *c, struct error *err) {
    char object[GUEST_KEY_SIZE + 8];
    snprintf(object, sizeof object, "%s.cwasm", g->key);
    if (take_code(g, c, object, err) == 0)
        return 0;
    CLEANUP(cleanup_close) int lock = -1;
    int r = cache_lock(c->cache, object, &lock, err);
    if (r != 0)
        return r;
    /* Another process may have built it while we waited. */
    return take_code(g, c, object, err) == 0 ? 0 : compile(g, c, object, err);
}

int guest_load(struct guest *g, const struct guest_context *c, struct error *err) {
    pthread_mutex_lock(&g->lock);
    int r = g->loaded ? 0 : load_code(g, c, err);
    g->loaded = g->loaded || r == 0;
    pthread_mutex_unlock(&g->lock);
    return r;
}

/* ---- base image ---- */

/* The memory as the linker laid it out, as an image of its own: what a guest boots from. */
static int linked_image(const struct guest *g, struct image **ret, struct error *err) {
    const uint8_t *data = NULL;
    size_t n = 0;
    int r = map_file(g, "memory.bin", &data, &n, err);
    if (r != 0)
        return r;
    CLEANUP(cleanup_close) int fd = FAULT("guest.memfd") ? -1 : memfd_create("capsule-linked-memory", MFD_CLOEXEC);
    uint64_t size = g->module.memory_size;
    if (fd < 0 || n > size || ftruncate(fd, (off_t)size) != 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
        r = error_errno(err, ERROR_IO, errno, "can't lay out the guest's memory");
    munmap((void *)(uintptr_t)data, n);
    if (r != 0)
        return r;
    int owned = fd;
    fd = -1;
    return image_open(owned, (struct image_info){.size = size}, ret, err);
}

static void keep_output(void *user, int stream, const void *bytes, size_t n) {
    (void)stream;
    buffer_append(user, bytes, n);
}

static int run_export(struct sandbox *sb, const char *function, const struct buffer *output, struct error *err) {
    int r = sandbox_begin(sb, function, err);
    if (r != 0)
        return r;
    while (sandbox_poll(sb) != SANDBOX_ENDED)
        continue;
    if (sandbox_end(sb) == SANDBOX_RETURNED && sandbox_result_u32(sb) == 0)
        return 0;
    return error_set(err, ERROR_INTERNAL, "the guest doesn't boot (%s: %s): %s", function, sandbox_trap(sb),
                     buffer_text(output));
}

static int boot(struct guest *g, const struct guest_context *c, const char *object, struct buffer *document,
                struct error *err) {
    progress(g, c, "booting", "");
    struct image *linked = NULL;
    int r = linked_image(g, &linked, err);
    if (r != 0)
        return r;
    struct mount mounts[GUEST_LIBRARIES_MAX];
    size_t mounts_n = guest_mounts(g, mounts);
    CLEANUP(buffer_done) struct buffer output = BUFFER_INIT(ERROR_MESSAGE_MAX);
    struct slot_pool slots = SLOT_POOL_INIT(engine_slots(c->engine));
    struct sandbox_options options = {.engine = c->engine,
                                      .module = &g->module,
                                      .image = linked,
                                      .slots = &slots,
                                      .fuel = BOOT_FUEL,
                                      .ram = SLOT_RESERVATION,
                                      .wasi = {.mounts = mounts,
                                               .n_mounts = mounts_n,
                                               .limits = wasi_limits_default(),
                                               .output = keep_output,
                                               .user = &output}};
    struct sandbox *sb = NULL;
    r = sandbox_open(&options, &sb, err);
    if (r == 0)
        r = run_export(sb, "_initialize", &output, err);
    if (r == 0)
        r = run_export(sb, "guest_boot", &output, err);
    if (r == 0)
        r = image_store_put(c->cache, sb, object, false, &g->base, document, err);
    sandbox_close(sb);
    slot_pool_trim(&slots, NULL);
    image_release(linked);
    return r;
}

static int take_base(struct guest *g, const struct guest_context *c, const char *index, struct error *err) {
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(GUEST_JSON_MAX);
    int r = cache_read_index(c->cache, index, &text, err);
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (r == 0)
        r = json_parse(buffer_text(&text), text.size, &document, err);
    return r == 0 ? image_store_take(c->cache, json_root(document), &g->base, err) : r;
}

static int make_base(struct guest *g, const struct guest_context *c, struct error *err) {
    char index[GUEST_KEY_SIZE + 16], object[GUEST_KEY_SIZE + 16];
    snprintf(index, sizeof index, "%s.base", g->key);
    snprintf(object, sizeof object, "%s.image", g->key);
    if (take_base(g, c, index, err) == 0)
        return 0;
    CLEANUP(cleanup_close) int lock = -1;
    int r = cache_lock(c->cache, index, &lock, err);
    if (r != 0 || take_base(g, c, index, err) == 0)
        return r;
    CLEANUP(buffer_done) struct buffer document = BUFFER_INIT(GUEST_JSON_MAX);
    buffer_putc(&document, '{');
    r = boot(g, c, object, &document, err);
    if (r != 0)
        return r;
    buffer_putc(&document, '}');
    return cache_write_index(c->cache, index, document.data, document.size, err);
}

int guest_base_image(struct guest *g, const struct guest_context *c, struct image **ret, struct error *err) {
    int r = guest_load(g, c, err);
    if (r != 0)
        return r;
    pthread_mutex_lock(&g->lock);
    r = g->base != NULL ? 0 : make_base(g, c, err);
    pthread_mutex_unlock(&g->lock);
    if (r == 0)
        *ret = g->base;
    return r;
}
