/* UTF-8, text for messages, suggestions, paths, units. */
#include "unit.h"

#include "base/path.h"
#include "base/show.h"
#include "base/suggest.h"
#include "base/units.h"
#include "base/utf8.h"

static void knows_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"\x7F", 1},
        {"\xC2\x80", 2},
        {"\xDF\xBF", 2},
        {"\xE0\xA0\x80", 3},
        {"\xED\x9F\xBF", 3},
        {"\xEF\xBF\xBF", 3},
        {"\xF0\x90\x80\x80", 4},
        {"\xF4\x8F\xBF\xBF", 4},
        {"\x80", 0},             /* a continuation alone */
        {"\xC0\x80", 0},         /* overlong NUL */
        {"\xC1\xBF", 0},         /* overlong */
        {"\xE0\x9F\xBF", 0},     /* overlong */
        {"\xED\xA0\x80", 0},     /* a surrogate */
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xF4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", 0},
        {"\xE2\x82", 0}, /* cut off */
        {"\xE2\x28\xA1", 0},
        {"\xFF", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(utf8_step(rows[i].text, strlen(rows[i].text)), rows[i].length);
        assert_int_equal(utf8_valid(rows[i].text, strlen(rows[i].text)), rows[i].length > 0);
    }
    assert_int_equal(utf8_step("", 0), 0);
    assert_int_equal(utf8_step("\0", 1), 1);
    assert_true(utf8_valid("", 0));
}

static void cuts_between_characters(void **state) {
    (void)state;
    const char *text = "a€😀b"; /* 1 + 3 + 4 + 1 */
    static const size_t cuts[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9}, starts[] = {0, 1, 4, 4, 4, 8, 8, 8, 8, 9};
    for (size_t i = 0; i <= 9; i++) {
        assert_int_equal(utf8_cut(text, 9, i), cuts[i]);
        assert_int_equal(utf8_next_start(text, 9, i), starts[i]);
    }
    /* Rubbish is cut somewhere, without reading beyond. */
    assert_true(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5) <= 5);
    assert_int_equal(utf8_cut("\xF0\x9F\x98", 3, 3), 0);
}

static void shows_one_harmless_line(void **state) {
    (void)state;
    assert_string_equal(show("plain ü €").text, "plain ü €");
    assert_string_equal(show("a\nb\x1b[31mc\x7f\xC2\x9B"
                             "d")
                            .text,
                        "a?b?[31mc??d");
    assert_string_equal(show("\xFF\xC3").text, "??");
    assert_string_equal(show("").text, "");
    char text[1000];
    for (size_t length = 90; length < 400; length++) {
        memset(text, 'x', length);
        text[length] = '\0';
        struct shown s = show(text);
        assert_true(strlen(s.text) < SHOW_MAX);
        assert_true(utf8_valid(s.text, strlen(s.text)));
        if (length > SHOW_MAX)
            assert_contains(s.text, "x…");
    }
}

