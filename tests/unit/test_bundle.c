/* Bundles by a real esbuild: what comes out, and errors in words; a fake esbuild that misbehaves; finding one. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/bundle.h"
#include "app/bundle_internal.h"
#include "base/clock.h"
#include "base/fault.h"
#include "bundle_world.h"
#include "scratch.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what comes out ---- */

static void bundles_a_program(void **state) {
    scratch_write(*state, "src/main.ts",
                  "import { task } from '@capsule-run/sdk';\n"
                  "import { extra } from '@capsule-run/sdk/extra';\n"
                  "import { greet } from '../lib/greet';\n"
                  "import data from './data.json';\n"
                  "import json from './data.json' with { type: 'json' };\n"
                  "class Ärger { static #n = 1; static { Ärger.#n++; } }\n"
                  "export const main = task({ name: 'main' }, async (n: string): Promise<string> => "
                  "greet(n, data.x, json.x, extra, Ärger, process.env.NODE_ENV));\n");
    scratch_write(*state, "lib/greet.tsx", "export function greet(...all: unknown[]) { return all.join(); }\n");
    scratch_write(*state, "src/data.json", "{\"x\": \"from json\"}");
    scratch_write(*state, "capsule.toml", "");
    struct outcome out = make_good(*state, "src/main.ts");
    assert_contains(out.bundle.code, "from \"@capsule-run/sdk\"");
    assert_contains(out.bundle.code, "from \"@capsule-run/sdk/extra\"");
    assert_contains(out.bundle.code, "from json");
    assert_contains(out.bundle.code, "static {");
    assert_contains(out.bundle.code, "Ärger");
    assert_contains(out.bundle.code, "\"production\"");
    assert_contains(out.bundle.code, "__name(greet, \"greet\")");
    assert_null(strstr(out.bundle.code, "sourceMappingURL"));
    assert_int_equal(strlen(out.bundle.code), out.bundle.code_n);
    assert_int_equal(strlen(out.bundle.map), out.bundle.map_n);
    assert_contains(out.bundle.map, "\"src/main.ts\"");
    assert_contains(out.bundle.map, "\"lib/greet.tsx\"");
    assert_null(strstr(out.bundle.map, "from json"));
    assert_true(json_valid(out.bundle.map, out.bundle.map_n));
    outcome_done(&out);
}

/* Each extension is a program, and they import each other. */
static void knows_all_extensions(void **state) {
    static const char *const names[] = {"a.ts", "a.tsx", "a.mts", "a.cts", "a.js", "a.jsx", "a.mjs", "a.cjs"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[128];
        snprintf(text, sizeof text, "import './%s'; console.log('found');\n", names[(i + 1) % COUNT(names)]);
        scratch_write(*state, names[i], text);
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        struct outcome out = make_good(*state, names[i]);
        assert_contains(out.bundle.code, "found");
        outcome_done(&out);
    }
}

static size_t count(const char *text, char c) {
    size_t n = 0;
    for (; *text; text++)
        n += *text == c;
    return n;
}

static void gives_common_js_the_sdk(void **state) {
    scratch_write(*state, "main.cjs",
                  "const { task } = require('@capsule-run/sdk');\n"
                  "exports.main = task({ name: 'main' }, () => 1);\n");
    struct outcome out = make_good(*state, "main.cjs");
    assert_int_equal(strncmp(out.bundle.code, "import * as __capsule_sdk from \"@capsule-run/sdk\"", 49), 0);
    /* The line more is in the map as well: its last mapped line is the code's. */
    const char *mappings = strstr(out.bundle.map, "\"mappings\":\";");
    assert_non_null(mappings);
    assert_true(count(mappings, ';') + 1 >= count(out.bundle.code, '\n') - 4);
    outcome_done(&out);
    scratch_write(*state, "plain.js", "import { task } from '@capsule-run/sdk'; export const main = task;\n");
    out = make_good(*state, "plain.js");
    assert_null(strstr(out.bundle.code, "__capsule_sdk"));
    outcome_done(&out);
}

