/* See scratch.h. */
#define _GNU_SOURCE 1
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(bool good, const char *what, const char *path) {
    if (good)
        return;
    fprintf(stderr, "scratch: %s %s: %s\n", what, path, strerror(errno));
    abort();
}

char *scratch_new(void) {
    const char *place = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/capsule-test.XXXXXX", place && place[0] ? place : "/tmp");
    must(mkdtemp(path) != NULL, "mkdtemp", path);
    char *resolved = realpath(path, NULL);
    must(resolved != NULL, "realpath", path);
    return resolved;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st;
    (void)where;
    (void)kind;
    must(remove(path) == 0 || errno == ENOENT, "remove", path);
    return 0;
}

void scratch_free(char *folder) {
    if (!folder)
        return;
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

const char *scratch_path(const char *folder, const char *name) {
    static _Thread_local char paths[8][8192];
    static _Thread_local unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void scratch_mkdir(const char *folder, const char *name) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1;; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        must(mkdir(path, 0755) == 0 || errno == EEXIST, "mkdir", path);
        *p = c;
        if (c == '\0')
            return;
    }
}

void scratch_write_bytes(const char *folder, const char *name, const void *bytes, size_t n) {
    const char *slash = strrchr(name, '/');
    if (slash) {
        char parent[4096];
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name);
        scratch_mkdir(folder, parent);
    }
    const char *path = scratch_path(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0, "open", path);
    must(write(fd, bytes, n) == (ssize_t)n, "write", path);
    close(fd);
}

void scratch_write(const char *folder, const char *name, const char *text) {
    scratch_write_bytes(folder, name, text, strlen(text));
}

bool scratch_exists(const char *folder, const char *name) {
    struct stat st;
    return lstat(scratch_path(folder, name), &st) == 0;
}

size_t scratch_count(const char *folder, const char *name) {
    DIR *listing = opendir(scratch_path(folder, name));
    must(listing != NULL, "opendir", name);
    size_t n = 0;
    struct dirent *entry;
    while ((entry = readdir(listing)))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    return n;
}

void scratch_settle(void) {
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
}

int scratch_fork(unsigned uid, int (*function)(void *), void *argument) {
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "fork", "");
    if (child == 0) {
        if (uid && (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
            _exit(99);
        _exit(function(argument));
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        must(errno == EINTR, "waitpid", "");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
