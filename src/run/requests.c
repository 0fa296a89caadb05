/* Sessions of src/net for tasks. */
#include "run/requests.h"
#include "base/fault.h"
#include "guest/abi.h"
#include "run/run.h"
#include "run/runtime.h"
#include "run/task.h"
#include "sandbox/operation.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- called back by src/net ---- */

static void on_reply(void *user, uint32_t op, const char *header, size_t header_n, const char *body,
                     size_t body_n) {
    struct task *t = user;
    size_t n = 0;
    char *reply = message_new(header, header_n, body, body_n, &n);
    pthread_mutex_lock(&t->run->lock);
    t->http_open--;
    if (t->closing) {
        free(reply);
    } else {
        if (reply != NULL)
            record_reply(t, op, reply, n);
        record_deliver(t, op, reply, n);
        task_go_on(t, false);
    }
    pthread_mutex_unlock(&t->run->lock);
}

static int write_record(struct buffer *to, const struct http_record *record) {
    uint64_t us = record->duration / 1000;
    int r = buffer_puts(to, to->size == 0 ? "{\"method\":" : ",{\"method\":");
    if (r == 0)
        r = json_write_string(to, record->method, strlen(record->method));
    if (r == 0)
        r = buffer_puts(to, ",\"url\":");
    if (r == 0)
        r = json_write_string(to, record->url, strlen(record->url));
    return r != 0
               ? r
               : buffer_printf(to,
                               ",\"status\":%d,\"duration_ms\":%" PRIu64 ".%03" PRIu64 ",\"bytes\":%" PRIu64 "}",
                               record->status, us / 1000, us % 1000, record->bytes);
}

static void keep_record(struct task *t, const struct http_record *record) {
    size_t before = t->requests.size;
    if (write_record(&t->requests, record) == 0) {
        t->requests_n++;
    } else {
        t->requests.size = before;
        t->requests_omitted++;
    }
}

void requests_restore(struct task *t, const struct history_task *past) {
    for (const struct history_request *r = past->made; r != NULL; r = r->next) {
        struct http_record record = {.method = r->method,
                                     .url = r->method + strlen(r->method) + 1,
                                     .status = (int)r->status,
                                     .duration = r->duration,
                                     .bytes = r->bytes};
        keep_record(t, &record);
    }
}

static void on_record(void *user, const struct http_record *record) {
    struct task *t = user;
    pthread_mutex_lock(&t->run->lock);
    keep_record(t, record);
    record_request(t, record);
    run_request_event(t->run, t, record);
    pthread_mutex_unlock(&t->run->lock);
}

/* Adds n records, written as in "host_requests", to the caller's list. */
static void hand_up(struct task *parent, const char *records, size_t size, uint32_t n) {
    if (size == 0)
        return;
    size_t before = parent->requests.size;
    if ((before > 0 && buffer_putc(&parent->requests, ',') != 0) ||
        buffer_append(&parent->requests, records, size) != 0) {
        parent->requests.size = before;
        parent->requests_omitted += n;
        return;
    }
    parent->requests_n += n;
}

void requests_hand_up(const struct task *t) {
    t->parent->requests_omitted += t->requests_omitted;
    hand_up(t->parent, t->requests.data, t->requests.size, t->requests_n);
}

void requests_take_over(struct task *t, const char *requests) {
    static const char beginning[] = "{\"method\":"; /* nowhere else: inside of strings quotes are escaped */
    uint32_t n = 0;
    for (const char *at = requests; (at = strstr(at, beginning)) != NULL; at++)
        n++;
    hand_up(t, requests, strlen(requests), n);
}

static void on_released(void *user) {
    struct task *t = user;
    struct capsule_run *run = t->run; /* which is alive as long as the task is, which the lock says */
    pthread_mutex_lock(&run->lock);
    t->http = NULL;
    task_go_on(t, false);
    pthread_mutex_unlock(&run->lock);
}

/* ---- called by guests ---- */

static int open_session(struct task *t, struct error *err) {
    const struct app_task *d = t->definition;
    struct http_client *client;
    int r = runtime_http(t->run->app->runtime, &client, err);
    struct http_session_options options = {.rules = {.listed = d->policy.hosts_listed,
                                                     .public_only = d->policy.hosts_public_only,
                                                     .hosts = d->policy.hosts.items,
                                                     .hosts_n = d->policy.hosts.n},
                                           .secrets = d->secrets,
                                           .secrets_n = d->secrets_n,
                                           .limits = t->run->app->http_limits,
                                           .reply = on_reply,
                                           .record = on_record,
                                           .released = on_released,
                                           .user = t};
    return r == 0 ? http_session_open(client, &options, &t->http, err) : r;
}

/* Answers without src/net. */
static void answer(struct task *t, uint32_t op, const char *header) {
    pthread_mutex_lock(&t->run->lock);
    t->http_open++;
    pthread_mutex_unlock(&t->run->lock);
    on_reply(t, op, header, strlen(header), NULL, 0);
}

/* Why there can be no requests at all: libcurl isn't there, its thread can't be started. */
static int32_t tell_failure(struct task *t, uint32_t op, const struct error *err) {
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(GUEST_HEADER_MAX);
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(GUEST_HEADER_MAX);
    buffer_printf(&text, err->hint[0] != '\0' ? "%s (%s)" : "%s", err->message, err->hint);
    buffer_puts(&header, "{\"ok\":false,\"error\":{\"type\":\"http_error\",\"kind\":\"internal\",\"message\":");
    json_write_string(&header, buffer_text(&text), text.size);
    if (buffer_puts(&header, "}}") != 0)
        return GUEST_E_TOO_MANY;
    answer(t, op, buffer_text(&header));
    return 0;
}

