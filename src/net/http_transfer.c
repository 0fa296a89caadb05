/* Owns libcurl: one exchange with a server at a time for each request, on one multi handle.
 *
 * Each address is checked where it's dialled (OPENSOCKETFUNCTION), and that of the connection again before a request is sent on it
 * (PREREQFUNCTION): a kept connection may have been opened for another session, with other rules.
 *
 * Names are looked up by getaddrinfo in threads of libcurl's, which can't be stopped. A transfer that's dropped meanwhile is abandoned: it stays
 * until the look-up ends, without its request, and http_transfers_full says so when there are too many. At the end such threads are left to
 * themselves (QUICK_EXIT); they touch nothing of ours.
 *
 * Easy handles are kept and used again. Thread rule: the client's thread, but for http_transfers_new, _free and _wake. */
#define _GNU_SOURCE 1
#include "net/curl_library.h"
#include "net/http_internal.h"

#include "base/clock.h"
#include "base/fault.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
/* after <curl/curl.h> */
#include "net/curl_calls.h"

enum { SPARE_MAX = 64, KEPT_CONNECTIONS = 256 };

struct http_transfer {
    struct http_transfers *owner;
    struct http_request *request; /* NULL: abandoned */
    CURL *easy;
    struct curl_slist *headers;
    struct http_transfer *prev, *next; /* among those under way, or the spare ones */
    uint64_t started;
    bool looking_up, connected, dialled;
    struct http_failure refused; /* the address that was refused last */
    char text[CURL_ERROR_SIZE];  /* libcurl's own words */
};

struct http_transfers {
    CURLM *multi;
    struct http_transfer *active, *spare;
    size_t spare_n, abandoned;
    char *ca_file, *ca_folder; /* NULL: none */
};

/* --- certificates --- */

