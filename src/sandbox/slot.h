/* Slots: the address space in which linear memories live.
 *
 * A slot is SLOT_RESERVATION bytes plus a guard, with an image mapped privately at its start and nothing accessible behind it. Because
 * a Wasm address has 32 bits, compiled code checks no bounds: whatever lies past the accessible part must fault, so every byte of a
 * slot that isn't the guest's current memory is PROT_NONE.
 *
 * A slot is reset by copying back from the image the pages that the guest wrote and zeroing what it grew. Its pages stay private and
 * present, so the next guest that writes them takes no page fault; above SLOT_RESIDENT_MAX pages they're given back to the kernel instead.
 * Invariant: a slot in a pool equals its image byte for byte, and its accessible size is the image's. A debug build checks that at every reset.
 * A slot never serves another image than the one it was mapped for.
 *
 * Slots come from an arena (one per engine) and are kept in pools (one per worker, so that they stay in a core's caches). Both are
 * locked: a sandbox may end on another thread than it began on. */
#ifndef SANDBOX_SLOT_H
#define SANDBOX_SLOT_H

#include "base/error.h"
#include "sandbox/image.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SLOT_RESERVATION (UINT64_C(4) << 30)
#define SLOT_GUARD (UINT64_C(32) << 20)
enum {
    SLOT_RESIDENT_MAX = 1024, /* pages: 4 MiB */
    SLOT_POOL_MAX = 256,      /* idle slots that a pool keeps */
};

struct slot_arena;

struct slot {
    uint8_t *base;
    struct image *image; /* held */
    uint64_t size;       /* accessible now */
    uint64_t limit;      /* grow beyond is denied */
    bool grow_denied;    /* since the slot was taken */
    struct slot *next;
};

/* Slots that wait for reuse. */
struct slot_pool {
    pthread_mutex_t lock;
    struct slot_arena *arena;
    struct slot *idle;
    unsigned idle_n;
};

#define SLOT_POOL_INIT(of) ((struct slot_pool){.lock = PTHREAD_MUTEX_INITIALIZER, .arena = (of)})

/* max_slots: how many may exist at once; each takes up to four of the kernel's maps (see vm.max_map_count). */
int slot_arena_new(unsigned max_slots, struct slot_arena **ret, struct error *err);
void slot_arena_free(struct slot_arena *arena); /* after all of its slots */

/* A slot equal to the image, with the given limit on its size (at least the image's size). ERROR_LIMIT when max_slots are in use. */
int slot_take(struct slot_pool *pool, struct image *image, uint64_t limit, struct slot **ret, struct error *err);
/* Resets it and keeps it for reuse. A slot that can't be reset is given up, never reused. */
void slot_put(struct slot_pool *pool, struct slot *slot);
/* Tells its image which pages its guest has written by now, for the slots that are mapped later. Cheap after the first few. */
void slot_learn(const struct slot_pool *pool, const struct slot *slot);
/* Makes size bytes accessible. False, and grow_denied set, beyond the limit or when the kernel refuses. */
bool slot_grow(struct slot *slot, uint64_t size);
/* Gives all idle slots back; those of `image` only unless it's NULL. */
void slot_pool_trim(struct slot_pool *pool, const struct image *image);

/* True when this kernel can report written pages (PAGEMAP_SCAN, Linux 6.7); otherwise resets remap the image. */
bool slot_scan_supported(const struct slot_arena *arena);

#endif
