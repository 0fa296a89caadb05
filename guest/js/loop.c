/* The event loop of a sandbox: jobs first, then timers that are due, then it parks until an operation is done or a timer is due.
 *
 * Operations and timers are kept by the runtime's TypeScript; it registered a callback for each (module.c). A promise that nobody waits
 * with, when no watched operation and no timer is left, can never be settled: that's an error rather than a hang.
 * Invariant: `rejections` holds promises that were rejected without a handler since the last look, oldest first. */
#include "abi.h"
#include "engine.h"
#include "host.h"

enum { TOLD_MAX = 256, REJECTIONS_MAX = 64 };

struct rejection {
    JSValue promise, reason;
};

static struct {
    struct rejection items[REJECTIONS_MAX]; /* more are counted by nobody: one is enough to end a task */
    int n;
} rejections;

static bool same_object(JSValueConst a, JSValueConst b) {
    return JS_VALUE_GET_PTR(a) == JS_VALUE_GET_PTR(b);
}

static void forget(JSContext *js, int i) {
    JS_FreeValue(js, rejections.items[i].promise);
    JS_FreeValue(js, rejections.items[i].reason);
    rejections.n--;
    for (; i < rejections.n; i++)
        rejections.items[i] = rejections.items[i + 1];
}

static void on_rejection(JSContext *js, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque) {
    (void)opaque;
    if (!is_handled) {
        if (rejections.n < REJECTIONS_MAX)
            rejections.items[rejections.n++] =
                (struct rejection){JS_DupValue(js, promise), JS_DupValue(js, reason)};
        return;
    }
    for (int i = 0; i < rejections.n; i++)
        if (same_object(rejections.items[i].promise, promise)) {
            forget(js, i);
            return;
        }
}

void loop_install(JSContext *js) {
    JS_SetHostPromiseRejectionTracker(JS_GetRuntime(js), on_rejection, NULL);
}

JSValue loop_take_rejection(JSContext *js) {
    if (!rejections.n)
        return JS_UNDEFINED;
    JSValue reason = JS_DupValue(js, rejections.items[0].reason);
    while (rejections.n)
        forget(js, 0);
    return reason;
}

/* False: a job threw. */
static bool run_jobs(JSContext *js) {
    JSContext *threw;
    int done;
    while ((done = JS_ExecutePendingJob(JS_GetRuntime(js), &threw)) > 0)
        continue;
    return done == 0;
}

/* Runs what is due; *ret_ms is the time until the next timer, -1 if there is none. False: a timer's function threw. */
static bool run_timers(JSContext *js, double *ret_ms) {
    *ret_ms = -1;
    if (JS_IsUndefined(native_on_timers()))
        return true;
    JSValue next = JS_Call(js, native_on_timers(), JS_UNDEFINED, 0, NULL);
    bool ok = !JS_IsException(next) && JS_ToFloat64(js, ret_ms, next) == 0;
    JS_FreeValue(js, next);
    return ok;
}

/* False: the callback threw. */
static bool tell(JSContext *js, uint32_t op) {
    JSValue number = JS_NewUint32(js, op);
    native_unwatch(op);
    JSValue result = JS_Call(js, native_on_done(), JS_UNDEFINED, 1, (JSValueConst *)&number);
    bool ok = !JS_IsException(result);
    JS_FreeValue(js, result);
    return ok;
}

bool loop_wait(JSContext *js, double timeout_ms) {
    uint32_t ids[TOLD_MAX];
    int64_t timeout_ns = timeout_ms < 0      ? -1
                         : timeout_ms > 1e12 ? INT64_C(1000000000000000000)
                                             : (int64_t)(timeout_ms * 1e6);
    int32_t n = op_next(ids, TOLD_MAX, timeout_ns);
    for (int32_t i = 0; i < n; i++)
        if (!tell(js, ids[i]))
            return false;
    return true;
}

enum loop_end loop_run(JSContext *js, JSValueConst promise) {
    JSRuntime *runtime = JS_GetRuntime(js);
    for (;;) {
        double timeout_ms;
        if (!run_jobs(js))
            return LOOP_THREW;
        if (rejections.n)
            return LOOP_REJECTED;
        if (JS_PromiseState(js, promise) != JS_PROMISE_PENDING)
            return LOOP_SETTLED;
        if (!run_timers(js, &timeout_ms))
            return LOOP_THREW;
        if (JS_IsJobPending(runtime))
            continue;
        if (timeout_ms < 0 && native_watched() == 0)
            return LOOP_STUCK;
        if (!loop_wait(js, timeout_ms))
            return LOOP_THREW;
    }
}
