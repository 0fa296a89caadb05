/* Secrets: they go to their hosts alone, and no guest sees them again. */
#include "unit.h"

#include "http_peer.h"
#include "http_server.h"
#include "net/http_internal.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN "capsule-secret-0123456789abcdef"
#define VALUE "sk-REAL-VALUE-42"

static struct server *server, *second;
static struct http_client *client;
static char host[64], other[64], by_name[64];
static char *hosts[] = {host, other, by_name, NULL}, *secret_hosts[] = {host, by_name};
static struct http_secret secrets[] = {
    {.name = "KEY", .token = TOKEN, .value = VALUE, .hosts = secret_hosts, .hosts_n = 2},
    {.name = "NEVER", .token = "capsule-secret-never", .value = "a\nb", .hosts = secret_hosts, .hosts_n = 2},
    {.name = "EMPTY", .token = "capsule-secret-empty", .value = "", .hosts = secret_hosts, .hosts_n = 2},
};
static struct peer peer;
static char seen[4096]; /* the Authorization header of the last request */

static bool echo(int fd, const struct server_request *r, void *user) {
    (void)user;
    char sent[2048];
    server_header(r, "Authorization", sent, sizeof sent);
    snprintf(seen, sizeof seen, "%s", sent);
    if (strcmp(r->path, "/away") == 0)
        return server_printf(fd, "HTTP/1.1 302 Found\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n", other);
    if (strcmp(r->path, "/near") == 0)
        return server_printf(fd, "HTTP/1.1 302 Found\r\nLocation: /?%s#%s\r\nContent-Length: 0\r\n\r\n", sent,
                             sent);
    if (strcmp(r->path, "/path") == 0)
        return server_printf(fd, "HTTP/1.1 302 Found\r\nLocation: /%s\r\nContent-Length: 0\r\n\r\n", VALUE);
    if (strcmp(r->path, "/bytes") == 0) { /* a byte in each segment */
        bool alive = server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(sent));
        for (size_t i = 0; alive && sent[i]; i++) {
            alive = server_send(fd, sent + i, 1);
            usleep(300);
        }
        return alive;
    }
    return server_printf(fd, "HTTP/1.1 200 OK\r\nX-Echo: <%s>\r\nContent-Length: %zu\r\n\r\n%s", sent,
                         strlen(sent), sent);
}

static int set_up(void **state) {
    (void)state;
    server = server_start(echo, NULL);
    second = server_start(echo, NULL);
    snprintf(host, sizeof host, "127.0.0.1:%u", server_port(server));
    snprintf(by_name, sizeof by_name, "localhost:%u", server_port(server));
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
    peer.options.secrets = secrets;
    peer.options.secrets_n = COUNT(secrets);
    peer_open(&peer, client);
    seen[0] = '\0';
    return 0;
}

static int close_peer(void **state) {
    (void)state;
    for (int i = 0; i < peer.records_n; i++)
        assert_null(strstr(peer.records[i], VALUE));
    for (size_t i = 0; i < PEER_OPS; i++)
        if (peer.told[i].done) {
            assert_null(strstr(peer.told[i].header, VALUE));
            assert_null(strstr(peer.told[i].body, VALUE));
        }
    peer_close(&peer);
    return 0;
}

static struct told *ask(uint32_t op, const char *where, const char *path, const char *authorization) {
    return peer_ask(&peer, op,
                    "{'op':'http.request','method':'GET','url':'http://%s%s','headers':[['Authorization','%s']]}",
                    where, path, authorization);
}

static void reveals_to_its_hosts(void **state) {
    (void)state;
    struct told *told = ask(1, host, "/", "Bearer " TOKEN);
    assert_ok(told);
    assert_string_equal(seen, "Bearer " VALUE);
    assert_string_equal(told->body, "Bearer ****************");
    assert_contains(told->header, "<Bearer ****************>");
    assert_ok(ask(2, by_name, "/", TOKEN TOKEN "," TOKEN "."));
    assert_string_equal(seen, VALUE VALUE "," VALUE ".");
    assert_ok(ask(3, host, "/", "x capsule-secret-empty y"));
    assert_string_equal(seen, "x  y");
}

static void refuses_other_hosts(void **state) {
    (void)state;
    int before = server_requests(second);
    struct told *told = ask(1, other, "/", "Bearer " TOKEN);
    assert_failed(told, "policy", "the secret KEY isn't meant for 127.0.0.1");
    assert_contains(told->header, "nothing was sent");
    assert_int_equal(server_requests(second), before);
    assert_string_equal(seen, "");
    assert_failed(ask(2, host, "/", "capsule-secret-never"), "header", "NEVER has a line break");
}

static void leaves_tokens_elsewhere_alone(void **state) {
    (void)state;
    char json[512];
    snprintf(json, sizeof json, "{'op':'http.request','method':'POST','url':'http://%s/?" TOKEN "'}", host);
    peer_submit(&peer, 1, json, TOKEN, strlen(TOKEN));
    assert_ok(peer_wait(&peer, 1));
    assert_null(strstr(seen, VALUE));
}

static void doesnt_follow_redirects(void **state) {
    (void)state;
    struct told *told = ask(1, host, "/away", "Bearer " TOKEN);
    assert_ok(told);
    assert_string_equal(seen, "");
    assert_string_equal(told->body, "");
    /* The same origin gets it again, and what it says of it is hidden everywhere. */
    told = ask(2, host, "/near", TOKEN);
    assert_ok(told);
    assert_string_equal(seen, VALUE);
    told = ask(3, host, "/path", TOKEN);
    assert_contains(told->header, "/****************\"");
    /* A header of another name that carried it is dropped, too. */
    told = peer_ask(
        &peer, 4, "{'op':'http.request','method':'GET','url':'http://%s/away','headers':[['X-Key','" TOKEN "']]}",
        host);
    assert_ok(told);
}

