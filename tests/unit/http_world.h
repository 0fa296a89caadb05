/* What the tests of the HTTP client share: a client, sessions that keep what they're told, and short ways to ask. */
#ifndef TESTS_HTTP_WORLD_H
#define TESTS_HTTP_WORLD_H

#include "base/json.h"
#include "net/http.h"
#include <pthread.h>

enum { WORLD_OPS = 4096, WORLD_RECORDS = 64 };

struct told {
    bool done;
    char *header, *body;
    size_t body_n;
};

/* Rules of a session: one host that may be reached, and whatever a test changes before world_open. */
struct world_session {
    struct http_session *session;
    struct http_session_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct told told[WORLD_OPS]; /* by op */
    int done_n, twice_n, ok_n;
    bool released;
    char *records[WORLD_RECORDS];
    int records_n;
    bool uncounted; /* replies are counted, not kept */
};

/* Wide limits; hosts: NULL-terminated, borrowed; NULL: no list. */
void world_init(struct world_session *w, char *const *hosts);
void world_open(struct world_session *w, struct http_client *client);
/* Closes and waits until it was released. */
void world_close(struct world_session *w);

/* json may have ' in place of ". */
void world_submit(struct world_session *w, uint32_t op, const char *json, const char *body, size_t n);
struct told *world_wait(struct world_session *w, uint32_t op);
bool world_is_done(struct world_session *w, uint32_t op);
/* Both, for a request whose header is printed; the answer stays until the session ends. */
struct told *world_ask(struct world_session *w, uint32_t op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct told *world_get(struct world_session *w, uint32_t op, const char *url);

/* The answer is a failure of that kind that says so. */
void assert_failed(const struct told *told, const char *kind, const char *says);
void assert_ok(const struct told *told);
int told_status(const struct told *told);
/* A record "METHOD URL STATUS" was told. */
void assert_recorded(struct world_session *w, int i, const char *text);

#endif
