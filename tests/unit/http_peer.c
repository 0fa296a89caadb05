/* Owns what sessions of the tests were told; see http_peer.h. */
#define _GNU_SOURCE 1
#include "http_peer.h"

#include "unit.h"

#include <stdlib.h>
#include <time.h>

static void on_reply(void *user, uint32_t op, const char *header, size_t header_n, const char *body,
                     size_t body_n) {
    struct peer *w = user;
    pthread_mutex_lock(&w->lock);
    w->done_n++;
    if (header_n >= 10 && memcmp(header, "{\"ok\":true", 10) == 0)
        w->ok_n++;
    if (!w->uncounted) {
        struct told *told = &w->told[op % PEER_OPS];
        w->twice_n += told->done;
        free(told->header);
        free(told->body);
        told->header = strndup(header, header_n);
        told->body = malloc(body_n + 1);
        memcpy(told->body, body, body_n);
        told->body[body_n] = '\0';
        told->body_n = body_n;
        told->done = true;
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void on_record(void *user, const struct http_record *record) {
    struct peer *w = user;
    pthread_mutex_lock(&w->lock);
    if (w->records_n < PEER_RECORDS &&
        asprintf(&w->records[w->records_n], "%s %s %d", record->method, record->url, record->status) > 0)
        w->records_n++;
    pthread_mutex_unlock(&w->lock);
}

static void on_released(void *user) {
    struct peer *w = user;
    pthread_mutex_lock(&w->lock);
    w->released = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

const char *peer_folder(void) {
    const char *set = getenv("CAPSULE_GUESTS");
    return set != NULL ? set : "build/lib/capsule";
}

void peer_init(struct peer *w, char *const *hosts) {
    *w = (struct peer){.options = {.reply = on_reply, .record = on_record, .released = on_released, .user = w}};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->options.limits = (struct http_limits){.response = HTTP_RESPONSE_DEFAULT,
                                             .headers = HTTP_HEADERS_DEFAULT,
                                             .total = HTTP_TOTAL_DEFAULT,
                                             .requests = 64};
    w->options.rules.listed = hosts != NULL;
    w->options.rules.hosts = hosts;
    for (size_t i = 0; hosts && hosts[i]; i++)
        w->options.rules.hosts_n++;
}

void peer_open(struct peer *w, struct http_client *client) {
    struct error err = {0};
    if (http_session_open(client, &w->options, &w->session, &err))
        fail_msg("%s", err.message);
}

void peer_close(struct peer *w) {
    http_session_close(w->session);
    pthread_mutex_lock(&w->lock);
    while (!w->released)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    assert_int_equal(w->twice_n, 0);
    for (size_t i = 0; i < PEER_OPS; i++) {
        free(w->told[i].header);
        free(w->told[i].body);
    }
    for (int i = 0; i < w->records_n; i++)
        free(w->records[i]);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
}

void peer_submit(struct peer *w, uint32_t op, const char *json, const char *body, size_t n) {
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    struct error err = {0};
    char *text = strdup(json);
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    if (json_parse(text, strlen(text), &document, &err))
        fail_msg("%s: %s", text, err.message);
    free(text);
    http_submit(w->session, op, json_root(document), body, n);
}

struct told *peer_wait(struct peer *w, uint32_t op) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&w->lock);
    struct told *told = &w->told[op % PEER_OPS];
    int timed_out = 0;
    while (!told->done && !timed_out)
        timed_out = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
    if (timed_out)
        fail_msg("operation %u wasn't answered", op);
    return told;
}

bool peer_is_done(struct peer *w, uint32_t op) {
    pthread_mutex_lock(&w->lock);
    bool done = w->told[op % PEER_OPS].done;
    pthread_mutex_unlock(&w->lock);
    return done;
}

struct told *peer_ask(struct peer *w, uint32_t op, const char *format, ...) {
    char json[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(json, sizeof json, format, args);
    va_end(args);
    peer_submit(w, op, json, "", 0);
    return peer_wait(w, op);
}

struct told *peer_get(struct peer *w, uint32_t op, const char *url) {
    return peer_ask(w, op, "{'op':'http.request','method':'GET','url':'%s','headers':[]}", url);
}

void assert_failed(const struct told *told, const char *kind, const char *says) {
    char expected[64];
    snprintf(expected, sizeof expected, "\"kind\":\"%s\"", kind);
    assert_contains(told->header, "\"ok\":false");
    assert_contains(told->header, expected);
    assert_contains(told->header, says);
}

void assert_ok(const struct told *told) {
    assert_contains(told->header, "\"ok\":true");
}

int told_status(const struct told *told) {
    const char *at = strstr(told->header, "\"status\":");
    return at ? (int)strtol(at + 9, NULL, 10) : 0;
}

void assert_recorded(struct peer *w, int i, const char *text) {
    pthread_mutex_lock(&w->lock);
    const char *record = i < w->records_n ? w->records[i] : "";
    pthread_mutex_unlock(&w->lock);
    assert_string_equal(record, text);
}
