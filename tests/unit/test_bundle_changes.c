/* What changes a bundle: every way in which an import can come to mean something else is noticed, and what doesn't matter isn't. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/bundle.h"
#include "bundle_world.h"
#include "scratch.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The packages of a workspace, and a folder elsewhere. */
static void make_packages(const char *folder) {
    make_workspace(folder);
    scratch_write(folder, "ws/packages/lib2/package.json", "{\"name\": \"lib\", \"main\": \"index.ts\"}");
    scratch_write(folder, "ws/packages/lib2/index.ts", "export default 'another';");
    scratch_write(folder, "ws/node_modules/pkg/package.json", "{\"exports\": \"./a.js\"}");
    scratch_write(folder, "ws/node_modules/pkg/a.js", "import i from 'inner'; export default i;");
    scratch_write(folder, "ws/node_modules/pkg/b.js", "export default 'b';");
    scratch_write(folder, "ws/node_modules/inner/index.js", "export default 'inner';");
    scratch_write(folder, "ws/node_modules/@s/scoped/index.js", "export default 'scoped';");
    scratch_write(folder, "ws/node_modules/late/package.json", "{\"main\": \"dist/deep/late\"}");
    scratch_write(folder, "ws/node_modules/late/index.js", "export default 'early';");
    scratch_mkdir(folder, "ws/node_modules/late/dist");
    scratch_mkdir(folder, "ws/packages/app/node_modules");
    scratch_write(folder, "ws/node_modules/shared/tsconfig.json", "{\"compilerOptions\": {}}");
    scratch_write(folder, "ws/node_modules/sub/thing.js", "export default 'thing';");
    scratch_write(folder, "ws/packages/two/index.js", "export default 'two';");
    scratch_write(folder, "ws/packages/three/index.js", "export default 'three';");
    scratch_mkdir(folder, "ws/links");
    link_to(folder, "ws/links/two", "../packages/two");
    link_to(folder, "ws/node_modules/two", "../links/two");
    scratch_mkdir(folder, "ws/node_modules/@w");
    link_to(folder, "ws/node_modules/@w/linked", "../../packages/two");
    scratch_write(folder, "far/far.ts", "export default 'far';");
    scratch_write(folder, "far/package.json", "{\"main\": \"far.ts\"}");
}

static void make_program(const char *root) {
    scratch_write(root, "capsule.toml", "[js]\npaths = ['../../../far']\n");
    scratch_write(
        root, "main.ts",
        "import u from './src/util'; import lib from 'lib'; import dep from 'dep'; import pkg from 'pkg';\n"
        "import x from '@/x'; import s from '@s/scoped'; import late from 'late'; import far from 'far';\n"
        "import l from './linked'; import y from './dir/y'; import h from './hop/y'; import js from './o.js';\n"
        "import b from 'based/z'; import two from 'two'; import w from '@w/linked'; import l2 from './linked2';\n"
        "import sub from 'sub/thing'; import svc from './a.service'; let m; try { m = require('maybe'); "
        "require('./perhaps') } catch {}\n"
        "const g = (n: string) => import(`./glob/${n}.ts`);\n"
        "console.log(u, lib, dep, pkg, x, s, late, far, l, y, h, js, b, two, w, l2, sub, svc, m, g);\n");
    scratch_write(root, "src/util.js", "export default 'util';");
    scratch_write(root, "o.ts", "export default 'o';");
    scratch_write(root, "second/x.ts", "export default 'second';");
    scratch_mkdir(root, "first");
    scratch_write(root, "tsconfig.json", "{ // with a comment\n \"extends\": [\"./base\"] }");
    scratch_write(root, "base.json",
                  "{\"extends\": \"shared/tsconfig\", \"compilerOptions\": {\"baseUrl\": \"rooted\", "
                  "\"paths\": {\"@/*\": [\"../first/*\", \"../second/*\"]}}}");
    scratch_write(root, "rooted/based/z.ts", "export default 'based';");
    scratch_write(root, "real/one.ts", "export default 'one';");
    scratch_write(root, "real/two.ts", "export default 'two';");
    scratch_write(root, "d1/y.ts", "export default 'd1';");
    scratch_write(root, "d2/y.ts", "export default 'd2';");
    scratch_mkdir(root, "hops");
    scratch_write(root, "a.service.ts", "export default 'service';");
    scratch_mkdir(root, "rooted/sub");
    scratch_write(root, "node_modules/@w/other/index.js", "");
    link_to(root, "linked2.ts", "hops/l.ts");
    link_to(root, "hops/l.ts", "../real/one.ts");
    link_to(root, "linked.ts", "real/one.ts");
    link_to(root, "dir", "d1");
    link_to(root, "hop", "hops/hop");
    link_to(root, "hops/hop", "../d1");
    scratch_write(root, "glob/a.ts", "export default 'a';");
    scratch_mkdir(root, "glob/empty");
    link_to(root, "node_modules/far", "../../../../far");
}

