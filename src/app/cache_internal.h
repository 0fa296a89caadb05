/* What the files cache*.c share. Nobody else includes it. */
#ifndef APP_CACHE_INTERNAL_H
#define APP_CACHE_INTERNAL_H

#include "app/cache.h"
#include "base/digest.h"

#include <stdatomic.h>
#include <sys/stat.h>

enum { CACHE_NAME_MAX = 128, CACHE_PATH_MAX = 192, CACHE_BOOT_MAX = 40, CACHE_DOCUMENT_MAX = 64 * 1024 * 1024 };

struct cache {
    char *dir;
    int dir_fd;           /* -1: there's no folder to read from; everything is in memory */
    atomic_bool writable; /* implies dir_fd >= 0 */
    uint8_t key[DIGEST_KEY_SIZE];
    char boot[CACHE_BOOT_MAX]; /* "" if unknown: no identity is trusted then */
};

/* "folder/name" and suffix. False if name isn't a plain file name of [A-Za-z0-9._-] that the cache may use. */
bool cache_path(const char *folder, const char *name, const char *suffix, char ret[CACHE_PATH_MAX]);

/* Creates an empty file in tmp/, flocked. Negative, with errno, on failure. */
int cache_temporary(struct cache *c, char ret_path[CACHE_PATH_MAX], int *ret_fd);
/* Makes objects/, index/, tmp/ and lock/ where they're missing. Negative, with errno, on failure. */
int cache_layout(struct cache *c);
/* Waits for the exclusive lock lock/NAME; here names may start with a dot. Negative, with errno, on failure. */
int cache_flock(struct cache *c, const char *name, int *ret_fd);
/* Makes changes of objects/ atomic for other processes: rename and seal, check and remove. -1 if it can't be had. */
#define CACHE_OBJECTS_LOCK ".objects"

/* A sealed document. Reading: ERROR_NOT_FOUND when absent or not as written, ERROR_NOMEM. ret_stat may be NULL. */
int cache_document_read(struct cache *c, const char *folder, const char *name, const char *suffix,
                        struct buffer *ret, struct stat *ret_stat);
/* Negative, with errno, on failure; nothing is left behind. */
int cache_document_write(struct cache *c, const char *folder, const char *name, const char *suffix,
                         const char *text, size_t n);

/* Checks the object's seal against the open file: 0 if it may be used as it is. Removes nothing. */
int cache_object_check(struct cache *c, const char *name, int fd);
void cache_object_remove(struct cache *c, const char *name);

#endif
