/* Owns sealed documents: small files that carry a mac, so that whatever was read is what this installation wrote.
 *
 * The format is in app/cache.h. Written to tmp/ and renamed: a reader sees the old one or the new one.
 * Thread- and process-safe. */
#define _GNU_SOURCE 1
#include "app/cache_internal.h"
#include "base/fault.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRAILER_SIZE = 1 + 2 * DIGEST_SIZE + 1 };

void cache_keyed_digest(const struct cache *c, const void *text, size_t n, uint8_t ret[DIGEST_SIZE]) {
    digest_bytes(c->key, text, n, ret);
}

/* The mac's hexadecimal between the two newlines. */
static void make_trailer(struct cache *c, const char *path, const char *text, size_t n, char ret[TRAILER_SIZE]) {
    struct digest_state s;
    uint8_t mac[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    digest_begin(&s, c->key);
    digest_update(&s, path, strlen(path) + 1);
    digest_update(&s, text, n);
    digest_end(&s, mac);
    digest_hex(mac, hex);
    ret[0] = '\n';
    memcpy(ret + 1, hex, 2 * DIGEST_SIZE);
    ret[TRAILER_SIZE - 1] = '\n';
}

/* Reads exactly n bytes and finds the end of the file after them. */
static bool read_whole(int fd, char *to, size_t n) {
    size_t got = 0;
    while (got < n) {
        ssize_t step = FAULT("cache.document.read") ? -1 : read(fd, to + got, n - got);
        if (step < 0 && errno == EINTR)
            continue;
        if (step <= 0)
            return false;
        got += (size_t)step;
    }
    return true;
}

int cache_document_read(struct cache *c, const char *folder, const char *name, const char *suffix,
                        struct buffer *ret, struct stat *ret_stat) {
    char path[CACHE_PATH_MAX], trailer[TRAILER_SIZE];
    if (!cache_path(folder, name, suffix, path))
        return ERROR_NOT_FOUND;
    CLEANUP(cleanup_close) int fd = openat(c->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < TRAILER_SIZE)
        return ERROR_NOT_FOUND;
    if (st.st_size > CACHE_DOCUMENT_MAX)
        return ERROR_NOT_FOUND;
    size_t n = (size_t)st.st_size, text = n - TRAILER_SIZE;
    char *to = buffer_reserve(ret, n);
    if (!to)
        return n > ret->max - ret->size ? ERROR_LIMIT : ERROR_NOMEM;
    if (!read_whole(fd, to, n))
        return ERROR_NOT_FOUND;
    make_trailer(c, path, to, text, trailer);
    bool equal = memcmp(trailer, to + text, TRAILER_SIZE) == 0;
    to[equal ? text : 0] = '\0';
    if (!equal)
        return ERROR_NOT_FOUND;
    ret->size += text;
    if (ret_stat)
        *ret_stat = st;
    return 0;
}

int cache_document_write(struct cache *c, const char *folder, const char *name, const char *suffix,
                         const char *text, size_t n) {
    char path[CACHE_PATH_MAX], temporary[CACHE_PATH_MAX], trailer[TRAILER_SIZE];
    CLEANUP(cleanup_close) int fd = -1;
    if (!cache_path(folder, name, suffix, path) || n > CACHE_DOCUMENT_MAX - TRAILER_SIZE)
        return ERROR_INTERNAL;
    if (cache_temporary(c, temporary, &fd))
        return ERROR_IO;
    make_trailer(c, path, text, n, trailer);
    if (!file_write(fd, text, n) || !file_write(fd, trailer, sizeof trailer) || fchmod(fd, 0400) ||
        FAULT("cache.document.rename") || renameat(c->dir_fd, temporary, c->dir_fd, path)) {
        int reason = errno;
        unlinkat(c->dir_fd, temporary, 0);
        errno = reason;
        return ERROR_IO;
    }
    return 0;
}

int cache_read_index(struct cache *c, const char *name, struct buffer *ret, struct error *err) {
    int status = c->dir_fd < 0 ? ERROR_NOT_FOUND : cache_document_read(c, "index", name, "", ret, NULL);
    switch (status) {
    case 0:
        return 0;
    case ERROR_NOMEM:
        return error_set(err, status, "out of memory while reading the cache");
    default: /* one that is too long for the caller isn't one that he can use */
        return error_set(err, ERROR_NOT_FOUND, "the cache has no index %s", name);
    }
}

int cache_write_index(struct cache *c, const char *name, const char *text, size_t n, struct error *err) {
    if (!cache_writable(c))
        return 0;
    if (cache_document_write(c, "index", name, "", text, n) == ERROR_INTERNAL)
        return error_set(err, ERROR_INTERNAL, "\"%s\" can't be written as a cache index", name);
    /* A disk that is full or went away costs the next run some time, and this one nothing. */
    return 0;
}
