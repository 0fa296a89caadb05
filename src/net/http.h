/* HTTP for guests: the operations http.* of guest/abi.h, on libcurl's multi interface in one thread.
 *
 *   http_client    one per runtime: the thread, libcurl's connections, made with the first request
 *   http_session   the requests of one attempt of a task: its rules, its secrets, its limits
 *
 * Everything that comes from a guest is hostile: method, URL, headers and lengths are checked here, hosts and addresses by egress.h. A redirect is a new
 * request and is checked again. Proxies, cookies, .netrc, HSTS and Alt-Svc aren't used. Nothing of a request but its record is kept.
 *
 * Secrets: a guest knows tokens; a token in the value of a header is replaced by the secret when the request is made, if its host is one of the
 * secret's and the connection is encrypted or to a loopback address. In a response every occurrence of a secret's value is replaced by as many "*".
 *
 * Thread rule: client and sessions may be used by any thread. Callbacks come on the client's thread, or in the call that they answer, never while
 * a lock of this room is held. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/error.h"
#include "base/json.h"
#include "net/egress.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;
struct http_session;

struct http_limits {
    uint64_t response; /* bytes of one response's body, decompressed */
    uint64_t headers;  /* bytes of one response's headers */
    uint64_t total;    /* bytes sent and received by a session in all */
    uint32_t requests; /* under way at once in a session; more wait for their turn, up to 16,384 */
    uint32_t idle_ms;  /* without a byte in either direction; 0: HTTP_IDLE_TIMEOUT_MS */
};

#define HTTP_RESPONSE_DEFAULT (UINT64_C(64) * 1000 * 1000)
#define HTTP_HEADERS_DEFAULT (UINT64_C(256) * 1000)
#define HTTP_TOTAL_DEFAULT (UINT64_C(1000) * 1000 * 1000)
enum {
    HTTP_REQUESTS_DEFAULT = 64,
    HTTP_REDIRECTS_MAX = 10,
    HTTP_CONNECT_TIMEOUT_MS = 30 * 1000,
    HTTP_IDLE_TIMEOUT_MS = 300 * 1000,
};

struct http_secret {
    const char *name, *token, *value;
    char *const *hosts; /* entries as in egress.h */
    size_t hosts_n;
};

/* One request that left this machine, or tried to; each redirect is one. */
struct http_record {
    const char *method;
    const char *url;   /* userinfo and values of the query masked by "***" */
    int status;        /* 0: there was no response */
    uint64_t duration; /* ns */
    uint64_t bytes;    /* of the response's body, as received */
};

struct http_session_options {
    struct egress_rules rules;         /* hosts borrowed until `released` */
    const struct http_secret *secrets; /* the same */
    size_t secrets_n;
    struct http_limits limits;
    /* The answer to the operation op, exactly once for each http_submit, unless http_session_close came first: then at most once. Its parts are valid during
     * the call only. */
    void (*reply)(void *user, uint32_t op, const char *header, size_t header_n, const char *body, size_t body_n);
    /* Before the reply that it belongs to (a stream: before its end is told). */
    void (*record)(void *user, const struct http_record *record);
    /* After http_session_close: no more calls come. */
    void (*released)(void *user);
    void *user;
};

/* Starts no thread yet. folder: lib/capsule of the installation, where libcurl is. */
int http_client_new(const char *folder, struct http_client **ret, struct error *err);
/* Whether clients will find libcurl there. */
int http_client_check(const char *folder, struct error *err);
void http_client_free(struct http_client *client); /* after all sessions were released */

/* Starts the client's thread, so that closing needs nothing: open one when it's first needed. */
int http_session_open(struct http_client *client, const struct http_session_options *options,
                      struct http_session **ret, struct error *err);
/* One operation "http.…": header as in guest/abi.h, body copied. Every failure is told by reply. */
void http_submit(struct http_session *session, uint32_t op, const json_value *header, const char *body,
                 size_t body_n);
/* Ends an operation soon, by a reply "cancelled" unless it was done before. Unknown ones are ignored. */
void http_cancel(struct http_session *session, uint32_t op);
/* Ends all requests. Returns at once and never calls back in the call; `released` comes on the client's thread. The session must not be used
 * again. */
void http_session_close(struct http_session *session);

#endif
