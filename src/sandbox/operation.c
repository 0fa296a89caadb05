/* A table of open operations: an id is its entry's index plus the table's capacity times how often it was used, so that a stale id
 * finds nothing. */
#include "sandbox/operation.h"
#include "base/fault.h"
#include "guest/abi.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, INDEX_BITS = 14 };

_Static_assert(GUEST_OPS_MAX == 1 << INDEX_BITS, "an id's low bits are the entry's index");

void operations_done(struct operation_table *t) {
    for (uint32_t i = 0; i < t->capacity; i++)
        free(t->entries[i].reply);
    free(t->entries);
    *t = (struct operation_table){0};
}

static bool enlarge(struct operation_table *t) {
    uint32_t capacity = t->capacity == 0 ? FIRST_CAPACITY : t->capacity * 2;
    struct operation *entries = FAULT("operation.alloc") ? NULL : realloc(t->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    memset(entries + t->capacity, 0, (capacity - t->capacity) * sizeof *entries);
    t->entries = entries;
    t->capacity = capacity;
    return true;
}

int32_t operations_open(struct operation_table *t) {
    if (t->n >= GUEST_OPS_MAX || (t->n == t->capacity && !enlarge(t)))
        return GUEST_E_TOO_MANY;
    /* Most guests have one or two open: the next free one is near. */
    uint32_t index = t->opened % t->capacity;
    while (t->entries[index].id != 0)
        index = (index + 1) % t->capacity;
    uint32_t generation = ++t->opened & ((UINT32_C(1) << (30 - INDEX_BITS)) - 1);
    struct operation *op = &t->entries[index];
    op->id = (generation << INDEX_BITS | index) + 1;
    t->n++;
    return (int32_t)op->id;
}

struct operation *operations_find(const struct operation_table *t, uint32_t id) {
    if (id == 0)
        return NULL;
    uint32_t index = (id - 1) & (GUEST_OPS_MAX - 1);
    return index < t->capacity && t->entries[index].id == id ? &t->entries[index] : NULL;
}

void operations_close(struct operation_table *t, struct operation *op) {
    free(op->reply);
    *op = (struct operation){0};
    t->n--;
}

bool message_split(const char *message, size_t n, const char **ret_header, size_t *ret_header_n,
                   const char **ret_body, size_t *ret_body_n) {
    uint32_t header_n;
    if (n < sizeof header_n || n > GUEST_MESSAGE_MAX)
        return false;
    memcpy(&header_n, message, sizeof header_n);
    if (header_n > GUEST_HEADER_MAX || header_n > n - sizeof header_n)
        return false;
    *ret_header = message + sizeof header_n;
    *ret_header_n = header_n;
    *ret_body = *ret_header + header_n;
    *ret_body_n = n - sizeof header_n - header_n;
    return true;
}

size_t message_size(size_t header_n, size_t body_n) {
    return sizeof(uint32_t) + header_n + body_n;
}

void message_write(void *to, const char *header, size_t header_n, const char *body, size_t body_n) {
    char *at = to;
    uint32_t size = (uint32_t)header_n;
    memcpy(at, &size, sizeof size);
    memcpy(at + sizeof size, header, header_n);
    if (body_n > 0)
        memcpy(at + sizeof size + header_n, body, body_n);
}
