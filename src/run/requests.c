/* Sessions of src/net for tasks. */
#include "run/requests.h"
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
    if (t->closing) {
        free(reply);
    } else if (reply == NULL) {
        task_stop(t, OUTCOME_HOST_ERROR, "no memory for an HTTP response", true);
    } else if (sandbox_untaken(t->sandbox) + n > RUN_RESULTS_MAX) {
        free(reply);
        task_stop(t, OUTCOME_OUT_OF_MEMORY, "the HTTP responses that it hasn't taken are more than 1 GiB", true);
    } else {
        sandbox_complete(t->sandbox, op, reply, n);
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

static void on_record(void *user, const struct http_record *record) {
    struct task *t = user;
    pthread_mutex_lock(&t->run->lock);
    size_t before = t->requests.size;
    if (write_record(&t->requests, record) == 0) {
        t->requests_n++;
    } else {
        t->requests.size = before;
        t->requests_omitted++;
    }
    run_request_event(t->run, t, record);
    pthread_mutex_unlock(&t->run->lock);
}

void requests_hand_up(const struct task *t) {
    struct task *parent = t->parent;
    parent->requests_omitted += t->requests_omitted;
    if (t->requests.size == 0)
        return;
    size_t before = parent->requests.size;
    if ((before > 0 && buffer_putc(&parent->requests, ',') != 0) ||
        buffer_append(&parent->requests, t->requests.data, t->requests.size) != 0) {
        parent->requests.size = before;
        parent->requests_omitted += t->requests_n;
        return;
    }
    parent->requests_n += t->requests_n;
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

/* Why there can be no requests at all: libcurl isn't there, its thread can't be started. */
static int32_t tell_failure(struct task *t, uint32_t op, const struct error *err) {
    CLEANUP(buffer_done) struct buffer header = BUFFER_INIT(GUEST_HEADER_MAX);
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(GUEST_HEADER_MAX);
    buffer_printf(&text, err->hint[0] != '\0' ? "%s (%s)" : "%s", err->message, err->hint);
    buffer_puts(&header, "{\"ok\":false,\"error\":{\"type\":\"http_error\",\"kind\":\"internal\",\"message\":");
    json_write_string(&header, buffer_text(&text), text.size);
    if (buffer_puts(&header, "}}") != 0)
        return GUEST_E_TOO_MANY;
    on_reply(t, op, header.data, header.size, NULL, 0);
    return 0;
}

int32_t requests_submit(struct task *t, uint32_t op, const json_value *header, const char *body, size_t body_n) {
    struct error err = {0};
    if (t->http == NULL && open_session(t, &err) != 0)
        return tell_failure(t, op, &err);
    http_submit(t->http, op, header, body, body_n);
    return 0;
}
