/* What leaves the cache and what stays; the torture run; threads. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "app/cache.h"
#include "app/cache_internal.h"
#include "base/fault.h"
#include "base/file.h"
#include "scratch.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OBJECT_SIZE = 16384 };

static int make(void **state) {
    *state = scratch_new();
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

static struct cache *must_open(const char *dir) {
    struct cache *c = NULL;
    assert_int_equal(cache_open(dir, &c, NULL), 0);
    return c;
}

static void close_cache(struct cache **c) {
    cache_close(*c);
}

static int put(struct cache *c, const char *name) {
    static char text[OBJECT_SIZE];
    struct cache_write *w = NULL;
    int fd = -1, finished = -1;
    int status = cache_begin(c, &w, &fd, NULL);
    if (status)
        return status;
    if (!file_write(fd, text, sizeof text)) {
        cache_abort(w);
        return ERROR_IO;
    }
    status = cache_commit(w, name, &finished, NULL, NULL);
    cleanup_close(&finished);
    return status;
}

/* Pretends that the object was last used so many seconds ago. */
static void age(const char *folder, const char *name, int seconds) {
    char seal[100];
    snprintf(seal, sizeof seal, "objects/%s.seal", name);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(folder, seal), times, 0), 0);
}

static bool present(struct cache *c, const char *name) {
    CLEANUP(cleanup_close) int fd = -1;
    return cache_take(c, name, &fd, NULL, NULL) == 0;
}

static void drops_the_least_recently_used(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    static const char *const names[] = {"a", "b", "c", "d"};
    struct cache_usage usage;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(put(c, names[i]), 0);
    age(*state, "a", 2 * 3600);
    age(*state, "b", 9 * 3600);
    age(*state, "c", 5 * 3600);
    age(*state, "d", 7 * 3600);
    assert_true(present(c, "d")); /* used again */
    assert_int_equal(cache_measure(c, &usage, NULL), 0);
    assert_int_equal(usage.objects, 4);
    assert_true(usage.bytes >= 4 * OBJECT_SIZE);
    uint64_t half = usage.bytes / 2;
    assert_int_equal(cache_prune(c, half, &usage, NULL), 0);
    assert_int_equal(usage.objects, 2);
    assert_int_equal(usage.removed_objects, 2);
    assert_true(usage.bytes <= half && usage.removed_bytes > 0);
    assert_true(present(c, "a") && present(c, "d"));
    assert_false(present(c, "b") || present(c, "c"));
    assert_int_equal(cache_prune(c, 0, &usage, NULL), 0);
    assert_int_equal(usage.objects, 0);
    assert_int_equal(usage.bytes, 0);
    assert_int_equal(scratch_count(*state, "objects"), 0);
}

/* What every run uses must outlive what was written once, a minute ago, however much of that there is. */
static void keeps_what_is_used(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    static const char *const names[] = {"code", "image1", "image2", "image3"};
    struct cache_usage usage;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(put(c, names[i]), 0);
    age(*state, "code", 120);
    for (size_t i = 1; i < COUNT(names); i++)
        age(*state, names[i], 60);
    assert_true(present(c, "code"));
    assert_int_equal(cache_measure(c, &usage, NULL), 0);
    assert_int_equal(cache_prune(c, usage.bytes / 2, NULL, NULL), 0);
    assert_true(present(c, "code"));
}

static void keeps_open_objects_usable(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    CLEANUP(cleanup_close) int fd = -1;
    CLEANUP(cleanup_free) char *path = NULL;
    assert_int_equal(put(c, "a"), 0);
    assert_int_equal(cache_take(c, "a", &fd, &path, NULL), 0);
    assert_int_equal(cache_prune(c, 0, NULL, NULL), 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, OBJECT_SIZE);
    CLEANUP(cleanup_close) int again = open(path, O_RDONLY);
    assert_true(again >= 0);
}

