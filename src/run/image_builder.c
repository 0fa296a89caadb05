/* Looking an application image up, and building it.
 *
 * The key of an index entry says which program this is: the guest's key, the project's root, the entry file and the search path. The entry
 * says what the image was made from (app/dependencies.h), where its memory is (run/image_store.h) and which tasks it declares. */
#include "run/image_builder.h"
#include "app/dependencies.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/path.h"
#include "run/image_store.h"
#include "run/program.h"
#include "sandbox/sandbox.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* An import may take this much: about 20 seconds of a core, 60 seconds of time, and a gibibyte. */
#define IMPORT_FUEL UINT64_C(200000000000)
#define IMPORT_TIME_NS (60 * NS_PER_S)
#define IMPORT_RAM (UINT64_C(1) << 30)
/* What the cache may hold before the least recently used objects go. */
#define CACHE_SIZE_MAX (UINT64_C(1) << 30)
enum { INDEX_MAX = 16 * 1024 * 1024 };

struct build {
    const struct image_request *request;
    struct dependencies *dependencies;
    struct program program;
    struct error *trace_error; /* the first failure while tracing */
    int trace_status;
};

static void add_text(struct digest_state *s, const char *text) {
    digest_update(s, text, strlen(text) + 1);
}

/* The index entry's name. */
static int request_key(const struct image_request *q, char ret[GUEST_KEY_SIZE + 8], struct error *err) {
    const struct project *p = q->project;
    struct digest_state state;
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    digest_begin(&state, NULL);
    add_text(&state, q->guest->key);
    add_text(&state, p->root);
    add_text(&state, p->entry);
    int r = program_digest(p, q->guests_dir, &state, err);
    digest_end(&state, digest);
    digest_hex(digest, hex);
    snprintf(ret, GUEST_KEY_SIZE + 8, "%s.app", hex);
    return r;
}

/* ---- taking ---- */

static int read_index(struct cache *c, const char *key, struct json_document **ret, struct error *err) {
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(INDEX_MAX);
    int r = cache_read_index(c, key, &text, err);
    return r == 0 ? json_parse(buffer_text(&text), text.size, ret, err) : r;
}

/* Everything is unchanged, but files were touched: note their new stats so that the next look is cheap. */
static void refresh_index(struct cache *c, const char *key, const json_value *root) {
    struct dependencies *fresh = dependencies_new();
    if (fresh == NULL)
        return;
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(INDEX_MAX);
    int r = dependencies_read(fresh, json_get(root, "dependencies"));
    if (r == 0)
        r = dependencies_seal(fresh, clock_wall_ns(), NULL);
    size_t cursor = 0;
    const char *name;
    for (const json_value *v; r == 0 && (v = json_next(root, &cursor, &name)) != NULL;) {
        r = buffer_printf(&text, "%c\"%s\":", text.size == 0 ? '{' : ',', name);
        if (r == 0)
            r = strcmp(name, "dependencies") == 0 ? dependencies_write(fresh, &text) : json_write(v, &text);
    }
    if (r == 0 && buffer_putc(&text, '}') == 0)
        (void)cache_write_index(c, key, text.data, text.size, NULL);
    dependencies_free(fresh);
}

static int take(const struct image_request *q, const char *key, struct image **ret,
                struct json_document **ret_index) {
    struct cache *c = q->context->cache;
    struct json_document *index = NULL;
    int r = read_index(c, key, &index, NULL);
    if (r != 0)
        return r;
    const json_value *root = json_root(index);
    bool touched = false;
    if (!dependencies_unchanged(json_get(root, "dependencies"), &touched))
        r = ERROR_NOT_FOUND;
    if (r == 0)
        r = image_store_take(c, root, ret, NULL);
    if (r != 0) {
        json_free(index);
        return r;
    }
    if (touched)
        refresh_index(c, key, root);
    *ret_index = index;
    return 0;
}

/* ---- building ---- */

static void import_output(void *user, int stream, const void *bytes, size_t n) {
    const struct build *b = user;
    if (b->request->on_output != NULL)
        b->request->on_output(b->request->user, stream, bytes, n);
}

static void import_trace(void *user, enum wasi_trace_kind kind, const char *host_path) {
    struct build *b = user;
    static const enum dependency_kind kinds[] = {[WASI_TRACE_FILE] = DEPENDENCY_FILE,
                                                 [WASI_TRACE_FOLDER] = DEPENDENCY_FOLDER,
                                                 [WASI_TRACE_ABSENT] = DEPENDENCY_ABSENT};
    if (b->trace_status == 0)
        b->trace_status = dependencies_add(b->dependencies, kinds[kind], host_path, b->trace_error);
}

