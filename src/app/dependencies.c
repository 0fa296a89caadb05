/* Owns the list of what an image depends on, its form in the index, and the check against the file system.
 *
 * In the index: an array of ["f", "d" or "j", path, size, mtime, ctime, inode, digest] for files and folders (of Python's modules, of
 * JavaScript's) and ["a", path] for what was absent. mtime and ctime 0: no stat is trusted, the digest decides. digest "": never matches. A path that is there but that the
 * guest couldn't reach (a symlink out of its mount) is an "a" with its stat and the digest "denied".
 * Thread rule: a struct dependencies belongs to one thread at a time. */
#define _GNU_SOURCE 1
#include "app/dependencies.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/path.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPENDENCIES_MAX = 100000, NAMES_MAX = 64 * 1024 * 1024 };

static const char DENIED[] = "denied";

/* A clock tick of the kernel's file timestamps is at most 10 ms. */
#define TICK_NS (10 * NS_PER_MS)

struct stamp {
    uint64_t size, mtime, ctime, inode;
    mode_t type; /* 0: there's nothing */
};

struct dependency {
    char *path;
    enum dependency_kind kind;
    struct stamp stamp;
    uint64_t added_ns;            /* when stamp was taken, for comparison with it; 0: long ago */
    char digest[DIGEST_HEX_SIZE]; /* "": not known */
    bool early;                   /* digest was taken before the guest read: it must still be right at the end */
    bool denied;                  /* DEPENDENCY_ABSENT only for the guest */
    bool never;                   /* can't be vouched for */
};

struct dependencies {
    struct dependency *items;
    size_t n, capacity;
    uint32_t *table; /* open addressing by path; index + 1, 0 is free */
    size_t table_size;
};

/* What one kind is in the index and, for folders, which of their names matter. */
static const struct kind {
    char letter;
    mode_t type;                   /* what must be there; 0: nothing */
    const char *const *extensions; /* of names that matter, besides folders */
    bool bare;                     /* so do names without an extension, and what symlinks say */
} KINDS[] = {
    [DEPENDENCY_FILE] = {'f', S_IFREG, NULL, false},
    [DEPENDENCY_FOLDER] = {'d', S_IFDIR, (const char *const[]){".py", NULL}, false},
    [DEPENDENCY_FOLDER_JS] = {'j', S_IFDIR,
                              (const char *const[]){".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs",
                                                    ".json", NULL},
                              true},
    [DEPENDENCY_ABSENT] = {'a', 0, NULL, false},
};
enum { N_KINDS = sizeof KINDS / sizeof KINDS[0] };

static bool is_folder_kind(enum dependency_kind kind) {
    return KINDS[kind].type == S_IFDIR;
}

