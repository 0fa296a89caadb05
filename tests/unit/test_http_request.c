/* HTTP requests as guests make them, against a real server: what reaches the wire, what's refused before it, and what's answered. */
#include "unit.h"

#include "http_peer.h"
#include "http_server.h"
#include <stdlib.h>
#include <unistd.h>

static struct server *server;
static struct http_client *client;
static char host[64];
static char *hosts[] = {host, NULL};
static struct peer peer;

/* "METHOD PATH\n", each header as it came, an empty line, the body. */
static bool echo(int fd, const struct server_request *r, void *user) {
    (void)user;
    char text[16384];
    int n = snprintf(text, sizeof text, "%s %s\n%s\n", r->method, r->path, r->head);
    bool head = strcmp(r->method, "HEAD") == 0;
    return server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Twice: a\r\nx-twice: b\r\n\r\n",
                         (size_t)n + r->body_n) &&
           (head || (server_send(fd, text, (size_t)n) && server_send(fd, r->body, r->body_n)));
}

static int set_up(void **state) {
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* nothing of this may be used */
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    server = server_start(echo, NULL);
    snprintf(host, sizeof host, "127.0.0.1:%u", server_port(server));
    return http_client_new(peer_folder(), &client, NULL);
}

static int tear_down(void **state) {
    (void)state;
    http_client_free(client);
    server_stop(server);
    return 0;
}

static int open_peer(void **state) {
    (void)state;
    peer_init(&peer, hosts);
    peer_open(&peer, client);
    return 0;
}

static int close_peer(void **state) {
    (void)state;
    peer_close(&peer);
    return 0;
}

static struct told *send_body(uint32_t op, const char *method, const char *headers, const char *body, size_t n) {
    char json[2048];
    snprintf(json, sizeof json, "{'op':'http.request','method':'%s','url':'http://%s/p?q=1','headers':[%s]}",
             method, host, headers);
    peer_submit(&peer, op, json, body, n);
    return peer_wait(&peer, op);
}

static void sends_what_was_asked(void **state) {
    (void)state;
    struct told *told = send_body(1, "GET", "['X-A','1'],['X-Empty',''],['x-a','2'],['X-Latin','\\u00e9']", "", 0);
    assert_ok(told);
    assert_contains(told->body, "GET /p?q=1\n");
    assert_contains(told->body, "X-A: 1\r\n");
    assert_contains(told->body, "x-a: 2\r\n");
    assert_contains(told->body, "X-Empty:");
    assert_contains(told->body, "X-Latin: \xc3\xa9\r\n");
    assert_contains(told->body, "User-Agent: capsule/");
    assert_contains(told->body, "Accept-Encoding: gzip, deflate\r\n");
    assert_contains(told->body, "Accept: */*\r\n");
    assert_contains(told->body, host);
    assert_contains(told->header, "[\"X-Twice\",\"a\"],[\"x-twice\",\"b\"]");
    assert_contains(told->header, "\"version\":\"1.1\"");
    assert_contains(told->header, "\"redirected\":false");
    char record[128];
    snprintf(record, sizeof record, "GET http://%s/p?q=*** 200", host);
    assert_recorded(&peer, 0, record);
}

static void lets_own_headers_win(void **state) {
    (void)state;
    struct told *told =
        send_body(1, "GET", "['User-Agent','me'],['Accept','text/x'],['Accept-Encoding','identity']", "", 0);
    assert_contains(told->body, "User-Agent: me\r\n");
    assert_contains(told->body, "Accept: text/x\r\n");
    assert_contains(told->body, "Accept-Encoding: identity\r\n");
    assert_null(strstr(told->body, "capsule/"));
    assert_null(strstr(told->body, "gzip"));
}

static void sends_bodies(void **state) {
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS", "REPORT"};
    static const char body[] = "a\0b\r\n\xff";
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct told *told = send_body((uint32_t)i + 1, methods[i], "['Content-Length','6']", body, 6);
        assert_ok(told);
        assert_memory_equal(told->body, methods[i], strlen(methods[i]));
        assert_contains(told->body, "Content-Length: 6\r\n");
        assert_null(strstr(told->body, "Content-Type"));
        assert_null(strstr(told->body, "Expect"));
        assert_memory_equal(told->body + told->body_n - 6, body, 6);
    }
    struct told *told = send_body(20, "POST", "['Content-Type','text/x']", "", 0);
    assert_contains(told->body, "Content-Length: 0\r\n");
    assert_contains(told->body, "Content-Type: text/x\r\n");
    told = send_body(21, "DELETE", "", "", 0);
    assert_contains(told->body, "DELETE /p");
    assert_null(strstr(told->body, "Content-Length"));
    told = send_body(22, "HEAD", "", "", 0);
    assert_ok(told);
    assert_int_equal(told->body_n, 0);
    assert_contains(told->header, "Content-Length");
    size_t n = 500 * 1000;
    char *large = calloc(1, n);
    told = send_body(23, "POST", "", large, n); /* more than libcurl would send without asking first */
    assert_null(strstr(told->body, "Expect"));
    assert_true(told->body_n > n);
    free(large);
}

