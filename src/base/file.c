/* Owns the loops around read and write: short counts and interruptions. Any thread. */
#define _GNU_SOURCE 1
#include "base/file.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEP = 4096, DIGEST_STEP = 256 * 1024 };

int file_read(int fd, struct buffer *ret) {
    for (;;) {
        size_t room = ret->max - ret->size;
        char beyond, *to = room == 0 ? &beyond : buffer_reserve(ret, room < STEP ? room : STEP);
        if (!to)
            return ERROR_NOMEM;
        ssize_t n = FAULT("file.read") ? -1 : read(fd, to, room == 0 ? 1 : room < STEP ? room : STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? 0 : ERROR_IO;
        if (room == 0)
            return ERROR_LIMIT;
        ret->size += (size_t)n;
        ret->data[ret->size] = '\0';
    }
}

bool file_write(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t step = FAULT("file.write") ? -1 : write(fd, p, n);
        if (step < 0 && errno != EINTR)
            return false;
        if (step > 0) {
            p += step;
            n -= (size_t)step;
        }
    }
    return true;
}

int file_digest(int fd, const uint8_t *key, char ret[DIGEST_HEX_SIZE]) {
    CLEANUP(cleanup_free) char *block = FAULT("file.digest.memory") ? NULL : malloc(DIGEST_STEP);
    if (!block)
        return ERROR_NOMEM;
    struct digest_state s;
    digest_begin(&s, key);
    for (off_t at = 0;;) {
        ssize_t n = FAULT("file.digest") ? -1 : pread(fd, block, DIGEST_STEP, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERROR_IO;
        if (n == 0)
            break;
        digest_update(&s, block, (size_t)n);
        at += n;
    }
    uint8_t digest[DIGEST_SIZE];
    digest_end(&s, digest);
    digest_hex(digest, ret);
    return 0;
}
