/* Streams in both directions, with pauses; and cancelling at every stage of a request. */
#include "unit.h"

#include "base/clock.h"
#include "http_peer.h"
#include "http_server.h"
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGE = 8 * 1000 * 1000 };

static struct server *server;
static struct http_client *client;
static char host[64];
static char *hosts[] = {host, NULL};
static struct peer peer;
static atomic_size_t sent; /* of /large */
static atomic_int step;    /* tests let the server go on by raising it */
static atomic_bool slow_names;

static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Names under .slow take as long as the test wants. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret) {
    if (strstr(name, ".slow")) {
        while (atomic_load(&slow_names))
            usleep(1000);
        return real("127.0.0.1", service, hints, ret);
    }
    return real(name, service, hints, ret);
}

static void wait_for_end(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    while (poll(&p, 1, 10000) > 0 && !(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
        ;
}

static bool send_large(int fd) {
    char block[10000];
    atomic_store(&sent, 0);
    bool alive = server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
    for (size_t i = 0; alive && i < LARGE / sizeof block; i++) {
        memset(block, (char)('a' + i % 26), sizeof block);
        alive = server_send(fd, block, sizeof block);
        atomic_fetch_add(&sent, sizeof block);
    }
    return alive;
}

static bool send_events(int fd) {
    bool alive = server_puts(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; alive && i < 3; i++) {
        while (atomic_load(&step) <= i)
            usleep(500);
        alive = server_printf(fd, "6\r\nevent%d\r\n", i);
    }
    return alive && server_puts(fd, "0\r\n\r\n");
}

static bool serve(int fd, const struct server_request *r, void *user) {
    (void)user;
    if (strcmp(r->path, "/large") == 0)
        return send_large(fd);
    if (strcmp(r->path, "/events") == 0)
        return send_events(fd);
    if (strcmp(r->path, "/cut") == 0) {
        server_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        return false;
    }
    if (strcmp(r->path, "/never") == 0) {
        wait_for_end(fd);
        return false;
    }
    if (strcmp(r->path, "/empty") == 0)
        return server_puts(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    if (strcmp(r->path, "/moved") == 0)
        return server_puts(fd, "HTTP/1.1 307 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    char chunked[32];
    server_header(r, "Transfer-Encoding", chunked, sizeof chunked);
    return server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Coding: %s\r\n\r\n", r->body_n,
                         chunked) &&
           server_send(fd, r->body, r->body_n);
}

static int set_up(void **state) {
    (void)state;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    server = server_start(serve, NULL);
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
    atomic_store(&step, 0);
    peer_init(&peer, hosts);
    peer_open(&peer, client);
    return 0;
}

static int close_peer(void **state) {
    (void)state;
    atomic_store(&step, 100);
    peer_close(&peer);
    return 0;
}

static struct told *open_stream(uint32_t op, const char *path) {
    return peer_ask(&peer, op, "{'op':'http.request','method':'GET','url':'http://%s%s','stream':true}", host,
                    path);
}

static struct told *read_part(uint32_t op, uint32_t request, size_t max) {
    return peer_ask(&peer, op, "{'op':'http.read','request':%u,'max':%zu}", request, max);
}

static bool is_end(const struct told *told) {
    assert_ok(told);
    return strstr(told->header, "\"end\":true") != NULL;
}

static void reads_with_pauses(void **state) {
    (void)state;
    struct told *head = open_stream(1, "/large");
    assert_ok(head);
    assert_contains(head->header, "\"stream\":true");
    assert_int_equal(head->body_n, 0);
    usleep(300 * 1000);
    size_t before = atomic_load(&sent);
    assert_true(before < LARGE); /* what nobody reads stays with the server (and in the kernel's buffers) */
    size_t total = 0;
    uint32_t op = 2;
    for (bool end = false; !end; op++) {
        struct told *part = read_part(op, 1, 100 * 1000);
        end = is_end(part);
        assert_true(part->body_n > 0 || end);
        for (size_t i = 0; i < part->body_n; i++)
            if (part->body[i] != (char)('a' + (total + i) / 10000 % 26))
                fail_msg("wrong byte at %zu", total + i);
        total += part->body_n;
    }
    assert_int_equal(total, LARGE);
    assert_failed(read_part(op, 1, 1), "closed", "isn't open");
    char record[128];
    snprintf(record, sizeof record, "GET http://%s/large 200", host);
    assert_recorded(&peer, 0, record);
}

static void gives_events_as_they_come(void **state) {
    (void)state;
    assert_ok(open_stream(1, "/events"));
    for (uint32_t i = 0; i < 3; i++) {
        char expected[16], json[64];
        snprintf(json, sizeof json, "{'op':'http.read','request':1,'max':100}");
        peer_submit(&peer, 2 + i, json, "", 0);
        usleep(20 * 1000);
        assert_false(peer_is_done(&peer, 2 + i));
        atomic_fetch_add(&step, 1);
        struct told *part = peer_wait(&peer, 2 + i);
        snprintf(expected, sizeof expected, "event%u", i);
        assert_string_equal(part->body, expected);
    }
    assert_true(is_end(read_part(9, 1, 100)));
}

static void reads_small_parts(void **state) {
    (void)state;
    struct told *told =
        peer_ask(&peer, 1, "{'op':'http.request','method':'GET','url':'http://%s/empty','stream':true}", host);
    assert_int_equal(told_status(told), 204);
    assert_true(is_end(read_part(2, 1, 1)));
    peer_submit(&peer, 10, "{'op':'http.request','method':'POST','url':'http://h/','stream':true}", "", 0);
    assert_failed(peer_wait(&peer, 10), "policy", "h:80");
    char json[256];
    snprintf(json, sizeof json, "{'op':'http.request','method':'POST','url':'http://%s/','stream':true}", host);
    peer_submit(&peer, 11, json, "abc", 3);
    assert_ok(peer_wait(&peer, 11));
    assert_failed(read_part(12, 11, 0), "closed", "no bytes");
    assert_string_equal(read_part(13, 11, 1)->body, "a");
    assert_string_equal(read_part(14, 11, 1)->body, "b");
    assert_string_equal(read_part(15, 11, 1)->body, "c");
}

static void tells_of_failures_once(void **state) {
    (void)state;
    assert_ok(open_stream(1, "/cut"));
    usleep(50000); /* by now it has failed, or will soon: what came before is told in both cases */
    struct told *part = read_part(2, 1, 2);
    assert_false(is_end(part));
    assert_string_equal(part->body, "ab");
    part = read_part(3, 1, 100);
    assert_false(is_end(part));
    assert_string_equal(part->body, "c");
    assert_failed(read_part(4, 1, 100), "closed", "before the response was whole");
    assert_failed(read_part(5, 1, 100), "closed", "isn't open");
}

static void stops_idle_streams(void **state) {
    (void)state;
    static struct peer quick;
    peer_init(&quick, hosts);
    quick.options.limits.idle_ms = 100;
    peer_open(&quick, client);
    assert_failed(peer_ask(&quick, 1, "{'op':'http.request','method':'GET','url':'http://%s/never'}", host),
                  "timeout", "nothing came from 127.0.0.1 or went to it for 0.1 s");
    assert_ok(
        peer_ask(&quick, 2, "{'op':'http.request','method':'GET','url':'http://%s/large','stream':true}", host));
    usleep(400000); /* nobody reads: the server waits, and then it's over */
    struct told *part;
    uint32_t op = 3;
    do
        part = peer_ask(&quick, op++, "{'op':'http.read','request':2,'max':1000000}");
    while (strstr(part->header, "\"ok\":true"));
    assert_failed(part, "timeout", "nothing came");
    peer_close(&quick);
}

static void bounds_streams(void **state) {
    (void)state;
    static struct peer narrow;
    peer_init(&narrow, hosts);
    narrow.options.limits.response = 600 * 1000;
    narrow.options.limits.requests = 1;
    peer_open(&narrow, client);
    char stream[256];
    snprintf(stream, sizeof stream, "{'op':'http.request','method':'GET','url':'http://%s/large','stream':true}",
             host);
    peer_submit(&narrow, 1, stream, "", 0);
    assert_ok(peer_wait(&narrow, 1));
    /* A stream holds its place until it's over and told, or closed. */
    peer_submit(&narrow, 2, stream, "", 0);
    struct told *part;
    uint32_t op = 10;
    do
        part = peer_ask(&narrow, op++, "{'op':'http.read','request':1,'max':100000}");
    while (strstr(part->header, "\"ok\":true"));
    assert_failed(part, "too_large", "600000 bytes (raise max_response_size");
    assert_ok(peer_wait(&narrow, 2));
    snprintf(stream, sizeof stream, "{'op':'http.request','method':'GET','url':'http://%s/'}", host);
    peer_submit(&narrow, 3, stream, "", 0);
    usleep(20 * 1000);
    assert_false(peer_is_done(&narrow, 3));
    assert_ok(peer_ask(&narrow, 4, "{'op':'http.close','request':2}"));
    assert_ok(peer_wait(&narrow, 3));
    peer_close(&narrow);
}

/* A stream that was asked for only in case the body is long. */
static void gives_short_bodies_whole(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int whole;
        bool streams;
    } rows[] = {{"/", 5, false}, {"/", 100, false}, {"/", 4, true}, {"/", 0, true}, {"/large", 1000, true}};
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char json[256];
        snprintf(json, sizeof json,
                 "{'op':'http.request','method':'POST','url':'http://%s%s','stream':true,'whole':%d}", host,
                 rows[i].path, rows[i].whole);
        peer_submit(&peer, 1 + 2 * i, json, "hello", 5);
        struct told *told = peer_wait(&peer, 1 + 2 * i);
        assert_ok(told);
        assert_contains(told->header, rows[i].streams ? "\"stream\":true" : "\"stream\":false");
        assert_string_equal(told->body, rows[i].streams ? "" : "hello");
        assert_ok(peer_ask(&peer, 2 + 2 * i, "{'op':'http.close','request':%u}", 1 + 2 * i));
    }
}

static struct told *write_part(uint32_t op, uint32_t request, bool end, const char *body, size_t n) {
    char json[128];
    snprintf(json, sizeof json, "{'op':'http.write','request':%u,'end':%s}", request, end ? "true" : "false");
    peer_submit(&peer, op, json, body, n);
    return peer_wait(&peer, op);
}

static void begin_upload(uint32_t op, const char *fields, const char *path) {
    char json[256];
    snprintf(json, sizeof json, "{'op':'http.request','method':'PUT','url':'http://%s%s','upload':true%s}", host,
             path, fields);
    peer_submit(&peer, op, json, "", 0);
}

static void writes_with_pauses(void **state) {
    (void)state;
    begin_upload(1, "", "/");
    assert_ok(write_part(2, 1, false, "one ", 4));
    usleep(20 * 1000);
    assert_ok(write_part(3, 1, false, "", 0));
    assert_ok(write_part(4, 1, false, "two ", 4));
    assert_false(peer_is_done(&peer, 1));
    assert_ok(write_part(5, 1, true, "three", 5));
    struct told *told = peer_wait(&peer, 1);
    assert_ok(told);
    assert_string_equal(told->body, "one two three");
    assert_contains(told->header, "chunked");
    assert_failed(write_part(6, 1, true, "", 0), "closed", "isn't open");

    begin_upload(10, ",'length':6,'headers':[['Content-Length','6']]", "/");
    assert_ok(write_part(11, 10, false, "abc", 3));
    assert_ok(write_part(12, 10, false, "def", 3));
    /* The last byte of the announced length is the body's end, whether or not anybody says so. */
    told = peer_wait(&peer, 10);
    assert_string_equal(told->body, "abcdef");
    assert_null(strstr(told->header, "chunked"));
    assert_failed(write_part(13, 10, true, "", 0), "closed", "isn't open");

    begin_upload(20, "", "/");
    assert_ok(write_part(21, 20, true, "", 0));
    assert_ok(peer_wait(&peer, 20));
    assert_int_equal(peer_wait(&peer, 20)->body_n, 0);
}

static void writes_much(void **state) {
    (void)state;
    enum { PART = 50 * 1000, PARTS = 20 };
    char *part = malloc(PART);
    begin_upload(1, "", "/");
    for (uint32_t i = 0; i < PARTS; i++) {
        memset(part, (int)('a' + i), PART);
        assert_ok(write_part(2 + i, 1, i == PARTS - 1, part, PART));
    }
    struct told *told = peer_wait(&peer, 1);
    assert_int_equal(told->body_n, PART * PARTS);
    for (size_t i = 0; i < told->body_n; i++)
        if (told->body[i] != (char)('a' + i / PART))
            fail_msg("wrong byte at %zu", i);
    free(part);
}

static void refuses_wrong_lengths(void **state) {
    (void)state;
    begin_upload(1, ",'length':5", "/");
    assert_failed(write_part(2, 1, false, "too long", 8), "length", "longer than the length");
    assert_ok(write_part(3, 1, false, "abc", 3));
    assert_failed(write_part(4, 1, true, "", 0), "length", "shorter than the length");
    assert_failed(write_part(5, 1, false, "def", 3), "length", "longer");
    assert_ok(write_part(6, 1, true, "de", 2));
    assert_string_equal(peer_wait(&peer, 1)->body, "abcde");
    assert_ok(open_stream(10, "/events"));
    assert_failed(write_part(11, 10, true, "x", 1), "length", "no body that is written");
    begin_upload(20, "", "/moved");
    assert_ok(write_part(21, 20, true, "x", 1));
    assert_failed(peer_wait(&peer, 20), "redirect", "can't be sent again");
}

static void cancel_now(uint32_t op) {
    uint64_t before = clock_monotonic_ns();
    http_cancel(peer.session, op);
    assert_failed(peer_wait(&peer, op), "cancelled", "cancelled");
    assert_contains(peer.told[op].header, "\"type\":\"cancelled\"");
    assert_true(clock_monotonic_ns() - before < 20 * NS_PER_S);
}

static void submit_get(uint32_t op, const char *where) {
    char json[256];
    snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'http://%s'}", where);
    peer_submit(&peer, op, json, "", 0);
}

