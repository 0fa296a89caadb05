/* Owns sessions, and the life of a request in one.
 *
 *   queued → active → (a redirect: active again) → answered
 *                   → head told (a stream) → ended or failed → told
 *
 * A request holds one of its session's places from when it's active until the guest was told of its end: an answer, the end of a stream, or a
 * failure. An operation is answered exactly once; what a guest does to a request that is over is answered by "closed".
 *
 * Invariants: a request is in its session's buckets and in one of the two lists from its start to its end; r->transfer is set only while a hop is
 * under way. Thread rule: http_session_open, http_submit, http_cancel and http_session_close may be called by any thread and leave an errand for
 * the client's thread, which does everything else. */
#define _GNU_SOURCE 1
#include "net/http_internal.h"

#include "abi.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIRECT_BODY_MAX = 64 * 1024 };

/* --- answers --- */

static void reply(struct http_session *s, uint32_t op, const struct buffer *header, const char *body, size_t n) {
    static const char FALLBACK[] =
        "{\"ok\":false,\"error\":{\"type\":\"http_error\",\"kind\":\"internal\",\"message\":\"out of memory\"}}";
    if (header->size > 0)
        s->options.reply(s->options.user, op, header->data, header->size, body, n);
    else
        s->options.reply(s->options.user, op, FALLBACK, sizeof FALLBACK - 1, "", 0);
}

static void reply_failure(struct http_session *s, uint32_t op, const struct http_failure *failure) {
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(GUEST_HEADER_MAX);
    struct http_failure masked = *failure;
    http_secret_hide(s, masked.message, strlen(masked.message));
    http_failure_write(&masked, &header);
    reply(s, op, &header, "", 0);
}

static void reply_ok(struct http_session *s, uint32_t op) {
    static const char OK[] = "{\"ok\":true}";
    s->options.reply(s->options.user, op, OK, sizeof OK - 1, "", 0);
}

__attribute__((format(printf, 5, 6))) static void refuse(struct http_session *s, uint32_t op, const char *type,
                                                         const char *kind, const char *format, ...) {
    struct http_failure failure = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(failure.message, sizeof failure.message, format, args);
    va_end(args);
    failure.type = type;
    failure.kind = kind;
    reply_failure(s, op, &failure);
}

/* --- where requests are kept --- */

static struct http_requests *list_of(struct http_request *r) {
    return r->state == HTTP_QUEUED ? &r->session->queue : &r->session->active;
}

static void append(struct http_request *r) {
    struct http_requests *list = list_of(r);
    r->next = NULL;
    r->prev = list->last;
    if (list->last)
        list->last->next = r;
    else
        list->first = r;
    list->last = r;
    list->n++;
}

static void take_out(struct http_request *r) {
    struct http_requests *list = list_of(r);
    if (r->prev)
        r->prev->next = r->next;
    else
        list->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        list->last = r->prev;
    list->n--;
}

static struct http_request *find(const struct http_session *s, uint32_t op) {
    struct http_request *r = s->buckets[op % HTTP_BUCKETS];
    while (r && r->op != op)
        r = r->chain;
    return r;
}

static void end(struct http_request *r) {
    struct http_request **at = &r->session->buckets[r->op % HTTP_BUCKETS];
    while (*at != r)
        at = &(*at)->chain;
    *at = r->chain;
    take_out(r);
    http_client_due(r->session);
    http_request_free(r);
}

/* --- failing --- */

static void record(struct http_request *r, const struct http_outcome *outcome) {
    struct http_record told = {.method = r->method,
                               .url = r->masked,
                               .status = r->status,
                               .duration = outcome->duration,
                               .bytes = outcome->bytes};
    r->session->options.record(r->session->options.user, &told);
}

static void drop_transfer(struct http_request *r) {
    if (!r->transfer)
        return;
    struct http_outcome outcome;
    http_transfer_drop(r->transfer, &outcome);
    record(r, &outcome);
}

/* Tells the guest of r->failure, now or when it asks; r may be gone afterwards. */
static void fail(struct http_request *r) {
    struct http_session *s = r->session;
    uint32_t ops[] = {r->head_told ? 0 : r->op, r->read_op, r->write_op};
    bool told = false;
    drop_transfer(r);
    r->read_op = r->write_op = 0;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i]) {
            reply_failure(s, ops[i], &r->failure);
            told = true;
        }
    if (told) {
        end(r);
        return;
    }
    r->state = HTTP_FAILED; /* what arrived before can still be read */
    r->last_byte = clock_monotonic_ns();
}

