/* Owns the form of messages: what a guest asks for, checked before anything else sees it, and what it's told.
 *
 * Nothing that a guest writes reaches the wire unchecked: methods and header names are tokens (RFC 9110 §5.6.2), header values have no control
 * characters but the tab, and what frames or routes a message (Host, Content-Length, Transfer-Encoding, …) is libcurl's alone.
 * Thread rule: pure but for the request that they're given. */
#define _GNU_SOURCE 1
#include "net/http_internal.h"

#include "abi.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/show.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- failures --- */

void http_fail(struct http_failure *f, const char *type, const char *kind, const char *format, ...) {
    if (f->type)
        return;
    f->type = type;
    f->kind = kind;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
    if (n >= (int)sizeof f->message)
        f->message[utf8_cut(f->message, sizeof f->message - 1, sizeof f->message - 1)] = '\0';
}

void http_fail_error(struct http_failure *f, const char *type, const char *kind, const struct error *err) {
    if (err->code == ERROR_NOMEM)
        http_fail_memory(f);
    else if (err->hint[0])
        http_fail(f, type, kind, "%s (%s)", err->message, err->hint);
    else
        http_fail(f, type, kind, "%s", err->message);
}

void http_fail_memory(struct http_failure *f) {
    http_fail(f, "http_error", "internal", "out of memory");
}

void http_failure_write(const struct http_failure *f, struct buffer *to) {
    int status = buffer_printf(
        to, "{\"ok\":false,\"error\":{\"type\":\"%s\",\"kind\":\"%s\",\"message\":", f->type, f->kind);
    if (status == 0)
        status = json_write_string(to, f->message, strlen(f->message));
    if (status == 0)
        status = buffer_puts(to, "}}");
    if (status)
        buffer_clear(to);
}

/* --- headers --- */

int http_headers_add(struct http_headers *h, const char *name, size_t name_n, const char *value, size_t value_n) {
    size_t before = h->text.size;
    int status = buffer_append(&h->text, name, name_n);
    if (status == 0)
        status = buffer_putc(&h->text, '\0');
    if (status == 0)
        status = buffer_append(&h->text, value, value_n);
    if (status == 0)
        status = buffer_putc(&h->text, '\0');
    if (status)
        h->text.size = before;
    else
        h->n++;
    return status;
}

bool http_headers_next(const struct http_headers *h, size_t *cursor, const char **ret_name,
                       const char **ret_value) {
    if (*cursor >= h->text.size)
        return false;
    *ret_name = h->text.data + *cursor;
    *ret_value = *ret_name + strlen(*ret_name) + 1;
    *cursor = (size_t)(*ret_value + strlen(*ret_value) + 1 - h->text.data);
    return true;
}

const char *http_headers_get(const struct http_headers *h, const char *name) {
    size_t cursor = 0;
    for (const char *key, *value; http_headers_next(h, &cursor, &key, &value);)
        if (strcasecmp(key, name) == 0)
            return value;
    return NULL;
}

void http_headers_clear(struct http_headers *h) {
    buffer_clear(&h->text);
    h->n = 0;
}

void http_headers_done(struct http_headers *h) {
    buffer_done(&h->text);
    h->n = 0;
}

static bool is_token(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return n > 0;
}

static bool is_header_value(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

/* --- what a guest asks for --- */

static const char *why_refused(const char *name) {
    static const struct {
        const char *name, *why;
    } REFUSED[] = {
        {"Host", "it's the host of the URL"},
        {"Connection", "connections are kept and shared by the host"},
        {"Keep-Alive", "connections are kept and shared by the host"},
        {"Transfer-Encoding", "the body's framing is the host's work"},
        {"TE", "the body's framing is the host's work"},
        {"Trailer", "the body's framing is the host's work"},
        {"Upgrade", "there's no other protocol than HTTP"},
        {"HTTP2-Settings", "there's no other protocol than HTTP"},
        {"Expect", "the body is always sent with the request"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++)
        if (strcasecmp(name, REFUSED[i].name) == 0)
            return REFUSED[i].why;
    return strncasecmp(name, "Proxy-", 6) == 0 ? "there is no proxy" : NULL;
}

/* Content-Length is libcurl's to write; a guest may repeat it, not contradict it. */
static bool is_own_length(const struct http_request *r, const char *value) {
    char expected[32];
    if (r->upload && !r->has_length)
        return false;
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)(r->upload ? r->length : r->body.size));
    return strcmp(value, expected) == 0;
}

