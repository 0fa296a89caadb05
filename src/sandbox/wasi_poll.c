/* Owns poll_oneoff: sleeping, and asking whether descriptors are ready, which files and standard streams always are.
 *
 * A call that can only wait for clocks doesn't wait here: its events are written at once and it ends with WASI_PARK,
 * so that whoever runs the sandbox sleeps without holding a thread. Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_state.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/fault.h"

#include <stdlib.h>

/* A subscription as it was fetched, and what became of it. */
struct subscription {
    uint64_t userdata;
    uint64_t deadline_ns; /* clocks: monotonic */
    uint64_t bytes;       /* descriptors: that can be read */
    uint16_t error;
    uint16_t flags;
    uint8_t type;
    bool ready; /* without waiting */
};

static uint64_t saturating_add(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void judge_clock(const struct wasi *w, const uint8_t *from, uint64_t now, struct subscription *s) {
    uint32_t id = load_u32(from + WASI_SUBSCRIPTION_CLOCK_ID);
    uint64_t timeout = load_u64(from + WASI_SUBSCRIPTION_CLOCK_TIMEOUT), clock = 0;
    uint32_t status = wasi_clock_now(w, id, &clock);
    s->deadline_ns = now;
    if (status || id > WASI_CLOCK_MONOTONIC) {
        s->error = status ? (uint16_t)status : WASI_E_NOTSUP;
        s->ready = true;
        return;
    }
    if (from[WASI_SUBSCRIPTION_CLOCK_FLAGS] & WASI_SUBCLOCK_ABSTIME)
        timeout = timeout > clock ? timeout - clock : 0;
    s->deadline_ns = saturating_add(now, timeout);
    s->ready = timeout == 0;
}

static void judge_descriptor(struct wasi_call *call, const uint8_t *from, struct subscription *s) {
    struct descriptor *d;
    struct stat st;
    uint64_t right = s->type == WASI_EVENT_FD_READ ? WASI_RIGHT_FD_READ : WASI_RIGHT_FD_WRITE;
    s->ready = true;
    s->error = (uint16_t)wasi_descriptor(call, load_u32(from + WASI_SUBSCRIPTION_FD), right, &d);
    if (s->error)
        return;
    if (d->kind == DESCRIPTOR_INPUT)
        s->flags = WASI_EVENT_HANGUP;
    if (d->kind != DESCRIPTOR_FILE || s->type != WASI_EVENT_FD_READ)
        return;
    charge(call, COST_SYSCALL);
    if (FAULT("wasi.stat") || fstat(d->host_fd, &st) != 0 || st.st_size < 0)
        s->error = WASI_E_IO;
    else if ((uint64_t)st.st_size > d->offset)
        s->bytes = (uint64_t)st.st_size - d->offset;
}

static void fetch(struct wasi_call *call, const uint8_t *from, uint64_t now, struct subscription *s) {
    *s = (struct subscription){
        .userdata = load_u64(from + WASI_SUBSCRIPTION_USERDATA),
        .type = from[WASI_SUBSCRIPTION_TYPE],
        .deadline_ns = UINT64_MAX,
    };
    switch (s->type) {
    case WASI_EVENT_CLOCK:
        judge_clock(call->wasi, from, now, s);
        break;
    case WASI_EVENT_FD_READ:
    case WASI_EVENT_FD_WRITE:
        judge_descriptor(call, from, s);
        break;
    default:
        s->error = WASI_E_INVAL;
        s->ready = true;
    }
}

static void put_event(uint8_t *to, const struct subscription *s) {
    memset(to, 0, WASI_EVENT_SIZE);
    store_u64(to + WASI_EVENT_USERDATA, s->userdata);
    store_u16(to + WASI_EVENT_ERROR, s->error);
    to[WASI_EVENT_TYPE] = s->type;
    store_u64(to + WASI_EVENT_BYTES, s->bytes);
    store_u16(to + WASI_EVENT_FLAGS, s->flags);
}

uint32_t wasi_poll_oneoff(struct wasi_call *call) {
    uint32_t n = argument(call, 2), events = 0;
    if (n == 0 || n > call->wasi->options.limits.subscriptions)
        return WASI_E_INVAL;
    const uint8_t *from = guest_bytes(call, argument(call, 0), (uint64_t)n * WASI_SUBSCRIPTION_SIZE);
    uint8_t *to = guest_bytes(call, argument(call, 1), (uint64_t)n * WASI_EVENT_SIZE);
    uint8_t *ret = guest_bytes(call, argument(call, 3), 4);
    if (!from || !to || !ret)
        return WASI_E_FAULT;
    call->outside = true; /* it's about time */
    if (call->stay_inside)
        return WASI_E_IO;
    /* Events may be written over the subscriptions, so these are fetched first. */
    CLEANUP(cleanup_free) struct subscription *s = FAULT("wasi.poll") ? NULL : calloc(n, sizeof *s);
    if (!s)
        return WASI_E_NOMEM;
    bool ready = false;
    uint64_t now = clock_monotonic_ns(), first = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        charge(call, COST_ENTRY);
        fetch(call, from + (uint64_t)i * WASI_SUBSCRIPTION_SIZE, now, &s[i]);
        ready |= s[i].ready;
        if (s[i].deadline_ns < first)
            first = s[i].deadline_ns;
    }
    for (uint32_t i = 0; i < n; i++)
        if (ready ? s[i].ready : s[i].deadline_ns == first)
            put_event(to + (uint64_t)WASI_EVENT_SIZE * events++, &s[i]);
    if (!ready) {
        call->end = WASI_PARK;
        call->park_until_ns = first;
    }
    store_u32(ret, events);
    return WASI_E_SUCCESS;
}
