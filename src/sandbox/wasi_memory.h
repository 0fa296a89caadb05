/* Guest memory as a WASI call sees it: the only way in which wasi*.c turn a guest's address into a host pointer.
 *
 * Invariant: no pointer is made before address and length are known to lie inside the view. Thread rule: as wasi.h. */
#ifndef SANDBOX_WASI_MEMORY_H
#define SANDBOX_WASI_MEMORY_H

#include "sandbox/wasi.h"

#include <string.h>

/* Whatever the engine left in the upper half of an i32 argument doesn't count. */
static inline uint32_t argument(const struct wasi_call *call, unsigned i) {
    return (uint32_t)call->args[i];
}

/* Host pointer to n bytes at a guest address, or NULL if they aren't all inside. */
static inline uint8_t *guest_bytes(const struct wasi_call *call, uint64_t address, uint64_t n) {
    const struct guest_memory *m = &call->memory;
    if (!m->base || address > m->size || n > m->size - address)
        return NULL;
    return m->base + address;
}

static inline uint32_t load_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t load_u64(const uint8_t *p) {
    return (uint64_t)load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

static inline void store_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void store_u32(uint8_t *p, uint32_t v) {
    store_u16(p, (uint16_t)v);
    store_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void store_u64(uint8_t *p, uint64_t v) {
    store_u32(p, (uint32_t)v);
    store_u32(p + 4, (uint32_t)(v >> 32));
}

#endif
