/* Owns the bytes of events and frames; event.h has the format. Thread rule: one thread per buffer or reader. */
#define _GNU_SOURCE 1
#include "journal/event.h"

#include "base/varint.h"
#include "journal/journal_internal.h"
#include <string.h>

enum { NS_PER_US = 1000 };

struct kind {
    const char *name;
    uint8_t numbers, texts;
};

#define KIND(name, number, title, numbers, texts) [number] = {title, numbers, texts},
static const struct kind KINDS[] = {EVENT_KINDS(KIND)};
#undef KIND

#define KIND_FITS(name, number, title, numbers, texts)                                                            \
    _Static_assert((numbers) <= EVENT_NUMBERS_MAX && (texts) <= EVENT_TEXTS_MAX, title);
EVENT_KINDS(KIND_FITS)
#undef KIND_FITS

static const struct kind *kind_of(uint64_t number) {
    return number < sizeof KINDS / sizeof KINDS[0] && KINDS[number].name ? &KINDS[number] : NULL;
}

size_t event_texts(enum event_kind kind) {
    const struct kind *k = kind_of((uint64_t)kind);
    return k ? k->texts : 0;
}

const char *event_kind_name(enum event_kind kind) {
    const struct kind *k = kind_of((uint64_t)kind);
    return k ? k->name : NULL;
}

/* --- writing --- */

static char *put_varint(char *at, uint64_t v) {
    return at + varint_write((uint8_t *)at, v);
}

static char *put_text(char *at, const struct event_text *text) {
    at = put_varint(at, text->n << 1 | (text->in_blob ? 1 : 0));
    const void *from = text->in_blob ? (const void *)text->digest : text->bytes;
    size_t n = text->in_blob ? (size_t)DIGEST_SIZE : (size_t)text->n;
    if (n)
        memcpy(at, from, n);
    return at + n;
}

size_t event_text_size(const struct event_text *text) {
    uint8_t head[VARINT_MAX];
    return varint_write(head, text->n << 1) + (text->in_blob ? (size_t)DIGEST_SIZE : (size_t)text->n);
}

int event_write(struct buffer *frame, uint64_t *time, const struct event *event) {
    const struct kind *k = kind_of((uint64_t)event->kind);
    if (!k)
        return ERROR_LIMIT;
    size_t most = 1 + (2 + EVENT_NUMBERS_MAX + EVENT_TEXTS_MAX) * VARINT_MAX;
    for (size_t i = 0; i < k->texts; i++) {
        if (event->texts[i].n > (event->texts[i].in_blob ? UINT64_MAX >> 1 : frame->max))
            return ERROR_LIMIT;
        most += event->texts[i].in_blob ? (size_t)DIGEST_SIZE : (size_t)event->texts[i].n;
    }
    char *start = buffer_reserve(frame, most), *at = start;
    if (!at)
        return most > frame->max - frame->size ? ERROR_LIMIT : ERROR_NOMEM;
    uint64_t us = event->time / NS_PER_US;
    *at++ = (char)event->kind;
    at = put_varint(at, event->task);
    at = put_varint(at, zigzag((int64_t)us - (int64_t)(*time / NS_PER_US)));
    for (size_t i = 0; i < k->numbers; i++)
        at = put_varint(at, event->numbers[i]);
    for (size_t i = 0; i < k->texts; i++)
        at = put_text(at, &event->texts[i]);
    frame->size += (size_t)(at - start);
    *time = us * NS_PER_US;
    return 0;
}

int frame_begin(struct buffer *frame) {
    return buffer_putc(frame, EVENT_VERSION);
}

int frame_end(struct buffer *frame) {
    uint8_t digest[DIGEST_SIZE];
    digest_bytes(NULL, buffer_text(frame), frame->size, digest);
    return buffer_append(frame, digest, EVENT_CHECK_SIZE);
}

/* --- reading: every byte is hostile --- */

int frame_open(struct frame_reader *r, const void *bytes, size_t n, struct error *err) {
    const char *at = bytes;
    uint8_t digest[DIGEST_SIZE];
    if (n < 1 + EVENT_CHECK_SIZE)
        return error_set(err, ERROR_CORRUPT, "a frame of %zu bytes is too short", n);
    digest_bytes(NULL, at, n - EVENT_CHECK_SIZE, digest);
    if (memcmp(digest, at + n - EVENT_CHECK_SIZE, EVENT_CHECK_SIZE) != 0)
        return error_set(err, ERROR_CORRUPT, "its bytes aren't those that were written");
    unsigned version = (unsigned char)at[0];
    if (version > EVENT_VERSION) {
        error_set(err, ERROR_UNSUPPORTED, "its events have version %u, and this Capsule knows up to %d", version,
                  EVENT_VERSION);
        error_hint(err, "use the version of Capsule that wrote it, or a newer one");
        return ERROR_UNSUPPORTED;
    }
    if (version == 0)
        return error_set(err, ERROR_CORRUPT, "its events have version 0, which there never was");
    *r = (struct frame_reader){.at = at + 1, .end = at + n - EVENT_CHECK_SIZE};
    return 0;
}

static bool get_varint(struct frame_reader *r, uint64_t *ret) {
    return varint_read(&r->at, r->end, ret);
}

static bool get_time(struct frame_reader *r, uint64_t *ret) {
    uint64_t coded, us;
    if (!get_varint(r, &coded))
        return false;
    if (__builtin_add_overflow(r->time / NS_PER_US, unzigzag(coded), &us) || us > UINT64_MAX / NS_PER_US)
        return false;
    *ret = r->time = us * NS_PER_US;
    return true;
}

static bool get_text(struct frame_reader *r, struct event_text *ret) {
    uint64_t coded;
    if (!get_varint(r, &coded))
        return false;
    *ret = (struct event_text){.n = coded >> 1, .in_blob = coded & 1};
    uint64_t n = ret->in_blob ? (uint64_t)DIGEST_SIZE : ret->n;
    if (n > (uint64_t)(r->end - r->at))
        return false;
    if (ret->in_blob)
        memcpy(ret->digest, r->at, DIGEST_SIZE);
    else
        ret->bytes = r->at;
    r->at += n;
    return true;
}

int frame_next(struct frame_reader *r, struct event *ret, struct error *err) {
    if (r->at == r->end)
        return 0;
    struct event e = {0};
    unsigned number = (unsigned char)*r->at++;
    const struct kind *k = kind_of(number);
    if (!k)
        return error_set(err, ERROR_CORRUPT, "it has an event of kind %u, which this Capsule doesn't know",
                         number);
    uint64_t task = 0;
    bool good = get_varint(r, &task) && task <= UINT32_MAX && get_time(r, &e.time);
    for (size_t i = 0; good && i < k->numbers; i++)
        good = get_varint(r, &e.numbers[i]);
    for (size_t i = 0; good && i < k->texts; i++)
        good = get_text(r, &e.texts[i]);
    if (!good)
        return error_set(err, ERROR_CORRUPT, "its event \"%s\" is malformed", k->name);
    e.kind = (enum event_kind)number;
    e.task = (uint32_t)task;
    *ret = e;
    return 1;
}
