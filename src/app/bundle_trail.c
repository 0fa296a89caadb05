/* Owns what a bundle depends on: everything that decides which file an import means, so that a record that says "unchanged" is right.
 *
 * Resolution is decided by names in folders, where symlinks lead, package.json and tsconfig.json. So recorded are
 *   - each input, and of each folder from there up to the root of the file system:
 *       within a place (bundle_places.c): its listing, its package.json, tsconfig.json and jsconfig.json, and the listing of its node_modules;
 *       above: these files, or that they're absent, and the listing of node_modules or that it's absent;
 *   - for an import that isn't simply a file beside the importer: the same for each folder in which a symlink was followed, or in which a
 *     nearer match would have to appear ("the way");
 *   - for a package: in each node_modules from the importer upwards, the listing of its scope, and the way to the one that's found;
 *   - what tsconfig.json extends, and the ways that its paths and baseUrl offer (bundle_tsconfig.c).
 * A listing notices new files that shadow others, folders, node_modules that appear, and symlinks that lead elsewhere.
 * Thread rule: any thread. */
#define _GNU_SOURCE 1
#include "app/bundle_trail.h"

#include "base/clock.h"
#include "base/fault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOPS_MAX = 40, INPUTS_MAX = 20000, FOLDERS_MAX = 5000 };

/* Where a package.json may name a file without its extension, or one that isn't there. */
static const char *const MAIN_FIELDS[] = {"browser", "module", "main"};
static const char *const CONFIGURATIONS[] = {"package.json", "tsconfig.json", "jsconfig.json"};
static const char *const EXTENSIONS[] = {"",    ".ts",  ".tsx", ".mts", ".cts",
                                         ".js", ".jsx", ".mjs", ".cjs", ".json"};
enum { N_EXTENSIONS = sizeof EXTENSIONS / sizeof EXTENSIONS[0] };

/* Changed since esbuild began, as far as can be told. What's later than now is a clock that was set back. */
static bool is_recent(const struct trail *t, const struct stat *st) {
    uint64_t changed = (uint64_t)st->st_ctim.tv_sec * NS_PER_S + (uint64_t)st->st_ctim.tv_nsec;
    return changed >= t->since && changed <= clock_wall_ns();
}

/* Records path and then looks at its time: a change before the look is seen now, a later one when the list is sealed. */
static void add(struct trail *t, enum dependency_kind kind, const char *path) {
    struct stat st;
    if (t->status)
        return;
    t->status = dependencies_add(t->deps, kind, path, t->err);
    if (kind != DEPENDENCY_ABSENT && (stat(path, &st) || is_recent(t, &st)))
        t->unstable = true;
}

static bool join(const char *folder, const char *name, char ret[PATH_LENGTH_MAX]) {
    return path_normalize(folder, name, ret, PATH_LENGTH_MAX) > 0;
}

static void parent_of(char *path) {
    path[path[1] == '\0' ? 1 : path_dir_length(path)] = '\0';
}

