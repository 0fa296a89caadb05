/* A sandbox: a Wasmtime store over a slot, its calls, and the imports that guests call.
 *
 * One of the two files that know Wasmtime. Everything a guest passes in is checked against the slot's current size before use. */
#include "sandbox/sandbox.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fault.h"
#include "guest/abi.h"
#include "sandbox/imports.h"
#include "sandbox/operation.h"
#include "sandbox/replay.h"
#include "sandbox/tape.h"
#include "sandbox/wasi_tape.h"
#include <stdlib.h>
#include <string.h>
#include <wasmtime.h>

/* Host work is taken from the guest's fuel in portions, since each one interrupts its slice. */
#define CHARGE_PORTION UINT64_C(1000000)
enum { BEGIN_SLICES_MAX = 1000, OP_COST = 2000, TELL_PORTION = 64 };

struct sandbox {
    struct sandbox_host host;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    struct slot *slot;
    struct slot_pool *slots;
    struct wasi *wasi;
    struct operation_table operations;
    struct tape tape;
    bool taped, allocating; /* allocating: guest_alloc runs, before the call */

    wasmtime_call_future_t *future; /* NULL: nothing runs */
    wasmtime_func_t function;
    wasmtime_val_t arguments[2], result;
    wasm_trap_t *trap;
    wasmtime_error_t *error;

    enum sandbox_end end;
    bool ended_by_host; /* an import ended the guest: end says why */
    uint32_t exit_code;
    char trap_text[128];

    uint64_t fuel, charge; /* given; host work not yet taken from it */
    bool yield_forced;     /* the yield interval is 1 until the next poll */

    struct park {
        enum {
            PARKED_NOT,
            PARKED_SLEEP,
            PARKED_OPS /* for one of ops */,
            PARKED_NEWS /* for any, told at `address` */
        } kind;
        uint64_t until;
        uint32_t *ops, ops_n;
        uint32_t address, capacity;
        wasmtime_val_t *result; /* what the guest gets */
    } park;
};

/* ---- fuel ---- */

static uint64_t fuel_left(const struct sandbox *sb) {
    uint64_t fuel = 0;
    wasmtime_error_t *e = wasmtime_context_get_fuel(sb->context, &fuel);
    if (e != NULL)
        wasmtime_error_delete(e);
    return fuel;
}

static void set_fuel(struct sandbox *sb, uint64_t fuel) {
    wasmtime_error_t *e = wasmtime_context_set_fuel(sb->context, fuel);
    if (e != NULL)
        wasmtime_error_delete(e);
}

static void set_slice(struct sandbox *sb, uint64_t fuel) {
    wasmtime_error_t *e = wasmtime_context_fuel_async_yield_interval(sb->context, fuel);
    if (e != NULL)
        wasmtime_error_delete(e);
}

static wasm_trap_t *end_guest(struct sandbox *sb, enum sandbox_end end) {
    sb->end = end;
    sb->ended_by_host = true;
    return wasmtime_trap_new("ended by the host", strlen("ended by the host"));
}

/* Takes host work from the guest's fuel. Setting fuel starts a new slice, so a loop of cheap calls would never yield: after each portion the
 * guest is made to yield at once. */
static wasm_trap_t *charge(struct sandbox *sb, uint64_t cost) {
    sb->charge += cost;
    if (sb->taped && sb->tape.trouble != NULL)
        return end_guest(sb, SANDBOX_DIVERGED);
    if (sb->taped && sb->tape.recorded.size >= TAPE_PORTION)
        sb->host.tape(sb->host.user);
    if (sb->charge < CHARGE_PORTION)
        return NULL;
    uint64_t left = fuel_left(sb);
    if (left <= sb->charge) {
        set_fuel(sb, 0);
        return end_guest(sb, SANDBOX_OUT_OF_FUEL);
    }
    set_fuel(sb, left - sb->charge);
    sb->charge = 0;
    set_slice(sb, 1);
    sb->yield_forced = true;
    return NULL;
}

/* ---- imports: WASI ---- */

