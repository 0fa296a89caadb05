/* Secrets of an application: the variables that [secrets] of capsule.toml names.
 *
 * A sandbox sees a token in place of the value; src/net puts the value into headers of requests to the secret's hosts. A project's secret has the same
 * token each time, as a resumed run has it in its memory. Immutable after secrets_read; used by many threads. */
#ifndef RUN_SECRETS_H
#define RUN_SECRETS_H

#include "app/cache.h"
#include "app/manifest.h"
#include "base/error.h"
#include "net/http.h"

/* So short a value can't be told from other text when responses are masked. */
enum { SECRET_LENGTH_MIN = 8 };

struct secrets {
    struct http_secret *items; /* name and hosts are the manifest's; token and value are owned */
    size_t n;
};

struct secrets_source {
    const char *(*value)(const void *user, const char *name); /* of a variable; NULL if it isn't set */
    const void *user;
    const struct cache *cache; /* tokens can't be told without its key */
    const char *root;          /* the project's */
};

/* Makes a token for each secret that has a value. ERROR_PROJECT: a value that can't be a header's. */
int secrets_read(const struct manifest *m, const struct secrets_source *source, struct secrets *ret,
                 struct error *err);
void secrets_done(struct secrets *s);
/* NULL: that variable is none. */
const struct http_secret *secrets_find(const struct secrets *s, const char *name);

#endif
