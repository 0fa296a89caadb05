/* Owns sets of digests: filled, sorted once, then asked. One thread at a time. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

int digest_set_add(struct digest_set *s, const uint8_t digest[DIGEST_SIZE]) {
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        void *items = FAULT("journal.set") ? NULL : reallocarray(s->items, capacity, sizeof *s->items);
        if (!items)
            return ERROR_NOMEM;
        s->items = items;
        s->capacity = capacity;
    }
    memcpy(s->items[s->n++], digest, DIGEST_SIZE);
    return 0;
}

static int compare(const void *a, const void *b) {
    return memcmp(a, b, DIGEST_SIZE);
}

void digest_set_sort(struct digest_set *s) {
    if (s->n > 0)
        qsort(s->items, s->n, sizeof *s->items, compare);
}

bool digest_set_has(const struct digest_set *s, const uint8_t digest[DIGEST_SIZE]) {
    return s->n > 0 && bsearch(digest, s->items, s->n, sizeof *s->items, compare);
}

void digest_set_done(struct digest_set *s) {
    free(s->items);
    *s = (struct digest_set){0};
}