static struct guest_memory memory_of(const struct sandbox *sb) {
    return (struct guest_memory){.base = sb->slot->base, .size = sb->slot->size};
}

/* [address, address + n) of guest memory, or NULL if any of it lies outside. */
static void *guest_range(const struct sandbox *sb, uint64_t address, uint64_t n) {
    return n <= sb->slot->size && address <= sb->slot->size - n ? sb->slot->base + address : NULL;
}

static struct sandbox *caller_sandbox(wasmtime_caller_t *caller) {
    return wasmtime_context_get_data(wasmtime_caller_context(caller));
}

static wasm_trap_t *after_wasi(struct sandbox *sb, const struct wasi_call *call) {
    if (call->end == WASI_EXIT) {
        sb->exit_code = call->exit_code;
        return end_guest(sb, SANDBOX_EXITED);
    }
    if (call->end == WASI_OUTPUT_LIMIT)
        return end_guest(sb, SANDBOX_OUTPUT_LIMIT);
    return charge(sb, call->cost);
}

static wasm_trap_t *call_wasi(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n) {
    const struct wasi_function *function = env;
    struct sandbox *sb = caller_sandbox(caller);
    uint64_t args[16] = {0};
    for (size_t i = 0; i < n && function->parameters[i] != '\0'; i++)
        args[i] = function->parameters[i] == 'i' ? (uint32_t)raw[i].i32 : (uint64_t)raw[i].i64;
    struct wasi_call call = {.wasi = sb->wasi, .memory = memory_of(sb), .args = args};
    uint32_t result = wasi_taped_call(&call, function);
    if (n > 0)
        raw[0].i32 = (int32_t)result;
    return after_wasi(sb, &call);
}

/* ---- parking ---- */

static void unpark(struct sandbox *sb) {
    free(sb->park.ops);
    sb->park = (struct park){.kind = PARKED_NOT};
}

/* Writes the ids of operations that are done to the guest's list, which was checked; a guest's memory never shrinks. */
static int32_t tell(struct sandbox *sb, uint32_t address, uint32_t capacity) {
    uint32_t ids[TELL_PORTION], told = 0, n;
    do {
        uint32_t room = capacity - told < TELL_PORTION ? capacity - told : TELL_PORTION;
        n = operations_tell(&sb->operations, ids, room);
        memcpy(sb->slot->base + address + told * sizeof ids[0], ids, n * sizeof ids[0]);
        told += n;
    } while (n == TELL_PORTION);
    return (int32_t)told;
}

/* Whether what it waits for has come. */
static bool has_come(struct sandbox *sb) {
    switch (sb->park.kind) {
    case PARKED_OPS:
        return operations_first_done(&sb->operations, sb->park.ops, sb->park.ops_n) >= 0;
    case PARKED_NEWS:
        return operations_has_news(&sb->operations);
    default:
        return false;
    }
}

/* What op_wait and op_next come to, noted on the tape. */
static int32_t waited(struct sandbox *sb, int32_t result) {
    if (sb->taped)
        record_waited(&sb->tape, result);
    return result;
}

static int32_t told(struct sandbox *sb, uint32_t address, int32_t result) {
    if (sb->taped)
        record_told(&sb->tape, sb->slot->base + address, result);
    return result;
}

/* Polled by Wasmtime whenever the sandbox is: true lets the guest go on. */
static bool continue_parked(void *env) {
    struct sandbox *sb = env;
    if (sb->park.kind == PARKED_NOT)
        return true;
    bool come = has_come(sb);
    if (!come && clock_monotonic_ns() < sb->park.until)
        return false;
    int32_t result = GUEST_E_TIMEOUT;
    if (sb->park.kind == PARKED_OPS)
        result = waited(sb, come ? operations_first_done(&sb->operations, sb->park.ops, sb->park.ops_n) : result);
    else if (sb->park.kind == PARKED_NEWS)
        result = told(sb, sb->park.address, come ? tell(sb, sb->park.address, sb->park.capacity) : result);
    if (sb->park.result != NULL)
        sb->park.result->of.i32 = result;
    unpark(sb);
    return true;
}

