/* Fuzzes what reads the network's and guests' texts: the first byte says which reader gets the rest. Nothing may crash, leak or read beyond; what's
 * refused must say why; and what's accepted must keep its promises. */
#include "base/buffer.h"
#include "net/address.h"
#include "net/curl_library.h"
#include "net/egress.h"
#include "net/http_internal.h"
#include "net/url.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(int condition) {
    if (!condition)
        abort();
}

/* What's written of an address reads as the same one. */
static void fuzz_address(const char *text, size_t n) {
    CLEANUP(cleanup_free) char *copy = strndup(text, n);
    struct address a, again;
    char written[ADDRESS_TEXT_MAX];
    if (!address_parse(copy, &a))
        return;
    address_format(&a, written);
    expect(address_parse(written, &again) && address_equal(&a, &again));
    expect(address_is_public(&a) == (address_why_not_public(&a) == NULL));
    expect(!address_is_loopback(&a) || !address_is_public(&a));
}

/* A host has one spelling: it's kept when the URL is written and read again, and nothing hides in it. */
static void check_url(const struct url *u) {
    CLEANUP(cleanup_free) char *text = url_text(u), *masked = url_masked(u);
    struct url again;
    expect(text && masked && u->host[0] && u->port > 0);
    expect(u->host[strcspn(u->host, "/\\@?# %\r\n\t")] == '\0');
    expect(strpbrk(text, "\r\n\t \x7f") == NULL && strchr(text, '#') == NULL);
    if (strlen(text) > URL_MAX)
        return;
    expect(url_parse(text, u, &again, NULL) == 0);
    expect(url_same_origin(u, &again));
    url_done(&again);
}

static void fuzz_url(const char *text, size_t n) {
    CLEANUP(cleanup_free) char *copy = strndup(text, n);
    struct url u;
    struct error err = {0};
    if (url_parse(copy, NULL, &u, &err) != 0) {
        expect(err.message[0] != '\0');
        return;
    }
    check_url(&u);
    CLEANUP(cleanup_free) char *userinfo = NULL;
    if (url_take_userinfo(&u, &userinfo, &err) == 0 && userinfo)
        expect(strpbrk(userinfo, "\r\n") == NULL);
    check_url(&u);
    url_done(&u);
}

static void fuzz_redirect(const char *text, size_t n) {
    CLEANUP(cleanup_free) char *copy = strndup(text, n);
    struct url base, u;
    struct error err = {0};
    expect(url_parse("https://a.test:8443/dir/page?q", NULL, &base, NULL) == 0);
    if (url_parse(copy, &base, &u, &err) == 0) {
        check_url(&u);
        url_done(&u);
    } else {
        expect(err.message[0] != '\0');
    }
    url_done(&base);
}

/* "entry\nhost": whatever matches, an address that isn't public needs to be named with its port. */
static void fuzz_egress(const char *text, size_t n) {
    CLEANUP(cleanup_free) char *entry = strndup(text, n);
    char *host = strchr(entry, '\n');
    if (!host)
        return;
    *host++ = '\0';
    char *hosts[] = {entry};
    const struct egress_rules rules = {.listed = true, .hosts = hosts, .hosts_n = 1};
    const struct egress_rules limit = {.listed = true, .public_only = true, .hosts = hosts, .hosts_n = 1};
    struct address loopback;
    struct error err = {0};
    expect(address_parse("127.0.0.1", &loopback));
    if (egress_check_host(&rules, host, 80, &err) != 0)
        expect(err.message[0] != '\0');
    else
        expect(egress_matches(entry, host, 80));
    if (egress_check_address(&rules, host, &loopback, 80, &err) == 0)
        expect(strncmp(entry, "*.", 2) != 0 && strstr(entry, ":80") != NULL);
    expect(egress_check_address(&limit, host, &loopback, 80, &err) != 0);
}

static void ignore_reply(void *user, uint32_t op, const char *header, size_t header_n, const char *body,
                         size_t body_n) {
    (void)user;
    (void)op;
    (void)body;
    expect(json_valid(header, header_n) && body_n == 0);
}

