/* Sandboxes that are recorded and replayed, with the hostile guest: whatever the host does in which order the second time, the guest sees what it saw the
 * first time; a tape that ends sooner is gone on from; and a guest that does something else is ended. */
#include "base/clock.h"
#include "base/varint.h"
#include "guest/abi.h"
#include "hostile_world.h"
#include "sandbox/tape.h"
#include "unit.h"
#include <stdlib.h>
#include <unistd.h>

enum { OPS_MAX = 128, SHORT_NS = 100000 /* of waits that aren't to be long */ };

enum policy {
    RECORDING,  /* operations are done by chance: at once, while the guest waits, or never */
    AT_ONCE,    /* what was done then is done when it's submitted */
    AT_ONCE_ALL /* everything is */
};

struct host {
    enum policy policy;
    struct sandbox *sb;
    uint64_t seed;
    uint32_t ops[OPS_MAX]; /* submitted and accepted, in order */
    bool done[OPS_MAX];
    unsigned n, submissions, portions;
    uint32_t then[OPS_MAX]; /* of the recording: those that were done */
    unsigned then_n;
    struct buffer tape;
};

static uint64_t below(uint64_t *seed, uint64_t n) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 11) % n;
}

/* ---- the host ---- */

static void finish_op(struct host *h, unsigned i) {
    if (h->done[i])
        return;
    char text[16];
    int n = snprintf(text, sizeof text, "%u", h->ops[i]);
    h->done[i] = true;
    hostile_complete(h->sb, h->ops[i], text, (size_t)n);
}

static bool was_done(const struct host *h, uint32_t op) {
    for (unsigned i = 0; i < h->then_n; i++) {
        if (h->then[i] == op)
            return true;
    }
    return false;
}

static int32_t on_submit(void *user, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    struct host *h = user;
    (void)header;
    h->submissions++;
    if (body_n == 1 && body[0] == 'r')
        return GUEST_E_TOO_MANY;
    assert_true(h->n < OPS_MAX);
    h->ops[h->n++] = op;
    bool now = h->policy == RECORDING ? below(&h->seed, 4) == 0 : h->policy == AT_ONCE_ALL || was_done(h, op);
    if (now)
        finish_op(h, h->n - 1);
    return 0;
}

static void on_cancel(void *user, uint32_t op) {
    struct host *h = user;
    for (unsigned i = 0; i < h->n; i++) {
        if (h->ops[i] == op && h->policy == RECORDING && below(&h->seed, 2) == 0)
            finish_op(h, i);
    }
}

static void on_tape(void *user) {
    struct host *h = user;
    h->portions++;
    assert_int_equal(sandbox_take_tape(h->sb, &h->tape), 0);
}

/* The guest waits: one operation gets done, or all if it would wait for ever. */
static void help(struct host *h) {
    bool forever = sandbox_wake_time(h->sb) == UINT64_MAX;
    if (h->policy == AT_ONCE && !forever)
        return;
    unsigned i = h->n > 0 ? (unsigned)below(&h->seed, h->n) : 0;
    if (h->n > 0 && below(&h->seed, 3) != 0)
        finish_op(h, i);
    for (i = h->n; forever && i-- > 0;)
        finish_op(h, i);
}

/* Runs the script to its end, recording; replays the tape first. */
static void run_script(struct host *h, const struct order *script, size_t n, const char *tape, size_t tape_n) {
    struct error err;
    struct order orders[SCRIPT_MAX + 1] = {{.what = SCRIPT, .a = n}};
    memcpy(orders + 1, script, n * sizeof *script);
    struct sandbox_options options = hostile_options(PLENTY_FUEL, PLENTY_RAM);
    options.host = (struct sandbox_host){.submit = on_submit, .cancel = on_cancel, .tape = on_tape, .user = h};
    options.taped = true;
    options.replay = tape;
    options.replay_n = tape_n;
    h->tape = BUFFER_INIT(TAPE_MAX);
    hostile_check(sandbox_open(&options, &h->sb, &err), &err);
    hostile_begin(h->sb, orders, n + 1);
    uint64_t patience = clock_monotonic_ns() + 20 * NS_PER_S;
    while (hostile_run(h->sb) != SANDBOX_ENDED) {
        assert_true(clock_monotonic_ns() < patience);
        help(h);
    }
    assert_int_equal(sandbox_take_tape(h->sb, &h->tape), 0);
}