bool sandbox_ready(struct sandbox *sb, uint64_t now_ns) {
    return sb->park.kind == PARKED_NOT || now_ns >= sb->park.until || has_come(sb);
}

uint64_t sandbox_wake_time(const struct sandbox *sb) {
    return sb->park.kind != PARKED_NOT ? sb->park.until : 0;
}

/* The async imports: WASI functions that may park (poll_oneoff). */
static void call_wasi_async(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *arguments, size_t n,
                            wasmtime_val_t *results, size_t results_n, wasm_trap_t **trap,
                            wasmtime_async_continuation_t *continuation) {
    (void)results_n;
    const struct wasi_function *function = env;
    struct sandbox *sb = caller_sandbox(caller);
    uint64_t args[16] = {0};
    for (size_t i = 0; i < n; i++)
        args[i] =
            arguments[i].kind == WASMTIME_I32 ? (uint32_t)arguments[i].of.i32 : (uint64_t)arguments[i].of.i64;
    struct wasi_call call = {.wasi = sb->wasi, .memory = memory_of(sb), .args = args};
    results[0] = (wasmtime_val_t){.kind = WASMTIME_I32, .of.i32 = (int32_t)wasi_taped_call(&call, function)};
    *trap = after_wasi(sb, &call);
    if (*trap == NULL && call.end == WASI_PARK)
        sb->park = (struct park){.kind = PARKED_SLEEP, .until = call.park_until_ns};
    *continuation = (wasmtime_async_continuation_t){.callback = continue_parked, .env = sb};
}

/* ---- imports: operations ---- */

static int32_t submit(struct sandbox *sb, uint32_t address, uint32_t n) {
    const char *message = guest_range(sb, address, n), *header, *body;
    size_t header_n, body_n;
    if (message == NULL || !message_split(message, n, &header, &header_n, &body, &body_n))
        return GUEST_E_BAD_MESSAGE;
    if (sb->host.submit == NULL)
        return GUEST_E_FORBIDDEN;
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json_parse(header, header_n, &document, NULL) != 0 || json_type(json_root(document)) != JSON_OBJECT)
        return GUEST_E_BAD_MESSAGE;
    int32_t id = operations_open(&sb->operations);
    if (id < 0)
        return id;
    int32_t refused = 0;
    if (sb->taped && taped_submit(&sb->tape, message, n, &refused)) {
        operations_close(&sb->operations, (uint32_t)id);
        return refused;
    }
    int32_t r = sb->host.submit(sb->host.user, (uint32_t)id, json_root(document), body, body_n);
    if (r < 0 && sb->taped)
        record_refused(&sb->tape, r);
    if (r < 0)
        operations_close(&sb->operations, (uint32_t)id);
    return r < 0 ? r : id;
}

static wasm_trap_t *op_submit(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n) {
    (void)env, (void)n;
    struct sandbox *sb = caller_sandbox(caller);
    uint32_t size = (uint32_t)raw[1].i32;
    raw[0].i32 = submit(sb, (uint32_t)raw[0].i32, size);
    return charge(sb, OP_COST + size);
}

static wasm_trap_t *fuel_left_call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n) {
    (void)env, (void)n;
    struct sandbox *sb = caller_sandbox(caller);
    uint64_t left = fuel_left(sb);
    left = left > sb->charge ? left - sb->charge : 0;
    raw[0].i64 = (int64_t)(sb->taped ? taped_fuel(&sb->tape, left) : left);
    return charge(sb, OP_COST);
}

static int32_t take(struct sandbox *sb, uint32_t id, uint32_t address, uint32_t capacity) {
    const char *reply;
    size_t n;
    int32_t r = operations_reply(&sb->operations, id, &reply, &n);
    if (sb->taped)
        r = taped_take(&sb->tape, id, r);
    if (r < 0)
        return r;
    if (n > capacity)
        return (int32_t)n;
    void *to = guest_range(sb, address, n);
    if (to == NULL)
        return GUEST_E_BAD_MESSAGE;
    memcpy(to, reply, n);
    operations_close(&sb->operations, id);
    return (int32_t)n;
}

