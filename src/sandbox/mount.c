/* Owns the rules of the mount table; see mount.h. */
#include "sandbox/mount.h"

#include "base/path.h"

#include <string.h>

static int check_entry(const struct mount *m, struct error *err) {
    char normal[PATH_LENGTH_MAX];
    if (!m->guest || m->guest[0] != '/')
        return error_set(err, ERROR_INVALID, "a mount point must be an absolute path: %s",
                         m->guest ? m->guest : "?");
    if (path_normalize("/", m->guest, normal, sizeof normal) < 0 || strcmp(normal, m->guest) != 0)
        return error_set(err, ERROR_INVALID, "a mount point must be a normalised path: %s", m->guest);
    if (m->host_fd < 0)
        return error_set(err, ERROR_INVALID, "the mount %s has no folder", m->guest);
    if (m->kind != MOUNT_FILE)
        return 0;
    if (strcmp(m->guest, "/") == 0)
        return error_set(err, ERROR_INVALID, "the root can't be a file");
    if (!m->name || !m->name[0] || strchr(m->name, '/') || strcmp(m->name, ".") == 0 || strcmp(m->name, "..") == 0)
        return error_set(err, ERROR_INVALID, "the mount %s has no file name", m->guest);
    return 0;
}

int mount_check(const struct mount *mounts, size_t n, struct error *err) {
    for (size_t i = 0; i < n; i++) {
        int status = check_entry(&mounts[i], err);
        if (status)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(mounts[i].guest, mounts[j].guest) == 0)
                return error_set(err, ERROR_INVALID, "two mounts at %s", mounts[i].guest);
    }
    return 0;
}

const struct mount *mount_find(const struct mount *mounts, size_t n, const char *path, const char **ret_rest) {
    const struct mount *best = NULL;
    const char *best_rest = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *rest = path_below(path, mounts[i].guest);
        /* The longer the prefix, the later the rest begins. */
        if (rest && (!best || rest > best_rest)) {
            best = &mounts[i];
            best_rest = rest;
        }
    }
    if (best)
        *ret_rest = best_rest;
    return best;
}

bool mount_covers(const struct mount *mounts, size_t n, const char *path) {
    for (size_t i = 0; i < n; i++) {
        const char *rest = path_below(mounts[i].guest, path);
        if (rest && *rest)
            return true;
    }
    return false;
}

const char *mount_next_name(const struct mount *mounts, size_t n, const char *path, size_t *cursor, size_t *ret_n,
                            const struct mount **ret_mount) {
    while (*cursor < n) {
        const struct mount *m = &mounts[(*cursor)++];
        const char *rest = path_below(m->guest, path);
        if (!rest || !*rest)
            continue;
        *ret_n = strcspn(rest, "/");
        *ret_mount = rest[*ret_n] ? NULL : m;
        return rest;
    }
    return NULL;
}

bool mount_writable(const struct mount *m) {
    return m->writable && m->kind != MOUNT_SOURCES;
}

bool mount_shows(const struct mount *m, const char *rest) {
    static const char *const hidden[] = {"__pycache__", "node_modules"};
    if (m->kind != MOUNT_SOURCES)
        return true;
    while (*rest) {
        size_t n = strcspn(rest, "/");
        if (rest[0] == '.')
            return false;
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
            if (n == strlen(hidden[i]) && memcmp(rest, hidden[i], n) == 0)
                return false;
        rest += n;
        rest += *rest == '/';
    }
    return true;
}

bool mount_shows_file(const struct mount *m, const char *name) {
    return m->kind != MOUNT_SOURCES || path_ends_with(name, ".py");
}
