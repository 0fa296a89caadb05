/* Slots: reserving address space, mapping images into it, resetting what a guest wrote. */
#include "sandbox/slot.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "sandbox/fault_around.h"
#include "sandbox/pagemap.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Slots are cut from chunks, so that neighbouring idle ones share one kernel map. */
enum { CHUNK_SLOTS = 32, CHUNKS_MAX = 1024, SCAN_RUNS = 512 };

#define STRIDE (SLOT_RESERVATION + SLOT_GUARD)

struct slot_arena {
    pthread_mutex_t lock;
    int pagemap, fault_around; /* -1: not supported */
    unsigned max_slots, used;
    uint8_t *chunks[CHUNKS_MAX];
    unsigned chunks_n, chunk_used; /* slots cut from the newest chunk */
    struct slot *unmapped;         /* address space given back, inaccessible */
};

int slot_arena_new(unsigned max_slots, struct slot_arena **ret, struct error *err) {
    struct slot_arena *arena = FAULT("slot.arena") ? NULL : calloc(1, sizeof *arena);
    if (arena == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for the slot arena");
    unsigned most = CHUNK_SLOTS * CHUNKS_MAX;
    arena->max_slots = max_slots < most ? max_slots : most;
    arena->pagemap = pagemap_open();
    arena->fault_around = fault_around_open();
    pthread_mutex_init(&arena->lock, NULL);
    *ret = arena;
    return 0;
}

void slot_arena_free(struct slot_arena *arena) {
    if (arena == NULL)
        return;
    for (struct slot *s = arena->unmapped, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    for (unsigned i = 0; i < arena->chunks_n; i++)
        munmap(arena->chunks[i], CHUNK_SLOTS * STRIDE);
    cleanup_close(&arena->pagemap);
    cleanup_close(&arena->fault_around);
    pthread_mutex_destroy(&arena->lock);
    free(arena);
}

bool slot_scan_supported(const struct slot_arena *arena) {
    return arena->pagemap >= 0;
}

/* Address space for one more slot; the lock is held. */
static uint8_t *cut_slot(struct slot_arena *arena, struct error *err) {
    if (arena->chunks_n == 0 || arena->chunk_used == CHUNK_SLOTS) {
        void *chunk = FAULT("slot.reserve") ? MAP_FAILED
                                            : mmap(NULL, CHUNK_SLOTS * STRIDE, PROT_NONE,
                                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (chunk == MAP_FAILED) {
            error_errno(err, ERROR_NOMEM, errno, "can't reserve address space for %d sandboxes", CHUNK_SLOTS);
            error_hint(err,
                       "a limit on address space (ulimit -v) must be lifted: each sandbox reserves 4 GiB of it");
            return NULL;
        }
        arena->chunks[arena->chunks_n++] = chunk;
        arena->chunk_used = 0;
    }
    return arena->chunks[arena->chunks_n - 1] + STRIDE * arena->chunk_used++;
}

static int arena_take(struct slot_arena *arena, struct slot **ret, struct error *err) {
    if (arena->used >= arena->max_slots) {
        error_set(err, ERROR_LIMIT, "%u sandboxes are alive, which is the limit", arena->used);
        error_hint(err, "run fewer tasks at once, or raise vm.max_map_count");
        return ERROR_LIMIT;
    }
    struct slot *slot = arena->unmapped;
    if (slot != NULL) {
        arena->unmapped = slot->next;
    } else {
        slot = FAULT("slot.alloc") ? NULL : calloc(1, sizeof *slot);
        if (slot == NULL)
            return error_set(err, ERROR_NOMEM, "no memory for a slot");
        slot->base = cut_slot(arena, err);
        if (slot->base == NULL) {
            free(slot);
            return ERROR_NOMEM;
        }
    }
    arena->used++;
    *ret = slot;
    return 0;
}

/* Makes the slot's address space inaccessible and drops its pages. */
static void arena_put(struct slot_arena *arena, struct slot *slot) {
    if (slot->image != NULL) {
        uint64_t mapped = slot->size > slot->image->info.size ? slot->size : slot->image->info.size;
        /* Mapping anew, not munmap: the address space stays reserved. If even that fails the pages stay private to this
         * slot, and it's mapped over before it's used again. */
        (void)mmap(slot->base, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        image_release(slot->image);
        slot->image = NULL;
    }
    pthread_mutex_lock(&arena->lock);
    slot->next = arena->unmapped;
    arena->unmapped = slot;
    arena->used--;
    pthread_mutex_unlock(&arena->lock);
}

static int map_new(struct slot_arena *arena, struct image *image, struct slot **ret, struct error *err) {
    struct slot *slot = NULL;
    pthread_mutex_lock(&arena->lock);
    int r = arena_take(arena, &slot, err);
    pthread_mutex_unlock(&arena->lock);
    if (r != 0)
        return r;
    void *at = FAULT("slot.map") ? MAP_FAILED
                                 : mmap(slot->base, image->info.size, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_FIXED, image->fd, 0);
    if (at == MAP_FAILED) {
        r = error_errno(err, ERROR_NOMEM, errno, "can't map an image into a slot");
        error_hint(err, "the kernel's limit on maps may be reached: raise vm.max_map_count");
        arena_put(arena, slot);
        return r;
    }
    fault_around_stop(arena->fault_around, slot->base, image->info.size);
    slot->image = image_retain(image);
    slot->size = image->info.size;
    hot_pages_copy(&image->hot, slot->base, slot->size);
    *ret = slot;
    return 0;
}

/* An idle slot of that image, or NULL. */
static struct slot *pop_idle(struct slot_pool *pool, const struct image *image) {
    struct slot *slot = NULL;
    pthread_mutex_lock(&pool->lock);
    for (struct slot **at = &pool->idle; slot == NULL && *at != NULL; at = &(*at)->next) {
        if ((*at)->image == image) {
            slot = *at;
            *at = slot->next;
            pool->idle_n--;
            break;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return slot;
}

int slot_take(struct slot_pool *pool, struct image *image, uint64_t limit, struct slot **ret, struct error *err) {
    struct slot *slot = pop_idle(pool, image);
    if (slot == NULL) {
        int r = map_new(pool->arena, image, &slot, err);
        if (r != 0)
            return r;
    }
    slot->limit = limit < SLOT_RESERVATION ? limit : SLOT_RESERVATION;
    slot->grow_denied = false;
    slot->next = NULL;
    *ret = slot;
    return 0;
}

void slot_learn(const struct slot_pool *pool, const struct slot *slot) {
    hot_pages_learn(&slot->image->hot, pool->arena->pagemap, slot->base, slot->image->info.size);
}

bool slot_grow(struct slot *slot, uint64_t size) {
    if (size <= slot->size)
        return true;
    if (size > slot->limit || FAULT("slot.grow") ||
        mprotect(slot->base + slot->size, size - slot->size, PROT_READ | PROT_WRITE) != 0) {
        slot->grow_denied = true;
        return false;
    }
    slot->size = size;
    return true;
}

/* Copies one run of written pages back from the image; past the image they become zero. */
static void restore_run(struct slot *slot, struct page_run run) {
    uint64_t from = run.start - (uintptr_t)slot->base, to = run.end - (uintptr_t)slot->base;
    uint64_t image_size = slot->image->info.size;
    uint64_t copied = from >= image_size ? from : (to < image_size ? to : image_size);
    memcpy(slot->base + from, slot->image->pattern + from, copied - from);
    memset(slot->base + copied, 0, to - copied);
}

/* Restores page by page while they're few. False if the slot holds too many to keep, or can't be scanned. */
static bool restore_written(int pagemap, struct slot *slot) {
    struct page_run runs[SCAN_RUNS];
    uintptr_t at = (uintptr_t)slot->base, end = at + slot->size;
    uint64_t pages = 0;
    while (at < end) {
        int n = pagemap_scan(pagemap, at, end, runs, SCAN_RUNS, &at);
        if (n < 0)
            return false;
        for (int i = 0; i < n; i++) {
            pages += (runs[i].end - runs[i].start) / HOST_PAGE_SIZE;
            if (pages > SLOT_RESIDENT_MAX)
                return false;
            restore_run(slot, runs[i]);
        }
    }
    return true;
}

/* Drops every private page: the image's show through again, grown ones read as zero. */
static bool drop_written(struct slot *slot) {
    return !FAULT("slot.drop") && madvise(slot->base, slot->size, MADV_DONTNEED) == 0;
}

static bool shrink(struct slot *slot) {
    uint64_t image_size = slot->image->info.size;
    if (slot->size > image_size &&
        (FAULT("slot.shrink") || mprotect(slot->base + image_size, slot->size - image_size, PROT_NONE) != 0))
        return false;
    slot->size = image_size;
    return true;
}

#ifdef CAPSULE_DEBUG
/* The wall between tenants, checked: what the next guest will see is the image and nothing else. */
static void check_reset(const struct slot *slot) {
    if (memcmp(slot->base, slot->image->pattern, slot->image->info.size) != 0)
        abort();
}
#endif

static bool push_idle(struct slot_pool *pool, struct slot *slot) {
    pthread_mutex_lock(&pool->lock);
    bool keep = pool->idle_n < SLOT_POOL_MAX;
    if (keep) {
        slot->next = pool->idle;
        pool->idle = slot;
        pool->idle_n++;
    }
    pthread_mutex_unlock(&pool->lock);
    return keep;
}

static bool is_full(struct slot_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    bool full = pool->idle_n >= SLOT_POOL_MAX;
    pthread_mutex_unlock(&pool->lock);
    return full;
}

void slot_put(struct slot_pool *pool, struct slot *slot) {
    int pagemap = pool->arena->pagemap;
    bool clean = !is_full(pool) && ((pagemap >= 0 && restore_written(pagemap, slot)) || drop_written(slot));
    clean = clean && shrink(slot);
#ifdef CAPSULE_DEBUG
    if (clean)
        check_reset(slot);
#endif
    if (!clean || !push_idle(pool, slot))
        arena_put(pool->arena, slot);
}

void slot_pool_trim(struct slot_pool *pool, const struct image *image) {
    struct slot *given_up = NULL;
    pthread_mutex_lock(&pool->lock);
    for (struct slot **at = &pool->idle; *at != NULL;) {
        struct slot *slot = *at;
        if (image != NULL && slot->image != image) {
            at = &slot->next;
            continue;
        }
        *at = slot->next;
        pool->idle_n--;
        slot->next = given_up;
        given_up = slot;
    }
    pthread_mutex_unlock(&pool->lock);
    for (struct slot *slot = given_up, *next; slot != NULL; slot = next) {
        next = slot->next;
        arena_put(pool->arena, slot);
    }
}
