/* Owns the list of address ranges that aren't public; see address.h.
 *
 * After IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890, as of 2025-10). Where a registry names single addresses inside
 * a range as reachable (192.0.0.9, 2001:1::1, …) the whole range is refused: those are anycast services of networks, no web servers.
 * Of IPv6 only 2000::/3 is given out to networks; all that lies outside is refused but NAT64. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct range {
    uint8_t bytes[8]; /* the first of the address; the rest is zero */
    unsigned bits;
    const char *what;
};

static const struct range V4[] = {
    {{0}, 8, "an unspecified address"},
    {{10}, 8, "a private address"},
    {{100, 64}, 10, "a carrier's shared address"},
    {{127}, 8, "a loopback address"},
    {{169, 254}, 16, "a link-local address"},
    {{172, 16}, 12, "a private address"},
    {{192, 0, 0}, 24, "a reserved address"},
    {{192, 0, 2}, 24, "a documentation address"},
    {{192, 88, 99}, 24, "a reserved address"}, /* 6to4 relays, withdrawn */
    {{192, 168}, 16, "a private address"},
    {{198, 18}, 15, "a benchmarking address"},
    {{198, 51, 100}, 24, "a documentation address"},
    {{203, 0, 113}, 24, "a documentation address"},
    {{224}, 4, "a multicast address"},
    {{255, 255, 255, 255}, 32, "the broadcast address"},
    {{240}, 4, "a reserved address"},
};

static const struct range V6[] = {
    {{0x01, 0x00}, 64, "a discard-only address"},
    {{0x20, 0x01, 0x00, 0x00}, 32, "a Teredo address"},
    {{0x20, 0x01, 0x00}, 23, "a reserved address"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "a documentation address"},
    {{0x3f, 0xff, 0x00}, 20, "a documentation address"},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "a local NAT64 address"},
    {{0xfc}, 7, "a private address"}, /* unique local */
    {{0xfe, 0x80}, 10, "a link-local address"},
    {{0xfe, 0xc0}, 10, "a private address"}, /* site-local, withdrawn */
    {{0xff}, 8, "a multicast address"},
};

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t NAT64[12] = {0x00, 0x64, 0xff, 0x9b};
static const uint8_t COMPATIBLE[12] = {0};
static const uint8_t SIX_TO_FOUR[2] = {0x20, 0x02};

static bool is_v4(const struct address *a) {
    return memcmp(a->bytes, MAPPED, sizeof MAPPED) == 0;
}

bool address_parse(const char *text, struct address *ret) {
    char inside[INET6_ADDRSTRLEN];
    size_t n = strlen(text);
    bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets) {
        text++;
        n -= 2;
    }
    if (n >= sizeof inside)
        return false;
    memcpy(inside, text, n);
    inside[n] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET6, inside, &v6) == 1) {
        memcpy(ret->bytes, &v6, sizeof ret->bytes);
        return true;
    }
    if (brackets || inet_pton(AF_INET, inside, &v4) != 1)
        return false;
    memcpy(ret->bytes, MAPPED, sizeof MAPPED);
    memcpy(ret->bytes + sizeof MAPPED, &v4, sizeof v4);
    return true;
}

bool address_of_socket(const struct sockaddr *from, struct address *ret) {
    /* Copied, since a sockaddr may lie where the others would be misaligned. */
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(ret->bytes, &v6.sin6_addr, sizeof ret->bytes);
        return true;
    }
    if (from->sa_family != AF_INET)
        return false;
    struct sockaddr_in v4;
    memcpy(&v4, from, sizeof v4);
    memcpy(ret->bytes, MAPPED, sizeof MAPPED);
    memcpy(ret->bytes + sizeof MAPPED, &v4.sin_addr, sizeof v4.sin_addr);
    return true;
}

void address_format(const struct address *a, char ret[ADDRESS_TEXT_MAX]) {
    if (is_v4(a))
        inet_ntop(AF_INET, a->bytes + sizeof MAPPED, ret, ADDRESS_TEXT_MAX);
    else
        inet_ntop(AF_INET6, a->bytes, ret, ADDRESS_TEXT_MAX);
}

bool address_equal(const struct address *a, const struct address *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool in_range(const uint8_t *bytes, const struct range *range) {
    size_t whole = range->bits / 8;
    unsigned rest = range->bits % 8;
    if (memcmp(bytes, range->bytes, whole) != 0)
        return false;
    return rest == 0 || (bytes[whole] ^ range->bytes[whole]) >> (8 - rest) == 0;
}

static const char *find(const struct range *ranges, size_t n, const uint8_t *bytes) {
    for (size_t i = 0; i < n; i++)
        if (in_range(bytes, &ranges[i]))
            return ranges[i].what;
    return NULL;
}

static const char *why_not_public_v4(const uint8_t bytes[4]) {
    return find(V4, sizeof V4 / sizeof V4[0], bytes);
}

static const char *why_not_public_v6(const uint8_t bytes[16]) {
    static const uint8_t LOOPBACK[16] = {[15] = 1}, UNSPECIFIED[16] = {0};
    if (memcmp(bytes, LOOPBACK, sizeof LOOPBACK) == 0)
        return "a loopback address";
    if (memcmp(bytes, UNSPECIFIED, sizeof UNSPECIFIED) == 0)
        return "an unspecified address";
    const char *why = find(V6, sizeof V6 / sizeof V6[0], bytes);
    return why || bytes[0] >> 5 == 1 ? why : "a reserved address";
}

const char *address_why_not_public(const struct address *a) {
    const uint8_t *bytes = a->bytes;
    if (is_v4(a) || memcmp(bytes, NAT64, sizeof NAT64) == 0)
        return why_not_public_v4(bytes + 12);
    if (memcmp(bytes, SIX_TO_FOUR, sizeof SIX_TO_FOUR) == 0)
        return why_not_public_v4(bytes + 2);
    const char *why = why_not_public_v6(bytes);
    /* "::127.0.0.1" says more than "reserved"; ::1 and :: are themselves. */
    if (why && memcmp(bytes, COMPATIBLE, sizeof COMPATIBLE) == 0 && bytes[12] != 0)
        return why_not_public_v4(bytes + 12) ? why_not_public_v4(bytes + 12) : why;
    return why;
}

bool address_is_public(const struct address *a) {
    return address_why_not_public(a) == NULL;
}

bool address_is_loopback(const struct address *a) {
    static const uint8_t LOOPBACK[16] = {[15] = 1};
    return (is_v4(a) && a->bytes[12] == 127) || memcmp(a->bytes, LOOPBACK, sizeof LOOPBACK) == 0;
}
