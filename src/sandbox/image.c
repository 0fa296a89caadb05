/* Memory images: writing them sparsely and mapping them. */
#include "sandbox/image.h"
#include "base/buffer.h"
#include "base/fault.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_size(int fd, uint64_t size, struct error *err) {
    struct stat st;
    if (FAULT("image.stat") || fstat(fd, &st) != 0)
        return error_errno(err, ERROR_IO, errno, "can't examine an image");
    if (size == 0 || size % WASM_PAGE_SIZE != 0 || (uint64_t)st.st_size != size)
        return error_set(err, ERROR_CORRUPT, "an image has %lld bytes instead of %llu", (long long)st.st_size,
                         (unsigned long long)size);
    return 0;
}

int image_open(int fd, struct image_info info, struct image **ret, struct error *err) {
    CLEANUP(cleanup_close) int owned = fd;
    int r = check_size(owned, info.size, err);
    if (r != 0)
        return r;
    struct image *image = FAULT("image.alloc") ? NULL : calloc(1, sizeof *image);
    if (image == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for an image");
    void *pattern = FAULT("image.map") ? MAP_FAILED : mmap(NULL, info.size, PROT_READ, MAP_PRIVATE, owned, 0);
    if (pattern == MAP_FAILED) {
        free(image);
        return error_errno(err, ERROR_IO, errno, "can't map an image of %llu bytes",
                           (unsigned long long)info.size);
    }
    image->info = info;
    image->fd = owned;
    image->pattern = pattern;
    atomic_init(&image->references, 1);
    hot_pages_init(&image->hot);
    owned = -1;
    *ret = image;
    return 0;
}

struct image *image_retain(struct image *image) {
    atomic_fetch_add_explicit(&image->references, 1, memory_order_relaxed);
    return image;
}

void image_release(struct image *image) {
    if (image == NULL || atomic_fetch_sub_explicit(&image->references, 1, memory_order_acq_rel) != 1)
        return;
    munmap((void *)(uintptr_t)image->pattern, image->info.size);
    close(image->fd);
    hot_pages_done(&image->hot);
    free(image);
}

static bool page_is_zero(const uint8_t *page) {
    static const uint8_t zero[HOST_PAGE_SIZE];
    return memcmp(page, zero, HOST_PAGE_SIZE) == 0;
}

static int write_run(int fd, const uint8_t *memory, uint64_t from, uint64_t to, struct error *err) {
    while (from < to) {
        ssize_t n = FAULT("image.write") ? -1 : pwrite(fd, memory + from, to - from, (off_t)from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(err, ERROR_IO, errno, "can't write an image");
        from += (uint64_t)n;
    }
    return 0;
}

int image_write(int fd, const uint8_t *memory, uint64_t size, uint64_t skip_below, struct error *err) {
    if (FAULT("image.truncate") || ftruncate(fd, (off_t)size) != 0)
        return error_errno(err, ERROR_IO, errno, "can't make an image of %llu bytes", (unsigned long long)size);
    uint64_t run = 0, at = skip_below / HOST_PAGE_SIZE * HOST_PAGE_SIZE;
    for (run = at; at < size; at += HOST_PAGE_SIZE) {
        if (!page_is_zero(memory + at))
            continue;
        int r = write_run(fd, memory, run, at, err);
        if (r != 0)
            return r;
        run = at + HOST_PAGE_SIZE;
    }
    return write_run(fd, memory, run, size, err);
}
