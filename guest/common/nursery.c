/* A block begins 4 bytes before an address divisible by 8, with its size in units of 8; what's given out follows. Blocks between `next` and the end
 * of the stretch have never been used. */
#include "nursery.h"
#include <stdint.h>

enum { UNIT = 8, HEADER_N = 4, LARGEST = 512 - HEADER_N, SIZES = 512 / UNIT + 1 };

struct free_block {
    struct free_block *next;
};

static struct {
    uint8_t *next, *end; /* both NULL: closed */
    struct free_block *free[SIZES];
} nursery;

_Alignas(4096) static uint8_t stretch[NURSERY_MAX];

bool nursery_is_open;

void nursery_open(size_t n) {
    if (nursery.end)
        return;
    nursery_is_open = true;
    nursery.next = stretch + HEADER_N; /* so that blocks are aligned to UNIT */
    nursery.end = stretch + n;
}

bool nursery_owns(const void *p) {
    return (uintptr_t)p - (uintptr_t)stretch < NURSERY_MAX;
}

static uint32_t *header_of(const void *p) {
    return (uint32_t *)(uintptr_t)p - 1;
}

void *nursery_take(size_t n) {
    if (n > LARGEST)
        return NULL;
    size_t units = (n + HEADER_N + UNIT - 1) / UNIT;
    struct free_block *block = nursery.free[units];
    if (block) {
        nursery.free[units] = block->next;
        return block;
    }
    if ((size_t)(nursery.end - nursery.next) < units * UNIT) {
        nursery_is_open = false;
        return NULL;
    }
    uint8_t *p = nursery.next + HEADER_N;
    nursery.next += units * UNIT;
    *header_of(p) = (uint32_t)units;
    return p;
}

size_t nursery_room(const void *p) {
    return *header_of(p) * UNIT - HEADER_N;
}

void nursery_give_back(void *p) {
    struct free_block *block = p;
    size_t units = *header_of(p);
    block->next = nursery.free[units];
    nursery.free[units] = block;
}
