/* The wall of a bundle: what a program may import, and what it may try in vain. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/bundle.h"
#include "bundle_world.h"
#include "scratch.h"
#include <stdlib.h>
#include <unistd.h>

static void allows_workspaces_and_named_folders(void **state) {
    make_workspace(*state);
    scratch_write(*state, "ws/packages/app/main.ts",
                  "import lib from 'lib'; import dep from 'dep'; import sib from '../lib/index';\n"
                  "import far from '../../../far/x'; import abs from '../../../abs/y'; console.log(lib, dep, far, "
                  "sib, abs);");
    scratch_write(*state, "far/x.ts", "export default 'from afar';");
    scratch_write(*state, "abs/y.ts", "export default 'by absolute path';");
    char toml[1024];
    snprintf(toml, sizeof toml, "[js]\npaths = ['../../../far', '%s/abs', 'nowhere']\n", (const char *)*state);
    scratch_write(*state, "ws/packages/app/capsule.toml", toml);
    struct outcome out = make_good(*state, "ws/packages/app/main.ts");
    assert_contains(out.bundle.code, "of the workspace");
    assert_contains(out.bundle.code, "of pnpm");
    assert_contains(out.bundle.code, "from afar");
    assert_contains(out.bundle.code, "by absolute path");
    outcome_done(&out);
    /* A workspace that only pnpm knows. */
    assert_int_equal(unlink(scratch_path(*state, "ws/package.json")), 0);
    out = make_bundle(*state, "ws/packages/app/main.ts");
    assert_int_equal(out.status, ERROR_IMPORT);
    assert_contains(out.err.message, "that leads out of the project");
    outcome_done(&out);
    scratch_write(*state, "ws/pnpm-workspace.yaml", "packages: ['packages/*']\n");
    out = make_good(*state, "ws/packages/app/main.ts");
    outcome_done(&out);
}

/* What a program that nobody has read might try. Secrets lie at secret/: config.json, code.ts, .env and node_modules-like folders. */
static const struct attempt {
    const char *main, *message, *hint;
} attempts[] = {
    {"import s from '../secret/config.json'; console.log(s)",
     "main.ts imports \"../secret/config.json\": that leads out of the project, to ", "[js] paths = [\""},
    {"import s from 'ABSOLUTE/secret/config.json'; console.log(s)", "leads out of the project", "[js] paths"},
    {"import s from 'ABSOLUTE/secret/code.ts'; console.log(s)", "leads out of the project", ""},
    {"console.log(await import('../secret/config.json'))", "leads out of the project", ""},
    {"console.log(require('../secret/config.json'))", "leads out of the project", ""},
    {"export * from '../secret/code'", "leads out of the project", ""},
    {"import s from './link.json'; console.log(s)", "main.ts imports \"./link.json\": that leads out", ""},
    {"import s from './folder/config.json'; console.log(s)", "leads out of the project", ""},
    {"import s from './hops.json'; console.log(s)", "leads out of the project", ""},
    {"import s from 'evil/config.json'; console.log(s)", "leads out of the project", ""},
    {"import s from 'evil2'; console.log(s)", "evil2", ""},
    {"import s from 'evil3/x'; console.log(s)", "", ""},
    {"import s from 'evil4'; console.log(s)", "leads out of the project", ""},
    {"import s from '@/config.json'; console.log(s)", "leads out of the project", ""},
    {"import s from '#secret'; console.log(s)", "", ""},
    {"import s from './.env'; console.log(s)", "", ""},
    {"import s from './.hidden.json'; console.log(s)", "begins with a dot", "move it"},
    {"import s from './.git/x.json'; console.log(s)", "begins with a dot", ""},
    {"import s from './notes.txt'; console.log(s)", "only TypeScript, JavaScript and JSON", "files.readText"},
    {"import s from './notes.txt' with { type: 'text' }; console.log(s)", "as text or bytes", "files.readText"},
    {"import s from './notes.json' with { type: 'text' }; console.log(s)", "as text or bytes", ""},
    {"import s from '../secret/config.json' with { type: 'bytes' }; console.log(s)", "as text or bytes", ""},
    {"import s from '../secret/.env' with { type: 'text' }; console.log(s)", "as text or bytes", ""},
    {"import './style.css'", "only TypeScript, JavaScript and JSON", ""},
    {"import '../secret/style.css'", "that leads out of the project", ""},
    {"console.log(new URL('./notes.txt', import.meta.url)); import s from './notes.txt?url'; console.log(s)",
     "a query (?…)", "by its name alone"},
    {"import s from '../secret/config.json?x'; console.log(s)", "a query (?…)", ""},
    {"const n = 'config'; console.log(await import(`../secret/${n}.json`))", "leads out of the project", ""},
    {"import s from './__virtual__/x/1/secret/config.json'; console.log(s)", "Yarn's virtual folders",
     "nodeLinker"},
    {"import s from './$$virtual/x/1/secret/config.json'; console.log(s)", "Yarn's virtual folders", "nodeLinker"},
    {"import s from './a.zip/config.json'; console.log(s)", "packages in archives", ""},
    {"import s from './__virtual__\\\\x\\\\1\\\\secret\\\\config.json'; console.log(s)", "", ""},
    {"import x from 'https://example.com/x.js'; console.log(x)", "nothing is loaded from the network", "npm"},
    {"import 'outer'; import '../outside/node_modules/other'", "leads out of the project", ""},
};

