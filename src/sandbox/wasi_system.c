/* Owns the WASI calls that aren't about files: arguments, clocks, randomness, the process, and the absence of sockets.
 *
 * A sandbox has no arguments and no environment here: both come in the message that starts a task, so that an image
 * can't hold them. Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_state.h"

#include "base/clock.h"
#include "base/fault.h"
#include "sandbox/tape.h"

#include <errno.h>
#include <sys/random.h>

/* Two u32 zeros: how many, and how many bytes they take. */
static uint32_t put_nothing(struct wasi_call *call) {
    uint8_t *count = guest_bytes(call, argument(call, 0), 4);
    uint8_t *size = guest_bytes(call, argument(call, 1), 4);
    if (!count || !size)
        return WASI_E_FAULT;
    store_u32(count, 0);
    store_u32(size, 0);
    return WASI_E_SUCCESS;
}

uint32_t wasi_args_get(struct wasi_call *call) {
    (void)call;
    return WASI_E_SUCCESS;
}

uint32_t wasi_args_sizes_get(struct wasi_call *call) {
    return put_nothing(call);
}

uint32_t wasi_environ_get(struct wasi_call *call) {
    (void)call;
    return WASI_E_SUCCESS;
}

uint32_t wasi_environ_sizes_get(struct wasi_call *call) {
    return put_nothing(call);
}

uint32_t wasi_clock_now(const struct wasi *w, uint32_t id, uint64_t *ret) {
    switch (id) {
    case WASI_CLOCK_REALTIME:
        *ret = clock_wall_ns();
        break;
    case WASI_CLOCK_MONOTONIC:
        *ret = clock_monotonic_ns();
        break;
    case WASI_CLOCK_PROCESS_CPUTIME:
    case WASI_CLOCK_THREAD_CPUTIME:
        /* The host thread's own time would tell about other sandboxes. */
        *ret = clock_monotonic_ns() - w->started_ns;
        break;
    default:
        return WASI_E_INVAL;
    }
    *ret += w->options.tape ? w->options.tape->shift[id] : 0;
    return WASI_E_SUCCESS;
}

uint32_t wasi_clock_res_get(struct wasi_call *call) {
    uint8_t *ret = guest_bytes(call, argument(call, 1), 8);
    if (argument(call, 0) > WASI_CLOCK_THREAD_CPUTIME)
        return WASI_E_INVAL;
    if (!ret)
        return WASI_E_FAULT;
    store_u64(ret, 1);
    return WASI_E_SUCCESS;
}

uint32_t wasi_clock_time_get(struct wasi_call *call) {
    uint64_t now;
    uint8_t *ret = guest_bytes(call, argument(call, 2), 8);
    if (!ret)
        return WASI_E_FAULT;
    struct tape *tape = call->wasi->options.tape;
    uint32_t id = argument(call, 0), status = wasi_clock_now(call->wasi, id, &now);
    if (status)
        return status;
    if (tape)
        now = tape_clock(tape, id, now);
    store_u64(ret, now);
    return WASI_E_SUCCESS;
}

uint32_t wasi_random_get(struct wasi_call *call) {
    const uint64_t chunk = 65536; /* larger requests can be cut short by a signal at any point */
    uint64_t n = argument(call, 1);
    uint8_t *to = guest_bytes(call, argument(call, 0), n);
    if (!to)
        return WASI_E_FAULT;
    /* Part of the bytes can't be reported, so more than the limit is refused. */
    if (n > call->wasi->options.limits.transfer)
        return WASI_E_INVAL;
    charge(call, COST_SYSCALL + n * COST_RANDOM_BYTE);
    if (call->wasi->options.tape) {
        tape_random(call->wasi->options.tape, to, n);
        return WASI_E_SUCCESS;
    }
    while (n > 0) {
        ssize_t got = FAULT("wasi.random") ? -1 : getrandom(to, n < chunk ? n : chunk, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return WASI_E_IO;
        to += got;
        n -= (uint64_t)got;
    }
    return WASI_E_SUCCESS;
}

uint32_t wasi_proc_exit(struct wasi_call *call) {
    call->end = WASI_EXIT;
    call->exit_code = argument(call, 0);
    return WASI_E_SUCCESS;
}

uint32_t wasi_proc_raise(struct wasi_call *call) {
    (void)call;
    return WASI_E_NOSYS;
}

uint32_t wasi_sched_yield(struct wasi_call *call) {
    (void)call;
    return WASI_E_SUCCESS;
}

/* No descriptor is ever a socket: nothing opens one. */
static uint32_t not_a_socket(struct wasi_call *call) {
    struct descriptor *d;
    return wasi_descriptor(call, argument(call, 0), 0, &d) ? WASI_E_BADF : WASI_E_NOTSOCK;
}

uint32_t wasi_sock_accept(struct wasi_call *call) {
    return not_a_socket(call);
}

uint32_t wasi_sock_recv(struct wasi_call *call) {
    return not_a_socket(call);
}

uint32_t wasi_sock_send(struct wasi_call *call) {
    return not_a_socket(call);
}

uint32_t wasi_sock_shutdown(struct wasi_call *call) {
    return not_a_socket(call);
}
