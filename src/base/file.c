/* Owns the loops around read and write: short counts and interruptions. Any thread. */
#define _GNU_SOURCE 1
#include "base/file.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <unistd.h>

enum { STEP = 4096 };

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
