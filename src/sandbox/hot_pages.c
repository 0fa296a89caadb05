/* Learning by intersection, copying by MADV_POPULATE_WRITE (Linux 5.14). */
#include "sandbox/hot_pages.h"
#include "base/fault.h"
#include "sandbox/pagemap.h"
#include <stdlib.h>
#include <sys/mman.h>

void hot_pages_init(struct hot_pages *hot) {
    pthread_mutex_init(&hot->lock, NULL);
    atomic_init(&hot->samples, 0);
    hot->n = 0;
    hot->runs = NULL;
}

void hot_pages_done(struct hot_pages *hot) {
    free(hot->runs);
    pthread_mutex_destroy(&hot->lock);
}

static void keep_all(struct hot_pages *hot, const struct page_run *seen, unsigned n, uint64_t base) {
    for (unsigned i = 0; i < n; i++)
        hot->runs[i] = (struct hot_run){seen[i].start - base, seen[i].end - base};
    hot->n = n;
}

/* Both lists are sorted. */
static void keep_common(struct hot_pages *hot, const struct page_run *seen, unsigned n, uint64_t base) {
    struct hot_run common[HOT_RUNS_MAX];
    unsigned count = 0;
    for (unsigned i = 0, j = 0; i < hot->n && j < n && count < HOT_RUNS_MAX;) {
        uint64_t start = seen[j].start - base, end = seen[j].end - base, first_end = hot->runs[i].end;
        start = hot->runs[i].start > start ? hot->runs[i].start : start;
        uint64_t until = first_end < end ? first_end : end;
        if (start < until)
            common[count++] = (struct hot_run){start, until};
        if (first_end < end)
            i++;
        else
            j++;
    }
    for (unsigned i = 0; i < count; i++)
        hot->runs[i] = common[i];
    hot->n = count;
}

static void learn(struct hot_pages *hot, int pagemap, const uint8_t *base, uint64_t size) {
    struct page_run seen[HOT_RUNS_MAX];
    uintptr_t start = (uintptr_t)base, next;
    int n = pagemap_scan(pagemap, start, start + size, seen, HOT_RUNS_MAX, &next);
    if (hot->runs == NULL)
        hot->runs = FAULT("hot.alloc") ? NULL : calloc(HOT_RUNS_MAX, sizeof *hot->runs);
    if (n < 0 || hot->runs == NULL)
        return;
    if (atomic_load(&hot->samples) == 0)
        keep_all(hot, seen, (unsigned)n, start);
    else
        keep_common(hot, seen, (unsigned)n, start);
    atomic_fetch_add(&hot->samples, 1);
}

void hot_pages_learn(struct hot_pages *hot, int pagemap, const uint8_t *base, uint64_t size) {
    if (pagemap < 0 || atomic_load_explicit(&hot->samples, memory_order_relaxed) >= HOT_SAMPLES_MAX)
        return;
    pthread_mutex_lock(&hot->lock);
    if (atomic_load(&hot->samples) < HOT_SAMPLES_MAX)
        learn(hot, pagemap, base, size);
    pthread_mutex_unlock(&hot->lock);
}

void hot_pages_copy(struct hot_pages *hot, uint8_t *base, uint64_t size) {
    if (atomic_load_explicit(&hot->samples, memory_order_relaxed) < HOT_SAMPLES_MIN)
        return;
    struct hot_run runs[HOT_RUNS_MAX];
    pthread_mutex_lock(&hot->lock);
    unsigned n = hot->n;
    for (unsigned i = 0; i < n; i++)
        runs[i] = hot->runs[i];
    pthread_mutex_unlock(&hot->lock);
    for (unsigned i = 0; i < n && runs[i].end <= size; i++)
        (void)madvise(base + runs[i].start, runs[i].end - runs[i].start, MADV_POPULATE_WRITE);
}