static void follows_packages(void **state) {
    scratch_write(*state, "app/main.ts",
                  "import a from 'pkg'; import b from 'pkg/sub'; import c from 'old';\n"
                  "import d from 'two'; console.log(a, b, c, d);\n");
    scratch_write(*state, "node_modules/pkg/package.json",
                  "{\"exports\": {\".\": {\"node\": \"./node.js\", \"capsule\": \"./capsule.js\"},"
                  " \"./sub\": {\"node\": \"./node.js\", \"browser\": \"./browser.js\"}}}");
    scratch_write(*state, "node_modules/pkg/node.js", "export default 'WRONG';");
    scratch_write(*state, "node_modules/pkg/capsule.js", "export default 'for capsule';");
    scratch_write(*state, "node_modules/pkg/browser.js", "export default 'for browsers';");
    scratch_write(*state, "node_modules/old/package.json", "{\"main\": \"lib\", \"browser\": {\"fs\": false}}");
    scratch_write(*state, "node_modules/old/lib.js", "const fs = require('fs'); module.exports = 'common js';");
    scratch_write(*state, "node_modules/two/package.json", "{\"main\": \"cjs.js\", \"module\": \"esm.js\"}");
    scratch_write(*state, "node_modules/two/cjs.js", "module.exports = 'two as cjs';");
    scratch_write(*state, "node_modules/two/esm.js", "export default 'two as esm';");
    struct outcome out = make_good(*state, "app/main.ts");
    assert_contains(out.bundle.code, "for capsule");
    assert_contains(out.bundle.code, "for browsers");
    assert_contains(out.bundle.code, "common js");
    assert_contains(out.bundle.code, "two as esm");
    assert_null(strstr(out.bundle.code, "WRONG"));
    assert_contains(out.bundle.map, "\"../node_modules/pkg/capsule.js\"");
    outcome_done(&out);
}

/* ---- errors ---- */

static void explains_errors(void **state) {
    static const struct {
        const char *main, *message, *hint;
    } rows[] = {
        {"const x: = 3;\n", "main.ts:1:10: Unexpected \"=\"\n      1 │ const x: = 3;", ""},
        {"\n\timport a from 'lodas'; a();\n", "main.ts:2:16: Could not resolve \"lodas\"\n      2 │ ",
         "did you mean \"lodash\"? If not, install it: npm install lodas"},
        {"import a from 'unheard-of/sub'; a();", "Could not resolve \"unheard-of/sub\"",
         "install it: npm install unheard-of"},
        {"import a from '@acme/thng/sub'; a();", "Could not resolve \"@acme/thng/sub\"",
         "did you mean \"@acme/thing\"?"},
        {"import a from './hepler'; a();", "Could not resolve \"./hepler\"", "did you mean \"./helper\"?"},
        {"import a from './sub/deap'; a();", "Could not resolve", "did you mean \"./sub/deep\"?"},
        {"import fs from 'node:fs'; fs();",
         "main.ts:1:16: \"node:fs\" is a built-in module of Node, which a sandbox doesn't have: use `files` from "
         "\"@capsule-run/sdk\"\n      1 │",
         "files"},
        {"import cp from 'child_process'; cp();", "a sandbox can't start processes", ""},
        {"import x from 'node:unheard'; x();", "built-in module of Node", ""},
        {"import a from 'bad'; a();",
         "node_modules/bad/index.js:1:22: \"http\" is a built-in module of Node, which a sandbox doesn't have "
         "(imported "
         "by the package \"bad\")",
         "the package \"bad\" is made for Node"},
        {"import a from '@acme/thing'; a();", "(imported by the package \"@acme/thing\")",
         "the package \"@acme/thing\" needs it: npm install missing"},
        {"import a from 'closed/inner.js'; a();", "Could not resolve \"closed/inner.js\"", "closed"},
        {"import { nope } from './helper'; nope();", "No matching export in \"helper.ts\"", ""},
        {"import x from './pic.png'; x();", "No loader is configured for \".png\"", "files.readText"},
        {"import x from './native.node'; x();", "No loader is configured for \".node\"", "native add-ons"},
        {"import x from './broken.json'; x();", "broken.json:1:", ""},
    };
    const char *root = *state;
    scratch_write(root, "helper.ts", "export default 1;");
    scratch_write(root, "sub/deep.ts", "export default 1;");
    scratch_write(root, "pic.png", "png");
    scratch_write(root, "native.node", "elf");
    scratch_write(root, "broken.json", "{,}");
    scratch_write(root, "node_modules/lodash/index.js", "");
    scratch_write(root, "node_modules/bad/index.js", "const http = require(\"http\"); module.exports = http;");
    scratch_write(root, "node_modules/@acme/thing/index.js", "import 'missing';");
    scratch_write(root, "node_modules/closed/package.json", "{\"exports\": {\".\": \"./index.js\"}}");
    scratch_write(root, "node_modules/closed/inner.js", "");
    for (size_t i = 0; i < COUNT(rows); i++) {
        scratch_write(root, "main.ts", rows[i].main);
        struct outcome out = make_bundle(root, "main.ts");
        if (out.status != ERROR_IMPORT || !strstr(out.err.message, rows[i].message) ||
            !strstr(out.err.hint, rows[i].hint))
            fail_msg("%s\n%d: %s\nhint: %s", rows[i].main, out.status, out.err.message, out.err.hint);
        assert_null(strstr(out.err.message, "--platform"));
        assert_null(strstr(out.err.message, "external"));
        outcome_done(&out);
    }
}

