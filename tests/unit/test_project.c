/* Projects: where the root is, which entry, every refusal; virtual environments; .env. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/project.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "scratch.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(void **state) {
    *state = scratch_new();
    unsetenv("VIRTUAL_ENV");
    return chdir(*state);
}

static int drop(void **state) {
    assert_int_equal(chdir("/"), 0);
    scratch_free(*state);
    return 0;
}

static void opens_a_file_alone(void **state) {
    struct project p = {0};
    scratch_write(*state, "a/main.py", "");
    assert_int_equal(project_open("a/main.py", &p, NULL), 0);
    assert_string_equal(p.root, scratch_path(*state, "a"));
    assert_string_equal(p.entry, "main.py");
    assert_string_equal(p.entry_as_given, "a/main.py");
    assert_int_equal(p.language, LANGUAGE_PYTHON);
    assert_null(p.manifest.path);
    struct stat st;
    assert_int_equal(fstatat(p.root_fd, "main.py", &st, 0), 0);
    project_done(&p);
}

static void finds_the_nearest_manifest(void **state) {
    struct project p = {0};
    scratch_write(*state, "capsule.toml", "[workflow]\nname='outer'\n");
    scratch_write(*state, "a/b/c/main.py", "");
    assert_int_equal(project_open("a/b/c/main.py", &p, NULL), 0);
    assert_string_equal(p.root, *state);
    assert_string_equal(p.entry, "a/b/c/main.py");
    assert_string_equal(p.manifest.name, "outer");
    project_done(&p);
    scratch_write(*state, "a/b/capsule.toml", "[workflow]\nname='inner'\n");
    assert_int_equal(project_open("./a/../a//b/c/main.py", &p, NULL), 0);
    assert_string_equal(p.root, scratch_path(*state, "a/b"));
    assert_string_equal(p.entry, "c/main.py");
    assert_string_equal(p.manifest.name, "inner");
    project_done(&p);
}

static void resolves_symlinks(void **state) {
    struct project p = {0};
    scratch_write(*state, "real/main.py", "");
    scratch_write(*state, "real/capsule.toml", "");
    scratch_mkdir(*state, "links");
    assert_int_equal(symlink("../real/main.py", scratch_path(*state, "links/other.py")), 0);
    assert_int_equal(project_open("links/other.py", &p, NULL), 0);
    assert_string_equal(p.root, scratch_path(*state, "real"));
    assert_string_equal(p.entry, "main.py");
    assert_string_equal(p.entry_as_given, "links/other.py");
    project_done(&p);
}

static void knows_languages(void **state) {
    static const struct {
        const char *file;
        int language; /* -1: refused */
        const char *hint;
    } rows[] = {
        {"x.py", LANGUAGE_PYTHON, ""},
        {"x.ts", LANGUAGE_JAVASCRIPT, ""},
        {"x.tsx", LANGUAGE_JAVASCRIPT, ""},
        {"x.js", LANGUAGE_JAVASCRIPT, ""},
        {"x.mjs", LANGUAGE_JAVASCRIPT, ""},
        {"x.cjs", LANGUAGE_JAVASCRIPT, ""},
        {"x.jsx", LANGUAGE_JAVASCRIPT, ""},
        {"x.mts", LANGUAGE_JAVASCRIPT, ""},
        {"x.cts", LANGUAGE_JAVASCRIPT, ""},
        {"x.a.py", LANGUAGE_PYTHON, ""},
        {"x.pyc", -1, "did you mean \".py\"?"},
        {"x.PY", -1, "did you mean \".py\"?"},
        {"x.tjs", -1, "did you mean \".ts"},
        {"x.rb", -1, "known are .py, .ts, .tsx, .mts, .cts, .js, .jsx, .mjs and .cjs"},
        {"x", -1, "known are .py"},
        {".py", -1, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct project p = {0};
        struct error err = {0};
        scratch_write(*state, rows[i].file, "");
        int status = project_open(rows[i].file, &p, &err);
        assert_int_equal(status, rows[i].language < 0 ? ERROR_PROJECT : 0);
        if (rows[i].language < 0) {
            assert_contains(err.message, rows[i].file);
            assert_contains(err.hint, rows[i].hint);
        } else {
            assert_int_equal(p.language, rows[i].language);
        }
        project_done(&p);
    }
}

