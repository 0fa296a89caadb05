/* Time, in nanoseconds. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

uint64_t clock_monotonic_ns(void); /* CLOCK_MONOTONIC */
uint64_t clock_wall_ns(void);      /* since 1970, UTC */

#endif
