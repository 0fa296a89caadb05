/* Many requests from many threads, sessions that come and go meanwhile, and every fallible call failing once. */
#include "unit.h"

#include "base/fault.h"
#include "http_peer.h"
#include "http_server.h"
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

static struct server *server;
static struct http_client *client;
static char host[64];
static char *hosts[] = {host, NULL};

static bool answer(int fd, const struct server_request *r, void *user) {
    (void)user;
    static const char body[1024] = "a kilobyte";
    if (strcmp(r->path, "/moved") == 0)
        return server_puts(fd, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    return server_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nX-A: b\r\n\r\n") &&
           server_send(fd, body, sizeof body);
}

static int set_up(void **state) {
    (void)state;
    server = server_start(answer, NULL);
    snprintf(host, sizeof host, "127.0.0.1:%u", server_port(server));
    return http_client_new(peer_folder(), &client, NULL);
}

static int tear_down(void **state) {
    (void)state;
    http_client_free(client);
    server_stop(server);
    return 0;
}

enum { THREADS = 4, REQUESTS = 1000 };

static void *submit_many(void *user) {
    struct peer *w = user;
    char json[128];
    snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'http://%s/'}", host);
    for (uint32_t op = 1; op <= REQUESTS; op++) {
        peer_submit(w, op, json, "", 0);
        if (op % 7 == 0)
            http_cancel(w->session, op);
    }
    return NULL;
}

static void answers_thousands(void **state) {
    (void)state;
    static struct peer peers[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        peer_init(&peers[i], hosts);
        peers[i].uncounted = true;
        peers[i].options.limits.requests = 8;
        peer_open(&peers[i], client);
        pthread_create(&threads[i], NULL, submit_many, &peers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        struct peer *w = &peers[i];
        pthread_join(threads[i], NULL);
        pthread_mutex_lock(&w->lock);
        while (w->done_n < REQUESTS)
            pthread_cond_wait(&w->changed, &w->lock);
        assert_true(w->ok_n >= REQUESTS - REQUESTS / 7);
        pthread_mutex_unlock(&w->lock);
    }
    for (size_t i = 0; i < THREADS; i++) {
        peer_close(&peers[i]);
        assert_int_equal(peers[i].done_n, REQUESTS);
    }
    assert_true(server_connections(server) <=
                THREADS * 8 + REQUESTS); /* kept, but for those that were cancelled */
}

static void *come_and_go(void *user) {
    struct peer *w = user;
    char url[128];
    snprintf(url, sizeof url, "http://%s/", host);
    for (int i = 0; i < 60; i++) {
        peer_init(w, hosts);
        peer_open(w, client);
        if (i % 3)
            assert_ok(peer_get(w, 1, url));
        if (i % 2) {
            char json[256];
            snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'%s'}", url);
            for (uint32_t op = 2; op < 20; op++)
                peer_submit(w, op, json, "", 0);
        }
        peer_close(w);
    }
    return NULL;
}

