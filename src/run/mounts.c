/* Building mount tables. */
#include "run/mounts.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "base/path.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void mounts_done(struct mount_table *t) {
    for (size_t i = 0; i < t->texts_n; i++)
        free(t->texts[i]);
    for (size_t i = 0; i < t->fds_n; i++)
        close(t->fds[i]);
    free(t->texts);
    free(t->fds);
    free(t->mounts);
    *t = (struct mount_table){0};
}

static int no_memory(struct error *err) {
    return error_set(err, ERROR_NOMEM, "no memory for a mount table");
}

/* Room for one more mount, with its three strings and its descriptor. What a replaced mount had stays with the table until mounts_done,
 * so the strings and descriptors may outnumber the mounts. */
static int reserve(struct mount_table *t, struct error *err) {
    if (t->n < t->capacity && t->texts_n + 3 <= t->capacity * 3 && t->fds_n < t->capacity)
        return 0;
    size_t capacity = t->capacity == 0 ? 8 : t->capacity * 2;
    struct mount *mounts = FAULT("mounts.alloc") ? NULL : realloc(t->mounts, capacity * sizeof *mounts);
    if (mounts != NULL)
        t->mounts = mounts;
    char **texts = realloc(t->texts, capacity * 3 * sizeof *texts);
    if (texts != NULL)
        t->texts = texts;
    int *fds = realloc(t->fds, capacity * sizeof *fds);
    if (fds != NULL)
        t->fds = fds;
    if (mounts == NULL || texts == NULL || fds == NULL)
        return no_memory(err);
    t->capacity = capacity;
    return 0;
}

/* A copy that the table owns; NULL stays NULL. False: no memory. */
static bool keep_text(struct mount_table *t, const char *text, const char **ret) {
    *ret = NULL;
    if (text == NULL)
        return true;
    char *copy = strdup(text);
    if (copy == NULL)
        return false;
    t->texts[t->texts_n++] = copy;
    *ret = copy;
    return true;
}

static size_t index_of(const struct mount_table *t, const char *guest) {
    size_t i = 0;
    while (i < t->n && strcmp(t->mounts[i].guest, guest) != 0)
        i++;
    return i;
}

int mounts_add(struct mount_table *t, const struct mount *mount, bool own_fd, struct error *err) {
    int r = reserve(t, err);
    if (r != 0)
        return r;
    struct mount copy = *mount;
    if (!keep_text(t, mount->guest, &copy.guest) || !keep_text(t, mount->name, &copy.name) ||
        !keep_text(t, mount->host, &copy.host))
        return no_memory(err);
    size_t at = index_of(t, copy.guest);
    t->mounts[at] = copy;
    t->n += at == t->n;
    if (own_fd)
        t->fds[t->fds_n++] = mount->host_fd;
    return 0;
}

int mounts_copy(struct mount_table *to, const struct mount *mounts, size_t n, struct error *err) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = mounts_add(to, &mounts[i], false, err);
    return r;
}

