/* Owns the way from what the user typed to a project: entry file, root folder, manifest, installed packages.
 *
 * Everything is resolved once, symlinks included, so that nothing later depends on the working directory.
 * Thread rule: a struct project is constant after project_open. */
#define _GNU_SOURCE 1
#include "app/project.h"

#include "base/buffer.h"
#include "base/fault.h"
#include "base/path.h"
#include "base/suggest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MANIFEST_NAME[] = "capsule.toml";

static const struct extension {
    const char *text;
    enum language language;
} EXTENSIONS[] = {
    {".py", LANGUAGE_PYTHON},      {".ts", LANGUAGE_JAVASCRIPT},  {".tsx", LANGUAGE_JAVASCRIPT},
    {".mts", LANGUAGE_JAVASCRIPT}, {".cts", LANGUAGE_JAVASCRIPT}, {".js", LANGUAGE_JAVASCRIPT},
    {".jsx", LANGUAGE_JAVASCRIPT}, {".mjs", LANGUAGE_JAVASCRIPT}, {".cjs", LANGUAGE_JAVASCRIPT},
};
#define KNOWN_EXTENSIONS ".py, .ts, .tsx, .mts, .cts, .js, .jsx, .mjs and .cjs"
enum { N_EXTENSIONS = sizeof EXTENSIONS / sizeof EXTENSIONS[0] };

static int out_of_memory(struct error *err) {
    return error_set(err, ERROR_NOMEM, "out of memory while opening the project");
}

/* Finds capsule.toml in folder or above. 1 and its path, 0 if there is none. folder is absolute and resolved. */
static int find_manifest(const char *folder, char ret[PATH_LENGTH_MAX], struct stat *ret_stat) {
    size_t n = strlen(folder);
    if (n + 1 + sizeof MANIFEST_NAME > PATH_LENGTH_MAX)
        return 0;
    memcpy(ret, folder, n + 1);
    for (;;) {
        size_t end = n == 1 ? 0 : n; /* "/" has its slash already */
        ret[end] = '/';
        memcpy(ret + end + 1, MANIFEST_NAME, sizeof MANIFEST_NAME);
        if (stat(ret, ret_stat) == 0)
            return 1;
        if (n == 1)
            return 0;
        ret[n] = '\0';
        n = path_dir_length(ret);
    }
}

/* A manifest opens files and may sit in a folder that everybody can write to, such as /tmp: one that somebody else left
 * there isn't followed. Its owner may be the user, root, or whoever owns what is run. */
static int check_owner(const char *path, uid_t owner, uid_t accepted, struct error *err) {
    if (owner == geteuid() || owner == 0 || owner == accepted)
        return 0;
    error_set(err, ERROR_PROJECT, "%s belongs to another user (uid %u) and isn't used", path, owner);
    error_hint(err, "move the program out of that folder, or give it a capsule.toml of its own");
    return ERROR_PROJECT;
}