static const struct {
    const char *fields, *kind, *says; /* after 'op' and a good URL, which they may repeat */
} BAD[] = {
    {"'method':'CONNECT'", "method", "CONNECT"},
    {"'method':'TRACE'", "method", "TRACE"},
    {"'method':'trace'", "method", "trace"},
    {"'method':''", "method", "isn't a method"},
    {"'method':'GET /x HTTP/1.1\\r\\nA: b\\r\\n'", "method", "isn't a method"},
    {"'method':'GE T'", "method", "isn't a method"},
    {"'method':'G\\u0000'", "method", "isn't a method"},
    {"'method':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'", "method", "isn't a method"},
    {"'method':7", "method", "isn't a method"},
    {"'method':'GET','headers':{'a':'b'}", "header", "list of pairs"},
    {"'method':'GET','headers':['a']", "header", "pair"},
    {"'method':'GET','headers':[['a']]", "header", "pair"},
    {"'method':'GET','headers':[['a','b','c']]", "header", "pair"},
    {"'method':'GET','headers':[['a',1]]", "header", "pair"},
    {"'method':'GET','headers':[['','b']]", "header", "name of a header"},
    {"'method':'GET','headers':[['a b','b']]", "header", "name of a header"},
    {"'method':'GET','headers':[['a:','b']]", "header", "name of a header"},
    {"'method':'GET','headers':[['a\\r\\nb','b']]", "header", "name of a header"},
    {"'method':'GET','headers':[['a\\u0000','b']]", "header", "name of a header"},
    {"'method':'GET','headers':[['\\u00e9','b']]", "header", "name of a header"},
    {"'method':'GET','headers':[['a','b\\r\\nHost: evil']]", "header", "control character"},
    {"'method':'GET','headers':[['a','b\\nHost: evil']]", "header", "control character"},
    {"'method':'GET','headers':[['a','b\\u0000']]", "header", "control character"},
    {"'method':'GET','headers':[['a','b\\u007f']]", "header", "control character"},
    {"'method':'GET','headers':[['Host','evil']]", "header", "Host can't be set"},
    {"'method':'GET','headers':[['hOsT','evil']]", "header", "can't be set"},
    {"'method':'GET','headers':[['Connection','close']]", "header", "can't be set"},
    {"'method':'GET','headers':[['Keep-Alive','1']]", "header", "can't be set"},
    {"'method':'POST','headers':[['Transfer-Encoding','chunked']]", "header", "can't be set"},
    {"'method':'GET','headers':[['TE','trailers']]", "header", "can't be set"},
    {"'method':'GET','headers':[['Trailer','x']]", "header", "can't be set"},
    {"'method':'GET','headers':[['Upgrade','websocket']]", "header", "can't be set"},
    {"'method':'GET','headers':[['HTTP2-Settings','x']]", "header", "can't be set"},
    {"'method':'POST','headers':[['Expect','100-continue']]", "header", "can't be set"},
    {"'method':'GET','headers':[['Proxy-Authorization','x']]", "header", "can't be set"},
    {"'method':'GET','headers':[['Proxy-Connection','x']]", "header", "can't be set"},
    {"'method':'POST','headers':[['Content-Length','1']]", "header", "Content-Length"},
    {"'method':'POST','headers':[['Content-Length','0x0']]", "header", "Content-Length"},
    {"'method':'POST','upload':true,'headers':[['Content-Length','5']]", "header", "Content-Length"},
    {"'method':'POST','upload':true,'length':4,'headers':[['Content-Length','5']]", "header", "Content-Length"},
    {"'method':'POST','upload':true,'length':-1", "length", "number of bytes"},
    {"'method':'POST','upload':true,'length':18446744073709551615", "length", "number of bytes"},
    {"'method':'HEAD','upload':true", "method", "HEAD"},
    {"'method':'GET','redirects':11", "redirect", "0 to 10"},
    {"'method':'GET','redirects':-1", "redirect", "0 to 10"},
    {"'method':'GET','redirects':'1'", "redirect", "0 to 10"},
    {"'method':'GET','timeout_ms':0", "timeout", "above 0"},
    {"'method':'GET','timeout_ms':-5", "timeout", "above 0"},
    {"'method':'GET','timeout_ms':1.5", "timeout", "above 0"},
};