static void make_hostile_tree(const char *root) {
    scratch_write(root, "secret/config.json", "{\"auth\": \"SECRET\"}");
    scratch_write(root, "secret/code.ts", "export default 'SECRET';");
    scratch_write(root, "secret/.env", "KEY=SECRET");
    scratch_write(root, "secret/style.css", "a { content: 'SECRET' }");
    scratch_write(root, "outside/node_modules/other/index.js", "console.log('SECRET')");
    scratch_write(root, "node_modules/outer/index.js", "console.log('fine')");
    scratch_write(root, "p/.env", "KEY=SECRET");
    scratch_write(root, "p/.hidden.json", "\"SECRET\"");
    scratch_write(root, "p/.git/x.json", "\"SECRET\"");
    scratch_write(root, "p/notes.txt", "SECRET");
    scratch_write(root, "p/notes.json", "\"SECRET\"");
    scratch_write(root, "p/style.css", "a { content: 'SECRET' }");
    scratch_write(root, "p/tsconfig.json",
                  "{\"compilerOptions\": {\"paths\": {\"@/*\": [\"../secret/*\"]}}, \"extends\": "
                  "\"../secret/config.json\"}");
    scratch_write(root, "p/package.json", "{\"imports\": {\"#secret\": \"../secret/config.json\"}}");
    /* Decoys: esbuild reads what such a path means to Yarn. */
    scratch_write(root, "p/__virtual__/x/1/secret/config.json", "{\"auth\": \"DECOY!\"}");
    scratch_write(root, "p/$$virtual/x/1/secret/config.json", "{\"auth\": \"DECOY!\"}");
    scratch_write(root, "p/__virtual__\\x\\1\\secret\\config.json", "{\"auth\": \"DECOY!\"}");
    scratch_write(root, "p/a.zip/config.json", "{\"auth\": \"DECOY!\"}");
    link_to(root, "p/link.json", "../secret/config.json");
    link_to(root, "p/folder", "../secret");
    link_to(root, "p/hop", "folder");
    link_to(root, "p/hops.json", "hop/config.json");
    scratch_mkdir(root, "p/node_modules");
    link_to(root, "p/node_modules/evil", "../../secret");
    scratch_write(root, "p/node_modules/evil2/package.json", "{\"main\": \"../../../secret/config.json\"}");
    scratch_write(root, "p/node_modules/evil3/package.json",
                  "{\"exports\": {\"./x\": \"./../../../secret/config.json\"}}");
    scratch_write(root, "p/node_modules/evil4/package.json",
                  "{\"browser\": {\"./index.js\": \"../../../secret/code.ts\"}}");
    scratch_write(root, "p/node_modules/evil4/index.js", "export default 1;");
}

