/* The tape by itself: its entries there and back, clocks that go on, random bytes that are the same again, and tapes that are cut, garbled or hostile. */
#include "base/fault.h"
#include "base/varint.h"
#include "guest/abi.h"
#include "sandbox/replay.h"
#include "sandbox/tape.h"
#include "unit.h"
#include <stdlib.h>

static struct tape recording(void) {
    struct tape t;
    tape_init(&t, NULL, 0);
    return t;
}

/* A copy that is exactly as long, so that the address sanitizer sees every step beyond. */
static char *exactly(const char *bytes, size_t n) {
    char *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    return n > 0 ? copy : (free(copy), strdup(""));
}

static void take_all(struct tape *t, struct buffer *to) {
    assert_int_equal(tape_take(t, to), 0);
    assert_int_equal(t->recorded.size, 0);
}

/* ---- entries ---- */

static void test_nothing_is_replayed_of_nothing(void **state) {
    (void)state;
    struct tape t = recording();
    assert_false(tape_replays(&t));
    assert_int_equal(tape_next(&t), TAPE_END);
    assert_null(tape_get_bytes(&t, 1));
    assert_non_null(t.trouble);
    tape_done(&t);
    tape_init(&t, "", 0);
    assert_false(tape_replays(&t));
    assert_false(tape_get(&t, TAPE_FUEL, NULL, 0));
    assert_non_null(t.trouble);
    assert_false(t.broken);
    tape_done(&t);
}

static void test_every_kind_there_and_back(void **state) {
    (void)state;
    const uint64_t numbers[8] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63};
    struct tape t = recording();
    CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
    for (enum tape_kind kind = TAPE_WASI; kind <= TAPE_FUEL; kind++) {
        tape_put(&t, kind, numbers, (size_t)kind % 9);
        tape_put_bytes(&t, "bytes", kind % 6);
        take_all(&t, &tape); /* in pieces: what comes out is the same */
    }
    tape_done(&t);
    char *exact = exactly(tape.data, tape.size);
    tape_init(&t, exact, tape.size);
    for (enum tape_kind kind = TAPE_WASI; kind <= TAPE_FUEL; kind++) {
        uint64_t read[8] = {0};
        assert_int_equal(tape_next(&t), kind);
        assert_true(tape_get(&t, kind, read, (size_t)kind % 9));
        assert_memory_equal(read, numbers, sizeof read[0] * ((size_t)kind % 9));
        const char *bytes = tape_get_bytes(&t, kind % 6);
        assert_non_null(bytes);
        assert_memory_equal(bytes, "bytes", kind % 6);
    }
    assert_false(tape_replays(&t));
    assert_null(t.trouble);
    tape_done(&t);
    free(exact);
}

static void test_another_kind_diverges(void **state) {
    (void)state;
    struct tape t;
    tape_init(&t, "\x09\x05", 2);
    assert_int_equal(tape_next(&t), TAPE_FUEL);
    uint64_t number = 0;
    assert_false(tape_get(&t, TAPE_WAITED, &number, 1));
    assert_contains(t.trouble, "doesn't do what it did before");
    assert_false(tape_replays(&t));
    const char *first = t.trouble;
    tape_diverge(&t, "another");
    assert_ptr_equal(t.trouble, first);
    tape_break(&t, "later"); /* not what was the matter */
    assert_false(t.broken);
    tape_done(&t);
}

static void test_malformed(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\x09", 1},                                            /* no number */
        {"\x09\x80", 2},                                        /* half of one */
        {"\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},   /* 65 bits */
        {"\x09\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0", 12}, /* without an end */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *exact = exactly(rows[i].bytes, rows[i].n);
        struct tape t;
        uint64_t number = 77;
        tape_init(&t, exact, rows[i].n);
        assert_false(tape_get(&t, TAPE_FUEL, &number, 1));
        assert_contains(t.trouble, "malformed");
        assert_false(t.broken);
        tape_done(&t);
        free(exact);
    }
    struct tape t;
    tape_init(&t, "\x63", 1); /* no kind */
    assert_true(tape_replays(&t));
    assert_int_equal(tape_next(&t), TAPE_END);
    assert_false(tape_get(&t, TAPE_WASI, NULL, 0));
    tape_done(&t);
    tape_init(&t, "abc", 3);
    assert_null(tape_get_bytes(&t, UINT64_MAX));
    assert_non_null(t.trouble);
    tape_done(&t);
}

/* ---- clocks ---- */

enum { WALL, MONOTONIC, CPU, THREAD_CPU };