static void lets_sessions_come_and_go(void **state) {
    (void)state;
    static struct peer peers[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, come_and_go, &peers[i]);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void bounds_the_queue(void **state) {
    (void)state;
    static struct peer w;
    enum { MORE = 16384 + 100 };
    peer_init(&w, hosts);
    w.uncounted = true;
    w.options.limits.requests = 1;
    peer_open(&w, client);
    char json[256];
    /* A stream that nobody reads holds the only place. */
    snprintf(json, sizeof json, "{'op':'http.request','method':'GET','url':'http://%s/','stream':true}", host);
    for (uint32_t op = 1; op <= 1 + MORE; op++)
        peer_submit(&w, op, json, "", 0);
    pthread_mutex_lock(&w.lock);
    while (w.done_n < 1 + MORE - 16384)
        pthread_cond_wait(&w.changed, &w.lock);
    assert_int_equal(w.ok_n, 1);
    pthread_mutex_unlock(&w.lock);
    peer_close(&w);
    assert_int_equal(w.done_n, 1 + MORE - 16384);
}

/* Policy refusals in a row must not eat the stack. */
static void refuses_many_in_a_row(void **state) {
    (void)state;
    static struct peer w;
    peer_init(&w, hosts);
    w.uncounted = true;
    peer_open(&w, client);
    for (uint32_t op = 1; op <= 16000; op++)
        peer_submit(&w, op, "{'op':'http.request','method':'GET','url':'http://no.test/'}", "", 0);
    pthread_mutex_lock(&w.lock);
    while (w.done_n < 16000)
        pthread_cond_wait(&w.changed, &w.lock);
    assert_int_equal(w.ok_n, 0);
    pthread_mutex_unlock(&w.lock);
    peer_close(&w);
}

#ifdef CAPSULE_FAULTS

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static char *secret_hosts[] = {host};
static struct http_secret secret = {
    .name = "KEY", .token = "TOKEN", .value = "kilo", .hosts = secret_hosts, .hosts_n = 1};

/* What's sent here is quoted once, since fault points lie in the parser that the peer uses, too. */
static void submit_parsed(struct peer *w, uint32_t op, struct json_document *document, const char *body) {
    http_submit(w->session, op, json_root(document), body, strlen(body));
}

/* True if everything worked. Whatever doesn't must be told, once. */
static bool whole_life(struct json_document *const documents[4], unsigned long at) {
    static struct peer w;
    struct http_client *own = NULL;
    struct error err = {0};
    bool good = false;
    peer_init(&w, hosts);
    w.options.secrets = &secret;
    w.options.secrets_n = 1;
    fault_arm(at);
    if (http_client_new(peer_folder(), &own, &err) == 0 &&
        http_session_open(own, &w.options, &w.session, &err) == 0) {
        submit_parsed(&w, 1, documents[0], "body");
        good = strstr(peer_wait(&w, 1)->header, "\"ok\":true") != NULL;
        submit_parsed(&w, 2, documents[1], "");
        submit_parsed(&w, 3, documents[2], "part");
        good = strstr(peer_wait(&w, 3)->header, "\"ok\":true") && good;
        if (good) {
            good = strstr(peer_wait(&w, 2)->header, "\"ok\":true") && good;
            submit_parsed(&w, 4, documents[3], "");
            good = strstr(peer_wait(&w, 4)->header, "\"ok\":true") && good;
        }
        for (uint32_t op = 1; op <= 4; op++)
            if (w.told[op].done)
                assert_true(strstr(w.told[op].header, "\"ok\":true") || strstr(w.told[op].header, "\"message\":"));
        peer_close(&w);
    } else {
        assert_true(err.message[0] != '\0');
    }
    http_client_free(own);
    return good;
}

static void survives_every_fault(void **state) {
    (void)state;
    struct json_document *documents[4];
    char json[4][512];
    snprintf(json[0], sizeof json[0],
             "{\"op\":\"http.request\",\"method\":\"POST\",\"url\":\"http://u:p@%s/"
             "moved\",\"headers\":[[\"A\",\"TOKEN\"]]}",
             host);
    snprintf(json[1], sizeof json[1],
             "{\"op\":\"http.request\",\"method\":\"PUT\",\"url\":\"http://%s/\",\"upload\":true,\"stream\":true}",
             host);
    snprintf(json[2], sizeof json[2], "{\"op\":\"http.write\",\"request\":2,\"end\":true}");
    snprintf(json[3], sizeof json[3], "{\"op\":\"http.read\",\"request\":2,\"max\":100}");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(json_parse(json[i], strlen(json[i]), &documents[i], NULL), 0);
    assert_true(whole_life(documents, 0));
    usleep(100 * 1000);
    int descriptors = open_descriptors(), failures = 0;
    unsigned long at = 1;
    for (; at < 1000; at++) {
        failures += !whole_life(documents, at);
        unsigned long visits = fault_visits();
        fault_arm(0);
        if (visits < at)
            break;
    }
    assert_true(at > 20 && at < 1000);
    assert_true(failures > 20);
    /* The server's sides of the connections close a moment later. */
    for (int i = 0; i < 500 && open_descriptors() != descriptors; i++)
        usleep(10 * 1000);
    assert_int_equal(open_descriptors(), descriptors);
    assert_true(whole_life(documents, 0));
    for (size_t i = 0; i < 4; i++)
        json_free(documents[i]);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_thousands),    cmocka_unit_test(lets_sessions_come_and_go),
        cmocka_unit_test(bounds_the_queue),     cmocka_unit_test(refuses_many_in_a_row),
#ifdef CAPSULE_FAULTS
        cmocka_unit_test(survives_every_fault),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
