/* Opening and closing a runtime, its workers, its upkeep. */
#include "run/runtime.h"
#include "base/buffer.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/path.h"
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ERROR_AGREES(name, code, meaning)                                                                         \
    _Static_assert((int)ERROR_##name == (int)CAPSULE_E_##name, "capsule.h repeats base/error.h");
ERROR_CODES(ERROR_AGREES)
#undef ERROR_AGREES
_Static_assert(sizeof(struct error) == sizeof(capsule_error), "the public error is the internal one");

const char *capsule_version(void) {
    return CAPSULE_VERSION;
}

void capsule_free(void *text) {
    free(text);
}

int runtime_error(capsule_error *to, int code, const struct error *from) {
    if (to != NULL) {
        to->code = code;
        /* Buffers fail with a code alone. */
        const char *message = from->message[0] != '\0' ? from->message : error_meaning(code);
        snprintf(to->message, sizeof to->message, "%s", message);
        snprintf(to->hint, sizeof to->hint, "%s", from->hint);
    }
    return code;
}

int runtime_fail(capsule_error *to, int code, const char *message) {
    struct error err = {0};
    error_set(&err, code, "%s", message);
    return runtime_error(to, code, &err);
}

/* ---- where the guests are ---- */

static char *beside(const char *program) {
    static const char *const places[] = {"lib/capsule", "../lib/capsule"};
    size_t dir_n = path_dir_length(program);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *dir = NULL;
        if (asprintf(&dir, "%.*s/%s", (int)dir_n, program, places[i]) < 0)
            return NULL;
        if (access(dir, F_OK) == 0)
            return dir;
        free(dir);
    }
    return NULL;
}

static int find_guests(const char *given, char **ret, struct error *err) {
    const char *set = given != NULL ? given : getenv("CAPSULE_GUESTS");
    char program[PATH_LENGTH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n < 0 ? 0 : n] = '\0';
    char *dir = set != NULL && *set != '\0' ? strdup(set) : beside(program);
    Dl_info library;
    if (dir == NULL && dladdr((void *)(uintptr_t)&capsule_open, &library) != 0 && library.dli_fname != NULL)
        dir = beside(library.dli_fname);
    if (dir == NULL) {
        error_set(err, ERROR_UNSUPPORTED, "the guests (interpreters) aren't installed beside %s", program);
        error_hint(err, "set CAPSULE_GUESTS to the folder lib/capsule of an installation");
        return ERROR_UNSUPPORTED;
    }
    if (access(dir, F_OK) != 0) {
        error_errno(err, ERROR_UNSUPPORTED, errno, "the guests (interpreters) aren't installed in %s", dir);
        error_hint(err,
                   "build them with make, or point CAPSULE_GUESTS at the folder lib/capsule of an installation");
        free(dir);
        return ERROR_UNSUPPORTED;
    }
    *ret = dir;
    return 0;
}

/* ---- opening ---- */

/* Every sandbox takes some 150 kB from malloc (mostly its function table) and gives it back. By default glibc returns such memory to
 * the kernel each time, and fetching it again costs as much as all the rest of a small task: 17 of 43 µs. */
static void keep_freed_memory(void) {
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
    (void)mallopt(M_TOP_PAD, 1 << 20);
}

static unsigned max_sandboxes(const capsule_runtime_options *o) {
    bool given = o->max_sandboxes > 0 && o->max_sandboxes < RUNTIME_SANDBOXES_MAX;
    return given ? o->max_sandboxes : RUNTIME_SANDBOXES_MAX;
}

static int open_parts(capsule_runtime *rt, const capsule_runtime_options *o, struct error *err) {
    int r = find_guests(o->guest_dir, &rt->guests_dir, err);
    if (r == 0)
        r = cache_open(o->cache_dir, &rt->cache, err);
    if (r == 0)
        r = engine_open(max_sandboxes(o), &rt->engine, err);
    return r;
}

