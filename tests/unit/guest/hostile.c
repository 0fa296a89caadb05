/* A guest that misbehaves on request, for test_sandbox*.c. Freestanding: built by clang for wasm32 without a C library. */
#include "hostile.h"

#define EXPORT(name) __attribute__((export_name(#name), used))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

IMPORT("capsule", "op_submit") int32_t op_submit(uint32_t address, uint32_t n);
IMPORT("capsule", "op_wait") int32_t op_wait(uint32_t address, uint32_t n, int64_t timeout_ns);
IMPORT("capsule", "op_next") int32_t op_next(uint32_t address, uint32_t capacity, int64_t timeout_ns);
IMPORT("capsule", "op_cancel") int32_t op_cancel(uint32_t op);
IMPORT("capsule", "op_take") int32_t op_take(uint32_t op, uint32_t address, uint32_t capacity);
IMPORT("capsule", "fuel_left") int64_t fuel_left(void);
IMPORT("wasi_snapshot_preview1", "sched_yield") int32_t sched_yield(void);
IMPORT("wasi_snapshot_preview1", "clock_time_get")
int32_t clock_time_get(uint32_t clock, uint64_t precision, uint32_t to);
IMPORT("wasi_snapshot_preview1", "random_get") int32_t random_get(uint32_t to, uint32_t n);
IMPORT("wasi_snapshot_preview1", "proc_exit") void proc_exit(uint32_t code);
IMPORT("wasi_snapshot_preview1", "fd_write")
int32_t fd_write(uint32_t fd, uint32_t vectors, uint32_t n, uint32_t written);
IMPORT("wasi_snapshot_preview1", "poll_oneoff")
int32_t poll_oneoff(uint32_t in, uint32_t out, uint32_t n, uint32_t done);

static uint8_t heap[1 << 20];
static uint32_t heap_used;
static struct {
    uint32_t header_n;
    int64_t body;
} __attribute__((packed)) reply;

EXPORT(guest_alloc) void *guest_alloc(uint32_t n) {
    if (n > sizeof heap - heap_used)
        return 0;
    heap_used += (n + 15) & ~15u;
    return heap + heap_used - ((n + 15) & ~15u);
}

static volatile uint32_t sink;

__attribute__((noinline)) static uint32_t recurse(uint32_t depth) {
    volatile uint32_t frame[64];
    frame[depth % 64] = depth;
    return recurse(depth + 1) + frame[depth % 64];
}

static int64_t grow(uint64_t pages) {
    return (int32_t)__builtin_wasm_memory_grow(0, (uint32_t)pages);
}

static int64_t sleep_ns(uint64_t ns) {
    static struct {
        uint64_t userdata;
        uint8_t tag, pad[7];
        uint32_t clock, pad2;
        uint64_t timeout, precision;
        uint16_t flags, pad3[3];
    } subscription;
    static uint8_t event[32];
    static uint32_t n;
    subscription.clock = 1;
    subscription.timeout = ns;
    return poll_oneoff((uint32_t)(uintptr_t)&subscription, (uint32_t)(uintptr_t)event, 1, (uint32_t)(uintptr_t)&n);
}

static int64_t write_n(uint64_t n) {
    static struct {
        uint32_t base, n;
    } vector;
    static uint32_t written;
    vector.base = (uint32_t)(uintptr_t)heap;
    vector.n = (uint32_t)n;
    return fd_write(1, (uint32_t)(uintptr_t)&vector, 1, (uint32_t)(uintptr_t)&written);
}

static int64_t submit_text(void) {
    static const char text[] = "\x10\0\0\0{\"op\":\"test.op\"}body";
    return op_submit((uint32_t)(uintptr_t)text, sizeof text - 1);
}

static int64_t wait_one(uint64_t op, uint64_t timeout) {
    static uint32_t ops[1];
    ops[0] = (uint32_t)op;
    return op_wait((uint32_t)(uintptr_t)ops, 1, (int64_t)timeout);
}

static int64_t next_two(uint64_t timeout) {
    static uint32_t ids[2];
    ids[0] = ids[1] = 0;
    int64_t n = op_next((uint32_t)(uintptr_t)ids, 2, (int64_t)timeout);
    return n < 0 ? n : n << 60 | (int64_t)ids[0] << 30 | ids[1];
}

static int64_t submit_byte(uint64_t byte) {
    static char text[] = "\x10\0\0\0{\"op\":\"test.op\"}?";
    text[sizeof text - 2] = (char)byte;
    return op_submit((uint32_t)(uintptr_t)text, sizeof text - 1);
}

static int64_t wait_two(uint64_t first, uint64_t second, uint64_t timeout) {
    static uint32_t ops[2];
    ops[0] = (uint32_t)first;
    ops[1] = (uint32_t)second;
    return op_wait((uint32_t)(uintptr_t)ops, 2, (int64_t)timeout);
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    return (hash ^ value) * 0x100000001b3ull;
}