static void host_done(struct host *h) {
    sandbox_close(h->sb);
    buffer_done(&h->tape);
}

static void results(const struct host *h, int64_t *ret, size_t n) {
    const char *header, *body;
    size_t header_n, body_n;
    struct error err;
    if (sandbox_end(h->sb) != SANDBOX_RETURNED)
        fail_msg("the guest ended by %d: %s", sandbox_end(h->sb), sandbox_trap(h->sb));
    hostile_check(sandbox_reply(h->sb, &header, &header_n, &body, &body_n, &err), &err);
    assert_int_equal(body_n, n * sizeof *ret);
    memcpy(ret, body, body_n);
}

/* ---- scripts ---- */

#define ORDER(...) ((struct order){__VA_ARGS__})

/* An order whose operation is the result of one before. */
static struct order about(uint64_t *seed, size_t i, struct order o) {
    bool known = i > 0 && below(seed, 20) != 0;
    o.from = known ? 3 : 0;
    o.a = known ? below(seed, i) : below(seed, 3);
    if (o.what == WAIT_TWO)
        o.b = known ? below(seed, i) : 5;
    else
        o.from &= 1;
    return o;
}

static uint64_t timeout(uint64_t *seed) {
    static const uint64_t timeouts[] = {0, SHORT_NS, UINT64_MAX};
    return timeouts[below(seed, COUNT(timeouts))];
}

static struct order any_order(uint64_t *seed, size_t i) {
    switch (below(seed, 16)) {
    case 0:
        return ORDER(.what = FUEL_LEFT);
    case 1:
        return ORDER(.what = CLOCK, .a = below(seed, 5));
    case 2:
        return ORDER(.what = RANDOM);
    case 3:
        return below(seed, 4) == 0 ? ORDER(.what = SLEEP, .a = SHORT_NS)
                                   : ORDER(.what = WRITE, .a = below(seed, 9));
    case 4:
        return about(seed, i, ORDER(.what = CANCEL));
    case 5:
        return ORDER(.what = NEXT_TWO, .a = below(seed, 2) * SHORT_NS);
    case 6:
    case 7:
        return about(seed, i, ORDER(.what = WAIT_ONE, .b = timeout(seed)));
    case 8:
        return about(seed, i, ORDER(.what = WAIT_TWO, .c = timeout(seed)));
    case 9:
    case 10:
    case 11:
        return about(seed, i, ORDER(.what = TAKE_BYTES, .b = below(seed, 3) * 30));
    default:
        return ORDER(.what = SUBMIT_BYTE, .a = below(seed, 6) == 0 ? 'r' : 'a' + below(seed, 3));
    }
}

static void remember(struct host *to, const struct host *from) {
    for (unsigned i = 0; i < from->n; i++) {
        if (from->done[i])
            to->then[to->then_n++] = from->ops[i];
    }
}

static void same_results(const int64_t *a, const int64_t *b, size_t n, const struct order *script,
                         uint64_t number) {
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i])
            fail_msg("script %lu, order %zu (%u): %lld, then %lld", (unsigned long)number, i, script[i].what,
                     (long long)a[i], (long long)b[i]);
    }
}

static void try_script(uint64_t number) {
    enum { N = 60 };
    struct order script[N];
    int64_t first[N], second[N];
    uint64_t seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < N; i++)
        script[i] = any_order(&seed, i);
    struct host h = {.policy = RECORDING, .seed = seed};
    run_script(&h, script, N, NULL, 0);
    results(&h, first, N);
    for (enum policy policy = AT_ONCE; policy <= AT_ONCE_ALL; policy++) {
        struct host again = {.policy = policy, .seed = seed + 1};
        remember(&again, &h);
        run_script(&again, script, N, h.tape.data, h.tape.size);
        if (policy == AT_ONCE)
            results(&again, second, N);
        if (policy == AT_ONCE)
            same_results(first, second, N, script, number);
        assert_false(sandbox_replays(again.sb));
        assert_int_equal(again.n, h.n);
        host_done(&again);
    }
    host_done(&h);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SCRIPTS 300