/* A program may ask for what a sandbox doesn't have if it can do without. */
static void leaves_optional_packages_to_the_program(void **state) {
    scratch_write(*state, "main.ts",
                  "let fs; try { fs = require('fs'); require('maybe') } catch {}\n"
                  "import('maybe').catch(() => 0); console.log(fs);");
    struct outcome out = make_good(*state, "main.ts");
    outcome_done(&out);
}

static void explains_text(void **state) {
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"Killed by a gremlin\n", "esbuild failed:\nKilled by a gremlin"},
        {"", "esbuild failed:\n"},
        {"fatal error: runtime: out of memory\n\nruntime stack:\n",
         "bundling main.ts took more memory than it may"},
        {"✘ [ERROR] ", "esbuild failed:\n✘ [ERROR]"},
        {"✘ [ERROR] By the launcher\n\nnode:child_process:930\n    throw err;\n", "By the launcher"},
        {"\nnode:child_process:930\n    throw err;\n",
         "esbuild failed:\n\nnode:child_process:930\n    throw err;"},
        {"✘ [ERROR] Without a place\n\n", "Without a place"},
        {"✘ [ERROR] Invalid build flag: \"--x\"\n\n  Try this\n\n", "Invalid build flag: \"--x\"\n\n  Try this"},
        {"✘ [ERROR] Two\n\n    a b:c.ts:12:0:\n      12 │ x\n         ╵ ^\n\n  The first is here:\n\n    "
         "o.ts:1:2:\n      1 "
         "│ y\n\n",
         "a b:c.ts:12:1: Two\n      12 │ x\n         ╵ ^\n\n  The first is here:\n\n    o.ts:1:2:\n      1 │ y"},
        {"▲ [WARNING] Never mind\n\n    a.ts:1:0:\n      1 │ w\n\n✘ [ERROR] Mind\n\n    a.ts:2:0:\n      2 │ "
         "e\n\n",
         "a.ts:2:1: Mind\n      2 │ e"},
        {"✘ [ERROR] \x1b[31mred\x07 \xC2\x9B"
         "1m\n\n",
         "?[31mred? ?1m"},
        {"✘ [ERROR] Could not resolve \"node:\x1b[1m\"\n\n",
         "\"node:?[1m\" is a built-in module of Node, which a sandbox doesn't have: there's no replacement"},
        {"✘ [ERROR] Could not resolve \"\n\n", "Could not resolve \""},
        {"✘ [ERROR] Huge\n\n    a.ts:99999999999:1:\n      1 │ e\n\n",
         "Huge\n\n    a.ts:99999999999:1:\n      1 │ e"},
    };
    struct project p = {.root = *state, .entry = (char[]){"main.ts"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_int_equal(bundle_explain(&p, rows[i].text, strlen(rows[i].text), &err), ERROR_IMPORT);
        assert_string_equal(err.message, rows[i].expected);
    }
    CLEANUP(buffer_done) struct buffer many = BUFFER_INIT(1 << 20);
    for (int i = 0; i < 14; i++)
        buffer_printf(&many, "✘ [ERROR] Number %d\n\n    main.ts:%d:0:\n      1 │ x\n\n", i, i + 1);
    static const char old[] = "✘ [ERROR] Invalid target \"es2024\" in \"--target=es2024\"\n\n";
    struct error err = {0};
    bundle_explain(&p, old, sizeof old - 1, &err);
    assert_contains(err.hint, "too old");
    bundle_explain(&p, many.data, many.size, &err);
    assert_string_equal(err.hint, "");
    assert_contains(err.message, "main.ts:10:1: Number 9");
    assert_null(strstr(err.message, "Number 10"));
    assert_contains(err.message, "and 4 more");
}

