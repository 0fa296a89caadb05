/* Owns what a WASI call leaves on a tape, and how it's answered from there.
 *
 * A WASI entry goes on with what the function's table row says: of one that opens, what kind of descriptor that is (varint); for WASI_OUT_SIZE its
 * output's bytes; for WASI_OUT_BUFFER and WASI_OUT_VECTORS the count (varint) and so many bytes. All that is only there when errno is 0.
 * Then, of a function that moves a position, the one that it left + 1, or 0 if it wasn't called on an open file (varint).
 *
 * In a replay nothing is written, removed or created again. path_open does open what it opened then, so that the descriptor is there when the
 * replay ends; if that can't be opened any more, or is a file where there was a folder, using the descriptor is an error then.
 * Thread rule: as wasi.h. */
#include "sandbox/wasi_tape.h"
#include "base/fault.h"
#include "base/varint.h"
#include "sandbox/tape.h"
#include "sandbox/wasi_state.h"
#include <stdlib.h>

enum { OPEN_OFLAGS = 4 }; /* argument of path_open */

/* The guest's list of vectors as it was before the call, which may overwrite it. */
struct vector_list {
    uint8_t *bytes;
    uint32_t n;
};

static void vector_list_done(struct vector_list *l) {
    free(l->bytes);
}

static bool list_vectors(struct tape *t, const struct wasi_call *call, const struct wasi_function *f,
                         struct vector_list *ret) {
    uint32_t n = argument(call, f->out_argument + 1);
    const uint8_t *from = guest_bytes(call, argument(call, f->out_argument), (uint64_t)n * WASI_IOVEC_SIZE);
    if (from == NULL || n > call->wasi->options.limits.vectors)
        return true; /* the call will say so */
    ret->bytes = FAULT("tape.vectors") ? NULL : malloc((size_t)n * WASI_IOVEC_SIZE + 1);
    if (ret->bytes == NULL) {
        tape_break(t, "there's no memory to record what the task reads");
        return false;
    }
    memcpy(ret->bytes, from, (size_t)n * WASI_IOVEC_SIZE);
    ret->n = n;
    return true;
}

/* The next piece of guest memory that the vectors mean, of at most *left bytes, which is lowered. NULL at their end. */
static uint8_t *next_piece(const struct wasi_call *call, const struct vector_list *l, uint32_t *i, uint64_t *left,
                           uint64_t *ret_n) {
    while (*i < l->n && *left > 0) {
        const uint8_t *v = l->bytes + (size_t)WASI_IOVEC_SIZE * (*i)++;
        uint64_t length = load_u32(v + WASI_IOVEC_LENGTH);
        uint8_t *piece = guest_bytes(call, load_u32(v + WASI_IOVEC_ADDRESS), length);
        *ret_n = length < *left ? length : *left;
        if (piece == NULL)
            return NULL;
        *left -= *ret_n;
        if (*ret_n > 0)
            return piece;
    }
    return NULL;
}

/* The file whose position a call may have moved; NULL: none. */
static struct descriptor *moved(const struct wasi_call *call) {
    struct wasi *w = call->wasi;
    uint32_t fd = argument(call, 0);
    return fd < w->size && w->table[fd].kind == DESCRIPTOR_FILE ? &w->table[fd] : NULL;
}

/* The descriptor that a call which opens has just returned. */
static struct descriptor *opened(const struct wasi_call *call, const struct wasi_function *f) {
    return &call->wasi->table[load_u32(guest_bytes(call, argument(call, f->out_argument), 4))];
}

/* ---- recording ---- */

static void record_vectors(struct tape *t, const struct wasi_call *call, const struct vector_list *l,
                           uint64_t count) {
    uint32_t i = 0;
    uint64_t left = count, n = 0;
    for (const uint8_t *piece; (piece = next_piece(call, l, &i, &left, &n)) != NULL;)
        tape_put_bytes(t, piece, (size_t)n);
}

static void put_number(struct tape *t, uint64_t number) {
    uint8_t bytes[VARINT_MAX];
    tape_put_bytes(t, bytes, varint_write(bytes, number));
}

static void record_outputs(struct tape *t, const struct wasi_call *call, const struct wasi_function *f,
                           const struct vector_list *l) {
    if (f->out == WASI_OUT_NONE)
        return;
    if (f->out == WASI_OUT_SIZE) {
        tape_put_bytes(t, guest_bytes(call, argument(call, f->out_argument), f->out_size), f->out_size);
        return;
    }
    uint64_t count = load_u32(guest_bytes(call, argument(call, f->out_count), 4));
    put_number(t, count);
    if (f->out == WASI_OUT_VECTORS)
        record_vectors(t, call, l, count);
    else
        tape_put_bytes(t, guest_bytes(call, argument(call, f->out_argument), count * f->out_size),
                       (size_t)(count * f->out_size));
}

static void record(struct tape *t, const struct wasi_call *call, const struct wasi_function *f,
                   const struct vector_list *l, uint32_t status) {
    uint64_t numbers[3] = {t->calls, (uint64_t)(f - wasi_functions), status};
    t->calls = 0;
    tape_put(t, TAPE_WASI, numbers, 3);
    if (status == WASI_E_SUCCESS && f->opens)
        put_number(t, opened(call, f)->kind);
    if (status == WASI_E_SUCCESS)
        record_outputs(t, call, f, l);
    const struct descriptor *d = moved(call);
    if (f->moves)
        put_number(t, d != NULL ? d->offset + 1 : 0);
}

/* ---- replaying ---- */

/* Whether the tape's next entry is this call's. */
static bool is_next(const struct tape *t) {
    uint64_t calls = 0;
    const char *at = t->at + 1;
    return tape_next(t) == TAPE_WASI && varint_read(&at, t->end, &calls) && calls == t->calls;
}