static void refuses_what_cannot_run(void **state) {
    scratch_write(*state, "main.py", "");
    scratch_write(*state, "folder/main.py", "");
    scratch_write(*state, "typed/main.ts", "");
    scratch_write(*state, "both/main.mjs", "");
    scratch_write(*state, "both/main.py", "");
    scratch_mkdir(*state, "empty.py");
    assert_int_equal(symlink("loop.py", scratch_path(*state, "loop.py")), 0);
    assert_int_equal(mkfifo(scratch_path(*state, "fifo.py"), 0600), 0);
    char *long_name = malloc(6001);
    memset(long_name, 'x', 6000);
    long_name[6000] = '\0';
    const struct {
        const char *file, *message, *hint;
    } rows[] = {
        {"mian.py", "no such file: mian.py", "did you mean main.py?"},
        {"folder/mian.py", "no such file: folder/mian.py", "did you mean folder/main.py?"},
        {"nowhere/main.py", "no such file: nowhere/main.py", "check the name"},
        {"/nonexistent.py", "no such file: /nonexistent.py", ""},
        {"folder", "folder is a folder", "did you mean folder/main.py?"},
        {"folder/", "folder/ is a folder", "did you mean folder/main.py?"},
        {"typed", "typed is a folder", "did you mean typed/main.ts?"},
        {"both", "both is a folder", "did you mean both/main.py?"},
        {"empty.py", "empty.py is a folder", "give the file"},
        {"main.py/x", "can't read main.py/x: Not a directory", ""},
        {"loop.py", "can't read loop.py: Too many levels", ""},
        {"fifo.py", "isn't a regular file", ""},
        {"/dev/null", "has no extension", ""},
        {"", "is empty", ""},
        {long_name, "File name too long", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct project p = {0};
        struct error err = {0};
        assert_int_equal(project_open(rows[i].file, &p, &err), ERROR_PROJECT);
        assert_contains(err.message, rows[i].message);
        assert_contains(err.hint, rows[i].hint);
        assert_null(p.root);
        project_done(&p);
    }
    free(long_name);
}

static int open_unreadable(void *folder) {
    struct project p = {0};
    struct error err = {0};
    if (project_open(scratch_path(folder, "main.py"), &p, &err) != ERROR_PROJECT ||
        !strstr(err.message, "permission denied"))
        return 1;
    if (project_open(scratch_path(folder, "closed/main.py"), &p, &err) != ERROR_PROJECT)
        return 2;
    return strstr(err.message, "permission denied") && err.hint[0] ? 0 : 3;
}

static void refuses_the_unreadable(void **state) {
    if (geteuid() != 0)
        skip();
    scratch_write(*state, "main.py", "");
    scratch_write(*state, "closed/main.py", "");
    assert_int_equal(chmod(scratch_path(*state, "main.py"), 0), 0);
    assert_int_equal(chmod(scratch_path(*state, "closed"), 0), 0);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(scratch_fork(65534, open_unreadable, *state), 0);
}

/* The program is the attacker's neighbour: in a folder where anybody can leave a capsule.toml. */
static int open_below_foreign_manifest(void *folder) {
    struct project p = {0};
    struct error err = {0};
    if (project_open(scratch_path(folder, "mine/main.py"), &p, &err) != ERROR_PROJECT)
        return 1;
    return strstr(err.message, "belongs to another user") && err.hint[0] ? 0 : 2;
}

static void ignores_manifests_of_strangers(void **state) {
    if (geteuid() != 0)
        skip();
    scratch_write(*state, "capsule.toml", "");
    scratch_write(*state, "mine/main.py", "");
    assert_int_equal(chown(scratch_path(*state, "capsule.toml"), 65533, 65533), 0);
    assert_int_equal(chown(scratch_path(*state, "mine/main.py"), 65534, 65534), 0);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(scratch_fork(65534, open_below_foreign_manifest, *state), 0);
    /* Root runs somebody's project: the same owner for both is fine. */
    struct project p = {0};
    assert_int_equal(chown(scratch_path(*state, "mine/main.py"), 65533, 65533), 0);
    assert_int_equal(project_open("mine/main.py", &p, NULL), 0);
    project_done(&p);
}

static void uses_the_entrypoint(void **state) {
    struct project p = {0};
    struct error err;
    assert_int_equal(project_open(NULL, &p, &err), ERROR_PROJECT);
    assert_contains(err.message, "no file to run was given");
    assert_contains(err.hint, "entrypoint in [workflow]");
    scratch_write(*state, "capsule.toml", "[workflow]\n");
    assert_int_equal(project_open(NULL, &p, &err), ERROR_PROJECT);
    assert_contains(err.message, "names no entrypoint");
    scratch_write(*state, "capsule.toml", "[workflow]\nentrypoint = 'src/app.py'\n");
    assert_int_equal(project_open(NULL, &p, &err), ERROR_PROJECT);
    assert_contains(err.message, "[workflow] entrypoint of");
    assert_contains(err.message, "no such file");
    scratch_write(*state, "src/app.py", "");
    scratch_mkdir(*state, "deep/er");
    assert_int_equal(chdir("deep/er"), 0);
    assert_int_equal(project_open(NULL, &p, &err), 0);
    assert_string_equal(p.root, *state);
    assert_string_equal(p.entry, "src/app.py");
    project_done(&p);
    assert_int_equal(unlink(scratch_path(*state, "src/app.py")), 0);
    assert_int_equal(symlink("/usr/lib/os-release", scratch_path(*state, "src/app.py")), 0);
    assert_true(project_open(NULL, &p, &err) < 0);
}

static void passes_on_mistakes_in_the_manifest(void **state) {
    struct project p = {0};
    struct error err;
    scratch_write(*state, "main.py", "");
    scratch_write(*state, "capsule.toml", "[tasks]\ndefault_rma = 1\n");
    assert_int_equal(project_open("main.py", &p, &err), ERROR_PROJECT);
    assert_contains(err.message, "capsule.toml:2: unknown key");
    assert_contains(err.hint, "default_ram");
}

static void finds_packages(void **state) {
    struct project p = {0};
    scratch_write(*state, "main.py", "");
    scratch_mkdir(*state, ".venv/lib/python3.9/site-packages");
    scratch_mkdir(*state, ".venv/lib/python3.13/site-packages");
    scratch_mkdir(*state, ".venv/lib/python3.14"); /* without packages */
    scratch_mkdir(*state, "other/lib/python3.12/site-packages");
    assert_int_equal(project_open("main.py", &p, NULL), 0);
    assert_int_equal(p.site_packages.n, 2);
    assert_string_equal(p.site_packages.items[0], scratch_path(*state, ".venv/lib/python3.13/site-packages"));
    assert_string_equal(p.site_packages.items[1], scratch_path(*state, ".venv/lib/python3.9/site-packages"));
    project_done(&p);
    setenv("VIRTUAL_ENV", scratch_path(*state, "other"), 1);
    assert_int_equal(project_open("main.py", &p, NULL), 0);
    assert_int_equal(p.site_packages.n, 3);
    assert_string_equal(p.site_packages.items[0], scratch_path(*state, "other/lib/python3.12/site-packages"));
    project_done(&p);
    /* The active one is often .venv itself. */
    setenv("VIRTUAL_ENV", scratch_path(*state, ".venv"), 1);
    assert_int_equal(project_open("main.py", &p, NULL), 0);
    assert_int_equal(p.site_packages.n, 2);
    project_done(&p);
    setenv("VIRTUAL_ENV", "/nonexistent", 1);
    assert_int_equal(project_open("main.py", &p, NULL), 0);
    assert_int_equal(p.site_packages.n, 2);
    project_done(&p);
    unsetenv("VIRTUAL_ENV");
}

static void done_leaves_foreign_descriptors_alone(void **state) {
    (void)state;
    struct project zeroed = {0};
    project_done(&zeroed);
    assert_true(fcntl(0, F_GETFD) >= 0);
}

static void survives_failures(void **state) {
#ifdef CAPSULE_FAULTS
    scratch_write(*state, "capsule.toml", "[workflow]\nname='a'\n");
    scratch_write(*state, "main.py", "");
    scratch_mkdir(*state, ".venv/lib/python3.13/site-packages");
    bool reached = true;
    unsigned long at = 0;
    while (reached) {
        struct project p = {0};
        struct error err = {0};
        fault_arm(++at);
        int status = project_open("main.py", &p, &err);
        reached = fault_visits() >= at;
        fault_arm(0);
        /* A virtual environment that can't be listed is one that isn't there. */
        assert_true(reached || status == 0);
        assert_true(status == 0 || err.message[0]);
        project_done(&p);
    }
    assert_true(at > 8);
#else
    (void)state;
    skip();
#endif
}

static void reads_dotenv(void **state) {
    static const struct {
        const char *text, *expected; /* NULL: not there */
    } rows[] = {
        {"", NULL},
        {"K=v", "v"},
        {"K=v\n", "v"},
        {"K=v\r\nL=w\r\n", "v"},
        {"  export   K = v  \n", "v"},
        {"export\tK=v", "v"},
        {"export=1\nK=v", "v"},
        {"# K=x\n\n\t\nK=v # comment\n", "v"},
        {"K=a#b", "a#b"},
        {"K=#c", ""},
        {"K=", ""},
        {"K=a b c", "a b c"},
        {"K=a=b", "a=b"},
        {"K='a # \\n $X \"'", "a # \\n $X \""},
        {"K=\"a\\n\\t\\r\\\"\\\\\\$X\\q 'b'\" # c", "a\n\t\r\"\\$X\\q 'b'"},
        {"K=\"line 1\nline 2\"\nL=1", "line 1\nline 2"},
        {"K=''", ""},
        {"K=$HOME", "$HOME"},
        {"K=1\nK=2", "2"},
        {"\xEF\xBB\xBFK=v", "v"},
        {"other.name-1=x\nK=v", "v"},
        {"K=\xFF\xFE", "\xFF\xFE"},
        {"KK=v", NULL},
    };
    struct project p = {0};
    scratch_write(*state, "main.py", "");
    assert_int_equal(project_open("main.py", &p, NULL), 0);
    unsetenv("K");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dotenv *d = NULL;
        struct error err = {0};
        scratch_write(*state, ".env", rows[i].text);
        if (dotenv_read(&p, &d, &err))
            fail_msg("%s: %s", rows[i].text, err.message);
        const char *value = dotenv_get(d, "K");
        if (rows[i].expected)
            assert_string_equal(value, rows[i].expected);
        else
            assert_null(value);
        setenv("K", "from outside", 1);
        assert_string_equal(dotenv_get(d, "K"), "from outside");
        assert_string_equal(dotenv_get(NULL, "K"), "from outside");
        unsetenv("K");
        dotenv_free(d);
    }
    assert_null(dotenv_get(NULL, "K"));
    project_done(&p);
}

