/* URLs of guests and of redirects. */
#include "http_peer.h"
#include "unit.h"

#include "net/curl_library.h"
#include "net/url.h"

#include <stdlib.h>

static const struct {
    const char *text;
    const char *host, *url, *masked; /* url: NULL: as masked */
    uint16_t port;
} GOOD[] = {
    {"http://a.test", "a.test", NULL, "http://a.test/", 80},
    {"https://a.test/x/../y?q=1&r=2#f", "a.test", "https://a.test/y?q=1&r=2", "https://a.test/y?q=***&r=***", 443},
    {"HTTPS://A.Test:8443/P", "a.test", NULL, "https://a.test:8443/P", 8443},
    {"http://a.test:80/", "a.test", NULL, "http://a.test/", 80},
    {"http://a.test:0080/", "a.test", NULL, "http://a.test/", 80},
    {"http://a.test:65535/", "a.test", NULL, "http://a.test:65535/", 65535},
    {"http://a.test:/", "a.test", NULL, "http://a.test/", 80},
    {"http://a.test./x", "a.test", NULL, "http://a.test/x", 80},
    {"http://a_b-c.test/", "a_b-c.test", NULL, "http://a_b-c.test/", 80},
    {"http://xn--bcher-kva.test/", "xn--bcher-kva.test", NULL, "http://xn--bcher-kva.test/", 80},
    {"http://localhost:8080/", "localhost", NULL, "http://localhost:8080/", 8080},
    {"http://%61.test/", "a.test", NULL, "http://a.test/", 80},
    {"http://127.0.0.1/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://2130706433/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://0x7f000001/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://0x7f.1/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://017700000001/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://0177.0.0.01/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://127.1/", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://127.0.0.1./", "127.0.0.1", NULL, "http://127.0.0.1/", 80},
    {"http://0/", "0.0.0.0", NULL, "http://0.0.0.0/", 80},
    {"http://[::1]:81/", "[::1]", NULL, "http://[::1]:81/", 81},
    {"http://[0:0:0::0:1]/", "[::1]", NULL, "http://[::1]/", 80},
    {"http://[::FFFF:127.0.0.1]/", "[::ffff:127.0.0.1]", NULL, "http://[::ffff:127.0.0.1]/", 80},
    {"http://[::ffff:7f00:1]/", "[::ffff:127.0.0.1]", NULL, "http://[::ffff:127.0.0.1]/", 80},
    {"http://good.test@evil.test/", "evil.test", "http://evil.test/", "http://***@evil.test/", 80},
    {"http://good.test:80@evil.test/", "evil.test", "http://evil.test/", "http://***@evil.test/", 80},
    {"http://:pw@evil.test/", "evil.test", "http://evil.test/", "http://***@evil.test/", 80},
    {"http://good.test%2F@evil.test/", "evil.test", "http://evil.test/", "http://***@evil.test/", 80},
    {"http://evil.test#@good.test/", "evil.test", NULL, "http://evil.test/", 80},
    {"http://evil.test?@good.test/", "evil.test", "http://evil.test/?@good.test/", "http://evil.test/?***", 80},
    {"http://a.test/?k=v;l=w&m&=n", "a.test", "http://a.test/?k=v;l=w&m&=n", "http://a.test/?k=***;l=***&***&=***",
     80},
    {"http://a.test/?k=v=w", "a.test", "http://a.test/?k=v=w", "http://a.test/?k=***", 80},
    {"http://a.test/?", "a.test", NULL, "http://a.test/?", 80},
    {"http://a.test/%0d%0aX:y", "a.test", NULL, "http://a.test/%0d%0aX:y", 80},
    {"http://a.test/\xc3\xa9?\xc3\xa9", "a.test", "http://a.test/%c3%a9?%c3%a9", "http://a.test/%c3%a9?***", 80},
};

static void reads_good_urls(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        struct url u;
        struct error err = {0};
        if (url_parse(GOOD[i].text, NULL, &u, &err))
            fail_msg("%s: %s", GOOD[i].text, err.message);
        assert_string_equal(u.host, GOOD[i].host);
        assert_int_equal(u.port, GOOD[i].port);
        char *text = url_text(&u), *masked = url_masked(&u);
        assert_string_equal(text, GOOD[i].url ? GOOD[i].url : GOOD[i].masked);
        assert_string_equal(masked, GOOD[i].masked);
        free(text);
        free(masked);
        url_done(&u);
    }
}

