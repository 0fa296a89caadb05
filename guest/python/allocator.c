#include "allocator.h"
#include "nursery.h"
#include <Python.h>
#include <string.h>

/* Python's allocators, by domain: behind the nursery. */
static PyMemAllocatorEx behind_mem, behind_object;

static void *front_malloc(void *context, size_t n) {
    void *p = nursery_take(n);
    PyMemAllocatorEx *behind = context;
    return p ? p : behind->malloc(behind->ctx, n);
}

static void *front_calloc(void *context, size_t count, size_t size) {
    size_t n;
    void *p = __builtin_mul_overflow(count, size, &n) ? NULL : nursery_take(n);
    PyMemAllocatorEx *behind = context;
    return p ? memset(p, 0, n) : behind->calloc(behind->ctx, count, size);
}

static void *front_realloc(void *context, void *p, size_t n) {
    PyMemAllocatorEx *behind = context;
    if (!p)
        return front_malloc(context, n);
    if (!nursery_owns(p))
        return behind->realloc(behind->ctx, p, n);
    size_t room = nursery_room(p);
    if (n <= room)
        return p;
    void *moved = front_malloc(context, n);
    if (!moved)
        return NULL;
    memcpy(moved, p, room);
    nursery_give_back(p);
    return moved;
}

static void front_free(void *context, void *p) {
    PyMemAllocatorEx *behind = context;
    if (nursery_owns(p))
        nursery_give_back(p);
    else
        behind->free(behind->ctx, p);
}

static void install(PyMemAllocatorDomain domain, PyMemAllocatorEx *behind) {
    PyMem_GetAllocator(domain, behind);
    PyMemAllocatorEx front = {behind, front_malloc, front_calloc, front_realloc, front_free};
    PyMem_SetAllocator(domain, &front);
}

void allocator_install(void) {
    install(PYMEM_DOMAIN_MEM, &behind_mem);
    install(PYMEM_DOMAIN_OBJ, &behind_object);
}
