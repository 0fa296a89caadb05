/* TEMPORARY, not to be committed: weak stand-ins until http_client.c exists. */
#include "net/http.h"
#define WEAK __attribute__((weak))
WEAK int http_client_new(struct http_client **r, struct error *e) {
    (void)r;
    return error_set(e, ERROR_UNSUPPORTED, "no http");
}
WEAK void http_client_free(struct http_client *c) {
    (void)c;
}
WEAK int http_session_open(struct http_client *c, const struct http_session_options *o, struct http_session **r,
                           struct error *e) {
    (void)c;
    (void)o;
    (void)r;
    return error_set(e, ERROR_UNSUPPORTED, "no http");
}
WEAK void http_submit(struct http_session *s, uint32_t op, const json_value *h, const char *b, size_t n) {
    (void)s;
    (void)op;
    (void)h;
    (void)b;
    (void)n;
}
WEAK void http_cancel(struct http_session *s, uint32_t op) {
    (void)s;
    (void)op;
}
WEAK void http_session_close(struct http_session *s) {
    (void)s;
}