static void refuses_bad_requests(void **state) {
    (void)state;
    int before = server_requests(server);
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct told *told =
            peer_ask(&peer, (uint32_t)i + 1, "{'op':'http.request','url':'http://%s/',%s}", host, BAD[i].fields);
        assert_failed(told, BAD[i].kind, BAD[i].says);
        assert_contains(told->header, "\"type\":\"bad_input\"");
    }
    assert_int_equal(server_requests(server), before);
    assert_int_equal(peer.records_n, 0);
}

static void refuses_bad_urls(void **state) {
    (void)state;
    assert_failed(peer_get(&peer, 1, "ftp://a.test/"), "url", "neither http nor https");
    assert_failed(peer_get(&peer, 2, "http://a.test/\\r\\nX: y"), "url", "control character");
    assert_failed(peer_get(&peer, 3, "http://user:hunter2@b\\u00fc.test/"), "url", "xn--");
    assert_null(strstr(peer.told[3].header, "hunter2"));
    assert_failed(peer_ask(&peer, 4, "{'op':'http.request','method':'GET','url':'http://a/\\u0000'}"), "url",
                  "NUL");
    assert_failed(peer_ask(&peer, 5, "{'op':'http.request','method':'GET'}"), "url", "isn't a text");
    assert_failed(peer_ask(&peer, 6, "{'op':'http.other'}"), "internal", "no operation");
    assert_failed(peer_ask(&peer, 7, "{'op':'http.read','max':1}"), "closed", "which request");
    assert_failed(peer_ask(&peer, 8, "{'op':'http.read','max':1,'request':99}"), "closed", "isn't open");
    assert_failed(peer_ask(&peer, 9, "{'op':'http.write','request':99}"), "closed", "isn't open");
    assert_ok(peer_ask(&peer, 10, "{'op':'http.close','request':99}"));
}

static void makes_userinfo_a_header(void **state) {
    (void)state;
    char url[256];
    snprintf(url, sizeof url, "http://user:p%%40ss@%s/x", host);
    struct told *told = peer_get(&peer, 1, url);
    assert_contains(told->body, "Authorization: Basic dXNlcjpwQHNz\r\n");
    assert_null(strstr(told->header, "user"));
    snprintf(url, sizeof url, "GET http://***@%s/x 200", host);
    assert_recorded(&peer, 0, url);
    told = peer_ask(
        &peer, 2, "{'op':'http.request','method':'GET','url':'http://u:p@%s/','headers':[['authorization','x']]}",
        host);
    assert_contains(told->body, "authorization: x\r\n");
    assert_null(strstr(told->body, "Basic"));
}

static void applies_egress_rules(void **state) {
    (void)state;
    int before = server_requests(server);
    char url[256];
    unsigned port = server_port(server);
    assert_failed(peer_get(&peer, 1, "http://other.test/"), "policy", "other.test:80 isn't allowed");
    snprintf(url, sizeof url, "http://127.0.0.2:%u/", port);
    assert_failed(peer_get(&peer, 2, url), "policy", "127.0.0.2");
    snprintf(url, sizeof url, "http://%s@other.test/", host);
    assert_failed(peer_get(&peer, 3, url), "policy", "other.test");
    assert_int_equal(peer.records_n, 0); /* nothing left the machine */

    /* Without a list: public addresses only, also where a name leads to one that isn't. */
    static struct peer unlisted;
    peer_init(&unlisted, NULL);
    peer_open(&unlisted, client);
    snprintf(url, sizeof url, "http://%s/", host);
    assert_failed(peer_get(&unlisted, 1, url), "policy", "it's a loopback address");
    snprintf(url, sizeof url, "http://localhost:%u/", port);
    assert_failed(peer_get(&unlisted, 2, url), "policy", "a loopback address");
    assert_contains(unlisted.told[2].header, "leads to");
    assert_contains(unlisted.told[2].header, "among its allowed hosts");
    assert_contains(unlisted.told[2].header, "\"type\":\"policy\"");
    snprintf(url, sizeof url, "GET http://localhost:%u/ 0", port);
    assert_recorded(&unlisted, 0, url);
    peer_close(&unlisted);
    assert_int_equal(server_requests(server), before);
}

static void allows_by_name_with_port(void **state) {
    (void)state;
    char entry[64], url[128];
    char *list[] = {entry, NULL};
    snprintf(entry, sizeof entry, "localhost:%u", server_port(server));
    snprintf(url, sizeof url, "http://localhost:%u/", server_port(server));
    static struct peer named, bare;
    peer_init(&named, list);
    peer_open(&named, client);
    assert_ok(peer_get(&named, 1, url));
    peer_close(&named);

    char *without_port[] = {"localhost", NULL};
    peer_init(&bare, without_port);
    peer_open(&bare, client);
    assert_failed(peer_get(&bare, 1, url), "policy", "a loopback address");
    peer_close(&bare);
}