/* gzip and deflate are undone here whatever a guest says; it may only do without them. */
static bool is_ours(const char *name, const char *value) {
    return strcasecmp(name, "Content-Length") == 0 ||
           (strcasecmp(name, "Accept-Encoding") == 0 && strcasecmp(value, "identity") != 0);
}

static int check_header(const struct http_request *r, const char *name, size_t name_n, const char *value,
                        size_t value_n, struct http_failure *failure) {
    const char *why;
    if (!is_token(name, name_n))
        http_fail(failure, "bad_input", "header",
                  "\"%s\" can't be the name of a header: it has characters that aren't letters, digits or \"-\"",
                  show(name).text);
    else if (!is_header_value(value, value_n))
        http_fail(failure, "bad_input", "header", "the header %s has a control character, such as a line break",
                  show(name).text);
    else if ((why = why_refused(name)) != NULL)
        http_fail(failure, "bad_input", "header", "the header %s can't be set: %s", show(name).text, why);
    else if (strcasecmp(name, "Content-Length") == 0 && !is_own_length(r, value))
        http_fail(failure, "bad_input", "header",
                  "the header Content-Length isn't the body's length (it's added by itself: leave it out)");
    return failure->type ? -1 : 0;
}

static int read_header(struct http_request *r, const json_value *pair, struct http_failure *failure) {
    size_t name_n = 0, value_n = 0;
    const char *name = json_string(json_at(pair, 0), &name_n), *value = json_string(json_at(pair, 1), &value_n);
    if (!name || !value || json_size(pair) != 2) {
        http_fail(failure, "bad_input", "header", "a header isn't a pair of texts");
        return -1;
    }
    if (check_header(r, name, name_n, value, value_n, failure))
        return -1;
    if (is_ours(name, value))
        return 0;
    int status = http_headers_add(&r->headers, name, name_n, value, value_n);
    if (status == ERROR_LIMIT)
        http_fail(failure, "bad_input", "header", "the headers are larger than %d bytes",
                  HTTP_REQUEST_HEADERS_MAX);
    else if (status)
        http_fail_memory(failure);
    return status ? -1 : 0;
}

static int read_headers(struct http_request *r, const json_value *headers, struct http_failure *failure) {
    if (headers && json_type(headers) != JSON_ARRAY)
        http_fail(failure, "bad_input", "header", "the headers aren't a list of pairs");
    else if (json_size(headers) > HTTP_HEADERS_MAX)
        http_fail(failure, "bad_input", "header", "there are more than %d headers", HTTP_HEADERS_MAX);
    size_t cursor = 0;
    for (const json_value *pair; !failure->type && (pair = json_each(headers, &cursor)) != NULL;)
        (void)read_header(r, pair, failure);
    return failure->type ? -1 : 0;
}

static int read_method(struct http_request *r, const json_value *value, struct http_failure *failure) {
    size_t n = 0;
    const char *method = json_string(value, &n);
    if (!method || n >= sizeof r->method || !is_token(method, n)) {
        http_fail(failure, "bad_input", "method", "\"%s\" isn't a method: write \"GET\", \"POST\" and the like",
                  show(method ? method : "").text);
        return -1;
    }
    memcpy(r->method, method, n + 1);
    if (strcasecmp(method, "CONNECT") == 0 || strcasecmp(method, "TRACE") == 0) {
        http_fail(failure, "bad_input", "method", "the method %s can't be used in a sandbox", method);
        return -1;
    }
    return 0;
}

