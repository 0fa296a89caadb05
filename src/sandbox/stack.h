/* Stacks for the fibers that guests run on, kept for reuse.
 *
 * A stack is FIBER_STACK_SIZE bytes above an inaccessible page. Its pages stay with it up to FIBER_RESIDENT_MAX; what a deep recursion
 * touched below that is given back. A guest can't read its native stack, so the rest isn't cleared.
 * Thread-safe. */
#ifndef SANDBOX_STACK_H
#define SANDBOX_STACK_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum {
    FIBER_STACK_SIZE = 16 * 1024 * 1024,
    FIBER_WASM_MAX = FIBER_STACK_SIZE - 1024 * 1024, /* the rest is for host functions, which run on it as well */
    FIBER_RESIDENT_MAX = 256 * 1024,
    FIBER_POOL_MAX = 256,
};

struct stack_pool;

struct fiber_stack {
    uint8_t *low; /* first usable byte; the top is low + FIBER_STACK_SIZE */
    struct stack_pool *pool;
    struct fiber_stack *next;
};

int stack_pool_new(struct stack_pool **ret, struct error *err);
void stack_pool_free(struct stack_pool *pool);
struct fiber_stack *stack_take(struct stack_pool *pool); /* NULL: no memory */
void stack_put(struct fiber_stack *stack);

#endif