#endif
#endif
#ifndef SCRIPTS
#define SCRIPTS 1000
#endif

static void test_scripts(void **state) {
    (void)state;
    const char *one = getenv("CAPSULE_SCRIPT");
    for (uint64_t i = 1; one == NULL && i <= SCRIPTS; i++)
        try_script(i);
    if (one != NULL)
        try_script(strtoull(one, NULL, 10));
}

/* ---- one of each ---- */

static const struct order each[] = {
    {.what = SUBMIT_BYTE, .a = 'a'},                              /* 0 */
    {.what = SUBMIT_BYTE, .a = 'b'},                              /* 1 */
    {.what = SUBMIT_BYTE, .a = 'r'},                              /* 2: refused */
    {.what = TAKE_BYTES, .from = 1, .a = 1, .b = 60},             /* 3: PENDING, or not */
    {.what = RANDOM},                                             /* 4 */
    {.what = CLOCK, .a = 1},                                      /* 5 */
    {.what = CLOCK, .a = 0},                                      /* 6 */
    {.what = FUEL_LEFT},                                          /* 7 */
    {.what = SLEEP, .a = SHORT_NS},                               /* 8 */
    {.what = CANCEL, .from = 1, .a = 0},                          /* 9 */
    {.what = WAIT_TWO, .from = 3, .a = 0, .b = 1, .c = SHORT_NS}, /* 10 */
    {.what = WAIT_ONE, .from = 1, .a = 1, .b = UINT64_MAX},       /* 11 */
    {.what = NEXT_TWO, .a = SHORT_NS},                            /* 12 */
    {.what = TAKE_BYTES, .from = 1, .a = 1, .b = 60},             /* 13 */
    {.what = TAKE_BYTES, .from = 1, .a = 0, .b = 2},              /* 14 */
    {.what = NEXT_TWO},                                           /* 15 */
    {.what = CLOCK, .a = 2},                                      /* 16 */
    {.what = RANDOM},                                             /* 17 */
    {.what = FUEL_LEFT},                                          /* 18 */
};

/* How many bytes the entry at the beginning takes. */
static size_t entry_size(const char *at, const char *end) {
    static const uint8_t numbers[] = {0, 3, 3, 1, 0, 1, 1, 1, 1, 1};
    const char *start = at;
    uint8_t kind = (uint8_t)*at++;
    uint64_t number[3] = {0};
    assert_in_range(kind, TAPE_WASI, TAPE_FUEL);
    for (size_t i = 0; i < numbers[kind]; i++)
        assert_true(varint_read(&at, end, &number[i]));
    if (kind == TAPE_WASI) { /* poll_oneoff, with one event */
        assert_true(varint_read(&at, end, &number[0]));
        at += number[0] * 32;
    }
    for (uint64_t id; kind == TAPE_TOLD && number[0] > 0; number[0]--)
        assert_true(varint_read(&at, end, &id));
    at += kind == TAPE_SEED ? TAPE_SEED_SIZE : kind == TAPE_SUBMIT ? TAPE_DIGEST_SIZE : 0;
    assert_true(at <= end);
    return (size_t)(at - start);
}

/* Whether an entry begins or the tape ends there. */
static bool is_boundary(const struct buffer *tape, size_t n) {
    size_t at = 0;
    while (at < n)
        at += entry_size(tape->data + at, tape->data + tape->size);
    return at == n;
}

