/* Sandboxes against a guest that misbehaves on request (tests/unit/guest/hostile.c): the walls around memory, fuel, time, operations and
 * the leftovers of earlier tenants. Debug builds compare every reset slot with its image, so each sandbox here tests the reset as well. */
#include "base/buffer.h"
#include "base/clock.h"
#include "guest/abi.h"
#include "hostile_world.h"
#include "sandbox/operation.h"
#include "sandbox/sandbox.h"
#include "tests/unit/guest/hostile.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
/* after its prerequisites */
#include <cmocka.h>

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

/* ---- driving ---- */

struct completions {
    struct sandbox *sb;
    int n;
    uint64_t ops[500];
};

struct submission {
    uint32_t op, cancelled;
    int n;
    int32_t answer;
    char body[64];
    size_t body_n;
};

static int32_t on_submit(void *user, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    struct submission *s = user;
    assert_string_equal(json_text(json_get(header, "op"), ""), "test.op");
    s->op = op;
    s->n++;
    s->body_n = body_n;
    memcpy(s->body, body, body_n < sizeof s->body ? body_n : sizeof s->body);
    return s->answer;
}

static void on_cancel(void *user, uint32_t op) {
    struct submission *s = user;
    s->cancelled = op;
}

static struct sandbox *open_sandbox(uint64_t fuel, uint64_t ram, struct submission *submission) {
    struct error err;
    struct sandbox *sb = NULL;
    struct sandbox_options options = hostile_options(fuel, ram);
    options.wasi.limits.output = 1 << 20;
    if (submission != NULL)
        options.host = (struct sandbox_host){.submit = on_submit, .cancel = on_cancel, .user = submission};
    hostile_check(sandbox_open(&options, &sb, &err), &err);
    return sb;
}

static void begin(struct sandbox *sb, uint32_t what, uint64_t a, uint64_t b, uint64_t c) {
    hostile_begin(sb, &(struct order){.what = what, .a = a, .b = b, .c = c}, 1);
}

static int64_t result(const struct sandbox *sb) {
    const char *header, *body;
    size_t header_n, body_n;
    struct error err;
    int64_t value;
    assert_int_equal(sandbox_end(sb), SANDBOX_RETURNED);
    hostile_check(sandbox_reply(sb, &header, &header_n, &body, &body_n, &err), &err);
    assert_int_equal(body_n, sizeof value);
    memcpy(&value, body, sizeof value);
    return value;
}

/* One order in a sandbox that stays open. */
static int64_t order(struct sandbox *sb, uint32_t what, uint64_t a, uint64_t b, uint64_t c) {
    begin(sb, what, a, b, c);
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    return result(sb);
}

