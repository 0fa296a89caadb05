/* Events as bytes: round trips of every kind, and what hostile bytes meet. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "base/buffer.h"
#include "journal/event.h"
#include <stdlib.h>

enum { FIRST_KIND = EVENT_RESUMED, LAST_KIND = EVENT_REQUEST, ROUNDS = 20000 };

#define COUNT_NUMBERS(name, number, title, numbers, texts) [number] = numbers,
#define COUNT_TEXTS(name, number, title, numbers, texts) [number] = texts,
static const unsigned NUMBERS[] = {EVENT_KINDS(COUNT_NUMBERS)}, TEXTS[] = {EVENT_KINDS(COUNT_TEXTS)};

static void finish(struct buffer *frame) {
    assert_int_equal(frame_end(frame), 0);
}

static void begin(struct buffer *frame) {
    assert_int_equal(frame_begin(frame), 0);
}

static void assert_same(const struct event *a, const struct event *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->task, b->task);
    assert_true(a->time / 1000 * 1000 == b->time);
    for (unsigned i = 0; i < NUMBERS[a->kind]; i++)
        assert_true(a->numbers[i] == b->numbers[i]);
    for (unsigned i = 0; i < TEXTS[a->kind]; i++) {
        const struct event_text *x = &a->texts[i], *y = &b->texts[i];
        assert_true(x->n == y->n && x->in_blob == y->in_blob);
        if (x->in_blob)
            assert_memory_equal(x->digest, y->digest, DIGEST_SIZE);
        else if (x->n)
            assert_memory_equal(x->bytes, y->bytes, x->n);
    }
}

static uint64_t any_number(unsigned *seed) {
    uint64_t bits = (uint64_t)rand_r(seed) << 42 ^ (uint64_t)rand_r(seed) << 21 ^ (uint64_t)rand_r(seed);
    return bits >> (rand_r(seed) % 65 == 64 ? 63 : rand_r(seed) % 64);
}

static struct event any_event(unsigned *seed) {
    static const char text[] = "text \0 with a NUL, and some more of it so that its length takes two bytes: "
                               "0123456789012345678901234567890123456789012345678901234567890123456789";
    struct event e = {.kind = (enum event_kind)(FIRST_KIND + rand_r(seed) % LAST_KIND),
                      .task = (uint32_t)any_number(seed),
                      .time = any_number(seed)};
    for (unsigned i = 0; i < EVENT_NUMBERS_MAX; i++)
        e.numbers[i] = any_number(seed);
    for (unsigned i = 0; i < EVENT_TEXTS_MAX; i++) {
        struct event_text *t = &e.texts[i];
        t->in_blob = rand_r(seed) % 4 == 0;
        t->n = t->in_blob ? any_number(seed) >> 1 : (uint64_t)rand_r(seed) % sizeof text;
        t->bytes = text;
        memset(t->digest, rand_r(seed), sizeof t->digest);
    }
    return e;
}

static void every_kind_comes_back(void **state) {
    (void)state;
    unsigned seed = 7;
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(1 << 20);
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        struct event events[10], found;
        struct frame_reader r;
        uint64_t time = 0;
        buffer_clear(&frame);
        begin(&frame);
        for (size_t i = 0; i < COUNT(events); i++) {
            events[i] = any_event(&seed);
            assert_int_equal(event_write(&frame, &time, &events[i]), 0);
        }
        finish(&frame);
        assert_int_equal(frame_open(&r, frame.data, frame.size, NULL), 0);
        for (size_t i = 0; i < COUNT(events); i++) {
            assert_int_equal(frame_next(&r, &found, NULL), 1);
            assert_same(&events[i], &found);
        }
        assert_int_equal(frame_next(&r, &found, NULL), 0);
        assert_int_equal(frame_next(&r, &found, NULL), 0);
    }
}

static void an_empty_frame_is_one(void **state) {
    (void)state;
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(100);
    struct frame_reader r;
    struct event e;
    begin(&frame);
    finish(&frame);
    assert_int_equal(frame_open(&r, frame.data, frame.size, NULL), 0);
    assert_int_equal(frame_next(&r, &e, NULL), 0);
}

static void kinds_have_names(void **state) {
    (void)state;
    assert_string_equal(event_kind_name(EVENT_CREATED), "created");
    assert_string_equal(event_kind_name(EVENT_REQUEST), "request");
    assert_null(event_kind_name(0));
    assert_null(event_kind_name((enum event_kind)(LAST_KIND + 1)));
    assert_null(event_kind_name((enum event_kind) - 1));
}

static void a_step_is_small(void **state) {
    (void)state;
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(1 << 16);
    uint64_t time = 1795000000u * UINT64_C(1000000000), first = 0;
    begin(&frame);
    for (uint32_t task = 5000; task < 5010; task++) {
        struct event e = {.kind = EVENT_CREATED, .task = task, .time = time += 12000, .numbers = {1, task}};
        e.texts[0] = (struct event_text){.bytes = "main.work", .n = 9};
        e.texts[1] = (struct event_text){.bytes = "{\"args\":[1],\"kwargs\":{}}", .n = 24};
        assert_int_equal(event_write(&frame, &first, &e), 0);
        e = (struct event){.kind = EVENT_STARTED, .task = task, .time = time += 9000, .numbers = {1}};
        assert_int_equal(event_write(&frame, &first, &e), 0);
        e = (struct event){
            .kind = EVENT_ENDED, .task = task, .time = time += 30000, .numbers = {2, 1, 80000, 3 << 20, 30000}};
        e.texts[0] = (struct event_text){.bytes = "{\"ok\":true}1", .n = 12};
        assert_int_equal(event_write(&frame, &first, &e), 0);
    }
    print_message("%.1f bytes for each step of three events\n", (double)frame.size / 10);
    assert_true(frame.size < 10 * 100);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(100);
    struct event e = {.kind = EVENT_TAPE, .texts = {{.bytes = "x", .n = 200}}};
    uint64_t time = 0;
    begin(&frame);
    assert_int_equal(event_write(&frame, &time, &e), ERROR_LIMIT);
    e.texts[0].n = UINT64_MAX;
    assert_int_equal(event_write(&frame, &time, &e), ERROR_LIMIT);
    e.texts[0].in_blob = true;
    assert_int_equal(event_write(&frame, &time, &e), ERROR_LIMIT);
    e.kind = (enum event_kind)99;
    assert_int_equal(event_write(&frame, &time, &e), ERROR_LIMIT);
    assert_int_equal(frame.size, 1);
}

/* --- hostile bytes ----------------------------------------------------------------------------------------- */

