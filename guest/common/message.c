#include "message.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char MESSAGE_PLAIN[] = "{\"ok\":true,\"tagged\":false}";
_Static_assert(sizeof MESSAGE_PLAIN == MESSAGE_PLAIN_N + 1, "its length is in message.h");

enum { LENGTH_N = 4, SMALL = GUEST_MESSAGE_SMALL };

static _Alignas(4096) struct {
    uint8_t in[SMALL], out[SMALL];
    bool taken;
} page;

void *message_alloc(size_t n) {
    if (n > SMALL || page.taken)
        return malloc(n ? n : 1);
    page.taken = true;
    return page.in;
}

void message_free(void *message) {
    if (message == page.in)
        page.taken = false;
    else
        free(message);
}

int message_parse(const uint8_t *bytes, size_t n, struct message *ret) {
    if (n < LENGTH_N)
        return -1;
    uint32_t header_n;
    memcpy(&header_n, bytes, LENGTH_N);
    if (header_n > n - LENGTH_N)
        return -1;
    *ret = (struct message){
        .header = (const char *)bytes + LENGTH_N,
        .header_n = header_n,
        .body = (const char *)bytes + LENGTH_N + header_n,
        .body_n = n - LENGTH_N - header_n,
    };
    return 0;
}

void message_write(uint8_t *to, const char *header, size_t header_n, const char *body, size_t body_n) {
    uint32_t length = (uint32_t)header_n;
    memcpy(to, &length, LENGTH_N);
    memcpy(to + LENGTH_N, header, header_n);
    if (body_n)
        memcpy(to + LENGTH_N + header_n, body, body_n);
}

static uint64_t reply_at(const uint8_t *bytes, size_t n) {
    return (uint64_t)(uintptr_t)bytes << 32 | n;
}

uint64_t message_pack(const char *header, size_t header_n, const char *body, size_t body_n) {
    if (header_n > GUEST_HEADER_MAX || body_n > GUEST_MESSAGE_MAX - LENGTH_N - header_n)
        return 0;
    size_t n = LENGTH_N + header_n + body_n;
    uint8_t *bytes = n <= SMALL ? page.out : malloc(n);
    if (!bytes)
        return 0;
    message_write(bytes, header, header_n, body, body_n);
    return reply_at(bytes, n);
}

uint64_t message_constant(const char *header, size_t header_n) {
    return message_pack(header, header_n <= SMALL - LENGTH_N ? header_n : 0, NULL, 0);
}

uint64_t message_out_of_memory(void) {
    static const char header[] =
        "{\"ok\":false,\"error\":{\"type\":\"out_of_memory\",\"message\":\"the task needs more memory than its "
        "ram option allows\",\"retry\":true}}";
    return message_constant(header, sizeof header - 1);
}

uint64_t message_not_a_message(void) {
    static const char header[] =
        "{\"ok\":false,\"error\":{\"type\":\"bad_input\",\"message\":\"the arguments aren't a message in "
        "UTF-8\",\"retry\":false}}";
    return message_constant(header, sizeof header - 1);
}

uint64_t message_broken(void) {
    static const char header[] =
        "{\"ok\":false,\"error\":{\"type\":\"task_error\",\"class\":\"SystemError\",\"message\":\"the "
        "interpreter failed while it reported a failure\",\"retry\":true}}";
    return message_constant(header, sizeof header - 1);
}