static bool is_type(const char *path, mode_t type) {
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/* ---- sets of text ---- */

static bool known(const struct string_list *l, const char *text) {
    /* What comes next is mostly near what came last. */
    for (size_t i = l->n; i-- > 0;)
        if (strcmp(l->items[i], text) == 0)
            return true;
    return false;
}

/* True if text is new; it's remembered. */
static bool enter(struct trail *t, struct string_list *l, const char *text) {
    if (t->status || known(l, text))
        return false;
    if (FAULT("bundle.trail.enter") || string_list_add(l, text))
        t->status = error_set(t->err, ERROR_NOMEM, "out of memory while recording what a bundle is made of");
    return t->status == 0;
}

void trail_later(struct trail *t, struct string_list *l, const char *path) {
    if (enter(t, l, path))
        add(t, DEPENDENCY_FILE, path);
}

/* ---- folders ---- */

static void add_configuration(struct trail *t, const char *folder, const char *name, bool in_place) {
    char path[PATH_LENGTH_MAX];
    if (!join(folder, name, path))
        return;
    if (!is_type(path, S_IFREG)) {
        if (!in_place) /* a listing has it */
            add(t, DEPENDENCY_ABSENT, path);
        return;
    }
    if (name[0] == 'p')
        trail_later(t, &t->packages, path);
    else if (!strstr(path, "/node_modules/")) /* as esbuild has it */
        trail_later(t, &t->configs, path);
}

static void add_node_modules(struct trail *t, const char *folder, bool in_place) {
    char path[PATH_LENGTH_MAX];
    if (!join(folder, "node_modules", path))
        return;
    if (is_type(path, S_IFDIR))
        add(t, DEPENDENCY_FOLDER_JS, path);
    else if (!in_place)
        add(t, DEPENDENCY_ABSENT, path);
}

void trail_folder(struct trail *t, const char *folder) {
    char path[PATH_LENGTH_MAX], above[PATH_LENGTH_MAX];
    memcpy(path, folder, strlen(folder) + 1);
    while (enter(t, &t->folders, path)) {
        bool in_place = bundle_place_of(t->places, path) != NULL;
        if (in_place)
            add(t, DEPENDENCY_FOLDER_JS, path);
        for (size_t i = 0; i < sizeof CONFIGURATIONS / sizeof CONFIGURATIONS[0]; i++)
            add_configuration(t, path, CONFIGURATIONS[i], in_place);
        if (!in_place && join(path, ".pnp.cjs", above))
            add(t, is_type(above, S_IFREG) ? DEPENDENCY_FILE : DEPENDENCY_ABSENT, above);
        if (strcmp(path_base(path), "node_modules") != 0)
            add_node_modules(t, path, in_place);
        if (path[1] == '\0')
            return;
        parent_of(path);
    }
}

/* ---- ways ---- */

/* Follows path to its first symlink, missing name or end, and records the folder there. True: a symlink; path is where it leads. */
static bool step(struct trail *t, char path[PATH_LENGTH_MAX]) {
    char prefix[PATH_LENGTH_MAX], target[PATH_LENGTH_MAX], joined[2 * PATH_LENGTH_MAX];
    struct stat st;
    for (size_t n = 0; path[n];) {
        n += 1 + strcspn(path + n + 1, "/");
        memcpy(prefix, path, n);
        prefix[n] = '\0';
        bool there = lstat(prefix, &st) == 0;
        if (there && !S_ISLNK(st.st_mode))
            continue;
        ssize_t length = there ? readlink(prefix, target, sizeof target - 1) : -1;
        parent_of(prefix);
        trail_folder(t, prefix);
        if (length < 0)
            return false;
        target[length] = '\0';
        memcpy(joined, target, (size_t)length);
        memcpy(joined + length, path + n, strlen(path + n) + 1);
        return join(prefix, joined, path);
    }
    memcpy(prefix, path, strlen(path) + 1);
    if (!is_type(path, S_IFDIR))
        parent_of(prefix);
    trail_folder(t, prefix);
    return false;
}

void trail_way(struct trail *t, const char *path) {
    char at[PATH_LENGTH_MAX];
    if (!join("/", path, at) || !enter(t, &t->ways, at))
        return;
    for (int hops = 0; hops < HOPS_MAX && step(t, at); hops++) {
    }
}

/* The way of each file that `path` could mean and that's a symlink. */
static void links_beside(struct trail *t, const char *path) {
    char file[PATH_LENGTH_MAX + 8];
    struct stat st;
    trail_way(t, path);
    for (size_t i = 0; i < N_EXTENSIONS; i++) {
        snprintf(file, sizeof file, "%s%s", path, EXTENSIONS[i]);
        if (lstat(file, &st) == 0 && S_ISLNK(st.st_mode))
            trail_way(t, file);
    }
}

/* ---- imports ---- */

/* True if found is what path means without a symlink: itself, or with another extension, or an index file in it. */
static bool is_plain(const char *path, const char *found) {
    size_t n = strlen(path), folder = path_dir_length(path);
    if (strncmp(found, path, n) == 0 && (found[n] == '\0' || found[n] == '.'))
        return true;
    if (strncmp(found, path, n) == 0 && found[n] == '/' && !strchr(found + n + 1, '/'))
        return true;
    const char *dot = strrchr(path + folder, '.');
    return dot && path_dir_length(found) == folder && strncmp(found, path, (size_t)(dot - path)) == 0;
}

/* "./a.service" means a file of just this name first, which no listing has. */
static bool has_other_extension(const char *path) {
    const char *dot = strrchr(path_base(path), '.');
    for (size_t i = 1; dot && i < N_EXTENSIONS; i++)
        if (strcmp(dot, EXTENSIONS[i]) == 0)
            return false;
    return dot != NULL;
}

static void relative_import(struct trail *t, const char *folder, const char *original, const char *found) {
    char path[PATH_LENGTH_MAX];
    struct stat st;
    if (!join(folder, original, path))
        return;
    if (has_other_extension(path) && lstat(path, &st) != 0)
        add(t, DEPENDENCY_ABSENT, path);
    if (!found || !is_plain(path, found))
        links_beside(t, path);
}

/* Of "@scope/name/x" and "name/x" the part that names the package. */
static size_t package_length(const char *original) {
    size_t n = strcspn(original, "/");
    if (original[0] == '@' && original[n] == '/')
        n += 1 + strcspn(original + n + 1, "/");
    return n;
}

void trail_package(struct trail *t, const char *folder, const char *original) {
    char at[PATH_LENGTH_MAX], name[PATH_LENGTH_MAX], path[PATH_LENGTH_MAX], scope[PATH_LENGTH_MAX];
    size_t n = package_length(original);
    struct stat st;
    memcpy(at, folder, strlen(folder) + 1);
    for (bool last = false; !last; parent_of(at)) {
        last = at[1] == '\0';
        if (snprintf(name, sizeof name, "node_modules/%.*s", (int)n, original) >= (int)sizeof name ||
            !join(at, name, path))
            continue;
        memcpy(scope, path, strlen(path) + 1);
        parent_of(scope);
        if (original[0] == '@' && is_type(scope, S_IFDIR))
            trail_folder(t, scope);
        if (lstat(path, &st) == 0) {
            trail_way(t, path);
            return;
        }
    }
}

/* An import that names a pattern: what's below the folder before the first star counts. */
static void glob_import(struct trail *t, const char *folder, const char *original) {
    char path[PATH_LENGTH_MAX], start[PATH_LENGTH_MAX];
    size_t n = strcspn(original, "*");
    if (n >= sizeof start)
        return;
    memcpy(start, original, n);
    start[n] = '\0';
    start[path_dir_length(start)] = '\0';
    if (!join(folder, start, path))
        return;
    trail_way(t, path);
    if (is_type(path, S_IFDIR))
        (void)enter(t, &t->globs, path);
}

/* The folders in folder, which are looked through likewise. */
static void look_through(struct trail *t, const char *folder) {
    char path[PATH_LENGTH_MAX];
    DIR *listing = FAULT("bundle.glob") ? NULL : opendir(folder);
    const struct dirent *entry;
    if (!listing) {
        t->unstable = true;
        return;
    }
    trail_folder(t, folder);
    while ((entry = readdir(listing)))
        if (entry->d_name[0] != '.' && entry->d_type != DT_REG && join(folder, entry->d_name, path) &&
            is_type(path, S_IFDIR))
            (void)enter(t, &t->globs, path);
    closedir(listing);
    if (t->globs.n > FOLDERS_MAX && t->status == 0)
        t->status =
            error_set(t->err, ERROR_LIMIT, "a pattern of an import means more than %d folders", FOLDERS_MAX);
}

static void one_import(struct trail *t, const char *folder, bool ours, const json_value *import) {
    char found[PATH_LENGTH_MAX];
    const char *path = json_text(json_get(import, "path"), "");
    bool external = json_bool(json_get(import, "external"), false);
    const char *original = json_text(json_get(import, "original"), external ? path : "");
    bool there = !external && bundle_input_path(t->places, path, found);
    if (original[0] == '\0' || original[0] == '<')
        return;
    const char *star = strchr(original, '*');
    if (original[0] == '.' || original[0] == '/') {
        if (external && star)
            glob_import(t, folder, original);
        else
            relative_import(t, folder, original, there ? found : NULL);
    } else if (original[0] != '#') {
        char key[2 * PATH_LENGTH_MAX];
        snprintf(key, sizeof key, "%s %.*s", folder, (int)package_length(original), original);
        if (enter(t, &t->imports, key))
            trail_package(t, folder, original);
        if (ours)
            (void)enter(t, &t->names, original);
    }
}

static void one_input(struct trail *t, const char *key, const json_value *input) {
    char path[PATH_LENGTH_MAX];
    if (!bundle_input_path(t->places, key, path))
        return;
    CLEANUP(cleanup_free) char *real = realpath(path, NULL);
    if (!real) {
        t->unstable = true;
        return;
    }
    add(t, DEPENDENCY_FILE, real);
    if (strcmp(real, path) != 0)
        trail_way(t, path);
    bool ours = !strstr(real, "/node_modules/");
    real[path_dir_length(real)] = '\0';
    trail_folder(t, real);
    const json_value *import;
    for (size_t k = 0; t->status == 0 && (import = json_each(json_get(input, "imports"), &k));)
        one_import(t, real, ours, import);
}

static void read_package(struct trail *t, const char *file) {
    CLEANUP(json_cleanup) struct json_document *d = trail_read_json(file, false);
    char folder[PATH_LENGTH_MAX], path[PATH_LENGTH_MAX];
    memcpy(folder, file, strlen(file) + 1);
    parent_of(folder);
    for (size_t i = 0; i < sizeof MAIN_FIELDS / sizeof MAIN_FIELDS[0]; i++) {
        const char *field = json_text(json_get(json_root(d), MAIN_FIELDS[i]), NULL);
        if (field && join(folder, field, path))
            trail_way(t, path);
    }
}

/* What was found on the way leads on; by lists rather than by recursion, since a program decides how far. */
static void follow(struct trail *t) {
    size_t packages = 0, configs = 0, globs = 0;
    for (bool more = true; more && t->status == 0;) {
        more = false;
        for (; globs < t->globs.n && t->status == 0; more = true)
            look_through(t, t->globs.items[globs++]);
        for (; packages < t->packages.n && t->status == 0; more = true)
            read_package(t, t->packages.items[packages++]);
        for (; configs < t->configs.n && t->status == 0; more = true)
            trail_tsconfig(t, t->configs.items[configs++]);
        if (!more)
            more = trail_paths(t);
    }
}

static void trail_done(struct trail *t) {
    string_list_done(&t->folders);
    string_list_done(&t->ways);
    string_list_done(&t->imports);
    string_list_done(&t->packages);
    string_list_done(&t->configs);
    string_list_done(&t->globs);
    string_list_done(&t->names);
}

int bundle_trail_record(const struct bundle_places *places, const json_value *metafile, uint64_t since,
                        struct dependencies *deps, bool *ret_stable, struct error *err) {
    CLEANUP(trail_done) struct trail t = {.places = places, .deps = deps, .since = since, .err = err};
    const json_value *input;
    const char *key;
    if (json_size(json_get(metafile, "inputs")) > INPUTS_MAX)
        return error_set(err, ERROR_LIMIT, "the program imports more than %d files", INPUTS_MAX);
    for (size_t cursor = 0; t.status == 0 && (input = json_next(json_get(metafile, "inputs"), &cursor, &key));)
        one_input(&t, key, input);
    follow(&t);
    if (t.status)
        return t.status;
    *ret_stable = !t.unstable;
    return 0;
}