static void touches_every_ten_seconds(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    struct stat before, after;
    assert_int_equal(put(c, "a"), 0);
    age(*state, "a", 2 * 3600);
    assert_true(present(c, "a"));
    assert_int_equal(stat(scratch_path(*state, "objects/a.seal"), &before), 0);
    assert_true(before.st_mtim.tv_sec > time(NULL) - 60);
    scratch_settle();
    assert_true(present(c, "a"));
    assert_int_equal(stat(scratch_path(*state, "objects/a.seal"), &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_true(present(c, "a"));
}

static void sweeps_what_nobody_owns(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    assert_int_equal(put(c, "a"), 0);
    assert_int_equal(cache_write_index(c, "good", "{\"object\":\"a\"}", 14, NULL), 0);
    assert_int_equal(cache_write_index(c, "other", "{}", 2, NULL), 0);
    assert_int_equal(cache_write_index(c, "dangling", "{\"object\":\"b\"}", 14, NULL), 0);
    assert_int_equal(cache_write_index(c, "hostile", "{\"object\":\"../key\"}", 19, NULL), 0);
    scratch_write(*state, "index/forged", "{\"object\":\"a\"}");
    scratch_write(*state, "objects/unsealed", "x");
    scratch_write(*state, "objects/orphan.seal", "x");
    scratch_write(*state, "tmp/999999999.0123456789abcdef", "x");
    scratch_write(*state, "tmp/rubbish", "x");
    assert_int_equal(symlink("nowhere", scratch_path(*state, "tmp/link")), 0);
    scratch_write(*state, "lock/old", "");
    struct cache_write *w = NULL;
    int fd = -1, lock = -1;
    assert_int_equal(cache_begin(c, &w, &fd, NULL), 0);
    assert_int_equal(cache_lock(c, "held", &lock, NULL), 0);
    struct cache_usage usage;
    assert_int_equal(cache_prune(c, UINT64_MAX, &usage, NULL), 0);
    assert_int_equal(usage.removed_objects, 1);
    assert_true(present(c, "a"));
    assert_true(scratch_exists(*state, "index/good") && scratch_exists(*state, "index/other"));
    assert_int_equal(scratch_count(*state, "index"), 2);
    assert_int_equal(scratch_count(*state, "objects"), 2);
    assert_int_equal(scratch_count(*state, "tmp"), 1);
    assert_true(scratch_exists(*state, "lock/held"));
    assert_false(scratch_exists(*state, "lock/old"));
    assert_true(scratch_exists(*state, "key"));
    cache_abort(w);
    cleanup_close(&lock);
    assert_int_equal(cache_prune(c, 0, NULL, NULL), 0);
    assert_false(scratch_exists(*state, "index/good"));
}

#ifdef CAPSULE_FAULTS
/* What a process does that builds an image. Returns whether all went as without faults. */
static bool work(const char *folder) {
    struct cache *c = NULL;
    struct error err = {0};
    int lock = -1;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(1000);
    if (cache_open(folder, &c, &err)) {
        assert_true(err.message[0]);
        return false;
    }
    bool good = cache_writable(c);
    good = cache_lock(c, "a", &lock, &err) == 0 && lock >= 0 && good;
    good = present(c, "a") && good;
    good = put(c, "a") == 0 && good;
    good = put(c, "b") == 0 && good;
    good = present(c, "a") && good;
    good = cache_write_index(c, "i", "{\"object\":\"a\"}", 14, &err) == 0 && good;
    good = cache_read_index(c, "i", &b, &err) == 0 && good;
    good = cache_prune(c, 100000, NULL, &err) == 0 && good;
    cleanup_close(&lock);
    cache_close(c);
    return good;
}

#endif

/* Point 1, 2, 3 … fails, in a cache that is new and in one that is in use; afterwards everything works. */
static void survives_every_failure(void **state) {
#ifdef CAPSULE_FAULTS
    for (int warm = 0; warm < 2; warm++) {
        bool reached = true;
        unsigned long at = 0;
        while (reached) {
            char name[32];
            snprintf(name, sizeof name, "%s%lu", warm ? "warm" : "cold", ++at);
            const char *folder = scratch_path(*state, name);
            char *dir = strdup(folder);
            if (warm)
                (void)work(dir);
            fault_arm(at);
            (void)work(dir);
            reached = fault_visits() >= at;
            fault_arm(0);
            CLEANUP(close_cache) struct cache *c = must_open(dir);
            assert_true(cache_writable(c));
            CLEANUP(cleanup_close) int fd = -1;
            if (cache_take(c, "a", &fd, NULL, NULL) == 0) {
                struct stat st;
                assert_int_equal(fstat(fd, &st), 0);
                assert_int_equal(st.st_size, OBJECT_SIZE);
            }
            (void)work(dir);
            assert_true(work(dir));
            assert_int_equal(scratch_count(dir, "tmp"), 0);
            free(dir);
        }
        print_message("%s: %lu points\n", warm ? "warm" : "cold", at - 1);
        assert_true(at > 20);
    }
#else
    (void)state;
    skip();
#endif
}

static void *share(void *argument) {
    struct cache *c = argument;
    size_t bad = 0;
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i % 5);
        CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(1000);
        bad += put(c, name) != 0;
        (void)present(c, name);
        bad += cache_write_index(c, name, "{}", 2, NULL) != 0;
        int status = cache_read_index(c, name, &b, NULL);
        bad += status != 0 && status != ERROR_NOT_FOUND;
        if (i == 40)
            cache_stop_writing(c);
    }
    return bad ? argument : NULL;
}

static void is_shared_by_threads(void **state) {
    CLEANUP(close_cache) struct cache *c = must_open(*state);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share, c), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *bad = c;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    assert_false(cache_writable(c));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(drops_the_least_recently_used, make, drop),
        cmocka_unit_test_setup_teardown(keeps_what_is_used, make, drop),
        cmocka_unit_test_setup_teardown(keeps_open_objects_usable, make, drop),
        cmocka_unit_test_setup_teardown(touches_every_ten_seconds, make, drop),
        cmocka_unit_test_setup_teardown(sweeps_what_nobody_owns, make, drop),
        cmocka_unit_test_setup_teardown(survives_every_failure, make, drop),
        cmocka_unit_test_setup_teardown(is_shared_by_threads, make, drop),
    };
    return cmocka_run_group_tests_name("cache_prune", tests, NULL, NULL);
}