/* Reads the manifest above folder into p and sets p->root; without one, folder is the root. */
static int open_root(struct project *p, const char *folder, uid_t accepted, struct error *err) {
    char path[PATH_LENGTH_MAX];
    struct stat st;
    if (find_manifest(folder, path, &st)) {
        int status = check_owner(path, st.st_uid, accepted, err);
        if (status == 0)
            status = manifest_read(path, &p->manifest, err);
        if (status)
            return status;
        path[path_dir_length(path)] = '\0';
    } else {
        size_t n = strlen(folder);
        if (n >= sizeof path)
            return error_set(err, ERROR_PROJECT, "the path of the project is longer than %d bytes",
                             PATH_LENGTH_MAX);
        memcpy(path, folder, n + 1);
    }
    p->root = FAULT("project.root") ? NULL : strdup(path);
    if (!p->root)
        return out_of_memory(err);
    p->root_fd = FAULT("project.open") ? -1 : open(p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (p->root_fd < 0)
        return error_errno(err, ERROR_PROJECT, errno, "can't open the project folder %s", p->root);
    return 0;
}

static int missing_file(const char *file, struct error *err) {
    error_set(err, ERROR_PROJECT, "no such file: %s", file);
    CLEANUP(cleanup_free) char *folder = strndup(file, path_dir_length(file));
    DIR *listing = folder ? opendir(folder[0] ? folder : ".") : NULL;
    const char *names[256];
    size_t n = 0;
    CLEANUP(string_list_done) struct string_list copies = {0};
    struct dirent *entry;
    while (listing && n < 256 && (entry = readdir(listing))) {
        if (entry->d_name[0] == '.' || string_list_add(&copies, entry->d_name))
            continue;
        names[n] = copies.items[n];
        n++;
    }
    if (listing)
        closedir(listing);
    const char *near = suggest_nearest(path_base(file), names, n);
    if (near)
        error_hint(err, "did you mean %s%s%s?", folder, folder[0] && strcmp(folder, "/") != 0 ? "/" : "", near);
    else
        error_hint(err, "check the name and the working directory");
    return ERROR_PROJECT;
}

static int refuse_file(const char *file, int reason, struct error *err) {
    switch (reason) {
    case ENOENT:
        return missing_file(file, err);
    case EACCES:
        error_set(err, ERROR_PROJECT, "can't read %s: permission denied", file);
        error_hint(err, "check the permissions of the file and of the folders above it");
        return ERROR_PROJECT;
    default:
        return error_errno(err, ERROR_PROJECT, reason, "can't read %s", file);
    }
}

static int refuse_folder(const char *file, const char *resolved, struct error *err) {
    error_set(err, ERROR_PROJECT, "%s is a folder", file);
    char main_file[PATH_LENGTH_MAX], name[16];
    struct stat st;
    size_t n = strlen(file);
    while (n > 1 && file[n - 1] == '/')
        n--;
    for (size_t i = 0; i < N_EXTENSIONS; i++) {
        snprintf(name, sizeof name, "main%s", EXTENSIONS[i].text);
        if (path_normalize(resolved, name, main_file, sizeof main_file) > 0 && stat(main_file, &st) == 0) {
            error_hint(err, "did you mean %.*s/%s?", (int)n, file, name);
            return ERROR_PROJECT;
        }
    }
    error_hint(err, "give the file that has the main task, such as main.py or main.ts");
    return ERROR_PROJECT;
}

static int find_language(const char *file, enum language *ret, struct error *err) {
    const char *names[N_EXTENSIONS], *name = path_base(file), *dot = strrchr(name, '.');
    for (size_t i = 0; i < N_EXTENSIONS; i++) {
        names[i] = EXTENSIONS[i].text;
        if (dot && dot != name && strcmp(dot, EXTENSIONS[i].text) == 0) {
            *ret = EXTENSIONS[i].language;
            return 0;
        }
    }
    const char *near = dot ? suggest_nearest(dot, names, N_EXTENSIONS) : NULL;
    if (dot && dot != name)
        error_set(err, ERROR_PROJECT, "%s: \"%s\" isn't the extension of a program that Capsule runs", file, dot);
    else
        error_set(err, ERROR_PROJECT, "%s has no extension that says what it is", file);
    if (near)
        error_hint(err, "did you mean \"%s\"? Known are " KNOWN_EXTENSIONS, near);
    else
        error_hint(err, "known are " KNOWN_EXTENSIONS);
    return ERROR_PROJECT;
}

/* Resolves the entry file to an absolute path without symlinks and makes sure that it can be read. */
static int open_entry(const char *file, char ret[PATH_MAX], enum language *ret_language, struct stat *ret_stat,
                      struct error *err) {
    if (!file[0])
        return error_set(err, ERROR_PROJECT, "the name of the file to run is empty");
    if (FAULT("project.realpath") || !realpath(file, ret))
        return refuse_file(file, errno, err);
    CLEANUP(cleanup_close)
    int fd = FAULT("project.entry") ? -1 : open(ret, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret_stat))
        return refuse_file(file, errno, err);
    if (S_ISDIR(ret_stat->st_mode))
        return refuse_folder(file, ret, err);
    int status = find_language(file, ret_language, err);
    if (status)
        return status;
    if (!S_ISREG(ret_stat->st_mode))
        return error_set(err, ERROR_PROJECT, "%s isn't a regular file", file);
    return 0;
}

static int by_version(const void *a, const void *b) {
    return strverscmp(*(char *const *)b, *(char *const *)a);
}

static bool known_folder(const struct string_list *l, const char *path) {
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i], path) == 0)
            return true;
    return false;
}

/* Adds each lib/python3.N/site-packages of a virtual environment, the newest Python first. */
static int add_site_packages(struct project *p, const char *environment, struct error *err) {
    char folder[PATH_LENGTH_MAX], lib[PATH_LENGTH_MAX], resolved[PATH_MAX];
    if (path_normalize(p->root, environment, folder, sizeof folder) < 0 ||
        path_normalize(folder, "lib", lib, sizeof lib) < 0)
        return 0;
    DIR *listing = FAULT("project.venv") ? NULL : opendir(lib);
    if (!listing)
        return 0;
    CLEANUP(string_list_done) struct string_list found = {0};
    struct dirent *entry;
    int status = 0;
    while (status == 0 && (entry = readdir(listing))) {
        if (strncmp(entry->d_name, "python3.", 8) == 0)
            status = string_list_add(&found, entry->d_name);
    }
    closedir(listing);
    if (found.n > 0)
        qsort(found.items, found.n, sizeof *found.items, by_version);
    for (size_t i = 0; i < found.n && status == 0; i++) {
        char path[2 * PATH_LENGTH_MAX];
        snprintf(path, sizeof path, "%s/%s/site-packages", lib, found.items[i]);
        if (realpath(path, resolved) && !known_folder(&p->site_packages, resolved))
            status = string_list_add(&p->site_packages, resolved);
    }
    return status ? out_of_memory(err) : 0;
}

