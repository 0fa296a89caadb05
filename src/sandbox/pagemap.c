/* The PAGEMAP_SCAN ioctl. Debian 12's kernel headers are older than it, so its numbers stand here
 * (include/uapi/linux/fs.h of Linux 6.7). */
#include "sandbox/pagemap.h"
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    PAGE_FILE = 1 << 2,
    PAGE_PRESENT = 1 << 3,
    PAGE_SWAPPED = 1 << 4,
    PAGE_ZERO_PFN = 1 << 5, /* the kernel's shared zero page: read, never written */
};

struct scan_region {
    uint64_t start, end, categories;
};

struct scan_argument {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define PAGEMAP_SCAN_REQUEST _IOWR('f', 16, struct scan_argument)

enum { SCAN_BATCH = 512 };

static int scan(int fd, struct scan_argument *a) {
    a->size = sizeof *a;
    a->category_inverted = PAGE_FILE | PAGE_ZERO_PFN;
    a->category_mask = PAGE_FILE | PAGE_ZERO_PFN;
    a->category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED;
    a->return_mask = 0;
    return ioctl(fd, PAGEMAP_SCAN_REQUEST, a);
}

int pagemap_open(void) {
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    struct scan_region region;
    struct scan_argument probe = {.vec = (uintptr_t)&region, .vec_len = 1};
    if (scan(fd, &probe) >= 0)
        return fd;
    close(fd);
    return -1;
}

int pagemap_scan(int fd, uintptr_t start, uintptr_t end, struct page_run *runs, size_t capacity,
                 uintptr_t *ret_next) {
    struct scan_region regions[SCAN_BATCH];
    size_t room = capacity < SCAN_BATCH ? capacity : SCAN_BATCH;
    struct scan_argument a = {.start = start, .end = end, .vec = (uintptr_t)regions, .vec_len = room};
    int n = scan(fd, &a);
    if (n < 0)
        return -1;
    for (int i = 0; i < n; i++)
        runs[i] = (struct page_run){.start = regions[i].start, .end = regions[i].end};
    *ret_next = (uintptr_t)a.walk_end;
    return n;
}