/* One order in a sandbox of its own, which it ends. */
static enum sandbox_end end_of(uint32_t what, uint64_t a, uint64_t fuel) {
    struct sandbox *sb = open_sandbox(fuel, PLENTY_RAM, NULL);
    begin(sb, what, a, 0, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    enum sandbox_end end = sandbox_end(sb);
    sandbox_close(sb);
    return end;
}

/* ---- operations ---- */

static void test_hostile_submit(void **state) {
    (void)state;
    uint64_t size = hostile.image->info.size;
    const struct {
        uint64_t address, n;
    } rows[] = {
        {size, 1},       {size - 3, 4}, {0, size + 1}, {UINT32_MAX, 4}, {UINT32_MAX, UINT32_MAX},
        {1, UINT32_MAX}, {16, 0},       {16, 3},       {16, 4}, /* header of length 0: no JSON */
        {0, 64 * 1024},                                         /* zeros: the same */
    };
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(order(sb, SUBMIT, rows[i].address, rows[i].n, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(s.n, 0);
    sandbox_close(sb);
}

static void test_hostile_wait(void **state) {
    (void)state;
    uint64_t size = hostile.image->info.size;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_int_equal(order(sb, WAIT, size, 1, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, WAIT, size - 4, 2, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, WAIT, UINT32_MAX, 1, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, WAIT, 0, GUEST_OPS_MAX + 1, 0), GUEST_E_TOO_MANY);
    assert_int_equal(order(sb, WAIT, 0, UINT32_MAX, 0), GUEST_E_TOO_MANY);
    assert_int_equal(order(sb, WAIT, 0, 0, 0), GUEST_E_TIMEOUT);
    assert_int_equal(order(sb, WAIT, 0, 1, (uint64_t)-1), 0); /* operation 0 isn't known: taking it says so */
    sandbox_close(sb);
}

static void test_hostile_take(void **state) {
    (void)state;
    struct submission s = {0};
    uint64_t size = hostile.image->info.size;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    assert_int_equal(order(sb, TAKE, 0, 0, 0), GUEST_E_NO_SUCH_OP);
    assert_int_equal(order(sb, TAKE, 1, 0, 16), GUEST_E_NO_SUCH_OP);
    assert_int_equal(order(sb, TAKE, UINT32_MAX, 0, 16), GUEST_E_NO_SUCH_OP);
    uint64_t op = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    assert_int_equal(op, s.op);
    assert_memory_equal(s.body, "body", 4);
    assert_int_equal(order(sb, TAKE, op, 0, 16), GUEST_E_PENDING);
    hostile_complete(sb, s.op, "abcd", 4);
    assert_int_equal(order(sb, TAKE, op, 0, 4), 10); /* too small: its length, and it's still there */
    assert_int_equal(order(sb, TAKE, op, size - 5, 100), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, TAKE, op, UINT32_MAX, UINT32_MAX), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, TAKE, op, 64, 100), 10);
    assert_int_equal(order(sb, TAKE, op, 64, 100), GUEST_E_NO_SUCH_OP);
    sandbox_close(sb);
}

static int64_t told(int64_t n, uint64_t first, uint64_t second) {
    return n << 60 | (int64_t)first << 30 | (int64_t)second;
}

static void test_hostile_next(void **state) {
    (void)state;
    struct submission s = {0};
    uint64_t size = hostile.image->info.size;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    uint64_t op = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    hostile_complete(sb, op, NULL, 0);
    assert_int_equal(order(sb, NEXT, 64, 0, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, NEXT, size - 4, 2, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, NEXT, UINT32_MAX, 1, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, NEXT, 0, UINT32_MAX, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, NEXT, size - 4, 1, 0), 1);
    assert_int_equal(order(sb, NEXT, size - 4, 1, 0), GUEST_E_TIMEOUT); /* told once */
    assert_int_equal(order(sb, TAKE, op, 64, 100), 6);
    sandbox_close(sb);
}

static void test_next_tells_in_the_order_of_completion(void **state) {
    (void)state;
    struct submission s = {0};
    uint64_t ops[100];
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    for (int i = 0; i < 100; i++)
        ops[i] = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    const int done[] = {70, 3, 41, 5, 99};
    for (int i = 0; i < 5; i++)
        hostile_complete(sb, ops[done[i]], NULL, 0);
    hostile_complete(sb, ops[3], "again", 5); /* ignored */
    assert_int_equal(order(sb, TAKE, ops[3], 64, 100), 6);
    assert_int_equal(order(sb, NEXT_TWO, 0, 0, 0), told(2, ops[70], ops[41])); /* what was taken isn't told */
    assert_int_equal(order(sb, NEXT_TWO, 0, 0, 0), told(2, ops[5], ops[99]));
    assert_int_equal(order(sb, NEXT_TWO, 0, 0, 0), GUEST_E_TIMEOUT);
    sandbox_close(sb);
}

static void test_next_parks_until_something_is_done(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    uint64_t first = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0), second = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    begin(sb, NEXT_TWO, UINT64_MAX, 0, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_PARKED);
    assert_false(sandbox_ready(sb, clock_monotonic_ns()));
    hostile_complete(sb, second, NULL, 0);
    hostile_complete(sb, first, NULL, 0);
    assert_true(sandbox_ready(sb, clock_monotonic_ns()));
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(result(sb), told(2, second, first));
    begin(sb, NEXT_TWO, 1000000, 0, 0);
    while (hostile_run(sb) != SANDBOX_ENDED)
        continue;
    assert_int_equal(result(sb), GUEST_E_TIMEOUT);
    sandbox_close(sb);
}

