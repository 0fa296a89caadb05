/* Owns what becomes of esbuild's output: the code, and the source map that is its last line, "//# sourceMappingURL=data:application/json;base64,…".
 *
 * In the map sources are relative to /dev/fd, where esbuild thought that it wrote; we make them relative to the project's root.
 * CommonJS that calls require("@capsule-run/sdk") gets a require that knows it, as the first line of the module. Thread rule: any thread. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

static const char MARK[] = "//# sourceMappingURL=data:application/json;base64,";
static const char OUTPUT_FOLDER[] = "/dev/fd";

static const char REQUIRE[] = "import * as __capsule_sdk from \"" BUNDLE_SDK "\"; const require = (name) => { "
                              "if (name === \"" BUNDLE_SDK "\") return __capsule_sdk; "
                              "throw new Error('Cannot find module \"' + name + '\"'); };\n";

static int out_of_memory(struct error *err) {
    return error_set(err, ERROR_NOMEM, "out of memory while reading a bundle");
}

static int digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Of text[0..n), up to padding or anything else that's no digit. */
static int decode_base64(const char *text, size_t n, struct buffer *to) {
    char *out = FAULT("bundle.base64") ? NULL : buffer_reserve(to, n / 4 * 3 + 3);
    if (!out)
        return ERROR_NOMEM;
    unsigned bits = 0, held = 0;
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        int value = digit(text[i]);
        if (value < 0)
            break;
        bits = (bits << 6 | (unsigned)value) & 0xFFFF;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[size++] = (char)(bits >> held & 0xFF);
        }
    }
    to->size += size;
    to->data[to->size] = '\0';
    return 0;
}

/* path, absolute, as it's written relative to root. */
static int write_relative(const char *root, const char *path, struct buffer *to) {
    size_t common = 0;
    for (size_t i = 0;; i++) {
        bool ends = (root[i] == '/' || root[i] == '\0') && (path[i] == '/' || path[i] == '\0');
        if (ends && i > 0)
            common = i;
        if (root[i] != path[i] || root[i] == '\0')
            break;
    }
    int status = 0;
    for (const char *p = root + common; *p && status == 0; p++)
        if (*p == '/' && p[1])
            status = buffer_puts(to, "../");
    const char *rest = path + common;
    return status ? status : buffer_puts(to, rest + (rest[0] == '/'));
}

/* True for "webpack://…", "dataurl:…": no path. */
static bool has_scheme(const char *source) {
    size_t n = strspn(source, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.");
    return n > 1 && source[n] == ':';
}

static int write_source(const char *root, const char *source, struct buffer *map) {
    char path[PATH_LENGTH_MAX];
    CLEANUP(buffer_done) struct buffer relative = BUFFER_INIT(4 * PATH_LENGTH_MAX);
    if (has_scheme(source) || path_normalize(OUTPUT_FOLDER, source, path, sizeof path) < 0)
        return json_write_string(map, source, strlen(source));
    int status = write_relative(root, path, &relative);
    return status ? status : json_write_string(map, buffer_text(&relative), relative.size);
}

/* shift: the code has a line more at its beginning. */
static int write_map(const json_value *in, const char *root, bool shift, struct buffer *map) {
    int status = buffer_puts(map, "{\"version\":3,\"sources\":[");
    const json_value *source;
    bool first = true;
    for (size_t cursor = 0; status == 0 && (source = json_each(json_get(in, "sources"), &cursor)); first = false) {
        status = first ? 0 : buffer_putc(map, ',');
        if (status == 0)
            status = write_source(root, json_text(source, ""), map);
    }
    if (status == 0)
        status = buffer_puts(map, "],\"names\":");
    const json_value *names = json_get(in, "names");
    if (status == 0)
        status = json_type(names) == JSON_ARRAY ? json_write(names, map) : buffer_puts(map, "[]");
    if (status == 0)
        status = buffer_printf(map, ",\"mappings\":\"%s%s\"}", shift ? ";" : "",
                               json_text(json_get(in, "mappings"), ""));
    return status;
}

static bool requires_sdk(const json_value *metafile) {
    const json_value *outputs = json_get(metafile, "outputs"), *output, *import;
    const char *key;
    for (size_t i = 0; (output = json_next(outputs, &i, &key));)
        for (size_t k = 0; (import = json_each(json_get(output, "imports"), &k));)
            if (strcmp(json_text(json_get(import, "kind"), ""), "require-call") == 0 &&
                strcmp(json_text(json_get(import, "path"), ""), BUNDLE_SDK) == 0)
                return true;
    return false;
}

/* The last line of text that is a map, or NULL. */
static const char *find_mark(const struct buffer *output) {
    const char *text = buffer_text(output);
    size_t n = output->size;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    const char *line = n > 0 ? memrchr(text, '\n', n) : NULL;
    line = line ? line + 1 : text;
    return strncmp(line, MARK, sizeof MARK - 1) == 0 ? line : NULL;
}

static int read_map(const char *mark, const struct buffer *output, struct json_document **ret, struct error *err) {
    CLEANUP(buffer_done) struct buffer json = BUFFER_INIT(BUNDLE_OUTPUT_MAX);
    const char *base64 = mark + sizeof MARK - 1;
    if (decode_base64(base64, (size_t)(output->data + output->size - base64), &json))
        return out_of_memory(err);
    if (json_parse(buffer_text(&json), json.size, ret, err))
        return error_set(err, ERROR_UNSUPPORTED, "the source map that esbuild wrote can't be read");
    /* It's written as it is: base64 digits, commas and semicolons. */
    const char *mappings = json_text(json_get(json_root(*ret), "mappings"), "");
    if (mappings[strspn(mappings, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/,;")])
        return error_set(err, ERROR_UNSUPPORTED, "the source map that esbuild wrote can't be read");
    return 0;
}

int bundle_split(struct buffer *output, const char *root, const json_value *metafile, struct bundle *ret,
                 struct error *err) {
    CLEANUP(buffer_done) struct buffer map = BUFFER_INIT(BUNDLE_OUTPUT_MAX), code = BUFFER_INIT(BUNDLE_OUTPUT_MAX);
    CLEANUP(json_cleanup) struct json_document *d = NULL;
    const char *mark = find_mark(output);
    if (!mark)
        return error_set(err, ERROR_UNSUPPORTED, "esbuild wrote no source map: its version isn't known here");
    int status = read_map(mark, output, &d, err);
    if (status)
        return status;
    bool shift = requires_sdk(metafile);
    size_t n = (size_t)(mark - output->data);
    if (write_map(json_root(d), root, shift, &map))
        return out_of_memory(err);
    if (shift && (buffer_puts(&code, REQUIRE) || buffer_append(&code, output->data, n)))
        return out_of_memory(err);
    if (!shift) {
        output->size = n;
        output->data[n] = '\0';
        code = *output;
        *output = BUFFER_INIT(output->max);
    }
    struct bundle made = {.code_n = code.size, .map_n = map.size};
    made.code = buffer_take(&code);
    made.map = buffer_take(&map);
    *ret = made;
    return 0;
}
