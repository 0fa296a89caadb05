/* The hot pages of an image: those that every guest of it writes, learned from the first few that ran.
 *
 * A newly mapped slot gets private copies of them in one go. Otherwise each would be mapped for reading with its neighbours first and be copied at the
 * first write, which costs a page fault and, with several threads, an interrupt of all other cores to flush their TLBs: a third of the time in which
 * 2,000 sandboxes open.
 * Thread-safe. */
#ifndef SANDBOX_HOT_PAGES_H
#define SANDBOX_HOT_PAGES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    HOT_RUNS_MAX = 256, /* more are forgotten */
    HOT_SAMPLES_MIN =
        4, /* guests that were looked at before anything is copied: the first may have written much more */
    HOT_SAMPLES_MAX = 8, /* that are looked at */
};

struct hot_run {
    uint64_t start, end; /* bytes from the start of memory */
};

struct hot_pages {
    pthread_mutex_t lock;
    _Atomic unsigned samples;
    unsigned n;
    struct hot_run *runs; /* HOT_RUNS_MAX; NULL until the first sample */
};

void hot_pages_init(struct hot_pages *hot);
void hot_pages_done(struct hot_pages *hot);
/* Learns from a guest that has run for a while: what it wrote of its image. pagemap: of pagemap_open. */
void hot_pages_learn(struct hot_pages *hot, int pagemap, const uint8_t *base, uint64_t size);
/* Copies them in a slot that was just mapped. */
void hot_pages_copy(struct hot_pages *hot, uint8_t *base, uint64_t size);

#endif
