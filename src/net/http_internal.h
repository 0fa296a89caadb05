/* What the files of the HTTP client share; nobody else includes it.
 *
 *   http_client.c    the thread, its inbox, its clock
 *   http_session.c   sessions and the life of a request: queue, hops, limits, streams
 *   http_message.c   what guests send, checked; what they get
 *   http_secret.c    tokens into secrets, and secrets out of responses
 *   http_transfer.c  libcurl: one exchange with a server
 *   curl_library.c   loads it
 *
 * Thread rule: everything belongs to the client's thread but the inbox, which has a lock, and a session's options, which never change. */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include "base/buffer.h"
#include "net/http.h"
#include "net/url.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    HTTP_METHOD_MAX = 32,
    HTTP_HEADERS_MAX = 1000,               /* in number, of a request and of a response */
    HTTP_REQUEST_HEADERS_MAX = 256 * 1024, /* bytes */
    HTTP_UNREAD_MAX = 256 * 1024,          /* of a stream, before the server has to wait */
    HTTP_QUEUE_MAX = 16384,
    HTTP_ABANDONED_MAX = 64, /* look-ups that nobody waits for any longer, in a client */
    HTTP_FAILURE_MAX = 768,
    HTTP_BUCKETS = 64,
};

/* Why a request failed, in a guest's terms. type NULL: it didn't. */
struct http_failure {
    const char *type, *kind;
    char message[HTTP_FAILURE_MAX];
};