/* --- limits --- */

static void fail_total(const struct http_session *s, struct http_failure *failure) {
    http_fail(failure, "http_error", "limit",
              "this task has sent and received more than %llu bytes (raise max_total_bytes under [http] in "
              "capsule.toml)",
              (unsigned long long)s->options.limits.total);
}

/* Bodies that wait for their turn take the host's memory, so they count before they're sent. */
static bool may_submit(struct http_session *s, size_t n) {
    return atomic_fetch_add(&s->submitted, n) + n <= s->options.limits.total;
}

static int spend(struct http_request *r, uint64_t bytes) {
    struct http_session *s = r->session;
    s->total += bytes;
    r->last_byte = clock_monotonic_ns();
    if (s->total <= s->options.limits.total)
        return 0;
    fail_total(s, &r->failure);
    return HTTP_STOP;
}

static uint32_t idle_ms(const struct http_request *r) {
    return r->session->options.limits.idle_ms;
}

static void fail_time(struct http_request *r) {
    if (r->timeout && r->deadline <= clock_monotonic_ns())
        http_fail(&r->failure, "http_error", "timeout",
                  "the request to %s took longer than its %llu ms: it was %s", r->url.host,
                  (unsigned long long)r->timeout, http_transfer_phase(r->transfer));
    else
        http_fail(&r->failure, "http_error", "timeout", "nothing came from %s or went to it for %g s: it was %s",
                  r->url.host, idle_ms(r) / 1e3, http_transfer_phase(r->transfer));
}

static uint64_t due_time(const struct http_request *r) {
    uint64_t idle = r->state == HTTP_QUEUED ? UINT64_MAX : r->last_byte + idle_ms(r) * NS_PER_MS;
    bool over = r->state == HTTP_ENDED || r->state == HTTP_FAILED;
    return !over && r->deadline && r->deadline < idle ? r->deadline : idle;
}

static uint64_t check_list(struct http_requests *list, uint64_t now) {
    uint64_t again = UINT64_MAX;
    for (struct http_request *next, *r = list->first; r; r = next) {
        next = r->next;
        uint64_t due = due_time(r);
        if (due > now) {
            again = due < again ? due : again;
        } else if (r->state == HTTP_ENDED || r->state == HTTP_FAILED) {
            end(r); /* nobody has asked for the rest in all this time */
        } else {
            fail_time(r);
            fail(r);
        }
    }
    return again;
}

uint64_t http_session_check_times(struct http_session *s, uint64_t now) {
    uint64_t queued = check_list(&s->queue, now), active = check_list(&s->active, now);
    return queued < active ? queued : active;
}

/* --- hops --- */

static int check_hop(struct http_request *r) {
    struct error err = {0};
    if (egress_check_host(&r->session->options.rules, r->url.host, r->url.port, &err)) {
        if (r->hops > 0)
            error_prefix(&err, "a redirect");
        http_fail_error(&r->failure, "policy", "policy", &err);
        return -1;
    }
    return spend(r, r->headers.text.size + r->body.size);
}

/* Starts what r's URL now says. */
static void launch(struct http_request *r) {
    r->status = 0;
    r->head_done = r->following = false;
    r->header_bytes = r->body_bytes = 0;
    http_headers_clear(&r->answer);
    if (check_hop(r) || http_transfer_start(r->session->client->transfers, r))
        fail(r);
    else
        http_client_check_at(r->session->client, due_time(r));
}

void http_session_pump(struct http_session *s) {
    while (s->queue.first && s->active.n < s->options.limits.requests) {
        if (http_transfers_full(s->client->transfers)) {
            s->client->held = true;
            return;
        }
        struct http_request *r = s->queue.first;
        take_out(r);
        r->state = HTTP_ACTIVE;
        append(r);
        launch(r);
    }
}

/* --- what comes from the server --- */

static void tell_head(struct http_request *r) {
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(GUEST_HEADER_MAX);
    int status = http_head_write(r, &header);
    const char *body = r->stream ? "" : buffer_text(&r->arrived);
    if (status == ERROR_LIMIT) {
        refuse(r->session, r->op, "http_error", "too_large",
               "the headers of the response don't fit a message of %d bytes", GUEST_HEADER_MAX);
    } else {
        if (status)
            buffer_clear(&header);
        reply(r->session, r->op, &header, body, r->stream ? 0 : r->arrived.size);
    }
    r->head_told = true;
}

