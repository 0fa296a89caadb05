/* Threads that go on with recorded runs, several at once, each to its end or until it's suspended again.
 *
 * Thread rule: these functions are called by one thread. What is printed comes from any, a line at a time. */
#ifndef CLI_RUN_POOL_H
#define CLI_RUN_POOL_H

#include <capsule.h>
#include <stdbool.h>
#include <stddef.h>

struct run_pool;

/* runtime and journal_dir are borrowed. NULL: no memory, or no threads. */
struct run_pool *run_pool_new(capsule_runtime *runtime, const char *journal_dir, unsigned threads);
/* Resumes a run as soon as a thread is free, unless it's known already: queued, executed, or resting after it couldn't be resumed. */
void run_pool_add(struct run_pool *pool, const char *run_id, const char *entry);
/* Forgets what no thread has begun. */
void run_pool_stop(struct run_pool *pool);
/* How many are queued or executed; and how many couldn't be resumed, ever. */
size_t run_pool_pending(struct run_pool *pool);
size_t run_pool_failures(struct run_pool *pool);
/* Waits for what is executed. */
void run_pool_free(struct run_pool *pool);

/* A line on standard error that begins with the time. */
void run_pool_say(struct run_pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
