/* Egress rules: the name, then the address that it led to. */
#include "unit.h"

#include "net/egress.h"

static void matches_entries(void **state) {
    (void)state;
    static const struct {
        const char *entry, *host;
        uint16_t port;
        bool matches;
    } rows[] = {
        {"a.test", "a.test", 443, true},
        {"a.test", "a.test", 8080, true},
        {"a.test", "b.a.test", 443, false},
        {"a.test", "xa.test", 443, false},
        {"a.test", "a.test.evil", 443, false},
        {"a.test:8080", "a.test", 8080, true},
        {"a.test:8080", "a.test", 80, false},
        {"*.a.test", "b.a.test", 443, true},
        {"*.a.test", "c.b.a.test", 443, true},
        {"*.a.test", "a.test", 443, false},
        {"*.a.test", ".a.test", 443, false},
        {"*.a.test", "xa.test", 443, false},
        {"*.a.test:8443", "b.a.test", 8443, true},
        {"*.a.test:8443", "b.a.test", 443, false},
        {"127.0.0.1", "127.0.0.1", 80, true},
        {"127.0.0.1:80", "127.0.0.1", 80, true},
        {"127.0.0.1:80", "[::ffff:7f00:1]", 80, true},
        {"127.0.0.1:80", "127.0.0.2", 80, false},
        {"[::1]:80", "[::1]", 80, true},
        {"[::1]", "[::1]", 80, true},
        {"[0:0::1]", "[::1]", 80, true},
        {"[::1]:81", "[::1]", 80, false},
        {"*.0.0.1", "127.0.0.1", 80, false},
        {"1.2.3.4", "1.2.3.4.nip.test", 80, false},
        {"", "a.test", 80, false},
        {"*.", "a.test", 80, false},
        {"a.test:", "a.test", 80, false},
        {"a.test:0", "a.test", 80, false},
        {"a.test:080", "a.test", 80, false},
        {"a.test:+80", "a.test", 80, false},
        {"a.test:65616", "a.test", 80, false},
        {"[::1", "[::1", 80, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (egress_matches(rows[i].entry, rows[i].host, rows[i].port) != rows[i].matches)
            fail_msg("\"%s\" and %s:%u", rows[i].entry, rows[i].host, rows[i].port);
}

static char *hosts[] = {"api.test", "*.wild.test",        "db.test:5000", "10.0.0.1:80",
                        "10.0.0.9", "*.wildport.test:80", "[fd00::1]:80", "8.8.8.8"};

/* Each row under three kinds of rules: none, the list, and the list as no more than a limit. NULL: allowed. */
static const struct {
    const char *host;
    uint16_t port;
    const char *address; /* NULL: only the name is checked */
    const char *unlisted, *listed, *public_only;
} ROWS[] = {
    {"api.test", 443, NULL, NULL, NULL, NULL},
    {"api.test", 443, "8.8.4.4", NULL, NULL, NULL},
    {"api.test", 443, "10.0.0.1", "leads to 10.0.0.1, a private", "a private", "a private"},
    {"api.test", 80, "10.0.0.1", "a private", NULL, "a private"}, /* the address itself is listed with that port */
    {"api.test", 443, "169.254.169.254", "a link-local", "a link-local", "a link-local"},
    {"api.test", 443, "::ffff:127.0.0.1", "127.0.0.1, a loopback", "a loopback", "a loopback"},
    {"api.test", 443, "64:ff9b::a00:1", "a private", "a private", "a private"},
    {"other.test", 443, NULL, NULL, "no entry", "no entry"},
    {"a.wild.test", 443, "1.1.1.1", NULL, NULL, NULL},
    {"a.wild.test", 443, "127.0.0.1", "a loopback", "a loopback", "a loopback"},
    {"a.wildport.test", 80, "127.0.0.1", "a loopback", "a loopback", "a loopback"}, /* a wildcard opens nothing */
    {"db.test", 5000, "10.1.1.1", "a private", NULL, "a private"},
    {"db.test", 5001, NULL, NULL, "no entry", "no entry"},
    {"10.0.0.1", 80, NULL, "10.0.0.1 isn't allowed: it's a private", NULL, "a private"},
    {"10.0.0.1", 81, NULL, "a private", "no entry", "no entry"},
    {"10.0.0.9", 80, NULL, "a private", "a private", "a private"}, /* listed, but without its port */
    {"[fd00::1]", 80, NULL, "a private", NULL, "a private"},
    {"[fd00::2]", 80, NULL, "a private", "no entry", "no entry"},
    {"8.8.8.8", 53, NULL, NULL, NULL, NULL},
    {"0.0.0.0", 80, NULL, "an unspecified", "no entry", "no entry"},
};

static void check(const struct egress_rules *rules, size_t row, const char *expected) {
    struct error err = {0};
    struct address address;
    int status = egress_check_host(rules, ROWS[row].host, ROWS[row].port, &err);
    if (status == 0 && ROWS[row].address) {
        assert_true(address_parse(ROWS[row].address, &address));
        status = egress_check_address(rules, ROWS[row].host, &address, ROWS[row].port, &err);
    }
    if (!expected) {
        if (status)
            fail_msg("%s:%u: %s", ROWS[row].host, ROWS[row].port, err.message);
        return;
    }
    if (status != ERROR_INVALID)
        fail_msg("%s:%u is allowed", ROWS[row].host, ROWS[row].port);
    assert_contains(err.message, expected);
    assert_contains(err.message, ROWS[row].host);
    assert_contains(err.hint, "allowed hosts");
}

static void applies_rules(void **state) {
    (void)state;
    const struct egress_rules unlisted = {0}, listed = {.listed = true, .hosts = hosts, .hosts_n = COUNT(hosts)},
                              limit = {
                                  .listed = true, .public_only = true, .hosts = hosts, .hosts_n = COUNT(hosts)};
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        check(&unlisted, i, ROWS[i].unlisted);
        check(&listed, i, ROWS[i].listed);
        check(&limit, i, ROWS[i].public_only);
    }
}

static void refuses_all_with_an_empty_list(void **state) {
    (void)state;
    const struct egress_rules none = {.listed = true};
    struct error err = {0};
    assert_int_equal(egress_check_host(&none, "api.test", 443, &err), ERROR_INVALID);
    assert_contains(err.message, "may not reach any host");
    assert_contains(err.hint, "api.test");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_entries),
        cmocka_unit_test(applies_rules),
        cmocka_unit_test(refuses_all_with_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