static const struct {
    const char *text, *says;
} BAD[] = {
    {"", "malformed"},
    {"a.test", "http://"},
    {"/path", "http://"},
    {"//a.test/", "http://"},
    {"://a.test/", "http://"},
    {"ftp://a.test/", "neither http nor https"},
    {"file:///etc/passwd", "no host"},
    {"gopher://a.test/", "neither http nor https"},
    {"javascript:alert(1)", "http"},
    {"http:///", "no host"},
    {"http://:80/", "no host"},
    {"http://a.test:0/", "port"},
    {"http://a.test:65536/", "port"},
    {"http://a.test:99999999999999999999/", "port"},
    {"http://a.test:8a/", "port"},
    {"http://a.test:-1/", "port"},
    {"http://a.test:80:80/", "port"},
    {"http://a.test:%38%30/", "port"},
    {"http://a b.test/", "space"},
    {"http://a.test/a b", "space"},
    {" http://a.test/", "space"},
    {"http://a.test/ ", "space"},
    {"http://a.test/\r\nX: y", "control"},
    {"http://a.test\r\nHost: b/", "control"},
    {"http://u\n@a.test/", "control"},
    {"http://a.test/?x\ny", "control"},
    {"http://a.test/\x7f", "control"},
    {"http://a.test\\@b.test/", "backslash"},
    {"http:\\\\a.test/", "backslash"},
    {"http://a.test\\.b.test/", "backslash"},
    {"http://a%0d%0a.test/", "host"},
    {"http://a%00.test/", "host"},
    {"http://a%20b/", "host"},
    {"http://a%2fb/", "host"},
    {"http://a%40b/", "host"},
    {"http://a.test%3a80/", "host"},
    {"http://a@b@c.test/", "host"},
    {"http://a..test/", "neither a name nor an address"},
    {"http://.a.test/", "neither a name nor an address"},
    {"http://a.test../", "neither a name nor an address"},
    {"http://./", "neither a name nor an address"},
    {"http://a~b/", "neither a name nor an address"},
    {"http://0X7f.1/", "neither a name nor an address"},   /* the resolver would take it */
    {"http://%30x7f.1/", "neither a name nor an address"}, /* the same, decoded too late to be an address */
    {"http://127.1./", "neither a name nor an address"},
    {"http://256.1.1.1/", "neither a name nor an address"},
    {"http://1.2.3.4.5/", "neither a name nor an address"},
    {"http://4294967296/", "neither a name nor an address"},
    {"http://[::1]x/", "port"},
    {"http://[::1/", "IPv6"},
    {"http://[fe80::1%25eth0]/", "zone"},
    {"http://[fe80::1%eth0]/", "zone"},
    {"http://[1.2.3.4]/", "IPv6"},
    {"http://[v1.a]/", "IPv6"},
    {"http://b\xc3\xbc"
     "cher.test/",
     "ASCII"},
    {"http://%c3%bc.test/", "ASCII"},
    {"http://\xe2\x91\xa0.test/", "ASCII"},
};

static void refuses_bad_urls(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct url u;
        struct error err = {0};
        if (url_parse(BAD[i].text, NULL, &u, &err) != ERROR_INVALID)
            fail_msg("%s is taken for %s", BAD[i].text, u.host);
        assert_contains(err.message, BAD[i].says);
    }
}

static void refuses_what_is_too_long(void **state) {
    (void)state;
    static char text[URL_MAX + 100];
    struct url u;
    struct error err = {0};
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "http://a.test/", 14);
    assert_int_equal(url_parse(text, NULL, &u, &err), ERROR_INVALID);
    assert_contains(err.message, "longer than");
    text[URL_MAX] = '\0';
    assert_int_equal(url_parse(text, NULL, &u, &err), 0);
    url_done(&u);
    text[7 + 64] = '\0'; /* a label of 64 */
    memset(text + 7, 'a', 64);
    assert_int_equal(url_parse(text, NULL, &u, &err), ERROR_INVALID);
    text[7 + 63] = '\0';
    assert_int_equal(url_parse(text, NULL, &u, &err), 0);
    url_done(&u);
    for (size_t i = 0; i < 400; i++)
        text[7 + i] = i % 40 == 39 ? '.' : 'a';
    text[7 + 254] = '\0';
    assert_int_equal(url_parse(text, NULL, &u, &err), ERROR_INVALID);
    text[7 + 253] = '\0';
    assert_int_equal(url_parse(text, NULL, &u, &err), 0);
    url_done(&u);
}

static void says_nothing_secret(void **state) {
    (void)state;
    static const char *const texts[] = {"http://SECRET:SECRET@a.test:99999/", "http://a.test:0/?k=SECRET",
                                        "http://SECRET@b\xc3\xbc/?SECRET",    "http://SECRET@a~b/?SECRET",
                                        "gopher://SECRET@a/?SECRET",          "http://u:SECRET\\@a.test/"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct url u;
        struct error err = {0};
        assert_int_equal(url_parse(texts[i], NULL, &u, &err), ERROR_INVALID);
        assert_null(strstr(err.message, "SECRET"));
        assert_null(strstr(err.hint, "SECRET"));
    }
}

