/* Owns the growth of buffers; see buffer.h for the invariants. Memory doubles, and never passes max (plus the NUL). */
#define _GNU_SOURCE 1
#include "base/buffer.h"

#include "base/error.h"
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAPACITY = 64 };

/* Afterwards capacity >= size + n + 1. */
static int grow(struct buffer *b, size_t n) {
    if (n > b->max - b->size || b->max == SIZE_MAX)
        return ERROR_LIMIT;
    size_t needed = b->size + n + 1;
    if (needed <= b->capacity)
        return 0;
    size_t capacity = b->capacity > b->max / 2 ? b->max + 1 : b->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity < FIRST_CAPACITY && b->max >= FIRST_CAPACITY)
        capacity = FIRST_CAPACITY;
    char *data = FAULT("buffer.grow") ? NULL : realloc(b->data, capacity);
    if (!data)
        return ERROR_NOMEM;
    b->data = data;
    b->capacity = capacity;
    b->data[b->size] = '\0';
    return 0;
}

void buffer_done(struct buffer *b) {
    free(b->data);
    *b = BUFFER_INIT(b->max);
}

void buffer_clear(struct buffer *b) {
    b->size = 0;
    if (b->data)
        b->data[0] = '\0';
}

int buffer_append(struct buffer *b, const void *bytes, size_t n) {
    int status = grow(b, n);
    if (status)
        return status;
    if (n)
        memcpy(b->data + b->size, bytes, n);
    b->size += n;
    b->data[b->size] = '\0';
    return 0;
}

int buffer_puts(struct buffer *b, const char *text) {
    return buffer_append(b, text, strlen(text));
}

int buffer_putc(struct buffer *b, char c) {
    return buffer_append(b, &c, 1);
}

int buffer_printf(struct buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int status = n < 0 ? ERROR_INVALID : grow(b, (size_t)n);
    if (status == 0) {
        vsnprintf(b->data + b->size, (size_t)n + 1, format, again);
        b->size += (size_t)n;
    }
    va_end(again);
    return status;
}

char *buffer_reserve(struct buffer *b, size_t n) {
    return grow(b, n) ? NULL : b->data + b->size;
}

char *buffer_take(struct buffer *b) {
    char *data = b->data ? b->data : calloc(1, 1);
    *b = BUFFER_INIT(b->max);
    return data;
}

const char *buffer_text(const struct buffer *b) {
    return b->data ? b->data : "";
}

void cleanup_free(void *pointer_to_pointer) {
    void *p;
    memcpy(&p, pointer_to_pointer, sizeof p);
    free(p);
}

void cleanup_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
}
