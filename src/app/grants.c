/* Owns the meaning of one granted file, host or variable; see grants.h.
 *
 * Everything here is lexical: nothing is looked up on disk or in the network, so the same program has the same policy
 * everywhere. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "app/grants.h"

#include "base/fault.h"
#include "base/path.h"
#include "base/show.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far above the project a cleaned relative path starts; *ret_rest is what follows the "..". */
static size_t count_ups(const char *path, const char **ret_rest) {
    size_t ups = 0;
    while (path[0] == '.' && path[1] == '.' && (path[2] == '/' || path[2] == '\0')) {
        ups++;
        path += path[2] ? 3 : 2;
    }
    *ret_rest = strcmp(path, ".") == 0 ? "" : path;
    return ups;
}

/* How far text climbs above where it starts. */
static size_t count_climbs(const char *text) {
    size_t depth = 0, climbs = 0;
    for (const char *p = text; *p; p += strspn(p, "/")) {
        size_t length = strcspn(p, "/");
        bool up = length == 2 && p[0] == '.' && p[1] == '.', here = length == 0 || (length == 1 && p[0] == '.');
        climbs += up && depth == 0;
        if (up)
            depth -= depth > 0;
        else if (!here)
            depth++;
        p += length;
    }
    return climbs;
}

static int clean_relative(const char *text, char ret[PATH_LENGTH_MAX]) {
    char below[PATH_LENGTH_MAX]; /* what's left when the climbs are taken away */
    size_t climbs = count_climbs(text);
    int n = path_normalize("/", text, below, sizeof below);
    if (n < 0 || 3 * climbs + (size_t)n >= PATH_LENGTH_MAX)
        return ERROR_LIMIT;
    char *to = ret;
    for (size_t i = 0; i < climbs; i++, to += 3)
        memcpy(to, "../", 3);
    memcpy(to, below + 1, (size_t)n);
    if (n > 1)
        return 0;
    /* Nothing but climbs, or not even those: without a slash at the end. */
    if (climbs > 0)
        to[-1] = '\0';
    else
        memcpy(ret, ".", 2);
    return 0;
}

int grant_path_clean(const char *text, char **ret, struct error *err) {
    char path[PATH_LENGTH_MAX];
    if (text[0] == '\0')
        return error_set(err, ERROR_INVALID, "a path is empty");
    if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
        error_set(err, ERROR_INVALID, "\"%s\": \"~\" isn't expanded", show(text).text);
        error_hint(err, "write the whole path, or a path relative to the project");
        return ERROR_INVALID;
    }
    int status = text[0] == '/' ? path_normalize("/", text, path, sizeof path) : clean_relative(text, path);
    if (status < 0)
        return error_set(err, ERROR_INVALID, "a path is longer than %d bytes: \"%s\"", PATH_LENGTH_MAX,
                         show(text).text);
    char *copy = FAULT("grant.path") ? NULL : strdup(path);
    if (!copy)
        return error_set(err, ERROR_NOMEM, "out of memory while reading a path");
    *ret = copy;
    return 0;
}

bool grant_path_includes(const char *folder, const char *path) {
    if (folder[0] == '/' || path[0] == '/')
        return folder[0] == '/' && path[0] == '/' && path_below(path, folder) != NULL;
    const char *folder_rest, *path_rest;
    size_t folder_ups = count_ups(folder, &folder_rest), path_ups = count_ups(path, &path_rest);
    if (folder_rest[0] == '\0')
        return path_ups <= folder_ups;
    /* "../a" and "b" may well be the same place, but nobody can see that from the text. */
    return folder_ups == path_ups && path_below(path_rest, folder_rest) != NULL;
}

bool grant_path_is_outside(const char *path) {
    const char *rest;
    return path[0] == '/' || count_ups(path, &rest) > 0;
}

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Labels of letters, digits, "-" and "_" between dots. */
static bool is_name(const char *text) {
    size_t n = strlen(text);
    if (n == 0 || n > HOST_NAME_MAX_LENGTH)
        return false;
    for (const char *p = text; *p;) {
        size_t length = strcspn(p, ".");
        if (length == 0 || length > 63 || p[0] == '-' || p[length - 1] == '-')
            return false;
        for (size_t i = 0; i < length; i++)
            if (!is_letter_or_digit(p[i]) && p[i] != '-' && p[i] != '_')
                return false;
        p += length;
        if (*p == '.' && p[1] == '\0')
            return false;
        p += *p == '.';
    }
    return true;
}

/* Resolvers take "127.1" and "0x7f.1" for addresses too; here an address has one spelling. A name whose last label begins
 * with a digit is an address or nothing. */
static bool is_name_or_address(const char *text) {
    if (!is_name(text))
        return false;
    const char *dot = strrchr(text, '.'), *last = dot ? dot + 1 : text;
    if (last[0] < '0' || last[0] > '9')
        return true;
    struct in_addr address;
    return inet_pton(AF_INET, text, &address) == 1;
}

/* ":port" or nothing. 0 if there is none, negative if it's malformed. */
static int read_port(const char *text) {
    if (text[0] == '\0')
        return 0;
    size_t digits = text[0] == ':' ? strspn(text + 1, "0123456789") : 0;
    if (digits == 0 || digits > 5 || text[1 + digits] != '\0' || text[1] == '0')
        return -1;
    long port = strtol(text + 1, NULL, 10);
    return port > 65535 ? -1 : (int)port;
}

static int refuse_host(const char *text, const char *why, const char *hint, struct error *err) {
    error_set(err, ERROR_INVALID, "\"%s\" isn't a host: %s", show(text).text, why);
    error_hint(err, "%s", hint);
    return ERROR_INVALID;
}