/* A body of so few bytes that the guest rather has it with the head. Of a compressed one nobody knows the length. */
static bool comes_whole(const struct http_request *r) {
    const char *length = http_headers_get(&r->answer, "Content-Length");
    char *end;
    if (r->whole == 0 || !length || !length[0] || http_headers_get(&r->answer, "Content-Encoding"))
        return false;
    unsigned long long n = strtoull(length, &end, 10);
    return *end == '\0' && n <= r->whole;
}

static int end_of_head(struct http_request *r) {
    if (r->status < 200) /* informational: another head follows */
        return 0;
    r->head_done = true;
    r->following =
        r->redirects > 0 && http_status_redirects(r->status) && http_headers_get(&r->answer, "Location");
    if (!r->following && comes_whole(r))
        r->stream = false;
    if (r->stream && !r->following)
        tell_head(r);
    return 0;
}

static int status_line(struct http_request *r, const char *line, size_t n) {
    const char *space = memchr(line, ' ', n);
    http_headers_clear(&r->answer);
    r->status = 0;
    for (const char *p = space ? space + 1 : line + n; p < line + n && *p >= '0' && *p <= '9' && r->status < 1000;
         p++)
        r->status = r->status * 10 + (*p - '0');
    if (r->status >= 100 && r->status <= 999)
        return 0;
    http_fail(&r->failure, "http_error", "protocol", "%s answered without a status", r->url.host);
    return HTTP_STOP;
}

/* RFC 9112 §6.3: whoever sends two lengths may mean to hide one of two responses. */
static bool is_other_length(const struct http_request *r, const char *name, size_t name_n, const char *value,
                            size_t n) {
    static const char LENGTH[] = "Content-Length";
    if (name_n != sizeof LENGTH - 1 || strncasecmp(name, LENGTH, name_n) != 0)
        return false;
    const char *before = http_headers_get(&r->answer, LENGTH);
    return before && (strlen(before) != n || memcmp(before, value, n) != 0);
}