static void sleep_until(uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Polls the import to its end. */
static int finish_import(struct sandbox *sb, const char *entry, struct error *err) {
    uint64_t deadline = clock_monotonic_ns() + IMPORT_TIME_NS;
    for (;;) {
        enum sandbox_state state = sandbox_poll(sb);
        if (state == SANDBOX_ENDED)
            return 0;
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline)
            break;
        if (state == SANDBOX_PARKED && !sandbox_ready(sb, now)) {
            uint64_t wake = sandbox_wake_time(sb);
            sleep_until(wake < deadline ? wake : deadline);
        }
    }
    error_set(err, ERROR_IMPORT, "importing %s took longer than %llu seconds", entry,
              (unsigned long long)(IMPORT_TIME_NS / NS_PER_S));
    error_hint(err, "move the work from the module's top level into a task");
    return ERROR_IMPORT;
}

/* The import ended otherwise than by returning. */
static int import_failed(const struct sandbox *sb, const char *entry, struct error *err) {
    switch (sandbox_end(sb)) {
    case SANDBOX_EXITED:
        error_set(err, ERROR_IMPORT, "%s ended its process (exit code %u) while it was imported", entry,
                  sandbox_exit_code(sb));
        error_hint(err, "code at the top level of a module runs when its image is built: put it into a task");
        break;
    case SANDBOX_OUT_OF_FUEL:
        error_set(err, ERROR_IMPORT, "importing %s used more compute than an import may", entry);
        error_hint(err, "move the work from the module's top level into a task");
        break;
    case SANDBOX_OUT_OF_MEMORY:
        error_set(err, ERROR_IMPORT, "importing %s used more memory than an import may (1 GiB)", entry);
        break;
    case SANDBOX_OUTPUT_LIMIT:
        error_set(err, ERROR_IMPORT, "%s wrote too much while it was imported", entry);
        break;
    default:
        error_set(err, ERROR_IMPORT, "importing %s failed: %s", entry, sandbox_trap(sb));
    }
    return ERROR_IMPORT;
}

static int import_error(const json_value *error, const char *entry, struct error *err) {
    const char *traceback = json_text(json_get(error, "traceback"), NULL);
    if (traceback != NULL) {
        size_t n = strlen(traceback);
        while (n > 0 && traceback[n - 1] == '\n')
            n--;
        return error_set(err, ERROR_IMPORT, "%.*s", (int)n, traceback);
    }
    return error_set(err, ERROR_IMPORT, "%s: %s", entry,
                     json_text(json_get(error, "message"), "the import failed"));
}

/* Checks the reply to guest_load. On success *ret holds it. */
static int read_load_reply(const struct sandbox *sb, const char *entry, struct json_document **ret,
                           struct error *err) {
    if (sandbox_end(sb) != SANDBOX_RETURNED)
        return import_failed(sb, entry, err);
    const char *header, *body;
    size_t header_n, body_n;
    struct json_document *reply = NULL;
    int r = sandbox_reply(sb, &header, &header_n, &body, &body_n, err);
    if (r == 0)
        r = json_parse(header, header_n, &reply, err);
    if (r != 0)
        return ERROR_IMPORT;
    if (!json_bool(json_get(json_root(reply), "ok"), false)) {
        r = import_error(json_get(json_root(reply), "error"), entry, err);
        json_free(reply);
        return r;
    }
    *ret = reply;
    return 0;
}

static int import_program(struct build *b, struct sandbox *sb, struct json_document **ret, struct error *err) {
    const struct project *p = b->request->project;
    int r = sandbox_begin_message(sb, "guest_load", b->program.header.data, b->program.header.size,
                                  b->program.body.data, b->program.body.size, err);
    if (r == 0)
        r = finish_import(sb, p->entry, err);
    if (r == 0)
        r = read_load_reply(sb, p->entry, ret, err);
    if (r == 0 && b->trace_status != 0)
        json_free(*ret), *ret = NULL, r = b->trace_status;
    return r;
}

/* An object's name. Salted: two imports of the same files may leave different memories, and an object never changes. */
static void object_name(const char *key, const struct buffer *dependencies, char ret[DIGEST_HEX_SIZE + 8]) {
    struct digest_state state;
    uint8_t digest[DIGEST_SIZE], salt[8];
    char hex[DIGEST_HEX_SIZE];
    random_bytes(salt, sizeof salt);
    digest_begin(&state, NULL);
    add_text(&state, key);
    digest_update(&state, dependencies->data, dependencies->size);
    digest_update(&state, salt, sizeof salt);
    digest_end(&state, digest);
    digest_hex(digest, hex);
    snprintf(ret, DIGEST_HEX_SIZE + 8, "%s.image", hex);
}

