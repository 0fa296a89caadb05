/* A loopback HTTP server that costs as little as one can: it reads up to the end of a request's head and answers with 1,024 bytes,
 * whatever was asked. Connections are kept. `server` prints its port and serves until its standard input ends.
 *
 * One thread, one epoll. A connection belongs to its descriptor, which indexes a table; a request's head that is longer than
 * HEAD_MAX closes it. Only for measuring: it understands no request bodies. */
#include "sample.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_SIZE = 1024, HEAD_MAX = 4096, CONNECTIONS_MAX = 4096, EVENTS_MAX = 256 };

struct connection {
    size_t n;
    char head[HEAD_MAX];
};

static char answer[BODY_SIZE + 256];
static size_t answer_n;

static void make_answer(void) {
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", BODY_SIZE);
    memset(answer + n, 'x', BODY_SIZE);
    answer_n = (size_t)n + BODY_SIZE;
}

static int listen_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        fail("listen", strerror(errno));
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl", strerror(errno));
}

static void accept_one(int poller, int listener, struct connection **connections) {
    const int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS_MAX || (connections[fd] = calloc(1, sizeof *connections[fd])) == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(poller, fd);
}

/* Answers every whole head that has come. */
static bool answer_heads(int fd, struct connection *c) {
    const char *end;
    while ((end = memmem(c->head, c->n, "\r\n\r\n", 4)) != NULL) {
        size_t used = (size_t)(end - c->head) + 4;
        if (send(fd, answer, answer_n, MSG_NOSIGNAL) != (ssize_t)answer_n)
            return false;
        c->n -= used;
        memmove(c->head, c->head + used, c->n);
    }
    return c->n < HEAD_MAX;
}

static void serve(int fd, struct connection **connections) {
    struct connection *c = connections[fd];
    ssize_t n = read(fd, c->head + c->n, HEAD_MAX - c->n);
    if (n > 0) {
        c->n += (size_t)n;
        if (answer_heads(fd, c))
            return;
    }
    close(fd);
    free(c);
    connections[fd] = NULL;
}

int main(void) {
    static struct connection *connections[CONNECTIONS_MAX];
    struct epoll_event events[EVENTS_MAX];
    char ignored[64];
    make_answer();
    int listener = listen_on_loopback(), poller = epoll_create1(EPOLL_CLOEXEC);
    watch(poller, listener);
    watch(poller, STDIN_FILENO);
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(poller, listener, connections);
            else if (events[i].data.fd != STDIN_FILENO)
                serve(events[i].data.fd, connections);
            else if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
                return 0;
        }
    }
}
