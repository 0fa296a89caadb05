/* URLs, by libcurl's parser, narrowed to what guests may use: http and https, an ASCII host, a sane port.
 *
 * The parsed handle is what libcurl later dials, so there's no second parser to disagree with it.
 * Thread rule: a struct url belongs to one thread at a time. */
#ifndef NET_URL_H
#define NET_URL_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

enum { URL_MAX = 16 * 1024, URL_HOST_MAX = 256 };

struct url {
    void *handle; /* CURLU */
    bool https;
    uint16_t port;
    char host[URL_HOST_MAX]; /* lower case, no final dot; IPv4 dotted however it was spelled; IPv6 in brackets */
};

/* text: absolute, or relative to base (which may be NULL). ERROR_INVALID with a message for the user, which doesn't repeat userinfo or query. */
int url_parse(const char *text, const struct url *base, struct url *ret, struct error *err);
void url_done(struct url *u);
/* "user:password", decoded and malloc'd, and takes it out of the URL; NULL: there was none. */
int url_take_userinfo(struct url *u, char **ret, struct error *err);
/* malloc'd, without userinfo and fragment. */
char *url_text(const struct url *u);
/* malloc'd; userinfo and values of the query as "***", without fragment. */
char *url_masked(const struct url *u);
bool url_same_origin(const struct url *a, const struct url *b);

#endif
