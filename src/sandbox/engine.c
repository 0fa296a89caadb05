/* Wasmtime's configuration, our memory and stack creators, compiling and loading. */
#include "sandbox/engine.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "base/file.h"
#include "sandbox/imports.h"
#include "sandbox/stack.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasmtime.h>

struct engine {
    wasm_engine_t *wasm;
    wasmtime_linker_t *linker;
    struct slot_arena *slots;
    struct stack_pool *stacks;
};

static int engine_error(struct error *err, int code, const char *what, wasmtime_error_t *e) {
    wasm_name_t message;
    wasmtime_error_message(e, &message);
    error_set(err, code, "%s: %.*s", what, (int)message.size, message.data);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(e);
    return code;
}

/* ---- linear memory: a slot ---- */

struct slot **instantiating_slot(void) {
    static _Thread_local struct slot *slot;
    return &slot;
}

static uint8_t *memory_get(void *env, size_t *size, size_t *capacity) {
    const struct slot *slot = env;
    *size = slot->size;
    *capacity = SLOT_RESERVATION;
    return slot->base;
}

static wasmtime_error_t *memory_grow(void *env, size_t size) {
    return slot_grow(env, size) ? NULL : wasmtime_error_new("the sandbox's memory limit is reached");
}

static wasmtime_error_t *memory_new(void *env, const wasm_memorytype_t *type, size_t minimum, size_t maximum,
                                    size_t reserved, size_t guard, wasmtime_linear_memory_t *ret) {
    (void)env, (void)type, (void)maximum;
    struct slot *slot = *instantiating_slot();
    *instantiating_slot() = NULL;
    /* The first three can't be: they'd mean that code was compiled for another layout than the slots have. */
    if (slot == NULL || reserved != SLOT_RESERVATION || guard > SLOT_GUARD || minimum > slot->size)
        return wasmtime_error_new("the image doesn't fit the module's memory");
    *ret = (wasmtime_linear_memory_t){.env = slot, .get_memory = memory_get, .grow_memory = memory_grow};
    return NULL;
}

/* ---- fiber stacks ---- */

static uint8_t *stack_top(void *env, size_t *size) {
    const struct fiber_stack *stack = env;
    *size = FIBER_STACK_SIZE;
    return stack->low + FIBER_STACK_SIZE;
}

static void stack_finalize(void *env) {
    stack_put(env);
}

static wasmtime_error_t *stack_new(void *env, size_t size, bool zeroed, wasmtime_stack_memory_t *ret) {
    struct stack_pool *pool = env;
    struct fiber_stack *stack = size <= FIBER_STACK_SIZE && !zeroed ? stack_take(pool) : NULL;
    if (stack == NULL)
        return wasmtime_error_new("no memory for a fiber's stack");
    *ret = (wasmtime_stack_memory_t){.env = stack, .get_stack_memory = stack_top, .finalizer = stack_finalize};
    return NULL;
}

/* ---- engine ---- */

static wasm_config_t *configure(struct stack_pool *stacks) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_max_wasm_stack_set(config, FIBER_WASM_MAX);
    wasmtime_config_async_stack_size_set(config, FIBER_STACK_SIZE);
    wasmtime_config_memory_reservation_set(config, SLOT_RESERVATION);
    wasmtime_config_memory_guard_size_set(config, SLOT_GUARD);
    wasmtime_config_memory_may_move_set(config, false);
    wasmtime_config_memory_init_cow_set(config, false);
    /* Nothing unwinds through guests natively, and registering the tables would cost every start. */
    wasmtime_config_native_unwind_info_set(config, false);
    wasmtime_memory_creator_t memory = {.new_memory = memory_new};
    wasmtime_config_host_memory_creator_set(config, &memory);
    wasmtime_stack_creator_t stack = {.env = stacks, .new_stack = stack_new};
    wasmtime_config_host_stack_creator_set(config, &stack);
    return config;
}

/* Raise the number when the configuration changes in a way that compiled code depends on. */
const char *engine_identity(void) {
    return "wasmtime-" WASMTIME_VERSION "-capsule-1";
}