/* What a guest reads whose host's clock shows `host`: as wasi_clock_now has it. */
static uint64_t read_clock(struct tape *t, uint32_t id, uint64_t host) {
    t->calls++;
    return tape_clock(t, id, host + t->shift[id]);
}

static void test_clocks_go_on_without_a_jump(void **state) {
    (void)state;
    static const struct {
        uint64_t then[4], resumed;
    } rows[] = {
        {{1000, 1001, 1001, 5000}, 10},                 /* the machine was restarted: its clock is behind */
        {{10, 20, 30, 40}, 1000000},                    /* ahead */
        {{UINT64_MAX - 3, UINT64_MAX, 5, 6}, 77},       /* around the end */
        {{5, 4, 3, 2}, UINT64_MAX},                     /* that went back, which is told as it was */
        {{UINT64_C(1) << 63, 0, UINT64_C(1) << 63}, 0}, /* the largest steps */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (uint32_t id = WALL; id <= THREAD_CPU; id++) {
            struct tape t = recording();
            CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
            for (int k = 0; k < 4; k++)
                assert_int_equal(read_clock(&t, id, rows[i].then[k]), rows[i].then[k]);
            take_all(&t, &tape);
            tape_done(&t);
            tape_init(&t, tape.data, tape.size);
            for (uint64_t k = 0; k < 4; k++)
                assert_int_equal(read_clock(&t, id, rows[i].resumed + k), rows[i].then[k]);
            assert_false(tape_replays(&t));
            assert_null(t.trouble);
            uint64_t now = rows[i].resumed + 3 + 25, last = rows[i].then[3];
            assert_int_equal(read_clock(&t, id, now), id == WALL ? now : last + 25);
            assert_int_equal(read_clock(&t, id, now + 1), id == WALL ? now + 1 : last + 26);
            tape_done(&t);
        }
    }
}

/* Resumed twice: the tape of the second is that of the first and what was recorded then. */
static void test_clocks_over_two_resumptions(void **state) {
    (void)state;
    CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
    uint64_t seen[30] = {0}, last = 0;
    for (uint64_t life = 0; life < 5; life++) {
        struct tape t;
        CLEANUP(buffer_done) struct buffer more = BUFFER_INIT(TAPE_MAX);
        tape_init(&t, tape.data, tape.size);
        for (uint64_t i = 0; i < 6 * (life + 1); i++) {
            uint64_t at = read_clock(&t, MONOTONIC, 1000000 / (life + 1) + i * 7);
            if (i < 6 * life)
                assert_int_equal(at, seen[i]);
            assert_true(i == 0 || at > last || (i == 6 * life && at == last));
            last = seen[i] = at;
        }
        assert_null(t.trouble);
        take_all(&t, &more);
        assert_int_equal(buffer_append(&tape, more.data, more.size), 0);
        tape_done(&t);
    }
}

static void test_clocks_do_not_mix(void **state) {
    (void)state;
    struct tape t = recording();
    CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
    read_clock(&t, MONOTONIC, 100);
    read_clock(&t, CPU, 7);
    read_clock(&t, WALL, 1000000);
    read_clock(&t, MONOTONIC, 110);
    take_all(&t, &tape);
    tape_done(&t);
    tape_init(&t, tape.data, tape.size);
    assert_int_equal(read_clock(&t, MONOTONIC, 5), 100);
    assert_int_equal(read_clock(&t, CPU, 3), 7);
    assert_int_equal(read_clock(&t, WALL, 2000000), 1000000);
    assert_int_equal(read_clock(&t, MONOTONIC, 6), 110);
    assert_int_equal(read_clock(&t, CPU, 5), 9);
    assert_int_equal(read_clock(&t, WALL, 2000001), 2000001);
    assert_int_equal(read_clock(&t, THREAD_CPU, 4), 4); /* never read before */
    tape_done(&t);

    tape_init(&t, tape.data, tape.size);
    read_clock(&t, CPU, 3);
    assert_contains(t.trouble, "another clock");
    tape_done(&t);
    tape_init(&t, tape.data, tape.size);
    t.calls++; /* a call that wasn't there */
    read_clock(&t, MONOTONIC, 3);
    assert_non_null(t.trouble);
    tape_done(&t);
}

