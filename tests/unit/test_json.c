/* JSON: strictness, depth, numbers beyond 64 bits, NULs, iteration, writing. */
#include "unit.h"

#include "base/json.h"
#include "base/utf8.h"
#include <stdlib.h>

static struct json_document *parse(const char *text) {
    struct json_document *d = NULL;
    struct error err;
    int status = json_parse(text, strlen(text), &d, &err);
    if (status)
        print_error("%s: %s\n", text, err.message);
    assert_int_equal(status, 0);
    return d;
}

static void accepts_and_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"null", true},
        {" [1, 2.5e3, -0, \"x\", true, {}] \n", true},
        {"\"\\u0000\\ud83d\\ude00\"", true},
        {"1e999", true},
        {"123456789012345678901234567890", true},
        {"", false},
        {" ", false},
        {"nul", false},
        {"[1,]", false},
        {"{\"a\":1,}", false},
        {"{a:1}", false},
        {"'x'", false},
        {"NaN", false},
        {"Infinity", false},
        {"-", false},
        {"01", false},
        {"1.", false},
        {".5", false},
        {"+1", false},
        {"0x10", false},
        {"// c\n1", false},
        {"1 2", false},
        {"\"\xFF\"", false},
        {"\"\xED\xA0\x80\"", false},
        {"\"\\ud800\"", false},
        {"\"\n\"", false},
        {"\xEF\xBB\xBF"
         "1",
         false},
        {"[", false},
        {"]", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (json_valid(rows[i].text, strlen(rows[i].text)) != rows[i].valid)
            fail_msg("%s", rows[i].text);
    }
    assert_false(json_valid("1\0", 2));
    assert_false(json_valid("\"a\0b\"", 5));
}

static void says_where_it_is_wrong(void **state) {
    (void)state;
    struct json_document *d = NULL;
    struct error err;
    const char *text = "{\n  \"a\": 1,\n  \"b\": x\n}";
    assert_int_equal(json_parse(text, strlen(text), &d, &err), ERROR_INVALID);
    assert_contains(err.message, "line 3, column 8");
    assert_int_equal(json_parse("", 0, &d, &err), ERROR_INVALID);
    assert_contains(err.message, "empty");
    assert_null(d);
}

static void limits_depth(void **state) {
    (void)state;
    static char text[200001];
    for (int objects = 0; objects < 2; objects++) {
        const char *open = objects ? "{\"a\":" : "[", *close = objects ? "}" : "]", *leaf = objects ? "1" : "";
        for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
            char *p = text;
            for (size_t i = 0; i < depth; i++)
                p = stpcpy(p, open);
            p = stpcpy(p, leaf);
            for (size_t i = 0; i < depth; i++)
                p = stpcpy(p, close);
            assert_int_equal(json_valid(text, (size_t)(p - text)), depth <= JSON_DEPTH_MAX);
        }
    }
    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    struct json_document *d = NULL;
    struct error err;
    assert_int_equal(json_parse(text, 200000, &d, &err), ERROR_INVALID);
    assert_contains(err.message, "deeper than 512");
    assert_false(json_valid(text, 100000));
    /* Wide isn't deep. */
    char *p = stpcpy(text, "[");
    for (size_t i = 0; i < 2000; i++)
        p = stpcpy(p, "[[]],");
    p = stpcpy(p, "0]");
    assert_true(json_valid(text, (size_t)(p - text)));
}

static void reads_numbers(void **state) {
    (void)state;
    struct json_document *d = parse("[0, 18446744073709551615, 18446744073709551616, -9223372036854775808,"
                                    "-9223372036854775809, 9223372036854775808, 1.0, 1e400, true, \"1\"]");
    const json_value *a = json_root(d);
    static const struct {
        bool u64, i64;
    } rows[] = {{1, 1}, {1, 0}, {0, 0}, {0, 1}, {0, 0}, {1, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t u = 1;
        int64_t s = 1;
        assert_int_equal(json_u64(json_at(a, i), &u), rows[i].u64);
        assert_int_equal(json_i64(json_at(a, i), &s), rows[i].i64);
        assert_int_equal(json_type(json_at(a, i)), i < 8 ? JSON_NUMBER : i == 8 ? JSON_BOOL : JSON_STRING);
    }
    assert_true(json_number(json_at(a, 2), 0) == 18446744073709551616.0);
    assert_true(json_number(json_at(a, 7), 0) > 1e308);
    assert_true(json_number(json_at(a, 9), 5) == 5);
    struct buffer b = BUFFER_INIT(1000);
    assert_int_equal(json_write(a, &b), 0);
    assert_contains(b.data, "18446744073709551616");
    assert_contains(b.data, "1e400");
    assert_contains(b.data, "-9223372036854775809");
    buffer_done(&b);
    json_free(d);
}

static void reads_strings_with_nul(void **state) {
    (void)state;
    struct json_document *d = parse("{\"a\": \"x\\u0000y\", \"b\": \"plain\"}");
    size_t n = 0;
    assert_memory_equal(json_string(json_get(json_root(d), "a"), &n), "x\0y", 4);
    assert_int_equal(n, 3);
    assert_string_equal(json_text(json_get(json_root(d), "a"), "fallback"), "fallback");
    assert_string_equal(json_text(json_get(json_root(d), "b"), "fallback"), "plain");
    assert_non_null(json_string(json_get(json_root(d), "b"), NULL));
    json_free(d);
}

static void tolerates_what_is_not_there(void **state) {
    (void)state;
    uint64_t u;
    int64_t s;
    size_t cursor = 0;
    const char *key;
    struct buffer b = BUFFER_INIT(10);
    assert_int_equal(json_type(NULL), JSON_NONE);
    assert_null(json_get(NULL, "a"));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_size(NULL), 0);
    assert_null(json_string(NULL, NULL));
    assert_null(json_text(NULL, NULL));
    assert_true(json_bool(NULL, true));
    assert_false(json_u64(NULL, &u));
    assert_false(json_i64(NULL, &s));
    assert_true(json_number(NULL, 2) == 2);
    assert_null(json_next(NULL, &cursor, &key));
    assert_null(json_each(NULL, &cursor));
    assert_null(json_root(NULL));
    assert_true(json_write(NULL, &b) < 0);
    json_free(NULL);
    struct json_document *d = parse("[1, {}]");
    assert_null(json_get(json_root(d), "a"));
    assert_null(json_at(json_root(d), 2));
    assert_null(json_at(json_at(json_root(d), 1), 0));
    json_free(d);
}

