/* The JavaScript guest: QuickJS-ng behind the calls of guest/abi.h.
 *
 * Owns the engine and the functions of the runtime that do the work; everything that can be TypeScript is TypeScript (runtime/main.ts).
 * guest_boot evaluates the runtime, which is linked in as bytecode; guest_load evaluates the application's bundle; guest_call runs once in every
 * sandbox: it makes no copies it doesn't need and touches few pages.
 * Thread rule: one thread; there are no others in a sandbox. */
#include "abi.h"
#include "engine.h"
#include "host.h"
#include "message.h"
#include "runtime_bytecode.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of 3 MiB in linear memory, so that the native stack (15 MiB), which calls take as well, is never full first: some 6,500 plain calls deep. engine/adapt.sh has
 * the parsers' share. */
enum { STACK_MAX = 2 * 1024 * 1024 };

static JSContext *js;
static JSValue begin_load, end_load, call_task, failed, sdk;

static const char STUCK[] =
    "a promise is awaited that nothing can settle any more: no request, no task and no timer is under way";

EXPORT(guest_alloc) void *guest_alloc(uint32_t n);
EXPORT(guest_boot) uint32_t guest_boot(void);
EXPORT(guest_load) uint64_t guest_load(uint8_t *message, uint32_t n);
EXPORT(guest_call) uint64_t guest_call(uint8_t *message, uint32_t n);

void *guest_alloc(uint32_t n) {
    return n > GUEST_MESSAGE_MAX ? NULL : message_alloc(n);
}

/* --- boot --- */

static int set_sdk_exports(JSContext *context, JSModuleDef *module) {
    JSPropertyEnum *names;
    uint32_t n;
    if (JS_GetOwnPropertyNames(context, &names, &n, sdk, JS_GPN_STRING_MASK))
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        const char *name = JS_AtomToCString(context, names[i].atom);
        JS_SetModuleExport(context, module, name, JS_GetProperty(context, sdk, names[i].atom));
        JS_FreeCString(context, name);
    }
    JS_FreePropertyEnum(context, names, n);
    return 0;
}

/* What `import … from "@capsule-run/sdk"` finds. */
static int install_sdk(void) {
    JSPropertyEnum *names;
    uint32_t n;
    JSModuleDef *module = JS_NewCModule(js, "@capsule-run/sdk", set_sdk_exports);
    if (!module || JS_GetOwnPropertyNames(js, &names, &n, sdk, JS_GPN_STRING_MASK))
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        const char *name = JS_AtomToCString(js, names[i].atom);
        JS_AddModuleExport(js, module, name);
        JS_FreeCString(js, name);
    }
    JS_FreePropertyEnum(js, names, n);
    return 0;
}

/* Only what's built in can be imported: the bundle has everything else inside. */
static JSModuleDef *no_such_module(JSContext *context, const char *name, void *opaque) {
    (void)opaque;
    JS_ThrowReferenceError(
        context, "no module \"%s\": a program can only import at run time what it names literally in its source",
        name);
    return NULL;
}

static JSContext *new_context(void) {
    JSRuntime *runtime = memory_new_runtime();
    if (!runtime)
        return NULL;
    JS_SetMaxStackSize(runtime, STACK_MAX);
    JS_SetModuleLoaderFunc(runtime, NULL, no_such_module, NULL);
    return JS_NewContext(runtime);
}

static int find_functions(JSValueConst namespace) {
    begin_load = JS_GetPropertyStr(js, namespace, "beginLoad");
    end_load = JS_GetPropertyStr(js, namespace, "endLoad");
    call_task = JS_GetPropertyStr(js, namespace, "call");
    failed = JS_GetPropertyStr(js, namespace, "failed");
    sdk = JS_GetPropertyStr(js, namespace, "sdk");
    return JS_IsFunction(js, begin_load) && JS_IsFunction(js, end_load) && JS_IsFunction(js, call_task) &&
                   JS_IsFunction(js, failed) && JS_IsObject(sdk)
               ? 0
               : -1;
}

/* Evaluates a module whose text ends with a NUL. Returns its promise, or an exception. */
static JSValue evaluate(const char *text, size_t n, const char *name, JSModuleDef **ret_module) {
    JSValue module = JS_Eval(js, text, n, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(module))
        return module;
    *ret_module = JS_VALUE_GET_PTR(module);
    return JS_EvalFunction(js, module);
}

/* Why the guest doesn't boot. */
static void print_exception(void) {
    JSValue error = JS_GetException(js), stack = JS_GetPropertyStr(js, error, "stack");
    const char *message = JS_ToCString(js, error), *trace = JS_ToCString(js, stack);
    fprintf(stderr, "%s\n%s\n", message ? message : "?", trace ? trace : "");
}

static int boot_runtime(void) {
    JSValue compiled = JS_ReadObject(js, runtime_bytecode, runtime_bytecode_n, JS_READ_OBJ_BYTECODE);
    memset(runtime_bytecode, 0, runtime_bytecode_n);
    if (JS_IsException(compiled) || JS_ResolveModule(js, compiled) < 0)
        return -1;
    JSModuleDef *module = JS_VALUE_GET_PTR(compiled);
    JSValue promise = JS_EvalFunction(js, compiled);
    if (JS_IsException(promise))
        return -1;
    if (loop_run(js, promise) == LOOP_REJECTED) {
        JS_Throw(js, loop_take_rejection(js));
        return -1;
    }
    JS_FreeValue(js, promise);
    JSValue namespace = JS_GetModuleNamespace(js, module);
    int status = find_functions(namespace);
    JS_FreeValue(js, namespace);
    return status;
}