static void holds_the_wall(void **state) {
    const char *root = *state;
    make_hostile_tree(root);
    for (size_t i = 0; i < COUNT(attempts); i++) {
        char text[2048];
        const char *at = strstr(attempts[i].main, "ABSOLUTE");
        if (at)
            snprintf(text, sizeof text, "%.*s%s%s", (int)(at - attempts[i].main), attempts[i].main, root, at + 8);
        else
            snprintf(text, sizeof text, "%s", attempts[i].main);
        scratch_write(root, "p/main.ts", text);
        struct outcome out = make_bundle(root, "p/main.ts");
        if (out.status != ERROR_IMPORT || strstr(out.err.message, "SECRET"))
            fail_msg("%s: %d %s", attempts[i].main, out.status, out.err.message);
        assert_contains(out.err.message, attempts[i].message);
        assert_contains(out.err.hint, attempts[i].hint);
        outcome_done(&out);
    }
}

/* node_modules that is a symlink is no place, wherever it leads. */
static void refuses_linked_node_modules(void **state) {
    scratch_write(*state, "elsewhere/pkg/index.js", "export default 'SECRET';");
    scratch_write(*state, "p/main.ts", "import x from 'pkg'; console.log(x);");
    link_to(*state, "p/node_modules", "../elsewhere");
    struct outcome out = make_bundle(*state, "p/main.ts");
    assert_int_equal(out.status, ERROR_IMPORT);
    assert_contains(out.err.message, "main.ts imports \"pkg\": that leads out of the project");
    outcome_done(&out);
    scratch_write(*state, "p/capsule.toml", "[js]\npaths = ['../elsewhere']\n");
    out = make_good(*state, "p/main.ts");
    outcome_done(&out);
}

/* Packages that a stranger left in a folder above, such as /tmp, aren't used. */
static void refuses_what_strangers_left(void **state) {
    if (geteuid() != 0)
        skip();
    const char *const left[] = {"node_modules", "package.json", "pnpm-workspace.yaml"};
    scratch_write(*state, "p/main.ts", "import x from 'pkg'; import y from '../y'; console.log(x, y);");
    scratch_write(*state, "node_modules/pkg/index.js", "export default 1;");
    scratch_write(*state, "package.json", "{\"workspaces\": []}");
    scratch_write(*state, "pnpm-workspace.yaml", "");
    scratch_write(*state, "y.ts", "export default 2;");
    struct outcome out = make_good(*state, "p/main.ts");
    outcome_done(&out);
    for (size_t i = 0; i < COUNT(left); i++)
        assert_int_equal(chown(scratch_path(*state, left[i]), 65533, 65533), 0);
    out = make_bundle(*state, "p/main.ts");
    assert_int_equal(out.status, ERROR_IMPORT);
    assert_contains(out.err.message, "imports \"pkg\": that leads out");
    assert_contains(out.err.message, "imports \"../y\": that leads out");
    outcome_done(&out);
}

static void shows_ten_refusals(void **state) {
    char text[4096];
    size_t n = 0;
    for (int i = 0; i < 13; i++) {
        char name[32];
        snprintf(name, sizeof name, "x%d.json", i);
        scratch_write(*state, name, "1");
        n += (size_t)snprintf(text + n, sizeof text - n, "import a%d from '../x%d.json'; console.log(a%d);\n", i,
                              i, i);
    }
    scratch_write(*state, "p/main.ts", text);
    struct outcome out = make_bundle(*state, "p/main.ts");
    assert_int_equal(out.status, ERROR_IMPORT);
    assert_contains(out.err.message, "\nand 3 more");
    outcome_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(allows_workspaces_and_named_folders, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(holds_the_wall, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(refuses_linked_node_modules, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(refuses_what_strangers_left, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(shows_ten_refusals, make_folder, drop_folder),
    };
    return cmocka_run_group_tests_name("bundle wall", tests, find_esbuild, forget_esbuild);
}
