/* Dependencies of an image: when a record still holds, when it doesn't, and when it can't be trusted. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/dependencies.h"
#include "base/clock.h"
#include "base/fault.h"
#include "scratch.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(void **state) {
    char *folder = *state = scratch_new();
    scratch_write(folder, "main.py", "import helper\n");
    scratch_write(folder, "helper.py", "x = 1\n");
    scratch_write(folder, "pkg/__init__.py", "");
    scratch_settle();
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

static void add_usual(struct dependencies *d, const char *folder) {
    struct error err;
    assert_int_equal(dependencies_add(d, DEPENDENCY_FOLDER, folder, &err), 0);
    assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(folder, "numpy.py"), &err), 0);
    assert_int_equal(dependencies_add(d, DEPENDENCY_FILE, scratch_path(folder, "main.py"), &err), 0);
    assert_int_equal(dependencies_add(d, DEPENDENCY_FILE, scratch_path(folder, "helper.py"), &err), 0);
}

/* Seals d and returns what would be in the index. Frees d. */
static struct json_document *finish(struct dependencies *d, uint64_t started_ns) {
    struct buffer text = BUFFER_INIT(1 << 20);
    struct json_document *document = NULL;
    assert_int_equal(dependencies_seal(d, started_ns, NULL), 0);
    assert_int_equal(dependencies_write(d, &text), 0);
    assert_int_equal(json_parse(text.data, text.size, &document, NULL), 0);
    buffer_done(&text);
    dependencies_free(d);
    return document;
}

static struct json_document *record_usual(const char *folder) {
    struct dependencies *d = dependencies_new();
    uint64_t started = clock_wall_ns();
    add_usual(d, folder);
    return finish(d, started);
}

enum answer { CHANGED, TOUCHED, SAME };

static enum answer check(const struct json_document *document) {
    bool touched = false;
    if (!dependencies_unchanged(json_root(document), &touched))
        return CHANGED;
    return touched ? TOUCHED : SAME;
}

static void holds_while_nothing_changes(void **state) {
    struct json_document *d = record_usual(*state);
    assert_int_equal(check(d), SAME);
    /* Names that can't be imported don't matter, though the folder's time does. */
    scratch_write(*state, "report.md", "x");
    scratch_write(*state, ".hidden.py", "x");
    scratch_write(*state, "__pycache__/main.cpython-313.pyc", "x");
    assert_int_equal(check(d), TOUCHED);
    json_free(d);
}

static void write_other(const char *folder) {
    scratch_write(folder, "helper.py", "x = 2\n");
}
static void write_longer(const char *folder) {
    scratch_write(folder, "helper.py", "x = 100\n");
}
static void remove_it(const char *folder) {
    assert_int_equal(unlink(scratch_path(folder, "helper.py")), 0);
}
static void become_folder(const char *folder) {
    remove_it(folder);
    scratch_mkdir(folder, "helper.py");
}
static void add_module(const char *folder) {
    scratch_write(folder, "new.py", "");
}
static void add_folder(const char *folder) {
    scratch_mkdir(folder, "newpkg");
}
static void add_link_to_folder(const char *folder) {
    assert_int_equal(symlink("pkg", scratch_path(folder, "linkedpkg")), 0);
}
static void remove_folder(const char *folder) {
    assert_int_equal(unlink(scratch_path(folder, "pkg/__init__.py")), 0);
    assert_int_equal(rmdir(scratch_path(folder, "pkg")), 0);
}
static void appear(const char *folder) {
    scratch_write(folder, "numpy.py", "");
}
static void rewrite_same_size_and_time(const char *folder) {
    struct stat st;
    assert_int_equal(stat(scratch_path(folder, "helper.py"), &st), 0);
    write_other(folder);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(folder, "helper.py"), times, 0), 0);
}
static void replace_by_other(const char *folder) {
    scratch_write(folder, "tmp", "x = 3\n");
    assert_int_equal(rename(scratch_path(folder, "tmp"), scratch_path(folder, "helper.py")), 0);
}

