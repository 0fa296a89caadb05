/* Images in the cache: a sealed object for the memory, a sealed index document for the rest. */
#ifndef RUN_IMAGE_STORE_H
#define RUN_IMAGE_STORE_H

#include "app/cache.h"
#include "base/buffer.h"
#include "base/json.h"
#include "sandbox/image.h"
#include "sandbox/sandbox.h"
#include <stdbool.h>

/* Opens the image that an index document describes: {"object", "size", "inbox", "inbox_size"}. ERROR_NOT_FOUND if it's not there any more. */
int image_store_take(struct cache *c, const json_value *document, struct image **ret, struct error *err);
/* Snapshots a sandbox into the cache under `object` (NULL: into memory only), and appends the four members above (no braces) to
 * `document`. disposable: cheap to make again, see cache_write_disposable. If the disk is full it's kept in memory only. */
int image_store_put(struct cache *c, struct sandbox *sandbox, const char *object, bool disposable,
                    struct image **ret, struct buffer *document, struct error *err);

#endif
