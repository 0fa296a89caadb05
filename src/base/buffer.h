/* A growing byte buffer that is born with its maximum. Always NUL-terminated after the last byte (not counted).
 *
 * Invariant: size <= max. An append that would pass max or finds no memory changes nothing and returns
 * ERROR_LIMIT or ERROR_NOMEM. Thread rule: one thread at a time. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data; /* NULL while empty */
    size_t size, capacity, max;
};

#define BUFFER_INIT(maximum) ((struct buffer){.max = (maximum)})

void buffer_done(struct buffer *b);
void buffer_clear(struct buffer *b); /* keeps the memory */
int buffer_append(struct buffer *b, const void *bytes, size_t n);
int buffer_puts(struct buffer *b, const char *text);
int buffer_putc(struct buffer *b, char c);
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for n more bytes and returns where they go (size is not changed), or NULL. */
char *buffer_reserve(struct buffer *b, size_t n);
/* Hands the memory (malloc'd, NUL-terminated, never NULL unless out of memory) to the caller; b is empty after. */
char *buffer_take(struct buffer *b);
/* "" rather than NULL while empty. */
const char *buffer_text(const struct buffer *b);

/* For `CLEANUP(buffer_done) struct buffer b = …`. */
#define CLEANUP(function) __attribute__((cleanup(function)))

/* For `CLEANUP(cleanup_free) char *p = NULL`. */
void cleanup_free(void *pointer_to_pointer);
/* For `CLEANUP(cleanup_close) int fd = -1`. */
void cleanup_close(int *fd);

#endif
