/* Fuzzes the reader of a run's frames: raw bytes, and bytes with a check that's right, as somebody would write them who means harm. Nothing may crash or read beyond;
 * what fails must say so; what can be read comes back the same when it's written and read again. */
#include "base/buffer.h"
#include "journal/event.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define COUNTS(name, number, title, numbers, texts) [number] = {numbers, texts},
static const struct {
    unsigned numbers, texts;
} KINDS[] = {EVENT_KINDS(COUNTS)};

static void expect(int condition) {
    if (!condition)
        abort();
}

static void expect_same(const struct event *a, const struct event *b) {
    expect(a->kind == b->kind && a->task == b->task && a->time == b->time);
    for (unsigned i = 0; i < KINDS[a->kind].numbers; i++)
        expect(a->numbers[i] == b->numbers[i]);
    for (unsigned i = 0; i < KINDS[a->kind].texts; i++) {
        const struct event_text *x = &a->texts[i], *y = &b->texts[i];
        expect(x->n == y->n && x->in_blob == y->in_blob);
        if (x->in_blob)
            expect(memcmp(x->digest, y->digest, DIGEST_SIZE) == 0);
        else if (x->n)
            expect(memcmp(x->bytes, y->bytes, x->n) == 0);
    }
}

/* Writes one event and reads it back. */
static void check_again(const struct event *event) {
    struct buffer frame = BUFFER_INIT(1 << 20);
    struct frame_reader r;
    struct event found;
    uint64_t time = 0;
    expect(frame_begin(&frame) == 0 && event_write(&frame, &time, event) == 0 && frame_end(&frame) == 0);
    expect(frame_open(&r, frame.data, frame.size, NULL) == 0 && frame_next(&r, &found, NULL) == 1);
    expect_same(event, &found);
    expect(frame_next(&r, &found, NULL) == 0);
    buffer_done(&frame);
}

static void read_all(const char *bytes, size_t n) {
    struct frame_reader r;
    struct event event;
    struct error err = {0};
    int status = frame_open(&r, bytes, n, &err);
    while (status == 0 && (status = frame_next(&r, &event, &err)) == 1) {
        expect(event_kind_name(event.kind) != NULL);
        check_again(&event);
        status = 0;
    }
    expect(status == 0 || (status == err.code && err.message[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct buffer frame = BUFFER_INIT(1 << 20);
    if (n == 0)
        return 0;
    if (data[0] % 4 == 0) {
        char *copy = malloc(n); /* of its exact size, so that a byte too far is seen */
        expect(copy != NULL);
        memcpy(copy, data + 1, n - 1);
        read_all(copy, n - 1);
        free(copy);
        return 0;
    }
    expect((data[0] % 4 == 1 ? 0 : frame_begin(&frame)) == 0);
    expect(buffer_append(&frame, data + 1, n - 1) == 0 && frame_end(&frame) == 0);
    read_all(frame.data, frame.size);
    buffer_done(&frame);
    return 0;
}
