/* A server on loopback that does what a test says, down to the byte: a thread for each connection. */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVER_REQUEST_MAX = 1 << 20 };

/* One request as it came: head and, by its Content-Length or chunks, body. */
struct server_request {
    char *head; /* NUL-terminated */
    char *body;
    size_t body_n;
    const char *method, *path;
    int number; /* of this connection's requests, from 1 */
};

/* Answers on fd; false: the connection is to be closed. */
typedef bool (*server_handler)(int fd, const struct server_request *request, void *user);

struct server;

struct server *server_start(server_handler handler, void *user);
/* The same on every address of this machine. */
struct server *server_start_any(server_handler handler, void *user);
/* Handles connections without reading a request. */
struct server *server_start_raw(void (*handler)(int fd, void *user), void *user);
/* Closes what is open and waits for all threads. */
void server_stop(struct server *s);
uint16_t server_port(const struct server *s);
int server_connections(const struct server *s);
int server_requests(const struct server *s);

/* Writes all of it, or returns false. */
bool server_send(int fd, const void *bytes, size_t n);
bool server_puts(int fd, const char *text);
bool server_printf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole response of status 200. */
bool server_answer(int fd, const char *body);
/* The value of a header in a head, copied; "" if there is none. */
const char *server_header(const struct server_request *r, const char *name, char *to, size_t max);

#endif
