/* Tokens for secrets. */
#include "run/secrets.h"
#include "base/digest.h"
#include "base/fault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *new_token(const struct secrets_source *source, const char *name) {
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE], *token = NULL;
    CLEANUP(cleanup_free) char *what = NULL;
    int n = asprintf(&what, "secret\n%s\n%s", name, source->root);
    if (n < 0) {
        what = NULL;
        return NULL;
    }
    cache_keyed_digest(source->cache, what, (size_t)n, digest);
    digest_hex(digest, hex);
    return FAULT("secrets.token") || asprintf(&token, "capsule-secret-%.40s", hex) < 0 ? NULL : token;
}

/* The message never shows the value. */
static int check_value(const char *name, const char *value, struct error *err) {
    bool printable = true;
    for (const char *p = value; *p != '\0'; p++)
        printable = printable && (unsigned char)*p >= 0x20 && *p != 0x7f;
    if (printable && strlen(value) >= SECRET_LENGTH_MIN)
        return 0;
    error_set(err, ERROR_PROJECT, "the secret %s %s", name,
              printable ? "is shorter than 8 characters" : "has line breaks or other control characters");
    error_hint(err,
               "a secret is sent in a header of HTTP requests; take %s out of [secrets] to pass it on as it is",
               name);
    return ERROR_PROJECT;
}

int secrets_read(const struct manifest *m, const struct secrets_source *source, struct secrets *ret,
                 struct error *err) {
    struct secrets s = {.items = calloc(m->n_secrets + 1, sizeof *s.items)};
    int r = s.items == NULL ? error_set(err, ERROR_NOMEM, "no memory for secrets") : 0;
    for (size_t i = 0; r == 0 && i < m->n_secrets; i++) {
        const struct secret_grant *grant = &m->secrets[i];
        const char *text = source->value(source->user, grant->name);
        if (text == NULL)
            continue;
        r = check_value(grant->name, text, err);
        if (r != 0)
            break;
        s.items[s.n++] = (struct http_secret){.name = grant->name,
                                              .token = new_token(source, grant->name),
                                              .value = strdup(text),
                                              .hosts = grant->hosts.items,
                                              .hosts_n = grant->hosts.n};
        if (s.items[s.n - 1].token == NULL || s.items[s.n - 1].value == NULL)
            r = error_set(err, ERROR_NOMEM, "no memory for secrets");
    }
    if (r == 0)
        *ret = s;
    else
        secrets_done(&s);
    return r;
}

void secrets_done(struct secrets *s) {
    for (size_t i = 0; i < s->n; i++) {
        free((char *)(uintptr_t)s->items[i].token);
        free((char *)(uintptr_t)s->items[i].value);
    }
    free(s->items);
    *s = (struct secrets){0};
}

const struct http_secret *secrets_find(const struct secrets *s, const char *name) {
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    }
    return NULL;
}