static void iterates(void **state) {
    (void)state;
    struct json_document *d = parse("{\"a\": [1, [2, [3]], {\"x\": 4}], \"b\": {}, \"c\": []}");
    size_t cursor = 0, n = 0;
    const char *key, *const keys[] = {"a", "b", "c"};
    const json_value *v;
    while ((v = json_next(json_root(d), &cursor, &key))) {
        assert_string_equal(key, keys[n++]);
        assert_ptr_equal(v, json_get(json_root(d), key));
    }
    assert_int_equal(n, 3);
    const json_value *a = json_get(json_root(d), "a");
    n = cursor = 0;
    while ((v = json_each(a, &cursor)))
        assert_ptr_equal(v, json_at(a, n++));
    assert_int_equal(n, 3);
    cursor = 0;
    assert_null(json_next(json_get(json_root(d), "b"), &cursor, &key));
    assert_null(json_each(json_get(json_root(d), "c"), &cursor));
    assert_null(json_next(a, &cursor, &key));
    assert_int_equal(json_size(a), 3);
    assert_int_equal(json_size(json_root(d)), 3);
    json_free(d);
}

static void writes(void **state) {
    (void)state;
    const char *text = "{\"a\":[1,2.5,\"\\u0000\xC3\xBC/\\\"\\\\\"],\"b\":{},\"c\":null,\"d\":-1.0}";
    struct json_document *d = parse(text);
    struct buffer b = BUFFER_INIT(1000);
    assert_int_equal(json_write(json_root(d), &b), 0);
    assert_string_equal(b.data, text);
    buffer_clear(&b);
    assert_int_equal(json_write_pretty(json_get(json_root(d), "a"), &b), 0);
    assert_memory_equal(b.data, "[\n  1,\n", 7);
    buffer_done(&b);
    struct buffer small = BUFFER_INIT(5);
    assert_int_equal(json_write(json_root(d), &small), ERROR_LIMIT);
    assert_int_equal(small.size, 0);
    json_free(d);
}

static void writes_strings_of_any_bytes(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *expected;
    } rows[] = {
        {"", 0, "\"\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\n\r\t\b\f\x01\0", 7, "\"\\n\\r\\t\\b\\f\\u0001\\u0000\""},
        {"\xC3\xBC\xFF€", 6, "\"ü\xEF\xBF\xBD€\""},
        {"\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buffer b = BUFFER_INIT(100);
        assert_int_equal(json_write_string(&b, rows[i].bytes, rows[i].n), 0);
        assert_string_equal(b.data, rows[i].expected);
        assert_true(json_valid(b.data, b.size));
        buffer_done(&b);
    }
    /* Every byte, alone and in company, gives valid JSON. */
    for (int c = 0; c < 256; c++) {
        char bytes[3] = {'x', (char)c, 'y'};
        struct buffer b = BUFFER_INIT(100);
        assert_int_equal(json_write_string(&b, bytes, 3), 0);
        assert_true(json_valid(b.data, b.size));
        buffer_done(&b);
    }
    struct buffer small = BUFFER_INIT(6);
    assert_int_equal(buffer_puts(&small, "ab"), 0);
    assert_int_equal(json_write_string(&small, "long", 4), ERROR_LIMIT);
    assert_string_equal(small.data, "ab");
    buffer_done(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_refuses),
        cmocka_unit_test(says_where_it_is_wrong),
        cmocka_unit_test(limits_depth),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(reads_strings_with_nul),
        cmocka_unit_test(tolerates_what_is_not_there),
        cmocka_unit_test(iterates),
        cmocka_unit_test(writes),
        cmocka_unit_test(writes_strings_of_any_bytes),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