/* Where distributions keep the bundle: Debian and Arch, Fedora, older ones of Red Hat, SUSE, Alpine. */
static const char *const CA_FILES[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

static const char *set_variable(const char *name) {
    const char *value = secure_getenv(name);
    return value && value[0] ? value : NULL;
}

static int find_certificates(struct http_transfers *t) {
    const char *file = set_variable("SSL_CERT_FILE"), *folder = set_variable("SSL_CERT_DIR");
    for (size_t i = 0; !file && !folder && i < sizeof CA_FILES / sizeof CA_FILES[0]; i++)
        if (access(CA_FILES[i], R_OK) == 0)
            file = CA_FILES[i];
    t->ca_file = file ? strdup(file) : NULL;
    t->ca_folder = folder ? strdup(folder) : NULL;
    return (file && !t->ca_file) || (folder && !t->ca_folder) ? ERROR_NOMEM : 0;
}

/* libcurl would only say that a file couldn't be read, or nothing. */
static int check_certificates(const struct http_transfers *t, struct http_failure *failure) {
    const char *hint = "install ca-certificates, or set SSL_CERT_FILE to a bundle in PEM";
    if (!t->ca_file && !t->ca_folder)
        http_fail(failure, "http_error", "tls",
                  "there are no certificates on this machine to check servers with (%s)", hint);
    else if (t->ca_file && access(t->ca_file, R_OK) != 0)
        http_fail(failure, "http_error", "tls", "the certificates in %s can't be read (%s)", t->ca_file, hint);
    else if (t->ca_folder && access(t->ca_folder, R_OK | X_OK) != 0)
        http_fail(failure, "http_error", "tls", "the certificates in %s can't be read (%s)", t->ca_folder, hint);
    return failure->type ? -1 : 0;
}

/* --- making and ending --- */

static void free_transfer(struct http_transfer *transfer) {
    curl()->easy_cleanup(transfer->easy);
    curl()->slist_free_all(transfer->headers);
    free(transfer);
}

int http_transfers_new(const char *folder, struct http_transfers **ret, struct error *err) {
    int status = curl_library_load(folder, err);
    if (status)
        return status;
    struct http_transfers *t = FAULT("http.transfers") ? NULL : calloc(1, sizeof *t);
    if (!t)
        return error_set(err, ERROR_NOMEM, "out of memory while preparing for HTTP");
    if (FAULT("http.library") || curl()->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(t);
        return error_set(err, ERROR_INTERNAL, "libcurl can't be used: its start failed");
    }
    t->multi = FAULT("http.multi") ? NULL : curl()->multi_init();
    if (!t->multi || find_certificates(t)) {
        http_transfers_free(t);
        return error_set(err, ERROR_NOMEM, "out of memory while preparing for HTTP");
    }
    /* Other parts need descriptors too. */
    struct rlimit files;
    long connections = 512;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < 4096)
        connections = (long)(files.rlim_cur / 2);
    curl()->multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    curl()->multi_setopt(t->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    *ret = t;
    return 0;
}

static void unlink_active(struct http_transfer *transfer) {
    struct http_transfers *t = transfer->owner;
    if (transfer->prev)
        transfer->prev->next = transfer->next;
    else
        t->active = transfer->next;
    if (transfer->next)
        transfer->next->prev = transfer->prev;
}

/* Takes it out of the multi handle and keeps it for the next request. */
static void retire(struct http_transfer *transfer) {
    struct http_transfers *t = transfer->owner;
    curl()->multi_remove_handle(t->multi, transfer->easy);
    unlink_active(transfer);
    if (transfer->request)
        transfer->request->transfer = NULL;
    else
        t->abandoned--;
    if (t->spare_n == SPARE_MAX) {
        free_transfer(transfer);
        return;
    }
    curl()->easy_reset(transfer->easy);
    curl()->slist_free_all(transfer->headers);
    *transfer = (struct http_transfer){.owner = t, .easy = transfer->easy, .next = t->spare};
    t->spare = transfer;
    t->spare_n++;
}

void http_transfers_free(struct http_transfers *t) {
    if (!t)
        return;
    while (t->active)
        retire(t->active);
    for (struct http_transfer *next, *transfer = t->spare; transfer; transfer = next) {
        next = transfer->next;
        free_transfer(transfer);
    }
    if (t->multi)
        curl()->multi_cleanup(t->multi);
    free(t->ca_file);
    free(t->ca_folder);
    free(t);
    curl()->global_cleanup();
}

void http_transfers_wake(struct http_transfers *t) {
    curl()->multi_wakeup(t->multi);
}

void http_transfers_wait(struct http_transfers *t, int timeout_ms) {
    curl()->multi_poll(t->multi, NULL, 0, timeout_ms, NULL);
}

bool http_transfers_full(const struct http_transfers *t) {
    return t->abandoned >= HTTP_ABANDONED_MAX;
}

/* --- what libcurl asks us --- */

static int on_lookup(void *resolver, void *reserved, void *user) {
    (void)resolver;
    (void)reserved;
    struct http_transfer *transfer = user;
    transfer->looking_up = true;
    return transfer->request ? 0 : 1;
}

static int check_address(struct http_transfer *transfer, const struct address *address,
                         struct http_failure *failure) {
    const struct http_request *r = transfer->request;
    struct error err = {0};
    if (egress_check_address(&r->session->options.rules, r->url.host, address, r->url.port, &err)) {
        http_fail_error(failure, "policy", "policy", &err);
        return -1;
    }
    return 0;
}

static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *to) {
    (void)purpose;
    struct http_transfer *transfer = user;
    struct address address;
    transfer->looking_up = false;
    transfer->refused = (struct http_failure){0};
    if (!transfer->request)
        return CURL_SOCKET_BAD;
    if (!address_of_socket(&to->addr, &address)) {
        http_fail(&transfer->refused, "policy", "policy", "%s leads to an address that isn't IP",
                  transfer->request->url.host);
        return CURL_SOCKET_BAD;
    }
    if (check_address(transfer, &address, &transfer->refused))
        return CURL_SOCKET_BAD;
    transfer->dialled = true;
    return FAULT("http.socket") ? CURL_SOCKET_BAD : socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int on_connection(void *user, char *to, char *from, int port, int local_port) {
    (void)from;
    (void)port;
    (void)local_port;
    struct http_transfer *transfer = user;
    struct http_request *r = transfer->request;
    struct address address;
    transfer->looking_up = false;
    transfer->connected = true;
    if (!r)
        return CURL_PREREQFUNC_ABORT;
    r->last_byte = clock_monotonic_ns();
    if (!address_parse(to, &address)) {
        http_fail(&r->failure, "http_error", "internal", "the address of the connection to %s isn't known",
                  r->url.host);
        return CURL_PREREQFUNC_ABORT;
    }
    if (check_address(transfer, &address, &r->failure))
        return CURL_PREREQFUNC_ABORT;
    if (r->must_be_loopback && !address_is_loopback(&address)) {
        http_fail(&r->failure, "policy", "policy",
                  "a secret would go unencrypted to %s (%s): nothing was sent (use https)", r->url.host, to);
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t n, void *user) {
    struct http_transfer *transfer = user;
    n *= size;
    if (!transfer->request || http_request_header(transfer->request, line, n))
        return CURL_WRITEFUNC_ERROR;
    return n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user) {
    struct http_transfer *transfer = user;
    long taken = transfer->request ? http_request_body(transfer->request, bytes, size * n) : HTTP_STOP;
    if (taken == HTTP_PAUSE)
        return CURL_WRITEFUNC_PAUSE;
    return taken < 0 ? CURL_WRITEFUNC_ERROR : (size_t)taken;
}

static size_t on_upload(char *to, size_t size, size_t n, void *user) {
    struct http_transfer *transfer = user;
    long put = transfer->request ? http_request_upload(transfer->request, to, size * n) : HTTP_STOP;
    if (put == HTTP_PAUSE)
        return CURL_READFUNC_PAUSE;
    return put < 0 ? CURL_READFUNC_ABORT : (size_t)put;
}

/* --- starting --- */

static int add_line(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = FAULT("http.header") ? NULL : curl()->slist_append(*list, line);
    if (!longer)
        return ERROR_NOMEM;
    *list = longer;
    return 0;
}

static int add_header(struct http_transfer *transfer, const char *name, const char *value) {
    struct http_request *r = transfer->request;
    CLEANUP(buffer_done) struct buffer line = BUFFER_INIT((size_t)8 * HTTP_REQUEST_HEADERS_MAX);
    bool secret = false;
    int status = buffer_puts(&line, name);
    /* libcurl takes "Name:" for a header to leave out, "Name;" for an empty one. */
    if (status == 0)
        status = buffer_puts(&line, value[strspn(value, " \t")] ? ": " : ";");
    if (status == 0 && value[strspn(value, " \t")] &&
        http_secret_reveal(r->session, &r->url, value, &line, &secret, &r->failure))
        return -1;
    if (secret && !r->url.https)
        r->must_be_loopback = true;
    if (status == 0)
        status = add_line(&transfer->headers, line.data);
    if (line.data)
        explicit_bzero(line.data, line.size);
    if (status)
        http_fail_memory(&r->failure);
    return status ? -1 : 0;
}

static int add_headers(struct http_transfer *transfer) {
    const struct http_request *r = transfer->request;
    static const char *const OWN[] = {"Expect:", "Content-Type:"};
    size_t cursor = 0;
    for (const char *name, *value; http_headers_next(&r->headers, &cursor, &name, &value);)
        if (add_header(transfer, name, value))
            return -1;
    /* libcurl would add these by itself. */
    for (size_t i = 0; i < 2; i++)
        if ((i == 0 || !http_headers_get(&r->headers, "Content-Type")) && add_line(&transfer->headers, OWN[i])) {
            http_fail_memory(&transfer->request->failure);
            return -1;
        }
    return 0;
}

/* Callbacks and what's the same for all. */
static CURLcode set_common(struct http_transfer *transfer) {
    CURL *easy = transfer->easy;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_QUICK_EXIT, 1},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS},
        /* Rather a stream on a connection that's being made than one more connection, where HTTP/2 may come of it. */
        {CURLOPT_PIPEWAIT, transfer->request->url.https},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_TIMEOUT_MS},
    };
    CURLcode code = CURLE_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && code == CURLE_OK; i++)
        code = curl()->easy_setopt(easy, numbers[i].option, numbers[i].value);
    if (code)
        return code;
    curl()->easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl()->easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
    curl()->easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
    curl()->easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
    curl()->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl()->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl()->easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connection);
    curl()->easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl()->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl()->easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl()->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl()->easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    code = curl()->easy_setopt(easy, CURLOPT_USERAGENT, "capsule/" CAPSULE_VERSION);
    return code ? code : curl()->easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
}

