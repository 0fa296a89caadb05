/* Where a sandbox's small new objects live.
 *
 * A sandbox pays for each page of its image that it writes to. Python's own allocator would put new objects into
 * holes all over the image: forty pages for a call that does nothing. So once an image is complete, small objects
 * come from one stretch of untouched memory instead, the first ones side by side whatever their size. A block that
 * is freed goes to the list of its size and is the next to be used. When the stretch is used up, Python's allocator
 * goes on as if it had never been: what a long task can waste by sizes that don't fit each other is bounded by NURSERY_N.
 *
 * Invariants: a block begins 4 bytes before an address divisible by 8, with its size in units of 8; the object follows.
 * blocks between `next` and the end of the stretch have never been used. Thread rule: none, there is one thread. */
#include "nursery.h"
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { NURSERY_N = 1 << 20, UNIT = 8, HEADER_N = 4, LARGEST = 512 - HEADER_N, SIZES = 512 / UNIT + 1 };

struct free_block {
    struct free_block *next;
};

static struct {
    uint8_t *next, *end; /* both NULL: closed */
    struct free_block *free[SIZES];
} nursery;

_Alignas(4096) static uint8_t stretch[NURSERY_N];

/* Python's allocators, by domain: behind the nursery. */
static PyMemAllocatorEx behind_mem, behind_object;

static bool is_ours(const void *p) {
    return (uintptr_t)p - (uintptr_t)stretch < NURSERY_N;
}

static uint32_t *header_of(void *p) {
    return (uint32_t *)p - 1;
}

/* A block for n bytes, or NULL if it's too large or the nursery is full or closed. */
static void *take(size_t n) {
    if (n > LARGEST)
        return NULL;
    size_t units = (n + HEADER_N + UNIT - 1) / UNIT;
    struct free_block *block = nursery.free[units];
    if (block) {
        nursery.free[units] = block->next;
        return block;
    }
    if ((size_t)(nursery.end - nursery.next) < units * UNIT)
        return NULL;
    uint8_t *p = nursery.next + HEADER_N;
    nursery.next += units * UNIT;
    *header_of(p) = (uint32_t)units;
    return p;
}

static void give_back(void *p) {
    struct free_block *block = p;
    size_t units = *header_of(p);
    block->next = nursery.free[units];
    nursery.free[units] = block;
}

static void *nursery_malloc(void *context, size_t n) {
    void *p = take(n);
    PyMemAllocatorEx *behind = context;
    return p ? p : behind->malloc(behind->ctx, n);
}

static void *nursery_calloc(void *context, size_t count, size_t size) {
    void *p = count && size > LARGEST / count ? NULL : take(count * size);
    PyMemAllocatorEx *behind = context;
    return p ? memset(p, 0, count * size) : behind->calloc(behind->ctx, count, size);
}

static void *nursery_realloc(void *context, void *p, size_t n) {
    PyMemAllocatorEx *behind = context;
    if (!p)
        return nursery_malloc(context, n);
    if (!is_ours(p))
        return behind->realloc(behind->ctx, p, n);
    size_t room = *header_of(p) * UNIT - HEADER_N;
    if (n <= room)
        return p;
    void *moved = nursery_malloc(context, n);
    if (!moved)
        return NULL;
    memcpy(moved, p, room);
    give_back(p);
    return moved;
}

static void nursery_free(void *context, void *p) {
    PyMemAllocatorEx *behind = context;
    if (is_ours(p))
        give_back(p);
    else
        behind->free(behind->ctx, p);
}

static void install(PyMemAllocatorDomain domain, PyMemAllocatorEx *behind) {
    PyMem_GetAllocator(domain, behind);
    PyMemAllocatorEx front = {behind, nursery_malloc, nursery_calloc, nursery_realloc, nursery_free};
    PyMem_SetAllocator(domain, &front);
}

void nursery_install(void) {
    install(PYMEM_DOMAIN_MEM, &behind_mem);
    install(PYMEM_DOMAIN_OBJ, &behind_object);
}

void nursery_open(void) {
    if (nursery.end)
        return;
    nursery.next = stretch + HEADER_N; /* so that objects are aligned to UNIT */
    nursery.end = stretch + NURSERY_N;
}
