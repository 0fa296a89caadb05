/* What the tests of the HTTP client share: a client, sessions that keep what they're told, and short ways to ask. */
#ifndef TESTS_HTTP_PEER_H
#define TESTS_HTTP_PEER_H

#include "base/json.h"
#include "net/http.h"
#include <pthread.h>

enum { PEER_OPS = 4096, PEER_RECORDS = 64 };

struct told {
    bool done;
    char *header, *body;
    size_t body_n;
};

/* Rules of a session: one host that may be reached, and whatever a test changes before peer_open. */
struct peer {
    struct http_session *session;
    struct http_session_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct told told[PEER_OPS]; /* by op */
    int done_n, twice_n, ok_n;
    bool released;
    char *records[PEER_RECORDS];
    int records_n;
    bool uncounted; /* replies are counted, not kept */
};

/* lib/capsule, where libcurl is. */
const char *peer_folder(void);

/* Wide limits; hosts: NULL-terminated, borrowed; NULL: no list. */
void peer_init(struct peer *w, char *const *hosts);
void peer_open(struct peer *w, struct http_client *client);
/* Closes and waits until it was released. */
void peer_close(struct peer *w);

/* json may have ' in place of ". */
void peer_submit(struct peer *w, uint32_t op, const char *json, const char *body, size_t n);
struct told *peer_wait(struct peer *w, uint32_t op);
bool peer_is_done(struct peer *w, uint32_t op);
/* Both, for a request whose header is printed; the answer stays until the session ends. */
struct told *peer_ask(struct peer *w, uint32_t op, const char *format, ...) __attribute__((format(printf, 3, 4)));
struct told *peer_get(struct peer *w, uint32_t op, const char *url);

/* The answer is a failure of that kind that says so. */
void assert_failed(const struct told *told, const char *kind, const char *says);
void assert_ok(const struct told *told);
int told_status(const struct told *told);
/* A record "METHOD URL STATUS" was told. */
void assert_recorded(struct peer *w, int i, const char *text);

#endif