static wasm_trap_t *op_take(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n) {
    (void)env, (void)n;
    struct sandbox *sb = caller_sandbox(caller);
    int32_t size = take(sb, (uint32_t)raw[0].i32, (uint32_t)raw[1].i32, (uint32_t)raw[2].i32);
    raw[0].i32 = size;
    return charge(sb, OP_COST + (size > 0 ? (uint64_t)size : 0));
}

static wasm_trap_t *op_cancel(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n) {
    (void)env, (void)n;
    struct sandbox *sb = caller_sandbox(caller);
    uint32_t id = (uint32_t)raw[0].i32;
    const char *reply;
    size_t reply_n;
    int32_t r = operations_reply(&sb->operations, id, &reply, &reply_n);
    if (r == GUEST_E_PENDING) {
        sb->host.cancel(sb->host.user, id);
        r = 0;
    }
    raw[0].i32 = r;
    return charge(sb, OP_COST);
}

static uint64_t wait_until(int64_t timeout_ns) {
    return timeout_ns < 0 ? UINT64_MAX : clock_monotonic_ns() + (uint64_t)timeout_ns;
}

/* What the guest gets at once, or 0 with sb->park set. */
static int32_t wait_for_ops(struct sandbox *sb, uint32_t address, uint32_t n, int64_t timeout_ns,
                            wasmtime_val_t *result) {
    if (n > GUEST_OPS_MAX)
        return GUEST_E_TOO_MANY;
    const void *list = guest_range(sb, address, (uint64_t)n * sizeof(uint32_t));
    if (list == NULL)
        return GUEST_E_BAD_MESSAGE;
    uint32_t *ops = FAULT("sandbox.wait") ? NULL : malloc((n + 1) * sizeof *ops);
    if (ops == NULL)
        return GUEST_E_TOO_MANY;
    memcpy(ops, list, n * sizeof *ops);
    if (tape_replays(&sb->tape)) {
        int32_t then = replay_waited(&sb->tape, &sb->operations, ops, n);
        free(ops);
        return then;
    }
    int32_t index = operations_first_done(&sb->operations, ops, n);
    if (index >= 0 || timeout_ns == 0) {
        free(ops);
        return waited(sb, index >= 0 ? index : GUEST_E_TIMEOUT);
    }
    sb->park = (struct park){
        .kind = PARKED_OPS, .until = wait_until(timeout_ns), .ops = ops, .ops_n = n, .result = result};
    return 0;
}

static int32_t wait_for_news(struct sandbox *sb, uint32_t address, uint32_t capacity, int64_t timeout_ns,
                             wasmtime_val_t *result) {
    if (capacity == 0 || guest_range(sb, address, (uint64_t)capacity * sizeof(uint32_t)) == NULL)
        return GUEST_E_BAD_MESSAGE;
    if (tape_replays(&sb->tape))
        return replay_told(&sb->tape, &sb->operations, sb->slot->base + address, capacity);
    int32_t n = tell(sb, address, capacity);
    if (n > 0 || timeout_ns == 0)
        return told(sb, address, n > 0 ? n : GUEST_E_TIMEOUT);
    sb->park = (struct park){.kind = PARKED_NEWS,
                             .until = wait_until(timeout_ns),
                             .address = address,
                             .capacity = capacity,
                             .result = result};
    return 0;
}

typedef int32_t wait_call(struct sandbox *sb, uint32_t address, uint32_t n, int64_t timeout_ns,
                          wasmtime_val_t *result);

static void waiting_import(wait_call *call, wasmtime_caller_t *caller, const wasmtime_val_t *arguments,
                           wasmtime_val_t *results, wasm_trap_t **trap,
                           wasmtime_async_continuation_t *continuation) {
    struct sandbox *sb = caller_sandbox(caller);
    uint32_t n = (uint32_t)arguments[1].of.i32;
    int32_t r = call(sb, (uint32_t)arguments[0].of.i32, n, arguments[2].of.i64, &results[0]);
    results[0] = (wasmtime_val_t){.kind = WASMTIME_I32, .of.i32 = r};
    *trap = charge(sb, OP_COST + n);
    if (*trap != NULL)
        unpark(sb);
    *continuation = (wasmtime_async_continuation_t){.callback = continue_parked, .env = sb};
}

