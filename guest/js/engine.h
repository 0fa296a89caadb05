/* What the files of the JavaScript guest share. */
#ifndef GUEST_JS_ENGINE_H
#define GUEST_JS_ENGINE_H

#include "quickjs.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- module.c: `capsule:native`, what the runtime's TypeScript imports (runtime/types/native.d.ts) --- */

/* Makes the module known. Negative: a JavaScript exception is pending. */
int native_install(JSContext *js);

/* What the runtime registered for the event loop; JS_UNDEFINED until then. Borrowed. */
JSValueConst native_on_done(void);
JSValueConst native_on_timers(void);
/* Operations that somebody waits for and that weren't told of. */
int native_watched(void);
void native_unwatch(uint32_t op);

/* --- parts of that module --- */
extern const JSCFunctionListEntry native_bytes[], native_files[], native_inspect[];
extern const int native_bytes_n, native_files_n, native_inspect_n;

/* --- loop.c: jobs, timers and operations until something is settled --- */

enum loop_end {
    LOOP_SETTLED,  /* the promise is fulfilled or rejected */
    LOOP_STUCK,    /* nothing can ever settle it */
    LOOP_REJECTED, /* another promise was rejected and nobody handled it: see loop_take_rejection */
    LOOP_THREW,    /* a callback threw: the exception is pending */
};

void loop_install(JSContext *js);
enum loop_end loop_run(JSContext *js, JSValueConst promise);
JSValue loop_take_rejection(JSContext *js);
/* Parks until operations are done or the time is over (negative: no limit), and tells the runtime of those. False: an exception is pending. */
bool loop_wait(JSContext *js, double timeout_ms);

/* --- source_map.c: from positions in the bundle to those in the user's files --- */

/* Takes a copy of the "mappings" of a source map, version 3. False: no memory. */
bool source_map_keep(const char *mappings, size_t n);

struct source_position {
    int32_t line, column;               /* in the bundle, from 1 */
    int32_t source;                     /* from 0; negative: not found */
    int32_t source_line, source_column; /* from 1 */
};

/* Looks n positions up, in place. They come sorted by line and column. */
void source_map_locate(struct source_position *positions, size_t n);

/* --- memory.c --- */

JSRuntime *memory_new_runtime(void);
/* The image is complete: what's there is frozen (engine/freeze.c), new small objects are made side by side, and collections wait until a task has made much of
 * its own. */
void memory_settle(JSRuntime *runtime);

#endif
