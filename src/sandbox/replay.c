/* Owns the entries about operations on a tape. */
#include "sandbox/replay.h"
#include "base/digest.h"
#include "base/varint.h"
#include "guest/abi.h"
#include <string.h>

static const char *const NOT_DONE = "what it was told of isn't on record";

bool taped_submit(struct tape *t, const char *message, size_t n, int32_t *ret) {
    uint8_t digest[DIGEST_SIZE];
    digest_bytes(NULL, message, n, digest);
    if (!tape_replays(t)) {
        tape_put(t, TAPE_SUBMIT, NULL, 0);
        tape_put_bytes(t, digest, TAPE_DIGEST_SIZE);
        *ret = GUEST_E_BAD_MESSAGE;
        return t->trouble != NULL; /* what isn't recorded isn't done */
    }
    uint64_t code = 0;
    const char *then = tape_get(t, TAPE_SUBMIT, NULL, 0) ? tape_get_bytes(t, TAPE_DIGEST_SIZE) : NULL;
    if (then != NULL && memcmp(then, digest, TAPE_DIGEST_SIZE) != 0)
        tape_diverge(t, "it calls something else, or with other arguments, than before");
    if (t->trouble == NULL && tape_next(t) == TAPE_REFUSED && tape_get(t, TAPE_REFUSED, &code, 1)) {
        *ret = (int32_t)unzigzag(code);
        return true;
    }
    *ret = GUEST_E_BAD_MESSAGE;
    return t->trouble != NULL;
}

void record_refused(struct tape *t, int32_t code) {
    uint64_t number = zigzag(code);
    if (tape_replays(t))
        tape_diverge(t, "what it asked for is refused now");
    tape_put(t, TAPE_REFUSED, &number, 1);
}

void record_waited(struct tape *t, int32_t result) {
    uint64_t number = result < 0 ? 0 : (uint64_t)result + 1;
    tape_put(t, TAPE_WAITED, &number, 1);
}

int32_t replay_waited(struct tape *t, struct operation_table *operations, const uint32_t *ids, uint32_t n) {
    uint64_t number = 0;
    if (!tape_get(t, TAPE_WAITED, &number, 1) || number == 0)
        return GUEST_E_TIMEOUT;
    const char *reply;
    size_t reply_n;
    if (number > n || operations_reply(operations, ids[number - 1], &reply, &reply_n) == GUEST_E_PENDING)
        tape_diverge(t, NOT_DONE);
    return (int32_t)number - 1;
}

void record_told(struct tape *t, const void *ids, int32_t result) {
    uint64_t n = result < 0 ? 0 : (uint64_t)result;
    tape_put(t, TAPE_TOLD, &n, 1);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t id;
        uint8_t bytes[VARINT_MAX];
        memcpy(&id, (const char *)ids + i * sizeof id, sizeof id);
        tape_put_bytes(t, bytes, varint_write(bytes, id));
    }
}

int32_t replay_told(struct tape *t, struct operation_table *operations, void *ids, uint32_t capacity) {
    uint64_t n = 0, number = 0;
    if (!tape_get(t, TAPE_TOLD, &n, 1) || n == 0)
        return GUEST_E_TIMEOUT;
    if (n > capacity)
        tape_diverge(t, "it doesn't do what it did before");
    for (uint64_t i = 0; i < n && t->trouble == NULL && tape_get_numbers(t, &number, 1); i++) {
        uint32_t id = (uint32_t)number;
        if (!operations_tell_one(operations, id))
            tape_diverge(t, NOT_DONE);
        memcpy((char *)ids + i * sizeof id, &id, sizeof id);
    }
    return (int32_t)n;
}

/* Whether the tape's next entry is that this operation wasn't done. */
static bool is_pending(const struct tape *t, uint32_t id) {
    uint64_t number = 0;
    const char *at = t->at + 1;
    return tape_next(t) == TAPE_PENDING && varint_read(&at, t->end, &number) && number == id;
}

int32_t taped_take(struct tape *t, uint32_t id, int32_t result) {
    uint64_t number = id;
    if (is_pending(t, id)) {
        (void)tape_get(t, TAPE_PENDING, &number, 1);
        return GUEST_E_PENDING;
    }
    if (result != GUEST_E_PENDING)
        return result;
    if (tape_replays(t))
        tape_diverge(t, NOT_DONE);
    else
        tape_put(t, TAPE_PENDING, &number, 1);
    return result;
}

uint64_t taped_fuel(struct tape *t, uint64_t left) {
    if (!tape_replays(t))
        tape_put(t, TAPE_FUEL, &left, 1);
    else
        (void)tape_get(t, TAPE_FUEL, &left, 1);
    return left;
}