/* How many orders of `each` are answered by a tape of n bytes; one that leaves nothing on it counts with those before. */
static size_t orders_within(const struct buffer *tape, size_t n, const int64_t *first) {
    size_t at = 0, i = 0;
    for (; i < COUNT(each); i++) {
        bool silent = each[i].what == CANCEL || (each[i].what == TAKE_BYTES && first[i] != GUEST_E_PENDING) ||
                      (each[i].what == RANDOM && i > 4);
        size_t entries = silent ? 0 : 1 + (first[i] == GUEST_E_TOO_MANY);
        for (; entries > 0 && at < n; entries--)
            at += entry_size(tape->data + at, tape->data + tape->size);
        if (entries > 0)
            break;
    }
    return i;
}

static void test_cut_everywhere(void **state) {
    (void)state;
    enum { N = COUNT(each) };
    for (uint64_t seed = 1; seed < 4; seed++) {
        int64_t first[N], second[N];
        struct host h = {.policy = RECORDING, .seed = seed * 77777};
        run_script(&h, each, N, NULL, 0);
        results(&h, first, N);
        assert_int_equal(orders_within(&h.tape, h.tape.size, first), N);
        for (size_t n = 0; n <= h.tape.size; n++) {
            char *exact = malloc(n + 1);
            memcpy(exact, h.tape.data, n);
            struct host again = {.policy = AT_ONCE, .seed = seed + n};
            remember(&again, &h);
            run_script(&again, each, N, exact, n);
            if (is_boundary(&h.tape, n)) {
                results(&again, second, N);
                same_results(first, second, orders_within(&h.tape, n, first), each, n);
            } else {
                assert_int_equal(sandbox_end(again.sb), SANDBOX_DIVERGED);
                assert_string_not_equal(sandbox_trap(again.sb), "");
            }
            host_done(&again);
            free(exact);
        }
        host_done(&h);
    }
}

/* A bit is turned over: whatever comes of it, it's an end. */
static void test_garbled_everywhere(void **state) {
    (void)state;
    enum { N = COUNT(each) };
    struct host h = {.policy = RECORDING, .seed = 5};
    run_script(&h, each, N, NULL, 0);
    for (size_t i = 0; i < 8 * h.tape.size; i += 3) {
        struct host again = {.policy = AT_ONCE_ALL, .seed = i + 1};
        CLEANUP(cleanup_free) char *garbled = malloc(h.tape.size);
        memcpy(garbled, h.tape.data, h.tape.size);
        garbled[i / 8] = (char)(garbled[i / 8] ^ 1 << i % 8);
        run_script(&again, each, N, garbled, h.tape.size);
        assert_true(sandbox_end(again.sb) == SANDBOX_DIVERGED || sandbox_end(again.sb) == SANDBOX_RETURNED);
        host_done(&again);
    }
    host_done(&h);
}

/* ---- divergences ---- */

static void test_another_script_diverges(void **state) {
    (void)state;
    enum { N = COUNT(each) };
    static const struct {
        size_t at;
        struct order order;
        const char *text;
    } rows[] = {
        {0, {.what = SUBMIT_BYTE, .a = 'x'}, "other arguments"},
        {2, {.what = SUBMIT_BYTE, .a = 'c'}, "other arguments"},
        {0, {.what = FUEL_LEFT}, "did before"},
        {5, {.what = CLOCK, .a = 0}, "another clock"},
        {5, {.what = CLOCK_MANY, .a = 2}, "another clock"},
        {7, {.what = CLOCK, .a = 1}, "did before"},
        {8, {.what = CLOCK, .a = 1}, "did before"},
        {11, {.what = NEXT_TWO}, "did before"},
        {12, {.what = WAIT_ONE}, "did before"},
        {18, {.what = SLEEP, .a = SHORT_NS}, "with files"},
        {18, {.what = SUBMIT_BYTE, .a = 'a'}, "did before"},
    };
    struct host h = {.policy = RECORDING, .seed = 5};
    run_script(&h, each, N, NULL, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct order script[N];
        memcpy(script, each, sizeof script);
        script[rows[i].at] = rows[i].order;
        struct host again = {.policy = AT_ONCE_ALL, .seed = 1};
        run_script(&again, script, N, h.tape.data, h.tape.size);
        if (sandbox_end(again.sb) != SANDBOX_DIVERGED)
            fail_msg("row %zu ended by %d", i, sandbox_end(again.sb));
        assert_contains(sandbox_trap(again.sb), rows[i].text);
        assert_int_equal(again.tape.size, 0);
        assert_in_range(again.submissions, 0, 2);
        host_done(&again);
    }
    host_done(&h);
}

