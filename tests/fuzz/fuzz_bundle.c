/* Fuzzes what reads esbuild's output: the first byte says which reader gets the rest. Nothing may crash, leak or read beyond, what fails must say
 * so, and no metafile gets an input past the wall that doesn't lie in the project. */
#include "app/bundle_internal.h"
#include "base/json.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(int condition) {
    if (!condition)
        abort();
}

/* A project with one file and one folder, and a secret beside it. */
static char folder[] = "/tmp/capsule-fuzz-XXXXXX";
static char root[64], entry[] = "main.ts";
static struct project project = {.root = root, .entry = entry};
static struct bundle_places places;

static void in_folder(const char *command) {
    char text[512];
    snprintf(text, sizeof text, "cd %s && %s", folder, command);
    expect(system(text) == 0);
}

static void clean_up(void) {
    in_folder("rm -r p secret.json");
    rmdir(folder);
    bundle_places_done(&places);
}

static void set_up(void) {
    if (root[0])
        return;
    expect(mkdtemp(folder) != NULL);
    snprintf(root, sizeof root, "%s/p", folder);
    in_folder("mkdir -p p/src && echo 1 >p/main.ts && echo 1 >p/src/x.json && echo 1 >secret.json"
              " && ln -s ../secret.json p/link.json");
    expect(bundle_places_find(&project, &places, NULL) == 0);
    atexit(clean_up);
}

static void fuzz_messages(const char *text, size_t n) {
    struct error err = {0};
    expect(bundle_explain(&project, text, n, &err) == ERROR_IMPORT);
    expect(err.message[0] != '\0');
    for (const char *c = err.message; *c; c++)
        expect((unsigned char)*c >= 0x20 || *c == '\n' || *c == '\t');
}

static void fuzz_metafile(const char *text, size_t n) {
    CLEANUP(json_cleanup) struct json_document *d = NULL;
    struct error err = {0};
    if (json_parse(text, n, &d, NULL) != 0)
        return;
    bool changed, stable;
    int status = bundle_inputs_check(&places, json_root(d), &changed, &err);
    expect(status == 0 || err.message[0] != '\0');
    const json_value *inputs = json_get(json_root(d), "inputs");
    if (status == 0) {
        const char *key;
        for (size_t cursor = 0; json_next(inputs, &cursor, &key);)
            expect(strcmp(key, "../secret.json") != 0 && strcmp(key, "link.json") != 0);
    }
    struct dependencies *deps = dependencies_new();
    (void)bundle_trail_record(&places, json_root(d), 0, deps, &stable, &err);
    dependencies_free(deps);
}

static void fuzz_comments(const char *text, size_t n) {
    CLEANUP(cleanup_free) char *copy = malloc(n + 1);
    expect(copy != NULL);
    memcpy(copy, text, n);
    bundle_strip_comments(copy, n);
    /* What was JSON stays what it was. */
    expect(!json_valid(text, n) || (json_valid(copy, n) && memcmp(copy, text, n) == 0));
}

static void fuzz_output(const char *text, size_t n) {
    static const char mark[] = "x\n//# sourceMappingURL=data:application/json;base64,";
    struct buffer output = BUFFER_INIT(1 << 20);
    struct bundle bundle = {0};
    struct error err = {0};
    if (n > 0 && text[0] == 'm')
        expect(buffer_puts(&output, mark) == 0);
    expect(buffer_append(&output, text, n) == 0);
    if (bundle_split(&output, places.root, NULL, &bundle, &err) == 0)
        expect(json_valid(bundle.map, bundle.map_n) && strlen(bundle.map) == bundle.map_n);
    else
        expect(err.message[0] != '\0');
    bundle_done(&bundle);
    buffer_done(&output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static void (*const readers[])(const char *, size_t) = {fuzz_messages, fuzz_metafile, fuzz_comments,
                                                            fuzz_output};
    set_up();
    if (n > 0)
        readers[data[0] % (sizeof readers / sizeof readers[0])]((const char *)data + 1, n - 1);
    return 0;
}