static int store(struct build *b, struct sandbox *sb, const char *key, const json_value *reply, uint64_t started,
                 struct image **ret, struct json_document **ret_index, struct error *err) {
    CLEANUP(buffer_done) struct buffer dependencies = BUFFER_INIT(INDEX_MAX);
    CLEANUP(buffer_done) struct buffer index = BUFFER_INIT(INDEX_MAX);
    int r = dependencies_seal(b->dependencies, started, err);
    if (r == 0)
        r = dependencies_write(b->dependencies, &dependencies);
    if (r != 0)
        return r;
    char object[DIGEST_HEX_SIZE + 8];
    object_name(key, &dependencies, object);
    buffer_putc(&index, '{');
    struct image *image = NULL;
    r = image_store_put(b->request->context->cache, sb, b->request->no_cache ? NULL : object, true, &image, &index,
                        err);
    if (r != 0)
        return r;
    buffer_puts(&index, ",\"tasks\":");
    json_write(json_get(reply, "tasks"), &index);
    buffer_puts(&index, ",\"dependencies\":");
    buffer_append(&index, dependencies.data, dependencies.size);
    r = buffer_putc(&index, '}');
    if (r == 0)
        r = json_parse(buffer_text(&index), index.size, ret_index, err);
    if (r == 0 && !b->request->no_cache) {
        /* Not being able to remember the image costs the next run its time, nothing else. Every edit leaves an image behind. */
        (void)cache_write_index(b->request->context->cache, key, index.data, index.size, NULL);
        (void)cache_prune(b->request->context->cache, CACHE_SIZE_MAX, NULL, NULL);
    }
    if (r != 0)
        image_release(image);
    else
        *ret = image;
    return r;
}

static int build_in(struct build *b, struct image *base, const char *key, uint64_t started, struct image **ret,
                    struct json_document **ret_index, struct error *err) {
    const struct image_request *q = b->request;
    struct slot_pool slots = SLOT_POOL_INIT(engine_slots(q->context->engine));
    struct sandbox_options options = {.engine = q->context->engine,
                                      .module = &q->guest->module,
                                      .image = base,
                                      .slots = &slots,
                                      .fuel = IMPORT_FUEL,
                                      .ram = IMPORT_RAM,
                                      .wasi = {.mounts = q->mounts->mounts,
                                               .n_mounts = q->mounts->n,
                                               .limits = wasi_limits_default(),
                                               .output = import_output,
                                               .trace = import_trace,
                                               .user = b}};
    struct sandbox *sb = NULL;
    struct json_document *reply = NULL;
    int r = sandbox_open(&options, &sb, err);
    if (r == 0)
        r = import_program(b, sb, &reply, err);
    if (r == 0)
        r = store(b, sb, key, json_root(reply), started, ret, ret_index, err);
    json_free(reply);
    sandbox_close(sb);
    slot_pool_trim(&slots, NULL);
    return r;
}

static int build(const struct image_request *q, const char *key, struct image **ret,
                 struct json_document **ret_index, struct error *err) {
    struct image *base = NULL;
    int r = guest_base_image(q->guest, q->context, &base, err);
    if (r != 0)
        return r;
    struct build b = {.request = q, .dependencies = dependencies_new(), .trace_error = err};
    if (b.dependencies == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for an image's dependencies");
    uint64_t started = clock_wall_ns();
    r = program_prepare(q->project, q->guests_dir, b.dependencies, &b.program, err);
    if (r == 0)
        r = build_in(&b, base, key, started, ret, ret_index, err);
    program_done(&b.program);
    dependencies_free(b.dependencies);
    return r;
}

int image_obtain(const struct image_request *q, struct image **ret, struct json_document **ret_index,
                 struct error *err) {
    char key[GUEST_KEY_SIZE + 8];
    int r = request_key(q, key, err);
    if (r != 0)
        return r;
    if (!q->no_cache && take(q, key, ret, ret_index) == 0)
        return 0;
    CLEANUP(cleanup_close) int lock = -1;
    r = cache_lock(q->context->cache, key, &lock, err);
    if (r != 0)
        return r;
    /* Another process may have built it while we waited. */
    if (!q->no_cache && take(q, key, ret, ret_index) == 0)
        return 0;
    return build(q, key, ret, ret_index, err);
}
