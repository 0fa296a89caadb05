/* Images in the cache. */
#include "run/image_store.h"
#include "base/fault.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

int image_store_take(struct cache *c, const json_value *document, struct image **ret, struct error *err) {
    const char *object = json_text(json_get(document, "object"), NULL);
    uint64_t size, inbox, inbox_size;
    if (object == NULL || !json_u64(json_get(document, "size"), &size) ||
        !json_u64(json_get(document, "inbox"), &inbox) ||
        !json_u64(json_get(document, "inbox_size"), &inbox_size) || inbox > UINT32_MAX || inbox_size > UINT32_MAX)
        return error_set(err, ERROR_NOT_FOUND, "the cache's index entry is incomplete");
    int fd = -1;
    int r = cache_take(c, object, &fd, NULL, err);
    if (r != 0)
        return r;
    struct image_info info = {.size = size, .inbox = (uint32_t)inbox, .inbox_size = (uint32_t)inbox_size};
    r = image_open(fd, info, ret, err);
    return r == ERROR_CORRUPT ? ERROR_NOT_FOUND : r;
}

/* A snapshot that's kept in memory only. */
static int snapshot_anonymous(struct sandbox *sandbox, int *ret_fd, struct image_info *ret, struct error *err) {
    CLEANUP(cleanup_close) int fd = FAULT("image_store.memfd") ? -1 : memfd_create("capsule-image", MFD_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "can't make an anonymous file for an image");
    int r = sandbox_snapshot(sandbox, fd, ret, err);
    if (r != 0)
        return r;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int snapshot_object(struct cache *c, struct sandbox *sandbox, const char *object, bool disposable,
                           int *ret_fd, struct image_info *ret, struct error *err) {
    struct cache_write *write = NULL;
    int fd = -1;
    int r = cache_begin(c, &write, &fd, err);
    if (r != 0)
        return r;
    if (disposable)
        cache_write_disposable(write);
    r = sandbox_snapshot(sandbox, fd, ret, err);
    if (r == 0)
        return cache_commit(write, object, ret_fd, NULL, err);
    cache_abort(write);
    if (r != ERROR_IO)
        return r;
    /* A full disk: the image lives as long as this process. */
    cache_stop_writing(c);
    return snapshot_anonymous(sandbox, ret_fd, ret, err);
}

int image_store_put(struct cache *c, struct sandbox *sandbox, const char *object, bool disposable,
                    struct image **ret, struct buffer *document, struct error *err) {
    struct image_info info;
    int fd = -1;
    int r = object != NULL ? snapshot_object(c, sandbox, object, disposable, &fd, &info, err)
                           : snapshot_anonymous(sandbox, &fd, &info, err);
    if (r == 0)
        r = image_open(fd, info, ret, err);
    if (r != 0)
        return r;
    buffer_puts(document, "\"object\":");
    json_write_string(document, object != NULL ? object : "", object != NULL ? strlen(object) : 0);
    return buffer_printf(document, ",\"size\":%" PRIu64 ",\"inbox\":%" PRIu32 ",\"inbox_size\":%" PRIu32,
                         info.size, info.inbox, info.inbox_size);
}
