/* Loading libcurl. It stays until the process ends: OpenSSL doesn't like to be unloaded. */
#include "net/curl_library.h"
#include "base/buffer.h"
#include "base/fault.h"
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>

/* Set once; what it points to never changes. */
static const struct curl_calls *_Atomic loaded;

int curl_library_load(const char *folder, struct error *err) {
    if (atomic_load_explicit(&loaded, memory_order_acquire) != NULL)
        return 0;
    CLEANUP(cleanup_free) char *file = NULL;
    if (asprintf(&file, "%s/curl.so", folder) < 0) {
        file = NULL;
        return error_set(err, ERROR_NOMEM, "no memory for loading libcurl");
    }
    void *library = FAULT("curl.load") ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const struct curl_calls *calls = library != NULL ? dlsym(library, "capsule_curl_calls") : NULL;
    if (calls == NULL) {
        const char *why = library != NULL ? "it isn't ours" : dlerror();
        error_set(err, ERROR_UNSUPPORTED, "HTTP requests need %s: %s", file,
                  why != NULL ? why : "it can't be loaded");
        error_hint(err,
                   "install Capsule anew, or point CAPSULE_GUESTS at the folder lib/capsule of an installation");
        return ERROR_UNSUPPORTED;
    }
    atomic_store_explicit(&loaded, calls, memory_order_release);
    return 0;
}

const struct curl_calls *curl(void) {
    return atomic_load_explicit(&loaded, memory_order_acquire);
}