static int find_site_packages(struct project *p, struct error *err) {
    const char *active = getenv("VIRTUAL_ENV");
    int status = active && active[0] == '/' ? add_site_packages(p, active, err) : 0;
    return status ? status : add_site_packages(p, ".venv", err);
}

static int no_entrypoint(const struct project *p, struct error *err) {
    if (p->manifest.path)
        error_set(err, ERROR_PROJECT, "%s names no entrypoint", p->manifest.path);
    else
        error_set(err, ERROR_PROJECT, "no file to run was given, and there's no capsule.toml here or above");
    error_hint(err, "name the file (capsule run main.py, capsule run main.ts), or set entrypoint in [workflow] of "
                    "capsule.toml");
    return ERROR_PROJECT;
}

/* Without a file: the entrypoint of the manifest above the working directory. */
static int open_by_manifest(struct project *p, char ret_entry[PATH_MAX], struct error *err) {
    char folder[PATH_MAX];
    struct stat st;
    if (FAULT("project.getcwd") || !getcwd(folder, sizeof folder) || stat(folder, &st))
        return error_errno(err, ERROR_PROJECT, errno, "can't find the working directory");
    int status = open_root(p, folder, st.st_uid, err);
    if (status)
        return status;
    if (!p->manifest.entrypoint)
        return no_entrypoint(p, err);
    char path[PATH_LENGTH_MAX];
    if (path_normalize(p->root, p->manifest.entrypoint, path, sizeof path) < 0)
        return error_set(err, ERROR_PROJECT, "the path of the entrypoint is longer than %d bytes",
                         PATH_LENGTH_MAX);
    p->entry_as_given = strdup(p->manifest.entrypoint);
    status = p->entry_as_given ? open_entry(path, ret_entry, &p->language, &st, err) : out_of_memory(err);
    if (status == ERROR_PROJECT)
        error_prefix(err, "[workflow] entrypoint of %s", p->manifest.path);
    if (status == 0 && !path_below(ret_entry, p->root))
        return error_set(err, ERROR_PROJECT, "the entrypoint %s of %s leads out of the project, to %s",
                         p->manifest.entrypoint, p->manifest.path, ret_entry);
    return status;
}

static int open_by_file(struct project *p, const char *file, char ret_entry[PATH_MAX], struct error *err) {
    struct stat st;
    int status = open_entry(file, ret_entry, &p->language, &st, err);
    if (status)
        return status;
    CLEANUP(cleanup_free) char *folder = strndup(ret_entry, path_dir_length(ret_entry));
    p->entry_as_given = FAULT("project.entry.copy") ? NULL : strdup(file);
    if (!folder || !p->entry_as_given)
        return out_of_memory(err);
    return open_root(p, folder, st.st_uid, err);
}

/* The last steps; entry: relative to the root. */
static int finish_opening(struct project *p, const char *entry, struct project *ret, struct error *err) {
    p->entry = strdup(entry);
    int status = p->entry ? find_site_packages(p, err) : out_of_memory(err);
    if (status)
        return status;
    *ret = *p;
    *p = (struct project){.root_fd = -1};
    return 0;
}

int project_open(const char *file, struct project *ret, struct error *err) {
    CLEANUP(project_done) struct project p = {.root_fd = -1};
    char entry[PATH_MAX];
    int status = file ? open_by_file(&p, file, entry, err) : open_by_manifest(&p, entry, err);
    return status ? status : finish_opening(&p, path_below(entry, p.root), ret, err);
}

int project_open_at(const char *root, const char *entry, struct project *ret, struct error *err) {
    CLEANUP(project_done) struct project p = {.root_fd = -1};
    struct stat st;
    if (FAULT("project.root") || stat(root, &st))
        return error_errno(err, ERROR_PROJECT, errno, "the project %s can't be opened", root);
    int status = find_language(entry, &p.language, err);
    if (status == 0)
        status = open_root(&p, root, st.st_uid, err);
    if (status == 0 && strcmp(p.root, root) != 0) {
        error_set(err, ERROR_PROJECT, "%s isn't a project of its own any more: it's part of %s", root, p.root);
        error_hint(err, "its capsule.toml was moved or removed, or another one was put above it");
        return ERROR_PROJECT;
    }
    p.entry_as_given = status == 0 ? strdup(entry) : NULL;
    if (status == 0 && !p.entry_as_given)
        return out_of_memory(err);
    return status ? status : finish_opening(&p, entry, ret, err);
}

void project_done(struct project *p) {
    /* A struct that was merely zeroed has no descriptor, though its number looks like one. */
    if (p->root)
        cleanup_close(&p->root_fd);
    free(p->root);
    free(p->entry);
    free(p->entry_as_given);
    manifest_done(&p->manifest);
    string_list_done(&p->site_packages);
    *p = (struct project){.root_fd = -1};
}
