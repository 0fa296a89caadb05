/* Owns what counts as a URL; see url.h.
 *
 * Invariants of a parsed URL: the scheme is http or https; the host is the one in u->host, in the handle too, so that what was checked is
 * what's dialled; it's an address in its one spelling, or a name of letters, digits, "-" and "_" whose last label doesn't begin with a digit
 * (resolvers would take "0X7f.1" or "1.2.3.4." for addresses). Thread rule: a struct url belongs to one thread at a time. */
#define _GNU_SOURCE 1
#include "net/url.h"

#include "base/buffer.h"
#include "base/fault.h"
#include "base/show.h"
#include "net/address.h"
#include "net/curl_library.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after <curl/curl.h> */
#include "net/curl_calls.h"

enum { NAME_MAX_LENGTH = 253, LABEL_MAX_LENGTH = 63 };

static void free_text(char **text) {
    curl()->free(*text);
}

static void free_handle(CURLU **handle) {
    curl()->url_cleanup(*handle);
}

static int out_of_memory(struct error *err) {
    return error_set(err, ERROR_NOMEM, "out of memory while reading a URL");
}

static int refuse(struct error *err, const char *why, const char *hint) {
    error_set(err, ERROR_INVALID, "the URL can't be used: %s", why);
    if (hint)
        error_hint(err, "%s", hint);
    return ERROR_INVALID;
}

static const char WRITE[] = "write \"https://host/path\", \"http://host:8080/path?a=b\" and the like";

static int refuse_code(CURLUcode code, struct error *err) {
    switch (code) {
    case CURLUE_OUT_OF_MEMORY:
        return out_of_memory(err);
    case CURLUE_UNSUPPORTED_SCHEME:
        return refuse(err, "its scheme is neither http nor https", NULL);
    case CURLUE_BAD_SCHEME:
    case CURLUE_NO_SCHEME:
        return refuse(err, "it doesn't begin with http:// or https://", WRITE);
    case CURLUE_BAD_PORT_NUMBER:
        return refuse(err, "its port isn't a number from 1 to 65535", NULL);
    case CURLUE_NO_HOST:
        return refuse(err, "it has no host", WRITE);
    case CURLUE_BAD_HOSTNAME:
        return refuse(err, "its host is neither a name nor an address", NULL);
    case CURLUE_BAD_IPV6:
        return refuse(err, "its host isn't an IPv6 address in brackets", NULL);
    case CURLUE_BAD_LOGIN:
        return refuse(err, "what stands before \"@\" is malformed", NULL);
    default:
        return refuse(err, "it's malformed", WRITE);
    }
}

/* What libcurl would take, or mend, but nobody writes in good faith. */
static int check_text(const char *text, struct error *err) {
    size_t authority = strcspn(text, "?#");
    if (strlen(text) > URL_MAX)
        return error_set(err, ERROR_INVALID, "the URL can't be used: it's longer than %d bytes", URL_MAX);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return refuse(err, "it has a space or a control character", "percent-encode such characters: \"%20\"");
    if (memchr(text, '\\', authority))
        return refuse(err, "it has a backslash", "write \"/\", or \"%5C\" where a backslash is meant");
    return 0;
}

static bool is_name(const char *host) {
    const char *last = host;
    for (const char *p = host; *p; last = p, p += strcspn(p, "."), p += *p == '.') {
        size_t n = strcspn(p, ".");
        if (n == 0 || n > LABEL_MAX_LENGTH || (p[n] == '.' && p[n + 1] == '\0'))
            return false;
    }
    return *host && strlen(host) <= NAME_MAX_LENGTH && !(last[0] >= '0' && last[0] <= '9') &&
           host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0';
}

/* Lower case, without the final dot. */
static bool copy_host(const char *from, char ret[URL_HOST_MAX]) {
    size_t n = strlen(from);
    if (n > 1 && from[n - 1] == '.')
        n--;
    if (n >= URL_HOST_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        ret[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] + ('a' - 'A')) : from[i];
    ret[n] = '\0';
    return true;
}

/* libcurl leaves an IPv6 address as it is where its short form is the longer one. */
static void respell_v6(char host[URL_HOST_MAX], const struct address *address) {
    char text[ADDRESS_TEXT_MAX];
    address_format(address, text);
    if (host[0] == '[')
        snprintf(host, URL_HOST_MAX, "[%s%s]", strchr(text, ':') ? "" : "::ffff:", text);
}

