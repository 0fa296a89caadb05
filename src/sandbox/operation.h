/* The host operations that a sandbox has open, and the messages they're made of.
 *
 * An operation is opened by the guest, completed by the host (once, from any thread) and closed when the guest takes its reply. Completed ones
 * stand in a queue until the guest has been told of them or has taken them.
 * Thread-safe; a reply stays where it is until its operation is closed, which only the sandbox's thread does. */
#ifndef SANDBOX_OPERATION_H
#define SANDBOX_OPERATION_H

#include "base/error.h"
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct operation {
    uint32_t id; /* 0: free */
    bool done, queued;
    uint32_t previous, next; /* in the queue: index + 1, 0: none */
    char *reply;             /* a whole message, when done */
    size_t reply_n;
};

struct operation_table {
    pthread_mutex_t lock;
    struct operation *entries;
    uint32_t n, capacity, opened; /* in use; allocated; ever */
    uint32_t first, last;         /* the queue: index + 1 */
    uint64_t untaken;             /* bytes of replies */
};

void operations_init(struct operation_table *t);
void operations_done(struct operation_table *t);

/* A new id (> 0), or GUEST_E_TOO_MANY. */
int32_t operations_open(struct operation_table *t);
/* Takes the reply over. Unknown and completed operations are ignored. */
void operations_complete(struct operation_table *t, uint32_t id, char *reply, size_t n);
/* Its reply: 0, GUEST_E_PENDING or GUEST_E_NO_SUCH_OP. */
int32_t operations_reply(struct operation_table *t, uint32_t id, const char **ret, size_t *ret_n);
/* Unknown ones are ignored. */
void operations_close(struct operation_table *t, uint32_t id);

/* The index of the first of ids that is done (or isn't known), or -1. */
int32_t operations_first_done(struct operation_table *t, const uint32_t *ids, uint32_t n);
/* Takes up to capacity ids out of the queue, in the order of completion; returns how many. */
uint32_t operations_tell(struct operation_table *t, uint32_t *ret_ids, uint32_t capacity);
/* Takes one out of the queue, if it's done; false if it isn't. */
bool operations_tell_one(struct operation_table *t, uint32_t id);
bool operations_has_news(struct operation_table *t);    /* the queue isn't empty */
uint64_t operations_untaken(struct operation_table *t); /* bytes of replies that wait to be taken */

/* Splits a message into header and body without copying. False if it's malformed. */
bool message_split(const char *message, size_t n, const char **ret_header, size_t *ret_header_n,
                   const char **ret_body, size_t *ret_body_n);
/* Writes a message of message_size(…) bytes. */
size_t message_size(size_t header_n, size_t body_n);
void message_write(void *to, const char *header, size_t header_n, const char *body, size_t body_n);
/* The same, malloc'd; NULL if there's no memory. */
char *message_new(const char *header, size_t header_n, const char *body, size_t body_n, size_t *ret_n);

#endif
