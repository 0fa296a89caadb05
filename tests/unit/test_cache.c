/* The cache: its folder, objects, seals, indexes, and what they survive. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/cache.h"
#include "app/cache_internal.h"
#include "base/buffer.h"
#include "base/file.h"
#include "scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static int make(void **state) {
    *state = scratch_new(); /* 0700 */
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

static struct cache *must_open(const char *dir) {
    struct cache *c = NULL;
    struct error err = {0};
    if (cache_open(dir, &c, &err))
        fail_msg("%s", err.message);
    return c;
}

static void close_cache(struct cache **c) {
    cache_close(*c);
}

/* Puts an object; returns 0 or the first error. */
static int put(struct cache *c, const char *name, const char *text, bool disposable) {
    struct cache_write *w = NULL;
    int fd = -1, finished = -1;
    int status = cache_begin(c, &w, &fd, NULL);
    if (status)
        return status;
    if (!file_write(fd, text, strlen(text))) {
        cache_abort(w);
        return ERROR_IO;
    }
    if (disposable)
        cache_write_disposable(w);
    status = cache_commit(w, name, &finished, NULL, NULL);
    cleanup_close(&finished);
    return status;
}

/* True if the open file holds exactly text. */
static bool holds(int fd, const char *text) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(1 << 20);
    return lseek(fd, 0, SEEK_SET) == 0 && file_read(fd, &b) == 0 && strcmp(buffer_text(&b), text) == 0;
}

/* 1: there with this text, 0: absent, -1: there with another text, or an error. */
static int probe(struct cache *c, const char *name, const char *text) {
    CLEANUP(cleanup_close) int fd = -1;
    int status = cache_take(c, name, &fd, NULL, NULL);
    if (status)
        return status == ERROR_NOT_FOUND ? 0 : -1;
    return holds(fd, text) ? 1 : -1;
}

static mode_t mode_of(const char *folder, const char *name) {
    struct stat st;
    assert_int_equal(stat(scratch_path(folder, name), &st), 0);
    return st.st_mode & 07777;
}

static void makes_a_private_folder(void **state) {
    const char *dir = scratch_path(*state, "a/b/cache");
    CLEANUP(close_cache) struct cache *c = must_open(dir);
    assert_true(cache_writable(c));
    assert_string_equal(cache_dir(c), scratch_path(*state, "a/b/cache"));
    assert_int_equal(mode_of(*state, "a/b/cache"), 0700);
    assert_int_equal(mode_of(*state, "a/b"), 0700);
    assert_int_equal(mode_of(*state, "a/b/cache/key"), 0400);
    CLEANUP(close_cache) struct cache *again = must_open(dir);
    assert_memory_equal(c->key, again->key, sizeof c->key);
}

static void keeps_objects(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    CLEANUP(cleanup_close) int fd = -1;
    CLEANUP(cleanup_free) char *path = NULL;
    struct error err;
    assert_int_equal(cache_take(c, "aa.image", &fd, NULL, &err), ERROR_NOT_FOUND);
    assert_contains(err.message, "aa.image");
    struct cache_write *w = NULL;
    int writing = -1;
    assert_int_equal(cache_begin(c, &w, &writing, &err), 0);
    assert_true(file_write(writing, "content", 7));
    assert_int_equal(cache_commit(w, "aa.image", &fd, &path, &err), 0);
    assert_true(holds(fd, "content"));
    assert_int_equal(write(fd, "x", 1), -1);
    CLEANUP(cleanup_close) int by_path = open(path, O_RDONLY);
    assert_true(holds(by_path, "content"));
    assert_int_equal(mode_of(*state, "objects/aa.image"), 0400);
    assert_int_equal(scratch_count(*state, "tmp"), 0);
    CLEANUP(close_cache) struct cache *other = must_open(*state);
    assert_int_equal(probe(other, "aa.image", "content"), 1);
    assert_int_equal(put(c, "empty", "", false), 0);
    assert_int_equal(probe(c, "empty", ""), 1);
}