static void cancels_at_every_stage(void **state) {
    (void)state;
    char where[128];
    /* queued, or not even that */
    snprintf(where, sizeof where, "%s/never", host);
    submit_get(1, where);
    cancel_now(1);
    /* waiting for a response */
    submit_get(2, where);
    usleep(30 * 1000);
    cancel_now(2);
    /* receiving */
    snprintf(where, sizeof where, "%s/events", host);
    submit_get(3, where);
    usleep(30 * 1000);
    cancel_now(3);
    /* sending */
    begin_upload(4, "", "/");
    assert_ok(write_part(5, 4, false, "abc", 3));
    cancel_now(4);
    assert_failed(write_part(6, 4, false, "abc", 3), "closed", "isn't open");
    /* reading a stream: the read, then the rest */
    assert_ok(open_stream(7, "/events"));
    peer_submit(&peer, 8, "{'op':'http.read','request':7,'max':10}", "", 0);
    usleep(10 * 1000);
    cancel_now(8);
    atomic_store(&step, 1);
    assert_string_equal(read_part(9, 7, 100)->body, "event0");
    peer_submit(&peer, 10, "{'op':'http.read','request':7,'max':10}", "", 0);
    assert_ok(peer_ask(&peer, 11, "{'op':'http.close','request':7}"));
    assert_failed(peer_wait(&peer, 10), "cancelled", "closed");
    /* what's over, and what never was */
    http_cancel(peer.session, 7);
    http_cancel(peer.session, 3);
    http_cancel(peer.session, 4000);
    snprintf(where, sizeof where, "%s/", host);
    submit_get(12, where);
    assert_ok(peer_wait(&peer, 12));
}