static int field_line(struct http_request *r, const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    if (!colon || memchr(line, '\0', n)) {
        http_fail(&r->failure, "http_error", "protocol", "%s sent a header that isn't one", r->url.host);
        return HTTP_STOP;
    }
    size_t name = (size_t)(colon - line), at = name + 1;
    while (at < n && (line[at] == ' ' || line[at] == '\t'))
        at++;
    while (n > at && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    if (is_other_length(r, line, name, line + at, n - at)) {
        http_fail(&r->failure, "http_error", "protocol", "%s announced two lengths of one response", r->url.host);
        return HTTP_STOP;
    }
    if (http_headers_add(&r->answer, line, name, line + at, n - at) == 0)
        return 0;
    http_fail_memory(&r->failure);
    return HTTP_STOP;
}

int http_request_header(struct http_request *r, const char *line, size_t n) {
    uint64_t max = r->session->options.limits.headers;
    r->header_bytes += n;
    if (r->header_bytes > max) {
        http_fail(&r->failure, "http_error", "too_large",
                  "the response of %s has headers of more than %llu bytes (raise max_header_size under [http] in "
                  "capsule.toml)",
                  r->url.host, (unsigned long long)max);
        return HTTP_STOP;
    }
    if (spend(r, n))
        return HTTP_STOP;
    if (r->head_done) /* trailers */
        return 0;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    if (n == 0)
        return end_of_head(r);
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
        return status_line(r, line, n);
    if (r->answer.n == HTTP_HEADERS_MAX) {
        http_fail(&r->failure, "http_error", "too_large", "the response of %s has more than %d headers",
                  r->url.host, HTTP_HEADERS_MAX);
        return HTTP_STOP;
    }
    return field_line(r, line, n);
}

static size_t unread(const struct http_request *r) {
    return r->arrived.size - r->read_at;
}

static void drop_read(struct http_request *r) {
    if (r->read_at == r->arrived.size) {
        buffer_clear(&r->arrived);
        r->read_at = 0;
    } else if (r->read_at >= HTTP_UNREAD_MAX) {
        memmove(r->arrived.data, r->arrived.data + r->read_at, unread(r));
        r->arrived.size -= r->read_at;
        r->read_at = 0;
    }
}

/* Answers the read that's waiting, if it can be; true: r is gone. */
static bool serve_read(struct http_request *r) {
    bool over = r->state == HTTP_ENDED;
    size_t n = unread(r) < r->read_max ? unread(r) : r->read_max;
    if (!r->read_op || (n == 0 && !over))
        return false;
    bool last = over && n == unread(r);
    const char *header = last ? "{\"ok\":true,\"end\":true}" : "{\"ok\":true,\"end\":false}";
    uint32_t op = r->read_op;
    r->read_op = 0;
    r->last_byte = clock_monotonic_ns();
    r->session->options.reply(r->session->options.user, op, header, strlen(header),
                              buffer_text(&r->arrived) + r->read_at, n);
    r->read_at += n;
    if (last) {
        end(r);
        return true;
    }
    drop_read(r);
    return false;
}

static int check_size(struct http_request *r) {
    uint64_t max = r->session->options.limits.response;
    if (r->body_bytes > max)
        http_fail(
            &r->failure, "http_error", "too_large",
            "the response of %s is larger than %llu bytes (raise max_response_size under [http] in capsule.toml)",
            r->url.host, (unsigned long long)max);
    else if (!r->stream && r->body_bytes > r->arrived.max)
        http_fail(&r->failure, "http_error", "too_large",
                  "the response of %s is larger than the %zu bytes that a task can be given at once: read it as a "
                  "stream",
                  r->url.host, r->arrived.max);
    return r->failure.type ? HTTP_STOP : 0;
}

long http_request_body(struct http_request *r, const char *bytes, size_t n) {
    if (r->stream && !r->following && unread(r) >= HTTP_UNREAD_MAX) {
        r->paused = true;
        return HTTP_PAUSE;
    }
    r->body_bytes += n;
    if (spend(r, n))
        return HTTP_STOP;
    if (r->following)
        return r->body_bytes > REDIRECT_BODY_MAX ? HTTP_STOP : (long)n;
    if (check_size(r))
        return HTTP_STOP;
    if (http_mask_feed(r->session, &r->mask, bytes, n, &r->arrived)) {
        http_fail_memory(&r->failure);
        return HTTP_STOP;
    }
    (void)serve_read(r); /* r stays: it hasn't ended */
    return (long)n;
}

long http_request_upload(struct http_request *r, char *to, size_t max) {
    size_t n = r->chunk.size - r->chunk_at;
    if (n == 0 && r->write_ended)
        return 0;
    if (n == 0) {
        r->starved = true;
        return HTTP_PAUSE;
    }
    n = n < max ? n : max;
    memcpy(to, r->chunk.data + r->chunk_at, n);
    r->chunk_at += n;
    if (spend(r, n))
        return HTTP_STOP;
    if (r->chunk_at < r->chunk.size)
        return (long)n;
    buffer_done(&r->chunk);
    r->chunk_at = 0;
    r->write_ended = r->write_end;
    uint32_t op = r->write_op;
    r->write_op = 0;
    reply_ok(r->session, op);
    return (long)n;
}

static void finish(struct http_request *r) {
    if (http_mask_end(&r->mask, &r->arrived)) {
        http_fail_memory(&r->failure);
        fail(r);
        return;
    }
    if (r->write_op) {
        uint32_t op = r->write_op;
        r->write_op = 0;
        refuse(r->session, op, "http_error", "closed", "%s answered without waiting for the rest of the body",
               r->url.host);
    }
    if (r->head_told) {
        r->state = HTTP_ENDED;
        (void)serve_read(r);
        return;
    }
    r->stream = false; /* it never had a head of its own: an empty answer */
    tell_head(r);
    end(r);
}

void http_request_done(struct http_request *r, const struct http_outcome *outcome) {
    record(r, outcome);
    if (outcome->ok && !r->following)
        finish(r);
    else if (outcome->ok && http_request_redirect(r) == 0)
        launch(r);
    else
        fail(r);
}

/* --- what guests and sessions want --- */

static void do_start(struct http_errand *errand) {
    struct http_session *s = errand->session;
    struct http_request *r = errand->request;
    bool twice = find(s, r->op) != NULL; /* numbers come round */
    if (s->queue.n >= HTTP_QUEUE_MAX || twice) {
        http_request_free(r);
        if (twice)
            refuse(s, errand->op, "http_error", "limit", "a stream of the same number is still open");
        else
            refuse(s, errand->op, "http_error", "limit", "more than %d requests wait for their turn",
                   HTTP_QUEUE_MAX);
        return;
    }
    r->chain = s->buckets[r->op % HTTP_BUCKETS];
    s->buckets[r->op % HTTP_BUCKETS] = r;
    append(r);
    http_client_know(s);
    http_client_due(s);
    http_client_check_at(s->client, due_time(r));
}

/* The request that a read or write is about, unless that's answered by its failure. */
static struct http_request *target(const struct http_errand *errand) {
    struct http_request *r = find(errand->session, errand->target);
    if (!r) {
        refuse(errand->session, errand->op, "bad_input", "closed",
               "request %u isn't open: it has ended or was closed", errand->target);
        return NULL;
    }
    if (r->state != HTTP_FAILED || (errand->command == HTTP_READ && unread(r) > 0))
        return r;
    reply_failure(errand->session, errand->op, &r->failure);
    end(r);
    return NULL;
}

static void do_read(struct http_errand *errand) {
    struct http_request *r = target(errand);
    if (!r)
        return;
    if (!r->stream || r->read_op || errand->max == 0) {
        refuse(errand->session, errand->op, "bad_input", "closed", "%s",
               !r->stream    ? "the request isn't read as a stream"
               : errand->max ? "another read of this request is under way"
                             : "a read of no bytes");
        return;
    }
    r->read_op = errand->op;
    r->read_max = errand->max;
    if (serve_read(r) || !r->transfer || !r->paused || unread(r) >= HTTP_UNREAD_MAX)
        return;
    r->paused = false;
    http_transfer_resume(r->transfer);
}

/* NULL: the part may be written. */
static const char *why_no_write(const struct http_request *r, const struct http_errand *errand) {
    uint64_t written;
    if (!r->upload)
        return "the request has no body that is written in parts";
    if (r->write_op)
        return "another write to this request is under way";
    if (r->write_ended || r->state == HTTP_ENDED)
        return "the body has ended";
    if (__builtin_add_overflow(r->written, errand->body.size, &written) || (r->has_length && written > r->length))
        return "the body is longer than the length that was announced";
    if (r->has_length && errand->end && written < r->length)
        return "the body is shorter than the length that was announced";
    return NULL;
}

static void do_write(struct http_errand *errand) {
    struct http_request *r = target(errand);
    if (!r)
        return;
    const char *why = why_no_write(r, errand);
    if (why) {
        refuse(errand->session, errand->op, "bad_input", "length", "%s", why);
        return;
    }
    r->written += errand->body.size;
    if (errand->body.size > 0) {
        buffer_done(&r->chunk);
        r->chunk = errand->body;
        errand->body = BUFFER_INIT(0);
        r->write_op = errand->op;
        r->write_end = errand->end;
    } else {
        r->write_ended = errand->end;
        reply_ok(errand->session, errand->op);
    }
    if (r->transfer && r->starved && (r->write_op || r->write_ended)) {
        r->starved = false;
        http_transfer_resume(r->transfer);
    }
}

static void do_close(struct http_errand *errand) {
    struct http_request *r = find(errand->session, errand->target);
    if (r && r->state != HTTP_FAILED && (!r->head_told || r->read_op || r->write_op)) {
        http_fail(&r->failure, "cancelled", "cancelled", "the request was closed");
        fail(r);
    } else if (r) {
        drop_transfer(r);
        end(r);
    }
    reply_ok(errand->session, errand->op);
}

/* A read or write that's under way. */
static struct http_request *find_part(const struct http_session *s, uint32_t op) {
    struct http_request *r = s->active.first;
    while (r && r->read_op != op && r->write_op != op)
        r = r->next;
    for (r = r ? r : s->queue.first; r && r->read_op != op && r->write_op != op;)
        r = r->next;
    return r;
}

static void do_cancel(struct http_errand *errand) {
    struct http_session *s = errand->session;
    struct http_request *r = find(s, errand->op);
    if (r && r->head_told)
        return;                /* answered */
    if (!r && errand->op != 0) /* 0 stands for no read, no write */
        r = find_part(s, errand->op);
    if (!r)
        return;
    if (r->read_op == errand->op) {
        r->read_op = 0; /* the rest can still be read */
        refuse(s, errand->op, "cancelled", "cancelled", "the read was cancelled");
        return;
    }
    http_fail(&r->failure, "cancelled", "cancelled", "the request to %s was cancelled", r->url.host);
    fail(r);
}

static void end_all(struct http_requests *list) {
    while (list->first) {
        drop_transfer(list->first);
        end(list->first);
    }
}

static void do_release(struct http_session *s) {
    end_all(&s->queue);
    end_all(&s->active);
    http_client_forget(s);
    s->options.released(s->options.user);
    free(s);
}

void http_errand_do(struct http_errand *errand) {
    switch (errand->command) {
    case HTTP_START:
        do_start(errand);
        break;
    case HTTP_READ:
        do_read(errand);
        break;
    case HTTP_WRITE:
        do_write(errand);
        break;
    case HTTP_CLOSE:
        do_close(errand);
        break;
    case HTTP_CANCEL:
        do_cancel(errand);
        break;
    case HTTP_RELEASE:
        do_release(errand->session);
        return; /* the errand was the session's own */
    }
    buffer_done(&errand->body);
    free(errand);
}

/* --- from other threads --- */

int http_session_open(struct http_client *client, const struct http_session_options *options,
                      struct http_session **ret, struct error *err) {
    struct http_session *s = FAULT("http.session") ? NULL : calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERROR_NOMEM, "out of memory while preparing for HTTP");
    int status = http_client_ensure(client, err);
    if (status) {
        free(s);
        return status;
    }
    s->client = client;
    s->options = *options;
    if (s->options.limits.requests == 0)
        s->options.limits.requests = HTTP_REQUESTS_DEFAULT;
    if (s->options.limits.idle_ms == 0)
        s->options.limits.idle_ms = HTTP_IDLE_TIMEOUT_MS;
    *ret = s;
    return 0;
}