/* The body's place, then the method, which libcurl would derive from it. */
static CURLcode set_body(struct http_transfer *transfer) {
    const struct http_request *r = transfer->request;
    CURL *easy = transfer->easy;
    bool head = strcmp(r->method, "HEAD") == 0, get = strcmp(r->method, "GET") == 0;
    bool posts = r->body.size > 0 || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0 ||
                 strcmp(r->method, "PATCH") == 0;
    if (r->upload) {
        curl()->easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl()->easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
        curl()->easy_setopt(easy, CURLOPT_READDATA, transfer);
        curl()->easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                            r->has_length ? (curl_off_t)r->length : (curl_off_t)-1);
        /* A kept connection may turn out to be closed, and then the body couldn't be sent again. */
        curl()->easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    } else if (posts) {
        curl()->easy_setopt(easy, CURLOPT_POST, 1L);
        curl()->easy_setopt(easy, CURLOPT_POSTFIELDS, buffer_text(&r->body));
        curl()->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.size);
    } else if (head) {
        return curl()->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (get) {
        return curl()->easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    return curl()->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static CURLcode set_all(struct http_transfer *transfer) {
    const struct http_request *r = transfer->request;
    CURLcode code = set_common(transfer);
    if (code == CURLE_OK)
        code = set_body(transfer);
    if (code == CURLE_OK)
        code = curl()->easy_setopt(transfer->easy, CURLOPT_CURLU, r->url.handle);
    if (code == CURLE_OK)
        code = curl()->easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (code == CURLE_OK && r->url.https && transfer->owner->ca_file)
        code = curl()->easy_setopt(transfer->easy, CURLOPT_CAINFO, transfer->owner->ca_file);
    if (code == CURLE_OK && r->url.https && transfer->owner->ca_folder)
        code = curl()->easy_setopt(transfer->easy, CURLOPT_CAPATH, transfer->owner->ca_folder);
    return code;
}

static struct http_transfer *take_spare(struct http_transfers *t) {
    struct http_transfer *transfer = t->spare;
    if (transfer) {
        t->spare = transfer->next;
        t->spare_n--;
        transfer->next = NULL;
        return transfer;
    }
    transfer = FAULT("http.transfer") ? NULL : calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->owner = t;
    transfer->easy = FAULT("http.easy") ? NULL : curl()->easy_init();
    if (transfer->easy)
        return transfer;
    free(transfer);
    return NULL;
}

int http_transfer_start(struct http_transfers *t, struct http_request *r) {
    if (r->url.https && check_certificates(t, &r->failure))
        return -1;
    struct http_transfer *transfer = take_spare(t);
    if (!transfer) {
        http_fail_memory(&r->failure);
        return -1;
    }
    transfer->request = r;
    transfer->started = clock_monotonic_ns();
    r->must_be_loopback = false;
    if (add_headers(transfer) == 0 && (FAULT("http.options") || set_all(transfer) != CURLE_OK ||
                                       curl()->multi_add_handle(t->multi, transfer->easy) != CURLM_OK))
        http_fail(&r->failure, "http_error", "internal", "the request to %s couldn't be started", r->url.host);
    if (r->failure.type) {
        free_transfer(transfer);
        return -1;
    }
    transfer->next = t->active;
    if (t->active)
        t->active->prev = transfer;
    t->active = transfer;
    r->transfer = transfer;
    return 0;
}

/* --- going on and ending --- */

void http_transfer_resume(struct http_transfer *transfer) {
    curl()->easy_pause(transfer->easy, CURLPAUSE_CONT);
}

static void measure(const struct http_transfer *transfer, struct http_outcome *ret) {
    curl_off_t bytes = 0;
    curl()->easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
    ret->bytes = (uint64_t)bytes;
    ret->duration = clock_monotonic_ns() - transfer->started;
}

void http_transfer_drop(struct http_transfer *transfer, struct http_outcome *outcome) {
    measure(transfer, outcome);
    if (!transfer->looking_up) {
        retire(transfer);
        return;
    }
    /* What libcurl still holds of the request is no longer its own. */
    curl()->easy_setopt(transfer->easy, CURLOPT_CURLU, NULL);
    transfer->request->transfer = NULL;
    transfer->request = NULL;
    transfer->owner->abandoned++;
}

const char *http_transfer_phase(const struct http_transfer *transfer) {
    if (!transfer)
        return "waiting for its turn";
    if (transfer->looking_up)
        return "looking up the name";
    if (!transfer->connected)
        return "connecting";
    if (transfer->request && transfer->request->status)
        return "receiving the response";
    return "waiting for a response";
}

static void explain_connection(struct http_transfer *transfer, CURLcode code, struct http_failure *f) {
    const char *host = transfer->request->url.host;
    unsigned port = transfer->request->url.port;
    long number = 0;
    curl()->easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        http_fail(f, "http_error", "dns", "the name %s has no address, or it can't be looked up now", host);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        http_fail(f, "http_error", "timeout", "no connection to %s:%u within %d s", host, port,
                  HTTP_CONNECT_TIMEOUT_MS / 1000);
    else if (transfer->refused.type && !transfer->dialled)
        *f = transfer->refused;
    else
        http_fail(f, "http_error", "connect", "no connection to %s:%u%s%s", host, port, number ? ": " : "",
                  number ? strerrordesc_np((int)number) : "");
}

/* libcurl's codes in a guest's terms. Where one of our callbacks stopped it, the request's failure is set already. */
static void explain(struct http_transfer *transfer, CURLcode code) {
    struct http_failure *f = &transfer->request->failure;
    const char *host = transfer->request->url.host;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        if (!f->type)
            explain_connection(transfer, code, f);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        http_fail(f, "http_error", "tls", "no secure connection to %s: %s", host,
                  transfer->text[0] ? transfer->text : "TLS failed");
        break;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
        http_fail(f, "http_error", "closed", "%s closed the connection before the response was there", host);
        break;
    case CURLE_PARTIAL_FILE:
        http_fail(f, "http_error", "closed",
                  "%s closed the connection before the response was whole, or announced a wrong length", host);
        break;
    case CURLE_OUT_OF_MEMORY:
        http_fail_memory(f);
        break;
    case CURLE_TOO_LARGE:
        http_fail(f, "http_error", "too_large", "%s sent a header that is larger than 100 KB", host);
        break;
    case CURLE_BAD_CONTENT_ENCODING:
        http_fail(f, "http_error", "protocol", "the response of %s isn't compressed as its headers say", host);
        break;
    default:
        http_fail(f, "http_error", "protocol", "what %s sent isn't HTTP as it should be (%s)", host,
                  transfer->text[0] ? transfer->text : curl()->easy_strerror(code));
        break;
    }
}

static void set_version(struct http_request *r, CURL *easy) {
    long version = 0;
    curl()->easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    const char *text = version == CURL_HTTP_VERSION_2_0 ? "2" : version == CURL_HTTP_VERSION_1_0 ? "1.0" : "1.1";
    memcpy(r->version, text, strlen(text) + 1);
}

static void end(struct http_transfer *transfer, CURLcode code) {
    struct http_request *r = transfer->request;
    if (!r) {
        retire(transfer);
        return;
    }
    /* libcurl is content with a head that was cut off. */
    if (code == CURLE_OK && !r->head_done)
        code = CURLE_GOT_NOTHING;
    struct http_outcome outcome = {.ok = false};
    measure(transfer, &outcome);
    set_version(r, transfer->easy);
    /* A redirect's body isn't wanted: enough that its head is there. */
    outcome.ok = code == CURLE_OK || (r->following && r->head_done && !r->failure.type);
    if (!outcome.ok)
        explain(transfer, code);
    retire(transfer);
    http_request_done(r, &outcome);
}

void http_transfers_run(struct http_transfers *t) {
    int running, left;
    curl()->multi_perform(t->multi, &running);
    for (CURLMsg *message; (message = curl()->multi_info_read(t->multi, &left)) != NULL;) {
        struct http_transfer *transfer = NULL;
        CURLcode code = message->data.result;
        curl()->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        end(transfer, code);
    }
}