/* As esbuild has them, for modules that exist without "node:". */
static const char *const built_in[] = {"assert",
                                       "assert/strict",
                                       "async_hooks",
                                       "buffer",
                                       "child_process",
                                       "cluster",
                                       "console",
                                       "constants",
                                       "crypto",
                                       "dgram",
                                       "diagnostics_channel",
                                       "dns",
                                       "dns/promises",
                                       "domain",
                                       "events",
                                       "fs",
                                       "fs/promises",
                                       "http",
                                       "http2",
                                       "https",
                                       "inspector",
                                       "module",
                                       "net",
                                       "os",
                                       "path",
                                       "path/posix",
                                       "path/win32",
                                       "perf_hooks",
                                       "process",
                                       "punycode",
                                       "querystring",
                                       "readline",
                                       "repl",
                                       "stream",
                                       "stream/consumers",
                                       "stream/promises",
                                       "stream/web",
                                       "string_decoder",
                                       "sys",
                                       "timers",
                                       "timers/promises",
                                       "tls",
                                       "trace_events",
                                       "tty",
                                       "url",
                                       "util",
                                       "util/types",
                                       "v8",
                                       "vm",
                                       "wasi",
                                       "worker_threads",
                                       "zlib",
                                       "_http_agent",
                                       "_stream_duplex",
                                       "_tls_wrap"};

static void knows_built_in_modules(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(built_in); i++) {
        char prefixed[64];
        snprintf(prefixed, sizeof prefixed, "node:%s", built_in[i]);
        if (!bundle_builtin(built_in[i]) || bundle_builtin(built_in[i]) != bundle_builtin(prefixed))
            fail_msg("%s", built_in[i]);
    }
    assert_non_null(bundle_builtin("node:test"));
    assert_non_null(bundle_builtin("node:sqlite"));
    assert_null(bundle_builtin("test"));
    assert_null(bundle_builtin("lodash"));
    assert_null(bundle_builtin("fs-extra"));
    assert_null(bundle_builtin("fs/x"));
    assert_null(bundle_builtin(""));
}

