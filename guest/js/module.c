/* `capsule:native`: host operations and clocks; with the parts in native_*.c what runtime/types/native.d.ts describes. */
#include "abi.h"
#include "engine.h"
#include "host.h"
#include "message.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TAKE_FIRST = 4096, POSITIONS_MAX = 64 };

static JSValue done_callback = JS_UNDEFINED, timers_callback = JS_UNDEFINED;

/* One bit for each operation that may be open at once: the low bits of a number differ from those of all others that are open. */
static struct {
    uint32_t bits[GUEST_OPS_MAX / 32];
    int n;
} watched;

JSValueConst native_on_done(void) {
    return done_callback;
}

JSValueConst native_on_timers(void) {
    return timers_callback;
}

int native_watched(void) {
    return watched.n;
}

static void set_watched(uint32_t op, bool on) {
    uint32_t index = (op - 1) % GUEST_OPS_MAX, bit = UINT32_C(1) << index % 32;
    if (((watched.bits[index / 32] & bit) != 0) == on)
        return;
    watched.bits[index / 32] ^= bit;
    watched.n += on ? 1 : -1;
}

void native_unwatch(uint32_t op) {
    set_watched(op, false);
}

static JSValue refused(JSContext *js, int32_t code) {
    return JS_ThrowPlainError(js, "%s", host_refusal(code));
}

/* --- operations --- */

/* A message's body: bytes, text or nothing. `text` has to be freed by JS_FreeCString. */
struct body {
    const char *text;
    const uint8_t *bytes;
    size_t n;
};

static bool body_of(JSContext *js, JSValueConst value, struct body *ret) {
    *ret = (struct body){0};
    if (JS_IsUndefined(value))
        return true;
    if (JS_IsString(value)) {
        ret->text = JS_ToCStringLen(js, &ret->n, value);
        ret->bytes = (const uint8_t *)ret->text;
        return ret->text != NULL;
    }
    ret->bytes = JS_GetUint8Array(js, &ret->n, value);
    return ret->bytes || !JS_HasException(js);
}

static JSValue submit_parts(JSContext *js, const char *header, size_t header_n, const struct body *body) {
    if (header_n > GUEST_HEADER_MAX || body->n > GUEST_MESSAGE_MAX - 4 - header_n)
        return refused(js, GUEST_E_BAD_MESSAGE);
    size_t n = 4 + header_n + body->n;
    uint8_t *message = malloc(n);
    if (!message)
        return JS_ThrowOutOfMemory(js);
    message_write(message, header, header_n, (const char *)body->bytes, body->n);
    int32_t op = op_submit(message, (uint32_t)n);
    free(message);
    if (op == GUEST_E_TOO_MANY)
        return JS_NewInt32(js, 0);
    return op < 0 ? refused(js, op) : JS_NewInt32(js, op);
}

static JSValue submit(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    struct body body;
    size_t header_n;
    if (!body_of(js, argv[1], &body))
        return JS_EXCEPTION;
    const char *header = JS_ToCStringLen(js, &header_n, argv[0]);
    JSValue op = header ? submit_parts(js, header, header_n, &body) : JS_EXCEPTION;
    if (header)
        JS_FreeCString(js, header);
    if (body.text)
        JS_FreeCString(js, body.text);
    return op;
}

/* wait(op, timeoutMs): whether it was done in time */
static JSValue wait_for(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    uint32_t op;
    double timeout_ms;
    if (JS_ToUint32(js, &op, argv[0]) || JS_ToFloat64(js, &timeout_ms, argv[1]))
        return JS_EXCEPTION;
    int32_t index = op_wait(&op, 1, timeout_ms < 0 ? -1 : (int64_t)(timeout_ms * 1e6));
    return index < 0 && index != GUEST_E_TIMEOUT ? refused(js, index) : JS_NewBool(js, index == 0);
}

/* [header, body] */
static JSValue reply_of(JSContext *js, const uint8_t *bytes, size_t n, bool as_text) {
    struct message m;
    if (message_parse(bytes, n, &m))
        return refused(js, GUEST_E_BAD_MESSAGE);
    JSValue parts[] = {
        JS_NewStringLen(js, m.header, m.header_n),
        as_text ? JS_NewStringLen(js, m.body, m.body_n)
                : JS_NewUint8ArrayCopy(js, (const uint8_t *)m.body, m.body_n),
    };
    if (!JS_IsException(parts[0]) && !JS_IsException(parts[1]))
        return JS_NewArrayFrom(js, 2, parts);
    JS_FreeValue(js, parts[0]);
    JS_FreeValue(js, parts[1]);
    return JS_EXCEPTION;
}

static JSValue take(JSContext *js, JSValueConst self, int argc, JSValueConst *argv, int as_text) {
    (void)self, (void)argc;
    uint32_t op;
    uint8_t first[TAKE_FIRST];
    if (JS_ToUint32(js, &op, argv[0]))
        return JS_EXCEPTION;
    int32_t n = op_take(op, first, sizeof first);
    if (n < 0)
        return refused(js, n);
    native_unwatch(op);
    if ((size_t)n <= sizeof first)
        return reply_of(js, first, (size_t)n, as_text);
    uint8_t *large = malloc((size_t)n);
    if (!large)
        return JS_ThrowOutOfMemory(js);
    int32_t again = op_take(op, large, (uint32_t)n);
    JSValue reply = again == n ? reply_of(js, large, (size_t)n, as_text) : refused(js, again);
    free(large);
    return reply;
}