/* An operation that waits for the record. */
struct send {
    struct send *next;
    uint64_t position;
    uint32_t op;
    char *header; /* JSON */
    struct buffer body;
};

static void send_free(struct send *s) {
    free(s->header);
    buffer_done(&s->body);
    free(s);
}

static struct send *send_new(uint32_t op, const json_value *header, const char *body, size_t body_n) {
    struct send *s = FAULT("requests.alloc") ? NULL : calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    struct buffer text = BUFFER_INIT(GUEST_HEADER_MAX * 2);
    s->op = op;
    s->body = BUFFER_INIT(GUEST_MESSAGE_MAX);
    bool kept = json_write(header, &text) == 0 && buffer_append(&s->body, body, body_n) == 0;
    s->header = buffer_take(&text);
    if (kept && s->header != NULL)
        return s;
    send_free(s);
    return NULL;
}

static void submit(struct task *t, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    pthread_mutex_lock(&t->run->lock);
    t->http_open++;
    pthread_mutex_unlock(&t->run->lock);
    http_submit(t->http, op, header, body, body_n);
}

/* Whether it must wait behind others, or for the record; it's queued then. False if there's no memory for that. */
static bool queue_send(struct task *t, uint32_t op, bool effect, const json_value *header, const char *body,
                       size_t body_n, bool *ret_queued) {
    struct capsule_run *run = t->run;
    bool kept = true;
    pthread_mutex_lock(&run->lock);
    bool waits = (effect && !record_reached(t)) || t->sends != NULL;
    if (waits) {
        struct send *s = send_new(op, header, body, body_n);
        kept = s != NULL;
        if (kept) {
            s->position = effect ? run->record.appended : 0;
            *(t->sends == NULL ? &t->sends : &t->sends_last->next) = s;
            t->sends_last = s;
        }
    }
    pthread_mutex_unlock(&run->lock);
    *ret_queued = waits;
    return kept;
}

static const char LOST[] = "{\"ok\":false,\"error\":{\"type\":\"http_error\",\"kind\":\"connection\",\"message\":"
                           "\"the response was being read when its run was "
                           "interrupted, and can't be read on\"}}";

/* Whether an operation is about a request of a process that's gone. */
static bool is_of_the_past(const struct task *t, const json_value *header) {
    const struct history *h = t->run->record.history;
    uint64_t request;
    return h != NULL && json_u64(json_get(header, "request"), &request) && request <= UINT32_MAX &&
           history_reply(h, t->id, t->attempt, (uint32_t)request) != NULL;
}

int32_t requests_submit(struct task *t, uint32_t op, int operation, const json_value *header, const char *body,
                        size_t body_n) {
    struct error err = {0};
    bool effect = operation == OPERATION_HTTP_REQUEST || operation == OPERATION_HTTP_WRITE, queued = false;
    if (operation != OPERATION_HTTP_REQUEST && is_of_the_past(t, header)) {
        answer(t, op, operation == OPERATION_HTTP_CLOSE ? "{\"ok\":true}" : LOST);
        return 0;
    }
    if (t->http == NULL && open_session(t, &err) != 0)
        return tell_failure(t, op, &err);
    if (!queue_send(t, op, effect, header, body, body_n, &queued))
        return GUEST_E_TOO_MANY;
    if (!queued)
        submit(t, op, header, body, body_n);
    return 0;
}

bool requests_due(const struct task *t) {
    const struct record *r = &t->run->record;
    return t->sends != NULL && !r->muted && journal_committed(r->run) >= t->sends->position;
}

/* Takes the first one if it's due. */
static struct send *take_due(struct task *t) {
    pthread_mutex_lock(&t->run->lock);
    struct send *s = requests_due(t) ? t->sends : NULL;
    if (s != NULL)
        t->sends = s->next;
    pthread_mutex_unlock(&t->run->lock);
    return s;
}

void requests_send(struct task *t) {
    for (struct send *s; (s = take_due(t)) != NULL; send_free(s)) {
        CLEANUP(json_cleanup) struct json_document *header = NULL;
        if (json_parse(s->header, strlen(s->header), &header, NULL) == 0)
            submit(t, s->op, json_root(header), buffer_text(&s->body), s->body.size);
        else
            answer(t, s->op,
                   "{\"ok\":false,\"error\":{\"type\":\"http_error\",\"kind\":\"internal\",\"message\":\"out of "
                   "memory\"}}");
    }
}

void requests_cancel(struct task *t, uint32_t op) {
    pthread_mutex_lock(&t->run->lock);
    struct send **at = &t->sends, *s;
    while ((s = *at) != NULL && s->op != op)
        at = &s->next;
    if (s != NULL) {
        *at = s->next;
        t->sends_last = t->sends;
        while (t->sends_last != NULL && t->sends_last->next != NULL)
            t->sends_last = t->sends_last->next;
    }
    pthread_mutex_unlock(&t->run->lock);
    if (s != NULL)
        answer(t, op,
               "{\"ok\":false,\"error\":{\"type\":\"cancelled\",\"kind\":\"cancelled\",\"message\":\"the request "
               "was cancelled\"}}");
    else if (t->http != NULL)
        http_cancel(t->http, op);
    if (s != NULL)
        send_free(s);
}

void requests_drop(struct task *t) {
    for (struct send *s; (s = t->sends) != NULL; send_free(s))
        t->sends = s->next;
}
