/* Owns the test server's threads and sockets; see http_server.h. */
#define _GNU_SOURCE 1
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct server *server;
    int fd;
    pthread_t thread;
    struct connection *next;
};

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    server_handler handler;
    void (*raw)(int fd, void *user);
    void *user;
    pthread_mutex_t lock;
    struct connection *connections;
    atomic_int n, requests;
};

bool server_send(int fd, const void *bytes, size_t n) {
    for (const char *at = bytes; n > 0;) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool server_puts(int fd, const char *text) {
    return server_send(fd, text, strlen(text));
}

bool server_printf(int fd, const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    bool sent = n >= 0 && server_send(fd, text, (size_t)n);
    free(text);
    return sent;
}

bool server_answer(int fd, const char *body) {
    return server_printf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

const char *server_header(const struct server_request *r, const char *name, char *to, size_t max) {
    size_t n = strlen(name);
    to[0] = '\0';
    for (const char *line = r->head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        line += n + 1;
        line += strspn(line, " ");
        snprintf(to, max, "%.*s", (int)strcspn(line, "\r"), line);
        break;
    }
    return to;
}

/* Reads until `have` bytes are in buffer; false at the end. */
static bool fill(int fd, char *buffer, size_t *have, size_t want) {
    while (*have < want) {
        ssize_t n = want <= SERVER_REQUEST_MAX ? recv(fd, buffer + *have, SERVER_REQUEST_MAX - *have, 0) : -1;
        if (n <= 0)
            return false;
        *have += (size_t)n;
        buffer[*have] = '\0';
    }
    return true;
}

static bool read_chunks(int fd, char *buffer, size_t *have, size_t at, struct server_request *r) {
    r->body = calloc(1, SERVER_REQUEST_MAX + 1);
    for (;;) {
        char *end;
        while ((end = strstr(buffer + at, "\r\n")) == NULL)
            if (!fill(fd, buffer, have, *have + 1))
                return false;
        size_t n = strtoul(buffer + at, NULL, 16);
        at = (size_t)(end - buffer) + 2;
        if (!fill(fd, buffer, have, at + n + 2))
            return false;
        if (n == 0)
            return true;
        memcpy(r->body + r->body_n, buffer + at, n);
        r->body_n += n;
        at += n + 2;
    }
}

static bool read_request(int fd, struct server_request *r) {
    char *buffer = calloc(1, SERVER_REQUEST_MAX + 1), *end, value[64];
    size_t have = 0;
    r->head = buffer;
    while ((end = strstr(buffer, "\r\n\r\n")) == NULL)
        if (!fill(fd, buffer, &have, have + 1))
            return false;
    size_t head = (size_t)(end - buffer) + 4;
    if (strcasecmp(server_header(r, "Transfer-Encoding", value, sizeof value), "chunked") == 0) {
        if (!read_chunks(fd, buffer, &have, head, r))
            return false;
    } else {
        size_t n = strtoul(server_header(r, "Content-Length", value, sizeof value), NULL, 10);
        if (!fill(fd, buffer, &have, head + n))
            return false;
        r->body = calloc(1, n + 1);
        memcpy(r->body, buffer + head, n);
        r->body_n = n;
    }
    buffer[head - 2] = '\0';
    r->method = buffer;
    char *space = strchr(buffer, ' ');
    char *second = space ? strchr(space + 1, ' ') : NULL;
    if (!second)
        return false;
    *space = *second = '\0';
    r->path = space + 1;
    /* The rest of the request line is of no interest; header lines follow its end. */
    r->head = second + 1;
    return true;
}

static void *serve(void *user) {
    struct connection *c = user;
    struct server *s = c->server;
    bool go_on = s->raw == NULL;
    if (s->raw)
        s->raw(c->fd, s->user);
    for (int number = 1; go_on; number++) {
        struct server_request r = {.number = number};
        go_on = read_request(c->fd, &r);
        char *buffer = (char *)(uintptr_t)(r.method ? r.method : r.head);
        if (go_on) {
            atomic_fetch_add(&s->requests, 1);
            go_on = s->handler(c->fd, &r, s->user);
        }
        free(r.body);
        free(buffer);
    }
    pthread_mutex_lock(&s->lock);
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *accept_all(void *user) {
    struct server *s = user;
    for (int fd; (fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        *c = (struct connection){.server = s, .fd = fd};
        atomic_fetch_add(&s->n, 1);
        pthread_mutex_lock(&s->lock);
        c->next = s->connections;
        s->connections = c;
        pthread_create(&c->thread, NULL, serve, c);
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static struct server *start(server_handler handler, void (*raw)(int fd, void *user), void *user,
                            uint32_t address) {
    struct server *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    socklen_t n = sizeof at;
    s->handler = handler;
    s->raw = raw;
    s->user = user;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&at, sizeof at) || listen(s->fd, 512) ||
        getsockname(s->fd, (struct sockaddr *)&at, &n))
        abort();
    s->port = ntohs(at.sin_port);
    pthread_create(&s->thread, NULL, accept_all, s);
    return s;
}

struct server *server_start(server_handler handler, void *user) {
    return start(handler, NULL, user, INADDR_LOOPBACK);
}

struct server *server_start_any(server_handler handler, void *user) {
    return start(handler, NULL, user, INADDR_ANY);
}

struct server *server_start_raw(void (*handler)(int fd, void *user), void *user) {
    return start(NULL, handler, user, INADDR_LOOPBACK);
}

void server_stop(struct server *s) {
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    for (struct connection *next, *c = s->connections; c; c = next) {
        next = c->next;
        pthread_mutex_lock(&s->lock);
        shutdown(c->fd, SHUT_RDWR);
        pthread_mutex_unlock(&s->lock);
        pthread_join(c->thread, NULL);
        free(c);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t server_port(const struct server *s) {
    return s->port;
}

int server_connections(const struct server *s) {
    return atomic_load(&s->n);
}

int server_requests(const struct server *s) {
    return atomic_load(&s->requests);
}