static int read_host(struct url *u, struct error *err) {
    CLEANUP(free_text) char *host = NULL, *zone = NULL;
    struct address address;
    CURLUcode code = curl()->url_get(u->handle, CURLUPART_HOST, &host, 0);
    if (code)
        return refuse_code(code, err);
    for (const char *p = host; *p; p++)
        if ((unsigned char)*p >= 0x80)
            return refuse(err, "its host isn't ASCII", "write the name as DNS knows it (\"xn--…\")");
    if (curl()->url_get(u->handle, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK)
        return refuse(err, "its address has a zone", NULL);
    if (!copy_host(host, u->host))
        return refuse(err, "its host is too long", NULL);
    if (address_parse(u->host, &address))
        respell_v6(u->host, &address);
    else if (!is_name(u->host))
        return refuse(err, "its host is neither a name nor an address", NULL);
    if (strcmp(host, u->host) == 0)
        return 0;
    code = FAULT("url.host") ? CURLUE_OUT_OF_MEMORY : curl()->url_set(u->handle, CURLUPART_HOST, u->host, 0);
    return code ? refuse_code(code, err) : 0;
}

static int read_rest(struct url *u, struct error *err) {
    CLEANUP(free_text) char *scheme = NULL, *port = NULL;
    if (curl()->url_get(u->handle, CURLUPART_SCHEME, &scheme, 0) ||
        curl()->url_get(u->handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
        return out_of_memory(err);
    u->https = strcmp(scheme, "https") == 0;
    if (!u->https && strcmp(scheme, "http") != 0)
        return refuse_code(CURLUE_UNSUPPORTED_SCHEME, err);
    u->port = (uint16_t)strtoul(port, NULL, 10);
    if (u->port == 0)
        return refuse_code(CURLUE_BAD_PORT_NUMBER, err);
    CURLUcode code = curl()->url_set(u->handle, CURLUPART_FRAGMENT, NULL, 0);
    return code ? refuse_code(code, err) : 0;
}

int url_parse(const char *text, const struct url *base, struct url *ret, struct error *err) {
    /* Servers write spaces and worse into Location, and browsers encode them. */
    unsigned flags = CURLU_URLENCODE | (base ? CURLU_ALLOW_SPACE : 0);
    if (!base && check_text(text, err))
        return ERROR_INVALID;
    if (strlen(text) > URL_MAX)
        return error_set(err, ERROR_INVALID, "the URL can't be used: it's longer than %d bytes", URL_MAX);
    CLEANUP(free_handle) CURLU *handle = NULL;
    if (!FAULT("url.handle"))
        handle = base ? curl()->url_dup(base->handle) : curl()->url();
    if (!handle)
        return out_of_memory(err);
    CURLUcode code =
        FAULT("url.parse") ? CURLUE_OUT_OF_MEMORY : curl()->url_set(handle, CURLUPART_URL, text, flags);
    if (code)
        return refuse_code(code, err);
    struct url u = {.handle = handle};
    int status = read_host(&u, err);
    if (status == 0)
        status = read_rest(&u, err);
    if (status)
        return status;
    *ret = u;
    handle = NULL;
    return 0;
}

void url_done(struct url *u) {
    curl()->url_cleanup(u->handle);
    *u = (struct url){0};
}

int url_take_userinfo(struct url *u, char **ret, struct error *err) {
    CLEANUP(free_text) char *user = NULL, *password = NULL;
    CURLUcode no_user = curl()->url_get(u->handle, CURLUPART_USER, &user, CURLU_URLDECODE);
    CURLUcode no_password = curl()->url_get(u->handle, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
    if (no_user == CURLUE_URLDECODE || no_password == CURLUE_URLDECODE)
        return refuse(err, "what stands before \"@\" has control characters", NULL);
    if (no_user == CURLUE_OUT_OF_MEMORY || no_password == CURLUE_OUT_OF_MEMORY)
        return out_of_memory(err);
    if (no_user && no_password) {
        *ret = NULL;
        return 0;
    }
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT((size_t)2 * URL_MAX);
    int status = buffer_puts(&b, user ? user : "");
    if (status == 0)
        status = buffer_putc(&b, ':');
    if (status == 0)
        status = buffer_puts(&b, password ? password : "");
    if (status || curl()->url_set(u->handle, CURLUPART_USER, NULL, 0) ||
        curl()->url_set(u->handle, CURLUPART_PASSWORD, NULL, 0))
        return out_of_memory(err);
    *ret = buffer_take(&b);
    return 0;
}

/* Appends a query with its values masked; a part without "=" may be one as well. */
static int mask_query(struct buffer *b, const char *query) {
    int status = buffer_putc(b, '?');
    while (status == 0) {
        size_t n = strcspn(query, "&;"), name = strcspn(query, "=&;");
        if (name < n)
            status = buffer_append(b, query, name + 1);
        if (status == 0 && n > 0)
            status = buffer_puts(b, "***");
        query += n;
        if (status || *query == '\0')
            return status;
        status = buffer_putc(b, *query++);
    }
    return status;
}

static char *write_url(const struct url *u, bool masked) {
    CLEANUP(free_text) char *path = NULL, *query = NULL, *user = NULL, *password = NULL;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT((size_t)8 * URL_MAX);
    if (FAULT("url.text") || curl()->url_get(u->handle, CURLUPART_PATH, &path, 0))
        return NULL;
    (void)curl()->url_get(u->handle, CURLUPART_QUERY, &query, CURLU_GET_EMPTY); /* may be absent, as the next */
    bool userinfo = masked && (curl()->url_get(u->handle, CURLUPART_USER, &user, 0) == CURLUE_OK ||
                               curl()->url_get(u->handle, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK);
    int status = buffer_printf(&b, "%s://%s%s", u->https ? "https" : "http", userinfo ? "***@" : "", u->host);
    if (status == 0 && u->port != (u->https ? 443 : 80))
        status = buffer_printf(&b, ":%u", u->port);
    if (status == 0)
        status = buffer_puts(&b, path);
    if (status == 0 && query)
        status = masked ? mask_query(&b, query) : buffer_printf(&b, "?%s", query);
    return status ? NULL : buffer_take(&b);
}

char *url_text(const struct url *u) {
    return write_url(u, false);
}

char *url_masked(const struct url *u) {
    return write_url(u, true);
}

bool url_same_origin(const struct url *a, const struct url *b) {
    return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}
