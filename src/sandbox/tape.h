/* A tape: what the guest of one attempt got from outside, in order, so that the same code on the same image can be run the same way again.
 *
 * While an attempt runs, its tape is recorded; what is recorded is taken now and then (tape_take) and kept by whoever resumes it. An attempt that's given
 * such a tape is replayed: what the guest asks for is answered from it, and nothing is done a second time. Behind the tape's end it's live, and recorded
 * again.
 *
 * On it are: readings of clocks, the seed of randomness, results of file calls (wasi_tape.c) except on the guest's own libraries, the fuel
 * that's left, and in which order operations were done. Not on it: the replies of operations, which whoever submitted them completes again.
 *
 * Format: entries, each a kind (u8) and varints, or bytes where it says so:
 *   WASI     calls since the last one on the tape, function, errno, outputs (wasi_tape.c)
 *   CLOCK    calls since, clock, reading (zigzag: since the last one of that clock)
 *   SEED     calls since, 32 bytes
 *   SUBMIT   8 bytes: the beginning of the digest of the operation's message
 *   REFUSED  code (zigzag): what the submission before it came to, where it's no operation
 *   WAITED   index + 1, or 0 for a timeout: of op_wait
 *   TOLD     number of ids, ids: of op_next; 0 for a timeout
 *   PENDING  id: op_take of an operation that wasn't done
 *   FUEL     what is left
 * A replay that asks for something else than what comes next has diverged: it can't be gone on with.
 *
 * A tape to be replayed is trusted as much as a file of the project: it's checked for form, and can do nothing that the guest itself couldn't.
 * Thread rule: as the sandbox it belongs to. */
#ifndef SANDBOX_TAPE_H
#define SANDBOX_TAPE_H

#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

enum { TAPE_SEED_SIZE = 32, TAPE_DIGEST_SIZE = 8, TAPE_CLOCKS = 4 };
/* Recorded entries that nobody takes, at most: what a guest can have read until then must lie somewhere. */
enum { TAPE_MAX = 512 * 1024 * 1024, TAPE_PORTION = 256 * 1024 /* the host is asked to take them */ };

enum tape_kind {
    TAPE_END, /* there's no further entry */
    TAPE_WASI,
    TAPE_CLOCK,
    TAPE_SEED,
    TAPE_SUBMIT,
    TAPE_REFUSED,
    TAPE_WAITED,
    TAPE_TOLD,
    TAPE_PENDING,
    TAPE_FUEL
};

struct tape {
    struct buffer recorded;
    size_t whole;                /* of it, bytes up to the entry that was put last */
    const char *at, *end;        /* what is still to be replayed */
    uint64_t calls;              /* WASI calls since the last that's on the tape, the current one included */
    uint64_t clock[TAPE_CLOCKS]; /* last readings */
    uint64_t shift
        [TAPE_CLOCKS]; /* to be added, modulo 2^64: what a clock of the host lags behind the guest's, which must go on from where it was */
    uint8_t seed[TAPE_SEED_SIZE];
    bool seeded;
    uint64_t random_calls;
    const char *trouble; /* why it can't go on, static; NULL: all is well */
    bool broken;         /* trouble is the host's (no memory), not a divergence */
};

/* replay: bytes that tape_take gave, all of an attempt's in a row; kept by reference, until the sandbox is closed. */
void tape_init(struct tape *t, const char *replay, size_t replay_n);
void tape_done(struct tape *t);
/* Appends what was recorded since the last time to `to`. */
int tape_take(struct tape *t, struct buffer *to);

static inline bool tape_replays(const struct tape *t) {
    return t->at < t->end;
}
/* The kind of the next entry. */
enum tape_kind tape_next(const struct tape *t);
/* The first trouble is kept. Nothing is recorded any more. */
void tape_diverge(struct tape *t, const char *what);
/* The same for trouble of the host's. */
void tape_break(struct tape *t, const char *what);

/* Recording. */
void tape_put(struct tape *t, enum tape_kind kind, const uint64_t *numbers, size_t n);
void tape_put_bytes(struct tape *t, const void *bytes, size_t n);
/* Replaying: reads the next entry's kind, which must be this one, and n numbers; false if it has diverged. */
bool tape_get(struct tape *t, enum tape_kind kind, uint64_t *numbers, size_t n);
bool tape_get_numbers(struct tape *t, uint64_t *numbers, size_t n);
/* n bytes of an entry, NULL if there aren't so many. */
const char *tape_get_bytes(struct tape *t, uint64_t n);

/* A reading of clock `id` (a WASI number) for the guest: from the tape, or `now`, which is the host's with `shift` added, and recorded. */
uint64_t tape_clock(struct tape *t, uint32_t id, uint64_t now);
/* n random bytes: of a stream from the seed, which is drawn from the kernel when it's first needed. */
void tape_random(struct tape *t, void *ret, size_t n);

#endif
