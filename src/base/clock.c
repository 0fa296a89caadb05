/* Owns the conversion of kernel times to nanoseconds. Any thread. */
#define _GNU_SOURCE 1
#include "base/clock.h"

#include <time.h>

static uint64_t now(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t); /* can't fail for these two clocks */
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic_ns(void) {
    return now(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void) {
    return now(CLOCK_REALTIME);
}