static void notices_changes(void **state) {
    static void (*const changes[])(const char *) = {
        write_other,      write_longer,       remove_it,     become_folder, add_module,
        add_folder,       add_link_to_folder, remove_folder, appear,        rewrite_same_size_and_time,
        replace_by_other,
    };
    for (size_t i = 0; i < COUNT(changes); i++) {
        void *folder = NULL;
        make(&folder);
        struct json_document *d = record_usual(folder);
        changes[i](folder);
        if (check(d) != CHANGED)
            fail_msg("change %zu", i);
        json_free(d);
        scratch_free(folder);
    }
    (void)state;
}

/* Of a folder that a bundle's imports are looked for in, other names matter. */
static void knows_folders_of_javascript(void **state) {
    static const struct {
        const char *name, *link; /* link: NULL for a file */
        enum answer expected;
    } rows[] = {
        {"notes.md", NULL, TOUCHED},     {"new.py", NULL, TOUCHED},         {".hidden.ts", NULL, TOUCHED},
        {"data.csv", NULL, TOUCHED},     {"__pycache__/x", NULL, TOUCHED},  {"link.md", "main.py", TOUCHED},
        {"a.ts", NULL, CHANGED},         {"a.tsx", NULL, CHANGED},          {"a.mts", NULL, CHANGED},
        {"a.cts", NULL, CHANGED},        {"a.js", NULL, CHANGED},           {"a.jsx", NULL, CHANGED},
        {"a.mjs", NULL, CHANGED},        {"a.cjs", NULL, CHANGED},          {"a.json", NULL, CHANGED},
        {"package.json", NULL, CHANGED}, {"bare", NULL, CHANGED},           {"folder/x", NULL, CHANGED},
        {".pnp.cjs", NULL, CHANGED},     {"linked.ts", "main.py", CHANGED}, {"node_modules", "pkg", CHANGED},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dependencies *d = dependencies_new();
        uint64_t started = clock_wall_ns();
        assert_int_equal(dependencies_add(d, DEPENDENCY_FOLDER_JS, *state, NULL), 0);
        struct json_document *document = finish(d, started);
        assert_string_equal(json_text(json_at(json_at(json_root(document), 0), 0), ""), "j");
        assert_int_not_equal(check(document), CHANGED);
        if (rows[i].link)
            assert_int_equal(symlink(rows[i].link, scratch_path(*state, rows[i].name)), 0);
        else
            scratch_write(*state, rows[i].name, "");
        if (check(document) != rows[i].expected)
            fail_msg("%s", rows[i].name);
        json_free(document);
        scratch_settle();
    }
    /* A link that leads elsewhere. */
    struct dependencies *d = dependencies_new();
    assert_int_equal(dependencies_add(d, DEPENDENCY_FOLDER_JS, *state, NULL), 0);
    struct json_document *document = finish(d, clock_wall_ns());
    assert_int_equal(unlink(scratch_path(*state, "linked.ts")), 0);
    assert_int_equal(symlink("helper.py", scratch_path(*state, "linked.ts")), 0);
    assert_int_equal(check(document), CHANGED);
    json_free(document);
}

static void tolerates_touches(void **state) {
    struct json_document *d = record_usual(*state);
    scratch_write(*state, "helper.py", "x = 1\n");
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(*state, "main.py"), NULL, 0), 0);
    assert_int_equal(check(d), TOUCHED);
    scratch_settle();
    /* Recorded anew, it's cheap again. */
    struct dependencies *again = dependencies_new();
    assert_int_equal(dependencies_read(again, json_root(d)), 0);
    struct json_document *fresh = finish(again, clock_wall_ns());
    assert_int_equal(check(fresh), SAME);
    assert_int_equal(json_size(json_root(fresh)), json_size(json_root(d)));
    json_free(d);
    json_free(fresh);
}

static void does_not_launder_changes_when_recording_anew(void **state) {
    struct json_document *d = record_usual(*state);
    scratch_write(*state, "helper.py", "x = 7\n");
    struct dependencies *again = dependencies_new();
    assert_int_equal(dependencies_read(again, json_root(d)), 0);
    struct json_document *fresh = finish(again, clock_wall_ns());
    assert_int_equal(check(fresh), CHANGED);
    json_free(d);
    json_free(fresh);
}

static void does_not_trust_recent_stamps(void **state) {
    struct dependencies *d = dependencies_new();
    scratch_write(*state, "helper.py", "x = 5\n");
    uint64_t started = clock_wall_ns();
    add_usual(d, *state);
    struct json_document *document = finish(d, started);
    assert_int_equal(check(document), TOUCHED);
    json_free(document);
}