static uint64_t time_ns(struct timespec t) {
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct stamp stamp_of(const struct stat *st) {
    return (struct stamp){
        .size = (uint64_t)st->st_size,
        .mtime = time_ns(st->st_mtim),
        .ctime = time_ns(st->st_ctim),
        .inode = st->st_ino,
        .type = st->st_mode & S_IFMT,
    };
}

static struct stamp take_stamp(const char *path) {
    struct stat st;
    if (FAULT("dependencies.stat") || stat(path, &st))
        return (struct stamp){0};
    return stamp_of(&st);
}

static bool same_stamp(const struct stamp *a, const struct stamp *b) {
    return a->size == b->size && a->mtime == b->mtime && a->ctime == b->ctime && a->inode == b->inode &&
           a->type == b->type;
}

static bool is_folder(DIR *listing, const struct dirent *entry) {
    struct stat st;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(listing), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether a name matters to imports from its folder. */
static bool matters(const struct kind *kind, const char *name, bool folder) {
    if (name[0] == '.')
        return kind->bare && strncmp(name, ".pnp.", 5) == 0;
    if (folder)
        return strcmp(name, "__pycache__") != 0;
    if (kind->bare && !strchr(name, '.'))
        return true;
    for (const char *const *e = kind->extensions; *e; e++)
        if (path_ends_with(name, *e))
            return true;
    return false;
}

/* Appends where a symlink leads to, as it says it. */
static int list_link(DIR *listing, const struct dirent *entry, struct buffer *ret) {
    char target[PATH_LENGTH_MAX];
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return 0;
    ssize_t n = readlinkat(dirfd(listing), entry->d_name, target, sizeof target);
    if (n < 0)
        return 0;
    int status = buffer_puts(ret, "//");
    return status ? status : buffer_append(ret, target, (size_t)n);
}

/* The names that matter, each with a NUL, folders with a slash before it. */
static int list_names(const struct kind *kind, DIR *listing, struct buffer *ret, size_t *ret_n) {
    const struct dirent *entry;
    size_t n = 0;
    while ((entry = readdir(listing))) {
        const char *name = entry->d_name;
        bool folder = name[0] != '.' && is_folder(listing, entry);
        if (!matters(kind, name, folder))
            continue;
        if (buffer_puts(ret, name) || (folder && buffer_putc(ret, '/')) ||
            (kind->bare && list_link(listing, entry, ret)) || buffer_putc(ret, '\0'))
            return ERROR_NOMEM;
        n++;
    }
    *ret_n = n;
    return 0;
}

/* Over the sorted names: the order in a folder means nothing. Closes fd. */
static int digest_open_folder(const struct kind *kind, int fd, char ret[DIGEST_HEX_SIZE]) {
    DIR *listing = FAULT("dependencies.list") ? NULL : fdopendir(fd);
    if (!listing) {
        close(fd);
        return ERROR_IO;
    }
    CLEANUP(buffer_done) struct buffer names = BUFFER_INIT(NAMES_MAX);
    size_t n;
    int status = list_names(kind, listing, &names, &n);
    closedir(listing);
    CLEANUP(cleanup_free) char **sorted = status ? NULL : calloc(n + 1, sizeof *sorted);
    if (!sorted)
        return ERROR_NOMEM;
    const char *p = buffer_text(&names);
    for (size_t i = 0; i < n; i++, p += strlen(p) + 1)
        sorted[i] = (char *)(uintptr_t)p;
    qsort(sorted, n, sizeof *sorted, by_text);
    struct digest_state s;
    uint8_t digest[DIGEST_SIZE];
    digest_begin(&s, NULL);
    for (size_t i = 0; i < n; i++)
        digest_update(&s, sorted[i], strlen(sorted[i]) + 1);
    digest_end(&s, digest);
    digest_hex(digest, ret);
    return 0;
}

/* Of the content or listing; *ret_stamp is taken from the open file, before its content is read. */
static int digest_path(enum dependency_kind kind, const char *path, char ret[DIGEST_HEX_SIZE],
                       struct stamp *ret_stamp) {
    CLEANUP(cleanup_close)
    int fd = FAULT("dependencies.open") ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return ERROR_IO;
    *ret_stamp = stamp_of(&st);
    if (kind == DEPENDENCY_FILE)
        return S_ISREG(st.st_mode) ? file_digest(fd, NULL, ret) : ERROR_IO;
    int folder = fd;
    fd = -1;
    return digest_open_folder(&KINDS[kind], folder, ret);
}

struct dependencies *dependencies_new(void) {
    return FAULT("dependencies.new") ? NULL : calloc(1, sizeof(struct dependencies));
}

void dependencies_free(struct dependencies *d) {
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        free(d->items[i].path);
    free(d->items);
    free(d->table);
    free(d);
}

/* FNV-1a. */
static size_t hash(const char *text) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ (h >> 32));
}

/* The place in the table of path, or the free one where it would be. */
static size_t find_place(const struct dependencies *d, const char *path) {
    size_t mask = d->table_size - 1, i = hash(path) & mask;
    while (d->table[i] && strcmp(d->items[d->table[i] - 1].path, path) != 0)
        i = (i + 1) & mask;
    return i;
}

/* Makes room for one more; the table stays at most half full. */
static int reserve(struct dependencies *d) {
    if (d->n < d->capacity)
        return 0;
    size_t capacity = d->capacity ? d->capacity * 2 : 64;
    struct dependency *items = FAULT("dependencies.grow") ? NULL : reallocarray(d->items, capacity, sizeof *items);
    if (!items)
        return ERROR_NOMEM;
    d->items = items;
    uint32_t *table = calloc(2 * capacity, sizeof *table);
    if (!table)
        return ERROR_NOMEM;
    free(d->table);
    d->table = table;
    d->table_size = 2 * capacity;
    d->capacity = capacity;
    for (size_t i = 0; i < d->n; i++)
        d->table[find_place(d, d->items[i].path)] = (uint32_t)(i + 1);
    return 0;
}

