/* Reading and writing whole files, through descriptors. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"
#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends all that fd gives up to its end. ERROR_LIMIT (more than ret->max), ERROR_NOMEM, or ERROR_IO with errno. */
int file_read(int fd, struct buffer *ret);
/* False, with errno, unless all n bytes were written. */
bool file_write(int fd, const void *bytes, size_t n);
/* The digest of the whole file in hexadecimal, wherever fd stands; key as for digest_begin. ERROR_NOMEM or ERROR_IO with errno. */
int file_digest(int fd, const uint8_t *key, char ret[DIGEST_HEX_SIZE]);

#endif