/* The first failure stays: what follows from it says less. */
void http_fail(struct http_failure *f, const char *type, const char *kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same from an error, its hint in brackets. */
void http_fail_error(struct http_failure *f, const char *type, const char *kind, const struct error *err);
void http_fail_memory(struct http_failure *f);

/* "name\0value\0" each. */
struct http_headers {
    struct buffer text;
    size_t n;
};

int http_headers_add(struct http_headers *h, const char *name, size_t name_n, const char *value, size_t value_n);
/* Iterates from *cursor = 0; false at the end. */
bool http_headers_next(const struct http_headers *h, size_t *cursor, const char **ret_name,
                       const char **ret_value);
const char *http_headers_get(const struct http_headers *h, const char *name); /* the first; NULL */
void http_headers_clear(struct http_headers *h);
void http_headers_done(struct http_headers *h);

/* Replaces the secrets of a session in a stream of bytes by "*", also where a chunk ends within one. */
struct http_mask {
    struct buffer held; /* the end of what came, that may be the beginning of a secret */
    size_t covered;     /* so many of its first bytes belong to one that's been found */
};

struct http_transfer;
struct http_transfers;

enum http_state {
    HTTP_QUEUED,
    HTTP_ACTIVE,
    HTTP_ENDED /* whole, but not all read */,
    HTTP_FAILED /* but not told */
};

struct http_request {
    struct http_session *session;
    uint32_t op;
    enum http_state state;
    struct http_request *prev, *next; /* in the session's queue or among its active ones */
    struct http_request *chain;       /* in its bucket */

    /* asked for */
    char method[HTTP_METHOD_MAX];
    struct url url;
    char *masked; /* the URL of this hop, as records and messages may show it */
    struct http_headers headers;
    struct buffer body;
    uint64_t length;    /* of an upload, if has_length */
    uint64_t deadline;  /* monotonic ns; 0: none */
    uint64_t timeout;   /* ms, for the message */
    uint64_t last_byte; /* monotonic ns: since then nothing came or went */
    unsigned redirects, hops;
    bool upload, has_length, stream;
    uint64_t whole; /* of a stream: a body that is announced not to be longer isn't one */

    /* under way */
    struct http_transfer *transfer;
    struct http_failure failure;
    bool must_be_loopback; /* a secret goes unencrypted */
    int status;
    char version[4];
    struct http_headers answer;
    uint64_t header_bytes, body_bytes; /* of this hop */
    bool head_done, following, head_told;
    bool paused, starved; /* libcurl waits for the guest to read; to write */
    struct http_mask mask;
    struct buffer arrived; /* body, masked; from read_at on unread */
    size_t read_at;

    /* the guest's parts of streams; 0: none is under way */
    uint32_t read_op, write_op;
    size_t read_max;
    struct buffer chunk; /* of write_op */
    size_t chunk_at;
    uint64_t written;
    bool write_end, write_ended;
};

struct http_requests {
    struct http_request *first, *last;
    size_t n;
};

enum http_command { HTTP_START, HTTP_READ, HTTP_WRITE, HTTP_CLOSE, HTTP_CANCEL, HTTP_RELEASE };

/* One errand for the client's thread. */
struct http_errand {
    struct http_errand *next;
    enum http_command command;
    struct http_session *session;
    uint32_t op, target;          /* target: the request that a read, write or close is about */
    size_t max;                   /* read */
    bool end;                     /* write */
    struct buffer body;           /* write */
    struct http_request *request; /* start */
};

struct http_session {
    struct http_client *client;
    struct http_session_options options;
    struct http_session *prev, *next; /* among those of the client that have made requests */
    struct http_session *next_due;
    bool known, due; /* is among them; is among those whose queue may move */
    struct http_requests queue, active;
    struct http_request *buckets[HTTP_BUCKETS];
    uint64_t total;             /* bytes in both directions */
    _Atomic uint64_t submitted; /* bytes of bodies, sent or still waiting; by any thread */
    struct http_errand release; /* so that closing can't fail */
};

struct http_client {
    pthread_mutex_t lock;
    struct http_errand *inbox, **inbox_end;
    bool started, sleeping, stopping;
    char *folder; /* of curl.so */
    pthread_t thread;
    /* the thread's own */
    struct http_transfers *transfers;
    struct http_session *sessions, *due;
    uint64_t next_check; /* when a time-out may be due; UINT64_MAX: never */
    bool held;           /* sessions were left waiting because of abandoned look-ups */
};

/* client */
/* Starts the thread if it isn't running yet. */
int http_client_ensure(struct http_client *client, struct error *err);
void http_client_send(struct http_client *client, struct http_errand *errand); /* takes it over */
void http_client_know(struct http_session *s);   /* from now on its times are checked and its queue moves */
void http_client_forget(struct http_session *s); /* the opposite */
void http_client_due(struct http_session *s);    /* its queue may move, soon */
void http_client_check_at(struct http_client *client, uint64_t when);

/* session, for the client */
void http_errand_do(struct http_errand *errand); /* frees it, unless it is a session's own */
uint64_t http_session_check_times(struct http_session *s, uint64_t now); /* when to come again */
void http_session_pump(struct http_session *s);

/* session, for transfers: what comes from the server. Below zero: stop. */
enum { HTTP_STOP = -1, HTTP_PAUSE = -2 };
int http_request_header(struct http_request *r, const char *line, size_t n);
long http_request_body(struct http_request *r, const char *bytes, size_t n);
/* The next part of an upload: 0 at its end. */
long http_request_upload(struct http_request *r, char *to, size_t max);

struct http_outcome {
    uint64_t duration, bytes;
    bool ok; /* else the request's failure is set */
};
/* The exchange is over and its transfer gone. */
void http_request_done(struct http_request *r, const struct http_outcome *outcome);

/* messages */
/* A request for "http.request", checked but for its host; NULL: *failure says why. body is copied. */
struct http_request *http_request_read(struct http_session *s, uint32_t op, const json_value *header,
                                       const char *body, size_t body_n, struct http_failure *failure);
void http_request_free(struct http_request *r);
bool http_status_redirects(int status);
/* Prepares the next hop to where the answer says. Negative: the request's failure is set. */
int http_request_redirect(struct http_request *r);
int http_head_write(const struct http_request *r, struct buffer *to);
void http_failure_write(const struct http_failure *failure, struct buffer *to);

/* secrets */
/* Appends value with its tokens replaced; sets *ret_found if there were some. Negative: *failure is set. */
int http_secret_reveal(const struct http_session *s, const struct url *url, const char *value, struct buffer *to,
                       bool *ret_found, struct http_failure *failure);
bool http_secret_in(const struct http_session *s, const char *value);
/* In place. */
void http_secret_hide(const struct http_session *s, char *text, size_t n);
int http_mask_feed(const struct http_session *s, struct http_mask *mask, const char *bytes, size_t n,
                   struct buffer *to);
int http_mask_end(struct http_mask *mask, struct buffer *to);

/* transfers */
int http_transfers_new(const char *folder, struct http_transfers **ret, struct error *err);
/* After all requests are gone. */
void http_transfers_free(struct http_transfers *t);
/* May be called by any thread. */
void http_transfers_wake(struct http_transfers *t);
void http_transfers_wait(struct http_transfers *t, int timeout_ms);
/* Does what can be done without waiting; calls http_request_done for those that are over. */
void http_transfers_run(struct http_transfers *t);
bool http_transfers_full(const struct http_transfers *t);
/* One hop of r. Negative: its failure is set. */
int http_transfer_start(struct http_transfers *t, struct http_request *r);
/* Goes on after HTTP_PAUSE. May call http_request_body and http_request_upload before it returns. */
void http_transfer_resume(struct http_transfer *transfer);
/* Ends it without http_request_done; fills *outcome for the record. */
void http_transfer_drop(struct http_transfer *transfer, struct http_outcome *outcome);
/* "looking up its name", … */
const char *http_transfer_phase(const struct http_transfer *transfer);

#endif