static int read_body(struct http_request *r, const json_value *header, const char *body, size_t n,
                     struct http_failure *failure) {
    r->upload = json_bool(json_get(header, "upload"), false);
    r->stream = json_bool(json_get(header, "stream"), false);
    (void)json_u64(json_get(header, "whole"), &r->whole);
    r->has_length = r->upload && json_u64(json_get(header, "length"), &r->length);
    if (r->upload && n > 0)
        http_fail(failure, "bad_input", "length",
                  "a request whose body comes by http.write has one of its own as well");
    else if (r->upload && json_get(header, "length") && (!r->has_length || r->length > INT64_MAX))
        http_fail(failure, "bad_input", "length", "the length of an upload isn't a number of bytes");
    else if (strcmp(r->method, "HEAD") == 0 && (r->upload || n > 0))
        http_fail(failure, "bad_input", "method", "a HEAD request has no body");
    else if (FAULT("http.body") || buffer_append(&r->body, body, n))
        http_fail_memory(failure);
    return failure->type ? -1 : 0;
}

static int read_limits(struct http_request *r, const json_value *header, struct http_failure *failure) {
    uint64_t redirects = HTTP_REDIRECTS_MAX;
    const json_value *asked = json_get(header, "redirects"), *timeout = json_get(header, "timeout_ms");
    if (asked && (!json_u64(asked, &redirects) || redirects > HTTP_REDIRECTS_MAX))
        http_fail(failure, "bad_input", "redirect", "redirects isn't a number from 0 to %d", HTTP_REDIRECTS_MAX);
    if (timeout && (!json_u64(timeout, &r->timeout) || r->timeout == 0))
        http_fail(failure, "bad_input", "timeout", "the timeout isn't a number of milliseconds above 0");
    r->redirects = (unsigned)redirects;
    uint64_t now = clock_monotonic_ns(), span;
    if (r->timeout > 0 && !__builtin_mul_overflow(r->timeout, NS_PER_MS, &span) && span < UINT64_MAX / 2)
        r->deadline = now + span;
    r->last_byte = now;
    return failure->type ? -1 : 0;
}

static int encode_base64(const char *from, struct buffer *to) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(from);
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i += 3) {
        unsigned bits = (unsigned char)from[i] * 65536u;
        bits += i + 1 < n ? (unsigned char)from[i + 1] * 256u : 0;
        bits += i + 2 < n ? (unsigned char)from[i + 2] : 0;
        char four[4] = {DIGITS[bits >> 18], DIGITS[bits >> 12 & 63], i + 1 < n ? DIGITS[bits >> 6 & 63] : '=',
                        i + 2 < n ? DIGITS[bits & 63] : '='};
        status = buffer_append(to, four, sizeof four);
    }
    return status;
}

/* "user:password@" of the URL becomes a header, unless the guest wrote that itself. */
static int take_userinfo(struct http_request *r, struct http_failure *failure) {
    CLEANUP(cleanup_free) char *userinfo = NULL;
    struct error err = {0};
    if (url_take_userinfo(&r->url, &userinfo, &err)) {
        http_fail_error(failure, "bad_input", "url", &err);
        return -1;
    }
    if (!userinfo || http_headers_get(&r->headers, "Authorization"))
        return 0;
    CLEANUP(buffer_done) struct buffer value = BUFFER_INIT((size_t)4 * URL_MAX);
    static const char NAME[] = "Authorization";
    int status = buffer_puts(&value, "Basic ");
    if (status == 0)
        status = encode_base64(userinfo, &value);
    if (status == 0)
        status = http_headers_add(&r->headers, NAME, sizeof NAME - 1, value.data, value.size);
    if (status)
        http_fail_memory(failure);
    return status ? -1 : 0;
}

