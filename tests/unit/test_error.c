/* Errors: codes, cutting, hints, prefixes. */
#include "unit.h"

#include "base/utf8.h"
#include <errno.h>
#include <stdlib.h>

static void sets_code_message_and_clears_hint(void **state) {
    (void)state;
    struct error err = {0};
    error_hint(&err, "old");
    assert_int_equal(error_set(&err, ERROR_IO, "no %s at %d", "disk", 7), ERROR_IO);
    assert_int_equal(err.code, ERROR_IO);
    assert_string_equal(err.message, "no disk at 7");
    assert_string_equal(err.hint, "");
    error_hint(&err, "buy %s", "one");
    assert_string_equal(err.hint, "buy one");
    assert_string_equal(err.message, "no disk at 7");
}

static void accepts_no_struct(void **state) {
    (void)state;
    assert_int_equal(error_set(NULL, ERROR_LIMIT, "x"), ERROR_LIMIT);
    assert_int_equal(error_errno(NULL, ERROR_IO, ENOENT, "x"), ERROR_IO);
    error_hint(NULL, "x");
    assert_true(error_prefix(NULL, "x") < 0);
}

static void adds_the_reason_of_the_system(void **state) {
    (void)state;
    struct error err;
    error_errno(&err, ERROR_IO, ENOENT, "can't open %s", "x.toml");
    assert_string_equal(err.message, "can't open x.toml: No such file or directory");
    error_errno(&err, ERROR_IO, 99999, "y");
    assert_contains(err.message, "99999");
}

static void cuts_long_messages_in_the_middle(void **state) {
    (void)state;
    struct error err;
    char *text = malloc(20001);
    memset(text, 'x', 20000);
    memcpy(text, "begin", 5);
    memcpy(text + 19997, "end", 4);
    error_set(&err, ERROR_INVALID, "%s", text);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    assert_memory_equal(err.message, "begin", 5);
    assert_string_equal(err.message + ERROR_MESSAGE_MAX - 4, "end");
    assert_contains(err.message, " … ");
    error_hint(&err, "%s", text);
    assert_int_equal(strlen(err.hint), ERROR_HINT_MAX - 1);
    free(text);
}

/* At every alignment of three-byte characters, and longer than the scratch space. */
static void never_cuts_a_character(void **state) {
    (void)state;
    struct error err;
    static char text[60001];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "€", 4);
        error_set(&err, ERROR_INVALID, "%s", text);
        assert_true(strlen(err.message) > ERROR_MESSAGE_MAX - 8);
        assert_true(utf8_valid(err.message, strlen(err.message)));
    }
}

static void may_quote_itself(void **state) {
    (void)state;
    struct error err;
    error_set(&err, ERROR_INVALID, "inner");
    error_hint(&err, "help");
    error_set(&err, ERROR_PROJECT, "outer: %s (%s)", err.message, err.hint);
    assert_string_equal(err.message, "outer: inner (help)");
}

static void prefixes_keep_code_and_hint(void **state) {
    (void)state;
    struct error err;
    error_set(&err, ERROR_INVALID, "bad");
    error_hint(&err, "help");
    assert_int_equal(error_prefix(&err, "%s:%d", "capsule.toml", 7), ERROR_INVALID);
    assert_string_equal(err.message, "capsule.toml:7: bad");
    assert_string_equal(err.hint, "help");
}

static void names_codes(void **state) {
    (void)state;
    assert_string_equal(error_name(ERROR_IO), "IO");
    assert_string_equal(error_name(ERROR_INTERNAL), "INTERNAL");
    assert_string_equal(error_name(0), "UNKNOWN");
    assert_string_equal(error_name(-99), "UNKNOWN");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_code_message_and_clears_hint),
        cmocka_unit_test(accepts_no_struct),
        cmocka_unit_test(adds_the_reason_of_the_system),
        cmocka_unit_test(cuts_long_messages_in_the_middle),
        cmocka_unit_test(never_cuts_a_character),
        cmocka_unit_test(may_quote_itself),
        cmocka_unit_test(prefixes_keep_code_and_hint),
        cmocka_unit_test(names_codes),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