static void strips_comments(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"{\"a\": 1, // x\n \"b\": [1, 2,], /* , */ }", "{\"a\":1,\"b\":[1,2]}"},
        {"\xEF\xBB\xBF{}", "{}"},
        {"{\"a\": \"// no, \\\" /* comment */ ,]\"}", "{\"a\":\"// no, \\\" /* comment */ ,]\"}"},
        {"/*/ still */[1,/**/\n]//", "[1]"},
        {"[1, \"x\", ]", "[1,\"x\"]"},
        {"{\"a\": \"\\", NULL},
        {"/*", NULL},
        {"[1,,]", NULL},
        {"/", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(cleanup_free) char *text = strdup(rows[i][0]);
        CLEANUP(json_cleanup) struct json_document *d = NULL;
        CLEANUP(buffer_done) struct buffer out = BUFFER_INIT(1 << 16);
        size_t n = strlen(text);
        bundle_strip_comments(text, n);
        assert_int_equal(strlen(text), n);
        int status = json_parse(text, n, &d, NULL);
        assert_int_equal(status != 0, rows[i][1] == NULL);
        if (status == 0) {
            json_write(json_root(d), &out);
            assert_string_equal(buffer_text(&out), rows[i][1]);
        }
    }
}

/* ---- an esbuild that misbehaves ---- */

static void write_fake(const char *folder, const char *script) {
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(1 << 16);
    buffer_printf(&text, "#!/bin/sh\n%s\n", script);
    scratch_write(folder, "fake", text.data);
    assert_int_equal(chmod(scratch_path(folder, "fake"), 0755), 0);
}

#define METAFILE                                                                                                  \
    "echo '{\"inputs\": {\"main.ts\": {\"bytes\": 1, \"imports\": []}}, \"outputs\": {}}' >/dev/fd/0\n"