uint32_t guest_boot(void) {
    js = new_context();
    if (!js)
        return 1;
    loop_install(js);
    if (native_install(js) || boot_runtime() || install_sdk()) {
        print_exception();
        return 1;
    }
    return 0;
}

/* --- replies --- */

/* A failure so deep that JavaScript couldn't say it. */
static uint64_t last_resort(void) {
    JSValue error = JS_GetException(js), message = JS_GetPropertyStr(js, error, "message");
    const char *text = JS_ToCString(js, message);
    bool memory = !text || strcmp(text, "out of memory") == 0;
    return memory ? message_out_of_memory() : message_broken();
}

/* header or body NULL: not a string. */
static uint64_t pack_text(const char *header, size_t header_n, JSValueConst body) {
    size_t n = 0;
    const char *text = JS_IsUndefined(body) ? "" : JS_ToCStringLen(js, &n, body);
    uint64_t reply = header && text ? message_pack(header, header_n, text, n) : 0;
    if (reply || JS_HasException(js))
        return reply ? reply : last_resort();
    return message_out_of_memory();
}

static uint64_t reply_header(JSValue header) {
    size_t n;
    const char *text = JS_IsException(header) ? NULL : JS_ToCStringLen(js, &n, header);
    return text ? pack_text(text, n, JS_UNDEFINED) : last_resort();
}

/* Of an exception that's pending, or of a reason that's given. */
static uint64_t reply_failure(JSValue reason) {
    return reply_header(JS_Call(js, failed, JS_UNDEFINED, 1, (JSValueConst *)&reason));
}

/* The result of the runtime's call(): the body alone, with the header that nearly all replies have, or [header, body]. */
static uint64_t reply_result(JSValue result) {
    if (JS_IsString(result))
        return pack_text(MESSAGE_PLAIN, MESSAGE_PLAIN_N, result);
    JSValue header = JS_GetPropertyUint32(js, result, 0), body = JS_GetPropertyUint32(js, result, 1);
    size_t n;
    const char *text = JS_ToCStringLen(js, &n, header);
    return text ? pack_text(text, n, body) : last_resort();
}

/* Runs until a promise is settled. Returns 0 and its value, or a reply that tells of the failure. */
static uint64_t settle(JSValue promise, JSValue *ret) {
    JS_PromiseMarkAsHandled(js, promise);
    switch (loop_run(js, promise)) {
    case LOOP_SETTLED:
        break;
    case LOOP_REJECTED:
        return reply_failure(loop_take_rejection(js));
    case LOOP_STUCK:
        return reply_failure(JS_NewPlainError(js, "%s", STUCK));
    case LOOP_THREW:
        return reply_failure(JS_GetException(js));
    }
    JSValue value = JS_PromiseResult(js, promise);
    if (JS_PromiseState(js, promise) == JS_PROMISE_REJECTED)
        return reply_failure(value);
    *ret = value;
    return 0;
}

/* --- load and call --- */

/* The bundle, its source map behind it; `code` in the header says where one ends. Evaluates it; 0 or the reply that tells of a failure. */
static uint64_t load_bundle(const struct message *in, int32_t code_n) {
    if (code_n < 0 || (size_t)code_n > in->body_n)
        return message_not_a_message();
    char *text = malloc((size_t)code_n + 1);
    if (!text)
        return message_out_of_memory();
    memcpy(text, in->body, (size_t)code_n);
    text[code_n] = '\0';
    JSModuleDef *module;
    JSValue unused, promise = evaluate(text, (size_t)code_n, "capsule:app", &module);
    free(text);
    return JS_IsException(promise) ? reply_failure(JS_GetException(js)) : settle(promise, &unused);
}

uint64_t guest_load(uint8_t *message, uint32_t n) {
    struct message in;
    int32_t code_n;
    if (message_parse(message, n, &in))
        return message_not_a_message();
    JSValue header = JS_NewStringLen(js, in.header, in.header_n);
    JSValue body = JS_NewUint8ArrayCopy(js, (const uint8_t *)in.body, in.body_n);
    JSValueConst arguments[] = {header, body};
    JSValue size = JS_Call(js, begin_load, JS_UNDEFINED, 2, arguments);
    JS_FreeValue(js, header);
    JS_FreeValue(js, body);
    if (JS_IsException(size) || JS_ToInt32(js, &code_n, size))
        return reply_failure(JS_GetException(js));
    uint64_t reply = load_bundle(&in, code_n);
    message_free(message);
    if (!reply)
        reply = reply_header(JS_Call(js, end_load, JS_UNDEFINED, 0, NULL));
    memory_settle(JS_GetRuntime(js));
    return reply;
}

uint64_t guest_call(uint8_t *message, uint32_t n) {
    struct message in;
    if (message_parse(message, n, &in))
        return message_not_a_message();
    JSValue arguments[] = {JS_NewStringLen(js, in.header, in.header_n), JS_NewStringLen(js, in.body, in.body_n)};
    message_free(message);
    if (JS_IsException(arguments[0]) || JS_IsException(arguments[1]))
        return last_resort();
    JSValue result = JS_Call(js, call_task, JS_UNDEFINED, 2, (JSValueConst *)arguments);
    JS_FreeValue(js, arguments[0]);
    JS_FreeValue(js, arguments[1]);
    if (JS_IsException(result))
        return reply_failure(JS_GetException(js));
    if (JS_IsPromise(result)) {
        uint64_t failure = settle(result, &result);
        if (failure)
            return failure;
    }
    return reply_result(result);
}
