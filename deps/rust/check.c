/* Proves that the built library links and works, before the recipe lets it into the cache: an engine opens,
 * and the TOML reader keeps lines. Run by deps/build.sh, not part of the product. */
#include <capsule_toml.h>
#include <stdio.h>
#include <string.h>
#include <wasmtime.h>

static int check(const char *toml, const char *json) {
    char *got = NULL, err[200] = "";
    size_t len = 0;
    uint32_t line = 0;
    int32_t failed = capsule_toml_to_json(toml, strlen(toml), &got, &len, err, sizeof err, &line);
    if (failed)
        printf("line %u: %s\n", line, err);
    int ok = failed ? json == NULL && line == 2 && err[0] : json && len == strlen(json) && !memcmp(json, got, len);
    if (!ok)
        printf("want %s\ngot  %.*s\n", json ? json : "an error", (int)len, got ? got : "");
    capsule_toml_free(got, len);
    return ok;
}

int main(void) {
    wasm_engine_t *engine = wasm_engine_new();
    if (!engine)
        return 1;
    wasm_engine_delete(engine);
    int ok = check("", "{}");
    ok &= check(
        "a = 1\n[t]\nb = ['x', 2.0]\n\nc = {d = \"q\\\"\"}\n",
        "{\"a\":{\"line\":1,\"value\":1},\"t\":{\"line\":2,\"table\":{\"b\":{\"line\":3,\"value\":[\"x\",2.0]},"
        "\"c\":{\"line\":5,\"table\":{\"d\":{\"line\":5,\"value\":\"q\\\"\"}}}}}}");
    ok &= check("[[r]]\nk = true\n[[r]]\nk = {a = 1}\n",
                "{\"r\":{\"line\":1,\"value\":[{\"k\":true},{\"k\":{\"a\":1}}]}}");
    ok &= check("x.y = 1979-05-27\n",
                "{\"x\":{\"line\":1,\"table\":{\"y\":{\"line\":1,\"value\":\"1979-05-27\"}}}}");
    ok &= check("a = 1\nb = \n", NULL);
    ok &= check("a = 1\nb = nan\n", NULL);
    ok &= check("a = 1\na = 2\n", NULL);
    ok &= check("a = 1\nb = \"\xff\"\n", NULL);
    return ok ? 0 : 1;
}