static struct http_errand *new_errand(struct http_session *s, enum http_command command, uint32_t op) {
    struct http_errand *errand = FAULT("http.errand") ? NULL : calloc(1, sizeof *errand);
    if (errand) {
        errand->session = s;
        errand->command = command;
        errand->op = op;
    }
    return errand;
}

static int fill_part(struct http_errand *errand, const json_value *header, const char *body, size_t n,
                     struct http_failure *failure) {
    uint64_t request = 0, max = 0;
    if (!json_u64(json_get(header, "request"), &request) || request > UINT32_MAX ||
        (errand->command == HTTP_READ && !json_u64(json_get(header, "max"), &max))) {
        http_fail(failure, "bad_input", "closed", "the operation doesn't say which request it's about");
        return -1;
    }
    errand->target = (uint32_t)request;
    errand->max = max < GUEST_MESSAGE_MAX - GUEST_HEADER_MAX ? (size_t)max : GUEST_MESSAGE_MAX - GUEST_HEADER_MAX;
    errand->end = json_bool(json_get(header, "end"), false);
    errand->body.max = GUEST_MESSAGE_MAX;
    if (errand->command != HTTP_WRITE || buffer_append(&errand->body, body, n) == 0)
        return 0;
    http_fail_memory(failure);
    return -1;
}

