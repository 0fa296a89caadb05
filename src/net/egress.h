/* Egress rules: which hosts a task may reach over HTTP, by name and by the address that is dialled.
 *
 * Two checks, both needed: the name before it's looked up, and each address before it's dialled (and again before a kept
 * connection is used), so that a name that resolves to another address next time gains nothing.
 *
 * - Without a list (`listed` false) every host is allowed whose address is public.
 * - With one, a host must match an entry: "name" and "1.2.3.4" and "[v6]" match themselves, "*.name" one or more labels in front of name,
 *   each on any port, or with ":port" on that one.
 * - An address that isn't public (address.h) is refused unless an entry without "*" names the host or that address, with its port,
 *   and `public_only` is false.
 * Pure functions; any thread. */
#ifndef NET_EGRESS_H
#define NET_EGRESS_H

#include "base/error.h"
#include "net/address.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct egress_rules {
    bool listed, public_only;
    char *const *hosts; /* as app/grants.h cleans them; borrowed */
    size_t hosts_n;
};

/* host: as url.h gives it: lower case, without a final dot; an address in its one spelling, v6 in brackets. ERROR_INVALID: not allowed; message and
 * hint are for the user. */
int egress_check_host(const struct egress_rules *rules, const char *host, uint16_t port, struct error *err);
/* The same for the address that host led to. */
int egress_check_address(const struct egress_rules *rules, const char *host, const struct address *address,
                         uint16_t port, struct error *err);
/* Whether one entry (of rules, of a secret) matches. */
bool egress_matches(const char *entry, const char *host, uint16_t port);

#endif
