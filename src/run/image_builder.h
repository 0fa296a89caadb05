/* The application image: taken from the cache if nothing that it was made from changed, else built by importing the program once. */
#ifndef RUN_IMAGE_BUILDER_H
#define RUN_IMAGE_BUILDER_H

#include "app/project.h"
#include "base/error.h"
#include "base/json.h"
#include "run/guest.h"
#include "run/mounts.h"
#include "sandbox/image.h"
#include <stdbool.h>

struct image_request {
    struct guest *guest;
    const char *guests_dir;
    const struct guest_context *context;
    const struct project *project;
    const struct mount_table *mounts;
    bool no_cache;
    void (*on_output)(void *user, int stream, const char *bytes, size_t n); /* may be NULL */
    void *user;
};

/* On success *ret is the image and *ret_index its index document, whose "tasks" is what guest_load reported.
 * ERROR_IMPORT: the program's fault; the message is the traceback, with guest paths. */
int image_obtain(const struct image_request *q, struct image **ret, struct json_document **ret_index,
                 struct error *err);

#endif
