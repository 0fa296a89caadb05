/* The WebAssembly engine: configuration, compilation, and what all sandboxes of a process share.
 *
 * One of the two files that know Wasmtime (the other is sandbox.c). Compiled code is position-independent native code in a file
 * (".cwasm"); it may be loaded only if this installation wrote it, which the caller makes sure of (app/cache.h).
 * Thread-safe. */
#ifndef SANDBOX_ENGINE_H
#define SANDBOX_ENGINE_H

#include "base/error.h"
#include "sandbox/slot.h"
#include <stddef.h>
#include <stdint.h>

/* Fuel between two yields of a running guest: about a millisecond. */
#define ENGINE_SLICE_FUEL UINT64_C(10000000)

struct engine;
struct wasm_engine_t;
struct wasmtime_instance_pre;

/* A guest's compiled code with its imports resolved. */
struct guest_module {
    struct wasmtime_instance_pre *pre;
    uint64_t memory_size; /* bytes of linear memory that it declares at least */
};

/* max_sandboxes: alive at once. ERROR_UNSUPPORTED on a machine or kernel that can't. */
int engine_open(unsigned max_sandboxes, struct engine **ret, struct error *err);
void engine_close(struct engine *engine); /* after its modules and sandboxes */

/* Names what compiled code depends on besides its source: engine version and configuration. Static. */
const char *engine_identity(void);

/* Compiles a core module and writes the native code to fd. */
int engine_compile(struct engine *engine, const uint8_t *wasm, size_t n, int fd, struct error *err);
/* Loads native code that engine_compile wrote. ERROR_CORRUPT if this engine can't use it. */
int engine_load(struct engine *engine, const char *path, struct guest_module *ret, struct error *err);
void engine_unload(struct guest_module *module);

struct slot_arena *engine_slots(struct engine *engine);
struct wasm_engine_t *engine_wasm(struct engine *engine);

#endif