static int read_url(struct http_request *r, const json_value *value, struct http_failure *failure) {
    struct error err = {0};
    const char *text = json_text(value, NULL);
    if (!text) {
        http_fail(failure, "bad_input", "url", "the URL isn't a text, or has a NUL character");
        return -1;
    }
    if (url_parse(text, NULL, &r->url, &err)) {
        http_fail_error(failure, "bad_input", "url", &err);
        return -1;
    }
    r->masked = url_masked(&r->url);
    if (!r->masked) {
        http_fail_memory(failure);
        return -1;
    }
    http_secret_hide(r->session, r->masked, strlen(r->masked));
    return take_userinfo(r, failure);
}

static size_t min_size(uint64_t a, size_t b) {
    return a < b ? (size_t)a : b;
}

struct http_request *http_request_read(struct http_session *s, uint32_t op, const json_value *header,
                                       const char *body, size_t body_n, struct http_failure *failure) {
    struct http_request *r = FAULT("http.request") ? NULL : calloc(1, sizeof *r);
    if (!r) {
        http_fail_memory(failure);
        return NULL;
    }
    r->session = s;
    r->op = op;
    r->headers.text.max = HTTP_REQUEST_HEADERS_MAX;
    r->answer.text.max = min_size(s->options.limits.headers, GUEST_MESSAGE_MAX) * 2;
    r->body.max = r->chunk.max = GUEST_MESSAGE_MAX;
    r->mask.held.max = GUEST_MESSAGE_MAX;
    if (read_method(r, json_get(header, "method"), failure) || read_body(r, header, body, body_n, failure) ||
        read_headers(r, json_get(header, "headers"), failure) || read_url(r, json_get(header, "url"), failure) ||
        read_limits(r, header, failure)) {
        http_request_free(r);
        return NULL;
    }
    /* One byte more than allowed is enough to see that there are too many. */
    r->arrived.max =
        r->stream ? (size_t)2 * GUEST_MESSAGE_MAX : (size_t)(GUEST_MESSAGE_MAX - GUEST_HEADER_MAX - 4);
    return r;
}

void http_request_free(struct http_request *r) {
    url_done(&r->url);
    free(r->masked);
    http_headers_done(&r->headers);
    http_headers_done(&r->answer);
    buffer_done(&r->body);
    buffer_done(&r->mask.held);
    buffer_done(&r->arrived);
    buffer_done(&r->chunk);
    free(r);
}

/* --- redirects --- */