/* Connecting to an address that doesn't answer: TLS with a server that says nothing stands for it, too. */
static void say_nothing(int fd, void *user) {
    (void)user;
    wait_for_end(fd);
}

static void cancels_while_connecting(void **state) {
    (void)state;
    struct server *silent = server_start_raw(say_nothing, NULL);
    static struct peer w;
    char entry[64], json[256];
    char *list[] = {entry, "192.0.2.1:80", NULL};
    snprintf(entry, sizeof entry, "127.0.0.1:%u", server_port(silent));
    peer_init(&w, list);
    peer_open(&w, client);
    snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'https://%s/'}", entry);
    peer_submit(&w, 1, json, "", 0);
    peer_submit(&w, 2, "{'op':'http.request','method':'GET','url':'http://192.0.2.1/'}", "", 0);
    usleep(50 * 1000);
    http_cancel(w.session, 1);
    http_cancel(w.session, 2);
    if (strstr(peer_wait(&w, 1)->header, "certificates") == NULL) /* a machine without any */
        assert_failed(peer_wait(&w, 1), "cancelled", "cancelled");
    assert_contains(peer_wait(&w, 2)->header, "\"ok\":false"); /* cancelled; or there's no network at all */
    peer_close(&w);
    server_stop(silent);
}

static void cancels_while_looking_up(void **state) {
    (void)state;
    static struct peer w;
    char entry[64], json[256];
    char *list[] = {entry, NULL};
    snprintf(entry, sizeof entry, "a.slow:%u", server_port(server));
    atomic_store(&slow_names, true);
    peer_init(&w, list);
    w.options.limits.requests = 1000;
    peer_open(&w, client);
    snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'http://%s/'}", entry);
    int before = server_requests(server);
    /* More than may be abandoned at once: those beyond wait, and can be cancelled there. */
    for (uint32_t op = 1; op <= 100; op++) {
        peer_submit(&w, op, json, "", 0);
        usleep(2000);
        http_cancel(w.session, op);
        assert_failed(peer_wait(&w, op), "cancelled", "cancelled");
    }
    peer_submit(&w, 200, json, "", 0);
    struct told *told =
        peer_ask(&w, 201, "{'op':'http.request','method':'GET','url':'http://%s/','timeout_ms':100}", entry);
    assert_failed(told, "timeout", "waiting for its turn");
    atomic_store(&slow_names, false);
    assert_ok(peer_wait(&w, 200)); /* the place of an abandoned look-up */
    assert_int_equal(server_requests(server), before + 1);
    peer_close(&w);

    /* Closing doesn't wait for the resolver, nor does the end of the client. */
    struct http_client *other;
    atomic_store(&slow_names, true);
    assert_int_equal(http_client_new(peer_folder(), &other, NULL), 0);
    peer_init(&w, list);
    peer_open(&w, other);
    peer_submit(&w, 1, json, "", 0);
    usleep(20 * 1000);
    peer_close(&w);
    http_client_free(other);
    atomic_store(&slow_names, false);
    usleep(50 * 1000); /* the resolver's thread ends by itself */
}