/* Whatever the deltas are, there's no overflow that the sanitizer would see. */
static void test_hostile_deltas(void **state) {
    (void)state;
    const uint64_t edges[] = {0, 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 1};
    for (size_t a = 0; a < COUNT(edges); a++) {
        for (size_t b = 0; b < COUNT(edges); b++) {
            struct tape t = recording();
            CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
            const uint64_t first[] = {1, MONOTONIC, edges[a]}, second[] = {1, MONOTONIC, edges[b]};
            for (int i = 0; i < 4; i++)
                tape_put(&t, TAPE_CLOCK, i % 2 == 0 ? first : second, 3);
            take_all(&t, &tape);
            tape_done(&t);
            tape_init(&t, tape.data, tape.size);
            uint64_t at = 0;
            for (int i = 0; i < 4; i++)
                at = read_clock(&t, MONOTONIC, 1000);
            assert_null(t.trouble);
            assert_int_equal(read_clock(&t, MONOTONIC, 1001), at + 1);
            tape_done(&t);
        }
    }
}

/* ---- randomness ---- */

static void random_call(struct tape *t, uint8_t *to, size_t n) {
    t->calls++;
    tape_random(t, to, n);
}

static void test_random_bytes_are_the_same_again(void **state) {
    (void)state;
    uint8_t then[3][32], again[3][32], later[2][32];
    struct tape t = recording();
    CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
    for (int i = 0; i < 3; i++)
        random_call(&t, then[i], sizeof then[i]);
    take_all(&t, &tape);
    random_call(&t, later[0], sizeof later[0]);
    assert_int_equal(t.recorded.size, 0); /* the seed is on the tape once */
    tape_done(&t);
    assert_memory_not_equal(then[0], then[1], 32);
    assert_memory_not_equal(then[1], then[2], 32);
    tape_init(&t, tape.data, tape.size);
    for (int i = 0; i < 3; i++)
        random_call(&t, again[i], sizeof again[i]);
    assert_false(tape_replays(&t));
    random_call(&t, later[1], sizeof later[1]);
    assert_null(t.trouble);
    assert_memory_equal(then, again, sizeof then);
    assert_memory_equal(later[0], later[1], 32); /* across the end of the tape, too: it's one stream */
    tape_done(&t);

    struct tape other = recording();
    random_call(&other, again[0], 32);
    assert_memory_not_equal(again[0], then[0], 32);
    tape_done(&other);
}

static void test_a_seed_that_is_cut_short(void **state) {
    (void)state;
    uint8_t bytes[16];
    struct tape t = recording();
    CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
    random_call(&t, bytes, 0);
    take_all(&t, &tape);
    tape_done(&t);
    for (size_t n = 1; n < tape.size; n++) {
        char *exact = exactly(tape.data, n);
        tape_init(&t, exact, n);
        random_call(&t, bytes, sizeof bytes);
        assert_non_null(t.trouble);
        assert_false(t.broken);
        assert_int_equal(t.recorded.size, 0); /* what has diverged records nothing more */
        tape_done(&t);
        free(exact);
    }
}

/* ---- operations ---- */

static void test_operations_there_and_back(void **state) {
    (void)state;
    struct operation_table operations;
    operations_init(&operations);
    uint32_t a = (uint32_t)operations_open(&operations), b = (uint32_t)operations_open(&operations);
    const uint32_t ids[2] = {a, b};
    uint32_t told[2] = {0, 0};
    int32_t refused = 0;
    struct tape t = recording();
    CLEANUP(buffer_done) struct buffer tape = BUFFER_INIT(TAPE_MAX);
    assert_false(taped_submit(&t, "one", 3, &refused));
    assert_false(taped_submit(&t, "two", 3, &refused));
    assert_false(taped_submit(&t, "no", 2, &refused));
    record_refused(&t, GUEST_E_TOO_MANY);
    record_waited(&t, GUEST_E_TIMEOUT);
    record_waited(&t, 1);
    record_told(&t, ids, 2);
    record_told(&t, ids, GUEST_E_TIMEOUT);
    assert_int_equal(taped_take(&t, a, 0), 0);
    assert_int_equal(taped_take(&t, b, GUEST_E_PENDING), GUEST_E_PENDING);
    assert_int_equal(taped_fuel(&t, 123456), 123456);
    take_all(&t, &tape);
    tape_done(&t);
    tape_init(&t, tape.data, tape.size);
    operations_complete(&operations, b, NULL, 0);
    operations_complete(&operations, a, NULL, 0);
    assert_false(taped_submit(&t, "one", 3, &refused));
    assert_false(taped_submit(&t, "two", 3, &refused));
    assert_true(taped_submit(&t, "no", 2, &refused));
    assert_int_equal(refused, GUEST_E_TOO_MANY);
    assert_int_equal(replay_waited(&t, &operations, ids, 2), GUEST_E_TIMEOUT);
    assert_int_equal(replay_waited(&t, &operations, ids, 2), 1);
    assert_int_equal(replay_told(&t, &operations, told, 2), 2);
    assert_memory_equal(told, ids, sizeof ids);
    assert_int_equal(replay_told(&t, &operations, told, 2), GUEST_E_TIMEOUT);
    assert_int_equal(taped_take(&t, a, 0), 0); /* it's the other one that wasn't done */
    assert_int_equal(taped_take(&t, b, 0), GUEST_E_PENDING);
    assert_int_equal(taped_fuel(&t, 1), 123456);
    assert_false(tape_replays(&t));
    assert_null(t.trouble);
    tape_done(&t);
    operations_done(&operations);
}