static void op_wait(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *arguments, size_t n,
                    wasmtime_val_t *results, size_t results_n, wasm_trap_t **trap,
                    wasmtime_async_continuation_t *continuation) {
    (void)env, (void)n, (void)results_n;
    waiting_import(wait_for_ops, caller, arguments, results, trap, continuation);
}

static void op_next(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *arguments, size_t n,
                    wasmtime_val_t *results, size_t results_n, wasm_trap_t **trap,
                    wasmtime_async_continuation_t *continuation) {
    (void)env, (void)n, (void)results_n;
    waiting_import(wait_for_news, caller, arguments, results, trap, continuation);
}

/* ---- linking ---- */

/* result: 'i', 'I' or 0 for none. */
static wasm_functype_t *function_type(const char *parameters, char result) {
    wasm_valtype_t *types[16];
    size_t n = 0;
    for (; parameters[n] != '\0' && n < 16; n++)
        types[n] = wasm_valtype_new(parameters[n] == 'i' ? WASM_I32 : WASM_I64);
    wasm_valtype_vec_t in, out;
    wasm_valtype_vec_new(&in, n, types);
    wasm_valtype_t *type = result == 0 ? NULL : wasm_valtype_new(result == 'i' ? WASM_I32 : WASM_I64);
    wasm_valtype_vec_new(&out, result != 0 ? 1 : 0, &type);
    return wasm_functype_new(&in, &out);
}

struct import {
    const char *module, *name, *parameters;
    char result; /* 'i', 'I' or 0 */
    wasmtime_func_unchecked_callback_t call;
    wasmtime_func_async_callback_t call_async;
    const struct wasi_function *wasi;
};

static int define(wasmtime_linker_t *linker, const struct import *import, struct error *err) {
    wasm_functype_t *type = function_type(import->parameters, import->result);
    void *env = (void *)(uintptr_t)import->wasi;
    size_t module_n = strlen(import->module), name_n = strlen(import->name);
    wasmtime_error_t *e =
        import->call_async != NULL
            ? wasmtime_linker_define_async_func(linker, import->module, module_n, import->name, name_n, type,
                                                import->call_async, env, NULL)
            : wasmtime_linker_define_func_unchecked(linker, import->module, module_n, import->name, name_n, type,
                                                    import->call, env, NULL);
    wasm_functype_delete(type);
    if (e == NULL)
        return 0;
    wasmtime_error_delete(e);
    return error_set(err, ERROR_INTERNAL, "can't define the import %s.%s", import->module, import->name);
}

int sandbox_define_imports(struct wasmtime_linker *linker, struct error *err) {
    static const struct import operations[] = {
        {"capsule", "op_submit", "ii", 'i', op_submit, NULL, NULL},
        {"capsule", "op_wait", "iiI", 'i', NULL, op_wait, NULL},
        {"capsule", "op_next", "iiI", 'i', NULL, op_next, NULL},
        {"capsule", "op_take", "iii", 'i', op_take, NULL, NULL},
        {"capsule", "op_cancel", "i", 'i', op_cancel, NULL, NULL},
        {"capsule", "fuel_left", "", 'I', fuel_left_call, NULL, NULL},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof operations / sizeof operations[0]; i++)
        r = define(linker, &operations[i], err);
    for (size_t i = 0; r == 0 && i < wasi_functions_n; i++) {
        const struct wasi_function *f = &wasi_functions[i];
        bool parks = strcmp(f->name, "poll_oneoff") == 0, exits = strcmp(f->name, "proc_exit") == 0;
        struct import import = {
            "wasi_snapshot_preview1",       f->name, f->parameters, exits ? 0 : 'i', parks ? NULL : call_wasi,
            parks ? call_wasi_async : NULL, f};
        r = define(linker, &import, err);
    }
    return r;
}

