/* Compiles a module to bytecode without the text of its functions, while the guest is built: compile FILE.js NAME OUTPUT
 *
 * Made with the engine for this machine, read by the one for WebAssembly: bytecode has no addresses, and both are little-endian. In the guest itself it would leave behind
 * megabytes that an image then has to carry. */
#include "quickjs.h"
#include <stdio.h>
#include <stdlib.h>

/* The adapted engine asks for it; see common/nursery.h. */
bool nursery_is_open;

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

static int no_exports(JSContext *js, JSModuleDef *module) {
    (void)js, (void)module;
    return 0;
}

/* Imports are looked for, but not used: any module will do. */
static JSModuleDef *stand_in(JSContext *js, const char *name, void *opaque) {
    (void)opaque;
    return JS_NewCModule(js, name, no_exports);
}

static int fail(JSContext *js, const char *file) {
    JSValue error = JS_GetException(js), stack = JS_GetPropertyStr(js, error, "stack");
    fprintf(stderr, "%s: %s\n%s", file, JS_ToCString(js, error), JS_ToCString(js, stack));
    return 1;
}

int main(int argc, char **argv) {
    size_t n;
    char *text = argc == 4 ? read_text(argv[1], &n) : NULL;
    if (!text) {
        fprintf(stderr, "usage: compile FILE.js NAME OUTPUT\n");
        return 2;
    }
    JSRuntime *runtime = JS_NewRuntime();
    JS_SetModuleLoaderFunc(runtime, NULL, stand_in, NULL);
    JS_SetMaxStackSize(runtime, 4 << 20);
    JSContext *js = JS_NewContext(runtime);
    JSValue module = JS_Eval(js, text, n, argv[2], JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(module))
        return fail(js, argv[1]);
    uint8_t *bytecode = JS_WriteObject(js, &n, module, JS_WRITE_OBJ_BYTECODE | JS_WRITE_OBJ_STRIP_SOURCE);
    FILE *output = bytecode ? fopen(argv[3], "wb") : NULL;
    if (!output || fwrite(bytecode, 1, n, output) != n || fclose(output)) {
        fprintf(stderr, "%s can't be written\n", argv[3]);
        return 1;
    }
    return 0;
}
