/* Owns what tsconfig.json and jsconfig.json mean for a bundle's dependencies: the files that they extend, and the files that
 * `paths` and `baseUrl` would make an import mean if they appeared.
 *
 * More is recorded than esbuild looks at (every configuration's paths against every base), never less. Thread rule: see bundle_trail.c. */
#define _GNU_SOURCE 1
#include "app/bundle_trail.h"

#include "base/fault.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_FILE_MAX = 4 * 1024 * 1024 };

/* The offset after a string that begins at text[i]. */
static size_t skip_string(const char *text, size_t n, size_t i) {
    for (i++; i < n && text[i] != '"'; i++)
        if (text[i] == '\\')
            i++;
    return i < n ? i + 1 : n;
}

static size_t comment_length(const char *text, size_t n, size_t i) {
    if (text[i] != '/' || i + 1 >= n || (text[i + 1] != '/' && text[i + 1] != '*'))
        return 0;
    bool line = text[i + 1] == '/';
    size_t end = i + 2;
    while (end < n && !(line ? text[end] == '\n' : text[end] == '/' && text[end - 1] == '*' && end > i + 2))
        end++;
    return (line || end == n ? end : end + 1) - i;
}

void bundle_strip_comments(char *text, size_t n) {
    size_t comma = n; /* the last one, if only blanks came since */
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        memset(text, ' ', 3);
    for (size_t i = 0; i < n;) {
        size_t comment = comment_length(text, n, i);
        if (comment > 0) {
            memset(text + i, ' ', comment);
            i += comment;
        } else if (text[i] == '"') {
            i = skip_string(text, n, i);
            comma = n;
        } else {
            if ((text[i] == ']' || text[i] == '}') && comma < n)
                text[comma] = ' ';
            if (!strchr(" \t\r\n", text[i]))
                comma = text[i] == ',' ? i : n;
            i++;
        }
    }
}

struct json_document *trail_read_json(const char *path, bool comments) {
    CLEANUP(cleanup_close)
    int fd = FAULT("bundle.json") ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(JSON_FILE_MAX);
    struct json_document *d = NULL;
    if (fd < 0 || file_read(fd, &text) || text.size == 0)
        return NULL;
    if (comments)
        bundle_strip_comments(text.data, text.size);
    return json_parse(text.data, text.size, &d, NULL) ? NULL : d;
}

static void folder_of(const char *path, char ret[PATH_LENGTH_MAX]) {
    size_t n = path_dir_length(path);
    memcpy(ret, path, n);
    ret[n] = '\0';
}

/* ---- extends ---- */

static void add_if_file(struct trail *t, const char *path) {
    struct stat st;
    trail_way(t, path);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
        trail_later(t, &t->configs, path);
}

/* Each of the files that `name` may mean from folder. */
static void add_candidates(struct trail *t, const char *folder, const char *name) {
    static const char *const ENDINGS[] = {"", ".json", "/tsconfig.json"};
    char path[PATH_LENGTH_MAX], file[PATH_LENGTH_MAX + 16];
    if (path_normalize(folder, name, path, sizeof path) < 0)
        return;
    for (size_t i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s%s", path, ENDINGS[i]);
        add_if_file(t, file);
    }
}

/* A package's exports or its "tsconfig" may name any of its files: all JSON in its folder counts. */
static void add_package_configs(struct trail *t, const char *folder) {
    char path[PATH_LENGTH_MAX];
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    while (listing && (entry = readdir(listing)))
        if (path_ends_with(entry->d_name, ".json") && path_normalize(folder, entry->d_name, path, sizeof path) > 0)
            add_if_file(t, path);
    if (listing)
        closedir(listing);
}

static void extend_package(struct trail *t, const char *folder, const char *name) {
    char at[PATH_LENGTH_MAX], inside[2 * PATH_LENGTH_MAX], path[PATH_LENGTH_MAX];
    size_t n = strcspn(name, "/");
    if (name[0] == '@' && name[n] == '/')
        n += 1 + strcspn(name + n + 1, "/");
    trail_package(t, folder, name);
    memcpy(at, folder, strlen(folder) + 1);
    for (bool last = false; !last && t->status == 0; at[last ? 1 : path_dir_length(at)] = '\0') {
        last = at[1] == '\0';
        snprintf(inside, sizeof inside, "node_modules/%s", name);
        add_candidates(t, at, inside);
        snprintf(inside, sizeof inside, "node_modules/%.*s", (int)n, name);
        if (path_normalize(at, inside, path, sizeof path) > 0)
            add_package_configs(t, path);
    }
}

