/* Owns the wall: which of the files that esbuild read may be part of a bundle. bundle.h has the rules and the reasons.
 *
 * A key of the metafile is a path relative to the project's root (esbuild's working directory), symlinks resolved. What came with a query has it at its end;
 * a file that's imported in two ways has " with { type: 'json' }" there. Keys of what isn't a file begin with "<" or "(disabled):".
 * Thread rule: any thread. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/fault.h"
#include "base/show.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXPLANATION_MAX = 4096 };

static const char *const EXTENSIONS[] = {".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"};
static const char AS_JSON[] = " with { type: 'json' }", DISABLED[] = "(disabled):";

enum refusal { FINE, OUTSIDE, KIND, ATTRIBUTE, QUERY, HIDDEN, VIRTUAL, GONE, ADDRESS, CHANGED };

static const struct {
    const char *message, *hint;
} REFUSALS[] = {
    [OUTSIDE] = {"that leads out of the project", ""}, /* with a hint of its own */
    [KIND] = {"only TypeScript, JavaScript and JSON can be imported",
              "read other files inside a task: files.readText(\"…\"), with the file in its allowedFiles"},
    [ATTRIBUTE] = {"files can't be imported as text or bytes",
                   "read the file inside a task: files.readText(\"…\"), with the file in its allowedFiles"},
    [QUERY] = {"an import can't have a query (?…) or a fragment (#…)", "import the file by its name alone"},
    [HIDDEN] = {"files and folders whose name begins with a dot can't be imported",
                "move it to a name without a dot"},
    [VIRTUAL] = {"packages in archives and Yarn's virtual folders can't be imported",
                 "let Yarn make a node_modules folder: nodeLinker: node-modules in .yarnrc.yml"},
    [GONE] = {"it isn't there any more", "run it again"},
    [ADDRESS] = {"nothing is loaded from the network while a program starts",
                 "install it as a package: npm install …"},
};

bool bundle_input_path(const struct bundle_places *places, const char *key, char ret[PATH_LENGTH_MAX]) {
    struct stat st;
    bool special = key[0] == '<' || strncmp(key, DISABLED, sizeof DISABLED - 1) == 0;
    if (path_normalize(places->root, key, ret, PATH_LENGTH_MAX) < 0)
        return !special;
    if (lstat(ret, &st) == 0)
        return true;
    size_t n = strlen(ret);
    if (!special && path_ends_with(ret, AS_JSON))
        ret[n - (sizeof AS_JSON - 1)] = '\0';
    return !special;
}

/* rest: a path below an allowed folder. A folder directly in node_modules may have a dot (".pnpm"). */
static bool is_hidden(const char *rest, bool in_node_modules) {
    for (const char *p = rest; *p;) {
        size_t n = strcspn(p, "/");
        bool last = p[n] == '\0';
        if (p[0] == '.' && (last || !in_node_modules))
            return true;
        in_node_modules = n == 12 && memcmp(p, "node_modules", 12) == 0;
        p += n + !last;
    }
    return false;
}

static enum refusal check_place(const struct bundle_places *places, const char *real) {
    const struct string_list *lists[] = {&places->folders, &places->node_modules};
    enum refusal worst = OUTSIDE;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            const char *rest = path_below(real, lists[k]->items[i]);
            if (rest && !is_hidden(rest, k == 1))
                return FINE;
            if (rest)
                worst = HIDDEN;
        }
    return worst;
}

/* esbuild reads "x/__virtual__/y/2/z" as "x/../../z" and "x.zip/y" as y in an archive, whatever lies there, so that a key says nothing about
 * what was read. A backslash separates for it too. */
static bool is_virtual(const char *path) {
    static const char *const NAMES[] = {"__virtual__", "$$virtual"};
    for (const char *p = path; *p; p += strspn(p, "/\\")) {
        size_t n = strcspn(p, "/\\");
        for (size_t i = 0; i < 2; i++)
            if (n == strlen(NAMES[i]) && memcmp(p, NAMES[i], n) == 0)
                return true;
        if (n >= 4 && p[n] != '\0' && memcmp(p + n - 4, ".zip", 4) == 0)
            return true;
        p += n;
    }
    return false;
}

static bool is_known(const char *path) {
    for (size_t i = 0; i < sizeof EXTENSIONS / sizeof EXTENSIONS[0]; i++)
        if (path_ends_with(path, EXTENSIONS[i]))
            return true;
    return false;
}

/* "type": "json" is the one attribute that says nothing new. */
static bool attributes_good(const json_value *with) {
    return !with || (json_size(with) == 1 && strcmp(json_text(json_get(with, "type"), ""), "json") == 0);
}