int capsule_open(const capsule_runtime_options *options, capsule_runtime **ret_runtime, capsule_error *error) {
    static const capsule_runtime_options defaults;
    const capsule_runtime_options *o = options != NULL ? options : &defaults;
    struct error err = {0};
    capsule_runtime *rt = FAULT("runtime.alloc") ? NULL : calloc(1, sizeof *rt);
    if (rt == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for a runtime");
    keep_freed_memory();
    random_bytes(&rt->id, sizeof rt->id);
    pthread_mutex_init(&rt->lock, NULL);
    scheduler_init(&rt->scheduler, rt, o->jobs);
    rt->on_progress = o->on_progress;
    rt->user = o->user;
    int r = open_parts(rt, o, &err);
    if (r != 0) {
        capsule_close(rt);
        return runtime_error(error, r, &err);
    }
    *ret_runtime = rt;
    return 0;
}

static void worker_free(struct worker *w) {
    slot_pool_trim(&w->slots, NULL);
    close(w->wake_fd);
    free(w);
}

void capsule_close(capsule_runtime *rt) {
    if (rt == NULL)
        return;
    scheduler_done(&rt->scheduler);
    http_client_free(rt->http);
    for (struct worker *w = rt->workers, *next; w != NULL; w = next) {
        next = w->next;
        worker_free(w);
    }
    for (size_t i = 0; i < LANGUAGES_N; i++)
        guest_close(&rt->guests[i]);
    engine_close(rt->engine);
    cache_close(rt->cache);
    free(rt->guests_dir);
    pthread_mutex_destroy(&rt->lock);
    free(rt);
}

int runtime_guest(struct capsule_runtime *rt, enum language language, struct guest **ret, struct error *err) {
    struct guest *g = &rt->guests[language];
    pthread_mutex_lock(&rt->lock);
    int r = g->opened ? 0 : guest_open(g, rt->guests_dir, guest_kind(language), err);
    if (r != 0)
        guest_close(g);
    pthread_mutex_unlock(&rt->lock);
    if (r == 0)
        *ret = g;
    return r;
}

struct guest_context runtime_guest_context(struct capsule_runtime *rt) {
    return (struct guest_context){
        .engine = rt->engine, .cache = rt->cache, .on_progress = rt->on_progress, .user = rt->user};
}

/* ---- workers ---- */

static bool claim(struct worker *w) {
    return !atomic_exchange_explicit(&w->taken, true, memory_order_acquire);
}

/* The worker that this thread had last; its slots are in this core's caches, and to find it takes no lock. */
static _Thread_local struct {
    uint64_t runtime;
    struct worker *worker;
} last;

static struct worker *claim_last(const struct capsule_runtime *rt) {
    return last.runtime == rt->id && claim(last.worker) ? last.worker : NULL;
}

/* One that nobody uses, that of a thread that may have ended. rt->lock is held. */
static struct worker *claim_any(const struct capsule_runtime *rt) {
    struct worker *w = rt->workers;
    while (w != NULL && !claim(w))
        w = w->next;
    return w;
}

static int worker_new(struct capsule_runtime *rt, struct worker **ret, struct error *err) {
    struct worker *w = FAULT("runtime.worker") ? NULL : calloc(1, sizeof *w);
    if (w == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for a worker");
    w->slots = SLOT_POOL_INIT(engine_slots(rt->engine));
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->wake_fd < 0) {
        free(w);
        return error_errno(err, ERROR_IO, errno, "can't make an event descriptor");
    }
    atomic_init(&w->closed, 0);
    atomic_init(&w->taken, true);
    w->next = rt->workers;
    rt->workers = w;
    *ret = w;
    return 0;
}

int runtime_take_worker(struct capsule_runtime *rt, struct worker **ret, struct error *err) {
    struct worker *w = claim_last(rt);
    int r = 0;
    if (w == NULL) {
        pthread_mutex_lock(&rt->lock);
        w = claim_any(rt);
        r = w != NULL ? 0 : worker_new(rt, &w, err);
        pthread_mutex_unlock(&rt->lock);
    }
    if (r != 0)
        return r;
    last.runtime = rt->id;
    last.worker = w;
    *ret = w;
    return 0;
}

void runtime_put_worker(struct worker *w) {
    atomic_store_explicit(&w->taken, false, memory_order_release);
}

uint64_t runtime_sandboxes_closed(struct capsule_runtime *rt) {
    uint64_t n = 0;
    pthread_mutex_lock(&rt->lock);
    for (struct worker *w = rt->workers; w != NULL; w = w->next)
        n += atomic_load_explicit(&w->closed, memory_order_relaxed);
    pthread_mutex_unlock(&rt->lock);
    return n;
}

void runtime_forget_image(struct capsule_runtime *rt, const struct image *image) {
    pthread_mutex_lock(&rt->lock);
    for (struct worker *w = rt->workers; w != NULL; w = w->next)
        slot_pool_trim(&w->slots, image);
    pthread_mutex_unlock(&rt->lock);
}

int runtime_http(struct capsule_runtime *rt, struct http_client **ret, struct error *err) {
    pthread_mutex_lock(&rt->lock);
    int r = rt->http != NULL ? 0 : http_client_new(rt->guests_dir, &rt->http, err);
    *ret = rt->http;
    pthread_mutex_unlock(&rt->lock);
    return r;
}

/* ---- upkeep ---- */

int capsule_cache_prune(capsule_runtime *rt, uint64_t max_bytes, uint64_t *ret_removed_objects,
                        uint64_t *ret_removed_bytes, uint64_t *ret_left_bytes, capsule_error *error) {
    struct error err = {0};
    struct cache_usage usage = {0};
    int r = cache_prune(rt->cache, max_bytes, &usage, &err);
    if (r != 0)
        return runtime_error(error, r, &err);
    if (ret_removed_objects != NULL)
        *ret_removed_objects = usage.removed_objects;
    if (ret_removed_bytes != NULL)
        *ret_removed_bytes = usage.removed_bytes;
    if (ret_left_bytes != NULL)
        *ret_left_bytes = usage.bytes;
    return 0;
}