/* One entry, replayed where it can't be. */
static void diverges(const char *tape, size_t n, int32_t (*replay)(struct tape *, struct operation_table *)) {
    struct operation_table operations;
    struct tape t;
    char *exact = exactly(tape, n);
    operations_init(&operations);
    (void)operations_open(&operations); /* id 1 + (1 << 14): isn't done */
    tape_init(&t, exact, n);
    (void)replay(&t, &operations);
    assert_non_null(t.trouble);
    assert_false(t.broken);
    tape_done(&t);
    operations_done(&operations);
    free(exact);
}

static int32_t wait_two(struct tape *t, struct operation_table *operations) {
    static const uint32_t ids[2] = {(1 << 14) + 1, (1 << 14) + 1};
    return replay_waited(t, operations, ids, 2);
}
static int32_t tell_two(struct tape *t, struct operation_table *operations) {
    uint32_t ids[2] = {7, 7};
    return replay_told(t, operations, ids, 2);
}
static int32_t take_pending(struct tape *t, struct operation_table *operations) {
    (void)operations;
    return taped_take(t, 5, GUEST_E_PENDING);
}
static int32_t refuse(struct tape *t, struct operation_table *operations) {
    (void)operations;
    record_refused(t, GUEST_E_TOO_MANY); /* what was accepted then */
    return 0;
}

