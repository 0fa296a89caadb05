/* What `capsule:native` tells of values that JavaScript itself can't see into; the collector; and randomness for Math.random. */
#include "engine.h"
#include <unistd.h>

/* [state, value or reason] */
static JSValue promise_state(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    JSPromiseStateEnum state = JS_PromiseState(js, argv[0]);
    if (state == JS_PROMISE_NOT_A_PROMISE)
        return JS_UNDEFINED;
    JSValue parts[] = {JS_NewInt32(js, (int32_t)state),
                       state == JS_PROMISE_PENDING ? JS_UNDEFINED : JS_PromiseResult(js, argv[0])};
    return JS_NewArrayFrom(js, 2, parts);
}

/* [target, handler] */
static JSValue proxy_details(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    if (!JS_IsProxy(argv[0]))
        return JS_UNDEFINED;
    JSValue parts[] = {JS_GetProxyTarget(js, argv[0]), JS_GetProxyHandler(js, argv[0])};
    return JS_NewArrayFrom(js, 2, parts);
}

/* xorshift64*, seeded by the host when a sandbox first asks: the engine's own generator would go on from the image, in every sandbox
 * alike. */
static uint64_t random_state;

static JSValue random_number(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    while (random_state == 0)
        if (getentropy(&random_state, sizeof random_state))
            return JS_ThrowInternalError(js, "the host gives no random bytes");
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return JS_NewFloat64(js, (double)(random_state * UINT64_C(2685821657736338717) >> 11) * 0x1p-53);
}

/* forgetRandom(): the next number comes from a new seed. */
static JSValue forget_random(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)js, (void)self, (void)argc, (void)argv;
    random_state = 0;
    return JS_UNDEFINED;
}

/* collect(): frees cycles that nobody can reach, now. */
static JSValue collect(JSContext *js, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    JS_RunGC(JS_GetRuntime(js));
    return JS_UNDEFINED;
}

const JSCFunctionListEntry native_inspect[] = {
    JS_CFUNC_DEF("collect", 0, collect),
    JS_CFUNC_DEF("promiseState", 1, promise_state),
    JS_CFUNC_DEF("proxyDetails", 1, proxy_details),
    JS_CFUNC_DEF("random", 0, random_number),
    JS_CFUNC_DEF("forgetRandom", 0, forget_random),
};
const int native_inspect_n = sizeof native_inspect / sizeof native_inspect[0];