/* The replies that a replay needs don't come. */
static void test_replies_that_are_missing(void **state) {
    (void)state;
    static const struct order script[] = {{.what = SUBMIT_BYTE, .a = 'a'},
                                          {.what = WAIT_ONE, .from = 1, .a = 0, .b = UINT64_MAX},
                                          {.what = FUEL_LEFT}};
    struct host h = {.policy = RECORDING, .seed = 5}, again = {.policy = AT_ONCE, .seed = 1};
    run_script(&h, script, COUNT(script), NULL, 0);
    run_script(&again, script, COUNT(script), h.tape.data, h.tape.size);
    assert_int_equal(sandbox_end(again.sb), SANDBOX_DIVERGED);
    assert_contains(sandbox_trap(again.sb), "isn't on record");
    host_done(&again);
    host_done(&h);
}

/* What was accepted then is refused now, in the middle of the replay: the guest can't be told. */
static int32_t refuse(void *user, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    (void)user, (void)op, (void)header, (void)body, (void)body_n;
    return GUEST_E_TOO_MANY;
}

static void test_refused_in_a_replay(void **state) {
    (void)state;
    struct error err;
    static const struct order script[] = {{.what = SUBMIT_BYTE, .a = 'a'}, {.what = FUEL_LEFT}};
    struct host h = {.policy = RECORDING, .seed = 5};
    run_script(&h, script, COUNT(script), NULL, 0);
    struct sandbox_options options = hostile_options(PLENTY_FUEL, PLENTY_RAM);
    options.host = (struct sandbox_host){.submit = refuse, .cancel = on_cancel, .tape = on_tape};
    options.taped = true;
    options.replay = h.tape.data;
    options.replay_n = h.tape.size;
    struct sandbox *sb = NULL;
    hostile_check(sandbox_open(&options, &sb, &err), &err);
    hostile_begin(sb, &script[0], 1);
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(sandbox_end(sb), SANDBOX_DIVERGED);
    assert_contains(sandbox_trap(sb), "refused now");
    sandbox_close(sb);
    host_done(&h);
}

/* ---- portions, sleep, clocks ---- */

static void test_big_tapes_come_in_portions(void **state) {
    (void)state;
    static const struct order script[] = {
        {.what = CLOCK_MANY, .a = 200000}, {.what = RANDOM}, {.what = CLOCK, .a = 1}};
    int64_t first[COUNT(script)], second[COUNT(script)];
    struct host h = {.policy = RECORDING, .seed = 1}, again = {.policy = AT_ONCE, .seed = 1};
    run_script(&h, script, COUNT(script), NULL, 0);
    results(&h, first, COUNT(script));
    assert_true(h.portions >= 2);
    assert_true(h.tape.size >= 2 * (size_t)TAPE_PORTION);
    run_script(&again, script, COUNT(script), h.tape.data, h.tape.size);
    results(&again, second, COUNT(script));
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(again.portions, 0);
    host_done(&again);
    host_done(&h);
}