static void follows_relative_urls(void **state) {
    (void)state;
    static const struct {
        const char *to, *url; /* NULL: refused */
    } rows[] = {
        {"next", "https://a.test:8443/dir/next"},
        {"/next?x=1", "https://a.test:8443/next?x=1"},
        {"?y", "https://a.test:8443/dir/page?y"},
        {"../up", "https://a.test:8443/up"},
        {"//b.test/x", "https://b.test/x"},
        {"//b.test:1/x", "https://b.test:1/x"},
        {"http://b.test/", "http://b.test/"},
        {"", "https://a.test:8443/dir/page?q"},
        {"#f", "https://a.test:8443/dir/page?q"},
        {"a b", "https://a.test:8443/dir/a%20b"},
        {"\xc3\xa9", "https://a.test:8443/dir/%c3%a9"},
        {"//2130706433/", "https://127.0.0.1/"},
        {"ftp://b.test/", NULL},
        {"javascript:x", NULL},
        {"http://b.test:0/", NULL},
        {"//b.test\r\nX: y/", NULL},
        {"//b\xc3\xbc.test/", NULL},
        {"//\\@b.test/\\", "https://b.test/\\"},
    };
    struct url base;
    assert_int_equal(url_parse("https://a.test:8443/dir/page?q#f", NULL, &base, NULL), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct url u;
        struct error err = {0};
        int status = url_parse(rows[i].to, &base, &u, &err);
        assert_int_equal(status, rows[i].url ? 0 : ERROR_INVALID);
        if (status)
            continue;
        char *text = url_text(&u);
        assert_string_equal(text, rows[i].url);
        free(text);
        url_done(&u);
    }
    url_done(&base);
}

static void compares_origins(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"http://a.test/x", "http://A.TEST:80/y?z", true}, {"http://a.test/", "https://a.test/", false},
        {"http://a.test/", "http://a.test:81/", false},    {"http://a.test/", "http://b.test/", false},
        {"http://a.test:443/", "https://a.test/", false},  {"http://127.0.0.1/", "http://0x7f.1/", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct url a, b;
        assert_int_equal(url_parse(rows[i].a, NULL, &a, NULL), 0);
        assert_int_equal(url_parse(rows[i].b, NULL, &b, NULL), 0);
        assert_int_equal(url_same_origin(&a, &b), rows[i].same);
        url_done(&a);
        url_done(&b);
    }
}

static void takes_userinfo_out(void **state) {
    (void)state;
    static const struct {
        const char *text, *userinfo;
    } rows[] = {
        {"http://a.test/", NULL},    {"http://u:p@a.test/", "u:p"},           {"http://u@a.test/", "u:"},
        {"http://:p@a.test/", ":p"}, {"http://u%40x:p%3a@a.test/", "u@x:p:"}, {"http://u:p:q@a.test/", "u:p:q"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct url u;
        char *userinfo;
        assert_int_equal(url_parse(rows[i].text, NULL, &u, NULL), 0);
        assert_int_equal(url_take_userinfo(&u, &userinfo, NULL), 0);
        if (rows[i].userinfo)
            assert_string_equal(userinfo, rows[i].userinfo);
        else
            assert_null(userinfo);
        free(userinfo);
        assert_int_equal(url_take_userinfo(&u, &userinfo, NULL), 0);
        assert_null(userinfo);
        url_done(&u);
    }
    struct url u;
    char *userinfo;
    struct error err;
    assert_int_equal(url_parse("http://u%0d%0a:p@a.test/", NULL, &u, NULL), 0);
    assert_int_equal(url_take_userinfo(&u, &userinfo, &err), ERROR_INVALID);
    url_done(&u);
}

static int load(void **state) {
    (void)state;
    return curl_library_load(peer_folder(), NULL);
}

static void says_where_libcurl_should_be(void **state) {
    (void)state;
    struct error err;
    assert_null(curl());
    assert_int_equal(curl_library_load("/nowhere", &err), ERROR_UNSUPPORTED);
    assert_contains(err.message, "HTTP requests need /nowhere/curl.so");
    assert_contains(err.hint, "CAPSULE_GUESTS");
    assert_null(curl());
}

int main(void) {
    const struct CMUnitTest before[] = {cmocka_unit_test(says_where_libcurl_should_be)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_good_urls),          cmocka_unit_test(refuses_bad_urls),
        cmocka_unit_test(refuses_what_is_too_long), cmocka_unit_test(says_nothing_secret),
        cmocka_unit_test(follows_relative_urls),    cmocka_unit_test(compares_origins),
        cmocka_unit_test(takes_userinfo_out),
    };
    return cmocka_run_group_tests(before, NULL, NULL) + cmocka_run_group_tests(tests, load, NULL);
}