static void refuses_a_malformed_dotenv(void **state) {
    static const struct {
        const char *text;
        size_t n;
        const char *message;
    } rows[] = {
        {"K", 1, ".env:1: expected NAME=value"},
        {"A=1\n\nB 2\n", 9, ".env:3: expected NAME=value"},
        {"=x", 2, ".env:1: expected NAME=value"},
        {"export K\n", 9, ".env:1: expected NAME=value"},
        {"Ä=1", 4, ".env:1: expected NAME=value"},
        {"A=1\nK=\"open\n\n", 13, ".env:2: a quote isn't closed"},
        {"K='open", 7, ".env:1: a quote isn't closed"},
        {"K=\"x\\", 5, ".env:1: a quote isn't closed"},
        {"K=\"a\nb\" c", 9, ".env:2: there's text after the closing quote"},
        {"K=a\0b", 5, ".env:1: it isn't text"},
    };
    struct project p = {0};
    scratch_write(*state, "main.py", "");
    assert_int_equal(project_open("main.py", &p, NULL), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dotenv *d = NULL;
        struct error err = {0};
        scratch_write_bytes(*state, ".env", rows[i].text, rows[i].n);
        assert_int_equal(dotenv_read(&p, &d, &err), ERROR_PROJECT);
        assert_contains(err.message, rows[i].message);
        assert_null(strstr(err.message, "open"));
        assert_null(d);
    }
    struct dotenv *d = NULL;
    struct error err;
    char *big = malloc((1 << 20) + 100);
    memset(big, '#', (1 << 20) + 99);
    big[(1 << 20) + 99] = '\0';
    scratch_write(*state, ".env", big);
    free(big);
    assert_int_equal(dotenv_read(&p, &d, &err), ERROR_PROJECT);
    assert_contains(err.message, "longer than 1 MiB");
    assert_int_equal(unlink(scratch_path(*state, ".env")), 0);
    assert_int_equal(dotenv_read(&p, &d, &err), 0);
    assert_null(dotenv_get(d, "K_THAT_ISNT_THERE"));
    dotenv_free(d);
    assert_int_equal(mkfifo(scratch_path(*state, ".env"), 0600), 0);
    assert_int_equal(dotenv_read(&p, &d, &err), ERROR_PROJECT);
    dotenv_free(NULL);
    project_done(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_a_file_alone, make, drop),
        cmocka_unit_test_setup_teardown(finds_the_nearest_manifest, make, drop),
        cmocka_unit_test_setup_teardown(resolves_symlinks, make, drop),
        cmocka_unit_test_setup_teardown(knows_languages, make, drop),
        cmocka_unit_test_setup_teardown(refuses_what_cannot_run, make, drop),
        cmocka_unit_test_setup_teardown(refuses_the_unreadable, make, drop),
        cmocka_unit_test_setup_teardown(ignores_manifests_of_strangers, make, drop),
        cmocka_unit_test_setup_teardown(uses_the_entrypoint, make, drop),
        cmocka_unit_test_setup_teardown(passes_on_mistakes_in_the_manifest, make, drop),
        cmocka_unit_test_setup_teardown(finds_packages, make, drop),
        cmocka_unit_test_setup_teardown(done_leaves_foreign_descriptors_alone, make, drop),
        cmocka_unit_test_setup_teardown(survives_failures, make, drop),
        cmocka_unit_test_setup_teardown(reads_dotenv, make, drop),
        cmocka_unit_test_setup_teardown(refuses_a_malformed_dotenv, make, drop),
    };
    return cmocka_run_group_tests_name("project", tests, NULL, NULL);
}
