/* The mount table: which host folder a guest path means. Pure functions of the table; any thread.
 *
 * Guest paths are normalised and absolute. A table is small, so it is searched from one end to the other. */
#ifndef SANDBOX_MOUNT_H
#define SANDBOX_MOUNT_H

#include "sandbox/wasi.h"

/* ERROR_INVALID if a guest path isn't normalised, is there twice, or an entry lacks what its kind needs. */
int mount_check(const struct mount *mounts, size_t n, struct error *err);

/* The mount with the longest guest path that is path or above it; *ret_rest: what follows ("" for the mount itself;
 * points into path). NULL if there is none. */
const struct mount *mount_find(const struct mount *mounts, size_t n, const char *path, const char **ret_rest);

/* True when a mount point lies strictly below path, so that path must exist as a folder. */
bool mount_covers(const struct mount *mounts, size_t n, const char *path);

/* Goes through the mount points strictly below path: the name that path's listing needs for the next one (*ret_n bytes,
 * not terminated), and *ret_mount, which is NULL if the mount itself lies deeper. Starts with *cursor = 0. Returns
 * NULL at the end. Names may repeat. */
const char *mount_next_name(const struct mount *mounts, size_t n, const char *path, size_t *cursor, size_t *ret_n,
                            const struct mount **ret_mount);

/* False for sources, whatever the entry says: code that a later run imports must not be written by this one. */
bool mount_writable(const struct mount *m);

/* Sources show only what can be imported. This judges the names: rest has no component that starts with a dot and
 * none that is an importer's or package manager's cache. True for any rest of other kinds. */
bool mount_shows(const struct mount *m, const char *rest);
/* And this one what the last component must look like if it isn't a folder. */
bool mount_shows_file(const struct mount *m, const char *name);

#endif