static void make_tree(const char *folder) {
    char root[4096];
    snprintf(root, sizeof root, "%s", scratch_path(folder, "ws/packages/app"));
    make_packages(folder);
    make_program(root);
}

#define APP "ws/packages/app/"

static const struct change {
    const char *name, *text; /* "-" removes, "->x" links, "/" makes a folder */
} changes[] = {
    {APP "main.ts", "console.log(1)"},
    {APP "src/util.js", "export default 'edited';"},
    {APP "src/util.ts", "export default 'nearer';"},
    {APP "src/util", "no extension"},
    {APP "src/util.js", "-"},
    {APP "o.js", "export default 'o.js';"},
    {APP "o.ts", "-"},
    {APP "second/x.ts", "export default 'edited';"},
    {APP "first/x.ts", "export default 'first';"},
    {APP "first/x/index.ts", "export default 'first';"},
    {APP "rooted/based/z.tsx", "export default 'nearer';"},
    {"ws/node_modules/based/z.js", "export default 'package';"},
    {APP "tsconfig.json", "{}"},
    {APP "tsconfig.json", "-"},
    {APP "base.json", "{\"compilerOptions\": {\"paths\": {\"@/*\": [\"./real/*\"]}}}"},
    {APP "base", "{}"},
    {"ws/node_modules/shared/tsconfig.json", "{\"compilerOptions\": {\"jsx\": \"preserve\"}}"},
    {APP "node_modules/shared/tsconfig.json", "{\"compilerOptions\": {\"jsx\": \"preserve\"}}"},
    {APP "jsconfig.json", "{}"},
    {APP "src/tsconfig.json", "{}"},
    {APP "package.json", "{\"type\": \"module\"}"},
    {"ws/packages/package.json", "{}"},
    {"ws/package.json", "{\"workspaces\": [], \"browser\": {}}"},
    {"ws/tsconfig.json", "{}"},
    {"package.json", "{}"},
    {"tsconfig.json", "{}"},
    {".pnp.cjs", "{}"},
    {"ws/.pnp.cjs", "{}"},
    {"node_modules/maybe/index.js", "module.exports = 1"},
    {"ws/node_modules/maybe/index.js", "module.exports = 1"},
    {"ws/packages/node_modules/pkg/index.js", "export default 'nearer';"},
    {APP "node_modules/pkg/index.js", "export default 'nearest';"},
    {APP "node_modules/@s/scoped/index.js", "export default 'nearest';"},
    {APP "perhaps.ts", "export default 1;"},
    {"ws/node_modules/pkg/package.json", "{\"exports\": \"./b.js\"}"},
    {"ws/node_modules/pkg/a.js", "export default 'edited';"},
    {"ws/node_modules/pkg/node_modules/inner/index.js", "export default 'inside';"},
    {"ws/node_modules/inner/package.json", "{\"main\": \"other.js\"}"},
    {"ws/node_modules/@s/scoped/package.json", "{}"},
    {"ws/node_modules/@s/scoped/index.js", "-"},
    {"ws/node_modules/late/dist/deep/late.js", "export default 'late';"},
    {"ws/packages/lib/index.ts", "export default 'edited';"},
    {"ws/packages/lib/index.tsx", "export default 'nearer';"},
    {"ws/node_modules/lib", "->../packages/lib2"},
    {"ws/node_modules/dep", "->.pnpm/other"},
    {"ws/node_modules/.pnpm/dep@1.0.0/node_modules/dep/index.js", "export default 'edited';"},
    {"ws/node_modules/.pnpm/dep@1.0.0/node_modules/dep/package.json", "{\"main\": \"x\"}"},
    {APP "linked.ts", "->real/two.ts"},
    {APP "a.service", "nothing that's known"},
    {APP "linked2.ts", "->real/two.ts"},
    {APP "hops/l.ts", "->../real/two.ts"},
    {APP "rooted/sub/thing.ts", "export default 'by baseUrl';"},
    {"ws/node_modules/two", "->../packages/three"},
    {"ws/links/two", "->../packages/three"},
    {"ws/node_modules/@w/linked", "->../../packages/three"},
    {APP "node_modules/@w/linked/index.js", "export default 'nearest';"},
    {APP "real/one.ts", "export default 'edited';"},
    {APP "dir", "->d2"},
    {APP "hop", "->d2"},
    {APP "hops/hop", "->../d2"},
    {APP "d1/y.ts", "export default 'edited';"},
    {APP "d1/y.tsx", "export default 'nearer';"},
    {APP "glob/b.ts", "export default 'b';"},
    {APP "glob/empty/c.ts", "export default 'c';"},
    {APP "glob/new/c.ts", "export default 'c';"},
    {"far/far.ts", "export default 'edited';"},
    {"far/package.json", "{\"main\": \"other\"}"},
    {"ws/node_modules", "-"},
};