/* ---- opening and closing ---- */

static int instantiate(struct sandbox *sb, const struct sandbox_options *o, struct error *err) {
    sb->store = wasmtime_store_new(engine_wasm(o->engine), sb, NULL);
    sb->context = wasmtime_store_context(sb->store);
    set_fuel(sb, o->fuel);
    set_slice(sb, ENGINE_SLICE_FUEL);
    *instantiating_slot() = sb->slot;
    wasmtime_call_future_t *future =
        wasmtime_instance_pre_instantiate_async(o->module->pre, sb->context, &sb->instance, &sb->trap, &sb->error);
    while (!wasmtime_call_future_poll(future))
        continue; /* no start function: it never waits */
    wasmtime_call_future_delete(future);
    *instantiating_slot() = NULL;
    if (sb->trap == NULL && sb->error == NULL)
        return 0;
    return error_set(err, ERROR_INTERNAL, "a sandbox can't be instantiated");
}

int sandbox_open(const struct sandbox_options *o, struct sandbox **ret, struct error *err) {
    struct sandbox *sb = FAULT("sandbox.alloc") ? NULL : calloc(1, sizeof *sb);
    if (sb == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for a sandbox");
    operations_init(&sb->operations);
    sb->host = o->host;
    sb->slots = o->slots;
    sb->fuel = o->fuel;
    sb->taped = o->taped;
    tape_init(&sb->tape, o->replay, o->replay_n);
    struct wasi_options wasi = o->wasi;
    wasi.tape = o->taped ? &sb->tape : NULL;
    int r = wasi_new(&wasi, &sb->wasi, err);
    if (r == 0)
        r = slot_take(o->slots, o->image, o->ram, &sb->slot, err);
    if (r == 0)
        r = instantiate(sb, o, err);
    if (r != 0) {
        sandbox_close(sb);
        return r;
    }
    *ret = sb;
    return 0;
}

static void drop_outcome(struct sandbox *sb) {
    if (sb->trap != NULL)
        wasm_trap_delete(sb->trap);
    if (sb->error != NULL)
        wasmtime_error_delete(sb->error);
    sb->trap = NULL;
    sb->error = NULL;
}

/* Ends the call that runs, if any: dropping its future unwinds the fiber. */
static void drop_call(struct sandbox *sb) {
    if (sb->future != NULL)
        wasmtime_call_future_delete(sb->future);
    sb->future = NULL;
    unpark(sb);
}

void sandbox_close(struct sandbox *sb) {
    if (sb == NULL)
        return;
    drop_call(sb);
    drop_outcome(sb);
    if (sb->store != NULL)
        wasmtime_store_delete(sb->store);
    /* After the store: only then does nothing refer to the memory any more. */
    if (sb->slot != NULL)
        slot_put(sb->slots, sb->slot);
    operations_done(&sb->operations);
    tape_done(&sb->tape);
    wasi_free(sb->wasi);
    free(sb);
}

/* ---- calling ---- */

static int begin(struct sandbox *sb, const char *name, size_t arguments_n, struct error *err) {
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(sb->context, &sb->instance, name, strlen(name), &item) ||
        item.kind != WASMTIME_EXTERN_FUNC)
        return error_set(err, ERROR_CORRUPT, "the guest has no function %s", name);
    drop_outcome(sb);
    sb->function = item.of.func;
    sb->end = SANDBOX_RETURNED;
    sb->ended_by_host = false;
    sb->trap_text[0] = '\0';
    sb->result = (wasmtime_val_t){.kind = WASMTIME_I32};
    size_t results_n = strcmp(name, "_initialize") == 0 ? 0 : 1;
    sb->future = wasmtime_func_call_async(sb->context, &sb->function, sb->arguments, arguments_n, &sb->result,
                                          results_n, &sb->trap, &sb->error);
    return 0;
}

int sandbox_begin(struct sandbox *sb, const char *function, struct error *err) {
    return begin(sb, function, 0, err);
}