static void extend(struct trail *t, const char *folder, const char *name) {
    if (name[0] == '.' || name[0] == '/')
        add_candidates(t, folder, name);
    else if (name[0])
        extend_package(t, folder, name);
}

void trail_tsconfig(struct trail *t, const char *path) {
    CLEANUP(json_cleanup) struct json_document *d = trail_read_json(path, true);
    const json_value *extends = json_get(json_root(d), "extends"), *item;
    char folder[PATH_LENGTH_MAX];
    folder_of(path, folder);
    extend(t, folder, json_text(extends, ""));
    for (size_t cursor = 0; (item = json_each(extends, &cursor));)
        extend(t, folder, json_text(item, ""));
}

/* ---- paths ---- */

/* The way of `to` below base, with its star replaced by what the pattern's star stands for in name. */
static void offer(struct trail *t, const char *base, const char *pattern, const char *to, const char *name) {
    char text[2 * PATH_LENGTH_MAX], path[PATH_LENGTH_MAX];
    size_t before = strcspn(pattern, "*"), n = strlen(name), star = strcspn(to, "*");
    size_t after = pattern[before] ? strlen(pattern + before + 1) : 0;
    if (pattern[before] ? n < before + after || strncmp(name, pattern, before) != 0 ||
                              strcmp(name + n - after, pattern + before + 1) != 0
                        : strcmp(name, pattern) != 0)
        return;
    int length = to[star] ? snprintf(text, sizeof text, "%.*s%.*s%s", (int)star, to, (int)(n - before - after),
                                     name + before, to + star + 1)
                          : snprintf(text, sizeof text, "%s", to);
    if (length < (int)sizeof text && path_normalize(base, text, path, sizeof path) > 0)
        trail_way(t, path);
}

static void offer_all(struct trail *t, const char *base, const json_value *paths, const char *name) {
    const json_value *targets, *target;
    const char *pattern;
    offer(t, base, "*", "*", name);
    for (size_t i = 0; t->status == 0 && (targets = json_next(paths, &i, &pattern));)
        for (size_t k = 0; (target = json_each(targets, &k));)
            offer(t, base, pattern, json_text(target, ""), name);
}

static void offer_config(struct trail *t, const char *config, const struct string_list *bases) {
    CLEANUP(json_cleanup) struct json_document *d = trail_read_json(config, true);
    const json_value *paths = json_get(json_get(json_root(d), "compilerOptions"), "paths");
    char folder[PATH_LENGTH_MAX];
    folder_of(config, folder);
    for (size_t i = 0; i < t->names.n; i++) {
        if (paths)
            offer_all(t, folder, paths, t->names.items[i]);
        for (size_t k = 0; k < bases->n; k++)
            offer_all(t, bases->items[k], paths, t->names.items[i]);
    }
}

bool trail_paths(struct trail *t) {
    CLEANUP(string_list_done) struct string_list bases = {0};
    if (t->paths_done == t->configs.n)
        return false;
    for (size_t i = 0; i < t->configs.n; i++) {
        CLEANUP(json_cleanup) struct json_document *d = trail_read_json(t->configs.items[i], true);
        const char *base = json_text(json_get(json_get(json_root(d), "compilerOptions"), "baseUrl"), NULL);
        char folder[PATH_LENGTH_MAX], path[PATH_LENGTH_MAX];
        folder_of(t->configs.items[i], folder);
        if (base && path_normalize(folder, base, path, sizeof path) > 0 && string_list_add(&bases, path))
            t->status = error_set(t->err, ERROR_NOMEM, "out of memory while reading tsconfig.json");
    }
    t->paths_done = t->configs.n;
    for (size_t i = 0; i < t->configs.n && t->status == 0; i++)
        offer_config(t, t->configs.items[i], &bases);
    return true;
}
