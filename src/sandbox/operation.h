/* The host operations that a sandbox has open, and the messages they're made of.
 * Thread rule: as the sandbox's. */
#ifndef SANDBOX_OPERATION_H
#define SANDBOX_OPERATION_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct operation {
    uint32_t id; /* 0: free */
    bool done;
    char *reply; /* a whole message, when done */
    size_t reply_n;
};

struct operation_table {
    struct operation *entries;
    uint32_t n, capacity, opened; /* in use; allocated; ever */
};

void operations_done(struct operation_table *t);
/* A new id (> 0), or GUEST_E_TOO_MANY. */
int32_t operations_open(struct operation_table *t);
struct operation *operations_find(const struct operation_table *t, uint32_t id); /* NULL: no such */
void operations_close(struct operation_table *t, struct operation *op);

/* Splits a message into header and body without copying. False if it's malformed. */
bool message_split(const char *message, size_t n, const char **ret_header, size_t *ret_header_n,
                   const char **ret_body, size_t *ret_body_n);
/* Writes a message of message_size(…) bytes. */
size_t message_size(size_t header_n, size_t body_n);
void message_write(void *to, const char *header, size_t header_n, const char *body, size_t body_n);

#endif