static void test_hostile_operations(void **state) {
    (void)state;
    diverges("\x06\x01", 2, wait_two); /* not done */
    diverges("\x06\x03", 2, wait_two); /* there are only two */
    diverges("\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, wait_two);
    diverges("\x06", 1, wait_two);
    diverges("\x07\x03\x01\x02\x03", 5, tell_two); /* more than there's room for */
    diverges("\x07\x01\x05", 3, tell_two);         /* unknown */
    diverges("\x07\x02", 2, tell_two);
    diverges("\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, tell_two);
    diverges("\x08\x06", 2, take_pending); /* another one's */
    diverges("\x08", 1, take_pending);
    diverges("\x09\x05", 2, take_pending);
    diverges("\x09\x05", 2, refuse);
}

/* ---- garbage ---- */

/* Whatever is on it: one call of each kind, in an order that the seed decides. */
static void play(struct tape *t, struct operation_table *operations, unsigned seed) {
    uint8_t bytes[8];
    uint32_t ids[2] = {(1 << 14) + 1, 2};
    int32_t refused;
    for (int i = 0; i < 12; i++) {
        switch ((seed = seed * 1103515245 + 12345) >> 16 & 7) {
        case 0:
            read_clock(t, seed % TAPE_CLOCKS, seed);
            break;
        case 1:
            random_call(t, bytes, sizeof bytes);
            break;
        case 2:
            if (!taped_submit(t, "message", seed % 8, &refused) && seed % 2 == 0)
                record_refused(t, GUEST_E_TOO_MANY);
            break;
        case 3:
            (void)replay_waited(t, operations, ids, 2);
            break;
        case 4:
            (void)replay_told(t, operations, ids, 2);
            break;
        case 5:
            (void)taped_take(t, 1, seed % 2 == 0 ? 0 : GUEST_E_PENDING);
            break;
        default:
            (void)taped_fuel(t, seed);
        }
    }
}

static void test_garbled_tapes(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < 20000; seed++) {
        struct operation_table operations;
        struct tape t;
        char garbage[48];
        size_t n = seed % sizeof garbage;
        for (size_t i = 0; i < n; i++)
            garbage[i] = (char)(((seed + 7) * (i + 13) * 2654435761u) >> 21);
        if (n > 0)
            garbage[0] = (char)(seed % 11); /* mostly a kind */
        char *exact = exactly(garbage, n);
        operations_init(&operations);
        (void)operations_open(&operations);
        tape_init(&t, exact, n);
        play(&t, &operations, seed);
        assert_true(t.at <= t.end);
        assert_false(t.broken);
        tape_done(&t);
        operations_done(&operations);
        free(exact);
    }
}

/* ---- memory ---- */

#ifdef CAPSULE_FAULTS
/* Records until the fault strikes; what has been taken by then is a tape of whole entries. */
static void record_some(struct tape *t) {
    uint8_t bytes[4];
    int32_t refused;
    read_clock(t, MONOTONIC, 1000);
    random_call(t, bytes, sizeof bytes);
    (void)taped_submit(t, "message", 7, &refused);
    record_waited(t, GUEST_E_TIMEOUT);
    record_told(t, (const uint32_t[]){1000, 2}, 2);
    (void)taped_take(t, 70000, GUEST_E_PENDING);
    (void)taped_fuel(t, 99);
}

/* Replays what record_some has put on it, as far as it goes. */
static void replay_some(struct tape *t) {
    uint8_t bytes[4];
    int32_t refused;
    uint64_t numbers[3];
    if (tape_replays(t))
        read_clock(t, MONOTONIC, 1);
    if (tape_replays(t))
        random_call(t, bytes, sizeof bytes);
    if (tape_replays(t))
        assert_false(taped_submit(t, "message", 7, &refused));
    if (tape_replays(t))
        assert_int_equal(replay_waited(t, NULL, NULL, 0), GUEST_E_TIMEOUT);
    if (tape_replays(t))
        assert_true(tape_get(t, TAPE_TOLD, numbers, 3));
    if (tape_replays(t))
        assert_int_equal(taped_take(t, 70000, 0), GUEST_E_PENDING);
    if (tape_replays(t))
        assert_int_equal(taped_fuel(t, 0), 99);
}

/* What was recorded until then is a tape of whole entries: it's replayed to its end. */
static void test_no_memory_to_record(void **state) {
    (void)state;
    for (unsigned long at = 1;; at++) {
        struct tape t = recording();
        fault_arm(at);
        record_some(&t);
        bool failed = fault_name()[0] != '\0';
        fault_arm(0);
        assert_int_equal(t.broken, failed);
        assert_int_equal(t.trouble != NULL, failed);
        CLEANUP(buffer_done) struct buffer part = BUFFER_INIT(TAPE_MAX);
        take_all(&t, &part);
        tape_done(&t);
        tape_init(&t, part.data, part.size);
        replay_some(&t);
        assert_false(tape_replays(&t));
        assert_null(t.trouble);
        tape_done(&t);
        if (!failed)
            break;
        assert_true(at < 100);
    }
}

static void test_what_cannot_be_recorded_is_not_submitted(void **state) {
    (void)state;
    int32_t refused = 0;
    struct tape t = recording();
    fault_arm(1);
    assert_true(taped_submit(&t, "message", 7, &refused));
    fault_arm(0);
    assert_true(t.broken);
    assert_true(refused < 0);
    assert_true(taped_submit(&t, "message", 7, &refused));
    assert_int_equal(t.recorded.size, 0);
    tape_done(&t);
}
#endif

static void test_taking_without_room(void **state) {
    (void)state;
    struct tape t = recording();
    struct buffer small = BUFFER_INIT(2), large = BUFFER_INIT(100);
    (void)taped_fuel(&t, UINT64_MAX);
    assert_int_equal(tape_take(&t, &small), ERROR_LIMIT);
    assert_int_equal(small.size, 0);
    take_all(&t, &large); /* nothing was lost */
    assert_int_equal(large.size, 11);
    buffer_done(&small);
    buffer_done(&large);
    tape_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_replayed_of_nothing),
        cmocka_unit_test(test_every_kind_there_and_back),
        cmocka_unit_test(test_another_kind_diverges),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_clocks_go_on_without_a_jump),
        cmocka_unit_test(test_clocks_over_two_resumptions),
        cmocka_unit_test(test_clocks_do_not_mix),
        cmocka_unit_test(test_hostile_deltas),
        cmocka_unit_test(test_random_bytes_are_the_same_again),
        cmocka_unit_test(test_a_seed_that_is_cut_short),
        cmocka_unit_test(test_operations_there_and_back),
        cmocka_unit_test(test_hostile_operations),
        cmocka_unit_test(test_garbled_tapes),
#ifdef CAPSULE_FAULTS
        cmocka_unit_test(test_no_memory_to_record),
        cmocka_unit_test(test_what_cannot_be_recorded_is_not_submitted),
#endif
        cmocka_unit_test(test_taking_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
