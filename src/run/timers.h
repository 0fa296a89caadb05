/* The tasks of a run for which a time has to be kept, the earliest first: a binary heap.
 *
 * Invariant: a task with timer_index 0 isn't in it; otherwise heap[timer_index - 1] is the task.
 * Thread rule: under the run's lock. */
#ifndef RUN_TIMERS_H
#define RUN_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct task;

struct timers {
    struct task **heap;
    uint32_t n, capacity;
};

void timers_done(struct timers *timers);
/* Makes room for n tasks in all, so that setting can't fail. False: no memory. */
bool timers_reserve(struct timers *timers, uint32_t n);
/* Sets, moves or (UINT64_MAX) removes a task's time; monotonic ns. */
void timers_set(struct timers *timers, struct task *t, uint64_t at);
/* The earliest time, UINT64_MAX if there is none; and whose it is. */
uint64_t timers_first(const struct timers *timers, struct task **ret);

#endif