static char token[] = "TOKEN", value[] = "value";

static struct http_session *fuzz_session(void) {
    static struct http_secret secret = {.name = "S", .token = token, .value = value};
    static struct http_session s = {
        .options = {.secrets = &secret,
                    .secrets_n = 1,
                    .limits = {.response = 1 << 20, .headers = 1 << 16, .total = 1 << 20, .requests = 4},
                    .reply = ignore_reply}};
    return &s;
}

/* A request that's accepted has nothing in it that could end a line. */
static void fuzz_request(const char *text, size_t n) {
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    struct http_failure failure = {0};
    if (json_parse(text, n, &document, NULL) != 0)
        return;
    struct http_request *r = http_request_read(fuzz_session(), 1, json_root(document), "body", 4, &failure);
    if (!r) {
        CLEANUP(buffer_done) struct buffer told = BUFFER_INIT(1 << 16);
        http_failure_write(&failure, &told);
        expect(failure.type != NULL && json_valid(told.data, told.size));
        return;
    }
    size_t cursor = 0;
    expect(r->method[strcspn(r->method, " \r\n\t")] == '\0');
    for (const char *name, *content; http_headers_next(&r->headers, &cursor, &name, &content);)
        expect(strpbrk(name, "\r\n :") == NULL && strpbrk(content, "\r\n") == NULL);
    http_request_free(r);
}

/* Lines of a response's head; then what a guest would be told of it, and a redirect to where it says. */
static void fuzz_response(const char *text, size_t n) {
    static const char asked[] = "{\"method\":\"POST\",\"url\":\"http://a.test/\",\"headers\":[[\"A\",\"TOKEN\"]]}";
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    CLEANUP(buffer_done) struct buffer head = BUFFER_INIT(1 << 20);
    struct http_failure failure = {0};
    struct http_session *s = fuzz_session();
    s->total = 0;
    expect(json_parse(asked, sizeof asked - 1, &document, NULL) == 0);
    struct http_request *r = http_request_read(s, 1, json_root(document), "body", 4, &failure);
    expect(r != NULL);
    int status = 0;
    for (const char *line = text, *end = text + n; status == 0 && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop + 1 : end;
        status = http_request_header(r, line, (size_t)(stop - line));
        line = stop;
    }
    expect((status == 0) == (r->failure.type == NULL));
    if (http_head_write(r, &head) == 0)
        expect(json_valid(head.data, head.size));
    if (http_headers_get(&r->answer, "Location") && r->redirects > 0 && http_request_redirect(r) == 0)
        check_url(&r->url);
    http_request_free(r);
}

/* However a text is cut, no value comes through, and its length stays. */
static void fuzz_mask(const char *text, size_t n) {
    struct http_session *s = fuzz_session();
    struct http_mask mask = {.held = BUFFER_INIT(1 << 20)};
    CLEANUP(buffer_done) struct buffer out = BUFFER_INIT(1 << 20);
    for (size_t at = 0, part; at < n; at += part) {
        part = 1 + (unsigned char)text[at] % 7;
        part = part < n - at ? part : n - at;
        expect(http_mask_feed(s, &mask, text + at, part, &out) == 0);
    }
    expect(http_mask_end(&mask, &out) == 0);
    expect(out.size == n && (n == 0 || memmem(out.data, n, value, strlen(value)) == NULL));
    buffer_done(&mask.held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static void (*const readers[])(const char *, size_t) = {
        fuzz_address, fuzz_url, fuzz_redirect, fuzz_egress, fuzz_request, fuzz_response, fuzz_mask,
    };
    const char *folder = getenv("CAPSULE_GUESTS");
    expect(curl_library_load(folder != NULL ? folder : "build/lib/capsule", NULL) == 0);
    if (n > 0)
        readers[data[0] % (sizeof readers / sizeof readers[0])]((const char *)data + 1, n - 1);
    return 0;
}