static const char HOST_HINT[] =
    "write \"api.example.com\", \"*.example.com\", \"127.0.0.1:8080\" or \"[::1]:8080\"";

/* "[v6]" and what may follow. */
static int clean_v6(const char *text, char ret[HOST_TEXT_MAX], struct error *err) {
    const char *end = strchr(text, ']');
    char inside[INET6_ADDRSTRLEN];
    size_t n = end ? (size_t)(end - text) - 1 : 0;
    struct in6_addr address;
    if (n == 0 || n >= sizeof inside)
        return refuse_host(text, "it isn't an IPv6 address in brackets", HOST_HINT, err);
    memcpy(inside, text + 1, n);
    inside[n] = '\0';
    int port = read_port(end + 1);
    if (inet_pton(AF_INET6, inside, &address) != 1 || port < 0)
        return refuse_host(text, port < 0 ? "its port isn't a number from 1 to 65535" : "it isn't an IPv6 address",
                           HOST_HINT, err);
    inet_ntop(AF_INET6, &address, inside, sizeof inside);
    if (port)
        snprintf(ret, HOST_TEXT_MAX, "[%s]:%d", inside, port);
    else
        snprintf(ret, HOST_TEXT_MAX, "[%s]", inside);
    return 0;
}

/* What people write in place of a host, each with its own answer. */
static int refuse_lookalikes(const char *text, struct error *err) {
    struct in6_addr address;
    if (strstr(text, "://"))
        return refuse_host(text, "it has a scheme", "leave out what's before \"://\" and after the host", err);
    if (strpbrk(text, "/?#@"))
        return refuse_host(text, "it has more than a host and a port", HOST_HINT, err);
    if (strcmp(text, "*") == 0)
        return refuse_host(text, "a wildcard needs a domain",
                           "leave allowed_hosts out to allow all public hosts, or write \"*.example.com\"", err);
    if (inet_pton(AF_INET6, text, &address) == 1)
        return refuse_host(text, "an IPv6 address needs brackets", HOST_HINT, err);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p >= 0x80)
            return refuse_host(text, "it isn't ASCII", "write the name as DNS knows it (\"xn--…\")", err);
    return 0;
}

int grant_host_clean(const char *text, char ret[HOST_TEXT_MAX], struct error *err) {
    int status = refuse_lookalikes(text, err);
    if (status)
        return status;
    if (text[0] == '[')
        return clean_v6(text, ret, err);
    size_t length = strcspn(text, ":"), star = strncmp(text, "*.", 2) == 0 ? 2 : 0;
    char name[HOST_NAME_MAX_LENGTH + 1];
    int port = read_port(text + length);
    if (port < 0)
        return refuse_host(text, "its port isn't a number from 1 to 65535", HOST_HINT, err);
    if (length - star >= sizeof name)
        return refuse_host(text, "it's too long", HOST_HINT, err);
    memcpy(name, text + star, length - star);
    name[length - star] = '\0';
    struct in_addr address;
    if (!is_name_or_address(name) || (star && inet_pton(AF_INET, name, &address) == 1))
        return refuse_host(text, "it's neither a name nor an address", HOST_HINT, err);
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    if (port)
        snprintf(ret, HOST_TEXT_MAX, "%s%s:%d", star ? "*." : "", name, port);
    else
        snprintf(ret, HOST_TEXT_MAX, "%s%s", star ? "*." : "", name);
    return 0;
}

/* Where ":port" begins in a cleaned host, or its end. */
static size_t port_offset(const char *host) {
    const char *bracket = strchr(host, ']');
    return bracket ? (size_t)(bracket + 1 - host) : strcspn(host, ":");
}

bool grant_host_includes(const char *limit, const char *host) {
    size_t limit_n = port_offset(limit), host_n = port_offset(host);
    /* A port isn't only narrower: it also opens private addresses. So it must be the same, or absent on both sides. */
    if (strcmp(limit + limit_n, host + host_n) != 0)
        return false;
    if (limit_n == host_n && memcmp(limit, host, host_n) == 0)
        return true;
    /* "*.b" includes "a.b" and "*.a.b": all that end in ".b" and have something before it. */
    if (strncmp(limit, "*.", 2) != 0)
        return false;
    size_t suffix = limit_n - 1;
    return host_n > suffix && memcmp(host + host_n - suffix, limit + 1, suffix) == 0;
}

int grant_variable_check(const char *name, struct error *err) {
    static const char FIRST[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t n = strlen(name);
    bool valid = n > 0 && n <= 256 && strchr(FIRST, name[0]) != NULL;
    for (size_t i = 0; i < n && valid; i++)
        valid = is_letter_or_digit(name[i]) || name[i] == '_';
    if (valid)
        return 0;
    error_set(err, ERROR_INVALID, "\"%s\" isn't the name of an environment variable", show(name).text);
    if (strchr(name, '='))
        error_hint(err, "list names only; values come from the environment, .env or --env");
    else
        error_hint(err, "names have letters, digits and \"_\", and don't begin with a digit");
    return ERROR_INVALID;
}

int file_grants_add(struct file_grant **grants, size_t *n, const char *host, bool writable) {
    struct file_grant *more = FAULT("grant.files") ? NULL : reallocarray(*grants, *n + 1, sizeof **grants);
    if (!more)
        return ERROR_NOMEM;
    *grants = more;
    char *copy = FAULT("grant.file") ? NULL : strdup(host);
    if (!copy)
        return ERROR_NOMEM;
    more[(*n)++] = (struct file_grant){.host = copy, .writable = writable};
    return 0;
}

void file_grants_free(struct file_grant *grants, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(grants[i].host);
    free(grants);
}
