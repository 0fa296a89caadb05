/* Owns who may be reached; see egress.h.
 *
 * Two spellings of one address are the same host, whether an entry or a URL has them. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "net/egress.h"

#include "base/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_MAX = 256 };

/* An entry, taken apart. */
struct entry {
    bool wildcard;       /* "*." stood before the host */
    char host[HOST_MAX]; /* with brackets, if it had some */
    long port;           /* 0: none was named */
};

static bool read_entry(const char *text, struct entry *ret) {
    ret->wildcard = strncmp(text, "*.", 2) == 0;
    text += ret->wildcard ? 2 : 0;
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    size_t n = bracket ? (size_t)(bracket + 1 - text) : strcspn(text, ":");
    if (n == 0 || n >= sizeof ret->host || (text[n] != ':' && text[n] != '\0'))
        return false;
    memcpy(ret->host, text, n);
    ret->host[n] = '\0';
    char *end = NULL;
    ret->port = text[n] == ':' ? strtol(text + n + 1, &end, 10) : 0;
    /* strtol would skip spaces, signs and zeros */
    return text[n] == '\0' ||
           (text[n + 1] >= '1' && text[n + 1] <= '9' && *end == '\0' && ret->port <= UINT16_MAX);
}

static bool host_matches(const struct entry *entry, const char *host) {
    struct address ours, theirs;
    if (address_parse(host, &theirs))
        return !entry->wildcard && address_parse(entry->host, &ours) && address_equal(&ours, &theirs);
    if (!entry->wildcard)
        return strcmp(entry->host, host) == 0;
    size_t n = strlen(host), suffix = strlen(entry->host);
    return n > suffix + 1 && host[n - suffix - 1] == '.' && strcmp(host + n - suffix, entry->host) == 0;
}

bool egress_matches(const char *text, const char *host, uint16_t port) {
    struct entry entry;
    return read_entry(text, &entry) && (entry.port == 0 || entry.port == port) && host_matches(&entry, host);
}

/* Whether an entry names the host, or the address that it led to, and its port. */
static bool is_named(const struct egress_rules *rules, const char *host, const struct address *address,
                     uint16_t port) {
    struct entry entry;
    struct address named;
    for (size_t i = 0; i < rules->hosts_n; i++) {
        if (!read_entry(rules->hosts[i], &entry) || entry.wildcard || entry.port != port)
            continue;
        if (host_matches(&entry, host) || (address_parse(entry.host, &named) && address_equal(&named, address)))
            return true;
    }
    return false;
}

int egress_check_address(const struct egress_rules *rules, const char *host, const struct address *address,
                         uint16_t port, struct error *err) {
    const char *why = address_why_not_public(address);
    if (!why || (rules->listed && !rules->public_only && is_named(rules, host, address, port)))
        return 0;
    char text[ADDRESS_TEXT_MAX];
    address_format(address, text);
    struct address itself;
    if (address_parse(host, &itself))
        error_set(err, ERROR_INVALID, "%s isn't allowed: it's %s", show(host).text, why);
    else
        error_set(err, ERROR_INVALID, "%s isn't allowed: it leads to %s, %s", show(host).text, text, why);
    error_hint(err, "if the task is meant to reach it, list it with its port among its allowed hosts: \"%s:%u\"",
               show(host).text, port);
    return ERROR_INVALID;
}

int egress_check_host(const struct egress_rules *rules, const char *host, uint16_t port, struct error *err) {
    bool allowed = !rules->listed;
    for (size_t i = 0; i < rules->hosts_n && !allowed; i++)
        allowed = egress_matches(rules->hosts[i], host, port);
    struct address address;
    if (allowed)
        return address_parse(host, &address) ? egress_check_address(rules, host, &address, port, err) : 0;
    if (rules->hosts_n == 0) {
        error_set(err, ERROR_INVALID, "%s isn't allowed: the task may not reach any host", show(host).text);
        error_hint(err, "add \"%s\" to its allowed hosts, and to [limits] max_allowed_hosts where that is set",
                   show(host).text);
        return ERROR_INVALID;
    }
    error_set(err, ERROR_INVALID, "%s:%u isn't allowed: no entry of the task's allowed hosts matches it",
              show(host).text, port);
    error_hint(err,
               "add \"%s\" or \"%s:%u\" to its allowed hosts, and to [limits] max_allowed_hosts where that is set",
               show(host).text, show(host).text, port);
    return ERROR_INVALID;
}