/* The guest read the old text; then the file changed, and the record must not say that the new one was imported. */
static void notices_changes_during_the_import(void **state) {
    for (int recent = 0; recent < 2; recent++) {
        struct dependencies *d = dependencies_new();
        if (recent)
            scratch_write(*state, "helper.py", "x = 5\n");
        uint64_t started = clock_wall_ns();
        add_usual(d, *state);
        scratch_write(*state, "helper.py", recent ? "x = 6\n" : "x = 4\n");
        struct json_document *document = finish(d, started);
        scratch_settle();
        assert_int_equal(check(document), CHANGED);
        json_free(document);
    }
    /* Likewise what was absent and appeared, and a module that came into a folder. */
    struct dependencies *d = dependencies_new();
    assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(*state, "late.py"), NULL), 0);
    scratch_write(*state, "late.py", "");
    struct json_document *document = finish(d, clock_wall_ns());
    assert_int_equal(check(document), CHANGED);
    assert_int_equal(unlink(scratch_path(*state, "late.py")), 0);
    assert_int_equal(check(document), CHANGED);
    json_free(document);
    d = dependencies_new();
    assert_int_equal(dependencies_add(d, DEPENDENCY_FOLDER, *state, NULL), 0);
    scratch_write(*state, "late.py", "");
    document = finish(d, clock_wall_ns());
    assert_int_equal(check(document), CHANGED);
    json_free(document);
}

static void ignores_repeats(void **state) {
    struct dependencies *d = dependencies_new();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(*state, "main.py"), NULL), 0);
        assert_int_equal(dependencies_add(d, DEPENDENCY_FILE, scratch_path(*state, "main.py"), NULL), 0);
        assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(*state, "main.py"), NULL), 0);
    }
    struct json_document *document = finish(d, clock_wall_ns());
    assert_int_equal(json_size(json_root(document)), 1);
    assert_string_equal(json_text(json_at(json_at(json_root(document), 0), 0), ""), "f");
    assert_int_equal(check(document), SAME);
    json_free(document);
}

/* A symlink that leads out of its mount is absent for the guest, and may stay so. */
static void accepts_what_only_the_guest_misses(void **state) {
    struct dependencies *d = dependencies_new();
    assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(*state, "helper.py"), NULL), 0);
    struct json_document *document = finish(d, clock_wall_ns());
    assert_int_equal(check(document), SAME);
    scratch_write(*state, "helper.py", "x = 9\n");
    assert_int_equal(check(document), CHANGED);
    json_free(document);
}

static void holds_many(void **state) {
    struct dependencies *d = dependencies_new();
    char name[64];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            snprintf(name, sizeof name, "missing/%d.py", i);
            assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(*state, name), NULL), 0);
        }
    struct json_document *document = finish(d, clock_wall_ns());
    assert_int_equal(json_size(json_root(document)), 5000);
    assert_int_equal(check(document), SAME);
    scratch_write(*state, "missing/4999.py", "");
    assert_int_equal(check(document), CHANGED);
    json_free(document);
}

static void copes_with_odd_names(void **state) {
    struct dependencies *d = dependencies_new();
    scratch_write(*state, "\xFF.py", "x");
    scratch_write(*state, "quote\"\n.py", "x");
    scratch_settle();
    assert_int_equal(dependencies_add(d, DEPENDENCY_FILE, scratch_path(*state, "quote\"\n.py"), NULL), 0);
    struct json_document *document = finish(d, clock_wall_ns());
    assert_int_equal(check(document), SAME);
    json_free(document);
    d = dependencies_new();
    assert_int_equal(dependencies_add(d, DEPENDENCY_ABSENT, scratch_path(*state, "\xFF\xFE.py"), NULL), 0);
    document = finish(d, clock_wall_ns());
    assert_int_equal(check(document), CHANGED); /* JSON can't say which name it was */
    json_free(document);
    d = dependencies_new();
    assert_int_equal(mkfifo(scratch_path(*state, "fifo.py"), 0600), 0);
    assert_int_equal(dependencies_add(d, DEPENDENCY_FILE, scratch_path(*state, "fifo.py"), NULL), 0);
    document = finish(d, clock_wall_ns());
    assert_int_equal(check(document), CHANGED);
    json_free(document);
}