static void sample(struct buffer *frame) {
    unsigned seed = 3;
    uint64_t time = 0;
    begin(frame);
    for (int i = 0; i < 8; i++) {
        struct event e = any_event(&seed);
        assert_int_equal(event_write(frame, &time, &e), 0);
    }
}

static void notices_every_flipped_bit_and_every_cut(void **state) {
    (void)state;
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(1 << 16);
    struct frame_reader r;
    struct error err;
    sample(&frame);
    finish(&frame);
    for (size_t i = 0; i < frame.size * 8; i++) {
        frame.data[i / 8] = (char)(frame.data[i / 8] ^ 1 << i % 8);
        assert_int_equal(frame_open(&r, frame.data, frame.size, &err), ERROR_CORRUPT);
        frame.data[i / 8] = (char)(frame.data[i / 8] ^ 1 << i % 8);
    }
    for (size_t n = 0; n < frame.size; n++)
        assert_int_equal(frame_open(&r, frame.data, n, &err), ERROR_CORRUPT);
    assert_int_equal(frame_open(&r, frame.data, frame.size, &err), 0);
}

/* With a check that's right: as somebody would write it who means harm. */
static int read_all(const struct buffer *frame, struct error *err) {
    struct frame_reader r;
    struct event e;
    int status = frame_open(&r, frame->data, frame->size, err);
    while (status == 0 && (status = frame_next(&r, &e, err)) == 1) {
        for (unsigned i = 0; i < TEXTS[e.kind]; i++)
            if (!e.texts[i].in_blob)
                assert_true(e.texts[i].bytes >= frame->data &&
                            e.texts[i].n <= (size_t)(frame->data + frame->size - e.texts[i].bytes));
        status = 0;
    }
    return status;
}

static void survives_random_bytes(void **state) {
    (void)state;
    unsigned seed = 11, bad = 0;
    CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(1 << 16);
    for (int round = 0; round < ROUNDS; round++) {
        struct error err = {0};
        buffer_clear(&frame);
        sample(&frame);
        for (int i = rand_r(&seed) % 4; i >= 0; i--)
            frame.data[1 + (size_t)rand_r(&seed) % (frame.size - 1)] = (char)rand_r(&seed);
        frame.size -= (size_t)rand_r(&seed) % 20;
        finish(&frame);
        int status = read_all(&frame, &err);
        assert_true(status == 0 || (status == ERROR_CORRUPT && err.message[0]));
        bad += status != 0;
    }
    assert_true(bad > ROUNDS / 10);
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int status;
        const char *message;
    } rows[] = {
        {"", 0, ERROR_CORRUPT, "too short"},
        {"\x00", 1, ERROR_CORRUPT, "version 0"},
        {"\x02", 1, ERROR_UNSUPPORTED, "version 2"},
        {"\x01\x00", 2, ERROR_CORRUPT, "kind 0"},
        {"\x01\xff", 2, ERROR_CORRUPT, "kind 255"},
        {"\x01\x01", 2, ERROR_CORRUPT, "resumed"},
        /* a task beyond 32 bits */
        {"\x01\x01\xff\xff\xff\xff\xff\x01\x00\x00", 10, ERROR_CORRUPT, "resumed"},
        /* a time before 1970, and one beyond 64 bits of ns */
        {"\x01\x01\x00\x01\x00", 5, ERROR_CORRUPT, "resumed"},
        {"\x01\x01\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 14, ERROR_CORRUPT, "resumed"},
        /* a varint of more than 64 bits, and one without end */
        {"\x01\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 14, ERROR_CORRUPT, "resumed"},
        {"\x01\x01\x00\x00\xff\xff", 6, ERROR_CORRUPT, "resumed"},
        /* texts longer than what is left; a digest that's cut off */
        {"\x01\x07\x00\x00\x04x", 6, ERROR_CORRUPT, "tape"},
        {"\x01\x07\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14, ERROR_CORRUPT, "tape"},
        {"\x01\x07\x00\x00\x05xxxx", 9, ERROR_CORRUPT, "tape"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(buffer_done) struct buffer frame = BUFFER_INIT(1 << 10);
        struct error err = {0};
        assert_int_equal(buffer_append(&frame, rows[i].bytes, rows[i].n), 0);
        if (rows[i].n)
            finish(&frame);
        assert_int_equal(read_all(&frame, &err), rows[i].status);
        assert_contains(err.message, rows[i].message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),     cmocka_unit_test(an_empty_frame_is_one),
        cmocka_unit_test(kinds_have_names),          cmocka_unit_test(a_step_is_small),
        cmocka_unit_test(refuses_what_does_not_fit), cmocka_unit_test(notices_every_flipped_bit_and_every_cut),
        cmocka_unit_test(survives_random_bytes),     cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