static int64_t take_bytes(uint64_t op, uint64_t capacity) {
    static uint8_t bytes[64];
    uint64_t hash = 0xcbf29ce484222325ull;
    if (capacity > sizeof bytes)
        capacity = sizeof bytes;
    int64_t n = op_take((uint32_t)op, (uint32_t)(uintptr_t)bytes, (uint32_t)capacity);
    if (n < 0 || n > (int64_t)capacity)
        return n;
    for (int64_t i = 0; i < n; i++)
        hash = mix(hash, bytes[i]);
    return n << 56 | (int64_t)(hash >> 8);
}

static int64_t read_clock(uint64_t clock) {
    static uint64_t now;
    now = 0;
    int64_t r = clock_time_get((uint32_t)clock, 0, (uint32_t)(uintptr_t)&now);
    return r != 0 ? -r : (int64_t)now;
}

static int64_t read_clock_often(uint64_t n) {
    uint64_t hash = 0;
    for (; n > 0; n--)
        hash = mix(hash, (uint64_t)read_clock(1));
    return (int64_t)hash;
}

static int64_t random_number(void) {
    static int64_t number;
    return random_get((uint32_t)(uintptr_t)&number, sizeof number) == 0 ? number : 0;
}

static int64_t obey_more(const struct order *o) {
    switch (o->what) {
    case SUBMIT_BYTE:
        return submit_byte(o->a);
    case WAIT_TWO:
        return wait_two(o->a, o->b, o->c);
    case TAKE_BYTES:
        return take_bytes(o->a, o->b);
    case CLOCK:
        return read_clock(o->a);
    case CLOCK_MANY:
        return read_clock_often(o->a);
    case RANDOM:
        return random_number();
    }
    return -1;
}

static int64_t obey(const struct order *o) {
    switch (o->what) {
    case SUBMIT:
        return op_submit((uint32_t)o->a, (uint32_t)o->b);
    case WAIT:
        return op_wait((uint32_t)o->a, (uint32_t)o->b, (int64_t)o->c);
    case TAKE:
        return op_take((uint32_t)o->a, (uint32_t)o->b, (uint32_t)o->c);
    case SPIN:
        for (;;)
            sink++;
    case SPIN_CALLS:
        for (;;)
            sched_yield();
    case GROW:
        return grow(o->a);
    case RECURSE:
        return recurse(0);
    case ABORT:
        __builtin_trap();
    case EXIT:
        proc_exit((uint32_t)o->a);
        return 0;
    case PEEK:
        return *(volatile uint8_t *)(uintptr_t)o->a;
    case POKE:
        *(volatile uint8_t *)(uintptr_t)o->a = (uint8_t)o->b;
        return 0;
    case WRITE:
        return write_n(o->a);
    case FUEL_LEFT:
        return fuel_left();
    case SLEEP:
        return sleep_ns(o->a);
    case SUBMIT_TEXT:
        return submit_text();
    case WAIT_ONE:
        return wait_one(o->a, o->b);
    case NEXT:
        return op_next((uint32_t)o->a, (uint32_t)o->b, (int64_t)o->c);
    case NEXT_TWO:
        return next_two(o->a);
    case CANCEL:
        return op_cancel((uint32_t)o->a);
    }
    return obey_more(o);
}

static void copy(void *to, const uint8_t *from, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = from[i];
}

static uint64_t obey_script(const uint8_t *orders, uint64_t n) {
    static struct {
        uint32_t header_n;
        int64_t results[SCRIPT_MAX];
    } __attribute__((packed)) results;
    for (uint64_t i = 0; i < n && i < SCRIPT_MAX; i++) {
        struct order o;
        copy(&o, orders + i * sizeof o, sizeof o);
        if (o.from & 1)
            o.a = (uint64_t)results.results[o.a % SCRIPT_MAX];
        if (o.from & 2)
            o.b = (uint64_t)results.results[o.b % SCRIPT_MAX];
        results.results[i] = obey(&o);
    }
    return (uint64_t)(uintptr_t)&results << 32 | (4 + n * sizeof(int64_t));
}

EXPORT(attack) uint64_t attack(const uint8_t *message, uint32_t n) {
    struct order order = {0};
    uint32_t header_n = *(const uint32_t *)message;
    const uint8_t *body = message + 4 + header_n;
    for (uint32_t i = 0; i < sizeof order && 4 + header_n + i < n; i++)
        ((uint8_t *)&order)[i] = body[i];
    if (order.what == REPLY_RAW) /* any address and size as the reply */
        return order.a << 32 | (uint32_t)order.b;
    if (order.what == SCRIPT)
        return obey_script(body + sizeof order, order.a);
    reply.body = obey(&order);
    return (uint64_t)(uintptr_t)&reply << 32 | sizeof reply;
}