static void test_a_replay_does_not_sleep(void **state) {
    (void)state;
    const uint64_t long_ns = 200 * NS_PER_MS;
    const struct order script[] = {{.what = CLOCK, .a = 1},
                                   {.what = SLEEP, .a = long_ns},
                                   {.what = WAIT_ONE, .a = 1, .b = 0}, /* unknown: 0 at once */
                                   {.what = NEXT_TWO, .a = long_ns},
                                   {.what = CLOCK, .a = 1}};
    const struct order longer[] = {script[0], script[1], script[2], script[3], script[4], {.what = CLOCK, .a = 1}};
    int64_t first[COUNT(script)], second[COUNT(longer)];
    struct host h = {.policy = RECORDING, .seed = 1}, again = {.policy = AT_ONCE, .seed = 1};
    run_script(&h, script, COUNT(script), NULL, 0);
    results(&h, first, COUNT(script));
    assert_true((uint64_t)(first[4] - first[0]) >= 2 * long_ns);
    run_script(&again, longer, COUNT(longer), h.tape.data, h.tape.size);
    results(&again, second, COUNT(longer));
    assert_memory_equal(first, second, sizeof first);
    assert_true(second[5] > second[4]); /* it goes on from there … */
    assert_true((uint64_t)(second[5] - second[4]) <
                60 * NS_PER_S); /* … and not from the host's, which slept less */
    host_done(&again);
    host_done(&h);
}

/* What the guest was told of in the replay, it isn't told of again behind it; what it wasn't told of, it is. */
static void test_told_once(void **state) {
    (void)state;
    static const struct order script[] = {{.what = SUBMIT_BYTE, .a = 'a'},
                                          {.what = WAIT_ONE, .from = 1, .a = 0, .b = UINT64_MAX},
                                          {.what = NEXT_TWO},
                                          {.what = SUBMIT_BYTE, .a = 'b'},
                                          {.what = WAIT_ONE, .from = 1, .a = 3, .b = UINT64_MAX},
                                          {.what = NEXT_TWO},
                                          {.what = NEXT_TWO}};
    enum { THEN = 5, N = COUNT(script) }; /* it was recorded up to the second wait */
    int64_t first[THEN], second[N];
    struct host h = {.policy = RECORDING, .seed = 1}, again = {.policy = AT_ONCE, .seed = 1};
    run_script(&h, script, THEN, NULL, 0);
    results(&h, first, THEN);
    remember(&again, &h);
    run_script(&again, script, N, h.tape.data, h.tape.size);
    results(&again, second, N);
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(second[2], INT64_C(1) << 60 | second[0] << 30);
    assert_int_equal(second[5], INT64_C(1) << 60 | second[3] << 30);
    assert_int_equal(second[6], GUEST_E_TIMEOUT);
    host_done(&again);
    host_done(&h);
}

/* Replays never park before the tape's end: the guest is driven through in one go. */
static void test_a_replay_never_parks(void **state) {
    (void)state;
    struct error err;
    enum { N = COUNT(each) };
    struct host h = {.policy = RECORDING, .seed = 5}, again = {.policy = AT_ONCE_ALL, .seed = 1};
    run_script(&h, each, N, NULL, 0);
    struct order orders[N + 1] = {{.what = SCRIPT, .a = N}};
    memcpy(orders + 1, each, sizeof each);
    struct sandbox_options options = hostile_options(PLENTY_FUEL, PLENTY_RAM);
    options.host =
        (struct sandbox_host){.submit = on_submit, .cancel = on_cancel, .tape = on_tape, .user = &again};
    options.taped = true;
    options.replay = h.tape.data;
    options.replay_n = h.tape.size;
    hostile_check(sandbox_open(&options, &again.sb, &err), &err);
    assert_true(sandbox_replays(again.sb));
    hostile_begin(again.sb, orders, N + 1);
    assert_int_equal(hostile_run(again.sb), SANDBOX_ENDED);
    assert_int_equal(sandbox_end(again.sb), SANDBOX_RETURNED);
    host_done(&again);
    host_done(&h);
}

static int set_up(void **state) {
    (void)state;
    hostile_open(HOSTILE_CORE, HOSTILE_MEMORY);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hostile_close();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_garbled_everywhere),
        cmocka_unit_test(test_another_script_diverges),
        cmocka_unit_test(test_replies_that_are_missing),
        cmocka_unit_test(test_refused_in_a_replay),
        cmocka_unit_test(test_big_tapes_come_in_portions),
        cmocka_unit_test(test_a_replay_does_not_sleep),
        cmocka_unit_test(test_told_once),
        cmocka_unit_test(test_a_replay_never_parks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
