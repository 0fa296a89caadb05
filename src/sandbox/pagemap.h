/* Which pages of a private mapping hold data of their own (Linux's PAGEMAP_SCAN, 6.7 and later).
 *
 * See Documentation/admin-guide/mm/pagemap.rst of the kernel. Thread-safe. */
#ifndef SANDBOX_PAGEMAP_H
#define SANDBOX_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

struct page_run {
    uint64_t start, end; /* addresses */
};

/* A descriptor for pagemap_scan, or -1 if this kernel can't. */
int pagemap_open(void);

/* The runs of pages in [start, end) that are private to the process (written, present or swapped out), up to capacity runs; *ret_next
 * is where the scan ended (end when it's complete). Returns the number of runs or -1. */
int pagemap_scan(int fd, uintptr_t start, uintptr_t end, struct page_run *runs, size_t capacity,
                 uintptr_t *ret_next);

#endif