static void test_cancel(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    assert_int_equal(order(sb, CANCEL, 0, 0, 0), GUEST_E_NO_SUCH_OP);
    assert_int_equal(order(sb, CANCEL, UINT32_MAX, 0, 0), GUEST_E_NO_SUCH_OP);
    uint64_t op = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    assert_int_equal(order(sb, CANCEL, op, 0, 0), 0);
    assert_int_equal(s.cancelled, op);
    s.cancelled = 0;
    hostile_complete(sb, op, NULL, 0);
    assert_int_equal(order(sb, CANCEL, op, 0, 0), 0); /* too late, which is no error */
    assert_int_equal(s.cancelled, 0);
    assert_int_equal(order(sb, TAKE, op, 64, 100), 6);
    assert_int_equal(order(sb, CANCEL, op, 0, 0), GUEST_E_NO_SUCH_OP);
    sandbox_close(sb);
}

static void *complete_all(void *user) {
    struct completions *c = user;
    for (int i = 0; i < c->n; i++)
        hostile_complete(c->sb, c->ops[i], "body", 4);
    return NULL;
}

/* The host completes on another thread while the guest opens, waits and takes. */
static void test_completion_from_another_thread(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    struct completions c = {.sb = sb, .n = 500};
    for (int i = 0; i < c.n; i++)
        c.ops[i] = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, complete_all, &c), 0);
    for (int i = 0; i < c.n; i++) {
        (void)order(sb, SUBMIT_TEXT, 0, 0, 0); /* the table grows meanwhile */
        begin(sb, WAIT_ONE, c.ops[i], UINT64_MAX, 0);
        while (hostile_run(sb) != SANDBOX_ENDED)
            continue;
        assert_int_equal(order(sb, TAKE, c.ops[i], 64, 100), 10);
    }
    pthread_join(thread, NULL);
    sandbox_close(sb);
}

static void test_operations_are_forbidden_without_a_host(void **state) {
    (void)state;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_int_equal(order(sb, SUBMIT_TEXT, 0, 0, 0), GUEST_E_FORBIDDEN);
    sandbox_close(sb);
}

static void test_refused_operation_leaves_nothing(void **state) {
    (void)state;
    struct submission s = {.answer = GUEST_E_BAD_MESSAGE};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(order(sb, SUBMIT_TEXT, 0, 0, 0), GUEST_E_BAD_MESSAGE);
    assert_int_equal(order(sb, TAKE, s.op, 64, 100), GUEST_E_NO_SUCH_OP);
    sandbox_close(sb);
}

static void test_open_operations_have_a_limit(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    for (int i = 0; i < GUEST_OPS_MAX; i++)
        assert_true(order(sb, SUBMIT_TEXT, 0, 0, 0) > 0);
    assert_int_equal(order(sb, SUBMIT_TEXT, 0, 0, 0), GUEST_E_TOO_MANY);
    hostile_complete(sb, s.op, NULL, 0);
    assert_int_equal(order(sb, TAKE, s.op, 64, 100), 6);
    assert_true(order(sb, SUBMIT_TEXT, 0, 0, 0) > 0);
    sandbox_close(sb);
}

static void test_wait_parks_until_complete(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    uint64_t op = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    begin(sb, WAIT_ONE, op, UINT64_MAX, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_PARKED);
    assert_int_equal(sandbox_wake_time(sb), UINT64_MAX);
    assert_false(sandbox_ready(sb, clock_monotonic_ns()));
    assert_int_equal(sandbox_poll(sb), SANDBOX_PARKED);
    hostile_complete(sb, op, NULL, 0);
    assert_true(sandbox_ready(sb, clock_monotonic_ns()));
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(result(sb), 0);
    sandbox_close(sb);
}

static void test_wait_and_sleep_time_out(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    uint64_t op = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    const uint64_t ms = NS_PER_MS;
    begin(sb, WAIT_ONE, op, 5 * ms, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_PARKED);
    usleep(6000);
    assert_true(sandbox_ready(sb, clock_monotonic_ns()));
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(result(sb), GUEST_E_TIMEOUT);
    begin(sb, SLEEP, 5 * ms, 0, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_PARKED);
    usleep(6000);
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(result(sb), 0);
    sandbox_close(sb);
}