static void closes_with_all_under_way(void **state) {
    (void)state;
    for (int round = 0; round < 5; round++) {
        static struct peer w;
        peer_init(&w, hosts);
        w.options.limits.requests = 8;
        peer_open(&w, client);
        static const char *const paths[] = {"/never", "/events", "/large", "/"};
        for (uint32_t op = 1; op < 40; op++) {
            char json[256];
            snprintf(json, sizeof json,
                     "{'op':'http.request','method':'PUT','url':'http://%s%s','stream':%s,'upload':%s}", host,
                     paths[op % 4], op % 3 ? "true" : "false", op % 5 ? "false" : "true");
            peer_submit(&w, op, json, "", 0);
        }
        usleep((unsigned)round * 5000);
        peer_close(&w);
    }
    static struct peer unused;
    peer_init(&unused, hosts);
    peer_open(&unused, client);
    peer_close(&unused);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, open_peer, close_peer)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PEER(reads_with_pauses),
        WITH_PEER(gives_events_as_they_come),
        WITH_PEER(reads_small_parts),
        WITH_PEER(tells_of_failures_once),
        WITH_PEER(stops_idle_streams),
        cmocka_unit_test(bounds_streams),
        WITH_PEER(gives_short_bodies_whole),
        WITH_PEER(writes_with_pauses),
        WITH_PEER(writes_much),
        WITH_PEER(refuses_wrong_lengths),
        WITH_PEER(cancels_at_every_stage),
        cmocka_unit_test(cancels_while_connecting),
        cmocka_unit_test(cancels_while_looking_up),
        cmocka_unit_test(closes_with_all_under_way),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