int mounts_add_project(struct mount_table *t, const struct project *p, struct error *err) {
    struct mount sources = {.guest = GUEST_PROJECT, .host_fd = p->root_fd, .host = p->root, .kind = MOUNT_SOURCES};
    int r = mounts_add(t, &sources, false, err);
    for (size_t i = 0; r == 0 && i < p->site_packages.n; i++) {
        const char *host = p->site_packages.items[i];
        char guest[64];
        snprintf(guest, sizeof guest, GUEST_SITE "/%zu", i);
        int fd = FAULT("mounts.open") ? -1 : open(host, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return error_errno(err, ERROR_PROJECT, errno, "can't open the packages folder %s", host);
        struct mount site = {.guest = guest, .host_fd = fd, .host = host, .kind = MOUNT_FOLDER};
        r = mounts_add(t, &site, true, err);
        if (r != 0)
            close(fd);
    }
    return r;
}

int mounts_guest_path(const struct project *p, const char *host, char *ret, size_t capacity) {
    /* A relative name stays the same name, also one that leaves the project: "../data" is "../data" in the guest. */
    if (host[0] != '/')
        return path_normalize(GUEST_PROJECT, host, ret, capacity);
    char absolute[PATH_LENGTH_MAX];
    int n = path_normalize("/", host, absolute, sizeof absolute);
    if (n < 0)
        return n;
    const char *rest = path_below(absolute, p->root);
    if (rest == NULL)
        return path_normalize("/", absolute, ret, capacity);
    return path_normalize(GUEST_PROJECT, rest, ret, capacity);
}

/* The places that a grant may not replace or lie in: the guest's own libraries and packages. */
static bool reserved(const char *guest) {
    return strcmp(guest, "/") == 0 || path_below(guest, "/lib") != NULL || path_below(guest, GUEST_SITE) != NULL;
}

static int open_beneath(int dir_fd, const char *path, uint64_t flags, bool confined) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags,
                           .resolve = confined ? RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS : RESOLVE_NO_MAGICLINKS};
    return FAULT("mounts.open") ? -1 : (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

static int add_file(struct mount_table *t, int dir_fd, const char *path, bool confined, const char *guest,
                    bool writable, struct error *err) {
    size_t dir_n = path_dir_length(path);
    char dir[PATH_LENGTH_MAX];
    snprintf(dir, sizeof dir, "%.*s", dir_n == 0 ? 1 : (int)dir_n, dir_n == 0 ? "." : path);
    CLEANUP(cleanup_close) int parent = open_beneath(dir_fd, dir, O_DIRECTORY, confined);
    if (parent < 0)
        return error_errno(err, ERROR_PROJECT, errno, "can't open the folder of %s", path);
    struct mount mount = {
        .guest = guest, .host_fd = parent, .name = path_base(path), .kind = MOUNT_FILE, .writable = writable};
    int r = mounts_add(t, &mount, true, err);
    if (r == 0)
        parent = -1;
    return r;
}

static int missing(const char *path, bool confined, struct error *err) {
    if (confined && errno == EXDEV) {
        error_set(err, ERROR_PROJECT, "%s leads out of the project through a symlink", path);
        error_hint(err, "grant the folder that it points to: --mount, or default_allowed_files in capsule.toml");
    } else if (errno == ENOENT) {
        error_set(err, ERROR_PROJECT, "%s doesn't exist", path);
        error_hint(
            err,
            "create it, or correct the path: it's relative to the folder of capsule.toml or of the entry file");
    } else {
        error_errno(err, ERROR_PROJECT, errno, "can't open %s", path);
    }
    return ERROR_PROJECT;
}

/* path: relative to dir_fd if confined, else absolute. */
static int add_path(struct mount_table *t, int dir_fd, const char *path, bool confined, const char *guest,
                    bool writable, struct error *err) {
    if (reserved(guest)) {
        error_set(err, ERROR_PROJECT, "%s can't appear at %s in the sandbox: that place is taken", path, guest);
        error_hint(err, "mount it elsewhere: --mount %s:/data", path);
        return ERROR_PROJECT;
    }
    CLEANUP(cleanup_close) int fd = open_beneath(dir_fd, path, 0, confined);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return missing(path, confined, err);
    if (S_ISREG(st.st_mode))
        return add_file(t, dir_fd, path, confined, guest, writable, err);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERROR_PROJECT, "%s is neither a file nor a folder", path);
    struct mount mount = {.guest = guest, .host_fd = fd, .kind = MOUNT_FOLDER, .writable = writable};
    int r = mounts_add(t, &mount, true, err);
    if (r == 0)
        fd = -1; /* the table's now */
    return r;
}

int mounts_add_grant(struct mount_table *t, const struct project *p, const struct file_grant *grant,
                     struct error *err) {
    char guest[PATH_LENGTH_MAX], absolute[PATH_LENGTH_MAX];
    if (mounts_guest_path(p, grant->host, guest, sizeof guest) < 0 ||
        path_normalize(p->root, grant->host, absolute, sizeof absolute) < 0)
        return error_set(err, ERROR_PROJECT, "the path %.100s… is too long", grant->host);
    const char *rest = path_below(absolute, p->root);
    if (rest == NULL) /* outside of the project: policy_resolve has seen that capsule.toml says so */
        return add_path(t, AT_FDCWD, absolute, false, guest, grant->writable, err);
    return add_path(t, p->root_fd, *rest == '\0' ? "." : rest, true, guest, grant->writable, err);
}

int mounts_add_path(struct mount_table *t, const struct project *p, const char *host, const char *guest,
                    bool writable, struct error *err) {
    CLEANUP(cleanup_free) char *real = realpath(host, NULL);
    if (real == NULL)
        return missing(host, false, err);
    char place[PATH_LENGTH_MAX];
    int n = guest != NULL ? path_normalize(GUEST_PROJECT, guest, place, sizeof place)
                          : mounts_guest_path(p, real, place, sizeof place);
    if (n < 0)
        return error_set(err, ERROR_INVALID, "the path %.100s… is too long", guest != NULL ? guest : host);
    return add_path(t, AT_FDCWD, real, false, place, writable, err);
}