static void hides_it_byte_by_byte(void **state) {
    (void)state;
    assert_string_equal(ask(1, host, "/bytes", "<" TOKEN ">")->body, "<****************>");
    struct told *told = peer_ask(&peer, 2,
                                 "{'op':'http.request','method':'GET','url':'http://%s/bytes','stream':true,"
                                 "'headers':[['Authorization','<" TOKEN ">']]}",
                                 host);
    assert_ok(told);
    char all[128] = "";
    for (uint32_t op = 3; !strstr(told->header, "\"end\":true"); op++) {
        told = peer_ask(&peer, op, "{'op':'http.read','request':2,'max':4}");
        strncat(all, told->body, sizeof all - strlen(all) - 1);
    }
    assert_string_equal(all, "<****************>");
}

/* Plain HTTP to an address of this machine that isn't loopback: nothing may be sent. */
static void needs_encryption_or_loopback(void **state) {
    (void)state;
    struct ifaddrs *all = NULL;
    char address[INET_ADDRSTRLEN] = "", entry[64];
    assert_int_equal(getifaddrs(&all), 0);
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)i->ifa_addr;
        if (v4 && v4->sin_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 != 127)
            inet_ntop(AF_INET, &v4->sin_addr, address, sizeof address);
    }
    freeifaddrs(all);
    if (!address[0])
        skip();
    struct server *open = server_start_any(echo, NULL);
    snprintf(entry, sizeof entry, "%s:%u", address, server_port(open));
    char *list[] = {entry, NULL};
    static struct peer w;
    struct http_secret secret = {.name = "KEY", .token = TOKEN, .value = VALUE, .hosts = list, .hosts_n = 1};
    peer_init(&w, list);
    w.options.secrets = &secret;
    w.options.secrets_n = 1;
    peer_open(&w, client);
    assert_failed(peer_ask(&w, 1,
                           "{'op':'http.request','method':'GET','url':'http://%s/','headers':[['A','" TOKEN "']]}",
                           entry),
                  "policy", "would go unencrypted");
    assert_int_equal(server_requests(open), 0);
    assert_ok(peer_ask(&w, 2, "{'op':'http.request','method':'GET','url':'http://%s/'}", entry));
    peer_close(&w);
    server_stop(open);
}

/* All ways to cut a text into two or three chunks give the same. */
static void masks_across_chunks(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *text, *masked;
    } rows[] = {
        {"secret", "", "a secret, a secre", "a ******, a secre"},
        {"secret", "", "secretsecretsecre", "************secre"},
        {"aab", "", "aaaaabaab", "aaa******"},
        {"abab", "", "xabababy", "x******y"},
        {"abc", "bcd", "abcd abd bcd", "**** abd ***"},
        {"abcdef", "cd", "abcd abcdef cd", "ab** ****** **"},
        {"x", "", "xxyxx", "**y**"},
        {"abcabd", "", "abcabcabd", "abc******"},
        {"", "", "plain", "plain"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_secret two[] = {{.name = "A", .token = "t", .value = rows[i].a},
                                    {.name = "B", .token = "u", .value = rows[i].b}};
        struct http_session s = {.options = {.secrets = two, .secrets_n = 2}};
        size_t n = strlen(rows[i].text);
        for (size_t first = 0; first <= n; first++)
            for (size_t then = first; then <= n; then++) {
                struct http_mask mask = {.held = BUFFER_INIT(1000)};
                struct buffer out = BUFFER_INIT(1000);
                assert_int_equal(http_mask_feed(&s, &mask, rows[i].text, first, &out), 0);
                assert_int_equal(http_mask_feed(&s, &mask, rows[i].text + first, then - first, &out), 0);
                assert_int_equal(http_mask_feed(&s, &mask, rows[i].text + then, n - then, &out), 0);
                assert_int_equal(http_mask_end(&mask, &out), 0);
                assert_string_equal(buffer_text(&out), rows[i].masked);
                buffer_done(&out);
                buffer_done(&mask.held);
            }
        char copy[64];
        memcpy(copy, rows[i].text, n + 1);
        http_secret_hide(&s, copy, n);
        assert_string_equal(copy, rows[i].masked);
    }
}

static void holds_no_more_than_it_must(void **state) {
    (void)state;
    struct http_secret one = {.name = "A", .token = "t", .value = "secret"};
    struct http_session s = {.options = {.secrets = &one, .secrets_n = 1}};
    struct http_mask mask = {.held = BUFFER_INIT(1000)};
    struct buffer out = BUFFER_INIT(1000);
    assert_int_equal(http_mask_feed(&s, &mask, "data: x\n\n", 9, &out), 0);
    assert_string_equal(buffer_text(&out), "data: x\n\n");
    assert_int_equal(http_mask_feed(&s, &mask, "se", 2, &out), 0);
    assert_int_equal(out.size, 9);
    assert_int_equal(http_mask_feed(&s, &mask, "a", 1, &out), 0);
    assert_string_equal(buffer_text(&out), "data: x\n\nsea");
    buffer_done(&out);
    buffer_done(&mask.held);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, open_peer, close_peer)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PEER(reveals_to_its_hosts),          WITH_PEER(refuses_other_hosts),
        WITH_PEER(leaves_tokens_elsewhere_alone), WITH_PEER(doesnt_follow_redirects),
        WITH_PEER(hides_it_byte_by_byte),         cmocka_unit_test(needs_encryption_or_loopback),
        cmocka_unit_test(masks_across_chunks),    cmocka_unit_test(holds_no_more_than_it_must),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
