/* Owns where a bundle's inputs may lie: the folders that bundle.h lists, found once per bundle. All are real paths.
 *
 * A folder that somebody else could have put there (in /tmp, say) isn't one: its owner must be the user, root, or whoever owns the project. Thread
 * rule: constant once found. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/fault.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PACKAGE_JSON_MAX = 1024 * 1024 };

static bool is_trusted(const struct stat *st, uid_t project_owner) {
    return st->st_uid == geteuid() || st->st_uid == 0 || st->st_uid == project_owner;
}

static int out_of_memory(struct error *err) {
    return error_set(err, ERROR_NOMEM, "out of memory while looking where imports may come from");
}

static int add(struct string_list *list, const char *path, struct error *err) {
    return FAULT("bundle.places.add") || string_list_add(list, path) ? out_of_memory(err) : 0;
}

/* folder/node_modules, if it's a folder itself: a symlink could lead anywhere. */
static int add_node_modules(struct bundle_places *places, const char *folder, uid_t owner, struct error *err) {
    char path[PATH_LENGTH_MAX];
    struct stat st;
    if (path_normalize(folder, "node_modules", path, sizeof path) < 0 || lstat(path, &st) ||
        !S_ISDIR(st.st_mode) || !is_trusted(&st, owner))
        return 0;
    return add(&places->node_modules, path, err);
}

/* Whether folder/package.json has "workspaces". */
static bool names_workspaces(const char *path) {
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(PACKAGE_JSON_MAX);
    CLEANUP(json_cleanup) struct json_document *d = NULL;
    if (fd < 0 || file_read(fd, &text) || json_parse(buffer_text(&text), text.size, &d, NULL))
        return false;
    return json_get(json_root(d), "workspaces") != NULL;
}

static bool is_workspace(const char *folder, uid_t owner) {
    char path[PATH_LENGTH_MAX];
    struct stat st;
    if (path_normalize(folder, "pnpm-workspace.yaml", path, sizeof path) > 0 && stat(path, &st) == 0 &&
        S_ISREG(st.st_mode))
        return is_trusted(&st, owner);
    return path_normalize(folder, "package.json", path, sizeof path) > 0 && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode) && is_trusted(&st, owner) && names_workspaces(path);
}

/* From the root upwards. */
static int add_ancestors(struct bundle_places *places, uid_t owner, struct error *err) {
    char folder[PATH_LENGTH_MAX];
    bool workspace = false;
    memcpy(folder, places->root, strlen(places->root) + 1);
    for (;;) {
        int status = add_node_modules(places, folder, owner, err);
        if (status == 0 && !workspace && is_workspace(folder, owner)) {
            workspace = true;
            status = add(&places->folders, folder, err);
        }
        size_t n = path_dir_length(folder);
        if (status || folder[1] == '\0')
            return status;
        folder[n] = '\0';
    }
}

/* [js] paths. One that isn't there allows nothing. */
static int add_named(struct bundle_places *places, const struct string_list *paths, struct error *err) {
    char path[PATH_LENGTH_MAX], real[PATH_MAX];
    for (size_t i = 0; i < paths->n; i++) {
        if (path_normalize(places->root, paths->items[i], path, sizeof path) < 0 || !realpath(path, real))
            continue;
        int status = add(&places->folders, real, err);
        if (status)
            return status;
    }
    return 0;
}

int bundle_places_find(const struct project *p, struct bundle_places *ret, struct error *err) {
    CLEANUP(bundle_places_done) struct bundle_places places = {0};
    struct stat st;
    if (FAULT("bundle.places") || stat(p->root, &st))
        return error_errno(err, ERROR_PROJECT, errno, "can't look at the project folder %s", p->root);
    if (path_normalize("/", p->root, places.root, sizeof places.root) < 0)
        return error_set(err, ERROR_PROJECT, "the path of the project is longer than %d bytes", PATH_LENGTH_MAX);
    int status = add(&places.folders, places.root, err);
    if (status == 0)
        status = add_named(&places, &p->manifest.js_paths, err);
    if (status == 0)
        status = add_ancestors(&places, st.st_uid, err);
    if (status)
        return status;
    *ret = places;
    places = (struct bundle_places){0};
    return 0;
}

void bundle_places_done(struct bundle_places *places) {
    string_list_done(&places->folders);
    string_list_done(&places->node_modules);
}

const char *bundle_place_of(const struct bundle_places *places, const char *real) {
    const struct string_list *lists[] = {&places->folders, &places->node_modules};
    const char *best = NULL;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            const char *folder = lists[k]->items[i];
            if (path_below(real, folder) && (!best || strlen(folder) < strlen(best)))
                best = folder;
        }
    return best;
}
