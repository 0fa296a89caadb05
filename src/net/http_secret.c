/* Owns where secrets are put in and taken out.
 *
 * In: tokens in header values become secrets, for the secret's hosts alone. Out: whatever a server sends that is a secret's value becomes
 * as many "*", found in the bytes as they come, chunk by chunk; a value that is encoded (percent, base64, JSON escapes) isn't found.
 *
 * Invariant of struct http_mask: `held` is the longest end of what was fed that a secret may begin with; its first `covered` bytes belong to a
 * value that was found and began earlier. Thread rule: pure but for what they're given. */
#define _GNU_SOURCE 1
#include "net/http_internal.h"

#include "base/fault.h"
#include "base/show.h"

#include <stdlib.h>
#include <string.h>

/* The first token in text[0..n), and whose it is. */
static const char *find_token(const struct http_session *s, const char *text, const struct http_secret **ret) {
    const char *found = NULL;
    for (size_t i = 0; i < s->options.secrets_n; i++) {
        const struct http_secret *secret = &s->options.secrets[i];
        const char *at = secret->token[0] ? strstr(text, secret->token) : NULL;
        if (at && (!found || at < found)) {
            found = at;
            *ret = secret;
        }
    }
    return found;
}

bool http_secret_in(const struct http_session *s, const char *value) {
    const struct http_secret *secret;
    return find_token(s, value, &secret) != NULL;
}

static bool is_for(const struct http_secret *secret, const struct url *url) {
    for (size_t i = 0; i < secret->hosts_n; i++)
        if (egress_matches(secret->hosts[i], url->host, url->port))
            return true;
    return false;
}

int http_secret_reveal(const struct http_session *s, const struct url *url, const char *value, struct buffer *to,
                       bool *ret_found, struct http_failure *failure) {
    const struct http_secret *secret = NULL;
    int status = 0;
    for (const char *at; status == 0 && (at = find_token(s, value, &secret)) != NULL;) {
        if (!is_for(secret, url)) {
            http_fail(failure, "policy", "policy",
                      "the secret %s isn't meant for %s:%u: nothing was sent (its hosts are listed under "
                      "[secrets] in capsule.toml)",
                      show(secret->name).text, show(url->host).text, url->port);
            return -1;
        }
        if (secret->value[strcspn(secret->value, "\r\n")] != '\0') {
            http_fail(failure, "bad_input", "header",
                      "the value of the secret %s has a line break, which no header can carry",
                      show(secret->name).text);
            return -1;
        }
        *ret_found = true;
        status = buffer_append(to, value, (size_t)(at - value));
        if (status == 0)
            status = buffer_puts(to, secret->value);
        value = at + strlen(secret->token);
    }
    if (status == 0)
        status = buffer_puts(to, value);
    if (status)
        http_fail_memory(failure);
    return status ? -1 : 0;
}

/* Where text[0..n) ends with the beginning of value, and no more; n: it doesn't. */
static size_t find_beginning(const char *value, const char *text, size_t n) {
    size_t length = strlen(value);
    size_t at = n >= length ? n - length + 1 : 0;
    while (at < n && memcmp(text + at, value, n - at) != 0)
        at++;
    return at;
}

static size_t find_keep(const struct http_session *s, const char *plain, size_t n) {
    size_t keep = n;
    for (size_t i = 0; i < s->options.secrets_n; i++) {
        size_t at = s->options.secrets[i].value[0] ? find_beginning(s->options.secrets[i].value, plain, n) : n;
        keep = at < keep ? at : keep;
    }
    return keep;
}

/* Covers the values that begin in plain[0..keep), and returns where the last of them ends. They're looked for in the bytes as they came, so
 * that those which overlap are all found: `plain` is what came, `text` what goes. */
static size_t cover(const struct http_session *s, const char *plain, char *text, size_t n, size_t keep) {
    size_t end = 0;
    for (size_t i = 0; i < s->options.secrets_n; i++) {
        const char *value = s->options.secrets[i].value, *found = plain;
        size_t length = strlen(value);
        for (size_t at = 0; length > 0 && (found = memmem(plain + at, n - at, value, length)) != NULL; at++) {
            at = (size_t)(found - plain);
            if (at >= keep)
                break;
            memset(text + at, '*', length);
            end = at + length > end ? at + length : end;
        }
    }
    return end;
}

void http_secret_hide(const struct http_session *s, char *text, size_t n) {
    if (s->options.secrets_n == 0 || n == 0)
        return;
    CLEANUP(cleanup_free) char *plain = malloc(n);
    if (!plain) {
        memset(text, '*', n); /* rather nothing than a secret */
        return;
    }
    memcpy(plain, text, n);
    (void)cover(s, plain, text, n, n);
}

int http_mask_feed(const struct http_session *s, struct http_mask *mask, const char *bytes, size_t n,
                   struct buffer *to) {
    if (s->options.secrets_n == 0)
        return buffer_append(to, bytes, n);
    CLEANUP(buffer_done) struct buffer plain = BUFFER_INIT(to->max);
    int status = buffer_append(&plain, buffer_text(&mask->held), mask->held.size);
    if (status == 0)
        status = buffer_append(&plain, bytes, n);
    char *text = status == 0 ? buffer_reserve(to, plain.size) : NULL;
    if (!text)
        return status ? status : ERROR_NOMEM;
    const char *came = buffer_text(&plain);
    memcpy(text, came, plain.size);
    memset(text, '*', mask->covered);
    size_t keep = find_keep(s, came, plain.size), covered = cover(s, came, text, plain.size, keep);
    covered = covered > mask->covered ? covered : mask->covered;
    buffer_clear(&mask->held);
    status = buffer_append(&mask->held, came + keep, plain.size - keep);
    if (status)
        return status;
    mask->covered = covered > keep ? covered - keep : 0;
    to->size += keep;
    to->data[to->size] = '\0';
    return 0;
}

int http_mask_end(struct http_mask *mask, struct buffer *to) {
    if (mask->held.size == 0)
        return 0;
    memset(mask->held.data, '*', mask->covered);
    int status = buffer_append(to, mask->held.data, mask->held.size);
    buffer_done(&mask->held);
    mask->covered = 0;
    return status;
}
