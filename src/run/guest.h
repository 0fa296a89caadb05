/* A guest (an interpreter) made ready on this machine: its native code and its base image, both from the cache or made now.
 *
 * Layout of a guest's folder: core.wasm (code only), memory.bin (its linked data), guest.json {"name","version","digest"}, lib/.
 * Thread-safe; prepared once per runtime. */
#ifndef RUN_GUEST_H
#define RUN_GUEST_H

#include "app/cache.h"
#include "app/project.h"
#include "base/error.h"
#include "sandbox/engine.h"
#include "sandbox/image.h"
#include "sandbox/wasi.h"
#include <pthread.h>

enum { GUEST_LIBRARIES_MAX = 2, GUEST_KEY_SIZE = 65 };

/* What differs between the guests, for the host. */
struct guest_kind {
    const char *name, *title; /* of its folder; for people */
    size_t libraries_n;
    struct {
        const char *folder, *mount; /* in the guest's folder; in a sandbox */
    } libraries[GUEST_LIBRARIES_MAX];
};

struct guest {
    const struct guest_kind *kind;
    char *dir, *version;
    char
        key[GUEST_KEY_SIZE]; /* digest of everything that its images depend on: the guest's files and the engine */
    int dir_fd, library_fds[GUEST_LIBRARIES_MAX];
    struct guest_module module;
    struct image *base; /* NULL until guest_base_image */
    pthread_mutex_t lock;
    bool opened, loaded;
};

struct guest_context {
    struct engine *engine;
    struct cache *cache;
    void (*on_progress)(void *user, const char *what); /* may be NULL */
    void *user;
};

const struct guest_kind *guest_kind(enum language language);
/* Reads guest.json of the guest's folder in guests_dir. ERROR_UNSUPPORTED with a hint if it isn't installed. */
int guest_open(struct guest *g, const char *guests_dir, const struct guest_kind *kind, struct error *err);
void guest_close(struct guest *g);
/* Makes g->module usable. */
int guest_load(struct guest *g, const struct guest_context *c, struct error *err);
/* Makes g->base usable (guest_load is called as well). Borrowed. */
int guest_base_image(struct guest *g, const struct guest_context *c, struct image **ret, struct error *err);
/* The guest's own libraries, read-only. Fills up to GUEST_LIBRARIES_MAX entries and returns how many. */
size_t guest_mounts(const struct guest *g, struct mount *ret);

#endif
