/* The items of a policy's lists: files, hosts, names of variables. Their syntax, canonical form, and when one includes another. */
#ifndef APP_GRANTS_H
#define APP_GRANTS_H

#include "app/policy.h"
#include "base/error.h"
#include <stdbool.h>

enum { HOST_NAME_MAX_LENGTH = 253, HOST_TEXT_MAX = 272 /* with "*.", brackets and port */ };

/* ret is malloc'd: "data/x", ".", "../x" (above the project) or "/abs". ERROR_INVALID says what's wrong with the text. */
int grant_path_clean(const char *text, char **ret, struct error *err);
/* True if path is folder or lies in it; both cleaned. A relative and an absolute path can't be compared: false. */
bool grant_path_includes(const char *folder, const char *path);
/* True for "../x" and absolute paths. */
bool grant_path_is_outside(const char *path);

/* Lower-case "name", "*.name", "1.2.3.4" or "[v6]", each with ":port" if there was one. */
int grant_host_clean(const char *text, char ret[HOST_TEXT_MAX], struct error *err);
/* True if whatever pattern `host` matches, `limit` matches. Both cleaned. */
bool grant_host_includes(const char *limit, const char *host);

int grant_variable_check(const char *name, struct error *err);

/* Appends a copy; ERROR_NOMEM. */
int file_grants_add(struct file_grant **grants, size_t *n, const char *host, bool writable);
void file_grants_free(struct file_grant *grants, size_t n);

#endif
