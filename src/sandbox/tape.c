/* Owns the entries of a tape, readings of clocks, and the stream of random bytes. */
#include "sandbox/tape.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/varint.h"
#include <string.h>

enum { NUMBERS_MAX = 8 };

void tape_init(struct tape *t, const char *replay, size_t replay_n) {
    const char *at = replay != NULL ? replay : "";
    *t = (struct tape){.recorded = BUFFER_INIT(TAPE_MAX), .at = at, .end = replay != NULL ? at + replay_n : at};
}

void tape_done(struct tape *t) {
    buffer_done(&t->recorded);
}

int tape_take(struct tape *t, struct buffer *to) {
    int r = buffer_append(to, t->recorded.data, t->recorded.size);
    if (r != 0)
        return r;
    buffer_clear(&t->recorded);
    t->whole = 0;
    return 0;
}

void tape_diverge(struct tape *t, const char *what) {
    if (t->trouble == NULL)
        t->trouble = what;
    t->at = t->end;
}

void tape_break(struct tape *t, const char *what) {
    t->broken = t->broken || t->trouble == NULL;
    tape_diverge(t, what);
}

/* ---- recording ---- */

static void keep(struct tape *t, const void *bytes, size_t n) {
    if (t->trouble != NULL || (!FAULT("tape.alloc") && buffer_append(&t->recorded, bytes, n) == 0))
        return;
    t->recorded.size = t->whole; /* no part of an entry */
    tape_break(t, "there's no memory to record what the task reads");
}

void tape_put(struct tape *t, enum tape_kind kind, const uint64_t *numbers, size_t n) {
    uint8_t entry[1 + NUMBERS_MAX * VARINT_MAX] = {(uint8_t)kind};
    size_t size = 1;
    t->whole = t->recorded.size;
    for (size_t i = 0; i < n && i < NUMBERS_MAX; i++)
        size += varint_write(entry + size, numbers[i]);
    keep(t, entry, size);
}

void tape_put_bytes(struct tape *t, const void *bytes, size_t n) {
    if (n > 0)
        keep(t, bytes, n);
}

/* ---- replaying ---- */

enum tape_kind tape_next(const struct tape *t) {
    uint8_t kind = tape_replays(t) ? (uint8_t)*t->at : TAPE_END;
    return kind <= TAPE_FUEL ? (enum tape_kind)kind : TAPE_END;
}

bool tape_get_numbers(struct tape *t, uint64_t *numbers, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!varint_read(&t->at, t->end, &numbers[i])) {
            tape_diverge(t, "its record is malformed");
            return false;
        }
    }
    return true;
}

bool tape_get(struct tape *t, enum tape_kind kind, uint64_t *numbers, size_t n) {
    if (tape_next(t) != kind) {
        tape_diverge(t, "it doesn't do what it did before");
        return false;
    }
    t->at++;
    return tape_get_numbers(t, numbers, n);
}

const char *tape_get_bytes(struct tape *t, uint64_t n) {
    const char *bytes = t->at;
    if (n > (uint64_t)(t->end - t->at)) {
        tape_diverge(t, "its record is malformed");
        return NULL;
    }
    t->at += n;
    return bytes;
}

/* ---- clocks and randomness ---- */

/* Whether the entry for the WASI call being made is of this kind; it's read then. */
static bool replay_call(struct tape *t, enum tape_kind kind, uint64_t *numbers, size_t n) {
    if (!tape_replays(t))
        return false;
    if (!tape_get(t, kind, numbers, n))
        return false;
    if (numbers[0] != t->calls)
        tape_diverge(t, "it doesn't do what it did before");
    t->calls = 0;
    return t->trouble == NULL;
}

uint64_t tape_clock(struct tape *t, uint32_t id, uint64_t now) {
    uint64_t numbers[3] = {t->calls, id, zigzag((int64_t)(now - t->clock[id]))};
    if (!tape_replays(t)) {
        t->calls = 0;
        t->clock[id] = now;
        tape_put(t, TAPE_CLOCK, numbers, 3);
        return now;
    }
    if (!replay_call(t, TAPE_CLOCK, numbers, 3))
        return now;
    if (numbers[1] != id)
        tape_diverge(t, "it reads another clock than before");
    t->clock[id] += (uint64_t)unzigzag(numbers[2]);
    /* The wall clock is what it is. */
    t->shift[id] += id == 0 ? 0 : t->clock[id] - now;
    return t->clock[id];
}

void tape_random(struct tape *t, void *ret, size_t n) {
    uint64_t calls = t->calls;
    if (!t->seeded && replay_call(t, TAPE_SEED, &calls, 1)) {
        const char *seed = tape_get_bytes(t, TAPE_SEED_SIZE);
        if (seed != NULL)
            memcpy(t->seed, seed, TAPE_SEED_SIZE);
    } else if (!t->seeded) {
        random_bytes(t->seed, sizeof t->seed);
        tape_put(t, TAPE_SEED, &calls, 1);
        tape_put_bytes(t, t->seed, sizeof t->seed);
        t->calls = 0;
    }
    t->seeded = true;
    random_stream(t->seed, t->random_calls++, ret, n);
}
