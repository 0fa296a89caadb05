/* A locked free list of fiber stacks. */
#include "sandbox/stack.h"
#include "base/fault.h"
#include "sandbox/image.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

struct stack_pool {
    pthread_mutex_t lock;
    struct fiber_stack *idle;
    unsigned idle_n;
};

int stack_pool_new(struct stack_pool **ret, struct error *err) {
    struct stack_pool *pool = FAULT("stack.pool") ? NULL : calloc(1, sizeof *pool);
    if (pool == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for the stack pool");
    pthread_mutex_init(&pool->lock, NULL);
    *ret = pool;
    return 0;
}

static void unmap(struct fiber_stack *stack) {
    munmap(stack->low - HOST_PAGE_SIZE, FIBER_STACK_SIZE + HOST_PAGE_SIZE);
    free(stack);
}

void stack_pool_free(struct stack_pool *pool) {
    if (pool == NULL)
        return;
    for (struct fiber_stack *s = pool->idle, *next; s != NULL; s = next) {
        next = s->next;
        unmap(s);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static struct fiber_stack *map_new(struct stack_pool *pool) {
    struct fiber_stack *stack = FAULT("stack.alloc") ? NULL : calloc(1, sizeof *stack);
    if (stack == NULL)
        return NULL;
    uint8_t *at = FAULT("stack.map") ? MAP_FAILED
                                     : mmap(NULL, FIBER_STACK_SIZE + HOST_PAGE_SIZE, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED || mprotect(at, HOST_PAGE_SIZE, PROT_NONE) != 0) {
        if (at != MAP_FAILED)
            munmap(at, FIBER_STACK_SIZE + HOST_PAGE_SIZE);
        free(stack);
        return NULL;
    }
    stack->low = at + HOST_PAGE_SIZE;
    stack->pool = pool;
    return stack;
}

struct fiber_stack *stack_take(struct stack_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    struct fiber_stack *stack = pool->idle;
    if (stack != NULL) {
        pool->idle = stack->next;
        pool->idle_n--;
    }
    pthread_mutex_unlock(&pool->lock);
    return stack != NULL ? stack : map_new(pool);
}

/* A stack grows downwards without gaps wider than a frame, so when none of the 16 pages just under the bound is resident nothing below
 * them is either, and one cheap call is all that the common shallow case costs. */
static void drop_deep_pages(struct fiber_stack *stack) {
    uint8_t *bound = stack->low + FIBER_STACK_SIZE - FIBER_RESIDENT_MAX;
    unsigned char resident[16] = {0};
    size_t window = sizeof resident * HOST_PAGE_SIZE;
    if (mincore(bound - window, window, resident) != 0)
        return;
    for (size_t i = 0; i < sizeof resident; i++) {
        if (resident[i] & 1) {
            (void)madvise(stack->low, FIBER_STACK_SIZE - FIBER_RESIDENT_MAX, MADV_DONTNEED);
            return;
        }
    }
}

void stack_put(struct fiber_stack *stack) {
    struct stack_pool *pool = stack->pool;
    drop_deep_pages(stack);
    pthread_mutex_lock(&pool->lock);
    bool keep = pool->idle_n < FIBER_POOL_MAX;
    if (keep) {
        stack->next = pool->idle;
        pool->idle = stack;
        pool->idle_n++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!keep)
        unmap(stack);
}
