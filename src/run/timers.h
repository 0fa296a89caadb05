/* The times that a run keeps, the earliest first: a binary heap of timers that lie in what they're for.
 *
 * Invariant: a timer with index 0 isn't in it; otherwise heap[index - 1] is the timer.
 * Thread rule: under the run's lock. */
#ifndef RUN_TIMERS_H
#define RUN_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

enum timer_owner { TIMER_OF_TASK, TIMER_OF_WAIT };

struct timer {
    uint64_t at; /* monotonic ns; UINT64_MAX: not set */
    uint32_t index;
    enum timer_owner owner;
};

struct timers {
    struct timer **heap;
    uint32_t n, capacity;
};

void timers_done(struct timers *timers);
/* Makes room for n timers in all, so that setting can't fail. False: no memory. */
bool timers_reserve(struct timers *timers, uint32_t n);
/* Sets, moves or (UINT64_MAX) removes a time. */
void timers_set(struct timers *timers, struct timer *t, uint64_t at);
/* The earliest time, UINT64_MAX if there is none; and whose it is. */
uint64_t timers_first(const struct timers *timers, struct timer **ret);

#endif