static void aborts_without_a_trace(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    struct cache_write *w = NULL;
    int fd;
    assert_int_equal(cache_begin(c, &w, &fd, NULL), 0);
    assert_int_equal(scratch_count(*state, "tmp"), 1);
    cache_abort(w);
    cache_abort(NULL);
    assert_int_equal(scratch_count(*state, "tmp"), 0);
    assert_int_equal(scratch_count(*state, "objects"), 0);
}

static void refuses_names(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    static char long_name[CACHE_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    const char *const names[] = {"", ".", "..", "../key", "a/b", ".hidden", "a b", "x.seal", long_name, "ü"};
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(100);
    for (size_t i = 0; i < COUNT(names); i++) {
        int fd = -1;
        assert_int_equal(cache_take(c, names[i], &fd, NULL, NULL), ERROR_INTERNAL);
        assert_int_equal(put(c, names[i], "x", false), ERROR_INTERNAL);
        if (strcmp(names[i], "x.seal") == 0)
            continue;
        assert_int_equal(cache_lock(c, names[i], &fd, NULL), ERROR_INTERNAL);
        assert_int_equal(cache_write_index(c, names[i], "x", 1, NULL), ERROR_INTERNAL);
        assert_int_equal(cache_read_index(c, names[i], &b, NULL), ERROR_NOT_FOUND);
    }
    assert_int_equal(scratch_count(*state, "tmp"), 0);
    long_name[CACHE_NAME_MAX] = '\0';
    assert_int_equal(put(c, long_name, "x", false), 0);
    assert_int_equal(probe(c, long_name, "x"), 1);
}

/* --- damage ---------------------------------------------------------------------------------------------- */

static void overwrite(const char *folder, const char *name, const void *bytes, size_t n) {
    chmod(scratch_path(folder, name), 0600);
    scratch_write_bytes(folder, name, bytes, n);
}

static size_t slurp(const char *folder, const char *name, char *to, size_t capacity) {
    CLEANUP(cleanup_close) int fd = open(scratch_path(folder, name), O_RDONLY);
    ssize_t n = read(fd, to, capacity);
    assert_true(n > 0 && (size_t)n < capacity);
    return (size_t)n;
}

/* Every single flipped byte, every truncation, and one byte too many, of the object and of its seal. */
static void notices_every_damaged_byte(void **state) {
    static const char *const files[] = {"objects/aa.image", "objects/aa.image.seal"};
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    for (size_t f = 0; f < COUNT(files); f++) {
        char good[2048], bad[2048];
        assert_int_equal(put(c, "aa.image", "the content", false), 0);
        size_t n = slurp(*state, files[f], good, sizeof good);
        for (size_t i = 0; i < 2 * n + 1; i++) {
            assert_int_equal(put(c, "aa.image", "the content", false), 0);
            n = slurp(*state, files[f], good, sizeof good);
            memcpy(bad, good, n);
            bad[n] = 'x';
            if (i < n)
                bad[i] ^= 1;
            overwrite(*state, files[f], bad, i < n ? n : i < 2 * n ? i - n : n + 1);
            assert_int_equal(probe(c, "aa.image", "the content"), 0);
            /* Removed, so that it's built anew. */
            assert_false(scratch_exists(*state, "objects/aa.image"));
            assert_false(scratch_exists(*state, "objects/aa.image.seal"));
        }
    }
}

static void notices_missing_and_exchanged_parts(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    assert_int_equal(put(c, "a", "same", false), 0);
    assert_int_equal(unlink(scratch_path(*state, "objects/a.seal")), 0);
    assert_int_equal(probe(c, "a", "same"), 0);
    assert_int_equal(put(c, "a", "same", false), 0);
    assert_int_equal(unlink(scratch_path(*state, "objects/a")), 0);
    assert_int_equal(probe(c, "a", "same"), 0);
    /* The seal of another object, even of one with equal content. */
    assert_int_equal(put(c, "a", "same", false), 0);
    assert_int_equal(put(c, "b", "same", false), 0);
    assert_int_equal(rename(scratch_path(*state, "objects/a.seal"), scratch_path(*state, "objects/b.seal")), 0);
    assert_int_equal(probe(c, "a", "same"), 0);
    assert_int_equal(probe(c, "b", "same"), 0);
}

static void refuses_what_is_no_plain_file(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    scratch_write(*state, "elsewhere", "content");
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_int_equal(unlink(scratch_path(*state, "objects/a")), 0);
        const char *path = scratch_path(*state, "objects/a");
        int made = kind == 0 ? symlink("../elsewhere", path) : kind == 1 ? mkdir(path, 0700) : mkfifo(path, 0600);
        assert_int_equal(made, 0);
        assert_int_equal(probe(c, "a", "content"), 0);
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_int_equal(probe(c, "a", "content"), 1);
    }
}

