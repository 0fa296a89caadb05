/* Runs a script in the engine, natively: for counting what it executes. usage: main FILE.js */
#include "quickjs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_text(const char *path, size_t *ret_n) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        return NULL;
    *ret_n = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(1, *ret_n + 1);
    bool whole = text && fread(text, 1, *ret_n, file) == *ret_n;
    fclose(file);
    return whole ? text : NULL;
}

static int fail(JSContext *js) {
    JSValue error = JS_GetException(js);
    fprintf(stderr, "%s\n", JS_ToCString(js, error));
    return 1;
}

int main(int argc, char **argv) {
    size_t n;
    char *text = argc == 2 ? read_text(argv[1], &n) : NULL;
    if (!text)
        return 2;
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *js = JS_NewContext(runtime), *other;
    JSValue result = JS_Eval(js, text, n, argv[1], JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_ASYNC);
    if (JS_IsException(result))
        return fail(js);
    int more;
    while ((more = JS_ExecutePendingJob(runtime, &other)) > 0)
        continue;
    if (more < 0 || JS_PromiseState(js, result) != JS_PROMISE_FULFILLED) {
        JS_Throw(js, JS_PromiseResult(js, result));
        return fail(js);
    }
    JS_FreeValue(js, result);
    JS_FreeContext(js);
    JS_FreeRuntime(runtime);
    return 0;
}