static enum refusal check_input(const struct bundle_places *places, const char *key, const json_value *input,
                                char ret_real[PATH_MAX]) {
    char path[PATH_LENGTH_MAX];
    struct stat st;
    ret_real[0] = '\0';
    if (!bundle_input_path(places, key, path))
        return FINE;
    if (!attributes_good(json_get(input, "with")))
        return ATTRIBUTE;
    if (is_virtual(path) || strchr(path, '\\'))
        return VIRTUAL;
    if (FAULT("bundle.realpath") || !realpath(path, ret_real) || stat(ret_real, &st) || !S_ISREG(st.st_mode)) {
        ret_real[0] = '\0';
        return strpbrk(key, "?#") ? QUERY : GONE;
    }
    enum refusal refusal = check_place(places, ret_real);
    if (refusal == FINE && !is_known(ret_real))
        return KIND;
    uint64_t size;
    bool same = json_u64(json_get(input, "bytes"), &size) && size == (uint64_t)st.st_size;
    return refusal == FINE && !same ? CHANGED : refusal;
}

/* "main.ts imports \"./x\"", or the key alone if nothing is known to import it. */
static void name_import(const json_value *inputs, const char *key, struct buffer *to) {
    const char *importer, *original = NULL;
    const json_value *input, *import;
    for (size_t i = 0; (input = json_next(inputs, &i, &importer));)
        for (size_t k = 0; (import = json_each(json_get(input, "imports"), &k));) {
            const char *path = json_text(json_get(import, "path"), "");
            original = json_text(json_get(import, "original"), path);
            if (strcmp(path, key) == 0) {
                (void)buffer_printf(to, "%s imports \"%s\"", show(importer).text, show(original).text);
                return;
            }
        }
    (void)buffer_printf(to, "%s is imported", show(key).text);
}

struct refusals {
    struct buffer text;
    size_t n;
    enum refusal first;
    char folder[PATH_LENGTH_MAX]; /* that the first one leads to */
};

static void refuse(struct refusals *r, const json_value *inputs, const char *key, enum refusal refusal,
                   const char *real) {
    if (r->n++ >= BUNDLE_ERRORS_SHOWN)
        return;
    if (r->n == 1) {
        r->first = refusal;
        size_t n = path_dir_length(real);
        memcpy(r->folder, real, n);
        r->folder[n] = '\0';
    } else {
        (void)buffer_putc(&r->text, '\n');
    }
    name_import(inputs, key, &r->text);
    (void)buffer_printf(&r->text, ": %s", REFUSALS[refusal].message);
    if (refusal == OUTSIDE) {
        (void)buffer_puts(&r->text, ", to ");
        bundle_put_clean(&r->text, real, strlen(real));
    }
}

/* What stays an import of the bundle is the SDK, or what's asked for in vain when the program runs (an optional package). */
static void check_external(struct refusals *r, const json_value *inputs, const json_value *output) {
    const json_value *import;
    for (size_t k = 0; (import = json_each(json_get(output, "imports"), &k));) {
        const char *path = json_text(json_get(import, "path"), "");
        if (strcmp(json_text(json_get(import, "kind"), ""), "import-statement") == 0 &&
            strcmp(path, BUNDLE_SDK) != 0 && strncmp(path, BUNDLE_SDK "/", sizeof BUNDLE_SDK) != 0)
            refuse(r, inputs, path, ADDRESS, "");
    }
}

static int refused(const struct refusals *r, struct error *err) {
    CLEANUP(buffer_done) struct buffer folder = BUFFER_INIT(PATH_LENGTH_MAX);
    if (r->n > BUNDLE_ERRORS_SHOWN)
        error_set(err, ERROR_IMPORT, "%s\nand %zu more", buffer_text(&r->text), r->n - BUNDLE_ERRORS_SHOWN);
    else
        error_set(err, ERROR_IMPORT, "%s", buffer_text(&r->text));
    bundle_put_clean(&folder, r->folder, strlen(r->folder));
    if (r->first == OUTSIDE)
        error_hint(err, "if imports may come from there, say so in capsule.toml: [js] paths = [\"%s\"]",
                   buffer_text(&folder));
    else
        error_hint(err, "%s", REFUSALS[r->first].hint);
    return ERROR_IMPORT;
}

int bundle_inputs_check(const struct bundle_places *places, const json_value *metafile, bool *ret_changed,
                        struct error *err) {
    struct refusals r = {.text = BUFFER_INIT(EXPLANATION_MAX)};
    const json_value *inputs = json_get(metafile, "inputs"), *value;
    const char *key;
    char real[PATH_MAX];
    bool changed = false;
    for (size_t cursor = 0; (value = json_next(inputs, &cursor, &key));) {
        enum refusal refusal = check_input(places, key, value, real);
        if (refusal == CHANGED)
            changed = true;
        else if (refusal != FINE)
            refuse(&r, inputs, key, refusal, real);
    }
    const json_value *outputs = json_get(metafile, "outputs");
    for (size_t cursor = 0; (value = json_next(outputs, &cursor, &key));)
        check_external(&r, inputs, value);
    int status = r.n > 0 ? refused(&r, err) : 0;
    buffer_done(&r.text);
    if (status == 0)
        *ret_changed = changed;
    return status;
}
