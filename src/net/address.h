/* IP addresses, and which of them are public.
 *
 * Not public: everything in IANA's special-purpose registries (RFC 6890 and its successors) that isn't globally reachable: loopback, private,
 * link-local (with the metadata services), CGNAT, multicast, documentation, reserved, unspecified, broadcast, unique local, …; and every IPv6
 * address that carries such an IPv4 address (mapped, compatible, NAT64 64:ff9b::/96 and 64:ff9b:1::/48, 6to4, Teredo).
 * Pure functions; any thread. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

/* IPv4 is kept as mapped IPv6 (::ffff:a.b.c.d), so that both spellings are one address. */
struct address {
    uint8_t bytes[16];
};

enum { ADDRESS_TEXT_MAX = 64 };

/* "1.2.3.4", "::1" or "[::1]": strictly, no octal, no short forms, no zone. False: it isn't one. */
bool address_parse(const char *text, struct address *ret);
/* AF_INET or AF_INET6; false for others. */
bool address_of_socket(const struct sockaddr *from, struct address *ret);
/* IPv4 dotted, IPv6 compressed, without brackets. */
void address_format(const struct address *a, char ret[ADDRESS_TEXT_MAX]);
bool address_equal(const struct address *a, const struct address *b);
bool address_is_loopback(const struct address *a);
bool address_is_public(const struct address *a);
/* "a loopback address", "a private address", …: why it isn't public; NULL if it is. Static. */
const char *address_why_not_public(const struct address *a);

#endif