static int fill(struct http_errand *errand, const json_value *header, const char *body, size_t n,
                struct http_failure *failure) {
    if (errand->command != HTTP_START)
        return fill_part(errand, header, body, n, failure);
    errand->request = http_request_read(errand->session, errand->op, header, body, n, failure);
    return errand->request ? 0 : -1;
}

void http_submit(struct http_session *s, uint32_t op, const json_value *header, const char *body, size_t n) {
    static const char *const KINDS[] = {"http.request", "http.read", "http.write", "http.close"};
    const char *kind = json_text(json_get(header, "op"), "");
    struct http_failure failure = {0};
    size_t command = 0;
    while (command < 4 && strcmp(kind, KINDS[command]) != 0)
        command++;
    if (command == 4) {
        refuse(s, op, "bad_input", "internal", "there is no operation \"%s\"", show(kind).text);
        return;
    }
    if (!may_submit(s, n)) {
        fail_total(s, &failure);
        reply_failure(s, op, &failure);
        return;
    }
    struct http_errand *errand = new_errand(s, (enum http_command)command, op);
    if (!errand) {
        http_fail_memory(&failure);
        reply_failure(s, op, &failure);
    } else if (fill(errand, header, body, n, &failure)) {
        buffer_done(&errand->body);
        free(errand);
        reply_failure(s, op, &failure);
    } else {
        http_client_send(s->client, errand);
    }
}

void http_cancel(struct http_session *s, uint32_t op) {
    struct http_errand *errand = calloc(1, sizeof *errand);
    if (!errand)
        return; /* it ends by itself, by its time-outs at the latest */
    errand->session = s;
    errand->command = HTTP_CANCEL;
    errand->op = op;
    http_client_send(s->client, errand);
}

void http_session_close(struct http_session *s) {
    s->release.command = HTTP_RELEASE;
    s->release.session = s;
    http_client_send(s->client, &s->release);
}
