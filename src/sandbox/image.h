/* A memory image: a guest's linear memory at a moment when nothing ran, as an immutable file.
 *
 * The file is the memory, byte for byte and sparse; what else is needed stands in struct image_info, which the cache keeps beside
 * it. An image is mapped once for reading (the pattern that slots are reset from) and privately into every slot.
 * Thread-safe: immutable after image_open but for what is learned of it; references are counted atomically. */
#ifndef SANDBOX_IMAGE_H
#define SANDBOX_IMAGE_H

#include "base/error.h"
#include "sandbox/hot_pages.h"
#include <stdint.h>

/* The size of a page of the host's memory, which is the unit of copying. Checked at engine_open. */
enum { HOST_PAGE_SIZE = 4096, WASM_PAGE_SIZE = 65536 };

struct image_info {
    uint64_t size;  /* bytes of linear memory, a multiple of WASM_PAGE_SIZE */
    uint32_t inbox; /* guest address of a buffer that was allocated for the first message; 0: none */
    uint32_t inbox_size;
};

struct image {
    struct image_info info;
    int fd;
    const uint8_t *pattern; /* info.size bytes, read-only */
    _Atomic unsigned references;
    struct hot_pages hot; /* learned */
};

/* Takes fd over, also on failure. ERROR_CORRUPT if the file is shorter than info says. */
int image_open(int fd, struct image_info info, struct image **ret, struct error *err);
struct image *image_retain(struct image *image);
void image_release(struct image *image); /* NULL is fine */

/* Writes memory (size bytes) to fd as an image, leaving holes where `skip_below` > address or where a page is zero. */
int image_write(int fd, const uint8_t *memory, uint64_t size, uint64_t skip_below, struct error *err);

#endif
