/* Owns the WASI calls that move bytes between guest memory and files or the standard streams, and their limits.
 *
 * The guest's vectors are fetched and checked once, before anything is moved: the bytes that are read may overwrite
 * the vectors themselves. Then the host reads or writes guest memory directly. Thread rule: as wasi.h. */
#define _GNU_SOURCE 1
#include "sandbox/wasi_state.h"

#include "base/buffer.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FEW_VECTORS = 16 }; /* as many as fit the fiber's stack without dirtying another page */

struct vectors {
    struct iovec *v;
    int n;
    uint64_t bytes; /* in all of them */
    struct iovec few[FEW_VECTORS];
    struct iovec *many; /* owned; NULL when few do */
};

static void vectors_done(struct vectors *v) {
    free(v->many);
}

/* All of the guest's vectors must lie in its memory, also those beyond the limit of what one call moves. */
static uint32_t fetch_vectors(const struct wasi_call *call, uint32_t address, uint32_t n, struct vectors *ret) {
    const struct wasi_limits *limits = &call->wasi->options.limits;
    if (n > limits->vectors)
        return WASI_E_INVAL;
    const uint8_t *from = guest_bytes(call, address, (uint64_t)n * WASI_IOVEC_SIZE);
    if (!from)
        return WASI_E_FAULT;
    ret->v = ret->few;
    if (n > FEW_VECTORS) {
        ret->v = ret->many = FAULT("wasi.vectors") ? NULL : malloc(n * sizeof *ret->v);
        if (!ret->many)
            return WASI_E_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++, from += WASI_IOVEC_SIZE) {
        uint64_t length = load_u32(from + WASI_IOVEC_LENGTH);
        uint8_t *bytes = guest_bytes(call, load_u32(from + WASI_IOVEC_ADDRESS), length);
        if (!bytes)
            return WASI_E_FAULT;
        if (length > limits->transfer - ret->bytes)
            length = limits->transfer - ret->bytes;
        ret->bytes += length;
        if (length > 0)
            ret->v[ret->n++] = (struct iovec){.iov_base = bytes, .iov_len = (size_t)length};
    }
    return WASI_E_SUCCESS;
}

/* Leaves at most n bytes. */
static void trim_vectors(struct vectors *v, uint64_t n) {
    while (v->n > 0 && v->bytes > n) {
        struct iovec *last = &v->v[v->n - 1];
        uint64_t excess = v->bytes - n;
        if (excess < last->iov_len) {
            last->iov_len -= (size_t)excess;
            v->bytes = n;
        } else {
            v->bytes -= last->iov_len;
            v->n--;
        }
    }
}

static uint32_t read_file(struct wasi_call *call, const struct descriptor *d, const struct vectors *v, uint64_t at,
                          uint64_t *ret_n) {
    ssize_t n;
    if (at > INT64_MAX)
        return WASI_E_INVAL;
    /* The host would call an end past the largest offset an error; it is only past the end of any file. */
    if (v->n == 0 || v->bytes > INT64_MAX - at) {
        *ret_n = 0;
        return WASI_E_SUCCESS;
    }
    do {
        charge(call, COST_SYSCALL);
        if (FAULT("wasi.read"))
            return WASI_E_IO;
        n = preadv(d->host_fd, v->v, v->n, (off_t)at);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return wasi_errno(errno);
    charge(call, (uint64_t)n / COST_BYTES);
    *ret_n = (uint64_t)n;
    return WASI_E_SUCCESS;
}

/* Shortens v to what the limits leave for a write at that offset. */
static uint32_t apply_limits(const struct wasi *w, struct vectors *v, uint64_t at) {
    uint64_t allowed = 0;
    if (v->bytes == 0)
        return WASI_E_SUCCESS;
    if (at >= w->options.limits.file_size)
        return WASI_E_FBIG;
    trim_vectors(v, w->options.limits.file_size - at);
    uint32_t status = wasi_quota(w, v->bytes, &allowed);
    if (!status)
        trim_vectors(v, allowed);
    return status;
}

static int sync_flags(const struct descriptor *d) {
    if (d->flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC))
        return RWF_SYNC;
    return d->flags & WASI_FDFLAG_DSYNC ? RWF_DSYNC : 0;
}