/* Same bytes under another identity: a copied cache, a restored backup. */
static void accepts_equal_content_and_seals_it_anew(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    assert_int_equal(put(c, "a", "content", false), 0);
    scratch_write(*state, "copy", "content");
    assert_int_equal(rename(scratch_path(*state, "copy"), scratch_path(*state, "objects/a")), 0);
    char before[1024], after[1024];
    size_t n = slurp(*state, "objects/a.seal", before, sizeof before);
    assert_int_equal(probe(c, "a", "content"), 1);
    size_t m = slurp(*state, "objects/a.seal", after, sizeof after);
    assert_true(n != m || memcmp(before, after, n) != 0);
    assert_int_equal(probe(c, "a", "content"), 1);
}

static void digests_again_after_a_restart(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    assert_true(c->boot[0]);
    assert_int_equal(put(c, "kept", "content", false), 0);
    assert_int_equal(put(c, "disposable", "content", true), 0);
    assert_int_equal(probe(c, "disposable", "content"), 1);
    snprintf(c->boot, sizeof c->boot, "00000000-another-boot");
    assert_int_equal(probe(c, "kept", "content"), 1);
    assert_int_equal(probe(c, "disposable", "content"), 0);
    assert_false(scratch_exists(*state, "objects/disposable"));
    /* A machine that doesn't tell: every time. */
    c->boot[0] = '\0';
    assert_int_equal(probe(c, "kept", "content"), 1);
    assert_int_equal(probe(c, "kept", "content"), 1);
}

