/* Mount tables: which folders and files of the host a task's sandbox sees, and where.
 *
 * A sandbox sees, read-only, the guest's libraries, the project's importable sources at /project and installed packages at /site/0, …;
 * then what its policy and the command line grant. Grants are opened anew for each sandbox, below the project's folder descriptor, so that a
 * symlink that's swapped in later leads nowhere.
 * Thread rule: a table belongs to one thread at a time. */
#ifndef RUN_MOUNTS_H
#define RUN_MOUNTS_H

#include "app/policy.h"
#include "app/project.h"
#include "base/error.h"
#include "sandbox/wasi.h"

#define GUEST_PROJECT "/project"
#define GUEST_SITE "/site"

struct mount_table {
    struct mount *mounts;
    size_t n, capacity;
    char **texts; /* owned strings */
    size_t texts_n;
    int *fds; /* owned descriptors */
    size_t fds_n;
};

void mounts_done(struct mount_table *t);
int mounts_copy(struct mount_table *to, const struct mount *mounts, size_t n, struct error *err);
/* Replaces a mount with the same guest path. Strings are copied; fd is taken over on success if own_fd. */
int mounts_add(struct mount_table *t, const struct mount *mount, bool own_fd, struct error *err);

/* The project's sources and its installed packages. */
int mounts_add_project(struct mount_table *t, const struct project *p, struct error *err);
/* One grant of a policy. ERROR_PROJECT if it isn't there or may not be where it would appear. */
int mounts_add_grant(struct mount_table *t, const struct project *p, const struct file_grant *grant,
                     struct error *err);
/* One mount of the embedder: host relative to the working directory; guest NULL, relative to the project, or absolute. */
int mounts_add_path(struct mount_table *t, const struct project *p, const char *host, const char *guest,
                    bool writable, struct error *err);

/* Where a host path (absolute, or relative to the project) appears in a guest by default. Returns a negative code if it's too long. */
int mounts_guest_path(const struct project *p, const char *host, char *ret, size_t capacity);

#endif
