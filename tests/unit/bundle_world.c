/* See bundle_world.h. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "base/clock.h"
#include "bundle_world.h"
#include "scratch.h"
#include <stdlib.h>
#include <unistd.h>

char *esbuild;

int find_esbuild(void **state) {
    (void)state;
    struct error err = {0};
    if (bundle_find(getenv("CAPSULE_GUESTS"), &esbuild, &err)) {
        print_error("%s\n%s\n", err.message, err.hint);
        return -1;
    }
    return 0;
}

int forget_esbuild(void **state) {
    (void)state;
    free(esbuild);
    return 0;
}

int make_folder(void **state) {
    *state = scratch_new();
    return 0;
}

int drop_folder(void **state) {
    scratch_free(*state);
    return 0;
}

void outcome_done(struct outcome *o) {
    bundle_done(&o->bundle);
    json_free(o->dependencies);
}

struct outcome make_with(const struct bundle_options *given, const char *folder, const char *entry) {
    struct outcome out = {0};
    struct project p = {0};
    struct bundle_options o = *given;
    struct dependencies *d = dependencies_new();
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(1 << 24);
    uint64_t started = clock_wall_ns();
    if (project_open(scratch_path(folder, entry), &p, &out.err))
        fail_msg("%s", out.err.message);
    o.project = &p;
    out.status = bundle_make(&o, &out.bundle, d, &out.err);
    assert_int_equal(dependencies_seal(d, started, NULL), 0);
    assert_int_equal(dependencies_write(d, &text), 0);
    assert_int_equal(json_parse(text.data, text.size, &out.dependencies, NULL), 0);
    assert_true(out.status == 0 || (out.err.message[0] && out.bundle.code == NULL && out.bundle.map == NULL));
    dependencies_free(d);
    project_done(&p);
    return out;
}

struct outcome make_bundle(const char *folder, const char *entry) {
    return make_with(&(struct bundle_options){.esbuild = esbuild}, folder, entry);
}

struct outcome make_good(const char *folder, const char *entry) {
    struct outcome out = make_bundle(folder, entry);
    if (out.status)
        fail_msg("%s\n%s", out.err.message, out.err.hint);
    return out;
}

void link_to(const char *folder, const char *name, const char *target) {
    unlink(scratch_path(folder, name));
    assert_int_equal(symlink(target, scratch_path(folder, name)), 0);
}

void make_workspace(const char *folder) {
    scratch_write(folder, "ws/package.json", "{\"workspaces\": [\"packages/*\"]}");
    scratch_write(folder, "ws/packages/lib/package.json", "{\"name\": \"lib\", \"main\": \"index.ts\"}");
    scratch_write(folder, "ws/packages/lib/index.ts", "export default 'of the workspace';");
    scratch_mkdir(folder, "ws/node_modules/.pnpm/dep@1.0.0/node_modules/dep");
    scratch_write(folder, "ws/node_modules/.pnpm/dep@1.0.0/node_modules/dep/index.js",
                  "export default 'of pnpm';");
    link_to(folder, "ws/node_modules/lib", "../packages/lib");
    link_to(folder, "ws/node_modules/dep", ".pnpm/dep@1.0.0/node_modules/dep");
}