static void set_argument(struct sandbox *sb, size_t i, uint32_t value) {
    sb->arguments[i] = (wasmtime_val_t){.kind = WASMTIME_I32, .of.i32 = (int32_t)value};
}

/* Asks the guest for n bytes. It's malloc at work, so it neither waits nor takes long; a guest in disorder is given up. */
static int allocate(struct sandbox *sb, size_t n, uint32_t *ret, struct error *err) {
    set_argument(sb, 0, (uint32_t)n);
    int r = begin(sb, "guest_alloc", 1, err);
    if (r != 0)
        return r;
    sb->allocating = true;
    enum sandbox_state state = SANDBOX_RUNNABLE;
    for (int slices = 0; slices < BEGIN_SLICES_MAX && state != SANDBOX_ENDED; slices++)
        state = sandbox_poll(sb);
    sb->allocating = false;
    uint32_t address = sandbox_result_u32(sb);
    if (state == SANDBOX_ENDED && sb->end == SANDBOX_RETURNED && address != 0 &&
        guest_range(sb, address, n) != NULL) {
        *ret = address;
        return 0;
    }
    drop_call(sb);
    return error_set(err, ERROR_LIMIT, "the sandbox has no room for a message of %zu bytes", n);
}

int sandbox_begin_message(struct sandbox *sb, const char *function, const char *header, size_t header_n,
                          const char *body, size_t body_n, struct error *err) {
    size_t n = message_size(header_n, body_n);
    if (header_n > GUEST_HEADER_MAX || body_n > GUEST_MESSAGE_MAX || n > GUEST_MESSAGE_MAX)
        return error_set(err, ERROR_LIMIT, "a message of %zu bytes is longer than the limit of %d", n,
                         (int)GUEST_MESSAGE_MAX);
    const struct image_info *info = &sb->slot->image->info;
    uint32_t address = info->inbox;
    if (n > info->inbox_size || guest_range(sb, address, n) == NULL) {
        int r = allocate(sb, n, &address, err);
        if (r != 0)
            return r;
    }
    message_write(guest_range(sb, address, n), header, header_n, body, body_n);
    set_argument(sb, 0, address);
    set_argument(sb, 1, (uint32_t)n);
    return begin(sb, function, 2, err);
}