static void suggests_the_nearest(void **state) {
    (void)state;
    static const char *const words[] = {"default_ram", "default_compute", "default_timeout", "ram", "run"};
    static const struct {
        const char *word, *expected;
    } rows[] = {
        {"default_rma", "default_ram"},
        {"defaultram", "default_ram"},
        {"DEFAULT_RAM", "default_ram"},
        {"default_compte", "default_compute"},
        {"ran", "ram"}, /* the first of two at the same distance */
        {"rum", "ram"},
        {"RUN", "run"},
        {"x", NULL},
        {"", NULL},
        {"timeout", NULL},
        {"r", NULL},
        {"completely different words that are far away", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *found = suggest_nearest(rows[i].word, words, COUNT(words));
        if (rows[i].expected) {
            assert_non_null(found);
            assert_string_equal(found, rows[i].expected);
        } else {
            assert_null(found);
        }
    }
    char huge[5000];
    memset(huge, 'r', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    const char *const candidates[] = {huge, "r"};
    assert_null(suggest_nearest(huge, candidates, 2));
    assert_string_equal(suggest_nearest("r", candidates, 2), "r");
    assert_null(suggest_nearest("ram", NULL, 0));
}

static void normalizes_paths(void **state) {
    (void)state;
    static const struct {
        const char *base, *path, *expected;
    } rows[] = {
        {"/a/b", "c", "/a/b/c"},
        {"/a/b", "./c//d/", "/a/b/c/d"},
        {"/a/b", "../c", "/a/c"},
        {"/a/b", "../../../../c", "/c"},
        {"/a/b", "/x/./y/..", "/x"},
        {"/a/b", "..", "/a"},
        {"/a/b", "../..", "/"},
        {"/a/b", "", "/a/b"},
        {"/", "", "/"},
        {"/", "//", "/"},
        {"/", "...", "/..."},
        {"/", "..a/.b/a..", "/..a/.b/a.."},
        {"/a", "b\\..\\c", "/a/b\\..\\c"},
        {"/a", "\xFF\xFE", "/a/\xFF\xFE"},
    };
    char out[PATH_LENGTH_MAX];
    for (size_t i = 0; i < COUNT(rows); i++) {
        int n = path_normalize(rows[i].base, rows[i].path, out, sizeof out);
        assert_string_equal(out, rows[i].expected);
        assert_int_equal(n, strlen(out));
    }
}

static void refuses_paths_that_do_not_fit(void **state) {
    (void)state;
    char out[8], guard[8];
    memset(out, 'g', sizeof out);
    memset(guard, 'g', sizeof guard);
    assert_int_equal(path_normalize("/", "abcdef", out, 8), 7);
    assert_int_equal(path_normalize("/", "abcdefg", out, 8), ERROR_LIMIT);
    assert_int_equal(path_normalize("/", "abcdefg/..", out, 8), ERROR_LIMIT);
    assert_int_equal(path_normalize("/ab", "../abcdef", out, 8), 7);
    assert_int_equal(path_normalize("/", "", out, 1), ERROR_LIMIT);
    assert_int_equal(path_normalize("/", "", out, 2), 1);
    static char text[3 * PATH_LENGTH_MAX], whole[4 * PATH_LENGTH_MAX];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(path_normalize("/", text, whole, sizeof whole), ERROR_LIMIT);
    text[PATH_LENGTH_MAX - 2] = '\0';
    assert_int_equal(path_normalize("/", text, whole, sizeof whole), PATH_LENGTH_MAX - 1);
    text[PATH_LENGTH_MAX - 2] = 'x';
    text[PATH_LENGTH_MAX - 1] = '\0';
    assert_int_equal(path_normalize("/", text, whole, sizeof whole), ERROR_LIMIT);
}

static void compares_paths_by_component(void **state) {
    (void)state;
    static const struct {
        const char *path, *prefix, *expected;
    } rows[] = {
        {"/a/b", "/a", "b"},     {"/a", "/a", ""}, {"/ab", "/a", NULL}, {"/a", "/a/b", NULL},
        {"/a/b/c", "/a", "b/c"}, {"/a", "/", "a"}, {"/", "/", ""},      {"/b", "/a", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *rest = path_below(rows[i].path, rows[i].prefix);
        if (rows[i].expected)
            assert_string_equal(rest, rows[i].expected);
        else
            assert_null(rest);
    }
    assert_string_equal(path_base("/a/b.py"), "b.py");
    assert_string_equal(path_base("b.py"), "b.py");
    assert_string_equal(path_base("a/"), "");
    assert_int_equal(path_dir_length("/a/b"), 2);
    assert_int_equal(path_dir_length("/x"), 1);
    assert_int_equal(path_dir_length("x"), 0);
    assert_true(path_ends_with("main.py", ".py"));
    assert_false(path_ends_with("y", ".py"));
    assert_true(path_ends_with("x", ""));
}

static void reads_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *wrong;
    } rows[] = {
        {"64MB", 64000000, NULL},
        {"2GB", 2000000000, NULL},
        {"512MiB", 536870912, NULL},
        {"512mib", 536870912, NULL},
        {"1.5GB", 1500000000, NULL},
        {"0.5KiB", 512, NULL},
        {"1 MB", 1000000, NULL},
        {"1000", 1000, NULL},
        {"7B", 7, NULL},
        {"1.1GB", 1100000000, NULL},
        {"1.0000000000000000000000001KB", 1000, NULL},
        {"1.99B", 0, "nothing smaller"},
        {"0", 0, NULL},
        {"18446744073709551615", UINT64_MAX, NULL},
        {"16777215TiB", UINT64_C(16777215) << 40, NULL},
        {"18446744073709551616", 0, "too large"},
        {"16777216TiB", 0, "too large"},
        {"99999999999999999999999999TB", 0, "too large"},
        {"18446744073709551615.5KB", 0, "too large"},
        {"-1MB", 0, "negative"},
        {"lots", 0, "'lots' isn't a size"},
        {"", 0, "isn't a size"},
        {"MB", 0, "isn't a size"},
        {".5GB", 0, "isn't a size"},
        {"1.GB", 0, "isn't a size"},
        {"1..5GB", 0, "isn't a size"},
        {"1e3MB", 0, "unknown unit"},
        {"0x10MB", 0, "unknown unit"},
        {"512M", 0, "unknown unit"},
        {"5x", 0, "unknown unit"},
        {"1MB ", 0, "unknown unit"},
        {"1  MB", 0, "unknown unit"},
        {" 1MB", 0, "isn't a size"},
        {"+1MB", 0, "isn't a size"},
        {"1MB\n", 0, "unknown unit"},
        {"１MB", 0, "isn't a size"},
        {"inf", 0, "isn't a size"},
        {"nan", 0, "isn't a size"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        uint64_t value = 4711;
        int status = units_size(rows[i].text, &value, &err);
        assert_int_equal(status, rows[i].wrong ? ERROR_INVALID : 0);
        assert_int_equal(value, rows[i].wrong ? 4711 : rows[i].bytes);
        if (rows[i].wrong) {
            assert_contains(err.message, rows[i].wrong);
            assert_contains(err.hint, "64MB");
        }
    }
}

static void reads_durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
        const char *wrong;
    } rows[] = {
        {"500ms", 500000000, NULL},
        {"30s", UINT64_C(30000000000), NULL},
        {"5m", UINT64_C(300000000000), NULL},
        {"1h", UINT64_C(3600000000000), NULL},
        {"7d", UINT64_C(604800000000000), NULL},
        {"1.5s", 1500000000, NULL},
        {"0.001ms", 1000, NULL},
        {"3ns", 3, NULL},
        {"3us", 3000, NULL},
        {"2 S", 2000000000, NULL},
        {"0s", 0, NULL},
        {"5", 0, "'5' isn't a duration: the unit is missing"},
        {"-1s", 0, "negative"},
        {"-5s", 0, "'-5s' isn't a duration"},
        {"1y", 0, "unknown unit"},
        {"1min", 0, "unknown unit"},
        {"999999999999d", 0, "too large"},
        {"soon", 0, "isn't a duration"},
        {"1h30m", 0, "unknown unit"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        uint64_t value = 4711;
        int status = units_duration(rows[i].text, &value, &err);
        assert_int_equal(status, rows[i].wrong ? ERROR_INVALID : 0);
        assert_int_equal(value, rows[i].wrong ? 4711 : rows[i].ns);
        if (rows[i].wrong) {
            assert_contains(err.message, rows[i].wrong);
            assert_contains(err.hint, "30s");
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(shows_one_harmless_line),
        cmocka_unit_test(suggests_the_nearest),
        cmocka_unit_test(normalizes_paths),
        cmocka_unit_test(refuses_paths_that_do_not_fit),
        cmocka_unit_test(compares_paths_by_component),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_durations),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
