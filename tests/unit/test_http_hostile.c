/* HTTP against servers that misbehave, and redirects: what a guest is told, and that nothing goes where it may not. */
#include "unit.h"

#include "base/clock.h"
#include "http_peer.h"
#include "http_server.h"
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static struct server *server, *second;
static struct http_client *client;
static char host[64], other[64];
static char *hosts[] = {host, other, NULL};
static struct peer peer;

/* Until the client has gone. */
static void wait_for_end(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    while (poll(&p, 1, 10000) > 0 && !(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
        ;
}

static bool never(int fd) {
    wait_for_end(fd);
    return false;
}

static bool slowly(int fd) {
    bool alive = server_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; alive && i < 2000; i++) {
        struct pollfd p = {.fd = fd, .events = POLLRDHUP};
        alive = poll(&p, 1, 20) == 0 && server_puts(fd, "x");
    }
    return false;
}

static bool endlessly(int fd) {
    static const char block[65536];
    bool alive = server_puts(fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (alive)
        alive = server_send(fd, block, sizeof block);
    return false;
}

static bool endless_header(int fd) {
    bool alive = server_puts(fd, "HTTP/1.1 200 OK\r\nX: ");
    while (alive)
        alive = server_puts(fd, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    return false;
}

static bool many_headers(int fd) {
    bool alive = server_puts(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; alive && i < 100000; i++)
        alive = server_printf(fd, "H%d: v\r\n", i);
    return alive && server_puts(fd, "Content-Length: 0\r\n\r\n");
}

static bool many_informational(int fd) {
    bool alive = true;
    for (int i = 0; alive && i < 100000; i++)
        alive = server_puts(fd, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    return alive && server_answer(fd, "x");
}

/* 50 MB of zeros in some 50 KB. */
static bool bomb(int fd) {
    enum { CHUNK = 1 << 20 };
    static unsigned char zeros[CHUNK], packed[CHUNK];
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    bool alive = server_puts(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n");
    for (int i = 0; alive && i < 50; i++) {
        z.next_in = zeros;
        z.avail_in = CHUNK;
        do {
            z.next_out = packed;
            z.avail_out = CHUNK;
            deflate(&z, i == 49 ? Z_FINISH : Z_NO_FLUSH);
            alive = server_send(fd, packed, CHUNK - z.avail_out);
        } while (z.avail_out == 0);
    }
    deflateEnd(&z);
    return false;
}

static bool packed(int fd, const char *coding, int bits) {
    unsigned char out[256];
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (unsigned char *)(uintptr_t)"unpacked text";
    z.avail_in = 13;
    z.next_out = out;
    z.avail_out = sizeof out;
    deflate(&z, Z_FINISH);
    size_t n = sizeof out - z.avail_out;
    deflateEnd(&z);
    return server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\nX: y\r\n\r\n",
                         coding, n) &&
           server_send(fd, out, n);
}

static const struct {
    const char *path, *text; /* sent, then the connection is closed */
} SCRIPTS[] = {
    {"/closes-at-once", ""},
    {"/closes-in-head", "HTTP/1.1 200 OK\r\nContent-Le"},
    {"/closes-midway", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"},
    {"/closes-in-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"},
    {"/too-long", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdefgh"},
    {"/two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
    {"/bad-length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabcd"},
    {"/bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"},
    {"/old", "just text, as HTTP/0.9 had it"},
    {"/rubbish", "\x01\x02\x03\r\n\r\n\r\n"},
    {"/no-status", "HTTP/1.1\r\n\r\n"},
    {"/status-99", "HTTP/1.1 99 X\r\n\r\n"},
    {"/http-1.0", "HTTP/1.0 200 OK\r\n\r\nwhole"},
    {"/not-gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"},
    {"/brotli", "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello"},
    {"/bare-newlines", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
    {"/no-colon", "HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 2\r\n\r\nok"},
    {"/switches", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
    {"/latin", "HTTP/1.1 200 OK\r\nX: caf\xe9\r\nContent-Length: 0\r\n\r\n"},
    {"/informs", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hint\r\nX: no\r\n\r\nHTTP/1.1 200 OK\r\nY: "
                 "yes\r\nContent-Length: 2\r\n\r\nok"},
    {"/trailers",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHTTP/1.1 500 no\r\nT: u\r\n\r\n"},
};

static bool redirects(int fd, const struct server_request *r) {
    int status = 302;
    char to[512];
    if (sscanf(r->path, "/redirect/%d/%511s", &status, to) != 2)
        return false;
    for (char *p = to; *p; p++)
        *p = *p == '@' ? '/' : *p;
    return server_printf(fd, "HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nmove", status, to);
}

static bool show_request(int fd, const struct server_request *r) {
    size_t n = strlen(r->method) + 1 + strlen(r->head) + r->body_n;
    return server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s\n%s%s", n, r->method, r->head,
                         r->body);
}

static bool misbehave(int fd, const struct server_request *r, void *user) {
    (void)user;
    for (size_t i = 0; i < COUNT(SCRIPTS); i++)
        if (strcmp(r->path, SCRIPTS[i].path) == 0)
            return server_puts(fd, SCRIPTS[i].text) && false;
    static const struct {
        const char *path;
        bool (*act)(int fd);
    } acts[] = {
        {"/never", never},       {"/slow", slowly},         {"/endless", endlessly},
        {"/many", many_headers}, {"/long", endless_header}, {"/informational", many_informational},
        {"/bomb", bomb},
    };
    for (size_t i = 0; i < COUNT(acts); i++)
        if (strcmp(r->path, acts[i].path) == 0)
            return acts[i].act(fd);
    if (strcmp(r->path, "/gzip") == 0)
        return packed(fd, "gzip", 15 + 16);
    if (strcmp(r->path, "/deflate") == 0)
        return packed(fd, "deflate", 15);
    if (strcmp(r->path, "/fat-redirect") == 0)
        return server_puts(fd, "HTTP/1.1 302 Found\r\nLocation: /show\r\n\r\n") && endlessly(fd);
    if (strncmp(r->path, "/redirect/", 10) == 0)
        return redirects(fd, r);
    return show_request(fd, r);
}

static int set_up(void **state) {
    (void)state;
    server = server_start(misbehave, NULL);
    second = server_start(misbehave, NULL);
    snprintf(host, sizeof host, "127.0.0.1:%u", server_port(server));
    snprintf(other, sizeof other, "127.0.0.1:%u", server_port(second));
    return http_client_new(peer_folder(), &client, NULL);
}

static int tear_down(void **state) {
    (void)state;
    http_client_free(client);
    server_stop(server);
    server_stop(second);
    return 0;
}

static int open_peer(void **state) {
    (void)state;
    peer_init(&peer, hosts);
    peer.options.limits.response = 10 * 1000 * 1000;
    peer_open(&peer, client);
    return 0;
}

static int close_peer(void **state) {
    (void)state;
    peer_close(&peer);
    return 0;
}

static struct told *get(uint32_t op, const char *path) {
    char url[1024];
    snprintf(url, sizeof url, "http://%s%s", host, path);
    return peer_get(&peer, op, url);
}

static void explains_bad_responses(void **state) {
    (void)state;
    static const struct {
        const char *path, *kind, *says;
    } rows[] = {
        {"/closes-at-once", "closed", "before the response was there"},
        {"/closes-in-head", "closed", "before the response was there"},
        {"/closes-midway", "closed", "wrong length"},
        {"/closes-in-chunk", "closed", "before the response was whole"},
        {"/bad-length", "protocol", "isn't HTTP"},
        {"/two-lengths", "protocol", "announced two lengths"},
        {"/bad-chunk", "closed", "closed the connection"},
        {"/old", "protocol", "HTTP/0.9"},
        {"/rubbish", "protocol", "isn't HTTP"},
        {"/not-gzip", "protocol", "isn't compressed as"},
        {"/brotli", "protocol", "isn't compressed as"},
        {"/many", "too_large", "more than 1000 headers"},
        {"/long", "too_large", "larger than 100 KB"},
        {"/informational", "too_large", "max_header_size"},
        {"/endless", "too_large", "10000000 bytes (raise max_response_size"},
        {"/bomb", "too_large", "10000000 bytes (raise max_response_size"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct told *told = get((uint32_t)i + 1, rows[i].path);
        if (!strstr(told->header, rows[i].says))
            print_error("%s: ", rows[i].path);
        assert_failed(told, rows[i].kind, rows[i].says);
        assert_contains(told->header, "\"type\":\"http_error\"");
        assert_int_equal(told->body_n, 0);
    }
    assert_int_equal(peer.records_n, COUNT(rows));
}

static void takes_odd_but_whole_responses(void **state) {
    (void)state;
    static const struct {
        const char *path, *body, *header;
    } rows[] = {
        {"/http-1.0", "whole", "\"version\":\"1.0\""},
        {"/too-long", "abc", "\"status\":200"}, /* the rest isn't anybody's: the connection is dropped */
        {"/bare-newlines", "ok", "Content-Length"},
        {"/latin", "", "caf\xc3\xa9"},
        {"/informs", "ok", "\"headers\":[[\"Y\",\"yes\"],"},
        {"/trailers", "ok", "\"status\":200"},
        {"/gzip", "unpacked text", "\"headers\":[[\"X\",\"y\"]]"},
        {"/deflate", "unpacked text", "\"headers\":[[\"X\",\"y\"]]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct told *told = get((uint32_t)i + 1, rows[i].path);
        assert_ok(told);
        assert_string_equal(told->body, rows[i].body);
        assert_contains(told->header, rows[i].header);
    }
}

/* libcurl decides; it mustn't hang, crash or be taken for more than it is. */
static void survives_the_rest(void **state) {
    (void)state;
    static const char *const paths[] = {"/no-status", "/status-99", "/no-colon", "/switches"};
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_contains(get((uint32_t)i + 1, paths[i])->header, "\"ok\":");
    assert_ok(get(100, "/show"));
}

static void stops_in_time(void **state) {
    (void)state;
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"/never", "took longer than its 150 ms: it was waiting for a response"},
        {"/slow", "took longer than its 150 ms: it was receiving the response"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t before = clock_monotonic_ns();
        struct told *told = peer_ask(&peer, (uint32_t)i + 1,
                                     "{'op':'http.request','method':'GET','url':'http://%s%s','timeout_ms':150}",
                                     host, rows[i].path);
        assert_failed(told, "timeout", rows[i].says);
        assert_true(clock_monotonic_ns() - before >= 150 * NS_PER_MS);
    }
}

static void counts_waiting_as_time(void **state) {
    (void)state;
    static struct peer narrow;
    peer_init(&narrow, hosts);
    narrow.options.limits.requests = 1;
    peer_open(&narrow, client);
    char json[256];
    snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'http://%s/never'}", host);
    peer_submit(&narrow, 1, json, "", 0);
    struct told *told =
        peer_ask(&narrow, 2, "{'op':'http.request','method':'GET','url':'http://%s/','timeout_ms':50}", host);
    assert_failed(told, "timeout", "waiting for its turn");
    http_cancel(narrow.session, 1);
    assert_failed(peer_wait(&narrow, 1), "cancelled", "cancelled");
    assert_ok(peer_ask(&narrow, 3, "{'op':'http.request','method':'GET','url':'http://%s/'}", host));
    peer_close(&narrow);
}

static void keeps_to_the_budget(void **state) {
    (void)state;
    static struct peer poor;
    peer_init(&poor, hosts);
    poor.options.limits.total = 100 * 1000;
    peer_open(&poor, client);
    char url[128];
    snprintf(url, sizeof url, "http://%s/endless", host);
    assert_failed(peer_get(&poor, 1, url), "limit", "more than 100000 bytes (raise max_total_bytes");
    snprintf(url, sizeof url, "http://%s/show", host);
    assert_failed(peer_get(&poor, 2, url), "limit", "max_total_bytes");
    peer_close(&poor);
}

/* Bodies that wait for their turn count as well: a task can't fill the host's memory with them. */
static void keeps_to_the_budget_in_the_queue(void **state) {
    (void)state;
    static struct peer poor;
    peer_init(&poor, hosts);
    poor.options.limits.requests = 1;
    poor.options.limits.total = 1000 * 1000;
    peer_open(&poor, client);
    static char body[100 * 1000];
    char json[256];
    snprintf(json, sizeof json, "{'op':'http.request','method':'POST','url':'http://%s/never'}", host);
    memset(body, 'x', sizeof body);
    for (uint32_t op = 1; op <= 10; op++)
        peer_submit(&poor, op, json, body, sizeof body);
    peer_submit(&poor, 11, json, body, sizeof body);
    assert_failed(peer_wait(&poor, 11), "limit", "max_total_bytes");
    assert_false(peer_is_done(&poor, 10));
    peer_close(&poor);
}

static void limits_headers_by_size(void **state) {
    (void)state;
    static struct peer narrow;
    peer_init(&narrow, hosts);
    narrow.options.limits.headers = 500;
    peer_open(&narrow, client);
    char url[128];
    snprintf(url, sizeof url, "http://%s/many", host);
    assert_failed(peer_get(&narrow, 1, url), "too_large", "more than 500 bytes (raise max_header_size");
    peer_close(&narrow);
}

/* '@' in paths stands for '/'. */
static struct told *follow(uint32_t op, const char *method, int status, const char *to, const char *fields,
                           const char *body) {
    char json[2048], place[512];
    snprintf(place, sizeof place, "%s", to);
    for (char *p = place; *p; p++)
        *p = *p == '/' ? '@' : *p;
    snprintf(json, sizeof json, "{'op':'http.request','method':'%s','url':'http://%s/redirect/%d/%s'%s}", method,
             host, status, place, fields);
    peer_submit(&peer, op, json, body, strlen(body));
    return peer_wait(&peer, op);
}

static void follows_redirects_as_fetch_does(void **state) {
    (void)state;
    static const struct {
        const char *method;
        int status;
        const char *then; /* the method of the second request */
        bool body;
    } rows[] = {
        {"GET", 301, "GET", false},  {"POST", 301, "GET", false}, {"PUT", 301, "PUT", true},
        {"GET", 302, "GET", false},  {"POST", 302, "GET", false}, {"DELETE", 302, "DELETE", false},
        {"POST", 303, "GET", false}, {"PUT", 303, "GET", false},  {"HEAD", 303, "HEAD", false},
        {"GET", 307, "GET", false},  {"POST", 307, "POST", true}, {"PATCH", 308, "PATCH", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool has_body = rows[i].method[0] == 'P';
        struct told *told = follow((uint32_t)i + 1, rows[i].method, rows[i].status, "/show",
                                   has_body ? ",'headers':[['Content-Type','text/x'],['X-A','b']]" : "",
                                   has_body ? "the body" : "");
        assert_ok(told);
        assert_contains(told->header, "\"redirected\":true");
        assert_contains(told->header, "/show\"");
        if (strcmp(rows[i].then, "HEAD") == 0)
            continue;
        assert_memory_equal(told->body, rows[i].then, strlen(rows[i].then));
        assert_int_equal(strstr(told->body, "the body") != NULL, rows[i].body);
        assert_int_equal(strstr(told->body, "Content-Type") != NULL, rows[i].body);
        assert_int_equal(strstr(told->body, "X-A: b") != NULL, has_body);
    }
    char record[256];
    snprintf(record, sizeof record, "GET http://%s/redirect/301/@show 301", host);
    assert_recorded(&peer, 0, record);
    snprintf(record, sizeof record, "GET http://%s/show 200", host);
    assert_recorded(&peer, 1, record);
}

static void gives_redirects_on_request(void **state) {
    (void)state;
    struct told *told = follow(1, "GET", 302, "/show", ",'redirects':0", "");
    assert_int_equal(told_status(told), 302);
    assert_string_equal(told->body, "move");
    assert_contains(told->header, "\"redirected\":false");
    told = follow(2, "GET", 304, "/show", "", ""); /* no redirect, whatever Location says */
    assert_int_equal(told_status(told), 304);
    assert_ok(get(3, "/fat-redirect")); /* its endless body isn't waited for */
}

static void stops_bad_redirects(void **state) {
    (void)state;
    char circle[256];
    snprintf(circle, sizeof circle, "http://%s/redirect/302/", host);
    static const struct {
        const char *to, *kind, *says;
    } rows[] = {
        {"ftp://a.test/", "redirect", "neither http nor https"},
        {"http://10.0.0.1/", "policy", "10.0.0.1"},
        {"http://169.254.169.254/latest", "policy", "169.254.169.254"},
        {"http://0x7f.1:1/", "policy", "127.0.0.1:1"},
        {"//elsewhere.test/", "policy", "elsewhere.test"},
        {"http://[::1]/", "policy", "[::1]"},
        {"http://a:0/", "redirect", "port"},
        {"http://\xc3\xbc.test/", "redirect", "ASCII"},
        {"javascript:x", "redirect", "can't be used"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_failed(follow((uint32_t)i + 1, "GET", 302, rows[i].to, "", ""), rows[i].kind, rows[i].says);
}

static bool in_a_circle(int fd, const struct server_request *r, void *user) {
    (void)r;
    (void)user;
    return server_puts(fd, "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
}

static void stops_circles(void **state) {
    (void)state;
    struct server *circle = server_start(in_a_circle, NULL);
    static struct peer w;
    char entry[64], url[128];
    char *list[] = {entry, NULL};
    snprintf(entry, sizeof entry, "127.0.0.1:%u", server_port(circle));
    snprintf(url, sizeof url, "http://%s/", entry);
    peer_init(&w, list);
    peer_open(&w, client);
    assert_failed(peer_get(&w, 1, url), "redirect", "after 10 redirects");
    assert_int_equal(server_requests(circle), 11);
    assert_int_equal(w.records_n, 11);
    assert_failed(peer_ask(&w, 2, "{'op':'http.request','method':'GET','url':'%s','redirects':2}", url),
                  "redirect", "after 2 redirects");
    assert_int_equal(server_requests(circle), 14);
    peer_close(&w);
    server_stop(circle);
}

static void drops_credentials_for_other_origins(void **state) {
    (void)state;
    char to[128];
    static const char headers[] = ",'headers':[['Authorization','let me'],['cookie','c=1'],['X-Plain','stays']]";
    snprintf(to, sizeof to, "http://%s/show", other);
    struct told *told = follow(1, "GET", 302, to, headers, "");
    assert_contains(told->body, "X-Plain: stays");
    assert_null(strstr(told->body, "let me"));
    assert_null(strstr(told->body, "c=1"));
    told = follow(2, "GET", 302, "/show", headers, "");
    assert_contains(told->body, "let me");
    assert_contains(told->body, "c=1");
    assert_contains(told->body, "X-Plain: stays");
    snprintf(to, sizeof to, "http://user:pw@%s/show", other);
    told = follow(3, "GET", 302, "/show", "", "");
    assert_null(strstr(told->body, "Authorization"));
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, open_peer, close_peer)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PEER(explains_bad_responses),
        WITH_PEER(takes_odd_but_whole_responses),
        WITH_PEER(survives_the_rest),
        WITH_PEER(stops_in_time),
        cmocka_unit_test(counts_waiting_as_time),
        cmocka_unit_test(keeps_to_the_budget),
        cmocka_unit_test(keeps_to_the_budget_in_the_queue),
        cmocka_unit_test(limits_headers_by_size),
        WITH_PEER(follows_redirects_as_fetch_does),
        WITH_PEER(gives_redirects_on_request),
        WITH_PEER(stops_bad_redirects),
        cmocka_unit_test(stops_circles),
        WITH_PEER(drops_credentials_for_other_origins),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