/* The connection is there already, opened for a session that may: another one that may not gains nothing. */
static void checks_kept_connections_too(void **state) {
    (void)state;
    char entry[64], url[128], pattern[] = "*.localhost";
    char *list[] = {entry, NULL}, *patterns[] = {pattern, NULL};
    snprintf(entry, sizeof entry, "a.localhost:%u", server_port(server));
    snprintf(url, sizeof url, "http://a.localhost:%u/", server_port(server));
    static struct peer may, may_not;
    peer_init(&may, list);
    peer_open(&may, client);
    peer_init(&may_not, patterns);
    peer_open(&may_not, client);
    int connections = server_connections(server);
    assert_ok(peer_get(&may, 1, url));
    assert_ok(peer_get(&may, 2, url));
    assert_int_equal(server_connections(server), connections + 1);
    int requests = server_requests(server);
    assert_failed(peer_get(&may_not, 1, url), "policy", "a loopback address");
    assert_int_equal(server_requests(server), requests);
    assert_int_equal(server_connections(server), connections + 1);
    assert_ok(peer_get(&may, 3, url));
    peer_close(&may);
    peer_close(&may_not);
}

static void shares_connections_between_sessions(void **state) {
    (void)state;
    static struct peer second;
    char url[128];
    snprintf(url, sizeof url, "http://%s/", host);
    peer_init(&second, hosts);
    peer_open(&second, client);
    assert_ok(peer_get(&peer, 1, url));
    int connections = server_connections(server);
    for (uint32_t i = 2; i < 20; i++)
        assert_ok(peer_get(i % 2 ? &peer : &second, i, url));
    assert_int_equal(server_connections(server), connections);
    peer_close(&second);
}

static void explains_failures_to_connect(void **state) {
    (void)state;
    char *list[] = {"127.0.0.1:1", "nowhere.invalid", NULL};
    static struct peer w;
    peer_init(&w, list);
    peer_open(&w, client);
    assert_failed(peer_get(&w, 1, "http://127.0.0.1:1/"), "connect", "127.0.0.1:1: Connection refused");
    assert_failed(peer_get(&w, 2, "http://nowhere.invalid/"), "dns", "nowhere.invalid");
    assert_recorded(&w, 0, "GET http://127.0.0.1:1/ 0");
    peer_close(&w);
}

static void speak_plainly(int fd, void *user) {
    (void)user;
    server_puts(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void needs_certificates_for_tls(void **state) {
    (void)state;
    struct http_client *other;
    static struct peer w;
    char *list[] = {host, NULL};
    char url[128];
    setenv("SSL_CERT_FILE", "/nonexistent/ca.pem", 1);
    assert_int_equal(http_client_new(peer_folder(), &other, NULL), 0);
    peer_init(&w, list);
    peer_open(&w, other);
    snprintf(url, sizeof url, "https://%s/", host);
    assert_failed(peer_get(&w, 1, url), "tls", "/nonexistent/ca.pem can't be read");
    peer_close(&w);
    http_client_free(other);
    unsetenv("SSL_CERT_FILE");
    /* The machine's own are found where it has some; what speaks plain HTTP isn't taken for TLS. */
    struct server *plain = server_start_raw(speak_plainly, NULL);
    char *plain_hosts[] = {url, NULL};
    snprintf(url, sizeof url, "127.0.0.1:%u", server_port(plain));
    peer_init(&w, plain_hosts);
    peer_open(&w, client);
    assert_failed(peer_ask(&w, 1, "{'op':'http.request','method':'GET','url':'https://%s/'}", url), "tls",
                  access("/etc/ssl/certs/ca-certificates.crt", R_OK) ? "certificates" : "no secure connection");
    peer_close(&w);
    server_stop(plain);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, open_peer, close_peer)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PEER(sends_what_was_asked),
        WITH_PEER(lets_own_headers_win),
        WITH_PEER(sends_bodies),
        WITH_PEER(refuses_bad_requests),
        WITH_PEER(refuses_bad_urls),
        WITH_PEER(makes_userinfo_a_header),
        WITH_PEER(applies_egress_rules),
        cmocka_unit_test(allows_by_name_with_port),
        cmocka_unit_test(checks_kept_connections_too),
        WITH_PEER(shares_connections_between_sessions),
        cmocka_unit_test(explains_failures_to_connect),
        WITH_PEER(needs_certificates_for_tls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
