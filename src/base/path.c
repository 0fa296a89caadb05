/* Owns lexical path arithmetic. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "base/path.h"

#include "base/error.h"

#include <string.h>

/* Appends the components of path to ret[0..n), where "" stands for the root. Returns the new length or ERROR_LIMIT. */
static int append_components(const char *path, char *ret, size_t n, size_t capacity) {
    for (const char *p = path; *p;) {
        size_t length = strcspn(p, "/");
        if (length == 2 && p[0] == '.' && p[1] == '.') {
            while (n > 0 && ret[--n] != '/') {
            }
        } else if (length > 0 && !(length == 1 && p[0] == '.')) {
            if (length + 1 >= capacity - n)
                return ERROR_LIMIT;
            ret[n++] = '/';
            memcpy(ret + n, p, length);
            n += length;
        }
        p += length;
        p += strspn(p, "/");
    }
    return (int)n;
}

int path_normalize(const char *base, const char *path, char *ret, size_t capacity) {
    if (capacity < 2)
        return ERROR_LIMIT;
    /* A length is returned as int, and no path is longer anyway. */
    if (capacity > PATH_LENGTH_MAX)
        capacity = PATH_LENGTH_MAX;
    int n = 0;
    if (path[0] != '/')
        n = append_components(base, ret, 0, capacity);
    if (n >= 0)
        n = append_components(path, ret, (size_t)n, capacity);
    if (n < 0)
        return n;
    if (n == 0)
        ret[n++] = '/';
    ret[n] = '\0';
    return n;
}

const char *path_below(const char *path, const char *prefix) {
    size_t n = strlen(prefix);
    if (n == 1 && prefix[0] == '/')
        return path[0] == '/' ? path + 1 : NULL;
    if (strncmp(path, prefix, n) != 0)
        return NULL;
    if (path[n] == '\0')
        return path + n;
    return path[n] == '/' ? path + n + 1 : NULL;
}

const char *path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t path_dir_length(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return 0;
    return slash == path ? 1 : (size_t)(slash - path);
}

bool path_ends_with(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);
    return m <= n && memcmp(path + n - m, suffix, m) == 0;
}
