/* A growing table of operations with a queue through it, and the message format. */
#include "sandbox/operation.h"
#include "base/fault.h"
#include "guest/abi.h"
#include <stdlib.h>
#include <string.h>

/* An id is (generation << INDEX_BITS | index) + 1, so that an id that was kept finds nothing later. */
enum { FIRST_CAPACITY = 16, INDEX_BITS = 14 };
_Static_assert(GUEST_OPS_MAX == 1 << INDEX_BITS, "an id's low bits are the entry's index");

void operations_init(struct operation_table *t) {
    *t = (struct operation_table){0};
    pthread_mutex_init(&t->lock, NULL);
}

void operations_done(struct operation_table *t) {
    for (uint32_t i = 0; i < t->capacity; i++)
        free(t->entries[i].reply);
    free(t->entries);
    pthread_mutex_destroy(&t->lock);
}

/* ---- with the lock held ---- */

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

static int32_t open_one(struct operation_table *t) {
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

static struct operation *find(const struct operation_table *t, uint32_t id) {
    if (id == 0)
        return NULL;
    uint32_t index = (id - 1) & (GUEST_OPS_MAX - 1);
    return index < t->capacity && t->entries[index].id == id ? &t->entries[index] : NULL;
}

static void enqueue(struct operation_table *t, struct operation *op) {
    uint32_t at = (uint32_t)(op - t->entries) + 1;
    op->queued = true;
    op->previous = t->last;
    op->next = 0;
    if (t->last != 0)
        t->entries[t->last - 1].next = at;
    else
        t->first = at;
    t->last = at;
}

static void dequeue(struct operation_table *t, struct operation *op) {
    op->queued = false;
    if (op->previous != 0)
        t->entries[op->previous - 1].next = op->next;
    else
        t->first = op->next;
    if (op->next != 0)
        t->entries[op->next - 1].previous = op->previous;
    else
        t->last = op->previous;
}

/* ---- calls ---- */

int32_t operations_open(struct operation_table *t) {
    pthread_mutex_lock(&t->lock);
    int32_t id = open_one(t);
    pthread_mutex_unlock(&t->lock);
    return id;
}

void operations_complete(struct operation_table *t, uint32_t id, char *reply, size_t n) {
    pthread_mutex_lock(&t->lock);
    struct operation *op = find(t, id);
    if (op != NULL && !op->done) {
        op->done = true;
        op->reply = reply;
        op->reply_n = n;
        t->untaken += n;
        enqueue(t, op);
        reply = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    free(reply);
}

int32_t operations_reply(struct operation_table *t, uint32_t id, const char **ret, size_t *ret_n) {
    int32_t r = GUEST_E_NO_SUCH_OP;
    pthread_mutex_lock(&t->lock);
    const struct operation *op = find(t, id);
    if (op != NULL)
        r = op->done ? 0 : GUEST_E_PENDING;
    if (r == 0) {
        *ret = op->reply;
        *ret_n = op->reply_n;
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

void operations_close(struct operation_table *t, uint32_t id) {
    char *reply = NULL;
    pthread_mutex_lock(&t->lock);
    struct operation *op = find(t, id);
    if (op != NULL) {
        if (op->queued)
            dequeue(t, op);
        reply = op->reply;
        t->untaken -= op->reply_n;
        *op = (struct operation){0};
        t->n--;
    }
    pthread_mutex_unlock(&t->lock);
    free(reply);
}

int32_t operations_first_done(struct operation_table *t, const uint32_t *ids, uint32_t n) {
    int32_t index = -1;
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; index < 0 && i < n; i++) {
        const struct operation *op = find(t, ids[i]);
        if (op == NULL || op->done)
            index = (int32_t)i;
    }
    pthread_mutex_unlock(&t->lock);
    return index;
}

uint32_t operations_tell(struct operation_table *t, uint32_t *ret_ids, uint32_t capacity) {
    uint32_t n = 0;
    pthread_mutex_lock(&t->lock);
    for (; n < capacity && t->first != 0; n++) {
        struct operation *op = &t->entries[t->first - 1];
        ret_ids[n] = op->id;
        dequeue(t, op);
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}

bool operations_tell_one(struct operation_table *t, uint32_t id) {
    pthread_mutex_lock(&t->lock);
    struct operation *op = find(t, id);
    bool done = op != NULL && op->done;
    if (done && op->queued)
        dequeue(t, op);
    pthread_mutex_unlock(&t->lock);
    return done;
}

bool operations_has_news(struct operation_table *t) {
    pthread_mutex_lock(&t->lock);
    bool news = t->first != 0;
    pthread_mutex_unlock(&t->lock);
    return news;
}

uint64_t operations_untaken(struct operation_table *t) {
    pthread_mutex_lock(&t->lock);
    uint64_t n = t->untaken;
    pthread_mutex_unlock(&t->lock);
    return n;
}

/* ---- messages ---- */

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

char *message_new(const char *header, size_t header_n, const char *body, size_t body_n, size_t *ret_n) {
    size_t n = message_size(header_n, body_n);
    char *message = FAULT("message.alloc") ? NULL : malloc(n);
    if (message == NULL)
        return NULL;
    message_write(message, header, header_n, body, body_n);
    *ret_n = n;
    return message;
}