/* Returns the new entry or, with *ret_new false, the one that path has already; NULL on failure, described in err. */
static struct dependency *enter(struct dependencies *d, const char *path, bool *ret_new, struct error *err) {
    if (d->n == DEPENDENCIES_MAX) {
        error_set(err, ERROR_LIMIT, "an import touched more than %d files and folders", DEPENDENCIES_MAX);
        return NULL;
    }
    int status = reserve(d);
    size_t place = status ? 0 : find_place(d, path);
    if (status == 0 && d->table[place]) {
        *ret_new = false;
        return &d->items[d->table[place] - 1];
    }
    char *copy = status || FAULT("dependencies.path") ? NULL : strdup(path);
    if (!copy) {
        error_set(err, ERROR_NOMEM, "out of memory while recording what an import reads");
        return NULL;
    }
    struct dependency *item = &d->items[d->n++];
    *item = (struct dependency){.path = copy};
    d->table[place] = (uint32_t)d->n;
    *ret_new = true;
    return item;
}

int dependencies_add(struct dependencies *d, enum dependency_kind kind, const char *host, struct error *err) {
    bool is_new;
    struct dependency *item = enter(d, host, &is_new, err);
    if (!item)
        return err ? err->code : ERROR_NOMEM;
    if (!is_new && (kind == DEPENDENCY_ABSENT || item->kind != DEPENDENCY_ABSENT))
        return 0;
    item->kind = kind;
    item->stamp = take_stamp(host);
    item->added_ns = clock_wall_ns();
    /* JSON can't hold such a name, so it couldn't be looked up again. */
    item->never = !utf8_valid(host, strlen(host));
    bool recent = item->stamp.mtime + TICK_NS > item->added_ns || item->stamp.ctime + TICK_NS > item->added_ns;
    if (kind == DEPENDENCY_ABSENT) {
        item->denied = item->stamp.type != 0;
        item->never = item->never || (item->denied && recent);
    } else if (recent || is_folder_kind(kind)) {
        /* Written a moment ago, a file could be written again after the guest's read and keep its timestamp; and a folder's
         * timestamp also changes for names that don't matter. */
        item->early = digest_path(kind, host, item->digest, &item->stamp) == 0;
        item->never = item->never || !item->early;
    }
    return 0;
}

static void seal(struct dependency *item, uint64_t started_ns) {
    struct stamp now = {0};
    char digest[DIGEST_HEX_SIZE] = "";
    if (item->kind == DEPENDENCY_ABSENT) {
        now = take_stamp(item->path);
        item->never = item->never || (item->denied ? !same_stamp(&item->stamp, &now) : now.type != 0);
        return;
    }
    bool read = digest_path(item->kind, item->path, digest, &now) == 0;
    if (!read || (item->early ? strcmp(digest, item->digest) != 0 : !same_stamp(&item->stamp, &now)))
        item->never = true;
    uint64_t safe_before = item->added_ns < started_ns ? item->added_ns : started_ns;
    item->stamp = now;
    if (now.mtime + TICK_NS > safe_before || now.ctime + TICK_NS > safe_before)
        item->stamp.mtime = item->stamp.ctime = 0;
    memcpy(item->digest, digest, sizeof digest);
}

int dependencies_seal(struct dependencies *d, uint64_t started_ns, struct error *err) {
    (void)err; /* what can't be read is recorded as such */
    for (size_t i = 0; i < d->n; i++)
        seal(&d->items[i], started_ns);
    return 0;
}

static int write_one(const struct dependency *item, struct buffer *to) {
    int status = buffer_printf(to, "[\"%c\",", KINDS[item->kind].letter);
    if (status == 0)
        status = json_write_string(to, item->path, strlen(item->path));
    if (status == 0 && (item->kind != DEPENDENCY_ABSENT || item->denied || item->never))
        status = buffer_printf(to, ",%llu,%llu,%llu,%llu,\"%s\"", (unsigned long long)item->stamp.size,
                               (unsigned long long)item->stamp.mtime, (unsigned long long)item->stamp.ctime,
                               (unsigned long long)item->stamp.inode,
                               item->never    ? ""
                               : item->denied ? DENIED
                                              : item->digest);
    return status ? status : buffer_putc(to, ']');
}