static void describe_trap(struct sandbox *sb) {
    static const char *const words[] = {
        [WASMTIME_TRAP_CODE_STACK_OVERFLOW] = "call stack exhausted",
        [WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS] = "access outside of the sandbox's memory",
        [WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS] = "call outside of the function table",
        [WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL] = "call of a null function",
        [WASMTIME_TRAP_CODE_BAD_SIGNATURE] = "call of a function with another signature",
        [WASMTIME_TRAP_CODE_INTEGER_OVERFLOW] = "integer overflow",
        [WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = "integer division by zero",
        [WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER] = "a float doesn't fit an integer",
        [WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = "the interpreter aborted",
    };
    wasmtime_trap_code_t code = 0;
    bool known = sb->trap != NULL && wasmtime_trap_code(sb->trap, &code);
    if (known && code == WASMTIME_TRAP_CODE_OUT_OF_FUEL)
        sb->end = SANDBOX_OUT_OF_FUEL;
    else
        sb->end = sb->slot->grow_denied ? SANDBOX_OUT_OF_MEMORY : SANDBOX_TRAPPED;
    const char *text =
        known && code < sizeof words / sizeof words[0] && words[code] != NULL ? words[code] : "the guest trapped";
    size_t n = strlen(text);
    memcpy(sb->trap_text, text, n + 1);
}

enum sandbox_state sandbox_poll(struct sandbox *sb) {
    if (sb->future == NULL)
        return SANDBOX_ENDED;
    if (sb->yield_forced) {
        set_slice(sb, ENGINE_SLICE_FUEL);
        sb->yield_forced = false;
    }
    if (!wasmtime_call_future_poll(sb->future)) {
        slot_learn(sb->slots, sb->slot);
        return sb->park.kind != PARKED_NOT ? SANDBOX_PARKED : SANDBOX_RUNNABLE;
    }
    drop_call(sb);
    if (sb->taped && tape_replays(&sb->tape) && !sb->allocating)
        tape_diverge(&sb->tape, "it ended, where it went on before");
    if (sb->taped && sb->tape.trouble != NULL) {
        sb->end = SANDBOX_DIVERGED;
        sb->ended_by_host = true;
    }
    if ((sb->trap != NULL || sb->error != NULL) && !sb->ended_by_host)
        describe_trap(sb);
    return SANDBOX_ENDED;
}

void sandbox_complete(struct sandbox *sb, uint32_t id, char *message, size_t n) {
    operations_complete(&sb->operations, id, message, n);
}

uint64_t sandbox_untaken(struct sandbox *sb) {
    return operations_untaken(&sb->operations);
}

/* ---- outcome ---- */

enum sandbox_end sandbox_end(const struct sandbox *sb) {
    return sb->end;
}

uint32_t sandbox_exit_code(const struct sandbox *sb) {
    return sb->exit_code;
}

const char *sandbox_trap(const struct sandbox *sb) {
    return sb->end == SANDBOX_DIVERGED ? sb->tape.trouble : sb->trap_text;
}

int sandbox_take_tape(struct sandbox *sb, struct buffer *to) {
    return tape_take(&sb->tape, to);
}

bool sandbox_replays(const struct sandbox *sb) {
    return tape_replays(&sb->tape);
}

uint32_t sandbox_result_u32(const struct sandbox *sb) {
    return (uint32_t)sb->result.of.i32;
}

int sandbox_reply(const struct sandbox *sb, const char **ret_header, size_t *ret_header_n, const char **ret_body,
                  size_t *ret_body_n, struct error *err) {
    uint64_t packed = (uint64_t)sb->result.of.i64;
    const char *message = guest_range(sb, packed >> 32, packed & UINT32_MAX);
    if (sb->result.kind != WASMTIME_I64 || message == NULL ||
        !message_split(message, packed & UINT32_MAX, ret_header, ret_header_n, ret_body, ret_body_n))
        return error_set(err, ERROR_INVALID, "the guest's reply is malformed");
    return 0;
}

uint64_t sandbox_fuel_used(const struct sandbox *sb) {
    uint64_t left = fuel_left(sb), used = sb->fuel > left ? sb->fuel - left : 0;
    return used + sb->charge < sb->fuel ? used + sb->charge : sb->fuel;
}

uint64_t sandbox_ram(const struct sandbox *sb) {
    return sb->slot->size;
}

bool sandbox_memory_denied(const struct sandbox *sb) {
    return sb->slot->grow_denied;
}

/* ---- snapshot ---- */

/* Where the linear stack ends when nothing runs; below it are dead frames. 0 if the guest doesn't say. */
static uint64_t stack_base(struct sandbox *sb) {
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(sb->context, &sb->instance, "__stack_pointer", strlen("__stack_pointer"),
                                      &item))
        return 0;
    if (item.kind != WASMTIME_EXTERN_GLOBAL)
        return 0;
    wasmtime_val_t value;
    wasmtime_global_get(sb->context, &item.of.global, &value);
    return (uint32_t)value.of.i32;
}

int sandbox_snapshot(struct sandbox *sb, int fd, struct image_info *ret, struct error *err) {
    if (sb->future != NULL || sb->end != SANDBOX_RETURNED || !wasi_quiescent(sb->wasi) || sb->operations.n > 0) {
        error_set(err, ERROR_PROJECT, "the program left something open when its import ended");
        error_hint(err, "close files that are opened at the top level of a module; a task opens its own");
        return ERROR_PROJECT;
    }
    struct image_info info = {.inbox_size = GUEST_MESSAGE_SMALL};
    int r = allocate(sb, GUEST_MESSAGE_SMALL, &info.inbox, err);
    if (r != 0)
        return r;
    info.size = sb->slot->size;
    r = image_write(fd, sb->slot->base, info.size, stack_base(sb), err);
    if (r == 0)
        *ret = info;
    return r;
}