/* append: at is where the file ends now, as far as we know; the host decides. */
static uint32_t write_file(struct wasi_call *call, const struct descriptor *d, struct vectors *v, uint64_t at,
                           bool append, uint64_t *ret_n) {
    ssize_t n = 0;
    int flags = sync_flags(d);
    uint32_t status = apply_limits(call->wasi, v, at);
    if (status)
        return status;
    charge(call, flags ? COST_SYNC : 0);
    do {
        charge(call, COST_SYSCALL);
        if (FAULT("wasi.write"))
            return WASI_E_NOSPC;
        if (v->n > 0)
            n = pwritev2(d->host_fd, v->v, v->n, append ? -1 : (off_t)at, flags | (append ? RWF_APPEND : 0));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return wasi_errno(errno);
    call->wasi->written += (uint64_t)n;
    charge(call, (uint64_t)n / COST_BYTES);
    *ret_n = (uint64_t)n;
    return WASI_E_SUCCESS;
}

/* The position afterwards is the end of what was just written, which only the host knows when others append too. */
static uint32_t append_file(struct wasi_call *call, struct descriptor *d, struct vectors *v, uint64_t *ret_n) {
    struct stat st;
    charge(call, 2 * COST_SYSCALL);
    if (FAULT("wasi.stat") || fstat(d->host_fd, &st) != 0 || st.st_size < 0)
        return WASI_E_IO;
    uint32_t status = write_file(call, d, v, (uint64_t)st.st_size, true, ret_n);
    if (status || *ret_n == 0)
        return status;
    off_t end = lseek(d->host_fd, 0, SEEK_CUR);
    d->offset = end < 0 ? (uint64_t)st.st_size + *ret_n : (uint64_t)end;
    return WASI_E_SUCCESS;
}

static uint32_t write_output(struct wasi_call *call, const struct descriptor *d, struct vectors *v,
                             uint64_t *ret_n) {
    struct wasi *w = call->wasi;
    const struct wasi_options *o = &w->options;
    uint64_t left = w->output < o->limits.output ? o->limits.output - w->output : 0;
    if (v->bytes > left) {
        trim_vectors(v, left);
        call->end = WASI_OUTPUT_LIMIT;
    }
    for (int i = 0; i < v->n && o->output; i++)
        o->output(o->user, d->stream, v->v[i].iov_base, v->v[i].iov_len);
    w->output += v->bytes;
    charge(call, COST_SYSCALL + v->bytes / COST_BYTES);
    *ret_n = v->bytes;
    return call->end == WASI_OUTPUT_LIMIT ? WASI_E_DQUOT : WASI_E_SUCCESS;
}

/* What all four calls begin with: descriptor, vectors (arguments 1 and 2) and where the count goes. */
static uint32_t begin(struct wasi_call *call, uint64_t rights, unsigned ret_argument, struct descriptor **ret_d,
                      struct vectors *ret_v, uint8_t **ret_to) {
    uint32_t status = wasi_descriptor(call, argument(call, 0), rights, ret_d);
    if (status)
        return status;
    *ret_to = guest_bytes(call, argument(call, ret_argument), 4);
    if (!*ret_to)
        return WASI_E_FAULT;
    return fetch_vectors(call, argument(call, 1), argument(call, 2), ret_v);
}

uint32_t wasi_fd_read(struct wasi_call *call) {
    CLEANUP(vectors_done) struct vectors v = {.many = NULL};
    struct descriptor *d;
    uint8_t *to;
    uint64_t n = 0;
    uint32_t status = begin(call, WASI_RIGHT_FD_READ, 3, &d, &v, &to);
    if (!status && d->kind == DESCRIPTOR_FILE)
        status = read_file(call, d, &v, d->offset, &n);
    if (status)
        return status;
    d->offset += n;
    store_u32(to, (uint32_t)n);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_pread(struct wasi_call *call) {
    CLEANUP(vectors_done) struct vectors v = {.many = NULL};
    struct descriptor *d;
    uint8_t *to;
    uint64_t n = 0;
    uint32_t status = begin(call, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK, 4, &d, &v, &to);
    if (!status)
        status = d->kind == DESCRIPTOR_FILE ? read_file(call, d, &v, call->args[3], &n) : (uint32_t)WASI_E_SPIPE;
    if (status)
        return status;
    store_u32(to, (uint32_t)n);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_write(struct wasi_call *call) {
    CLEANUP(vectors_done) struct vectors v = {.many = NULL};
    struct descriptor *d;
    uint8_t *to;
    uint64_t n = 0;
    uint32_t status = begin(call, WASI_RIGHT_FD_WRITE, 3, &d, &v, &to);
    if (status)
        return status;
    if (d->kind == DESCRIPTOR_OUTPUT) {
        status = write_output(call, d, &v, &n);
    } else if (d->flags & WASI_FDFLAG_APPEND) {
        status = append_file(call, d, &v, &n);
    } else {
        status = write_file(call, d, &v, d->offset, false, &n);
        d->offset += n;
    }
    if (status)
        return status;
    store_u32(to, (uint32_t)n);
    return WASI_E_SUCCESS;
}

uint32_t wasi_fd_pwrite(struct wasi_call *call) {
    CLEANUP(vectors_done) struct vectors v = {.many = NULL};
    struct descriptor *d;
    uint8_t *to;
    uint64_t n = 0;
    uint32_t status = begin(call, WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_SEEK, 4, &d, &v, &to);
    if (!status)
        status = d->kind == DESCRIPTOR_FILE ? write_file(call, d, &v, call->args[3], false, &n)
                                            : (uint32_t)WASI_E_SPIPE;
    if (status)
        return status;
    store_u32(to, (uint32_t)n);
    return WASI_E_SUCCESS;
}