int dependencies_write(const struct dependencies *d, struct buffer *to) {
    int status = buffer_putc(to, '[');
    for (size_t i = 0; i < d->n && status == 0; i++) {
        if (i > 0)
            status = buffer_putc(to, ',');
        if (status == 0)
            status = write_one(&d->items[i], to);
    }
    return status ? status : buffer_putc(to, ']');
}

/* What is recorded about one dependency; path and digest point into the document. */
struct record {
    enum dependency_kind kind;
    const char *path, *digest; /* digest NULL: nothing but absence was recorded */
    struct stamp stamp;        /* without type */
};

static bool read_record(const json_value *v, struct record *ret) {
    size_t cursor = 0;
    const char *kind = json_text(json_each(v, &cursor), "");
    ret->path = json_text(json_each(v, &cursor), NULL);
    unsigned letter = 0;
    while (letter < N_KINDS && KINDS[letter].letter != kind[0])
        letter++;
    ret->kind = (enum dependency_kind)letter;
    ret->digest = NULL;
    if (!ret->path || ret->path[0] != '/' || letter == N_KINDS)
        return false;
    if (ret->kind == DEPENDENCY_ABSENT && json_size(v) == 2)
        return true;
    uint64_t *const fields[] = {&ret->stamp.size, &ret->stamp.mtime, &ret->stamp.ctime, &ret->stamp.inode};
    for (size_t i = 0; i < 4; i++)
        if (!json_u64(json_each(v, &cursor), fields[i]))
            return false;
    ret->digest = json_text(json_each(v, &cursor), "");
    return true;
}

static bool type_fits(enum dependency_kind kind, mode_t type) {
    return KINDS[kind].type == 0 || type == KINDS[kind].type;
}

static bool is_unchanged(const struct record *r, bool *touched) {
    struct stat st;
    bool there = stat(r->path, &st) == 0;
    if (!there || !r->digest)
        return !there && !r->digest;
    struct stamp now = stamp_of(&st);
    if (!r->digest[0] || !type_fits(r->kind, now.type))
        return false;
    if (now.size == r->stamp.size && now.mtime == r->stamp.mtime && now.ctime == r->stamp.ctime &&
        now.inode == r->stamp.inode)
        return true;
    if (r->kind == DEPENDENCY_ABSENT)
        return false;
    char digest[DIGEST_HEX_SIZE];
    /* Another size is another content; a folder's size says nothing. */
    if ((r->kind == DEPENDENCY_FILE && now.size != r->stamp.size) || digest_path(r->kind, r->path, digest, &now) ||
        strcmp(digest, r->digest) != 0)
        return false;
    *touched = true;
    return true;
}

bool dependencies_unchanged(const json_value *array, bool *ret_touched) {
    bool touched = false;
    const json_value *v;
    if (json_type(array) != JSON_ARRAY)
        return false;
    for (size_t cursor = 0; (v = json_each(array, &cursor));) {
        struct record r;
        if (!read_record(v, &r) || !is_unchanged(&r, &touched))
            return false;
    }
    *ret_touched = touched;
    return true;
}

static int enter_record(struct dependencies *d, const struct record *r) {
    bool is_new;
    struct dependency *item = enter(d, r->path, &is_new, NULL);
    if (!item)
        return ERROR_NOMEM;
    *item = (struct dependency){.path = item->path, .kind = r->kind, .added_ns = clock_wall_ns()};
    size_t n = r->digest ? strlen(r->digest) : 0;
    if (r->kind == DEPENDENCY_ABSENT) {
        item->denied = r->digest != NULL;
        item->stamp = take_stamp(r->path);
        item->never = item->denied && !n;
    } else {
        item->early = true;
        item->never = n != sizeof item->digest - 1;
        if (!item->never)
            memcpy(item->digest, r->digest, n + 1);
    }
    return 0;
}

int dependencies_read(struct dependencies *d, const json_value *array) {
    const json_value *v;
    for (size_t cursor = 0; (v = json_each(array, &cursor));) {
        struct record r;
        int status = read_record(v, &r) ? enter_record(d, &r) : ERROR_CORRUPT;
        if (status)
            return status;
    }
    return 0;
}
