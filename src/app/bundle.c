/* Owns the making of a bundle, one step after another: esbuild, the wall, the record of dependencies, code and map. bundle.h has the whole story. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/clock.h"
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* How often it's done again because files changed meanwhile. */
enum { ATTEMPTS = 4 };

/* The clock that the kernel stamps files with: it moves once per tick, so what changes later isn't stamped with less. */
static uint64_t stamp_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A program that was written in this very tick couldn't be told from one that is written while esbuild reads: wait for the next (4 ms). */
static void wait_for_tick(uint64_t after) {
    for (int i = 0; i < 20 && stamp_clock_ns() <= after; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void wait_for_entry(const struct project *p) {
    char path[PATH_LENGTH_MAX];
    struct stat st;
    if (path_normalize(p->root, p->entry, path, sizeof path) > 0 && stat(path, &st) == 0)
        wait_for_tick((uint64_t)st.st_ctim.tv_sec * NS_PER_S + (uint64_t)st.st_ctim.tv_nsec);
}

static int unknown_version(const struct bundle_options *o, struct error *err) {
    error_set(err, ERROR_UNSUPPORTED, "what esbuild (%s) wrote about the bundle of %s can't be read", o->esbuild,
              o->project->entry);
    error_hint(err, "its version may not be known here: npm install -g esbuild@0.28");
    return ERROR_UNSUPPORTED;
}

/* The wall stands on the list of inputs, so one that can't be right is no list. */
static bool is_metafile(const struct bundle_places *places, const struct project *p, const json_value *metafile) {
    char entry[PATH_LENGTH_MAX], path[PATH_LENGTH_MAX];
    const json_value *inputs = json_get(metafile, "inputs");
    const char *key;
    if (json_type(json_get(metafile, "outputs")) != JSON_OBJECT ||
        path_normalize(places->root, p->entry, entry, sizeof entry) < 0)
        return false;
    for (size_t cursor = 0; json_next(inputs, &cursor, &key);)
        if (bundle_input_path(places, key, path) && strcmp(path, entry) == 0)
            return true;
    return false;
}

/* *ret_stable false: files changed while esbuild read them, and *ret is untouched. */
static int attempt(const struct bundle_options *o, const struct bundle_places *places, struct bundle *ret,
                   struct dependencies *deps, bool *ret_stable, struct error *err) {
    CLEANUP(bundle_output_done) struct bundle_output output = {0};
    CLEANUP(json_cleanup) struct json_document *metafile = NULL;
    uint64_t since = stamp_clock_ns();
    int status = bundle_run(o, &output, err);
    if (status)
        return status;
    if (output.metafile.size > 0)
        status = json_parse(output.metafile.data, output.metafile.size, &metafile, NULL);
    if (status == ERROR_NOMEM)
        return error_set(err, status, "out of memory while reading a bundle");
    /* Also of a bundle that failed: a style sheet that's imported makes esbuild fail with less to say. */
    bool changed = false;
    status = bundle_inputs_check(places, json_root(metafile), &changed, err);
    if (status || changed)
        return status;
    if (!output.good)
        return bundle_explain(o->project, buffer_text(&output.messages), output.messages.size, err);
    if (!is_metafile(places, o->project, json_root(metafile)))
        return unknown_version(o, err);
    status = bundle_trail_record(places, json_root(metafile), since, deps, ret_stable, err);
    if (status || !*ret_stable)
        return status;
    return bundle_split(&output.code, places->root, json_root(metafile), ret, err);
}

int bundle_make(const struct bundle_options *o, struct bundle *ret, struct dependencies *deps, struct error *err) {
    CLEANUP(bundle_places_done) struct bundle_places places = {0};
    int status = bundle_places_find(o->project, &places, err);
    if (status)
        return status;
    wait_for_entry(o->project);
    for (int i = 0; i < ATTEMPTS; i++) {
        bool stable = false;
        status = attempt(o, &places, ret, deps, &stable, err);
        if (status || stable)
            return status;
        wait_for_tick(stamp_clock_ns());
    }
    error_set(err, ERROR_IMPORT, "the files of %s keep changing while it's bundled", o->project->entry);
    error_hint(err, "run it again when they are written");
    return ERROR_IMPORT;
}

void bundle_done(struct bundle *b) {
    free(b->code);
    free(b->map);
    *b = (struct bundle){0};
}