static void survives_a_bad_esbuild(void **state) {
    static const struct {
        const char *script;
        int status;
        const char *message, *hint;
    } rows[] = {
        {"sleep 100", ERROR_IMPORT, "bundling main.ts took longer than 0.3 seconds", ""},
        {"sleep 100 & sleep 100", ERROR_IMPORT, "took longer", ""},
        {"trap '' TERM INT; while :; do :; done", ERROR_IMPORT, "took longer", ""},
        {"head -c 70000000 /dev/zero >/dev/fd/1", ERROR_LIMIT, "larger than 64 MiB", ""},
        {"head -c 70000000 /dev/zero >/dev/fd/0", ERROR_LIMIT, "larger than 64 MiB", ""},
        {"head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", ERROR_IMPORT, "esbuild failed:\nxxxx", ""},
        {"exit 3", ERROR_IMPORT, "ended with exit code 3 and said nothing", ""},
        {"exit 127", ERROR_UNSUPPORTED, "can't be run", "CAPSULE_ESBUILD"},
        {"echo 'env: node: No such file or directory' >&2; exit 127", ERROR_IMPORT, "env: node: No such file", ""},
        {"kill -9 $$", ERROR_IMPORT, "was killed by signal 9", ""},
        {"exit 0", ERROR_UNSUPPORTED, "can't be read", "its version"},
        {"echo '{' >/dev/fd/0", ERROR_UNSUPPORTED, "can't be read", ""},
        {"echo '[]' >/dev/fd/0", ERROR_UNSUPPORTED, "can't be read", ""},
        {"echo '{\"inputs\": {}, \"outputs\": {}}' >/dev/fd/0", ERROR_UNSUPPORTED, "can't be read", ""},
        {"echo '{\"inputs\": {\"other.ts\": {}}, \"outputs\": {}}' >/dev/fd/0", ERROR_IMPORT,
         "isn't there any more", ""},
        {"echo '{\"inputs\": {\"main.ts\": 7, \"../x.json\": []}, \"outputs\": {}}' >/dev/fd/0", ERROR_IMPORT,
         "../x.json is imported: it isn't there", ""},
        {METAFILE, ERROR_UNSUPPORTED, "no source map", ""},
        {METAFILE "echo 'x' >/dev/fd/1", ERROR_UNSUPPORTED, "no source map", ""},
        {METAFILE "echo '//# sourceMappingURL=data:application/json;base64,e' >/dev/fd/1", ERROR_UNSUPPORTED,
         "source map that esbuild wrote can't be read", ""},
        /* {"mappings":"\""} */
        {METAFILE "echo '//# sourceMappingURL=data:application/json;base64,eyJtYXBwaW5ncyI6IlwiIn0=' >/dev/fd/1",
         ERROR_UNSUPPORTED, "source map that esbuild wrote can't be read", ""},
        {METAFILE "echo \"$(date +%N)\" >main.ts; echo >/dev/fd/1", ERROR_IMPORT, "keep changing", "again"},
        {METAFILE "echo '//# sourceMappingURL=data:application/json;base64,e30=' >/dev/fd/1", 0, "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        scratch_write(*state, "main.ts", "1");
        write_fake(*state, rows[i].script);
        uint64_t limit = strstr(rows[i].message, "took") ? 300 * NS_PER_MS : 0;
        struct bundle_options o = {.esbuild = scratch_path(*state, "fake"), .timeout_ns = limit};
        struct outcome out = make_with(&o, *state, "main.ts");
        if (out.status != rows[i].status || !strstr(out.err.message, rows[i].message) ||
            !strstr(out.err.hint, rows[i].hint))
            fail_msg("%s\n%d: %.200s\nhint: %s", rows[i].script, out.status, out.err.message, out.err.hint);
        outcome_done(&out);
    }
    scratch_write(*state, "fake", "no program");
    struct bundle_options o = {.esbuild = scratch_path(*state, "fake")};
    struct outcome out = make_with(&o, *state, "main.ts");
    assert_int_equal(out.status, ERROR_UNSUPPORTED);
    outcome_done(&out);
}

/* What changed once while it was read is read again. */
static void tries_again_after_a_change(void **state) {
    char script[4096];
    scratch_write(*state, "main.ts", "console.log('old');");
    snprintf(script, sizeof script,
             "if [ ! -e %s/done ]; then >%s/done; %s \"$@\"; echo \"console.log('new');\" >main.ts\nelse exec %s "
             "\"$@\"; fi",
             (const char *)*state, (const char *)*state, esbuild, esbuild);
    scratch_mkdir(*state, "done-is-elsewhere");
    write_fake(*state, script);
    struct bundle_options o = {.esbuild = scratch_path(*state, "fake")};
    struct outcome out = make_with(&o, *state, "main.ts");
    if (out.status)
        fail_msg("%s", out.err.message);
    assert_contains(out.bundle.code, "new");
    outcome_done(&out);
}

static bool always(void *user) {
    ++*(int *)user;
    return true;
}

static void can_be_interrupted(void **state) {
    int asked = 0;
    scratch_write(*state, "main.ts", "1");
    write_fake(*state, "sleep 100");
    struct bundle_options o = {.esbuild = scratch_path(*state, "fake"), .interrupted = always, .user = &asked};
    struct outcome out = make_with(&o, *state, "main.ts");
    assert_int_equal(out.status, ERROR_CANCELLED);
    assert_int_equal(asked, 1);
    outcome_done(&out);
}

static int be_killed_while_bundling(void *folder) {
    struct bundle_options o = {.esbuild = scratch_path(folder, "fake")};
    alarm(1);
    struct outcome out = make_with(&o, folder, "main.ts");
    outcome_done(&out);
    return 1;
}

static bool is_running(const char *pid) {
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%.*s/stat", (int)strcspn(pid, "\n"), pid);
    FILE *f = fopen(path, "r");
    bool there = f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1;
    if (f)
        fclose(f);
    return there && state != 'Z' && state != 'X';
}

/* Whatever ends us ends esbuild. */
static void leaves_no_esbuild_behind(void **state) {
    char pid[32] = "";
    scratch_write(*state, "main.ts", "1");
    write_fake(*state, "echo $$ >pid; exec sleep 100");
    assert_int_equal(scratch_fork(0, be_killed_while_bundling, *state), 128 + SIGALRM);
    FILE *f = fopen(scratch_path(*state, "pid"), "r");
    assert_non_null(f);
    assert_non_null(fgets(pid, sizeof pid, f));
    fclose(f);
    for (int i = 0; i < 200 && is_running(pid); i++)
        scratch_settle();
    assert_false(is_running(pid));
}

static void gives_esbuild_little(void **state) {
    scratch_write(*state, "capsule.toml", "");
    scratch_write(*state, "src/--x.ts", "1");
    write_fake(*state, "{ env; pwd; echo args \"$@\"; ls -l /proc/$$/fd | grep -c memfd; cat; } >&2; exit 1");
    const char *path = getenv("PATH");
    CLEANUP(buffer_done) struct buffer longer = BUFFER_INIT(1 << 16);
    CLEANUP(cleanup_free) char *before = strdup(path);
    buffer_printf(&longer, "bin::%s/node_modules/.bin:%s:", (const char *)*state, path);
    setenv("PATH", longer.data, 1);
    setenv("NODE_OPTIONS", "--require=/tmp/evil.js", 1);
    setenv("NODE_PATH", "/tmp/evil", 1);
    int leak = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct bundle_options o = {.esbuild = scratch_path(*state, "fake")};
    struct outcome out = make_with(&o, *state, "src/--x.ts");
    setenv("PATH", before, 1);
    unsetenv("NODE_OPTIONS");
    unsetenv("NODE_PATH");
    close(leak);
    assert_null(strstr(out.err.message, "NODE_PATH"));
    assert_null(strstr(out.err.message, "NODE_OPTIONS"));
    assert_null(strstr(out.err.message, "node_modules"));
    assert_null(strstr(out.err.message, "bin::"));
    assert_contains(out.err.message, "PATH=/");
    assert_contains(out.err.message, "HOME=");
    assert_contains(out.err.message, *state);
    assert_contains(out.err.message, "./src/--x.ts");
    assert_contains(out.err.message, "args --bundle");
    outcome_done(&out);
}

/* ---- finding esbuild ---- */

static void finds_esbuild(void **state) {
    CLEANUP(cleanup_free) char *path = strdup(getenv("PATH"));
    CLEANUP(cleanup_free) char *named = getenv("CAPSULE_ESBUILD") ? strdup(getenv("CAPSULE_ESBUILD")) : NULL;
    static const char *const places[] = {"lib/esbuild", "bin/esbuild", "node_modules/.bin/esbuild",
                                         "named/esbuild"};
    char lib[4096], value[4 * 4096], *found = NULL, *text = NULL;
    struct error err = {0};
    for (size_t i = 0; i < COUNT(places); i++) {
        scratch_write(*state, places[i], "#!/bin/sh\n");
        assert_int_equal(chmod(scratch_path(*state, places[i]), 0755), 0);
    }
    scratch_write(*state, "plain/esbuild", "not executable");
    snprintf(lib, sizeof lib, "%s", scratch_path(*state, "lib"));
    snprintf(value, sizeof value, "relative::%s/node_modules/.bin:%s/plain:%s/nowhere:%s/bin", (char *)*state,
             (char *)*state, (char *)*state, (char *)*state);
    setenv("PATH", value, 1);
    unsetenv("CAPSULE_ESBUILD");
    assert_int_equal(bundle_find(lib, &found, &err), 0);
    assert_string_equal(found, scratch_path(*state, "lib/esbuild"));
    assert_int_equal(bundle_identity(found, &text, &err), 0);
    assert_contains(text, found);
    free(text);
    free(found);
    assert_int_equal(chdir(*state), 0);
    assert_int_equal(bundle_find("./lib", &found, &err), 0);
    assert_string_equal(found, scratch_path(*state, "lib/esbuild"));
    free(found);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(bundle_find(NULL, &found, &err), 0);
    assert_string_equal(found, scratch_path(*state, "bin/esbuild"));
    free(found);
    setenv("CAPSULE_ESBUILD", scratch_path(*state, "named/esbuild"), 1);
    assert_int_equal(bundle_find(lib, &found, &err), 0);
    assert_string_equal(found, scratch_path(*state, "named/esbuild"));
    free(found);
    setenv("CAPSULE_ESBUILD", scratch_path(*state, "plain/esbuild"), 1);
    assert_int_equal(bundle_find(lib, &found, &err), ERROR_UNSUPPORTED);
    assert_contains(err.message, "CAPSULE_ESBUILD is ");
    unsetenv("CAPSULE_ESBUILD");
    setenv("PATH", scratch_path(*state, "node_modules/.bin"), 1);
    assert_int_equal(bundle_find(scratch_path(*state, "plain"), &found, &err), ERROR_UNSUPPORTED);
    assert_contains(err.message, "are bundled by esbuild, which wasn't found");
    assert_contains(err.hint, "npm install -g esbuild");
    assert_int_equal(bundle_identity("/nonexistent", &text, &err), ERROR_UNSUPPORTED);
    setenv("PATH", path, 1);
    if (named)
        setenv("CAPSULE_ESBUILD", named, 1);
}

static void judges_folders_of_path(void **state) {
    (void)state;
    static const struct {
        const char *folder;
        bool good;
    } rows[] = {
        {"/usr/bin", true},
        {"", false},
        {"bin", false},
        {"/x/node_modules/.bin", false},
        {"/x/node_modules", false},
        {"/x/node_modules2", true},
        {"/node_modules/x", false},
        {"./x", false},
        {"/", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(bundle_path_entry_good(rows[i].folder, strlen(rows[i].folder)), rows[i].good);
}

/* Whatever fails, it says so, and the next time works. */
static void survives_failures(void **state) {
#ifdef CAPSULE_FAULTS
    make_workspace(*state);
    scratch_write(*state, "ws/packages/app/main.ts",
                  "import lib from 'lib'; import x from './x'; console.log(lib, x);");
    scratch_write(*state, "ws/packages/app/x.ts", "export default 1;");
    scratch_write(*state, "ws/packages/app/tsconfig.json", "{\"compilerOptions\": {\"baseUrl\": \".\"}}");
    scratch_settle();
    struct project p = {0};
    assert_int_equal(project_open(scratch_path(*state, "ws/packages/app/main.ts"), &p, NULL), 0);
    bool reached = true;
    unsigned long at = 0;
    while (reached) {
        struct bundle b = {0};
        struct error err = {0};
        struct dependencies *d = dependencies_new();
        struct bundle_options o = {.project = &p, .esbuild = esbuild};
        fault_arm(++at);
        int status = bundle_make(&o, &b, d, &err);
        reached = fault_visits() >= at;
        fault_arm(0);
        assert_true(status < 0 ? err.message[0] && !b.code : b.code != NULL);
        bundle_done(&b);
        dependencies_free(d);
    }
    assert_true(at > 50);
    project_done(&p);
#else
    (void)state;
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bundles_a_program, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(knows_all_extensions, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(gives_common_js_the_sdk, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(follows_packages, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(explains_errors, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(leaves_optional_packages_to_the_program, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(explains_text, make_folder, drop_folder),
        cmocka_unit_test(knows_built_in_modules),
        cmocka_unit_test(strips_comments),
        cmocka_unit_test_setup_teardown(survives_a_bad_esbuild, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(tries_again_after_a_change, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(can_be_interrupted, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(leaves_no_esbuild_behind, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(gives_esbuild_little, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(finds_esbuild, make_folder, drop_folder),
        cmocka_unit_test(judges_folders_of_path),
        cmocka_unit_test_setup_teardown(survives_failures, make_folder, drop_folder),
    };
    return cmocka_run_group_tests_name("bundle", tests, find_esbuild, forget_esbuild);
}
