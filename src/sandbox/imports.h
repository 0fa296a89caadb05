/* What guests import, given to the linker: WASI preview 1 and module "capsule". Private to engine.c and sandbox.c. */
#ifndef SANDBOX_IMPORTS_H
#define SANDBOX_IMPORTS_H

#include "base/error.h"

struct wasmtime_linker;
struct slot;

/* Defined in sandbox.c, since each import acts on the sandbox that calls it. */
int sandbox_define_imports(struct wasmtime_linker *linker, struct error *err);

/* The slot that the next instantiation on this thread gets as its linear memory; taken (set to NULL) by the memory creator. Wasmtime's memory
 * creator belongs to the engine and is told nothing of the store, hence thread-local. */
struct slot **instantiating_slot(void);

#endif
