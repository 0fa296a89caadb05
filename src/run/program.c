/* Messages for guest_load. */
#include "run/program.h"
#include "app/bundle.h"
#include "base/json.h"
#include "base/path.h"
#include "guest/abi.h"
#include "run/mounts.h"
#include <string.h>

static void add_text(struct digest_state *s, const char *text) {
    digest_update(s, text, strlen(text) + 1);
}

static void add_list(struct digest_state *s, const struct string_list *list) {
    for (size_t i = 0; i < list->n; i++)
        add_text(s, list->items[i]);
    add_text(s, "");
}

int program_digest(const struct project *p, const char *guests_dir, struct digest_state *to, struct error *err) {
    if (p->language == LANGUAGE_PYTHON) {
        add_list(to, &p->manifest.python_paths);
        add_list(to, &p->site_packages);
        return 0;
    }
    CLEANUP(cleanup_free) char *esbuild = NULL, *identity = NULL;
    int r = bundle_find(guests_dir, &esbuild, err);
    if (r == 0)
        r = bundle_identity(esbuild, &identity, err);
    if (r == 0)
        add_text(to, identity);
    add_list(to, &p->manifest.js_paths);
    return r;
}

/* ---- Python ---- */

static void put_text(struct buffer *to, const char *text, size_t n) {
    (void)json_write_string(to, text, n);
}

/* {"entry": …, "module": …, "path": […]} */
static int write_python_header(const struct project *p, struct buffer *to) {
    char place[PATH_LENGTH_MAX];
    const char *base = path_base(p->entry);
    size_t stem = strcspn(base, ".");
    buffer_puts(to, "{\"entry\":");
    if (path_normalize(GUEST_PROJECT, p->entry, place, sizeof place) < 0)
        return ERROR_LIMIT;
    put_text(to, place, strlen(place));
    buffer_puts(to, ",\"module\":");
    put_text(to, base, stem);
    /* The entry's own folder comes first, as Python has it. */
    buffer_puts(to, ",\"path\":[");
    put_text(to, place, path_dir_length(place));
    for (size_t i = 0; i < p->manifest.python_paths.n; i++) {
        if (path_normalize(GUEST_PROJECT, p->manifest.python_paths.items[i], place, sizeof place) < 0)
            return ERROR_LIMIT;
        buffer_putc(to, ',');
        put_text(to, place, strlen(place));
    }
    for (size_t i = 0; i < p->site_packages.n; i++)
        buffer_printf(to, ",\"" GUEST_SITE "/%zu\"", i);
    return buffer_puts(to, "]}");
}

/* ---- TypeScript and JavaScript ---- */

/* Header {"entry": …, "code": bytes}; body: the code, then its source map. */
static int write_bundle(const struct project *p, const struct bundle *b, struct program *to) {
    char place[PATH_LENGTH_MAX];
    if (path_normalize(GUEST_PROJECT, p->entry, place, sizeof place) < 0)
        return ERROR_LIMIT;
    buffer_puts(&to->header, "{\"entry\":");
    put_text(&to->header, place, strlen(place));
    int r = buffer_printf(&to->header, ",\"code\":%zu}", b->code_n);
    if (r == 0)
        r = buffer_append(&to->body, b->code, b->code_n);
    return r == 0 ? buffer_append(&to->body, b->map, b->map_n) : r;
}

static int prepare_bundle(const struct project *p, const char *guests_dir, struct dependencies *dependencies,
                          struct program *to, struct error *err) {
    CLEANUP(bundle_done) struct bundle bundle = {0};
    CLEANUP(cleanup_free) char *esbuild = NULL;
    int r = bundle_find(guests_dir, &esbuild, err);
    struct bundle_options options = {.project = p, .esbuild = esbuild};
    if (r == 0)
        r = bundle_make(&options, &bundle, dependencies, err);
    if (r == 0 && write_bundle(p, &bundle, to) != 0)
        r = error_set(err, ERROR_IMPORT, "%s and what it imports are %zu bytes; the limit is %d MiB", p->entry,
                      bundle.code_n, GUEST_MESSAGE_MAX / 1024 / 1024);
    return r;
}

int program_prepare(const struct project *p, const char *guests_dir, struct dependencies *dependencies,
                    struct program *ret, struct error *err) {
    *ret = (struct program){.header = BUFFER_INIT(GUEST_HEADER_MAX),
                            .body = BUFFER_INIT(GUEST_MESSAGE_MAX - GUEST_HEADER_MAX)};
    if (p->language == LANGUAGE_JAVASCRIPT)
        return prepare_bundle(p, guests_dir, dependencies, ret, err);
    int r = write_python_header(p, &ret->header);
    return r == 0 ? 0 : error_set(err, r, "the paths of %s are too long", p->entry);
}

void program_done(struct program *program) {
    buffer_done(&program->header);
    buffer_done(&program->body);
}
