/* WASI calls with a tape: recorded, or answered from it. See tape.h. */
#ifndef SANDBOX_WASI_TAPE_H
#define SANDBOX_WASI_TAPE_H

#include "sandbox/wasi.h"

/* function->call(call), recorded on call->wasi's tape if its result comes from outside; or, while that is replayed, what it came to then.
 * Without a tape just the call. */
uint32_t wasi_taped_call(struct wasi_call *call, const struct wasi_function *function);

#endif