bool http_status_redirects(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* As the Fetch standard has it: POST becomes GET where browsers have always done so. */
static bool becomes_get(const struct http_request *r) {
    if (r->status == 303)
        return strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0;
    return (r->status == 301 || r->status == 302) && strcmp(r->method, "POST") == 0;
}

static bool stays(const struct http_request *r, const char *name, const char *value, bool get, bool other_origin) {
    if (get && strncasecmp(name, "Content-", 8) == 0)
        return false;
    if (!other_origin)
        return true;
    return strcasecmp(name, "Authorization") != 0 && strcasecmp(name, "Cookie") != 0 &&
           !http_secret_in(r->session, value);
}

static int filter_headers(struct http_request *r, bool get, bool other_origin) {
    struct http_headers kept = {.text = BUFFER_INIT(HTTP_REQUEST_HEADERS_MAX)};
    size_t cursor = 0;
    int status = 0;
    for (const char *name, *value; status == 0 && http_headers_next(&r->headers, &cursor, &name, &value);)
        if (stays(r, name, value, get, other_origin))
            status = http_headers_add(&kept, name, strlen(name), value, strlen(value));
    if (status) {
        http_headers_done(&kept);
        http_fail_memory(&r->failure);
        return -1;
    }
    http_headers_done(&r->headers);
    r->headers = kept;
    return 0;
}

/* Where to, if that's allowed. */
static int read_location(struct http_request *r, struct url *ret) {
    struct error err = {0};
    const char *location = http_headers_get(&r->answer, "Location");
    if (r->hops >= r->redirects) {
        http_fail(&r->failure, "http_error", "redirect", "%s redirected once more after %u redirects", r->url.host,
                  r->hops);
        return -1;
    }
    if (url_parse(location, &r->url, ret, &err)) {
        error_prefix(&err, "%s redirected to a place that can't be used", r->url.host);
        http_fail_error(&r->failure, "http_error", "redirect", &err);
        return -1;
    }
    if (r->url.https && !ret->https) {
        http_fail(&r->failure, "http_error", "redirect",
                  "%s redirected from https to http, to %s: that isn't followed, since it would go unencrypted",
                  r->url.host, ret->host);
        url_done(ret);
        return -1;
    }
    return 0;
}

int http_request_redirect(struct http_request *r) {
    struct url to;
    if (read_location(r, &to))
        return -1;
    bool get = becomes_get(r), other_origin = !url_same_origin(&r->url, &to);
    url_done(&r->url);
    r->url = to;
    r->hops++;
    free(r->masked);
    r->masked = url_masked(&r->url);
    if (!r->masked) {
        http_fail_memory(&r->failure);
        return -1;
    }
    http_secret_hide(r->session, r->masked, strlen(r->masked));
    if (r->upload && !get) {
        http_fail(&r->failure, "http_error", "redirect",
                  "the server redirected to %s, but a streamed body can't be sent again (send it whole, or to "
                  "there at once)",
                  r->url.host);
        return -1;
    }
    if (get) {
        memcpy(r->method, "GET", sizeof "GET");
        buffer_done(&r->body);
    }
    if (filter_headers(r, get, other_origin))
        return -1;
    return take_userinfo(r, &r->failure);
}

/* --- what a guest is told --- */

/* Header values are bytes; those that aren't UTF-8 are taken for Latin-1, as servers mean them. */
static int write_value(struct buffer *to, const char *value) {
    size_t n = strlen(value);
    if (utf8_valid(value, n))
        return json_write_string(to, value, n);
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(2 * n);
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c < 0x80)
            status = buffer_putc(&text, value[i]);
        else
            status = buffer_append(&text, (const char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))}, 2);
    }
    return status ? status : json_write_string(to, buffer_text(&text), text.size);
}

/* What the headers say of the body's bytes on the wire is no longer true once they're decoded. */
static bool is_undone(const struct http_request *r, const char *name) {
    const char *coding = http_headers_get(&r->answer, "Content-Encoding");
    if (!coding || strcmp(r->method, "HEAD") == 0)
        return false;
    return strcasecmp(name, "Content-Encoding") == 0 || strcasecmp(name, "Content-Length") == 0;
}

static int write_header(const struct http_request *r, const char *name, const char *value, bool first,
                        struct buffer *to) {
    CLEANUP(cleanup_free) char *copy = strdup(value);
    if (!copy)
        return ERROR_NOMEM;
    http_secret_hide(r->session, copy, strlen(copy));
    int status = buffer_puts(to, first ? "[" : ",[");
    if (status == 0)
        status = write_value(to, name);
    if (status == 0)
        status = buffer_putc(to, ',');
    if (status == 0)
        status = write_value(to, copy);
    return status ? status : buffer_putc(to, ']');
}

int http_head_write(const struct http_request *r, struct buffer *to) {
    CLEANUP(cleanup_free) char *url = url_text(&r->url);
    if (!url)
        return ERROR_NOMEM;
    http_secret_hide(r->session, url, strlen(url));
    int status =
        buffer_printf(to, "{\"ok\":true,\"status\":%d,\"version\":\"%s\",\"url\":", r->status, r->version);
    if (status == 0)
        status = json_write_string(to, url, strlen(url));
    if (status == 0)
        status = buffer_printf(to, ",\"redirected\":%s,\"stream\":%s,\"headers\":[", r->hops ? "true" : "false",
                               r->stream ? "true" : "false");
    size_t cursor = 0;
    bool first = true;
    for (const char *name, *value; status == 0 && http_headers_next(&r->answer, &cursor, &name, &value);) {
        if (is_undone(r, name))
            continue;
        status = write_header(r, name, value, first, to);
        first = false;
    }
    return status ? status : buffer_puts(to, "]}");
}