int engine_open(unsigned max_sandboxes, struct engine **ret, struct error *err) {
    if (sysconf(_SC_PAGESIZE) != HOST_PAGE_SIZE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "this machine's memory pages have %ld bytes; only %d is supported", sysconf(_SC_PAGESIZE),
                         HOST_PAGE_SIZE);
    struct engine *engine = FAULT("engine.alloc") ? NULL : calloc(1, sizeof *engine);
    if (engine == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for the engine");
    int r = slot_arena_new(max_sandboxes, &engine->slots, err);
    if (r == 0)
        r = stack_pool_new(&engine->stacks, err);
    if (r == 0) {
        engine->wasm = wasm_engine_new_with_config(configure(engine->stacks));
        if (engine->wasm == NULL)
            r = error_set(err, ERROR_UNSUPPORTED, "the WebAssembly engine doesn't start on this machine");
    }
    if (r == 0) {
        engine->linker = wasmtime_linker_new(engine->wasm);
        r = sandbox_define_imports(engine->linker, err);
    }
    if (r != 0) {
        engine_close(engine);
        return r;
    }
    *ret = engine;
    return 0;
}

void engine_close(struct engine *engine) {
    if (engine == NULL)
        return;
    if (engine->linker != NULL)
        wasmtime_linker_delete(engine->linker);
    if (engine->wasm != NULL)
        wasm_engine_delete(engine->wasm);
    stack_pool_free(engine->stacks);
    slot_arena_free(engine->slots);
    free(engine);
}

int engine_compile(struct engine *engine, const uint8_t *wasm, size_t n, int fd, struct error *err) {
    wasmtime_module_t *module = NULL;
    wasmtime_error_t *e = wasmtime_module_new(engine->wasm, wasm, n, &module);
    if (e != NULL)
        return engine_error(err, ERROR_CORRUPT, "a guest can't be compiled", e);
    wasm_byte_vec_t code;
    e = wasmtime_module_serialize(module, &code);
    wasmtime_module_delete(module);
    if (e != NULL)
        return engine_error(err, ERROR_INTERNAL, "compiled code can't be written down", e);
    int r =
        file_write(fd, code.data, code.size) ? 0 : error_errno(err, ERROR_IO, errno, "can't write compiled code");
    wasm_byte_vec_delete(&code);
    return r;
}

/* The one memory's declared minimum, in bytes; 0 if there's none. */
static uint64_t declared_memory(const wasmtime_module_t *module) {
    wasm_exporttype_vec_t exports;
    wasmtime_module_exports(module, &exports);
    uint64_t bytes = 0;
    for (size_t i = 0; i < exports.size; i++) {
        const wasm_externtype_t *type = wasm_exporttype_type(exports.data[i]);
        if (wasm_externtype_kind(type) == WASM_EXTERN_MEMORY)
            bytes = wasmtime_memorytype_minimum(wasm_externtype_as_memorytype_const(type)) * WASM_PAGE_SIZE;
    }
    wasm_exporttype_vec_delete(&exports);
    return bytes;
}

int engine_load(struct engine *engine, const char *path, struct guest_module *ret, struct error *err) {
    wasmtime_module_t *module = NULL;
    wasmtime_error_t *e = wasmtime_module_deserialize_file(engine->wasm, path, &module);
    if (e != NULL)
        return engine_error(err, ERROR_CORRUPT, "compiled code can't be loaded", e);
    wasmtime_instance_pre_t *pre = NULL;
    e = wasmtime_linker_instantiate_pre(engine->linker, module, &pre);
    uint64_t size = declared_memory(module);
    wasmtime_module_delete(module);
    if (e != NULL)
        return engine_error(err, ERROR_CORRUPT, "a guest wants an import that doesn't exist", e);
    *ret = (struct guest_module){.pre = pre, .memory_size = size};
    return 0;
}

void engine_unload(struct guest_module *module) {
    if (module->pre != NULL)
        wasmtime_instance_pre_delete(module->pre);
    *module = (struct guest_module){0};
}

struct slot_arena *engine_slots(struct engine *engine) {
    return engine->slots;
}

struct wasm_engine_t *engine_wasm(struct engine *engine) {
    return engine->wasm;
}