static bool put_bytes(struct tape *t, uint8_t *to, uint64_t n) {
    const char *bytes = to == NULL ? NULL : tape_get_bytes(t, n);
    if (to == NULL)
        tape_diverge(t, "it reads to another place than before");
    if (bytes != NULL)
        memcpy(to, bytes, (size_t)n);
    return bytes != NULL;
}

static void replay_vectors(struct tape *t, const struct wasi_call *call, const struct wasi_function *f,
                           uint64_t count) {
    __attribute__((cleanup(vector_list_done))) struct vector_list l = {0};
    uint32_t i = 0;
    uint64_t left = count, n = 0;
    if (!list_vectors(t, call, f, &l))
        return;
    for (uint8_t *piece; left > 0;) {
        piece = next_piece(call, &l, &i, &left, &n);
        if (!put_bytes(t, piece, n))
            return;
    }
}

static void replay_outputs(struct tape *t, const struct wasi_call *call, const struct wasi_function *f) {
    uint64_t count = 0;
    if (f->out == WASI_OUT_NONE)
        return;
    if (f->out == WASI_OUT_SIZE) {
        put_bytes(t, guest_bytes(call, argument(call, f->out_argument), f->out_size), f->out_size);
        return;
    }
    uint8_t *to = guest_bytes(call, argument(call, f->out_count), 4);
    if (!tape_get_numbers(t, &count, 1))
        return;
    if (f->out == WASI_OUT_VECTORS)
        replay_vectors(t, call, f, count);
    else if (count > UINT32_MAX)
        tape_diverge(t, "its record is malformed");
    else
        put_bytes(t, guest_bytes(call, argument(call, f->out_argument), count * f->out_size), count * f->out_size);
    if (to == NULL)
        tape_diverge(t, "it reads to another place than before");
    else if (t->trouble == NULL)
        store_u32(to, (uint32_t)count);
}

/* Opens again what was opened then, without creating or cutting it short. */
static void reopen(struct tape *t, struct wasi_call *call, const struct wasi_function *f) {
    uint64_t args[16], kind = 0;
    if (!tape_get_numbers(t, &kind, 1))
        return;
    for (size_t i = 0; f->parameters[i] != '\0'; i++)
        args[i] = call->args[i];
    args[OPEN_OFLAGS] &= ~(uint64_t)(WASI_OFLAG_CREAT | WASI_OFLAG_EXCL | WASI_OFLAG_TRUNC);
    struct wasi_call again = {.wasi = call->wasi, .memory = call->memory, .args = args};
    uint8_t *result = guest_bytes(call, argument(call, f->out_argument), 4);
    uint32_t before = result != NULL ? load_u32(result) : 0;
    uint32_t status = f->call(&again);
    bool host = status == WASI_E_NOMEM || status == WASI_E_MFILE || status == WASI_E_NFILE;
    if (status == WASI_E_SUCCESS && opened(call, f)->kind != kind) {
        descriptor_done(call->wasi, opened(call, f));
        store_u32(result, before); /* which may be part of the path */
        status = WASI_E_NOENT;
    }
    if (status != WASI_E_SUCCESS && !host)
        status = wasi_open_nothing(&again, kind == DESCRIPTOR_FOLDER);
    if (status != WASI_E_SUCCESS)
        tape_break(t, "what it had open can't be opened again");
}

static void replay_success(struct tape *t, struct wasi_call *call, const struct wasi_function *f) {
    uint32_t fd = 0;
    if (f->opens)
        reopen(t, call, f);
    if (f->opens && t->trouble == NULL)
        fd = load_u32(guest_bytes(call, argument(call, f->out_argument), 4));
    if (t->trouble == NULL)
        replay_outputs(t, call, f);
    if (f->opens && t->trouble == NULL && load_u32(guest_bytes(call, argument(call, f->out_argument), 4)) != fd)
        tape_diverge(t, "it doesn't do with files what it did before");
}

/* Costs no fuel: an attempt that came so far must not run out of it earlier this time. */
static uint32_t replay(struct tape *t, struct wasi_call *call, const struct wasi_function *f) {
    uint64_t numbers[3], offset = 0;
    if (!tape_get(t, TAPE_WASI, numbers, 3))
        return WASI_E_IO;
    t->calls = 0;
    if (numbers[1] != (uint64_t)(f - wasi_functions)) {
        tape_diverge(t, "it doesn't do with files what it did before");
        return WASI_E_IO;
    }
    if (numbers[2] == WASI_E_SUCCESS)
        replay_success(t, call, f);
    if (f->moves && t->trouble == NULL && tape_get_numbers(t, &offset, 1) && offset > 0) {
        struct descriptor *d = moved(call);
        if (d != NULL)
            d->offset = offset - 1;
    }
    return t->trouble == NULL ? (uint32_t)numbers[2] : (uint32_t)WASI_E_IO;
}

uint32_t wasi_taped_call(struct wasi_call *call, const struct wasi_function *f) {
    struct tape *t = call->wasi->options.tape;
    if (t == NULL)
        return f->call(call);
    if (t->trouble != NULL)
        return WASI_E_IO;
    t->calls++;
    if (!f->taped)
        return f->call(call);
    if (is_next(t))
        return replay(t, call, f);
    __attribute__((cleanup(vector_list_done))) struct vector_list l = {0};
    if (f->out == WASI_OUT_VECTORS && !list_vectors(t, call, f, &l))
        return WASI_E_IO;
    call->stay_inside = tape_replays(t);
    uint32_t status = f->call(call);
    if (call->outside && call->stay_inside)
        tape_diverge(t, "it doesn't do with files what it did before");
    else if (call->outside)
        record(t, call, f, &l, status);
    return status;
}
