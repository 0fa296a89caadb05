/* The heap. */
#include "run/timers.h"
#include "base/fault.h"
#include <stdlib.h>

void timers_done(struct timers *timers) {
    free(timers->heap);
    *timers = (struct timers){0};
}

bool timers_reserve(struct timers *timers, uint32_t n) {
    if (n <= timers->capacity)
        return true;
    uint32_t capacity = n + n / 2 + 16;
    struct timer **heap =
        FAULT("timers.alloc") ? NULL : reallocarray(timers->heap, capacity, sizeof(struct timer *));
    if (heap == NULL)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

static void place(struct timers *timers, uint32_t i, struct timer *t) {
    timers->heap[i] = t;
    t->index = i + 1;
}

static void sift_up(struct timers *timers, uint32_t i, struct timer *t) {
    while (i > 0 && timers->heap[(i - 1) / 2]->at > t->at) {
        place(timers, i, timers->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(timers, i, t);
}

static void sift_down(struct timers *timers, uint32_t i, struct timer *t) {
    for (uint32_t child; (child = 2 * i + 1) < timers->n; i = child) {
        if (child + 1 < timers->n && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timers->heap[child]->at >= t->at)
            break;
        place(timers, i, timers->heap[child]);
    }
    place(timers, i, t);
}

static void sift(struct timers *timers, uint32_t i, struct timer *t) {
    if (i > 0 && timers->heap[(i - 1) / 2]->at > t->at)
        sift_up(timers, i, t);
    else
        sift_down(timers, i, t);
}

static void drop(struct timers *timers, struct timer *t) {
    uint32_t i = t->index - 1;
    struct timer *last = timers->heap[--timers->n];
    t->index = 0;
    if (last != t)
        sift(timers, i, last);
}

void timers_set(struct timers *timers, struct timer *t, uint64_t at) {
    t->at = at;
    if (at == UINT64_MAX) {
        if (t->index != 0)
            drop(timers, t);
    } else if (t->index == 0) {
        sift_up(timers, timers->n++, t);
    } else {
        sift(timers, t->index - 1, t);
    }
}

uint64_t timers_first(const struct timers *timers, struct timer **ret) {
    if (timers->n == 0)
        return UINT64_MAX;
    *ret = timers->heap[0];
    return timers->heap[0]->at;
}
