/* A runtime: what all applications and runs of a process share.
 *
 * Thread-safe: apps and runs take what they need under its lock. */
#ifndef RUN_RUNTIME_H
#define RUN_RUNTIME_H

#include "app/cache.h"
#include "capsule.h"
#include "net/http.h"
#include "run/guest.h"
#include "run/scheduler.h"
#include "sandbox/engine.h"
#include <pthread.h>
#include <stdatomic.h>

/* A slot takes up to four of the kernel's 65,530 maps (vm.max_map_count's default), a stack two: 8,000 leave room for the embedder. */
enum { RUNTIME_SANDBOXES_MAX = 8000 };

/* What a thread that executes tasks has: the slots that it keeps warm, and the means to wake it. */
struct worker {
    struct slot_pool slots;
    int wake_fd;             /* eventfd */
    _Atomic uint64_t closed; /* sandboxes, ever */
    atomic_bool taken;
    struct worker *next;
};

struct capsule_runtime {
    uint64_t id; /* random: tells a runtime from one that was at its address before */
    struct engine *engine;
    struct cache *cache;
    char *guests_dir;
    struct guest guests[LANGUAGES_N]; /* opened when first asked for */
    void (*on_progress)(void *user, const char *what);
    void *user;
    pthread_mutex_t lock;
    struct worker *workers; /* all */
    struct scheduler scheduler;
    struct http_client *http; /* NULL until the first request */
};

/* A worker that nobody uses, the one that last ran on this thread if there is. */
int runtime_take_worker(struct capsule_runtime *rt, struct worker **ret, struct error *err);
void runtime_put_worker(struct worker *w);
/* Sandboxes that all workers have closed, ever. */
uint64_t runtime_sandboxes_closed(struct capsule_runtime *rt);
/* Gives back the idle slots of an image (NULL: of all), on all threads. */
void runtime_forget_image(struct capsule_runtime *rt, const struct image *image);
int runtime_http(struct capsule_runtime *rt, struct http_client **ret, struct error *err);
/* The guest of a language. ERROR_UNSUPPORTED if it isn't installed. Borrowed. */
int runtime_guest(struct capsule_runtime *rt, enum language language, struct guest **ret, struct error *err);
struct guest_context runtime_guest_context(struct capsule_runtime *rt);

/* Copies *from to *to (which may be NULL) and returns code. */
int runtime_error(capsule_error *to, int code, const struct error *from);
/* The same, with a constant message. */
int runtime_fail(capsule_error *to, int code, const char *message);

#endif