static void replaces_and_keeps(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    struct stat first, second;
    assert_int_equal(put(c, "a", "one", false), 0);
    CLEANUP(cleanup_close) int old = -1;
    assert_int_equal(cache_take(c, "a", &old, NULL, NULL), 0);
    assert_int_equal(fstat(old, &first), 0);
    assert_int_equal(put(c, "a", "one", false), 0);
    assert_int_equal(stat(scratch_path(*state, "objects/a"), &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    assert_int_equal(put(c, "a", "two", false), 0);
    assert_int_equal(probe(c, "a", "two"), 1);
    assert_true(holds(old, "one"));
}

static void a_lost_key_makes_all_absent(void **state) {
    static const size_t sizes[] = {0, 1, 31, 33, 100};
    for (size_t i = 0; i <= COUNT(sizes); i++) {
        CLEANUP(close_cache) struct cache *c = must_open(*state);
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_int_equal(cache_write_index(c, "i", "{}", 2, NULL), 0);
        char bytes[100] = "not the key that was there before .....";
        if (i == COUNT(sizes))
            assert_int_equal(chmod(scratch_path(*state, "key"), 0444), 0);
        else
            overwrite(*state, "key", bytes, sizes[i]);
        if (i < COUNT(sizes))
            assert_int_equal(chmod(scratch_path(*state, "key"), 0400), 0);
        CLEANUP(close_cache) struct cache *fresh = must_open(*state);
        CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(100);
        assert_true(cache_writable(fresh));
        assert_memory_not_equal(c->key, fresh->key, sizeof c->key);
        assert_int_equal(probe(fresh, "a", "content"), 0);
        assert_int_equal(cache_read_index(fresh, "i", &b, NULL), ERROR_NOT_FOUND);
        assert_int_equal(put(fresh, "a", "content", false), 0);
        assert_int_equal(probe(fresh, "a", "content"), 1);
    }
}

static void survives_missing_folders(void **state) {
    static const char *const folders[] = {"objects", "index", "tmp", "lock"};
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    for (size_t i = 0; i < COUNT(folders); i++) {
        char command[600];
        snprintf(command, sizeof command, "rm -rf '%s'", scratch_path(*state, folders[i]));
        assert_int_equal(system(command), 0);
        int lock = -1;
        CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(100);
        assert_int_equal(cache_lock(c, "x", &lock, NULL), 0);
        cleanup_close(&lock);
        assert_true(probe(c, "a", "content") >= 0);
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_int_equal(cache_write_index(c, "i", "{}", 2, NULL), 0);
        (void)cache_read_index(c, "i", &b, NULL);
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_true(probe(c, "a", "content") >= 0);
    }
}

/* --- indexes ------------------------------------------------------------------------------------------------ */

static void keeps_indexes(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(1000);
    assert_int_equal(cache_read_index(c, "i.json", &b, NULL), ERROR_NOT_FOUND);
    assert_int_equal(cache_write_index(c, "i.json", "{\"a\":1}", 7, NULL), 0);
    assert_int_equal(cache_read_index(c, "i.json", &b, NULL), 0);
    assert_string_equal(b.data, "{\"a\":1}");
    assert_int_equal(cache_write_index(c, "i.json", "", 0, NULL), 0);
    buffer_clear(&b);
    assert_int_equal(cache_read_index(c, "i.json", &b, NULL), 0);
    assert_int_equal(b.size, 0);
    CLEANUP(buffer_done) struct buffer small = BUFFER_INIT(3);
    assert_int_equal(cache_write_index(c, "i.json", "longer", 6, NULL), 0);
    assert_int_equal(cache_read_index(c, "i.json", &small, NULL), ERROR_NOT_FOUND);
}

static void notices_damaged_indexes(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    char good[1024], bad[1024];
    assert_int_equal(cache_write_index(c, "i", "{\"a\":1}", 7, NULL), 0);
    size_t n = slurp(*state, "index/i", good, sizeof good);
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(1000);
    for (size_t i = 0; i < 2 * n + 1; i++) {
        memcpy(bad, good, n);
        bad[n] = '\n';
        if (i < n)
            bad[i] ^= 0x20;
        overwrite(*state, "index/i", bad, i < n ? n : i < 2 * n ? i - n : n + 1);
        assert_int_equal(cache_read_index(c, "i", &b, NULL), ERROR_NOT_FOUND);
        assert_int_equal(b.size, 0);
    }
    /* A good one under another name isn't what that name stands for. */
    overwrite(*state, "index/j", good, n);
    assert_int_equal(cache_read_index(c, "j", &b, NULL), ERROR_NOT_FOUND);
    overwrite(*state, "index/i", good, n);
    assert_int_equal(cache_read_index(c, "i", &b, NULL), 0);
}

/* --- the folder ------------------------------------------------------------------------------------------------ */

static void finds_its_folder(void **state) {
    static const struct {
        const char *cache, *xdg, *home, *expected; /* below the scratch folder; "/x" as is */
    } rows[] = {
        {"c", "x", "h", "c"},
        {NULL, "x", "h", "x/capsule"},
        {NULL, NULL, "h", "h/.cache/capsule"},
        {"", "x", "h", "x/capsule"},
        {NULL, "/relative", "h", "h/.cache/capsule"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsetenv("CAPSULE_CACHE");
        unsetenv("XDG_CACHE_HOME");
        if (rows[i].cache)
            setenv("CAPSULE_CACHE", rows[i].cache[0] ? scratch_path(*state, rows[i].cache) : "", 1);
        if (rows[i].xdg)
            setenv("XDG_CACHE_HOME", rows[i].xdg[0] == '/' ? "relative" : scratch_path(*state, rows[i].xdg), 1);
        setenv("HOME", scratch_path(*state, rows[i].home), 1);
        CLEANUP(close_cache) struct cache *c = must_open(NULL);
        assert_string_equal(cache_dir(c), scratch_path(*state, rows[i].expected));
        assert_true(cache_writable(c));
    }
    unsetenv("CAPSULE_CACHE");
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(chdir(*state), 0);
    CLEANUP(close_cache) struct cache *relative = must_open("rel/../rel2");
    assert_string_equal(cache_dir(relative), scratch_path(*state, "rel2"));
    assert_int_equal(chdir("/"), 0);
}

/* As a user that the database doesn't know. */
static int open_homeless(void *unused) {
    (void)unused;
    struct cache *c = NULL;
    struct error err = {0};
    unsetenv("HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("CAPSULE_CACHE");
    if (cache_open(NULL, &c, &err) != ERROR_INVALID)
        return 1;
    return strstr(err.message, "HOME isn't set") && strstr(err.hint, "CAPSULE_CACHE") ? 0 : 2;
}

static bool writes_in_memory(struct cache *c) {
    struct cache_write *w = NULL;
    int writing = -1;
    CLEANUP(cleanup_close) int fd = -1, by_path = -1;
    CLEANUP(cleanup_free) char *path = NULL;
    if (cache_begin(c, &w, &writing, NULL) || !file_write(writing, "content", 7) ||
        cache_commit(w, "a", &fd, &path, NULL))
        return false;
    by_path = open(path, O_RDONLY);
    return holds(fd, "content") && holds(by_path, "content") && write(fd, "x", 1) == -1;
}

static bool has_nothing(struct cache *c) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(100);
    struct cache_usage usage;
    int lock = 7;
    return probe(c, "a", "") == 0 && cache_lock(c, "a", &lock, NULL) == 0 && lock == -1 &&
           cache_write_index(c, "i", "x", 1, NULL) == 0 && cache_read_index(c, "i", &b, NULL) == ERROR_NOT_FOUND &&
           cache_measure(c, &usage, NULL) == 0 && usage.objects == 0;
}

/* As one that it knows, whose home can't be written: everything works, in memory. */
static int open_in_memory(void *unused) {
    (void)unused;
    struct cache *c = NULL;
    struct error err = {0};
    unsetenv("HOME");
    if (cache_open(NULL, &c, &err) || cache_writable(c))
        return 1;
    int status = !writes_in_memory(c) ? 2 : !has_nothing(c) ? 3 : 0;
    if (cache_prune(c, 0, NULL, &err) != ERROR_IO || !err.hint[0])
        status = 4;
    cache_close(c);
    return status;
}

static void copes_without_home(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(scratch_fork(54321, open_homeless, NULL), 0);
    assert_int_equal(scratch_fork(65534, open_in_memory, NULL), 0); /* nobody: /nonexistent */
}

static void copes_with_a_home_that_is_no_folder(void **state) {
    scratch_write(*state, "file", "");
    CLEANUP(close_cache) struct cache *c = must_open(scratch_path(*state, "file/.cache/capsule"));
    assert_false(cache_writable(c));
    struct cache *refused = NULL;
    struct error err;
    assert_int_equal(cache_open(scratch_path(*state, "file"), &refused, &err), ERROR_INVALID);
    assert_contains(err.message, "isn't a folder");
    assert_contains(err.hint, "CAPSULE_CACHE");
    assert_null(refused);
}

static void refuses_folders_that_others_control(void **state) {
    static const struct {
        mode_t mode;
        bool used; /* has a file already */
        bool refused;
    } rows[] = {
        {0777, false, true},  {0770, false, true}, {0720, false, true},  {0702, false, true},
        {01777, false, true}, {0755, true, true},  {0755, false, false}, {0750, false, false},
        {0711, false, false}, {0700, true, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[32];
        snprintf(name, sizeof name, "c%zu", i);
        scratch_mkdir(*state, name);
        const char *dir = scratch_path(*state, name);
        if (rows[i].used)
            scratch_write(dir, "file", "");
        assert_int_equal(chmod(dir, rows[i].mode), 0);
        struct cache *c = NULL;
        struct error err = {0};
        assert_int_equal(cache_open(dir, &c, &err), rows[i].refused ? ERROR_UNSUPPORTED : 0);
        if (rows[i].refused) {
            assert_contains(err.message, "open to other users");
            assert_contains(err.hint, "chmod 700");
        } else {
            assert_int_equal(mode_of(*state, name), 0700);
        }
        cache_close(c);
    }
    if (geteuid() != 0)
        return;
    struct cache *c = NULL;
    struct error err;
    assert_int_equal(chown(*state, 65534, 65534), 0);
    assert_int_equal(cache_open(*state, &c, &err), ERROR_UNSUPPORTED);
    assert_contains(err.message, "belongs to another user");
    assert_contains(err.hint, "CAPSULE_CACHE");
}

static int work_read_only(void *folder) {
    struct cache *c = NULL;
    struct error err = {0};
    if (cache_open(folder, &c, &err))
        return 1;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(100);
    if (cache_writable(c) || probe(c, "a", "content") != 1 || cache_read_index(c, "i", &b, &err))
        return 2;
    if (put(c, "b", "x", false) || probe(c, "b", "x") != 0 || cache_write_index(c, "i", "y", 1, &err))
        return 3;
    /* A restart: digested each time, and accepted. */
    snprintf(c->boot, sizeof c->boot, "00000000");
    if (probe(c, "a", "content") != 1 || probe(c, "a", "content") != 1)
        return 4;
    if (cache_prune(c, 0, NULL, &err) != ERROR_IO)
        return 5;
    cache_close(c);
    return 0;
}

static int work_in_read_only_mount(void *folder) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount(folder, folder, NULL, MS_BIND, NULL) ||
        mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
        return SKIPPED;
    return work_read_only(folder);
}

static void works_read_only(void **state) {
    if (geteuid() != 0)
        skip();
    {
        CLEANUP(close_cache) struct cache *c = must_open(*state);
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_int_equal(cache_write_index(c, "i", "x", 1, NULL), 0);
    }
    int status = scratch_fork(0, work_in_read_only_mount, *state);
    if (status == SKIPPED)
        print_message("no mounts here: the read-only mount isn't tested\n");
    else
        assert_int_equal(status, 0);
    /* And by permissions, as a user whom they bind. */
    char command[600];
    snprintf(command, sizeof command, "chown -R 65534:65534 '%s' && chmod 500 '%s'", (char *)*state,
             (char *)*state);
    assert_int_equal(system(command), 0);
    assert_int_equal(scratch_fork(65534, work_read_only, *state), 0);
}

static char too_big[1 << 20];

/* Writes until no page is left. */
static void fill(const char *folder) {
    scratch_mkdir(folder, "filler");
    CLEANUP(cleanup_close) int fd = open(scratch_path(folder, "filler/f"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    while (write(fd, too_big, 4096) > 0) {
    }
}

/* An object without a page, and its seal, which needs one. Nothing else suffers. */
static int work_while_full(struct cache *c, const char *folder) {
    if (put(c, "c", "", false) || probe(c, "c", "") != 0 || cache_write_index(c, "i", "text", 4, NULL))
        return 3;
    if (probe(c, "a", "content") != 1 || scratch_count(folder, "tmp") != 0)
        return 4;
    cache_stop_writing(c);
    return put(c, "b", too_big, false) || cache_writable(c) ? 5 : 0;
}

/* A disk of 256 KiB. */
static int work_on_full_disk(void *folder) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", folder, "tmpfs", 0, "size=256k,mode=700"))
        return SKIPPED;
    struct cache *c = NULL;
    memset(too_big, 'x', sizeof too_big - 1);
    if (cache_open(folder, &c, NULL) || !cache_writable(c) || put(c, "a", "content", false))
        return 1;
    if (put(c, "b", too_big, false) != ERROR_IO || scratch_count(folder, "tmp") != 0)
        return 2;
    fill(folder);
    int status = work_while_full(c, folder);
    cache_close(c);
    /* One that would be made on a full disk works in memory. */
    if (status || unlink(scratch_path(folder, "key")))
        return status ? status : 6;
    fill(folder);
    if (cache_open(folder, &c, NULL))
        return 7;
    status = cache_writable(c) || put(c, "b", too_big, false) ? 8 : 0;
    cache_close(c);
    return status;
}

static void works_on_a_full_disk(void **state) {
    if (geteuid() != 0)
        skip();
    int status = scratch_fork(0, work_on_full_disk, *state);
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static int work_without_descriptors(void *folder) {
    struct cache *c = NULL;
    struct error err = {0};
    if (cache_open(folder, &c, &err) || put(c, "a", "content", false))
        return 1;
    const struct rlimit none = {3, 3};
    int fd = -1;
    struct cache_write *w = NULL;
    if (setrlimit(RLIMIT_NOFILE, &none))
        return 2;
    /* Not absent and not corrupt: nothing may be removed for this. */
    if (cache_take(c, "a", &fd, NULL, &err) != ERROR_IO || !strstr(err.message, "Too many open files"))
        return 3;
    if (cache_begin(c, &w, &fd, &err) != ERROR_IO)
        return 4;
    cache_close(c);
    return 0;
}

static void tells_lack_of_descriptors_from_absence(void **state) {
    assert_int_equal(scratch_fork(0, work_without_descriptors, *state), 0);
    assert_true(scratch_exists(*state, "objects/a"));
}

/* --- several at once ---------------------------------------------------------------------------------------- */

static pid_t start(int (*function)(void *), void *argument) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(function(argument));
    return child;
}

/* What a run does: take it, or build it under the lock. Notes each build in a file. */
static int build_once(void *folder) {
    struct cache *c = NULL;
    int lock = -1;
    if (cache_open(folder, &c, NULL) || cache_lock(c, "a", &lock, NULL))
        return 1;
    if (probe(c, "a", "content") == 0) {
        CLEANUP(cleanup_close)
        int notes = open(scratch_path(folder, "notes"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        usleep(20000);
        if (write(notes, "x", 1) != 1 || put(c, "a", "content", false))
            return 2;
    }
    cleanup_close(&lock);
    int status = probe(c, "a", "content") == 1 ? 0 : 3;
    cache_close(c);
    return status;
}

static void builds_once_in_two_processes(void **state) {
    pid_t children[4];
    for (size_t i = 0; i < COUNT(children); i++)
        children[i] = start(build_once, *state);
    for (size_t i = 0; i < COUNT(children); i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    char notes[16];
    assert_int_equal(slurp(*state, "notes", notes, sizeof notes), 1);
    assert_int_equal(scratch_count(*state, "tmp"), 0);
}

/* No lock, different contents, one name: whoever takes it gets one of them, whole. */
static int fight(void *folder) {
    struct cache *c = NULL;
    if (cache_open(folder, &c, NULL))
        return 1;
    for (int i = 0; i < 100; i++) {
        static const char *const texts[] = {"one", "the second", "3"};
        if (put(c, "a", texts[(i + getpid()) % 3], false))
            return 2;
        CLEANUP(cleanup_close) int fd = -1;
        int status = cache_take(c, "a", &fd, NULL, NULL);
        if (status != 0 && status != ERROR_NOT_FOUND)
            return 3;
        if (status == 0 && !holds(fd, texts[0]) && !holds(fd, texts[1]) && !holds(fd, texts[2]))
            return 4;
        if (i % 20 == 0 && cache_prune(c, 0, NULL, NULL))
            return 5;
    }
    cache_close(c);
    return 0;
}

static void is_whole_while_processes_fight(void **state) {
    pid_t children[3];
    for (size_t i = 0; i < COUNT(children); i++)
        children[i] = start(fight, *state);
    for (size_t i = 0; i < COUNT(children); i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    assert_int_equal(cache_prune(c, 0, NULL, NULL), 0);
    assert_int_equal(scratch_count(*state, "tmp"), 0);
    assert_int_equal(scratch_count(*state, "objects"), 0);
}

static int write_for_ever(void *folder) {
    struct cache *c = NULL;
    if (cache_open(folder, &c, NULL))
        return 1;
    for (;;)
        if (put(c, "a", "content", false) || cache_write_index(c, "i", "{\"object\":\"a\"}", 14, NULL) ||
            cache_prune(c, 0, NULL, NULL))
            return 2;
}

static void is_whole_after_a_kill(void **state) {
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = start(write_for_ever, *state);
        usleep(3000 + 137 * round);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        CLEANUP(close_cache) struct cache *c = must_open(*state);
        CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(100);
        assert_true(cache_writable(c));
        assert_true(probe(c, "a", "content") >= 0);
        if (cache_read_index(c, "i", &b, NULL) == 0)
            assert_string_equal(b.data, "{\"object\":\"a\"}");
        assert_int_equal(put(c, "a", "content", false), 0);
        assert_int_equal(probe(c, "a", "content"), 1);
        assert_int_equal(cache_prune(c, 1 << 20, NULL, NULL), 0);
        assert_int_equal(scratch_count(*state, "tmp"), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_private_folder, make, drop),
        cmocka_unit_test_setup_teardown(keeps_objects, make, drop),
        cmocka_unit_test_setup_teardown(aborts_without_a_trace, make, drop),
        cmocka_unit_test_setup_teardown(refuses_names, make, drop),
        cmocka_unit_test_setup_teardown(notices_every_damaged_byte, make, drop),
        cmocka_unit_test_setup_teardown(notices_missing_and_exchanged_parts, make, drop),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_plain_file, make, drop),
        cmocka_unit_test_setup_teardown(accepts_equal_content_and_seals_it_anew, make, drop),
        cmocka_unit_test_setup_teardown(digests_again_after_a_restart, make, drop),
        cmocka_unit_test_setup_teardown(replaces_and_keeps, make, drop),
        cmocka_unit_test_setup_teardown(a_lost_key_makes_all_absent, make, drop),
        cmocka_unit_test_setup_teardown(survives_missing_folders, make, drop),
        cmocka_unit_test_setup_teardown(keeps_indexes, make, drop),
        cmocka_unit_test_setup_teardown(notices_damaged_indexes, make, drop),
        cmocka_unit_test_setup_teardown(finds_its_folder, make, drop),
        cmocka_unit_test_setup_teardown(copes_without_home, make, drop),
        cmocka_unit_test_setup_teardown(copes_with_a_home_that_is_no_folder, make, drop),
        cmocka_unit_test_setup_teardown(refuses_folders_that_others_control, make, drop),
        cmocka_unit_test_setup_teardown(works_read_only, make, drop),
        cmocka_unit_test_setup_teardown(works_on_a_full_disk, make, drop),
        cmocka_unit_test_setup_teardown(tells_lack_of_descriptors_from_absence, make, drop),
        cmocka_unit_test_setup_teardown(builds_once_in_two_processes, make, drop),
        cmocka_unit_test_setup_teardown(is_whole_while_processes_fight, make, drop),
        cmocka_unit_test_setup_teardown(is_whole_after_a_kill, make, drop),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