static JSValue cancel(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    uint32_t op;
    if (JS_ToUint32(js, &op, argv[0]))
        return JS_EXCEPTION;
    int32_t r = op_cancel(op);
    return r < 0 ? refused(js, r) : JS_UNDEFINED;
}

static JSValue get_fuel_left(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    return JS_NewInt64(js, fuel_left());
}

/* --- the event loop --- */

static JSValue keep_callback(JSContext *js, JSValueConst self, int argc, JSValueConst *argv, int is_timers) {
    (void)self, (void)argc;
    JSValue *place = is_timers ? &timers_callback : &done_callback;
    JS_FreeValue(js, *place);
    *place = JS_DupValue(js, argv[0]);
    return JS_UNDEFINED;
}

static JSValue watch(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    uint32_t op;
    if (JS_ToUint32(js, &op, argv[0]))
        return JS_EXCEPTION;
    set_watched(op, true);
    return JS_UNDEFINED;
}

/* pump(): parks until operations are done that nobody was told of, and calls what onDone() registered. */
static JSValue pump(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    return loop_wait(js, -1) ? JS_UNDEFINED : JS_EXCEPTION;
}

static JSValue monotonic_ms(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return JS_NewFloat64(js, (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6);
}

/* --- positions in the user's files --- */

/* keepSourceMap(mappings) */
static JSValue keep_source_map(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    size_t n;
    const char *mappings = JS_ToCStringLen(js, &n, argv[0]);
    if (!mappings)
        return JS_EXCEPTION;
    bool kept = source_map_keep(mappings, n);
    JS_FreeCString(js, mappings);
    return kept ? JS_UNDEFINED : JS_ThrowOutOfMemory(js);
}

static bool positions_of(JSContext *js, JSValueConst flat, struct source_position *ret, size_t *ret_n) {
    int64_t n;
    if (JS_GetLength(js, flat, &n))
        return false;
    *ret_n = (size_t)(n / 2 < POSITIONS_MAX ? n / 2 : POSITIONS_MAX);
    for (uint32_t i = 0; i < 2 * *ret_n; i++) {
        JSValue number = JS_GetPropertyUint32(js, flat, i);
        int failed = JS_ToInt32(js, i % 2 ? &ret[i / 2].column : &ret[i / 2].line, number);
        JS_FreeValue(js, number);
        if (failed)
            return false;
    }
    return true;
}

/* locate([line, column, …]) → [source or -1, line, column, …] */
static JSValue locate(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    struct source_position positions[POSITIONS_MAX];
    size_t n;
    if (!positions_of(js, argv[0], positions, &n))
        return JS_EXCEPTION;
    source_map_locate(positions, n);
    JSValue found = JS_NewArray(js);
    for (uint32_t i = 0; i < n && !JS_IsException(found); i++) {
        const int32_t numbers[] = {positions[i].source, positions[i].source_line, positions[i].source_column};
        for (uint32_t k = 0; k < 3; k++)
            JS_SetPropertyUint32(js, found, 3 * i + k, JS_NewInt32(js, numbers[k]));
    }
    return found;
}

/* --- the module --- */

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("submit", 2, submit),
    JS_CFUNC_DEF("wait", 2, wait_for),
    JS_CFUNC_MAGIC_DEF("take", 1, take, false),
    JS_CFUNC_MAGIC_DEF("takeText", 1, take, true),
    JS_CFUNC_DEF("cancel", 1, cancel),
    JS_CFUNC_DEF("fuelLeft", 0, get_fuel_left),
    JS_CFUNC_MAGIC_DEF("onDone", 1, keep_callback, false),
    JS_CFUNC_MAGIC_DEF("onTimers", 1, keep_callback, true),
    JS_CFUNC_DEF("watch", 1, watch),
    JS_CFUNC_DEF("pump", 0, pump),
    JS_CFUNC_DEF("monotonicMs", 0, monotonic_ms),
    JS_CFUNC_DEF("keepSourceMap", 1, keep_source_map),
    JS_CFUNC_DEF("locate", 1, locate),
};
enum { FUNCTIONS_N = sizeof functions / sizeof functions[0] };

static int set_exports(JSContext *js, JSModuleDef *module) {
    return JS_SetModuleExportList(js, module, functions, FUNCTIONS_N) ||
                   JS_SetModuleExportList(js, module, native_bytes, native_bytes_n) ||
                   JS_SetModuleExportList(js, module, native_files, native_files_n) ||
                   JS_SetModuleExportList(js, module, native_inspect, native_inspect_n)
               ? -1
               : 0;
}

int native_install(JSContext *js) {
    JSModuleDef *module = JS_NewCModule(js, "capsule:native", set_exports);
    if (!module)
        return -1;
    return JS_AddModuleExportList(js, module, functions, FUNCTIONS_N) ||
                   JS_AddModuleExportList(js, module, native_bytes, native_bytes_n) ||
                   JS_AddModuleExportList(js, module, native_files, native_files_n) ||
                   JS_AddModuleExportList(js, module, native_inspect, native_inspect_n)
               ? -1
               : 0;
}
