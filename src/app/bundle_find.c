/* Owns where esbuild is taken from, and how it's told apart from another one. bundle.h says why never from node_modules. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/fault.h"
#include "base/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Goes into cache keys: another number wherever the same sources give another bundle. */
enum { BUNDLE_FORMAT = 1 };

static bool is_program(const char *path) {
    struct stat st;
    return !FAULT("bundle.find.stat") && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool bundle_path_entry_good(const char *folder, size_t n) {
    static const char packages[] = "/node_modules";
    if (n == 0 || folder[0] != '/')
        return false;
    for (size_t i = 0; i + sizeof packages - 1 <= n; i++) {
        char after = i + sizeof packages - 1 < n ? folder[i + sizeof packages - 1] : '/';
        if (memcmp(folder + i, packages, sizeof packages - 1) == 0 && after == '/')
            return false;
    }
    return true;
}

/* The first good folder of PATH that has one. */
static bool search_path(char ret[PATH_LENGTH_MAX]) {
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        if (bundle_path_entry_good(path, n)) {
            int length = snprintf(ret, PATH_LENGTH_MAX, "%.*s/esbuild", (int)n, path);
            if (length > 0 && length < PATH_LENGTH_MAX && is_program(ret))
                return true;
        }
        path += n + (path[n] == ':');
    }
    return false;
}

static int take(const char *path, char **ret, struct error *err) {
    char *copy = FAULT("bundle.find.copy") ? NULL : strdup(path);
    if (!copy)
        return error_set(err, ERROR_NOMEM, "out of memory while looking for esbuild");
    *ret = copy;
    return 0;
}

/* name below folder, from the working directory. esbuild will run in another one. */
static bool find_in(const char *folder, const char *name, char ret[PATH_LENGTH_MAX]) {
    char here[PATH_LENGTH_MAX], path[PATH_LENGTH_MAX];
    return getcwd(here, sizeof here) && path_normalize(here, folder, path, sizeof path) > 0 &&
           path_normalize(path, name, ret, PATH_LENGTH_MAX) > 0 && is_program(ret);
}

static int take_named(const char *name, char **ret, struct error *err) {
    char path[PATH_LENGTH_MAX];
    if (find_in(".", name, path))
        return take(path, ret, err);
    error_set(err, ERROR_UNSUPPORTED, "CAPSULE_ESBUILD is %s, which isn't a program", show(name).text);
    error_hint(err, "set it to the path of esbuild's program, or unset it");
    return ERROR_UNSUPPORTED;
}

int bundle_find(const char *lib_folder, char **ret_path, struct error *err) {
    char path[PATH_LENGTH_MAX];
    const char *named = getenv("CAPSULE_ESBUILD");
    if (named && named[0])
        return take_named(named, ret_path, err);
    if (lib_folder && lib_folder[0] && find_in(lib_folder, "esbuild", path))
        return take(path, ret_path, err);
    if (search_path(path))
        return take(path, ret_path, err);
    error_set(err, ERROR_UNSUPPORTED,
              "TypeScript and JavaScript programs are bundled by esbuild, which wasn't found");
    error_hint(err, "install it (npm install -g esbuild), or set CAPSULE_ESBUILD to the path of its program");
    return ERROR_UNSUPPORTED;
}

int bundle_identity(const char *esbuild, char **ret, struct error *err) {
    struct stat st;
    if (FAULT("bundle.identity") || stat(esbuild, &st))
        return error_errno(err, ERROR_UNSUPPORTED, errno, "can't use %s", esbuild);
    char *text = NULL;
    if (FAULT("bundle.identity.copy") ||
        asprintf(&text, "bundle %d, %s, %jd bytes of %jd.%09ld, inode %ju", BUNDLE_FORMAT, esbuild,
                 (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (uintmax_t)st.st_ino) < 0)
        return error_set(err, ERROR_NOMEM, "out of memory while looking at esbuild");
    *ret = text;
    return 0;
}