static void refuses_malformed_records(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "null",
        "[1]",
        "[[]]",
        "[[\"f\"]]",
        "[[\"x\",\"/a\"]]",
        "[[\"\",\"/a\"]]",
        "[[\"f\",\"/a\"]]",
        "[[\"f\",\"relative\",1,2,3,4,\"d\"]]",
        "[[\"f\",\"/\",1,2,3,-4,\"d\"]]",
        "[[\"f\",\"/\\u0000\",1,2,3,4,\"d\"]]",
        "[[\"f\",\"/bin/sh\",1,2,3,4,7]]",
        "[[\"d\",\"/bin\",1,2,3,4,\"\"]]",
        "[[\"a\",\"/nonexistent\",0,0,0,0,\"\"]]",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct json_document *d = NULL;
        assert_int_equal(json_parse(texts[i], strlen(texts[i]), &d, NULL), 0);
        if (check(d) != CHANGED)
            fail_msg("%s", texts[i]);
        struct dependencies *read = dependencies_new();
        int status = dependencies_read(read, json_root(d));
        if (status == 0) {
            struct json_document *fresh = finish(read, clock_wall_ns());
            assert_true(json_size(json_root(fresh)) == 0 || check(fresh) == CHANGED);
            json_free(fresh);
        } else {
            assert_int_equal(status, ERROR_CORRUPT);
            dependencies_free(read);
        }
        json_free(d);
    }
    bool touched;
    assert_false(dependencies_unchanged(NULL, &touched));
}

/* Whatever fails while recording, the record never claims more than is known. */
static void survives_failures(void **state) {
#ifdef CAPSULE_FAULTS
    bool reached = true;
    unsigned long at = 0;
    while (reached) {
        struct buffer text = BUFFER_INIT(1 << 20);
        struct error err = {0};
        fault_arm(++at);
        uint64_t started = clock_wall_ns();
        struct dependencies *d = dependencies_new();
        int status =
            d ? dependencies_add(d, DEPENDENCY_FILE, scratch_path(*state, "helper.py"), &err) : ERROR_NOMEM;
        if (status == 0)
            status = dependencies_add(d, DEPENDENCY_FOLDER, *state, &err);
        if (status == 0)
            status = dependencies_seal(d, started, &err);
        if (status == 0)
            status = dependencies_write(d, &text);
        reached = fault_visits() >= at;
        fault_arm(0);
        dependencies_free(d);
        struct json_document *document = NULL;
        if (status == 0) {
            assert_int_equal(json_parse(text.data, text.size, &document, NULL), 0);
            if (!reached)
                assert_int_equal(check(document), SAME);
            scratch_write(*state, "helper.py", "changed\n");
            assert_int_equal(check(document), CHANGED);
            scratch_write(*state, "helper.py", "x = 1\n");
            scratch_settle();
        }
        json_free(document);
        buffer_done(&text);
    }
    assert_true(at > 6);
#else
    (void)state;
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holds_while_nothing_changes, make, drop),
        cmocka_unit_test(notices_changes),
        cmocka_unit_test_setup_teardown(knows_folders_of_javascript, make, drop),
        cmocka_unit_test_setup_teardown(tolerates_touches, make, drop),
        cmocka_unit_test_setup_teardown(does_not_launder_changes_when_recording_anew, make, drop),
        cmocka_unit_test_setup_teardown(does_not_trust_recent_stamps, make, drop),
        cmocka_unit_test_setup_teardown(notices_changes_during_the_import, make, drop),
        cmocka_unit_test_setup_teardown(ignores_repeats, make, drop),
        cmocka_unit_test_setup_teardown(accepts_what_only_the_guest_misses, make, drop),
        cmocka_unit_test_setup_teardown(holds_many, make, drop),
        cmocka_unit_test_setup_teardown(copes_with_odd_names, make, drop),
        cmocka_unit_test(refuses_malformed_records),
        cmocka_unit_test_setup_teardown(survives_failures, make, drop),
    };
    return cmocka_run_group_tests_name("dependencies", tests, NULL, NULL);
}