static void apply(const char *folder, const struct change *c) {
    char moved[4096];
    if (strcmp(c->text, "-") == 0) {
        snprintf(moved, sizeof moved, "%s", scratch_path(folder, "gone"));
        assert_int_equal(rename(scratch_path(folder, c->name), moved), 0);
    } else if (strncmp(c->text, "->", 2) == 0) {
        link_to(folder, c->name, c->text + 2);
    } else {
        scratch_write(folder, c->name, c->text);
    }
}

static bool unchanged(const struct outcome *out) {
    bool touched;
    return dependencies_unchanged(json_root(out->dependencies), &touched);
}

static void notices_changes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        char *folder = scratch_new();
        make_tree(folder);
        struct outcome out = make_good(folder, APP "main.ts");
        if (!unchanged(&out))
            fail_msg("it changed before %s", changes[i].name);
        apply(folder, &changes[i]);
        if (unchanged(&out))
            fail_msg("%s %s wasn't noticed", changes[i].name, changes[i].text);
        outcome_done(&out);
        scratch_free(folder);
    }
}

static void ignores_what_does_not_matter(void **state) {
    static const struct change rows[] = {
        {APP "README.md", "x"},
        {APP "out.csv", "1"},
        {APP ".env", "K=V"},
        {APP "data/x.json", "1"},
        {APP "src/notes.txt", "x"},
        {"ws/node_modules/.cache/x.json", "1"},
        {APP "real/three.py", "x=1"},
        {"ws/node_modules/pkg/LICENSE.txt", "x"},
        {"ws/packages/third/index.ts", "x"},
        {"unrelated.ts", "x"},
    };
    make_tree(*state);
    scratch_mkdir(*state, APP "data");
    scratch_mkdir(*state, "ws/packages/third");
    struct outcome out = make_good(*state, APP "main.ts");
    for (size_t i = 0; i < COUNT(rows); i++) {
        apply(*state, &rows[i]);
        if (!unchanged(&out))
            fail_msg("%s mattered", rows[i].name);
    }
    outcome_done(&out);
}

static void looks_at_little_for_little(void **state) {
    scratch_write(*state, "p/main.ts", "console.log(1);");
    struct outcome out = make_good(*state, "p/main.ts");
    size_t depth = 0;
    for (const char *p = *state; *p; p++)
        depth += *p == '/';
    assert_true(json_size(json_root(out.dependencies)) <= 2 + 5 * (depth + 1));
    outcome_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notices_changes),
        cmocka_unit_test_setup_teardown(ignores_what_does_not_matter, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(looks_at_little_for_little, make_folder, drop_folder),
    };
    return cmocka_run_group_tests_name("bundle changes", tests, find_esbuild, forget_esbuild);
}
