/* Which addresses are public: each special range at its first and last address and at its neighbours. */
#include "unit.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct address parsed(const char *text) {
    struct address a;
    if (!address_parse(text, &a))
        fail_msg("%s isn't an address", text);
    return a;
}

/* before: public neighbours, or NULL where what's next to it isn't public either. */
static const struct {
    const char *before, *first, *last, *after, *what;
} RANGES[] = {
    {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0", "an unspecified address"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "a private address"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", "a carrier's shared address"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", "a loopback address"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", "a link-local address"},
    {"169.253.255.255", "169.254.169.254", "169.254.169.254", NULL, "a link-local address"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "a private address"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", "a reserved address"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", "a documentation address"},
    {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", "a reserved address"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", "a private address"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", "a benchmarking address"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", "a documentation address"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", "a documentation address"},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL, "a multicast address"},
    {NULL, "240.0.0.0", "255.255.255.254", NULL, "a reserved address"},
    {NULL, "255.255.255.255", "255.255.255.255", NULL, "the broadcast address"},
    {NULL, "::", "::", NULL, "an unspecified address"},
    {NULL, "::1", "::1", NULL, "a loopback address"},
    {NULL, "::127.0.0.1", "::127.255.255.255", NULL, "a loopback address"},
    {NULL, "::8.8.8.8", "::8.8.8.8", NULL, "a reserved address"},
    {"::ffff:9.255.255.255", "::ffff:10.0.0.0", "::ffff:10.255.255.255", "::ffff:11.0.0.0", "a private address"},
    {NULL, "::ffff:0:127.0.0.1", "::ffff:0:127.0.0.1", NULL, "a reserved address"}, /* translated */
    {"64:ff9b::9.255.255.255", "64:ff9b::10.0.0.0", "64:ff9b::10.255.255.255", "64:ff9b::11.0.0.0",
     "a private address"},
    {"64:ff9b::8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::127.0.0.1", NULL, "a loopback address"},
    {NULL, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", NULL, "a local NAT64 address"},
    {NULL, "64:ff9b::1:0:0", "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", NULL, "a reserved address"},
    {NULL, "100::", "100::ffff:ffff:ffff:ffff", NULL, "a discard-only address"},
    {NULL, "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", NULL, "a reserved address"},
    {NULL, "1fff:ffff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", "a reserved address"},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", NULL,
     "a Teredo address"},
    {NULL, "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", "a reserved address"},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:db9::", "a documentation address"},
    {"2002:9ff:ffff::", "2002:a00::", "2002:aff:ffff:ffff:ffff:ffff:ffff:ffff", "2002:b00::", "a private address"},
    {"2002:808:808::1", "2002:7f00:1::", "2002:7f00:1:ffff:ffff:ffff:ffff:ffff", NULL, "a loopback address"},
    {"3ffe:ffff::", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", "a documentation address"},
    {"3fff:ffff::", "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a reserved address"},
    {NULL, "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a reserved address"},
    {NULL, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a private address"},
    {NULL, "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a reserved address"},
    {NULL, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a link-local address"},
    {NULL, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a private address"},
    {NULL, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "a multicast address"},
};

static void assert_public(const char *text) {
    struct address a = parsed(text);
    const char *why = address_why_not_public(&a);
    if (why || !address_is_public(&a))
        fail_msg("%s is refused as %s", text, why);
}

static void knows_the_special_ranges(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(RANGES); i++) {
        const char *inside[] = {RANGES[i].first, RANGES[i].last};
        for (size_t j = 0; j < COUNT(inside); j++) {
            struct address a = parsed(inside[j]);
            assert_false(address_is_public(&a));
            if (strcmp(address_why_not_public(&a), RANGES[i].what) != 0)
                fail_msg("%s is \"%s\" instead of \"%s\"", inside[j], address_why_not_public(&a), RANGES[i].what);
        }
        if (RANGES[i].before)
            assert_public(RANGES[i].before);
        if (RANGES[i].after)
            assert_public(RANGES[i].after);
    }
    static const char *const public[] = {"1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00::1",
                                         "::ffff:8.8.8.8"};
    for (size_t i = 0; i < COUNT(public); i++)
        assert_public(public[i]);
}

static void has_one_form_of_each_address(void **state) {
    (void)state;
    static const struct {
        const char *text, *form; /* NULL: it isn't one */
    } rows[] = {
        {"1.2.3.4", "1.2.3.4"},
        {"::ffff:1.2.3.4", "1.2.3.4"},
        {"[::ffff:102:304]", "1.2.3.4"},
        {"[::1]", "::1"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"2001:DB8:0:0::A", "2001:db8::a"},
        {"", NULL},
        {"[]", NULL},
        {"[1.2.3.4]", NULL},
        {"[::1", NULL},
        {"::1]", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.", NULL},
        {"01.2.3.4", NULL},
        {"0x1.2.3.4", NULL},
        {"16909060", NULL},
        {" 1.2.3.4", NULL},
        {"1.2.3.256", NULL},
        {"fe80::1%eth0", NULL},
        {"::1::", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        if (!rows[i].form) {
            assert_false(address_parse(rows[i].text, &a));
            continue;
        }
        a = parsed(rows[i].text);
        address_format(&a, text);
        assert_string_equal(text, rows[i].form);
    }
}

static void tells_loopback(void **state) {
    (void)state;
    static const char *const yes[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"128.0.0.1", "::", "::2", "10.0.0.1", "::127.0.0.1"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        struct address a = parsed(yes[i]);
        assert_true(address_is_loopback(&a));
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        struct address a = parsed(no[i]);
        assert_false(address_is_loopback(&a));
    }
}

static void reads_socket_addresses(void **state) {
    (void)state;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x01020304)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct address a, expected = parsed("1.2.3.4");
    assert_true(address_of_socket((struct sockaddr *)&v4, &a));
    assert_true(address_equal(&a, &expected));
    inet_pton(AF_INET6, "::ffff:1.2.3.4", &v6.sin6_addr);
    assert_true(address_of_socket((struct sockaddr *)&v6, &a));
    assert_true(address_equal(&a, &expected));
    inet_pton(AF_INET6, "2a00::1", &v6.sin6_addr);
    assert_true(address_of_socket((struct sockaddr *)&v6, &a));
    assert_false(address_equal(&a, &expected));
    assert_false(address_of_socket((struct sockaddr *)&local, &a));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_special_ranges),
        cmocka_unit_test(has_one_form_of_each_address),
        cmocka_unit_test(tells_loopback),
        cmocka_unit_test(reads_socket_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
