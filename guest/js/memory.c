/* The engine's memory: the nursery (common/nursery.h) in front of malloc, and when cycles are collected. */
#include "engine.h"
#include "nursery.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* What a task may make before the first collection of cycles. A collection visits all that the task made, so a short one
 * is better off without it. */
enum { COLLECT_AFTER = 16 * 1024 * 1024 };

/* What a short task makes. Nothing of it is used again: a longer one is better off with the engine's own allocator, the sooner the better. */
enum { NURSERY_N = 64 * 1024 };

static void *js_memory_malloc(void *opaque, size_t n) {
    (void)opaque;
    void *p = nursery_take(n);
    return p ? p : malloc(n);
}

static void *js_memory_calloc(void *opaque, size_t count, size_t size) {
    (void)opaque;
    size_t n;
    void *p = __builtin_mul_overflow(count, size, &n) ? NULL : nursery_take(n);
    return p ? memset(p, 0, n) : calloc(count, size);
}

static void js_memory_free(void *opaque, void *p) {
    (void)opaque;
    if (!nursery_owns(p))
        free(p);
}

static void *js_memory_realloc(void *opaque, void *p, size_t n) {
    if (!p)
        return js_memory_malloc(opaque, n);
    if (!nursery_owns(p))
        return realloc(p, n);
    size_t room = nursery_room(p);
    if (n <= room)
        return p;
    void *moved = js_memory_malloc(opaque, n);
    if (!moved)
        return NULL;
    return memcpy(moved, p, room);
}

static size_t usable_size(const void *p) {
    return !p ? 0 : nursery_owns(p) ? nursery_room(p) : malloc_usable_size((void *)(uintptr_t)p);
}

JSRuntime *memory_new_runtime(void) {
    static const JSMallocFunctions functions = {js_memory_calloc, js_memory_malloc, js_memory_free,
                                                js_memory_realloc, usable_size};
    return JS_NewRuntime2(&functions, NULL);
}

#ifdef CAPSULE_GC_STRESS
bool memory_stress; /* asked by the engine: engine/adapt.sh */
#endif

/* In the engine: engine/freeze.c. */
void JS_FreezeHeap(JSRuntime *runtime);

void memory_settle(JSRuntime *runtime) {
    JSMemoryUsage usage;
    JS_RunGC(runtime);
    JS_ComputeMemoryUsage(runtime, &usage);
    JS_SetGCThreshold(runtime, (size_t)usage.malloc_size + COLLECT_AFTER);
    JS_FreezeHeap(runtime);
#ifdef CAPSULE_GC_STRESS
    memory_stress = true;
#else
    nursery_open(NURSERY_N);
#endif
}