static void test_closing_a_parked_or_running_sandbox(void **state) {
    (void)state;
    struct submission s = {0};
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    uint64_t op = (uint64_t)order(sb, SUBMIT_TEXT, 0, 0, 0);
    begin(sb, WAIT_ONE, op, UINT64_MAX, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_PARKED);
    sandbox_close(sb);
    sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    begin(sb, SPIN, 0, 0, 0);
    assert_int_equal(sandbox_poll(sb), SANDBOX_RUNNABLE);
    sandbox_close(sb);
}

/* ---- replies ---- */

static void test_hostile_replies(void **state) {
    (void)state;
    uint64_t size = hostile.image->info.size;
    const struct {
        uint64_t address, n;
    } rows[] = {{0, 0}, {0, 3}, {size, 4}, {size - 1, 8}, {UINT32_MAX, UINT32_MAX}, {4, UINT32_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
        const char *header, *body;
        size_t header_n, body_n;
        begin(sb, REPLY_RAW, rows[i].address, rows[i].n, 0);
        assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
        assert_int_equal(sandbox_reply(sb, &header, &header_n, &body, &body_n, NULL), ERROR_INVALID);
        sandbox_close(sb);
    }
}

static void test_message_split(void **state) {
    (void)state;
    const char *header, *body;
    size_t header_n, body_n;
    assert_false(message_split("\x05\0\0\0abcd", 8, &header, &header_n, &body, &body_n));
    assert_false(message_split("\xff\xff\xff\xff"
                               "abcd",
                               8, &header, &header_n, &body, &body_n));
    assert_false(message_split("\0\0\0", 3, &header, &header_n, &body, &body_n));
    assert_true(message_split("\x04\0\0\0abcd", 8, &header, &header_n, &body, &body_n));
    assert_int_equal(header_n, 4);
    assert_int_equal(body_n, 0);
}

/* ---- ends ---- */

static void test_ends(void **state) {
    (void)state;
    const uint64_t some = 50000000;
    assert_int_equal(end_of(SPIN, 0, some), SANDBOX_OUT_OF_FUEL);
    assert_int_equal(end_of(SPIN_CALLS, 0, some), SANDBOX_OUT_OF_FUEL);
    assert_int_equal(end_of(RECURSE, 0, PLENTY_FUEL), SANDBOX_TRAPPED);
    assert_int_equal(end_of(ABORT, 0, PLENTY_FUEL), SANDBOX_TRAPPED);
    assert_int_equal(end_of(EXIT, 7, PLENTY_FUEL), SANDBOX_EXITED);
    assert_int_equal(end_of(PEEK, hostile.image->info.size, PLENTY_FUEL), SANDBOX_TRAPPED);
    assert_int_equal(end_of(PEEK, UINT32_MAX, PLENTY_FUEL), SANDBOX_TRAPPED);
}

static void test_cheap_calls_yield(void **state) {
    (void)state;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    begin(sb, SPIN_CALLS, 0, 0, 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sandbox_poll(sb), SANDBOX_RUNNABLE);
    assert_true(sandbox_fuel_used(sb) > 0);
    sandbox_close(sb);
}

static void test_fuel_left(void **state) {
    (void)state;
    const uint64_t given = 50000000;
    struct sandbox *sb = open_sandbox(given, PLENTY_RAM, NULL);
    int64_t first = order(sb, FUEL_LEFT, 0, 0, 0);
    int64_t second = order(sb, FUEL_LEFT, 0, 0, 0);
    assert_true(first > 0 && (uint64_t)first < given && second < first);
    assert_in_range((uint64_t)second, given - sandbox_fuel_used(sb), given);
    sandbox_close(sb);
}

static void test_output_limit(void **state) {
    (void)state;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_int_equal(order(sb, WRITE, 1 << 19, 0, 0), 0);
    begin(sb, WRITE, (1 << 19) + 1, 0, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(sandbox_end(sb), SANDBOX_OUTPUT_LIMIT);
    sandbox_close(sb);
}

/* ---- memory ---- */

static void test_growth_stops_at_ram(void **state) {
    (void)state;
    uint64_t pages = hostile.image->info.size / WASM_PAGE_SIZE;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, hostile.image->info.size + 2 * WASM_PAGE_SIZE, NULL);
    assert_int_equal(order(sb, GROW, 2, 0, 0), pages);
    assert_false(sandbox_memory_denied(sb));
    assert_int_equal(order(sb, GROW, 1, 0, 0), -1);
    assert_true(sandbox_memory_denied(sb));
    assert_int_equal(order(sb, GROW, 65536, 0, 0), -1);
    begin(sb, ABORT, 0, 0, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_ENDED);
    assert_int_equal(sandbox_end(sb), SANDBOX_OUT_OF_MEMORY);
    sandbox_close(sb);
}

/* Writes into image pages, the stack, grown pages; the next tenant of the same slot must see none of it. */
static void test_no_leftovers(void **state) {
    (void)state;
    uint64_t size = hostile.image->info.size;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_true(order(sb, GROW, 40, 0, 0) > 0);
    const uint64_t places[] = {
        8, 4096, size / 2, size - 1, size, size + 5 * WASM_PAGE_SIZE + 17, size + 40 * WASM_PAGE_SIZE - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        order(sb, POKE, places[i], 0xAB, 0);
    sandbox_close(sb);

    sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_int_equal(sandbox_ram(sb), size);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t expected = places[i] < size ? hostile.image->pattern[places[i]] : 0;
        if (places[i] == size)
            assert_true(order(sb, GROW, 40, 0, 0) > 0);
        assert_int_equal(order(sb, PEEK, places[i], 0, 0), expected);
    }
    sandbox_close(sb);
    assert_int_equal(end_of(PEEK, size, PLENTY_FUEL), SANDBOX_TRAPPED); /* not grown: not there */
}

/* More written pages than a slot keeps: they're given back to the kernel rather than copied. */
static void test_no_leftovers_of_a_large_tenant(void **state) {
    (void)state;
    uint64_t size = hostile.image->info.size;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_true(order(sb, GROW, 2 * SLOT_RESIDENT_MAX / 16, 0, 0) > 0);
    for (uint64_t page = 0; page < SLOT_RESIDENT_MAX + 100; page++)
        order(sb, POKE, size + page * HOST_PAGE_SIZE, 1, 0);
    order(sb, POKE, size - 1, 0xCD, 0);
    sandbox_close(sb);
    sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    assert_int_equal(order(sb, PEEK, size - 1, 0, 0), hostile.image->pattern[size - 1]);
    assert_true(order(sb, GROW, 1, 0, 0) > 0);
    assert_int_equal(order(sb, PEEK, size, 0, 0), 0);
    sandbox_close(sb);
}

/* A slot that's read only must not become private; one that was written keeps its pages. */
static void test_slots_are_reused(void **state) {
    (void)state;
    struct slot *slot = NULL, *again = NULL;
    struct error err;
    hostile_check(slot_take(&hostile.slots, hostile.image, PLENTY_RAM, &slot, &err), &err);
    slot->base[100] = 1;
    slot_put(&hostile.slots, slot);
    hostile_check(slot_take(&hostile.slots, hostile.image, PLENTY_RAM, &again, &err), &err);
    assert_ptr_equal(again, slot);
    assert_int_equal(again->base[100], hostile.image->pattern[100]);
    slot_put(&hostile.slots, again);
}

static void test_sandboxes_have_a_limit(void **state) {
    (void)state;
    struct slot_arena *arena = NULL;
    struct error err;
    hostile_check(slot_arena_new(2, &arena, &err), &err);
    struct slot_pool pool = SLOT_POOL_INIT(arena);
    struct slot *a = NULL, *b = NULL, *c = NULL;
    hostile_check(slot_take(&pool, hostile.image, PLENTY_RAM, &a, &err), &err);
    hostile_check(slot_take(&pool, hostile.image, PLENTY_RAM, &b, &err), &err);
    assert_int_equal(slot_take(&pool, hostile.image, PLENTY_RAM, &c, &err), ERROR_LIMIT);
    assert_string_not_equal(err.hint, "");
    slot_put(&pool, a);
    hostile_check(slot_take(&pool, hostile.image, PLENTY_RAM, &c, &err), &err);
    slot_put(&pool, b);
    slot_put(&pool, c);
    slot_pool_trim(&pool, NULL);
    slot_arena_free(arena);
}

static void *many_sandboxes(void *unused) {
    (void)unused;
    struct slot_pool slots = SLOT_POOL_INIT(engine_slots(hostile.engine));
    struct sandbox_options options = hostile_options(PLENTY_FUEL, PLENTY_RAM);
    options.slots = &slots;
    for (int i = 0; i < 300; i++) {
        struct sandbox *sb = NULL;
        assert_int_equal(sandbox_open(&options, &sb, NULL), 0);
        assert_int_equal(order(sb, PEEK, 4096, 0, 0), hostile.image->pattern[4096]);
        order(sb, POKE, 4096, (uint64_t)i | 1, 0);
        sandbox_close(sb);
    }
    slot_pool_trim(&slots, NULL);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_sandboxes, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* ---- images ---- */

static void test_snapshot_of_a_sandbox(void **state) {
    (void)state;
    struct error err;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, NULL);
    uint64_t place = hostile.image->info.size - 100;
    order(sb, POKE, place, 0x5A, 0);
    int fd = memfd_create("snapshot", 0);
    struct image_info info;
    hostile_check(sandbox_snapshot(sb, fd, &info, &err), &err);
    sandbox_close(sb);
    struct image *image = NULL;
    hostile_check(image_open(fd, info, &image, &err), &err);
    assert_int_equal(image->pattern[place], 0x5A);
    assert_int_not_equal(info.inbox, 0);
    image_release(image);
}

static void test_snapshot_refuses_what_runs(void **state) {
    (void)state;
    struct submission s = {0};
    struct image_info info;
    struct sandbox *sb = open_sandbox(PLENTY_FUEL, PLENTY_RAM, &s);
    order(sb, SUBMIT_TEXT, 0, 0, 0);
    int fd = memfd_create("snapshot", 0);
    assert_int_equal(sandbox_snapshot(sb, fd, &info, NULL), ERROR_PROJECT); /* an open operation */
    begin(sb, WAIT_ONE, s.op, UINT64_MAX, 0);
    assert_int_equal(hostile_run(sb), SANDBOX_PARKED);
    assert_int_equal(sandbox_snapshot(sb, fd, &info, NULL), ERROR_PROJECT); /* a wasm frame */
    close(fd);
    sandbox_close(sb);
}

static void test_truncated_image_is_refused(void **state) {
    (void)state;
    struct image *image = NULL;
    int fd = memfd_create("short", 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(image_open(fd, (struct image_info){.size = WASM_PAGE_SIZE}, &image, NULL), ERROR_CORRUPT);
    assert_null(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_submit),
        cmocka_unit_test(test_hostile_wait),
        cmocka_unit_test(test_hostile_take),
        cmocka_unit_test(test_hostile_next),
        cmocka_unit_test(test_next_tells_in_the_order_of_completion),
        cmocka_unit_test(test_next_parks_until_something_is_done),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_completion_from_another_thread),
        cmocka_unit_test(test_operations_are_forbidden_without_a_host),
        cmocka_unit_test(test_refused_operation_leaves_nothing),
        cmocka_unit_test(test_open_operations_have_a_limit),
        cmocka_unit_test(test_wait_parks_until_complete),
        cmocka_unit_test(test_wait_and_sleep_time_out),
        cmocka_unit_test(test_closing_a_parked_or_running_sandbox),
        cmocka_unit_test(test_hostile_replies),
        cmocka_unit_test(test_message_split),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_cheap_calls_yield),
        cmocka_unit_test(test_fuel_left),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_growth_stops_at_ram),
        cmocka_unit_test(test_no_leftovers),
        cmocka_unit_test(test_no_leftovers_of_a_large_tenant),
        cmocka_unit_test(test_slots_are_reused),
        cmocka_unit_test(test_sandboxes_have_a_limit),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_snapshot_of_a_sandbox),
        cmocka_unit_test(test_snapshot_refuses_what_runs),
        cmocka_unit_test(test_truncated_image_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
